"""Real wrong passwords from outside: the attacker is out, the owners are not, and a person can undo it.

The attacks take seconds each (PAM and Dovecot delay failures), so all of a host run side by side, once (`siege`); the
tests then look at what became of each. Every actor has a source address of its own.
"""

import concurrent.futures
import dataclasses
import datetime
import imaplib
import poplib
import re

import pytest

import attack
import delay
import host
import namespaces

USERS = host.users()


@dataclasses.dataclass(frozen=True)
class Attack:
    """Wrong passwords over one service."""

    source: str
    service: str            # as in attack.LOGINS
    connections: int
    tries: int              # per connection
    jail: str               # that must act; a key of delay.JAILS
    bantime: int            # of that jail, seconds
    user: str = "bob"

    @property
    def port(self):
        return attack.LOGINS[self.service]

    @property
    def log(self):
        return delay.JAILS[self.jail].log

    @property
    def limit(self):
        return delay.JAILS[self.jail].limit


SSHD = {"jail": "sshd", "bantime": 12 * 3600}
SASL = {"jail": "postfix-sasl", "bantime": 4 * 3600}
BOX = {"jail": "dovecot", "bantime": 2 * 3600}

ATTACKS = {
    "ssh": Attack("203.0.113.11", "ssh", 3, 1, **SSHD),
    "ssh-one-connection": Attack("203.0.113.12", "ssh", 1, 3, **SSHD),
    "ssh-unknown-user": Attack("203.0.113.13", "ssh", 3, 1, user="nosuch", **SSHD),
    "ssh-ipv6": Attack("2001:db8:bad:11::1", "ssh", 3, 1, **SSHD),
    "submission": Attack("203.0.113.14", "submission", 3, 1, **SASL),
    "smtps": Attack("203.0.113.15", "smtps", 3, 1, **SASL),
    "imaps": Attack("203.0.113.16", "imaps", 4, 1, **BOX),
    "imaps-many-in-one": Attack("203.0.113.17", "imaps", 2, 2, **BOX),
    "imaps-ipv6": Attack("2001:db8:bad:12::1", "imaps", 4, 1, **BOX),
    "imap-starttls": Attack("203.0.113.18", "imap", 4, 1, user="nosuch", **BOX),
    "pop3s": Attack("203.0.113.19", "pop3s", 4, 1, **BOX),
    # User names that imitate the address of somebody else: 198.51.100.99 must never be named.
    "ssh-injection": Attack("203.0.113.21", "ssh", 3, 1, user="root from 198.51.100.99 port 22 ssh2", **SSHD),
    "smtps-injection": Attack("203.0.113.22", "smtps", 3, 1, user="x unknown[198.51.100.99]: SASL", **SASL),
    "imaps-injection": Attack("203.0.113.23", "imaps", 4, 1, user="x>, method=PLAIN, rip=198.51.100.99, lip=192.0.2.1",
                              **BOX),
}
INJECTED = "198.51.100.99"
OWNER, ERRING = "198.51.100.10", "198.51.100.11"
OWNED = ("ssh", "submission", "smtps", "imaps", "pop3s")


# --- the siege -------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def siege(machine, outside):
    """All attacks, the owner's logins and the erring user's, at once; returns what each actor saw."""
    with concurrent.futures.ThreadPoolExecutor(len(ATTACKS) + 2) as pool:
        jobs = {name: pool.submit(assault, outside, machine.host, each) for name, each in ATTACKS.items()}
        jobs["owner"] = pool.submit(log_in_often, outside, machine.host)
        jobs["erring"] = pool.submit(err_once, outside, machine.host)
        seen = {name: job.result() for name, job in jobs.items()}
    for each in ATTACKS.values():
        machine.watch.wait(each.source, 10)
    machine.caught_up()
    return seen


def target(machine, source):
    """The host's address of the source's family."""
    return machine.address_6 if ":" in source else machine.address


def assault(outside, machine, each):
    """Try passwords until done or shut out; the outcomes.

    SSH one connection after the other. The others side by side, for Dovecot delays each further failure of an address
    more, and when that reaches 10 s Postfix logs "Connection lost to authentication server" in place of a failure.
    """
    with concurrent.futures.ThreadPoolExecutor(1 if each.service == "ssh" else each.connections) as pool:
        jobs = [pool.submit(one_connection, outside, machine, each) for _ in range(each.connections)]
        return [job.result() for job in jobs]


