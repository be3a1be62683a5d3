"""The journal: each entry counted once whatever happens to the journal or to us, and read as fast as a
file while somebody talks."""
import contextlib
import json
import os
import pathlib
import random
import re
import subprocess
import time

import kill_test
from ban_test import stamp
from journald import Journald
from logs import Story
from world import World, wait_for

BUILD = pathlib.Path(os.environ["HAUBERK_CHECK"])
RELEASE = pathlib.Path(os.environ["HAUBERK_RELEASE"])
KILLS = int(os.environ.get("HAUBERK_KILLS", "200")) // 2
MATCH = "journalmatch = _UID=0 SYSLOG_IDENTIFIER={}\n"
OTHERS = "[dovecot]\nenabled = no\n[postfix-sasl]\nenabled = no\n"
LINE = re.compile(r"\S+ \S+ (?P<identifier>[^:\[ ]+)(?:\[(?P<pid>\d+)\])?: (?P<message>.*)\n")


@contextlib.contextmanager
def make_world(build=BUILD, **options):
    with World(build) as world:
        world.configure("[sshd]\nbackend = journal\n" + MATCH.format("sshd") + OTHERS)
        yield world, Journald(world, **options)


def fail(journal, address, count=3, user="root"):
    for i in range(count):
        journal.send("sshd", 1000 + i, f"Failed password for {user} from {address} port {2000 + i} ssh2")


def failures(world):
    status = world.status()
    return sum(j["failures"] for j in status["jails"]) if status else -1


def wait_for_failures(world, count):
    wait_for(lambda: failures(world) >= count, 15, lambda: f"{count} failures, not {failures(world)}")
    assert failures(world) == count, f"{failures(world)} failures instead of {count}"


def source(world):
    return next(s for s in world.status()["sources"] if s["path"].startswith("journal: "))


def committed(world):
    wait_for(lambda: source(world)["committed"] == source(world)["position"], 10, "the commit")


def element_after(journal, monitor, address):
    """Milliseconds from the entry to the element in the kernel."""
    began = time.monotonic()
    fail(journal, address)
    while address not in monitor.stdout.readline():
        pass
    return (time.monotonic() - began) * 1000


def test_journal_bans_and_what_was_before_is_memory():
    with make_world() as (world, journal):
        fail(journal, "203.0.113.7", 6)
        world.start()
        assert source(world)["mark"] > 0
        fail(journal, "203.0.113.8")
        world.wait_for_bans({("sshd", "203.0.113.8")})
        assert "before hauberk first looked" in world.hauberk("why", "203.0.113.7").stdout
        why = world.hauberk("why", "203.0.113.8").stdout
        assert "journal: _UID=0 SYSLOG_IDENTIFIER=sshd" in why, why


def test_journal_that_comes_later():
    with World(BUILD) as world:
        world.configure("[sshd]\nbackend = journal\n" + MATCH.format("sshd") + OTHERS)
        world.start()
        assert source(world)["state"] == "waiting"
        journal = Journald(world)
        fail(journal, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})


def test_journal_rotation_and_restarts():
    with make_world() as (world, journal):
        world.start()
        for i in range(6):
            fail(journal, f"203.0.113.{i}", 2)
            if i % 2:
                journal.rotate()
        wait_for_failures(world, 12)
        committed(world)
        world.stop()
        fail(journal, "203.0.113.0", 1)
        journal.rotate()
        fail(journal, "203.0.113.1", 1)
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.0"), ("sshd", "203.0.113.1")})
        wait_for_failures(world, 2)
        assert source(world)["lost"] == 0


def test_journal_vacuumed_unread():
    with make_world() as (world, journal):
        world.start()
        fail(journal, "203.0.113.7", 2)
        wait_for_failures(world, 2)
        committed(world)
        world.stop()
        fail(journal, "203.0.113.8", 3)
        journal.rotate()
        for path in journal.archived():
            path.unlink()
        fail(journal, "203.0.113.7", 1)
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.7")})
        wait_for_failures(world, 1)
        lost = source(world)["lost"]
        assert lost >= 3, source(world)
        assert "were gone before they could be read" in world.hauberk("status").stdout
        committed(world)
        world.stop()
        world.start()
        wait_for_failures(world, 0)
        assert source(world)["lost"] == lost, "told twice"


def test_journal_silent_service_and_vacuum():
    """What was read is not lost, however long nothing came."""
    with make_world() as (world, journal):
        world.start()
        fail(journal, "203.0.113.7", 2)
        wait_for_failures(world, 2)
        committed(world)
        journal.rotate()
        journal.send("cron", 7, "a line of no interest")
        for path in journal.archived():
            path.unlink()
        fail(journal, "203.0.113.7", 1)
        world.wait_for_bans({("sshd", "203.0.113.7")})
        assert source(world)["lost"] == 0


