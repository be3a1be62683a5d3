"""A machine without a syslog daemon, as Debian installs it: the journal is all there is to read."""

import pytest

import attack
import delay
import guard
import host
import trees

SSH, SMTPS, IMAPS, LONG, STRANGER = (f"203.0.113.{n}" for n in (201, 202, 203, 204, 205))


@pytest.fixture(scope="module")
def bare_logs(world, release):
    """A guarded machine of its own whose rsyslog is gone, with what it wrote."""
    made = host.Host(world, release, name=f"journal-{release}",
                     layers=[trees.path_of(release, "hauberk")]).boot()
    made.enter("systemctl", "disable", "--now", "rsyslog.service", "syslog.socket", check=False)
    made.enter("rm", "-f", "/var/log/auth.log", "/var/log/mail.log", "/var/log/syslog")
    with guard.Guard(made) as guarded:
        yield guarded
    made.close()


def test_every_jail_reads_the_journal(bare_logs):
    logs = {jail["jail"]: jail["logs"] for jail in bare_logs.status()["jails"]}
    for jail in ("sshd", "dovecot", "postfix-sasl"):
        assert len(logs[jail]) == 1 and logs[jail][0].startswith("journal: _SYSTEMD_UNIT="), logs


@pytest.mark.parametrize("service, source, jail", (
    ("ssh", SSH, "sshd"), ("smtps", SMTPS, "postfix-sasl"), ("imaps", IMAPS, "dovecot")))
def test_wrong_passwords_are_found_in_the_journal(bare_logs, outside, service, source, jail):
    """Over real services, to the element in the kernel; how long after the line that did it is told."""
    machine = bare_logs.host
    for attempt in range(6):
        try:
            outside.login(service, source, machine.address, "bob", "wrong")
        except Exception:       # the ban may meet any step of a login
            break
        if bare_logs.watch.added(source):
            break
    event = bare_logs.watch.wait(source, 15)
    assert event, f"{source} is in no set: {bare_logs.journal()[-2000:]} {bare_logs.status()['sources']}"
    assert outside.port(source, machine.address, attack.LOGINS[service], 0.5) == "timed out"
    delay.note(machine.release, jail, delay.JOURNAL, delay.of_journal(machine), source, event)
    assert "journal: " in bare_logs.word("why", source, check=False).stdout


def test_a_packed_field_is_read_inside_the_sandbox(bare_logs):
    """Journald packs what is longer than 512 bytes, and the sensor cannot load a library to unpack it."""
    for _ in range(3):
        bare_logs.host.enter("logger", "-t", "sshd[99]", "-S", "8192",
                             f"Failed password for {'x' * 3000} from {LONG} port 9 ssh2")
    assert bare_logs.watch.wait(LONG, 15), bare_logs.journal()[-2000:]


def test_nobody_else_speaks_for_sshd(bare_logs):
    """Any user may log under sshd's name; only what ssh.service or root says counts."""
    machine = bare_logs.host
    for _ in range(5):
        machine.enter("runuser", "-u", "nobody", "--", "logger", "-t", "sshd[99]",
                      f"Failed password for root from {STRANGER} port 9 ssh2")
    host.wait_for(lambda: STRANGER in machine.journal(), 10, "the stranger's lines in the journal")
    for _ in range(3):
        machine.enter("logger", "-t", "sshd[97]", "Failed password for root from 198.51.100.201 port 9 ssh2")
    assert bare_logs.watch.wait("198.51.100.201", 15)       # what came before it has been read
    assert not bare_logs.watch.added(STRANGER)


def test_restart_and_rotation_lose_nothing(bare_logs):
    """Two failures, a rotation, a kill, a third: the ban."""
    machine, source = bare_logs.host, "198.51.100.202"

    def fail(times):
        for _ in range(times):
            machine.enter("logger", "-t", "sshd[96]", f"Failed password for root from {source} port 9 ssh2")

    fail(2)
    machine.enter("journalctl", "--rotate")
    bare_logs.signal("hauberkd")
    fail(1)
    assert bare_logs.watch.wait(source, 20), bare_logs.journal()[-2000:]
    assert [ban["failures"] for ban in bare_logs.ban_of(source)] == [3]
    assert all(each["lost"] == 0 for each in bare_logs.status()["sources"])
