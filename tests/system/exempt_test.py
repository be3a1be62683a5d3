"""Who is never banned: trusted by hand, and where administrators log in from."""
import json
import signal

from ban_test import attack, make_world, stamp
from world import wait_for


def login(world, address, user="root", method="publickey", pid=5000):
    with open(world.folder / "log" / "auth.log", "a") as log:
        log.write(f"{stamp()} mx sshd[{pid}]: Accepted {method} for {user} from {address} port 40022 ssh2"
                  + (": ED25519 SHA256:abc\n" if method == "publickey" else "\n"))


def trusted(world):
    return {row["address"]: row for row in json.loads(world.hauberk("trusted", "--json", check=True).stdout)}


def barrier(world, address):
    """Everything written before is read once this one is banned."""
    attack(world, address)
    wait_for(lambda: any(b["address"] == address and b["enforced"] for b in world.bans() or []), 10,
             f"{address} to be banned")


def test_trust_lifts_and_holds_until_untrust():
    with make_world() as world:
        world.add_attacker("203.0.113.7")
        world.listen(22)
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        assert not world.connects("203.0.113.7", 22)
        said = world.hauberk("trust", "203.0.113.7", "--for", "2h", "--why", "my\x1b[31m home", check=True).stdout
        assert "is trusted for 2 h" in said and "1 bans lifted" in said, said
        wait_for(lambda: not world.elements("ssh_4"), 5, "the element to go")
        assert "203.0.113.7" in world.elements("exempt4")
        assert world.connects("203.0.113.7", 22)
        attack(world, "203.0.113.7", 5)
        barrier(world, "203.0.113.90")
        assert {b["address"] for b in world.bans()} == {"203.0.113.90"}
        why = world.hauberk("why", "203.0.113.7", check=True).stdout
        assert "Never banned: it is trusted by hand until" in why and "home" in why, why
        assert "would be a ban of" in why and "\x1b" not in why, why
        # Durable, also against the death of everything.
        for number in (signal.SIGKILL, signal.SIGTERM):
            world.stop(number)
            world.start()
            assert trusted(world)["203.0.113.7"]["kind"] == "trusted"
            wait_for(lambda: "203.0.113.7" in (world.elements("exempt4") or ()), 5, "the exemption")
        world.hauberk("untrust", "203.0.113.7", check=True)
        wait_for(lambda: "203.0.113.7" not in world.elements("exempt4"), 5, "the exemption to go")
        assert trusted(world) == {}
        assert world.hauberk("untrust", "203.0.113.7").returncode == 1
        attack(world, "203.0.113.7", 2)
        attack(world, "203.0.113.7", 1)
        world.wait_for_bans({("sshd", "203.0.113.90"), ("sshd", "203.0.113.7")})
        assert world.hauberk("trust", "0.0.0.0/0").returncode == 1
        said = world.hauberk("trust", "localhost", "--why", "ourselves", check=True).stdout
        assert trusted(world)["127.0.0.1"]["why"] == "localhost: ourselves"


def test_trust_without_a_daemon():
    with make_world() as world:
        world.add_attacker("203.0.113.7")
        world.listen(22)
        world.start()
        attack(world, "203.0.113.7")
        attack(world, "203.0.113.8")
        world.wait_for_bans({("sshd", "203.0.113.7"), ("sshd", "203.0.113.8")})
        world.stop()
        before = world.elements("exempt4")
        assert "No hauberkd runs" in world.hauberk("trust", "203.0.113.7", check=True).stdout
        assert world.connects("203.0.113.7", 22)
        assert world.elements("exempt4") == before | {"203.0.113.7"}
        assert world.hauberk("ban", "203.0.113.7").returncode == 1
        world.hauberk("unban", "--false-positive", "203.0.113.8", check=True)
        world.start()
        assert world.bans() == []
        assert set(trusted(world)) == {"203.0.113.7", "203.0.113.8"}
        assert trusted(world)["203.0.113.8"]["why"] == "false positive"
        assert {"203.0.113.7", "203.0.113.8"} <= world.elements("exempt4")
        world.stop(signal.SIGKILL)
        world.start()
        wait_for(lambda: {"203.0.113.7", "203.0.113.8"} <= world.elements("exempt4"), 5, "the trusted in the kernel")
        world.stop()
        world.nft("delete", "table", "inet", "hauberk")
        said = world.hauberk("trust", "203.0.113.9", check=True).stdout
        assert "no table of ours" in said and "exempt in the kernel" not in said, said
        said = world.hauberk("unban", "203.0.113.9", check=True).stdout
        assert "203.0.113.9 was not in the kernel" in said, said
        assert world.elements("exempt4") is None
        world.hauberk("untrust", "203.0.113.7", check=True)
        world.start()
        assert set(trusted(world)) == {"203.0.113.8", "203.0.113.9"}


def test_a_false_positive_is_noted_with_its_ban():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        said = world.hauberk("unban", "--false-positive", "203.0.113.7", check=True).stdout
        assert "trusted for 30 d" in said, said
        why = world.hauberk("why", "203.0.113.7", check=True).stdout
        assert "false positive: 3 wrong SSH passwords" in why, why
        assert world.hauberk("unban", "--false-positive", "--all").returncode == 2


