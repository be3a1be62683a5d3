"""From a line to an element in the kernel, and back."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from kill_test import CONFIGURATION
from world import GUARD_ADDRESS, World, run, wait_for

BUILD = pathlib.Path(os.environ["HAUBERK_CHECK"])


def stamp():
    at = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06d}+00:00"


def ssh_failure(address, pid=4000, user="root"):
    return f"{stamp()} mx sshd[{pid}]: Failed password for {user} from {address} port 40022 ssh2\n"


def make_world(extra=""):
    world = World(BUILD)
    world.configure(CONFIGURATION.format(folder=world.folder) + extra)
    for name in ("auth", "mail"):
        (world.folder / "log" / f"{name}.log").touch()
    return world


def attack(world, address, times=3, **options):
    with open(world.folder / "log" / "auth.log", "a") as log:
        for i in range(times):
            log.write(ssh_failure(address, 4000 + i, **options))


def test_the_line_that_crosses_the_limit_bans():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.5", 2)
        attack(world, "203.0.113.6", 1)
        world.start_monitor = subprocess.Popen(
            ["ip", "netns", "exec", world.guard, "nft", "monitor", "elements"],
            stdout=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: any(j["failures"] == 3 for j in world.status()["jails"]), 10,
                     "three failures counted")
            times = []
            for i in range(20):
                address = f"203.0.113.{100 + i}"
                attack(world, address, 2)
                began = time.monotonic()
                attack(world, address, 1)
                while address not in world.start_monitor.stdout.readline():
                    pass
                times.append((time.monotonic() - began) * 1000)
        finally:
            world.start_monitor.kill()
            world.start_monitor.wait()
        assert world.elements("ssh_4") == {f"203.0.113.{100 + i}" for i in range(20)}
        times.sort()
        return f"line to element: median {times[10]:.1f} ms, worst {times[-1]:.1f} ms"


def test_a_banned_address_cannot_connect_and_unban_lets_it_in():
    with make_world() as world:
        world.add_attacker("203.0.113.7")
        world.add_attacker("203.0.113.8")
        world.listen(22)
        world.start()
        assert world.connects("203.0.113.7", 22)
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        assert not world.connects("203.0.113.7", 22)
        assert world.connects("203.0.113.8", 22)
        why = world.hauberk("why", "203.0.113.7", check=True).stdout
        assert "may not reach the SSH port" in why and "In the kernel: yes" in why
        assert why.count("wrong password") == 3 and "hauberk unban 203.0.113.7" in why
        packets = json.loads(world.hauberk("why", "203.0.113.7", "--json").stdout)
        assert packets["kernel"]["packets"] > 0, packets["kernel"]
        world.hauberk("unban", "203.0.113.7", check=True)
        wait_for(lambda: not world.elements("ssh_4"), 5, "the element to go")
        assert world.connects("203.0.113.7", 22)
        attack(world, "203.0.113.7", 2)
        wait_for(lambda: sum(j["failures"] for j in world.status()["jails"]) == 5, 5, "five failures")
        assert world.bans() == [], "its counts were to begin anew"


def test_orders_without_a_daemon():
    with make_world() as world:
        world.add_attacker("203.0.113.7")
        world.listen(22)
        world.start()
        attack(world, "203.0.113.7")
        attack(world, "203.0.113.9")
        world.wait_for_bans({("sshd", "203.0.113.7"), ("sshd", "203.0.113.9")})
        world.stop()
        assert not world.connects("203.0.113.7", 22), "SIGTERM keeps the bans"
        said = world.hauberk("unban", "203.0.113.7", check=True).stdout
        assert "No hauberkd runs" in said
        assert world.connects("203.0.113.7", 22)
        attack(world, "203.0.113.9", 1)
        world.hauberk("ban", "203.0.113.30", "--for", "1h", "--why", "by a test", check=True)
        assert world.elements("all_4") == {"203.0.113.30"}
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.9"), ("by-hand", "203.0.113.30")})
        assert world.connects("203.0.113.7", 22)
        wait_for(lambda: not (world.folder / "state" / "orders").exists(), 5, "the orders to be kept")
        world.stop()
        world.hauberk("unban", "--all", check=True)
        assert world.elements("ssh_4") is None, "the table is gone"
        world.start()
        assert world.bans() == []


def test_lines_written_before_an_unban_do_not_ban_again():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.stop()
        attack(world, "203.0.113.7", 5)
        world.hauberk("unban", "203.0.113.7", check=True)
        world.start()
        attack(world, "203.0.113.9")
        world.wait_for_bans({("sshd", "203.0.113.9")})


def test_who_asks_to_be_forgotten_is_gone_when_the_answer_comes():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7", 2, user="quagga")
        attack(world, "203.0.113.8", user="okapi")
        world.wait_for_bans({("sshd", "203.0.113.8")})
        assert "quagga" in world.hauberk("why", "203.0.113.7").stdout

        assert world.hauberk("forget", "quagga", check=True).stdout == "quagga is forgotten\n"
        assert "quagga" not in world.hauberk("why", "203.0.113.7").stdout
        world.hauberk("forget", "203.0.113.7", check=True)
        said = world.hauberk("forget", "203.0.113.8", check=True).stdout
        assert said == "203.0.113.8 is forgotten, but stays banned; to end that: hauberk unban 203.0.113.8\n"
        world.stop(signal.SIGKILL)                    # the answer came: it is durable
        for path in (world.folder / "state").glob("hauberk.db*"):
            for name in (b"quagga", b"okapi"):
                assert name not in path.read_bytes(), f"{name} in {path}"
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.8")})
        attack(world, "203.0.113.7", 1)               # the two failures before no longer count
        attack(world, "203.0.113.9")
        world.wait_for_bans({("sshd", "203.0.113.8"), ("sshd", "203.0.113.9")})


def test_sigint_lifts_and_sigterm_keeps():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.stop(signal.SIGTERM)
        assert world.elements("ssh_4") == {"203.0.113.7"}
        world.start()
        world.stop(signal.SIGINT)
        assert world.elements("ssh_4") is None
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.7")})


def test_a_flush_is_repaired_and_a_second_one_obeyed():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        began = time.monotonic()
        world.nft("flush", "ruleset")
        wait_for(lambda: world.elements("ssh_4") == {"203.0.113.7"}, 5, "the table to be back")
        took = time.monotonic() - began
        assert took < 1.0 or os.environ.get("HAUBERK_SLOW"), f"restored after {took:.2f} s"
        assert world.status()["effective"]
        world.nft("flush", "ruleset")
        status = wait_for(lambda: (s := world.status()) and s["waits_until"] and s, 5, "waiting")
        assert not status["effective"] and "twice" in status["why_not"]
        assert world.elements("ssh_4") is None
        assert not world.bans()[0]["enforced"] and world.bans()[0]["wanted"]
        return f"restored within {took * 1000:.0f} ms"


def test_a_foreign_element_change_is_repaired():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.nft("delete", "element", "inet", "hauberk", "ssh_4", "{ 203.0.113.7 }")
        wait_for(lambda: world.elements("ssh_4") == {"203.0.113.7"}, 5, "the element to be back")


def test_pause_holds_over_a_restart_and_ends():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.hauberk("pause", "1h", check=True)
        wait_for(lambda: world.elements("ssh_4") is None, 5, "the table to go")
        world.stop()
        world.start()
        assert world.elements("ssh_4") is None and not world.status()["effective"]
        world.hauberk("pause", "--end", check=True)
        world.wait_for_bans({("sshd", "203.0.113.7")})


def test_observing_bans_nobody():
    with make_world() as world:
        world.start("--observe")
        attack(world, "203.0.113.7")
        bans = wait_for(world.bans, 10, "a decision")
        assert not bans[0]["wanted"] and not bans[0]["enforced"]
        assert world.elements("ssh_4") is None
        assert world.status()["observing"]
        world.stop()
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.stop()
        world.start("--observe")
        wait_for(lambda: world.elements("ssh_4") is None, 5, "what was enforced before to go")


def test_exempt_addresses_are_never_banned():
    with make_world("[hauberk]\nadmin = 203.0.113.64/26\n[DEFAULT]\nignoreip = 203.0.113.9\n") as world:
        world.start()
        for address in ("203.0.113.70", "203.0.113.9", GUARD_ADDRESS, "127.0.0.1", "203.0.113.7"):
            attack(world, address, 6)
        world.wait_for_bans({("sshd", "203.0.113.7")})
        refused = world.hauberk("ban", "203.0.113.64/28")
        assert refused.returncode == 1 and "never banned" in refused.stderr
        assert world.hauberk("ban", GUARD_ADDRESS).returncode == 1
        assert world.hauberk("ban", "10.0.0.0/7").returncode == 1
        assert world.hauberk("ban", "nonsense").returncode == 2


def test_nets_by_hand_overlap():
    with make_world() as world:
        world.start()
        for prefix, length in (("198.51.100.0/24", "1h"), ("198.51.100.128/25", "2h"),
                               ("198.51.100.7", "1h"), ("2001:db8:1::/48", "1h"),
                               ("2001:db8:1:2::/64", "3h")):
            world.hauberk("ban", prefix, "--for", length, check=True)
        wait_for(lambda: all(b["enforced"] for b in world.bans() if b["prefix"] in (32, 64)), 5,
                 f"all in the kernel: {world.bans()}")
        listed = world.nft("list", "set", "inet", "hauberk", "all_4_nets")
        assert "198.51.100.0/25" in listed and "198.51.100.128/25" in listed, listed
        world.hauberk("unban", "198.51.100.0/24", check=True)
        wait_for(lambda: "198.51" not in world.nft("list", "table", "inet", "hauberk"), 5,
                 "all of it to go")


def test_two_hauberkds_do_not_fight():
    with make_world() as world:
        world.start()
        second = run("ip", "netns", "exec", world.guard, str(BUILD / "src" / "hauberkd"),
                     *world.folders, check=False, timeout=30)
        assert second.returncode == 1 and f"pid {world.daemon.pid}" in second.stderr, second.stderr
        assert world.status()["effective"]


def test_a_wrong_configuration_leaves_the_running_one():
    with make_world() as world:
        world.start()
        pids = world.pids()
        world.configure("[sshd]\nmaxrety = 4\n")
        answer = world.hauberk("reload")
        assert answer.returncode == 1 and "maxretry" in answer.stderr and "hauberk.conf:2" in answer.stderr
        assert world.pids() == pids
        world.configure(CONFIGURATION.format(folder=world.folder).replace("[sshd]\n", "[sshd]\nmaxretry = 5\n"))
        assert world.hauberk("reload").returncode == 0
        wait_for(lambda: world.pids().keys() == pids.keys() and world.pids() != pids and world.is_ready(),
                 10, "new roles")
        attack(world, "203.0.113.7", 4)
        attack(world, "203.0.113.8", 5)
        world.wait_for_bans({("sshd", "203.0.113.8")})


def test_a_jail_that_is_switched_off_bans_nobody():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        wait_for(lambda: source_is_committed(world), 5, "the commit")
        world.configure(CONFIGURATION.format(folder=world.folder).replace("[sshd]\n", "[sshd]\nenabled = no\n"))
        assert world.hauberk("reload").returncode == 0
        wait_for(lambda: world.elements("ssh_4") == set(), 10, "its elements to go")


def test_what_nobody_wants_is_taken_out():
    """An element in our sets of which nobody knows, as after a crash between order and commit."""
    with make_world() as world:
        world.start()
        world.stop()
        world.nft("add", "element", "inet", "hauberk", "ssh_4", "{ 203.0.113.99 timeout 1h }")
        world.start()
        assert "was not banned" in world.hauberk("unban", "203.0.113.99").stdout
        wait_for(lambda: world.elements("ssh_4") == set(), 5, "the element to go with an unban")
        world.stop()
        world.nft("add", "element", "inet", "hauberk", "ssh_4", "{ 203.0.113.98 timeout 1h }")
        world.start()
        wait_for(lambda: world.elements("ssh_4") == set(), 15, "the element to go by itself")


def test_a_log_that_appears_is_read_with_what_is_in_force():
    with make_world() as world:
        world.configure(f"[sshd]\nlogpath = {world.folder}/log/*.log\n[dovecot]\nenabled = no\n"
                        "[postfix-sasl]\nenabled = no\n")
        world.start()
        world.configure("[sshd]\nmaxrety = 4\n")
        with open(world.folder / "log" / "other.log", "w") as log:
            for i in range(3):
                log.write(ssh_failure("203.0.113.7", i))
        world.wait_for_bans({("sshd", "203.0.113.7")})
        assert "stays in force" in world.log_path.read_text()


def test_sigint_lifts_also_when_nothing_runs():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.configure("[sshd]\nmaxrety = 4\n")
        for copy in (world.folder / "run").glob("config-????????????????????????????????"):
            shutil.rmtree(copy)
        os.kill(world.pids()["sensor"], signal.SIGKILL)
        wait_for(lambda: "every 5000 ms" in world.resting(), 20, "hauberkd to rest")
        world.stop(signal.SIGINT)
        assert world.elements("ssh_4") is None


def test_hauberkd_asleep_blames_nobody():
    with make_world() as world:
        world.start()
        pids = world.pids()
        os.kill(world.daemon.pid, signal.SIGSTOP)
        time.sleep(11.5)  # longer than a role may be silent
        os.kill(world.daemon.pid, signal.SIGCONT)
        time.sleep(2.5)   # two pings
        assert world.pids() == pids


def source_is_committed(world):
    return all(s["committed"] == s["position"] for s in world.status()["sources"])
