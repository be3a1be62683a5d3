"""The first start: what the logs say of the last day is shown before anybody is banned."""
import datetime
import gzip
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

from ban_test import BUILD, CONFIGURATION, attack
from world import World, wait_for


def stamp(hours_ago):
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours_ago)
    return at.isoformat(timespec="microseconds")


def ssh(hours_ago, text, pid=100):
    return f"{stamp(hours_ago)} mx sshd[{pid}]: {text}\n"


def write_past(world):
    with open(world.folder / "log" / "auth.log", "w") as log:
        for i in range(6):  # two days ago: too long
            log.write(ssh(50 - i / 100, f"Failed password for root from 203.0.113.77 port {i} ssh2", i))
        log.write(ssh(30, "Accepted password for alice from 198.51.100.7 port 9 ssh2", 9))
        for i in range(6):
            log.write(ssh(12 - i / 100, f"Failed password for root from 203.0.113.5 port {i} ssh2", 10 + i))
        for i in range(6):  # a guess that was right: no user of ours
            log.write(ssh(11 - i / 100, f"Failed password for bob from 203.0.113.6 port {i} ssh2", 30 + i))
        log.write(ssh(10.9, "Accepted password for bob from 203.0.113.6 port 9 ssh2", 39))
        for i in range(6):  # alice tries root's account: a stranger's mistake, an own user's address
            log.write(ssh(10 - i / 100, f"Failed password for root from 198.51.100.7 port {i} ssh2", 20 + i))


def make_world(text="", past=True):
    world = World(BUILD)
    world.configure(CONFIGURATION.format(folder=world.folder) + text)
    if past:
        write_past(world)
    return world


def imap(hours_ago, text):
    return f"{stamp(hours_ago)} mx dovecot: {text}\n"


LOGIN = ("imap-login: Login: user=<alice@example.org>, method=PLAIN, rip={}, lip=192.0.2.1, mpid=7, TLS, "
         "session=<PnfQ0MBgUr0KYwAC>")


