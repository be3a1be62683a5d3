"""`hauberk selftest`: one made-up failure goes through log, match, decision and kernel, and leaves
nothing behind."""
import contextlib
import json
import os
import signal
import sqlite3

from ban_test import attack, make_world
from world import wait_for

STEPS = ("began_us", "written_us", "matched_us", "decided_us", "kernel_us")


def selftest(world, exit_code=0):
    answer = world.hauberk("selftest", "--json")
    assert answer.returncode == exit_code, answer
    return json.loads(answer.stdout) if answer.stdout else None


def is_clean(world, address):
    """No trace of it in the kernel's set, the list of bans or the database."""
    wait_for(lambda: world.elements("selftest_4") == set(), 5, "the element to leave the kernel")
    assert world.bans() == []
    wait_for(lambda: all(s["committed"] == s["position"] for s in world.status()["sources"]), 10, "commits")
    needle = b"\0\0\xff\xff" + bytes(int(part) for part in address.split(".") if part)
    with contextlib.closing(sqlite3.connect(f"file:{world.folder}/state/hauberk.db?mode=ro", uri=True)) as db:
        for table, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = db.execute(f"SELECT * FROM {table}").fetchall()
            assert not any(needle in value for row in rows for value in row if isinstance(value, bytes)), (table, rows)
            assert not any("selftest" in str(row) for row in rows), (table, rows)


def test_every_step_tells_its_time_and_nothing_stays():
    with make_world() as world:
        world.start()
        result = selftest(world)
        times = [result[step] for step in STEPS]
        # The guard may be done before who wrote the line comes to look at the clock.
        began, written, *steps = times
        assert began <= written and [began, *steps] == sorted([began, *steps]), result
        assert steps[-1] - began < 5_000_000, result
        assert result["effective"] and result["why_not"] is None
        paths = {s["path"]: s["state"] for s in result["sources"]}
        assert paths[f"{world.folder}/log/auth.log"] == "reading", paths
        log = world.folder / "run" / "selftest.log"
        assert log.stat().st_uid == 0 and log.stat().st_mode & 0o777 == 0o600
        assert log.read_text().count("\n") == 1 and result["address"] in log.read_text()
        is_clean(world, result["address"])
        status = world.status()
        assert all(j["jail"] != "selftest" and j["bans"] == 0 for j in status["jails"])
        assert "selftest" not in world.hauberk("why", result["address"]).stdout
        # The element comes and goes in a set by which no rule refuses.
        chain = world.nft("list", "chain", "inet", "hauberk", "guard")
        assert "@ssh_4" in chain and "selftest" not in chain, chain
        # It is an element all the same: made by the same order, seen from outside.
        said = world.hauberk("selftest").stdout
        for step in ("line written", "read and matched", "decided", "in the kernel"):
            assert f"  {step} " in said, said
        assert "Bans are in force." in said and " 2 read" in said, said


def test_it_says_what_would_not_be_enforced():
    with make_world() as world:
        world.start("--observe")
        result = selftest(world, 3)
        assert result["decided_us"] and result["kernel_us"] is None and "observing" in result["why_not"], result
        world.stop()
        world.start()
        world.hauberk("pause", "1h", check=True)
        answer = world.hauberk("selftest")
        assert answer.returncode == 3 and "paused" in answer.stdout, answer
        world.hauberk("pause", "--end", check=True)
        is_clean(world, selftest(world)["address"])


def test_a_step_that_does_not_come_is_named():
    with make_world() as world:
        world.start()
        for role, missing in (("sensor", "matched"), ("enforcer", "kernel")):
            pid = world.pids()[role]
            os.kill(pid, signal.SIGSTOP)
            try:
                answer = world.hauberk("selftest")
            finally:
                os.kill(pid, signal.SIGCONT)
            assert answer.returncode == 1 and missing in answer.stderr and "did not come" in answer.stdout, answer
            is_clean(world, "192.0.2.")
        selftest(world)


def test_a_line_nobody_waits_for_bans_nobody():
    with make_world() as world:
        world.start()
        first = selftest(world)
        log = world.folder / "run" / "selftest.log"
        line = log.read_text()
        with open(log, "a") as more:
            more.write(line * 1000)
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        assert world.elements("selftest_4") == set()
        # The log is begun anew when it has grown, and read on.
        assert log.stat().st_size > 64 << 10
        second = selftest(world)
        assert log.stat().st_size < 1000 and first["address"] not in world.elements("all_4")
        assert second["kernel_us"]
        assert sum(s["lost"] for s in world.status()["sources"]) == 0


def test_where_nothing_can_be_decided():
    with make_world("[hauberk]\nadmin = 192.0.2.0/24\n") as world:
        assert "no hauberkd answers" in world.hauberk("selftest").stderr
        world.start()
        answer = world.hauberk("selftest")
        assert answer.returncode == 1 and "exempt" in answer.stderr, answer
