"""Kills, restarts, reboots and foreign hands on the firewall: the kernel keeps refusing whom hauberk refuses.

These come last in a host's life, for they end with hauberk stepping back from a firewall somebody insists on emptying.
"""

import pathlib
import random
import re
import signal
import time

import pytest

import guard
import host
import kernel

SEED = 2
TOLD = r"(?i)table|rule ?set|firewall|nftables"     # what a sentence about a foreign change cannot do without


def write_failures(machine, address, count, first=0):
    """Lines as Postfix writes them, through the host's syslog; on a different account each, from number `first` on."""
    for n in range(first, first + count):
        machine.enter("logger", "-p", "mail.info", "-t", "postfix/smtpd[77]", f"warning: unknown[{address}]: "
                      f"SASL LOGIN authentication failed: (reason unavailable), sasl_username=user{n}")


@pytest.fixture(scope="session")
def banned(machine, outside):
    """An address under an all-ports ban by hand."""
    address = "203.0.113.51"
    machine.word("ban", address, "--for", "2h", "--why", "survival tests")
    assert outside.port(address, machine.host.address, 993, 0.5) == "timed out"
    return address


def test_each_role_is_confined(machine):
    """No role runs as root; only the enforcer has a capability, CAP_NET_ADMIN; all have seccomp and no new rights."""
    for role in guard.ROLES:
        text = pathlib.Path(f"/proc/{machine.pids()[role]}/status").read_text()
        status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        uids = set(status["Uid"].split())
        assert len(uids) == 1 and uids != {"0"}, f"{role} has uids {uids}"
        expected = 1 << 12 if role == "enforcer" else 0
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == expected, f"{role}: {status['CapEff']}"
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", role


def test_no_kill_opens_the_door(machine, outside, banned):
    """Roles and hauberkd killed at random: the banned address never connects, and the bans are the same afterwards."""
    before = sorted((ban["jail"], ban["address"], ban["scope"], ban["until"]) for ban in machine.bans())
    chance = random.Random(SEED)
    hammer = outside.hammer(banned, machine.host.address, 993, timeout=0.05)
    for _ in range(20):
        victim = chance.choice([*guard.ROLES, "hauberkd"])
        host.wait_for(lambda: victim in machine.pids(), 15, f"{victim} to be running")
        machine.signal(victim)
        time.sleep(chance.uniform(0, 0.2))      # the kill's distance from the last restart is what is varied here
    host.wait_for(lambda: set(guard.ROLES) <= set(machine.pids()), 15, "all roles")
    machine.caught_up()
    assert hammer.stop() == []
    after = {(ban["jail"], ban["address"], ban["scope"], ban["until"]) for ban in machine.bans()}
    assert set(before) <= after


def test_a_restart_opens_no_door(machine, outside, banned):
    """SIGTERM keeps the table, the next hauberkd takes over what is there."""
    hammer = outside.hammer(banned, machine.host.address, 993, timeout=0.05)
    machine.stop()
    machine.start()
    machine.caught_up()
    assert hammer.stop() == []
    assert machine.ban_of(banned)


def test_the_lines_of_a_down_time_count(machine, outside):
    """What is logged while hauberkd is down is counted when it is back, once."""
    machine.stop()
    write_failures(machine.host, "203.0.113.52", 3)
    machine.start()
    assert machine.watch.wait("203.0.113.52", 15), "the lines were not counted"
    assert outside.port("203.0.113.52", machine.host.address, 465, 0.5) == "timed out"


def test_a_rotation_between_failures_loses_none(machine):
    """Two failures, Debian's own logrotate, one failure: three."""
    write_failures(machine.host, "203.0.113.53", 2)
    machine.caught_up()
    assert machine.scopes("203.0.113.53") == set()
    machine.host.enter("logrotate", "-f", "/etc/logrotate.d/rsyslog")
    assert machine.host.path("/var/log/mail.log.1").exists()
    write_failures(machine.host, "203.0.113.53", 1)
    assert machine.watch.wait("203.0.113.53", 15), "the rotation cost a failure"


def test_a_pause_opens_the_door_for_its_time(machine, outside, banned):
    """`hauberk pause` is the way out for an owner in trouble; the bans come back by themselves."""
    machine.word("pause", "3s")
    host.wait_for(lambda: outside.port(banned, machine.host.address, 993) == "open", 3, "the open door")
    host.wait_for(lambda: machine.scopes(banned) == {"all"}, 15, "the bans to come back")
    assert outside.port(banned, machine.host.address, 993, 0.5) == "timed out"


def test_a_reboot_keeps_the_bans(machine, outside, banned):
    """Ready means that stored bans are in the kernel: an empty one at first, as after a real reboot."""
    machine.stop()
    machine.host.stop()
    machine.host.boot()
    machine.host.enter("nft", "flush", "ruleset")       # the namespace outlives the container, a real rule set does not
    machine.start()
    assert machine.scopes(banned) == {"all"}
    assert outside.port(banned, machine.host.address, 993, 0.5) == "timed out"


def test_ctrl_c_lifts_everything(machine, outside, banned):
    """SIGINT takes the table away; a later start brings the bans back."""
    machine.signal("hauberkd", signal.SIGINT)
    host.wait_for(lambda: kernel.table(machine.host) is None, 10, "the table to go")
    assert outside.port(banned, machine.host.address, 993) == "open"
    machine.start()
    assert machine.scopes(banned) == {"all"}


def test_a_flushed_rule_set_is_restored_and_told(machine, outside, banned):
    """Another program empties the firewall: the bans are back within a second, and the owner is told."""
    written = len(machine.journal())
    machine.host.unit("nft", "flush", "ruleset")
    began = time.time()
    host.wait_for(lambda: machine.scopes(banned) == {"all"}, 10, "the table to come back")
    guard.measured(f"{machine.host.release}: table restored {time.time() - began:.2f} s after nft flush ruleset "
                   "(seen by looking, so a little less)")
    assert outside.port(banned, machine.host.address, 993, 0.5) == "timed out"
    host.wait_for(lambda: re.search(TOLD, machine.told_since(written)), 5, "a word in the journal")
    assert all(ban["enforced"] for ban in machine.bans())


def test_a_second_flush_within_a_minute_is_respected_and_told(machine, outside, banned):
    """Twice is a person's will: hauberk waits, says so, and does not claim to enforce."""
    written = len(machine.journal())
    machine.host.unit("nft", "flush", "ruleset")
    host.wait_for(lambda: re.search(TOLD, machine.told_since(written)), 5, "a word in the journal")
    host.wait_for(lambda: not any(ban["enforced"] for ban in machine.bans()), 5, "enforced to be no")
    until = time.time() + 3                     # thrice the time in which the first flush had to be repaired
    while time.time() < until:
        assert machine.scopes(banned) == set()
        time.sleep(0.25)
    assert outside.port(banned, machine.host.address, 993) == "open"
