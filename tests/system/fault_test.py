"""Disks that hang or are full, and lines that kill: bans go on, and the owner is told."""
import os
import sqlite3
import time

from ban_test import attack, ssh_failure
from faulty import make_world, replace_role
from world import wait_for


def time_to_ban(world, address):
    attack(world, address, 2)
    began = time.monotonic()
    attack(world, address, 1)
    wait_for(lambda: address in (world.elements("ssh_4") or ()), 10, f"{address} in the kernel")
    return (time.monotonic() - began) * 1000


def test_a_role_that_cannot_start_ends_hauberkd_before_it_was_ever_ready():
    """Whoever started it is told by the exit, not left waiting; once it has guarded it tries for ever."""
    with make_world() as world:
        replace_role(world, "enforcer", "#!/bin/sh\necho no rights >&2\nexit 1\n")
        world.start(wait=False)
        assert world.daemon.wait(20) == 1
        said = world.log_path.read_text()
        assert "the enforcer does not start, see above; giving up" in said, said
        assert "no rights" in said, said


def test_a_disk_that_hangs_delays_no_ban():
    with make_world("slow_disk") as world:
        world.start()
        time_to_ban(world, "203.0.113.9")  # the first sight of a log waits for the disk, as it must
        hang = world.folder / "state" / "hang"
        hang.touch()
        until = time.monotonic() + 5
        times = []
        number = 0
        while time.monotonic() < until:
            number += 1
            times.append(time_to_ban(world, f"198.18.{number // 250}.{number % 250 + 1}"))
        committed = max(s["committed"] for s in world.status()["sources"])
        hang.unlink()
        wait_for(lambda: max(s["committed"] for s in world.status()["sources"]) > committed, 10, "the commit")
        world.stop()
        stored = sqlite3.connect(f"file:{world.folder}/state/hauberk.db?mode=ro", uri=True)
        assert stored.execute("SELECT count(*) FROM ban").fetchone()[0] == len(times) + 1
        stored.close()
        times.sort()
        return f"{len(times)} bans while it hung, worst {times[-1]:.0f} ms to the kernel"


def test_a_full_disk_delays_no_ban_and_is_told():
    with make_world() as world:
        state = world.folder / "state"
        state.mkdir()
        world.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                         f'mount -t tmpfs -o size=3m none {state} && exec "$0" "$@"']
        world.start()
        time_to_ban(world, "203.0.113.9")
        fill = f"/proc/{world.daemon.pid}/root{state}/fill"
        with open(fill, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        times = [time_to_ban(world, f"203.0.113.{n}") for n in range(10, 20)]
        status = wait_for(lambda: (s := world.status()) and s["store_error"] and s, 10, "the error to be told")
        assert "full" in status["store_error"], status["store_error"]
        said = world.hauberk("ban", "198.51.100.3")
        assert "could not be stored" in said.stderr + said.stdout, said
        assert "203.0.113.10 may not reach" in world.hauberk("why", "203.0.113.10").stdout
        os.unlink(fill)
        wait_for(lambda: world.status()["store_error"] is None, 10, "storing again")
        wait_for(lambda: all(s["committed"] == s["position"] for s in world.status()["sources"]), 10, "commits")
        why = world.hauberk("why", "203.0.113.10").stdout
        assert why.count("wrong password") == 3, why
        return f"worst {max(times):.0f} ms to the kernel"


def test_a_line_that_kills_twice_is_left_out_and_kept_aside():
    with make_world("poison") as world:
        world.start()
        attack(world, "203.0.113.5", 2)
        with open(world.folder / "log" / "auth.log", "a") as log:
            log.write(ssh_failure("203.0.113.66", 9, user="POISON"))
        attack(world, "203.0.113.5", 1)
        attack(world, "203.0.113.6", 3)
        world.wait_for_bans({("sshd", "203.0.113.5"), ("sshd", "203.0.113.6")})
        status = world.status()
        sensor = next(r for r in status["roles"] if r["role"] == "sensor")
        assert sensor["restarts"] == 2 and "SEGV" in sensor["last_death"], sensor
        assert sum(s["skipped"] for s in status["sources"]) == 1
        wait_for(lambda: all(s["committed"] == s["position"] for s in world.status()["sources"]), 10, "commits")
        stored = sqlite3.connect(f"file:{world.folder}/state/hauberk.db?mode=ro", uri=True)
        kept = [row[0] for row in stored.execute("SELECT text FROM history WHERE kind = 'poison'")]
        stored.close()
        assert any("POISON" in text for text in kept), kept