def test_journal_untrusted_senders():
    """Who is not root can log under sshd's name; that is no failure."""
    with make_world() as (world, journal):
        world.start()
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            fail(journal, "203.0.113.9")
            os._exit(0)
        os.waitpid(child, 0)
        fail(journal, "203.0.113.8")
        world.wait_for_bans({("sshd", "203.0.113.8")})


def test_journal_long_and_odd_messages():
    """Journald packs fields from 512 bytes on; newlines and NULs stay within their line."""
    with make_world() as (world, journal):
        world.start()
        for i in range(3):
            fail(journal, "203.0.113.7", 1, user="x" * 3000)
            fail(journal, "203.0.113.8", 1, user="a\nFailed password for root from 203.0.113.66 port 1 ssh2\nb")
            fail(journal, "203.0.113.9", 1, user="a\0b")
            fail(journal, "203.0.113.66", 1, user="y" * 9000)  # its address lies behind what is read
        world.wait_for_bans({("sshd", f"203.0.113.{n}") for n in (7, 8, 9)})


def test_journal_or_file():
    """A jail with a choice reads the file that lives, else the journal, and never both."""
    with make_world() as (world, journal):
        log = world.folder / "log" / "auth.log"

        def configure(extra=""):
            world.configure(f"[sshd]\nlogpath = {log}\n" + MATCH.format("sshd") + extra + OTHERS)

        def reads():
            return [j["logs"] for j in world.status()["jails"] if j["jail"] == "sshd"][0]

        configure()
        log.write_text(f"{stamp()} mx CRON[1]: a line of no interest\n")
        world.start()
        assert reads() == [str(log)], reads()
        fail(journal, "203.0.113.7", 5)
        with open(log, "a") as out:
            for i in range(3):
                out.write(f"{stamp()} mx sshd[{i}]: Failed password for root from 203.0.113.8 port 2 ssh2\n")
        world.wait_for_bans({("sshd", "203.0.113.8")})
        committed_file = next(s for s in world.status()["sources"] if s["path"] == str(log))
        assert committed_file["position"] == log.stat().st_size
        world.stop()
        day_before = time.time() - 90000
        os.utime(log, (day_before, day_before))
        world.start()
        assert reads() == [source(world)["path"]], reads()
        fail(journal, "203.0.113.9", 2)
        wait_for_failures(world, 7)  # with five that are memory
        world.stop()
        configure("backend = file\n")
        world.start()
        assert reads() == [str(log)], reads()
        with open(log, "a") as out:
            out.write(f"{stamp()} mx sshd[9]: Failed password for root from 203.0.113.10 port 2 ssh2\n")
        wait_for_failures(world, 4)  # with three that are memory
        assert {b["address"] for b in world.bans()} == {"203.0.113.8"}, world.bans()
        shown = world.hauberk("config").stdout
        assert "backend = file" in shown and "journalmatch = _UID=0 SYSLOG_IDENTIFIER=sshd" in shown, shown


def test_a_change_over_neither_repeats_nor_loses():
    """rsyslog goes and comes: the lines that both hold count once, those that only the new one holds too."""
    with make_world() as (world, journal):
        log = world.folder / "log" / "auth.log"

        def configure(backend):
            world.configure(f"[sshd]\nlogpath = {log}\nbackend = {backend}\n" + MATCH.format("sshd") + OTHERS)

        def write(address, count=1, at=None):
            with open(log, "a") as out:
                for i in range(count):
                    out.write(f"{at or stamp()} mx sshd[{i}]: Failed password for root from {address} port 2 ssh2\n")

        configure("file")
        log.write_text("")
        world.start()
        fail(journal, "203.0.113.1", 2)  # both have these
        fail(journal, "203.0.113.2", 2)
        journal.settle()
        write("203.0.113.1", 2)
        write("203.0.113.2", 2)
        wait_for_failures(world, 4)
        committed_at = stamp()
        wait_for(lambda: all(s["committed"] == s["position"] for s in world.status()["sources"]), 10, "the commit")
        world.stop()
        time.sleep(1.1)  # two clocks may differ by a second
        fail(journal, "203.0.113.1", 1)  # the journal alone has this
        journal.settle()
        configure("journal")
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.1")})
        fail(journal, "203.0.113.3", 2)
        wait_for_failures(world, 7)  # with four that are memory
        committed(world)
        world.stop()
        # And back. What the file holds of before is known, of the journal's time it holds nothing.
        time.sleep(1.1)
        write("203.0.113.2", 1, at=committed_at)
        write("203.0.113.3", 1)
        configure("file")
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.1"), ("sshd", "203.0.113.3")})
        assert "the other of file and journal" in world.log_path.read_text()


