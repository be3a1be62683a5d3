"""Who logs in by which service, and in clear text: from the log to `hauberk logins`, to the audit, and out of
the database when it is forgotten."""
import json
import sqlite3
import subprocess
import time

from ban_test import BUILD, CONFIGURATION
from first_test import put, ssh, stamp
from world import World, wait_for

DAY = 24


def dovecot(hours_ago, account, protocol="imap", how=", TLS", words="Login", address="198.51.100.7"):
    return (f"{stamp(hours_ago)} mx dovecot: {protocol}-login: {words}: user=<{account}>, method=PLAIN, rip={address}, "
            f"lip=192.0.2.1, mpid=7{how}, session=<PnfQ0MBgUr0KYwAC>\n")


def submission(hours_ago, account):
    return (f"{stamp(hours_ago)} mx postfix/submission/smtpd[7]: 3F2A41: client=x.example.org[198.51.100.7], "
            f"sasl_method=PLAIN, sasl_username={account}\n")


def make_world():
    world = World(BUILD)
    world.configure(CONFIGURATION.format(folder=world.folder))
    log = world.folder / "log"
    put(log / "mail.log.1", 9 * DAY, [dovecot(10 * DAY, "bob@example.org", "pop3", "", "Logged in"),
                                      dovecot(29 * DAY, "bob@example.org", "pop3", "", "Logged in")])
    put(log / "mail.log", 0, [dovecot(5, "alice@example.org"), dovecot(4, "alice@example.org", how=""),
                              dovecot(3, "webmail", how=", secured", address="127.0.0.1"),
                              submission(2, "alice@example.org")])
    put(log / "auth.log", 0, [ssh(6, "Accepted password for root from 198.51.100.7 port 9 ssh2")])
    return world


def logins(world, *account):
    return json.loads(world.hauberk("logins", *account, "--json", check=True).stdout)


def short(rows):
    return [(one["account"], one["service"], one["logins"], one["in_clear"]) for one in rows]


def readings(world):
    """Of the audit, those that hauberkd was asked for."""
    said = world.hauberk("audit", "--service", "logins", "--readings").stdout
    return {tuple(line.split("\t")[:2]): line.split("\t")[2] for line in said.splitlines() if "logins." in line}


REMEMBERED = [("alice@example.org", "postfix-sasl", 1, None), ("webmail", "imap", 1, 0), ("alice@example.org", "imap", 2, 1),
              ("root", "sshd", 1, 0), ("bob@example.org", "pop3", 2, 2)]


def test_logins_are_remembered_and_forgotten():
    with make_world() as world:
        world.start()
        rows = logins(world)
        assert short(rows) == REMEMBERED, rows
        bob = rows[-1]
        assert bob["last"] == bob["last_in_clear"] and bob["first"] < bob["last"], bob
        # One that happens now; a wrong password is no login.
        with open(world.folder / "log" / "mail.log", "a") as log:
            log.write(dovecot(0, "alice@example.org", how="", words="Logged in"))
            log.write(f"{stamp(0)} mx dovecot: imap-login: Disconnected: Aborted login by logging out (auth failed, 1 attempts "
                      "in 2 secs): user=<carol>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.1, TLS, session=<x>\n")
        wait_for(lambda: short(logins(world, "alice@example.org"))[0] == ("alice@example.org", "imap", 3, 2),
                 what=lambda: f"alice's login, not {logins(world)}")
        said = world.hauberk("logins").stdout.splitlines()
        assert said[0].split() == ["account", "service", "last", "first", "logins", "in", "clear"], said
        assert said[1].split()[:2] == ["alice@example.org", "imap"] and said[1].split()[-2:] == ["3", "2"], said
        assert said[2].endswith("not told"), said
        # A restart loses none and counts none twice.
        world.stop()
        world.start()
        assert short(logins(world, "alice@example.org")) == [("alice@example.org", "imap", 3, 2),
                                                            ("alice@example.org", "postfix-sasl", 1, None)]
        # Forgotten, it is in no file of the database.
        assert world.hauberk("forget", "Alice@example.org", check=True).returncode == 0
        assert world.hauberk("forget", "alice@example.org", check=True).returncode == 0
        assert short(logins(world)) == [one for one in REMEMBERED if one[0] != "alice@example.org"]
        assert "No login of alice@example.org is remembered" in world.hauberk("logins", "alice@example.org").stdout
        for path in (world.folder / "state").glob("hauberk.db*"):
            assert b"alice@example.org" not in path.read_bytes(), path


def test_the_audit_asks_for_logins():
    with make_world() as world:
        done = world.hauberk("audit", "--service", "logins", "--json")
        assert "no hauberkd answers" in json.loads(done.stdout)["skipped"][0]["reason"], done
        world.start()
        told = readings(world)
        today = {"alice@example.org": "0", "root": "0", "webmail": "0", "bob@example.org": "10"}
        assert {subject: value for (name, subject), value in told.items() if name == "logins.last"} == today, told
        assert told["logins.since", ""] == "29" and told["logins.service", "pop3"] == "10", told
        clear = {subject: value for (name, subject), value in told.items() if name == "logins.clear"}
        assert set(clear) == {"alice@example.org, imap", "bob@example.org, pop3"}, told
        assert clear["bob@example.org, pop3"].startswith("2 times, last 20"), told
        assert list(subject for name, subject in told if name == "logins.untold") == ["alice@example.org, postfix-sasl"]
        done = world.hauberk("audit", "--service", "logins", "--json")
        assert done.returncode == 0 and not json.loads(done.stdout)["findings"], done  # it has seen no year yet
        # A year later.
        world.stop()
        now = int(time.time())
        with sqlite3.connect(world.folder / "state" / "hauberk.db") as database:
            database.execute("INSERT INTO use VALUES ('unused', 'imap', 3, 0, 0, ?, ?, 0)",
                             ((now - 390 * 86400) * 10**6, (now - 380 * 86400) * 10**6))
        world.start()
        done = world.hauberk("audit", "--service", "logins", "--json")
        found = json.loads(done.stdout)["findings"]
        assert done.returncode == 3 and [one["id"] for one in found] == ["accounts-unused"], done
        assert found[0]["evidence"] == ["unused: last = 380"] and found[0]["usage"] is None, found


def test_strangers_may_not_ask_who_logs_in():
    with make_world() as world:
        world.start()
        program = world.programs_for_strangers() / "src" / "hauberk"
        asked = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", program, *world.folders, "logins"],
                               capture_output=True, text=True, check=False)
        assert asked.returncode == 1 and "group hauberk" in asked.stderr, asked