def put(path, hours_ago, lines, is_whole=True):
    """A log as logrotate left it so long ago."""
    data = "".join(lines).encode()
    if path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data if is_whole else data[:len(data) // 2])
    at = time.time() - hours_ago * 3600
    os.utime(path, (at, at))


def write_rotated_past(world):
    log = world.folder / "log"
    day = 24
    noise = [imap(40 * day - i / 100, LOGIN.format("198.51.100.40")) for i in range(3)]
    put(log / "mail.log.4.gz", 35 * day, noise)  # too old to be opened
    put(log / "mail.log.3.gz", 19 * day, [imap(20 * day, LOGIN.format("198.51.100.20"))])
    put(log / "mail.log.2.gz", 8 * day, [imap(9 * day, LOGIN.format(f"198.51.100.{100 + i % 90}")) for i in range(2000)],
        is_whole=False)
    put(log / "mail.log.1", day, [imap(30, LOGIN.format("198.51.100.30"))])
    put(log / "mail.log", 0, [imap(1, LOGIN.format("198.51.100.1"))])
    put(log / "auth.log.1", 4, [ssh(5 - i / 100, f"Failed password for root from 203.0.113.5 port {i} ssh2", i)
                                for i in range(6)])
    put(log / "auth.log", 0, [ssh(1, "Server listening on 0.0.0.0 port 22.")])


def page_of(world):
    return json.loads(world.hauberk("status", "--first", "--json", check=True).stdout)


def test_the_first_page_tells_of_yesterday_and_bans_nobody():
    with make_world() as world:
        world.start()
        page = page_of(world)
        assert page["would_have_banned"] == 3 and page["known_addresses"] == 2, page
        assert page["own_users"] == [{"address": "198.51.100.7", "jail": "sshd"}], page
        assert not page["observing"] and page["bouncers"] == []
        assert world.bans() == []
        said = world.hauberk("status", "--first").stdout
        assert "would have given 3 bans, 1 of your own users" in said, said
        assert "recidive        active\n" in said, said
        assert not [line for line in said.splitlines() if line != line.rstrip()], said
        assert said.splitlines()[0] in world.log_path.read_text()
        trusted = world.hauberk("trusted").stdout
        assert "198.51.100.7" in trusted and "your own user" in trusted, trusted
        attack(world, "203.0.113.5")
        attack(world, "198.51.100.7")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        # The page is of the first start only.
        world.stop()
        world.start()
        assert page_of(world) == page
        assert world.log_path.read_text().count("hauberk's first look") == 1


def test_who_tried_many_accounts_is_not_trusted_for_one():
    with make_world(past=False) as world:
        with open(world.folder / "log" / "auth.log", "w") as log:
            for i in range(6):
                log.write(ssh(9 - i / 100, f"Failed password for user{i} from 203.0.113.5 port {i} ssh2", i))
            log.write(ssh(8, "Accepted password for alice from 203.0.113.5 port 9 ssh2", 9))
        world.start()
        page = page_of(world)
        assert page["would_have_banned"] == 1 and page["own_users"] == [], page
        assert "203.0.113.5" not in world.hauberk("trusted").stdout
        assert "had tried many accounts" in world.log_path.read_text()


def test_a_first_start_that_was_killed_goes_on_as_one():
    with make_world(past=False) as world:
        world.start()
        world.stop()
        path = world.folder / "state" / "hauberk.db"
        owner = path.stat()
        with sqlite3.connect(path) as db:  # as if it had ended before its page
            assert db.execute("DELETE FROM fact WHERE name = 'first'").rowcount == 1
            assert db.execute("SELECT count(*) FROM position").fetchone()[0] > 0
        db.close()
        for name in path.parent.glob("hauberk.db*"):
            os.chown(name, owner.st_uid, owner.st_gid)
        world.start()
        page_of(world)
        assert world.log_path.read_text().count("hauberk's first look") == 2


def test_a_first_start_that_was_killed_enforces_nothing_before_its_page():
    """A ban of those minutes is stored; whom it hits may be an own user whose login is not read yet."""
    with make_world(past=False) as world:
        world.start()
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        world.stop(signal.SIGINT)
        path = world.folder / "state" / "hauberk.db"
        owner = path.stat()
        with sqlite3.connect(path) as db:  # as if it had ended before its page, with logs to look back into
            assert db.execute("DELETE FROM fact WHERE name = 'first'").rowcount == 1
            db.execute("UPDATE position SET mark = mark + 1000000, resume = done")
            columns = [row[1] for row in db.execute("PRAGMA table_info(ban)")]
            ban = dict(zip(columns, db.execute("SELECT * FROM ban").fetchone()))
            for i in range(50000):  # so many that they are loaded in slices
                ban["address"] = bytes(10) + b"\xff\xff\xc6\x33" + i.to_bytes(2, "big")
                db.execute(f"INSERT INTO ban VALUES ({', '.join('?' * len(ban))})", list(ban.values()))
        db.close()
        for name in path.parent.glob("hauberk.db*"):
            os.chown(name, owner.st_uid, owner.st_gid)
        world.start(wait=False)
        said = wait_for(lambda: (now := world.status()) and not now["loading"] and now, 40, "all to be loaded")
        assert said["past_read"] < 100 and not said["effective"], said
        assert not world.elements("ssh_4"), len(world.elements("ssh_4"))


def test_the_first_start_looks_into_rotated_logs():
    with make_world(past=False) as world:
        write_rotated_past(world)
        world.start()
        page = page_of(world)
        assert page["would_have_banned"] == 1 and page["own_users"] == [], page
        assert world.bans() == []
        for address in ("198.51.100.20", "198.51.100.30", "198.51.100.1"):
            assert "logged in" in world.hauberk("why", address).stdout, address
        assert "logged in" not in world.hauberk("why", "198.51.100.40").stdout
        said = world.log_path.read_text()
        assert "mail.log.2.gz cannot be read to its end (it is damaged)" in said, said
        # The past has counted nothing: the first failure of now is the first.
        attack(world, "203.0.113.5", 2)
        attack(world, "203.0.113.9")
        world.wait_for_bans({("sshd", "203.0.113.9")})
        # And is read once.
        world.stop()
        before = world.log_path.stat().st_size
        world.start()
        said = world.log_path.read_text()[before:]
        assert "mail.log" not in said and "first start" not in said, said
        sources = {s["path"].rsplit("/", 1)[1]: s for s in world.status()["sources"]}
        for name in ("mail.log", "auth.log"):
            assert sources[name]["lines"] == 0 and sources[name]["lost"] == 0, sources[name]


def test_a_long_past_shows_how_far_it_is():
    with make_world(past=False) as world:
        lines = imap(30, LOGIN.format("198.51.100.30")) * 400 + imap(30, "a line of no interest " * 9) * 100
        put(world.folder / "log" / "mail.log.1", 24, [lines] * 800)
        put(world.folder / "log" / "mail.log", 0, [imap(1, LOGIN.format("198.51.100.1"))])
        began = time.monotonic()
        world.start()
        took = time.monotonic() - began
        told = [int(n) for n in re.findall(r"reading the past: (\d+) %", world.log_path.read_text())]
        assert took < 4 or told, "never told"
        assert told == sorted(told) and all(0 <= n < 100 for n in told), told
        return f"{took:.0f} s, told at {told} %"


def test_a_host_without_a_past_has_a_page_too():
    with make_world(past=False) as world:
        world.start()
        page = page_of(world)
        assert page["would_have_banned"] == 0 and page["own_users"] == []
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})


