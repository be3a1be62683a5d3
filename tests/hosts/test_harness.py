"""The harness itself: the hosts are real, the clients see what is there, and nothing reaches the machine we run on."""

import concurrent.futures
import os
import subprocess
import time

import pytest

import attack
import host
import kernel
import namespaces
import trees

PORTS = {22, 25, 110, 143, 465, 587, 993, 995}


def test_the_mail_server_is_up(bare):
    """Booted with no failed unit (boot() raises else), everything listening, the logs where Debian has them."""
    assert bare.listening() >= PORTS
    assert bare.release in bare.read("/etc/os-release")
    host.wait_for(lambda: bare.path("/var/log/mail.log").exists() and bare.path("/var/log/auth.log").exists(), 10)


@pytest.fixture(scope="session")
def logins(bare, outside):
    """The right and the wrong password over every service, side by side: {(service, word): outcome}."""
    right = host.users()["alice"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        jobs = {(service, word): pool.submit(outside.login, service, source_of(service, word), bare.address_6, "alice",
                                             right if word == "right" else "wrong")
                for service in attack.LOGINS for word in ("right", "wrong")}
        return {name: job.result() for name, job in jobs.items()}


def source_of(service, word):
    """Each login's own address."""
    return f"2001:db8:bad:{attack.LOGINS[service]}::{1 if word == 'right' else 2}"


@pytest.mark.parametrize("service", attack.LOGINS)
def test_the_right_password_opens_and_a_wrong_one_does_not(bare, logins, service):
    """What the clients saw, and that the service's log names the address."""
    assert logins[service, "right"] == attack.ACCEPTED and logins[service, "wrong"] == attack.REFUSED
    log = "/var/log/auth.log" if service == "ssh" else "/var/log/mail.log"
    host.wait_for(lambda: source_of(service, "wrong") in bare.read(log), 10, f"the address in {log}")


def test_a_unit_has_the_rights_of_a_service(bare):
    """A unit may use nft and confine itself, and has neither more nor less power than a service of a real host."""
    bare.unit("nft", "add", "table", "inet", "rights")
    bare.unit("nft", "delete", "table", "inet", "rights")
    status = bare.unit("cat", "/proc/self/status", properties=["SystemCallFilter=@system-service"]).stdout
    assert "Seccomp:\t2" in status


def test_a_dropped_packet_is_told_from_a_closed_port(bare, outside):
    """The three answers of a port, for IPv4 and IPv6."""
    with_rules(bare, "table inet harness { chain c { type filter hook prerouting priority -150;\n"
                     "tcp dport 993 ip saddr 203.0.113.2 drop\ntcp dport 993 ip6 saddr 2001:db8:bad::2 drop\n}\n}")
    for source, target in (("203.0.113.2", bare.address), ("2001:db8:bad::2", bare.address_6)):
        assert outside.port(source, target, 993, timeout=0.5) == "timed out"
        assert outside.port(source, target, 995) == "open"
        assert outside.port(source, target, 4190) == "refused"
    assert outside.port("203.0.113.3", bare.address, 993) == "open"


def test_the_watch_sees_an_element_come(bare):
    """SetWatch stamps an element of table inet hauberk, and `table` lists it."""
    watch = kernel.SetWatch(bare)
    with_rules(bare, "table inet hauberk { set ssh_4 { type ipv4_addr; flags timeout; }\n"
                     "set ssh_6_64 { type ipv6_addr; flags timeout; }\n"
                     "set mail-login_4_nets { type ipv4_addr; flags interval, timeout; }\n}")
    began = time.time()
    bare.unit("nft", "add element inet hauberk ssh_4 { 203.0.113.4 timeout 1h };"
                     "add element inet hauberk ssh_6_64 { 2001:db8:bad:4:: timeout 30s }")
    event = watch.wait("203.0.113.4", 5)
    assert event.set == "ssh_4" and event.timeout == 3600 and began < event.moment <= time.time()
    assert watch.wait("2001:db8:bad:4::9", 5).set == "ssh_6_64"
    assert kernel.scopes_of(bare, "203.0.113.4") == {"ssh"} == kernel.scopes_of(bare, "2001:db8:bad:4::9")
    assert kernel.scopes_of(bare, "203.0.113.5") == set()
    bare.unit("nft", "add element inet hauberk mail-login_4_nets { 203.0.113.64/26 timeout 1h, 198.51.100.0/25 }")
    assert kernel.scopes_of(bare, "203.0.113.65") == {"mail-login"} == kernel.scopes_of(bare, "198.51.100.127")
    assert kernel.scopes_of(bare, "203.0.113.128") == set() == kernel.scopes_of(bare, "198.51.100.128")
    bare.enter("nft", "delete", "table", "inet", "hauberk")
    assert kernel.table(bare) is None
    watch.close()


def test_the_hammer_notices_when_the_door_shuts(bare, outside):
    hammer = outside.hammer("203.0.113.5", bare.address, 993)
    host.wait_for(lambda: len(hammer.successes) > 20, 10)
    with_rules(bare, "table inet harness { chain c { type filter hook prerouting priority -150;\n"
                     "ip saddr 203.0.113.5 drop\n}\n}")
    shut = time.time()
    attempts = hammer.attempts
    host.wait_for(lambda: hammer.attempts > attempts + 2, 10)
    assert not [success for success in hammer.stop() if success[0] > shut]


def test_a_held_imap_connection_knows_whether_it_lives(bare, outside):
    held = outside.hold_imap("198.51.100.6", bare.address, "bob", host.users()["bob"])
    assert attack.alive(held)
    with_rules(bare, "table inet harness { chain c { type filter hook prerouting priority -150;\n"
                     "ip saddr 198.51.100.6 drop\n}\n}")
    assert not attack.alive(held)


def test_a_file_goes_in_and_comes_back(bare):
    bare.write("/etc/hauberk-test/a", "text \u00fc\n", mode=0o600)
    assert bare.enter("cat", "/etc/hauberk-test/a").stdout == bare.read("/etc/hauberk-test/a") == "text \u00fc\n"


def test_a_reboot_keeps_the_disk(world, release):
    """stop() is a clean power-off, boot() comes back with the same disk, close() leaves nothing."""
    machine = host.Host(world, release, name=f"reboot-{release}").boot()
    machine.write("/var/lib/kept", "yes")
    machine.stop()
    machine.boot()
    assert machine.read("/var/lib/kept") == "yes"
    cgroup, folder = machine.cgroup, machine.folder
    machine.close()
    assert not folder.exists() and not namespaces.cgroup_pids(cgroup)
    assert not any(path.exists() for path in namespaces.cgroup_folders(cgroup))


def test_the_machine_we_run_on_is_out_of_reach(world):
    """Neither our network nor our mounts are the root namespace's, and there is no way out."""
    for kind in ("net", "mnt"):
        assert os.readlink(f"/proc/self/ns/{kind}") != os.readlink(f"/proc/{root_pid()}/ns/{kind}")
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    assert "default" not in routes
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert all(line.split()[1].split("@")[0].rstrip(":") in ("lo", "br0") or " master br0 " in line
               for line in links.splitlines())


def test_what_a_dead_run_left_is_swept():
    """A cgroup named after a pid that is gone is emptied and removed; one of a living pid stays."""
    child = subprocess.Popen(["true"])
    child.wait()
    dead, living = f"hauberk-tests-{child.pid}-x", f"hauberk-tests-{os.getpid()}-y"
    sleeper = subprocess.Popen([*namespaces.in_cgroup(dead), "sleep", "600"])
    host.wait_for(lambda: namespaces.cgroup_pids(dead) == {sleeper.pid}, 5)
    namespaces.in_cgroup(living)
    namespaces.sweep_dead_runs()
    assert sleeper.wait(5) == -9
    assert not any(path.exists() for path in namespaces.cgroup_folders(dead))
    assert all(path.exists() for path in namespaces.cgroup_folders(living))
    namespaces.remove_cgroups(living)


def test_a_killed_tree_maker_leaves_nothing_complete(tmp_path, monkeypatch):
    """What a killed maker left is swept, a layer somebody lies on is not."""
    monkeypatch.setattr(trees, "TREES", tmp_path)
    for name in ("bookworm-base-old", "bookworm-base-new.making", "bookworm-base-used", "trixie-base-x"):
        (tmp_path / name / "etc").mkdir(parents=True)
    (tmp_path / "bookworm-base-old.log").touch()
    descriptor = trees.hold(tmp_path / "bookworm-base-used")
    trees.sweep("bookworm-base-")
    os.close(descriptor)
    assert {path.name for path in tmp_path.iterdir()} == {"bookworm-base-used", "trixie-base-x"}


def with_rules(machine, rules):
    """Load nft rules into a host; the harness's own table is replaced."""
    machine.enter("nft", "-f", "-", input="table inet harness\ndelete table inet harness\n" + rules)


def root_pid():
    """A process that has stayed in the namespaces we left: our parent."""
    return os.getppid()
