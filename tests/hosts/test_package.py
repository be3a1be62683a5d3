"""The Debian package on a mail server of its release: installed, upgraded under attack, stopped, rebooted, removed.

The machine has what a mail server has and nothing of hauberk's; the two packages lie in /packages (trees.py). One
address is banned by hand at the start, and while whatever must keep bans happens it tries to connect, all the time.
The tests of this file are one story, in this order.
"""

import contextlib
import os
import pathlib
import re
import signal
import stat
import time

import pytest

import guard
import host
import kernel
import test_survival
import trees

ADDRESS, PORT = "203.0.113.81", 993
USERS = {"decider": "hauberk", "sensor": "hauberk-sensor", "enforcer": "hauberk-enforcer"}


class Packaged(guard.Guard):
    """hauberkd as the package's unit."""

    unit = "hauberk.service"

    def start(self, *_):
        self.systemctl("start")

    def stop(self):
        self.systemctl("stop")

    def systemctl(self, verb, unit=None, check=True):
        """systemctl VERB, with the time a person would give it."""
        return self.host.enter("systemctl", verb, unit or self.unit, check=check, timeout=90)

    def show(self, name):
        """A property of the unit."""
        return self.host.enter("systemctl", "show", "--value", "-p", name, self.unit).stdout.strip()

    def install(self, which):
        """dpkg -i, as `apt install ./hauberk.deb` does when everything needed is there."""
        done = self.host.enter("dpkg", "-i", f"{trees.PACKAGES}/{which}.deb", timeout=120,
                               env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def before():
    """What was on each machine before the package, by release."""
    return {}


@pytest.fixture(scope="module")
def packaged(world, release, before):
    """The machine, the older package installed."""
    made = host.Host(world, release, name=f"package-{release}", layers=[trees.path_of(release, "package")])
    made.path("/usr/sbin/policy-rc.d").unlink()         # a real machine's packages do start their services
    made.boot()
    guarded = Packaged(made)
    before[release] = remains(made)
    began = time.monotonic()
    guarded.install("old")
    guard.measured(f"{release}: the package was installed and guarded after {time.monotonic() - began:.1f} s")
    yield guarded
    guarded.watch.close()
    made.close()


@pytest.fixture(scope="module")
def refused(packaged, outside):
    """An address under a ban by hand."""
    packaged.word("ban", ADDRESS, "--for", "2h", "--why", "package tests")
    assert outside.port(ADDRESS, packaged.host.address, PORT, 0.5) == "timed out"
    return ADDRESS


@contextlib.contextmanager
def no_way_in(outside, packaged, address):
    """The banned address tries all the while, and never gets through."""
    hammer = outside.hammer(address, packaged.host.address, PORT, timeout=0.05)
    try:
        yield
        host.wait_for(lambda: hammer.attempts > 3)
    finally:
        successes = hammer.stop()
    assert successes == [], f"{len(successes)} of {hammer.attempts} connections: {packaged.journal()[-3000:]}"
    assert packaged.scopes(address) == {"all"}


def remains(machine):
    """Everything that carries hauberk's name: files, units, accounts, the kernel's table."""
    found = machine.enter("find", "/", "-xdev", "(", "-path", "/proc", "-o", "-path", "/sys", "-o", "-path", "/packages",
                          "-o", "-path", "/var/log/journal", ")", "-prune", "-o", "-iname", "*hauberk*", "-print")
    run = machine.enter("find", "/run", "-iname", "*hauberk*", check=False)
    units = machine.enter("systemctl", "list-units", "--all", "--plain", "--no-legend", "*hauberk*").stdout.splitlines()
    accounts = [line for name in ("passwd", "group") for line in machine.read(f"/etc/{name}").splitlines()
                if line.startswith("hauberk")]
    table = ["table inet hauberk"] if kernel.table(machine) is not None else []
    return {"files": set(found.stdout.split() + run.stdout.split()), "units": {unit for unit, loaded, *_ in map(str.split, units) if loaded != "not-found"},
            "accounts": {line.split(":")[0] for line in accounts}, "table": set(table)}


# --- installed -------------------------------------------------------------------------------------------------------

def test_lintian_has_nothing_to_say(packaged):
    assert packaged.host.read(f"{trees.PACKAGES}/lintian") == ""


def test_installing_begins_to_guard(packaged):
    """Started and enabled, in force, each process a user of its own, the state closed to others."""
    assert packaged.show("ActiveState") == "active" and packaged.show("UnitFileState") == "enabled"
    host.wait_for(lambda: packaged.status()["effective"], 10, "the end of the first look at the logs")
    for role, user in USERS.items():
        uid = int(packaged.host.enter("id", "-u", user).stdout)
        status = pathlib.Path(f"/proc/{packaged.pids()[role]}/status").read_text()
        assert re.search(rf"^Uid:\t{uid}\t{uid}\t", status, re.M), f"{role} is not {user}"
    state = packaged.host.path("/var/lib/hauberk").stat()
    owner = int(packaged.host.enter("id", "-u", "hauberk").stdout)
    assert (state.st_uid, stat.S_IMODE(state.st_mode)) == (owner, 0o700)
    assert packaged.host.enter("dpkg", "--verify", "hauberk").stdout == ""


def test_the_unit_is_sound_and_confined(packaged):
    """systemd has no complaint; its own figure of how exposed the service is, 10 being worst, is told."""
    verified = packaged.host.enter("systemd-analyze", "verify", "--man=no", "hauberk.service", "nftables.service", check=False)
    assert "hauberk" not in verified.stderr and "nftables" not in verified.stderr, verified.stderr
    figure = packaged.host.enter("systemd-analyze", "security", "--no-pager", "hauberk.service", check=False).stdout
    overall = re.search(r"Overall exposure level for hauberk.service: ([\d.]+)", figure)
    assert overall, figure
    guard.measured(f"{packaged.host.release}: systemd-analyze security hauberk.service: {overall[1]}")
    assert float(overall[1]) < 5, figure


def test_it_is_up_before_anybody_is_served(packaged):
    """Ordered before the network and the services, after those who empty the rule set."""
    first, then = packaged.show("Before").split(), packaged.show("After").split()
    assert {"network-pre.target", "ssh.service", "postfix.service", "dovecot.service"} <= set(first)
    assert {"nftables.service", "ufw.service"} <= set(then)


def test_a_wrong_password_too_many_is_a_ban(packaged, outside):
    """The sandboxed unit reads the logs of its release and shuts the door."""
    test_survival.write_failures(packaged.host, "203.0.113.82", 3)
    assert packaged.watch.wait("203.0.113.82", 15), packaged.journal()[-3000:]
    assert outside.port("203.0.113.82", packaged.host.address, 465, 0.5) == "timed out"


# --- what keeps the bans ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("verb", ["restart", "reload", "try-restart"])
def test_it_keeps_the_bans(packaged, outside, refused, verb):
    """restart, reload: no gap."""
    with no_way_in(outside, packaged, refused):
        packaged.systemctl(verb)
        host.wait_for(lambda: packaged.status()["effective"], 10)


def test_a_reload_of_a_wrong_configuration_fails_and_changes_nothing(packaged, outside, refused):
    """systemctl reload says so; what is in force stays."""
    conf = "/etc/hauberk/hauberk.conf"
    good = packaged.host.read(conf)
    packaged.host.write(conf, good + "\n[sshd]\nmaxrety = 3\n")
    try:
        with no_way_in(outside, packaged, refused):
            assert packaged.systemctl("reload", check=False).returncode != 0
            assert packaged.status()["effective"] is True
    finally:
        packaged.host.write(conf, good)
    assert "maxrety" in packaged.journal()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_killed_hauberkd_is_back_and_keeps_the_bans(packaged, outside, refused, number):
    """From outside, without systemd being asked: nobody wanted a stop."""
    old = packaged.pids()["hauberkd"]
    with no_way_in(outside, packaged, refused):
        packaged.signal("hauberkd", number)
        host.wait_for(lambda: packaged.pids().get("hauberkd", old) != old, 10, "the next hauberkd")
        host.wait_for(lambda: packaged.show("ActiveState") == "active", 10, "it to be ready")


def test_an_upgrade_while_attacked_opens_no_door(packaged, outside, refused):
    """The bans hold from the first to the last moment, what is logged meanwhile counts, and the new one runs."""
    old = packaged.pids()["hauberkd"]
    with no_way_in(outside, packaged, refused):
        test_survival.write_failures(packaged.host, "203.0.113.83", 2)
        packaged.install("new")
        test_survival.write_failures(packaged.host, "203.0.113.83", 1, first=2)
        assert packaged.watch.wait("203.0.113.83", 15), f"lines were lost: {packaged.journal()[-3000:]}"
    version = packaged.host.enter("dpkg-query", "-W", "-f", "${Version}", "hauberk").stdout
    assert version == trees.NEW_VERSION and packaged.pids()["hauberkd"] != old
    assert len(packaged.ban_of("203.0.113.83")) == 1


def test_nftables_service_takes_nothing_away_for_long(packaged, outside, refused):
    """It empties the rule set when it starts and, twice, when it is restarted: ours is back, and goes on."""
    for verb in ("start", "restart", "reload", "restart"):
        began = time.monotonic()
        packaged.systemctl(verb, "nftables.service")
        host.wait_for(lambda: packaged.scopes(refused) == {"all"} and packaged.status().get("effective"), 5,
                      f"the bans after {verb} of nftables.service")
        guard.measured(f"{packaged.host.release}: bans back {time.monotonic() - began:.2f} s after systemctl {verb} "
                       "nftables was given")
        assert outside.port(refused, packaged.host.address, PORT, 0.3) == "timed out"


def test_a_reboot_opens_no_door(packaged, outside, refused):
    """Not going down, and not coming up with an empty kernel and an nftables.service that empties it again."""
    machine = packaged.host
    packaged.systemctl("stop", "nftables.service")      # which empties the rule set on the way down, too
    host.wait_for(lambda: packaged.scopes(refused) == {"all"}, 5, "the bans to be back")
    with no_way_in(outside, packaged, refused):
        machine.stop()
        assert packaged.scopes(refused) == {"all"}, "the bans were lifted on the way down"
        wanted = machine.path("/etc/systemd/system/sysinit.target.wants/nftables.service")
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.symlink_to("/usr/lib/systemd/system/nftables.service")
        # A container's kernel forgets nothing: what a reboot would empty is emptied here, by the host's own nft.
        machine.netns.run("chroot", machine.root, "/usr/sbin/nft", "flush", "ruleset")
        assert kernel.table(machine) is None
        machine.boot()
    assert packaged.show("ActiveState") == "active"
    assert machine.enter("systemctl", "is-active", "nftables.service", check=False).stdout.strip() == "active"


# --- what lifts them -------------------------------------------------------------------------------------------------

def test_stop_lifts_the_bans_and_start_brings_them_back(packaged, outside, refused):
    """`systemctl stop` is a person's word."""
    packaged.systemctl("stop")
    assert kernel.table(packaged.host) is None
    assert outside.port(refused, packaged.host.address, PORT) == "open"
    packaged.systemctl("start")
    assert packaged.scopes(refused) == {"all"}
    assert outside.port(refused, packaged.host.address, PORT, 0.5) == "timed out"


def test_stop_lifts_them_when_hauberkd_hangs(packaged, outside, refused):
    """A hauberkd that answers nothing is killed in the end, and a stop is a stop."""
    dropin = "/run/systemd/system/hauberk.service.d/impatient.conf"
    packaged.host.enter("mkdir", "-p", os.path.dirname(dropin))
    packaged.host.enter("sh", "-c", f"printf '[Service]\\nTimeoutStopSec=1\\n' >{dropin}; systemctl daemon-reload")
    packaged.signal("hauberkd", signal.SIGSTOP)
    packaged.systemctl("stop", check=False)
    assert kernel.table(packaged.host) is None
    packaged.host.enter("rm", "-r", os.path.dirname(dropin))
    packaged.host.enter("systemctl", "daemon-reload")
    packaged.systemctl("start")
    assert packaged.scopes(refused) == {"all"}


# --- where it cannot work --------------------------------------------------------------------------------------------

def test_installing_where_nftables_cannot_be_used_succeeds_and_says_why(packaged):
    """A container without CAP_NET_ADMIN: the package installs, the unit fails soon and its journal has the reason."""
    packaged.host.write("/etc/systemd/system/hauberk.service.d/container.conf",
                        "[Service]\nCapabilityBoundingSet=~CAP_NET_ADMIN\n")
    written = len(packaged.journal())
    began = time.monotonic()
    packaged.install("new")
    assert time.monotonic() - began < 20
    host.wait_for(lambda: packaged.show("ActiveState") in ("failed", "activating"), 5)
    host.wait_for(lambda: re.search(r"CAP_NET_ADMIN|not permitted", packaged.told_since(written)), 10,
                  "the reason in the journal")
    packaged.host.enter("rm", "-r", "/etc/systemd/system/hauberk.service.d")
    packaged.host.enter("systemctl", "daemon-reload")
    packaged.systemctl("restart")
    assert packaged.status()["effective"] is True


# --- removed ---------------------------------------------------------------------------------------------------------

def test_remove_lifts_and_leaves_configuration_and_state(packaged, outside, refused):
    """apt remove: no table, no unit, no program; what the owner and hauberk wrote stays, and that it was enabled."""
    packaged.host.enter("dpkg", "--remove", "hauberk", timeout=90)
    left = remains(packaged.host)
    assert outside.port(refused, packaged.host.address, PORT) == "open"
    assert left["table"] == left["units"] == set()
    assert {"/etc/hauberk/hauberk.conf", "/var/lib/hauberk/hauberk.db"} <= left["files"]
    assert all(path.startswith(("/etc/hauberk", "/var/lib/hauberk", "/var/lib/dpkg/info/hauberk.", "/etc/systemd/system/",
                                "/var/lib/systemd/deb-systemd-helper", "/var/lib/systemd/timers"))
               for path in left["files"]), left["files"]


def test_installed_again_it_remembers(packaged, outside, refused):
    packaged.install("new")
    assert packaged.scopes(refused) == {"all"}
    assert outside.port(refused, packaged.host.address, PORT, 0.5) == "timed out"


def test_purge_leaves_nothing_but_the_users(packaged, before):
    """As before it was installed; the accounts stay, as Debian has it."""
    packaged.host.enter("dpkg", "--purge", "hauberk", timeout=90)
    left = remains(packaged.host)
    assert left.pop("accounts") == set(USERS.values())
    before[packaged.host.release].pop("accounts")
    assert left == before[packaged.host.release] and not any(left.values()), left
    assert packaged.host.enter("systemctl", "is-failed", "hauberk.service", check=False).stdout.strip() != "failed"
