"""The owner is told, by a command of his own: what it gets, how often, and what a command may not be."""
import json
import os

from ban_test import attack, make_world, ssh_failure, stamp
from world import wait_for

COMMAND = """#!/usr/bin/python3
import os, sys
with open({out!r} + ".who", "w") as out:
    print(os.getuid(), os.getgid(), os.getgroups(), sorted(os.environ), sorted(os.listdir("/proc/self/fd")),
          os.getsid(0) == os.getpid(), [line.split()[1] for line in open("/proc/self/status")
                                        if line.startswith(("CapEff", "CapBnd"))], file=out)
with open({out!r}, "a") as out:  # at once: a mail is there or not
    out.write("== " + os.environ["HAUBERK_SUBJECT"] + "\\n" + sys.stdin.read())
"""


def make_telling_world(settings="", script=COMMAND):
    world = make_world()
    told = world.folder / "told"
    told.mkdir()
    told.chmod(0o777)
    command = world.folder / "tell-me"
    command.write_text(script.format(out=str(told / "mails")))
    command.chmod(0o755)
    (world.folder / "conf" / "hauberk.local").write_text(
        f"[hauberk]\nnotify =\nnotify-command = {command}\nnotify-daily = off\n{settings}")
    return world, told / "mails"


def success(address, user="alice", pid=5000):
    return f"{stamp()} mx sshd[{pid}]: Accepted password for {user} from {address} port 40022 ssh2\n"


def guess_right(world, address, user="alice", failures=6):
    """A stranger's password is right at last. His ban does not come in between: every limit is high."""
    with open(world.folder / "log" / "auth.log", "a") as log:
        for i in range(failures):
            log.write(ssh_failure(address, 4100 + i, user))
        log.write(success(address, user))


PATIENT = "\n[sshd]\nmaxretry = 100\nhumane = yes\nslow.maxretry = 0\n"


def mails(path):
    return path.read_text().split("== ")[1:] if path.exists() else []


def test_a_suspicious_login_is_told_once():
    world, path = make_telling_world(PATIENT)
    with world:
        world.start()
        guess_right(world, "203.0.113.9")
        wait_for(lambda: mails(path), 20, "the command to be run")
        told, = mails(path)
        host = told.split(":")[0]
        assert told.startswith(f"{host}: suspicious login from 203.0.113.9\n"
                               "alice logged in from 203.0.113.9, after "), told
        assert told.endswith("\n    hauberk why 203.0.113.9\n"), told
        uid, gid, rest = path.with_name("mails.who").read_text().split(" ", 2)
        assert int(uid) >= 64900 and int(gid) >= 64900, "not root"
        assert rest.startswith("[] "), f"no other groups: {rest}"
        assert "['HAUBERK_SUBJECT', 'LANG', 'LC_CTYPE', 'PATH']" in rest \
            or "['HAUBERK_SUBJECT', 'LANG', 'PATH']" in rest, rest
        assert "['0', '1', '2', '3', '4']" in rest, f"no descriptor of ours: {rest}"
        assert " True " in rest and rest.count("0000000000000000") == 2, rest
        world.daemon.kill()
        world.daemon.wait()
        world.start()
        with open(world.folder / "log" / "auth.log", "a") as log:
            log.write(success("203.0.113.9"))
        wait_for(lambda: jail(world, "sshd")["successes"] >= 1, 10, "the second login")
        guess_right(world, "203.0.113.10", "bob")
        wait_for(lambda: len(mails(path)) == 2, 20, "the second mail")
        assert "bob logged in from 203.0.113.10" in mails(path)[1]
        rows = json.loads(world.hauberk("notify", "--json", check=True).stdout)
        assert [(row["kind"], row["state"], row["about"]) for row in rows] == \
            [("suspicious", "sent", "alice"), ("suspicious", "sent", "bob")], rows
        said = world.hauberk("notify", check=True).stdout.splitlines()
        assert len(said) == 2 and "alice logged in from 203.0.113.9" in said[0], said
        world.hauberk("forget", "203.0.113.9", check=True)
        assert "203.0.113.9," not in world.hauberk("notify", check=True).stdout


def source(world):
    return next(s for s in world.status()["sources"] if s["path"].endswith("auth.log"))


def jail(world, name):
    return next(j for j in world.status()["jails"] if j["jail"] == name)