def test_beside_another_bouncer_it_observes_unless_told_otherwise():
    with make_world(past=False) as world:
        program = world.folder / "fail2ban-server"
        shutil.copy("/usr/bin/sleep", program)
        other = subprocess.Popen([program, "600"])
        world.stack.callback(lambda: (other.kill(), other.wait()))
        wait_for(lambda: open(f"/proc/{other.pid}/comm").read().strip() == "fail2ban-server", 5, "its name")
        world.start()
        assert "fail2ban bans here, too" in world.log_path.read_text()
        status = world.status()
        assert status["observing"] and "another program" in status["why_not"], status
        assert page_of(world)["bouncers"] == ["fail2ban"]
        world.stop()
        # Decided once: it does not begin to ban because the other one is down for a moment.
        other.kill()
        other.wait()
        world.start()
        status = world.status()
        assert status["observing"] and "It is gone: write observe = no" in status["why_not"], status
        attack(world, "203.0.113.5")
        wait_for(lambda: world.bans(), 10, "the ban that would be")
        assert world.elements("ssh_4") is None
        world.stop()
        world.configure(CONFIGURATION.format(folder=world.folder) + "[hauberk]\nobserve = no\n")
        world.start()
        assert not world.status()["observing"]
        world.wait_for_bans({("sshd", "203.0.113.5")})
        world.stop()
        # An answer settles it, also when it is taken out again.
        world.configure(CONFIGURATION.format(folder=world.folder))
        world.start()
        assert not world.status()["observing"]


def test_another_bouncer_that_comes_later_does_not_end_the_guard():
    with make_world(past=False) as world:
        world.start()
        world.stop()
        program = world.folder / "fail2ban-server"
        shutil.copy("/usr/bin/sleep", program)
        other = subprocess.Popen([program, "600"])
        world.stack.callback(lambda: (other.kill(), other.wait()))
        wait_for(lambda: open(f"/proc/{other.pid}/comm").read().strip() == "fail2ban-server", 5, "its name")
        world.start()
        assert not world.status()["observing"]
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