def one_connection(outside, machine, each):
    """The tries of one connection; a ban may end it in many ways."""
    address = target(machine, each.source)
    try:
        if each.service == "ssh":
            return outside.ssh(each.source, address, each.user, *(f"wrong{n}" for n in range(each.tries)))[0]
        return outside.login(each.service, each.source, address, each.user, "wrong", tries=each.tries)
    except (OSError, imaplib.IMAP4.error, poplib.error_proto) as shut_out:
        return type(shut_out).__name__


def log_in_often(outside, machine):
    """The right user, three times over everything."""
    return [outside.login(service, OWNER, machine.address, "alice", USERS["alice"]) for service in OWNED * 3]


def err_once(outside, machine):
    """One wrong password per service, then the right one."""
    return [outside.login(service, ERRING, machine.address, "alice", word)
            for service in ("ssh", "smtps", "imaps") for word in ("wrong", USERS["alice"])]


# --- the attackers are out -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ATTACKS)
def test_the_attacker_is_in_the_kernel_set(machine, siege, name):
    """In a set of its scope, told as wanted and enforced, with the jail's time."""
    each = ATTACKS[name]
    event = machine.watch.added(each.source)
    assert event, f"{each.source} is in no set; it saw {siege[name]}; {lines_of(machine.host, each)}"
    delay.note(machine.host.release, each.jail, delay.FILE, delay.of_file(machine.host, each.log), each.source, event)
    bans = machine.ban_of(each.source)
    assert bans, f"no ban of {each.source} in: {machine.bans()}"
    for ban in bans:
        assert {"jail", "address", "prefix", "scope", "since", "until", "reason", "wanted", "enforced"} <= set(ban)
        assert ban["wanted"] is True and ban["enforced"] is True and ban["reason"]
        assert ban["prefix"] == (64 if ":" in each.source else 32)
        assert ban["scope"] in machine.scopes(each.source)
    assert each.bantime in {round(moment(ban["until"]) - moment(ban["since"])) for ban in bans}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attacker_cannot_connect(machine, outside, siege, name):
    """Its service is shut, as is every port of the scope; what the scope does not hold stays open."""
    each = ATTACKS[name]
    address = target(machine.host, each.source)
    assert outside.port(each.source, address, each.port, 0.5) == "timed out"
    other = 993 if each.service == "ssh" else 22
    assert outside.port(each.source, address, other, 0.5) == "open"


def test_a_neighbour_in_the_same_64_is_out_too(machine, outside, siege):
    """IPv6 is counted and banned per /64, and the next /64 is somebody else."""
    assert outside.port("2001:db8:bad:12:ffff::77", machine.host.address_6, 993, 0.5) == "timed out"
    assert outside.port("2001:db8:bad:13::1", machine.host.address_6, 993, 0.5) == "open"


# --- the owners are not ----------------------------------------------------------------------------------------------

def test_the_right_user_is_never_banned(machine, outside, siege):
    assert set(siege["owner"]) == {attack.ACCEPTED}
    assert_free(machine, outside, OWNER)


def test_who_errs_once_is_never_banned(machine, outside, siege):
    assert siege["erring"] == [attack.REFUSED, attack.ACCEPTED] * 3
    assert_free(machine, outside, ERRING)


def test_an_address_in_a_user_name_is_never_banned(machine, outside, siege):
    """Remote attackers' text does not choose who is banned."""
    assert_free(machine, outside, INJECTED)


def test_own_address_and_gateway_are_never_banned(machine, world, siege):
    """Failures from the host itself and from its gateway are no reason to lock them out."""
    itself = attack.Client(world, machine.host.netns)
    gateway = attack.Client(world, namespaces.Here())
    actors = ((itself, machine.host.address), (gateway, host.GATEWAY_4))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(client.imap, source, machine.host.address, "bob", "wrong")
                    for client, source in actors for _ in range(4)]:
            assert job.result() == attack.REFUSED
    machine.caught_up()
    for client, source in actors:
        assert_free(machine, client, source)


