"""Many stored bans: a start answers from its first moment, and all of them can be listed."""
import json
import os
import pathlib
import sqlite3
import subprocess
import time

from kill_test import CONFIGURATION
from world import World, wait_for

BUILD = pathlib.Path(os.environ["HAUBERK_RELEASE"])
COUNT = 300_000


def store_bans(folder, count):
    """As if that many addresses had been banned an hour ago for a week."""
    now = int(time.time() * 1e6)
    database = sqlite3.connect(folder / "state" / "hauberk.db")
    database.executemany(
        "INSERT INTO ban VALUES ('sshd',?,32,?,'ssh',?,?,3,0,0,0,"
        "'3 wrong SSH passwords in 40 s; the limit is 3 in 10 m (jail sshd)')",
        ((b"\0" * 10 + b"\xff\xff" + bytes((100 + i // 2**16 % 64, i // 256 % 256, i % 256, 7 + i // 2**22)),
          i + 1, now - 3600 * 10**6, now + (7 * 86400 + i % 86400) * 10**6) for i in range(count)))
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def make_world():
    world = World(BUILD)
    world.configure(CONFIGURATION.format(folder=world.folder))
    for name in ("auth", "mail"):
        (world.folder / "log" / f"{name}.log").touch()
    world.start()
    return world


def test_many_stored_bans_are_loaded_between_questions_and_listed():
    with make_world() as world:
        world.stop()
        store_bans(world.folder, COUNT)
        began = time.monotonic()
        world.start(wait=False)
        status = wait_for(world.status, 30, "an answer")
        assert status["loading"] and not status["effective"] and "loading" in status["why_not"], status
        answered = time.monotonic() - began
        # What needs to know all the bans waits for them, and is then right.
        unban = world.hauberk("unban", "100.0.0.7")
        assert "may come in again" in unban.stdout, unban
        wait_for(world.is_ready, 60, "hauberkd to be ready")
        ready = time.monotonic() - began
        status = world.status()
        assert not status["loading"] and status["bans"] == status["enforced"] == COUNT - 1, status
        bans = world.bans()
        assert len(bans) == COUNT - 1 and all(ban["enforced"] for ban in bans)
        assert len({ban["address"] for ban in bans}) == COUNT - 1
        # Somebody who asks and never reads costs nobody anything.
        silent = subprocess.Popen(["ip", "netns", "exec", world.guard, str(world.build / "src" / "hauberk"),
                                   *world.folders, "bans"], stdout=subprocess.PIPE)
        lines = world.hauberk("bans").stdout.count("\n")
        assert lines == COUNT - 1, lines
        silent.kill()
        silent.wait()
        log = world.log_path.read_text()
        assert "does not read its answers" not in log, log
        return f"{COUNT} bans: first answer after {answered:.2f} s, ready after {ready:.1f} s"


def test_a_network_in_one_that_lasts_longer_is_told_as_enforced():
    with make_world() as world:
        for address, length in (("203.0.113.0/24", "2h"), ("203.0.113.64/26", "1h"), ("203.0.113.70", "10m")):
            assert world.hauberk("ban", address, "--for", length).returncode == 0
        wait_for(lambda: len(b := world.bans()) == 3 and all(ban["enforced"] for ban in b), 10, world.bans)
        assert "not in the kernel" not in world.hauberk("bans").stdout
        assert "203.0.113.0/24" in world.nft("list", "set", "inet", "hauberk", "all_4_nets")


def test_thousands_of_networks_are_there_after_a_restart():
    with make_world() as world:
        world.stop()
        now = int(time.time() * 1e6)
        database = sqlite3.connect(world.folder / "state" / "hauberk.db")
        database.executemany(
            "INSERT INTO ban VALUES ('by-hand',?,?,?,'all',?,?,0,0,0,0,'test')",
            ((b"\0" * 10 + b"\xff\xff" + bytes((100, i // 64, i % 64 * 4, 0)), 23 - i % 2, i + 1, now,
              now + (3600 + i) * 10**6) for i in range(4000)))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        began = time.monotonic()
        world.start()
        ready = time.monotonic() - began
        status = json.loads(world.hauberk("status", "--json").stdout)
        assert status["wanted"] == status["enforced"] > 0 and status["effective"], status
        return f"4000 networks: ready after {ready:.1f} s"