def test_a_jail_that_leaves_a_file_to_others_loses_nothing():
    """What is logged while a jail moves from a file to the journal counts, though another jail reads on."""
    with make_world() as (world, journal):
        log = world.folder / "log" / "auth.log"

        def configure(backend):
            world.configure(f"[sshd]\nlogpath = {log}\nbackend = {backend}\n" + MATCH.format("sshd")
                            + f"[dovecot]\nlogpath = {log}\nbackend = file\n[postfix-sasl]\nenabled = no\n")

        def write(line):
            with open(log, "a") as out:
                out.write(f"{stamp()} mx {line}\n")

        configure("file")
        log.write_text("")
        world.start()
        for i in range(2):
            fail(journal, "203.0.113.1", 1)  # both have these
            write(f"sshd[{i}]: Failed password for root from 203.0.113.1 port 2 ssh2")
        wait_for_failures(world, 2)
        wait_for(lambda: all(s["committed"] == s["position"] for s in world.status()["sources"]), 10, "the commit")
        world.stop()
        time.sleep(1.1)  # two clocks may differ by a second
        fail(journal, "203.0.113.1", 1)  # the journal alone has this
        journal.settle()
        configure("journal")
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.1")})
        assert "the other of file and journal" not in world.log_path.read_text()
        assert {s["path"] for s in world.status()["sources"]} >= {str(log), source(world)["path"]}


def cpu_seconds(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_journal_speed_and_cost():
    """Not a pass or fail on time: figures. A first entry waits for journald's own wake-up."""
    with make_world(RELEASE) as (world, journal):
        world.start()
        quiet, talking = [], []
        sensor = world.pids()["sensor"]
        monitor = subprocess.Popen(["ip", "netns", "exec", world.guard, "nft", "monitor", "elements"],
                                   stdout=subprocess.PIPE, text=True)
        world.stack.callback(monitor.wait)
        world.stack.callback(monitor.kill)
        for i in range(2):
            time.sleep(10.5)  # until it no longer looks every 20 ms
            before = cpu_seconds(sensor)
            time.sleep(4)
            idle = cpu_seconds(sensor) - before
            quiet.append(element_after(journal, monitor, f"203.0.113.{2 * i + 101}"))
            time.sleep(0.1 * i)
            talking.append(element_after(journal, monitor, f"203.0.113.{2 * i + 102}"))
            before = cpu_seconds(sensor)
            time.sleep(4)
            busy = cpu_seconds(sensor) - before
        return (f"entry to element, quiet before {min(quiet):.0f}-{max(quiet):.0f} ms, "
                f"talking {min(talking):.0f}-{max(talking):.0f} ms; "
                f"sensor's CPU idle {idle / 4 * 100:.3f} %, talking {busy / 4 * 100:.3f} %")


def test_journal_kills_change_nothing():
    story = Story(kill_test.SEED).attack(9000)
    with make_world(RELEASE, file_size="512K") as (world, journal):
        world.configure("[DEFAULT]\nbackend = journal\n[sshd]\n" + MATCH.format("sshd") + "[dovecot]\n"
                        + MATCH.format("dovecot") + "[postfix-sasl]\n" + MATCH.format("postfix/submission/smtpd"))
        chooser = random.Random(kill_test.SEED + 2)
        world.is_kept_alive = True
        world.start()
        size = len(story.lines) // (KILLS + 20) + 1
        killed = {}
        for i in range(KILLS + 20):
            for _, line in story.lines[i * size:(i + 1) * size]:
                part = LINE.fullmatch(line)
                journal.send(part["identifier"], int(part["pid"] or 7), part["message"])
            if i % 17 == 16:
                journal.rotate()
            time.sleep(chooser.random() * 0.15)  # the instant is the test's random choice
            if i < KILLS:
                name = kill_test.kill_one(world, chooser)
                killed[name] = killed.get(name, 0) + 1
        replayed = json.loads(world.hauberk("replay", "--journal-folder", str(world.journal), "--json").stdout)
        page = world.hauberk("replay", "--journal-folder", str(world.journal)).stdout
        assert re.match(r"\d+ lines of the journal, logins from", page), page
        wanted = sorted((b["jail"], b["address"], b["failures"]) for b in replayed["bans"])
        assert len(wanted) > 15, f"the story makes too few bans: {wanted}"
        got = None

        def is_equal():
            nonlocal got
            got = kill_test.result(world)
            return got == wanted
        wait_for(is_equal, 40, lambda: f"missing {set(wanted) - set(got)}, extra {set(got) - set(wanted)}: "
                 f"{world.status()['sources']}")
        lost = sum(s["lost"] for s in world.status()["sources"])
        assert lost == 0, f"{lost} lost"
        return f"{sum(killed.values())} kills {killed}, {len(journal.archived())} files, {len(wanted)} bans equal to replay's"