def test_a_false_positive_needs_a_ban():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.7", 2)
        for address in ("203.0.113.7", "203.0.113.8"):
            said = world.hauberk("unban", "--false-positive", address)
            assert said.returncode == 1 and "there is no ban to call wrong" in said.stderr, said
            assert "false positive" not in world.hauberk("why", address, check=True).stdout
        assert trusted(world) == {}
        attack(world, "203.0.113.7", 1)
        world.wait_for_bans({("sshd", "203.0.113.7")})  # the count was left alone
        # One that was lifted by then was wrong all the same.
        world.hauberk("unban", "203.0.113.7", check=True)
        said = world.hauberk("unban", "--false-positive", "203.0.113.7", check=True).stdout
        assert "(0 lifted) and is trusted for 30 d" in said, said
        why = world.hauberk("why", "203.0.113.7", check=True).stdout
        assert "false positive: a ban of jail sshd, which had ended" in why, why
        world.hauberk("ban", "203.0.113.9", "--for", "1s", check=True)
        wait_for(lambda: "203.0.113.9" not in {b["address"] for b in world.bans()}, 5, "the ban to end")
        world.stop()
        for address in ("203.0.113.9", "203.0.113.10"):
            world.hauberk("unban", "--false-positive", address, check=True)
        world.start()
        assert set(trusted(world)) == {"203.0.113.7", "203.0.113.9"}
        assert "203.0.113.10 was called a false positive while hauberkd was down" in world.log_path.read_text()
        # What the kernel alone knew of must not come back when its lines are read again.
        attack(world, "203.0.113.11", 2)
        world.stop()
        attack(world, "203.0.113.11", 1)
        world.hauberk("unban", "--false-positive", "203.0.113.11", check=True)
        world.start()
        attack(world, "203.0.113.12")
        world.wait_for_bans({("sshd", "203.0.113.12")})
        assert set(trusted(world)) == {"203.0.113.7", "203.0.113.9"}


def test_an_administrators_key_spares_its_address():
    with make_world() as world:
        world.start()
        login(world, "203.0.113.7")
        login(world, "203.0.113.8", method="password")
        login(world, "203.0.113.9", user="nobody")
        for i in range(3):
            attack(world, f"203.0.113.{7 + i}", 4)
        barrier(world, "203.0.113.90")
        assert {b["address"] for b in world.bans()} == {"203.0.113.8", "203.0.113.9", "203.0.113.90"}
        assert "203.0.113.7" in world.elements("exempt4")
        row = trusted(world)["203.0.113.7"]
        assert row["kind"] == "ssh-key" and row["why"] == "root", row
        assert "203.0.113.7" in world.hauberk("status").stdout
        why = world.hauberk("why", "203.0.113.7", check=True).stdout
        assert "where root logged in by SSH with a key" in why and "would be a ban of" in why, why
        said = world.hauberk("ban", "203.0.113.7")
        assert said.returncode == 1, said
        world.stop(signal.SIGKILL)
        world.start()
        assert "203.0.113.7" in trusted(world)
        # What was banned before is lifted by the login, also a network that holds the address.
        world.hauberk("ban", "203.0.113.64/26", check=True)
        wait_for(lambda: any(b["address"] == "203.0.113.64" and b["enforced"] for b in world.bans()), 5, "the network")
        login(world, "203.0.113.77")
        wait_for(lambda: "203.0.113.64/26" not in world.nft("list", "set", "inet", "hauberk", "all_4_nets"), 5,
                 "the network's ban to be lifted")
        assert "1 bans lifted" in world.hauberk("why", "203.0.113.77", check=True).stdout


def test_why_names_who_else_refuses():
    """Sets of other tables that a rule refuses by, hash and interval; not those it accepts by."""
    with make_world() as world:
        world.start()
        world.nft("add", "table", "inet", "f2b-table")
        for name, kind, flags, elements in (
                ("addr-set-sshd", "ipv4_addr", "", "203.0.113.7, 203.0.113.8"),
                ("a-list", "ipv4_addr", "flags interval;", "198.51.100.0/24, 203.0.113.0-203.0.113.9"),
                ("allowed", "ipv4_addr", "", "203.0.113.7"), ("unused", "ipv4_addr", "", "203.0.113.7"),
                ("six", "ipv6_addr", "flags interval;", "2001:db8::/32")):
            world.nft("add", "set", "inet", "f2b-table", name, f"{{ type {kind}; {flags} elements = {{ {elements} }}; }}")
        world.nft("add", "chain", "inet", "f2b-table", "c", "{ type filter hook input priority -1; }")
        for rule in ("tcp dport 22 ip saddr @addr-set-sshd reject", "ip saddr @a-list drop", "ip saddr @allowed accept",
                     "ip6 saddr @six drop", "ip saddr != @allowed tcp dport 9 drop"):
            world.nft("add", "rule", "inet", "f2b-table", "c", *rule.split())
        for address, wanted in (("203.0.113.7", {"addr-set-sshd", "a-list"}), ("203.0.113.9", {"a-list"}),
                                ("203.0.113.10", set()), ("198.51.100.255", {"a-list"}), ("198.51.101.0", set()),
                                ("2001:db8:5::1", {"six"}), ("2001:db9::1", set())):
            told = json.loads(world.hauberk("why", address, "--json", check=True).stdout)["also_refused_by"]
            assert {text.split()[1] for text in told if "f2b-table" in text} == wanted, (address, told)
        said = world.hauberk("why", "203.0.113.7", check=True).stdout
        assert "Also refused by: set addr-set-sshd of the nftables table f2b-table" in said, said
        assert "not banned" in said
