"""What a person orders while no hauberkd runs: the kernel now, STATE/orders for the next one."""
import json
import os
import pathlib
import time

from ban_test import attack, make_world
from world import GUARD_ADDRESS, wait_for

ELSEWHERE = "198.51.100.0/24"
EXTRA = f"""ignoreip = {ELSEWHERE}
[hauberk]
admin = 203.0.113.200
"""  # of [postfix-sasl], the last section of the common configuration


def order(world, text):
    """What the command line would append."""
    path = world.folder / "state" / "orders"
    with open(path, "a") as orders:
        orders.write(text)
    owner = path.parent.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    path.chmod(0o600)


def now_us():
    return int(time.time() * 1e6)


def is_taken(world):
    state = world.folder / "state"
    return not any((state / name).exists() for name in ("orders", "orders.taken", "orders.more"))


def test_alone_a_ban_spares_whom_hauberkd_spares():
    with make_world(EXTRA) as world:
        world.start()
        wait_for(lambda: world.elements("exempt4"), 5, "the exempt set")
        world.stop()
        world.nft("add", "element", "inet", "hauberk", "exempt4", "{ 203.0.113.77 }")
        before = world.elements("exempt4")
        refused = {"203.0.113.200": "`admin`", "198.51.100.7": "`ignoreip`",
                   "198.51.0.0/16": "`ignoreip`", GUARD_ADDRESS: "never banned",
                   "203.0.113.77": "never banned"}
        for address, why in refused.items():
            said = world.hauberk("ban", address)
            assert said.returncode == 1 and why in said.stderr, (address, said)
        world.hauberk("ban", "203.0.113.30", check=True)
        assert world.elements("all_4") == {"203.0.113.30"}
        assert world.elements("exempt4") == before, "its exempt sets are complete"
        assert "198.51.100" not in str(before), "one jail's ignoreip is that jail's alone"


def test_by_hand_nobody_bans_what_a_jail_ignores():
    with make_world(EXTRA) as world:
        world.start()
        said = world.hauberk("ban", "198.51.100.7")
        assert said.returncode == 1 and "ignoreip" in said.stderr, said
        attack(world, "198.51.100.7")
        world.wait_for_bans({("sshd", "198.51.100.7")})


def test_a_ban_that_is_not_enforced_says_so():
    with make_world() as world:
        world.start()
        world.hauberk("pause", "1h", check=True)
        said = world.hauberk("ban", "203.0.113.30", check=True).stdout
        assert "noted" in said and "not enforced: paused until" in said, said
        assert "is banned" not in said
        world.stop()
        said = world.hauberk("ban", "203.0.113.31", check=True).stdout
        assert "noted" in said and "not enforced: paused until" in said, said
        assert world.elements("all_4") is None, "the pause holds without hauberkd too"
        world.start()
        assert {b["address"] for b in world.bans()} == {"203.0.113.30", "203.0.113.31"}
        world.hauberk("pause", "--end", check=True)
        world.wait_for_bans({("by-hand", "203.0.113.30"), ("by-hand", "203.0.113.31")})
    with make_world("[hauberk]\nobserve = yes\n") as world:
        world.start()
        said = world.hauberk("ban", "203.0.113.30", check=True).stdout
        assert "not enforced: observing" in said, said


def test_an_unknown_jail_is_an_error_without_hauberkd_too():
    with make_world() as world:
        world.start()
        said = world.hauberk("unban", "203.0.113.7", "--jail", "sshs")
        assert said.returncode == 2 and "did you mean 'sshd'" in said.stderr, said
        world.stop()
        said = world.hauberk("unban", "203.0.113.7", "--jail", "sshs")
        assert said.returncode == 2 and "did you mean 'sshd'" in said.stderr, said
        assert not (world.folder / "state" / "orders").exists()
        world.hauberk("unban", "203.0.113.7", "--jail", "sshd", check=True)


def test_orders_of_a_start_that_died_are_carried_out():
    """orders.taken and orders.more are what a start leaves that died before its commit."""
    with make_world() as world:
        world.start()
        world.stop()
        until = now_us() + 3600 * 10**6
        state = world.folder / "state"
        for name, address in (("orders.taken", "203.0.113.41"), ("orders.more", "203.0.113.42"),
                              ("orders", "203.0.113.43")):
            order(world, f"ban {now_us()} {address} {until} left behind\n")
            if name != "orders":
                (state / "orders").rename(state / name)
        world.start()
        world.wait_for_bans({("by-hand", f"203.0.113.4{i}") for i in (1, 2, 3)})
        wait_for(lambda: is_taken(world), 5, "the orders to be kept")


def test_of_too_many_orders_the_newest_are_carried_out():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        world.stop()
        until = now_us() + 3600 * 10**6
        order(world, f"ban {now_us()} 203.0.113.50 {until} the first of all\n")
        line = f"unban {now_us()} 198.51.100.1 \n"
        order(world, line * ((1 << 20) // len(line) + 10))
        order(world, f"ban {now_us()} 203.0.113.51 {until} nearly the last\n")
        world.hauberk("unban", "203.0.113.7", check=True)
        world.start()
        assert {b["address"] for b in world.bans()} == {"203.0.113.51"}
        aside = pathlib.Path(world.folder / "state" / "orders.left-out")
        wait_for(aside.exists, 5, "the file to be kept aside")
        assert "203.0.113.50" in aside.read_text() and is_taken(world)
        assert "orders.left-out" in world.log_path.read_text()


def test_an_order_given_while_hauberkd_starts_is_not_lost():
    with make_world() as world:
        world.start()
        for i in range(5):
            world.stop()
            world.start(wait=False)
            address = f"203.0.113.{60 + i}"
            world.hauberk("ban", address, check=True)
            wait_for(world.is_ready, 30, "hauberkd")
            found = {b["address"] for b in json.loads(world.hauberk("bans", "--json").stdout)}
            assert address in found, (address, found)