def test_so_many_a_day_and_no_more():
    world, path = make_telling_world("notify-most = 2\n" + PATIENT)
    with world:
        world.start()
        for i in range(5):
            guess_right(world, f"203.0.113.{20 + i}", f"user{i}")
        states = wait_for(lambda: (rows := json.loads(world.hauberk("notify", "--json").stdout))
                          and len(rows) == 5 and [row["state"] for row in rows], 20, "five notices")
        assert states == ["sent", "sent", "waiting", "waiting", "waiting"], states
        wait_for(lambda: len(mails(path)) == 2, 20, "two mails")
        assert json.loads(world.hauberk("notify", "--test", "--json", check=True).stdout)[0]["sent"]
        assert len(mails(path)) == 3, "and the test, which is not counted"


def test_a_known_address_that_is_banned_is_told():
    world, path = make_telling_world()
    with world:
        world.start()
        with open(world.folder / "log" / "auth.log", "a") as log:
            log.write(success("203.0.113.30"))
        attack(world, "203.0.113.30", user="carol")
        world.wait_for_bans({("sshd", "203.0.113.30")})
        wait_for(lambda: mails(path), 20, "the mail")
        told, = mails(path)
        assert "203.0.113.30 is banned, from where users log in" in told, told
        assert told.endswith("\n    hauberk unban --false-positive 203.0.113.30\n"), told
        assert "carol" not in told and "root" not in told, "nobody of that name ever logged in"


def test_a_test_says_what_came_of_it():
    world, path = make_telling_world()
    with world:
        command = world.folder / "tell-me"
        world.start()
        answer = world.hauberk("notify", "--test", check=True)
        assert answer.stdout == f"command {command}: ended well\n", answer.stdout
        assert len(mails(path)) == 1 and ": a test\n" in mails(path)[0], mails(path)
        for change, says in ((lambda: command.chmod(0o757), "not root's alone to write"),
                             (lambda: command.chmod(0o755) or os.chown(command, 64999, 0), "not root's alone"),
                             (lambda: os.chown(command, 0, 0) or world.folder.chmod(0o777), "lies in a folder"),
                             (lambda: world.folder.chmod(0o755) or command.write_text("#!/bin/sh\nexit 75\n"),
                              "exit 75"),
                             (command.unlink, "is not there")):
            change()
            answer = world.hauberk("notify", "--test")
            assert answer.returncode == 1 and says in answer.stdout, (says, answer.stdout, answer.stderr)
        status = world.hauberk("status")
        assert "! The owner cannot be told by notify-command: the notify-command is not there" in status.stdout
        assert len(mails(path)) == 1, "none of these was run"


def test_what_it_starts_ends_with_it():
    """A command that leaves a child behind, and reads nothing of its mail."""
    world, path = make_telling_world(script="#!/bin/sh\nsleep 1000 &\necho $! >{out}\n")
    with world:
        world.start()
        world.hauberk("notify", "--test", check=True)
        left = int(path.read_text())
        wait_for(lambda: not os.path.exists(f"/proc/{left}") or
                 "\nState:\tZ" in open(f"/proc/{left}/status").read(), 10, "what it left to end")


def test_lines_that_look_like_failures_and_match_nothing_are_counted():
    world, _ = make_telling_world()
    with world:
        world.start()
        with open(world.folder / "log" / "auth.log", "a") as log:
            for i in range(12):
                log.write(f"{stamp()} mx sshd-auth[{i}]: Wrong password: user=x host=203.0.113.50\n")
            log.write(f"{stamp()} mx backup[1]: wrong password for the archive\n")
        wait_for(lambda: jail(world, "sshd")["unmatched"] >= 12, 20, "twelve lines")
        world.stop()
        world.start()
        assert jail(world, "sshd")["unmatched"] >= 1, "kept over a restart"
        attack(world, "203.0.113.51", 1)
        wait_for(lambda: jail(world, "sshd")["unmatched"] == 0, 20, "a match")


def test_lost_bytes_are_told():
    world, path = make_telling_world()
    with world:
        world.start()
        log = world.folder / "log" / "auth.log"
        log.write_text("".join(f"{stamp()} mx CRON[{i}]: a line of no interest\n" for i in range(50)))
        attack(world, "203.0.113.60", 1)
        wait_for(lambda: source(world)["position"] == source(world)["committed"] == log.stat().st_size,
                 20, "the lines to be read")
        size = log.stat().st_size
        attack(world, "203.0.113.60", 1)
        wait_for(lambda: source(world)["committed"] == log.stat().st_size, 20, "one more to be read")
        lost = log.stat().st_size - size
        world.stop()
        os.truncate(log, size)  # a power cut took the tail; the head is what it was
        world.start()
        wait_for(lambda: mails(path), 20, "the mail")
        assert f"{lost} bytes of {log} were gone before they were read" in mails(path)[0], mails(path)