# --- why, and the way back -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ("ssh", "smtps", "imaps", "pop3s", "ssh-ipv6"))
def test_why_names_the_lines(machine, siege, name):
    """What happened, how many, from which file, and how to let it in."""
    each = ATTACKS[name]
    text = machine.word("why", each.source, check=False).stdout
    named = each.source.split("::")[0]              # of an IPv6 address the /64 may be what is named
    assert named in text and each.user in text and each.log in text
    assert f"the limit is {each.limit} in 10 m" in text
    assert "In the kernel: yes" in text
    assert f"hauberk unban {named}" in text
    assert len(re.findall(r"^\s+\d\d:\d\d:\d\d\s", text, re.M)) >= 1


def test_why_knows_the_owner(machine, siege):
    """An address that is not banned gets an answer too."""
    text = machine.word("why", OWNER, check=False).stdout
    assert OWNER in text and "hauberk unban" not in text


def test_unban_lets_in_again(machine, outside, siege):
    """The door is open and the right password works at once (Debian 13's sshd itself may sulk for some seconds)."""
    each = ATTACKS["ssh"]
    machine.word("unban", each.source)
    assert machine.scopes(each.source) == set() and machine.ban_of(each.source) == []
    assert outside.port(each.source, machine.host.address, 22) == "open"
    host.wait_for(lambda: outside.login("ssh", each.source, machine.host.address, "alice", USERS["alice"])
                  == attack.ACCEPTED, 60, "a login after unban")


def test_unban_without_a_daemon_holds_after_its_start(machine, outside, siege):
    """The kernel keeps the bans of a stopped hauberkd; what is lifted meanwhile is not banned again by it."""
    each, kept = ATTACKS["smtps"], ATTACKS["imaps"]
    machine.stop()
    assert machine.scopes(each.source) and machine.scopes(kept.source)
    machine.word("unban", each.source)
    assert machine.scopes(each.source) == set()
    assert outside.port(each.source, machine.host.address, 465) == "open"
    machine.start()
    machine.caught_up()
    assert machine.scopes(each.source) == set() and machine.ban_of(each.source) == []
    assert outside.port(each.source, machine.host.address, 465) == "open"
    assert machine.scopes(kept.source) and machine.ban_of(kept.source)


# --- one failure, however many lines ---------------------------------------------------------------------------------

def test_auth_verbose_does_not_count_twice(machine, outside, siege):
    """With auth_verbose=yes Dovecot writes a line per attempt besides the one at the end; each attempt counts once."""
    box, sasl = "203.0.113.41", "203.0.113.42"
    machine.host.write("/etc/dovecot/verbose.conf", "auth_verbose = yes\n")
    machine.host.enter("systemctl", "restart", "dovecot")
    try:
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            jobs = [pool.submit(outside.imap, box, machine.host.address, "bob", "wrong") for _ in range(3)]
            jobs += [pool.submit(outside.smtp, sasl, machine.host.address, "bob", "wrong", 465) for _ in range(2)]
            assert {job.result() for job in jobs} == {attack.REFUSED}
        host.wait_for(lambda: machine.host.read(delay.MAIL).count(f"(bob,{box}") >= 3, 10, "the verbose lines")
        machine.caught_up()
        assert_free(machine, outside, box)
        assert_free(machine, outside, sasl)
        outside.imap(box, machine.host.address, "bob", "wrong")
        assert machine.watch.wait(box, 10), "the fourth attempt did not ban"
    finally:
        machine.host.path("/etc/dovecot/verbose.conf").unlink()
        machine.host.enter("systemctl", "restart", "dovecot")


# --- helpers ---------------------------------------------------------------------------------------------------------

def assert_free(machine, client, source):
    """No ban, no element, open doors; and it never was otherwise."""
    assert machine.ban_of(source) == [] and machine.scopes(source) == set()
    assert machine.watch.added(source) is None
    for port in (22, 465, 993):
        assert client.port(source, target(machine.host, source), port) == "open"


def moment(text):
    """An RFC 3339 time in seconds."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def lines_of(machine, each):
    """The log's lines that name the attacker."""
    return "\n".join(line for line in machine.read(each.log).splitlines() if each.source in line)
