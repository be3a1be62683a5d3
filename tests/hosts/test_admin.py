"""Administrators are never banned: real logins by SSH, seen by logind and in sshd's own log."""

import concurrent.futures
import json

import pytest

import attack
import host

USERS = host.users()
HELD, KEYED, STRANGER, USER = "203.0.113.241", "203.0.113.242", "203.0.113.243", "203.0.113.244"


@pytest.fixture(scope="module")
def key(world, machine):
    """The key that opens alice, and admin, a member of sudo."""
    path = world.folder / f"admin-key-{machine.host.name}"
    path.write_text(machine.host.read("/etc/test-keys/right"))
    path.chmod(0o600)
    return path


def fail_everywhere(outside, machine, source):
    """Enough wrong passwords for a ban by the sshd and the dovecot jail."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(outside.ssh, source, machine.host.address, "bob", "wrong") for _ in range(3)]
        jobs += [pool.submit(outside.imap, source, machine.host.address, "bob", "wrong") for _ in range(4)]
        for job in jobs:
            job.exception()         # the last ones may meet the ban already


def trusted(machine):
    """The rows of `hauberk trusted`, by address."""
    return {row["address"]: row for row in json.loads(machine.word("trusted", "--json").stdout)}


def test_where_an_administrator_is_logged_in_nobody_is_banned(machine, outside):
    """A password login: only logind knows of it, and only while it lasts."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        session = pool.submit(outside.ssh, HELD, machine.host.address, "admin", USERS["admin"],
                              command="while ! test -e leave; do sleep 0.2; done")
        try:
            row = host.wait_for(lambda: trusted(machine).get(HELD), 20, "the session to be seen")
            assert row["kind"] == "ssh-session" and row["why"] == "admin", row
            fail_everywhere(outside, machine, HELD)
            machine.caught_up()
            assert machine.ban_of(HELD) == [] and machine.scopes(HELD) == set()
            assert outside.port(HELD, machine.host.address, 993) == "open"
            why = machine.word("why", HELD).stdout
            assert "where admin is logged in by SSH" in why and "would be a ban of" in why, why
        finally:
            machine.host.write("/home/admin/leave", "")
            assert session.result()[0] == attack.ACCEPTED
            machine.host.path("/home/admin/leave").unlink()


def test_an_administrators_key_spares_for_30_days(machine, outside, key):
    assert outside.ssh(KEYED, machine.host.address, "admin", keys=[key])[0] == attack.ACCEPTED
    row = host.wait_for(lambda: next((row for row in json.loads(machine.word("trusted", "--json").stdout)
                                      if row["address"] == KEYED and row["kind"] == "ssh-key"), None), 20, "the key")
    assert row["why"] == "admin", row
    fail_everywhere(outside, machine, KEYED)
    machine.caught_up()
    assert machine.ban_of(KEYED) == []
    machine.stop()
    machine.start()
    assert trusted(machine)[KEYED]["kind"] == "ssh-key"
    said = machine.word("ban", KEYED, check=False)
    assert said.returncode == 1 and "never banned" in said.stderr, said


def test_who_is_no_administrator_is_banned(machine, outside, key):
    """A user's key, and connections that log nobody in, spare nothing."""
    assert outside.ssh(USER, machine.host.address, "alice", keys=[key])[0] == attack.ACCEPTED
    for source in (USER, STRANGER):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for job in [pool.submit(outside.ssh, source, machine.host.address, "admin", "wrong") for _ in range(4)]:
                job.exception()
        assert machine.watch.wait(source, 20), f"no ban of {source}"
    assert not {USER, STRANGER} & set(trusted(machine))
