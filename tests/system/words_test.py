"""What the words print, to the byte. Times come from the lines, which carry the present: nothing is
masked but what the kernel and the clock alone decide, and that is read from the JSON."""
import contextlib
import datetime
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from ban_test import make_world
from world import run, wait_for

SESSIONS = ("3fqVa8Rg24rLAHE7", "yxKQcMRgFYTLAHHD")


def at(epoch):
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(epoch))


def local(epoch):
    return time.strftime("%H:%M:%S", time.localtime(epoch))


def epoch_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def wait_for_a_day(seconds):
    """Lines of yesterday are printed with their date: none of a story may be."""
    now = time.localtime()
    left = 86400 - (now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec)
    if left < seconds or 86400 - left < seconds:
        time.sleep(left + 60 if left < seconds else seconds - (86400 - left))


def tell_the_story(world, address="203.0.113.9", banned=frozenset()):
    """Four wrong passwords in 41 s, in the words of Dovecot 2.3 with auth_verbose; the first
    connection has ended. Returns when each was tried."""
    wait_for_a_day(120)
    began = int(time.time()) - 41
    story = ((0, "bob@example.org", "Password mismatch", 0),
             (11, "info@example.org", "unknown user", 0),
             (27, "bob@example.org", "Password mismatch", 1),
             (41, "bob@example.org", "Password mismatch", 1))
    with open(world.folder / "log" / "mail.log", "a") as log:
        for number, (after, account, says, session) in enumerate(story):
            if number == 2:
                log.write(f"{at(began + 13)} mx dovecot: imap-login: Disconnected: Aborted login by "
                          "logging out (auth failed, 2 attempts in 13 secs): "
                          f"user=<info@example.org>, method=PLAIN, rip={address}, lip=192.0.2.1, "
                          f"TLS, session=<{SESSIONS[0]}>\n")
            log.write(f"{at(began + after)} mx dovecot: auth-worker(455): conn unix:auth-worker "
                      "(pid=453,uid=103): auth-worker<1>: "
                      f"sql({account},{address},<{SESSIONS[session]}>): {says}\n")
    world.wait_for_bans({("dovecot", address)} | banned)
    return [began + after for after, *_ in story]


def test_why_reads_as_it_should():
    with make_world() as world:
        world.add_attacker("203.0.113.9")
        world.start()
        times = tell_the_story(world)
        for _ in range(3):
            assert not world.connects("203.0.113.9", 993)
        known = json.loads(world.hauberk("why", "203.0.113.9", "--json").stdout)
        packets = known["kernel"]["packets"]
        until = epoch_of(known["bans"][0]["until"])
        assert packets >= 3
        path = world.folder / "log" / "mail.log"
        wanted = (
            "203.0.113.9 may not reach the mail login ports until "
            f"{time.strftime('%H:%M', time.localtime(until)) if same_day(until) else other_day(until)}"
            f" (1 h 59 m more).  In the kernel: yes, {packets} packets refused.\n"
            "Why: 4 wrong IMAP passwords in 41 s; the limit is 4 in 10 m (jail dovecot).\n"
            f"  {local(times[0])}  bob@example.org    wrong password    {path}\n"
            f"  {local(times[1])}  info@example.org   no such account   …\n"
            f"  {local(times[1] + 2)}  info@example.org   wrong password    …"
            "  (the same attempt, told twice)\n"
            f"  {local(times[2])}  bob@example.org    wrong password    …\n"
            f"  {local(times[3])}  bob@example.org    wrong password    …\n"
            "Known here? No: no login from this address ever succeeded.   Returns: first ban.\n"
            "Let it in now:   hauberk unban 203.0.113.9\n")
        said = world.hauberk("why", "203.0.113.9", check=True).stdout
        assert said == wanted, f"\n{said}\nis not\n{wanted}"
        world.hauberk("unban", "203.0.113.9", check=True)
        said = world.hauberk("why", "203.0.113.9", check=True).stdout
        assert said.startswith("203.0.113.9 is not banned.  What is known of it:\n"), said
        wanted = f"  {local(times[1])}  203.0.113.9        no such account   {path}\n"
        said = world.hauberk("why", "info@example.org", check=True).stdout
        assert said.startswith("Tried from:\n" + wanted), said
        assert world.hauberk("why", "203.0.113.77", check=True).stdout == \
            "203.0.113.77 is not banned.\n" \
            "Known here? No: no login from this address ever succeeded.\n"


def same_day(epoch):
    return time.localtime(epoch)[:3] == time.localtime()[:3]


def other_day(epoch):
    return time.strftime("%e %b %H:%M", time.localtime(epoch))


def test_status_and_bans_read_as_they_should():
    with make_world("[recidive]\nenabled = no\n") as world:
        (world.folder / "log" / "auth.log").unlink()
        world.start()
        assert world.hauberk("bans", check=True).stdout == "Nobody is banned.\n"
        tell_the_story(world)
        ban = world.bans()[0]
        until = epoch_of(ban["until"])
        when = local(until) if same_day(until) else time.strftime("%e %b %H:%M:%S",
                                                                  time.localtime(until))
        reason = "4 wrong IMAP passwords in 41 s; the limit is 4 in 10 m (jail dovecot)"
        said = world.hauberk("bans", check=True).stdout
        assert said == f"203.0.113.9              dovecot       until {when:<15} {reason}\n", said
        version = world.status()["version"]
        wanted = (
            f"hauberk {version} is guarding.  Bans: 1, in the kernel: 1.  Known-good addresses: 0.\n"
            "\n"
            "jail                       failures   bans  reads\n"
            f"dovecot         active            5      1  {world.folder}/log/mail.log\n"
            f"postfix-sasl    active            0      0  {world.folder}/log/mail.log\n"
            f"sshd            waiting           0      0  {world.folder}/log/auth.log"
            " - none of its logs is there yet\n"
            "off: apache-auth, nginx-http-auth, pam-generic, postfix-harvest, postfix-rbl, postfix, postscreen,"
            " recidive, roundcube, rspamd\n")
        answer = world.hauberk("status")
        assert answer.stdout == wanted and answer.returncode == 0, f"{answer.stdout}\nis not\n{wanted}"
        world.hauberk("pause", "1h", check=True)
        answer = world.hauberk("status")
        assert answer.stdout.startswith(
            f"hauberk {version} is NOT in force.  Bans: 1, in the kernel: 0.  "
            "Known-good addresses: 0.\n! paused by `hauberk pause`\n"), answer.stdout
        assert answer.returncode == 3


@contextlib.contextmanager
def live(world, *options, stdout=subprocess.PIPE, **more):
    """`hauberk live`; it is there when hauberkd serves it."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", world.guard, *more.pop("wrapper", []),
         str(world.build / "src" / "hauberk"), *world.folders, "live", *options],
        stdout=stdout, text=stdout is subprocess.PIPE, **more)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for_a_watcher(world, process):
    wait_for(lambda: process.poll() is not None or world.status()["watchers"], 10, "live to watch")


def test_live_prints_lines_where_there_is_no_terminal():
    with make_world() as world:
        world.start()
        with live(world) as process:
            wait_for_a_watcher(world, process)
            times = tell_the_story(world)
            lines = [process.stdout.readline() for _ in range(6)]
        since = epoch_of(world.bans()[0]["since"])

        def event(when, account, verdict):
            return f"{local(when)}  dovecot      203.0.113.9              {account:<20} {verdict}\n"
        assert lines == [
            event(times[0], "bob@example.org", "counted"),
            event(times[1], "info@example.org", "counted"),
            event(times[1] + 2, "info@example.org", "told twice"),
            event(times[2], "bob@example.org", "counted"),
            event(times[3], "bob@example.org", "counted"),
            f"{local(since)}  dovecot      203.0.113.9              BANNED: 4 wrong IMAP passwords "
            "in 41 s; the limit is 4 in 10 m (jail dovecot)\n"], lines


class Terminal:
    """A pseudo terminal, with what was written to it so far."""

    def __init__(self, columns, lines):
        self.master, self.slave = pty.openpty()
        self.said = ""
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.slave)

    def resize(self, columns, lines):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds=0.0):
        while select.select([self.master], [], [], seconds)[0]:
            self.said += os.read(self.master, 65536).decode()
            seconds = 0.0
        return self.said

    def page(self):
        """The last page drawn, as lines of text."""
        page = self.read(0.05).rpartition("\x1b[H")[2]
        return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in page.split("\r\n")]

    def wait_for(self, text, what):
        wait_for(lambda: any(text in line for line in self.page()), 10,
                 lambda: f"{what}: {self.said[-3000:]!r}")

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def on(terminal):
    return dict(stdin=terminal.slave, stdout=terminal.slave, stderr=terminal.slave,
                start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                env=dict(os.environ, TERM="xterm"))


def test_live_is_a_view_on_a_terminal():
    with make_world() as world:
        world.start()
        terminal = Terminal(80, 24)
        with live(world, **on(terminal)) as process:
            terminal.wait_for("is guarding", "the head")
            assert terminal.said.startswith("\x1b[?1049h\x1b[?25l"), terminal.said[:40]
            assert not termios.tcgetattr(terminal.slave)[3] & termios.ECHO
            terminal.wait_for("none since this view began", "an empty view")
            tell_the_story(world)
            terminal.wait_for("4 wrong IMAP passwords", "the ban")
            terminal.wait_for("1 ban, 1 in the kernel", "the count")
            page = terminal.page()
            assert len(page) <= 24 and max(map(len, page)) <= 80, page
            assert any(re.match(r"dovecot +5 +5 +0 +0 +1$", line) for line in page), page
            assert sum("bob@example.org" in line for line in page) == 3, page
            # A remote name of any length and script, with what a terminal would obey.
            with open(world.folder / "log" / "auth.log", "a") as log:
                log.write(f"{at(time.time())} mx sshd[9]: Failed password for invalid user "
                          f"jürgen\x1b[2J{'ü' * 30} from 203.0.113.8 port 1 ssh2\n")
            terminal.wait_for("jürgen\\x1b", "the escaped name")
            page = terminal.page()
            assert max(map(len, page)) <= 80 and "\x1b[2Jü" not in terminal.said, page
            # Changed in size, it is drawn anew and fits.
            terminal.said = ""
            terminal.resize(60, 14)
            wait_for(lambda: terminal.page() and "guarding" in terminal.page()[0], 5, "a new page")
            page = terminal.page()
            assert len(page) <= 14 and max(map(len, page)) <= 60, page
            # hauberkd goes and comes again: said, and over.
            world.stop()
            terminal.wait_for("does not answer", "to be told that hauberkd is gone")
            world.start()
            terminal.wait_for("is guarding", "the head again")
            # A person's Ctrl-C: everything is as it was.
            terminal.said = ""
            os.write(terminal.master, b"\x03")
            assert process.wait(10) == 0
            assert terminal.read(0.05).endswith("\x1b[?7h\x1b[?25h\x1b[?1049l"), terminal.said[-60:]
            assert termios.tcgetattr(terminal.slave) == terminal.before
        for number in (signal.SIGTERM, signal.SIGHUP):
            terminal.said = ""
            with live(world, **on(terminal)) as process:
                terminal.wait_for("is guarding", "the head")
                os.kill(process.pid, number)
                assert process.wait(10) == 0
                assert terminal.read(0.05).endswith("\x1b[?1049l")
                assert termios.tcgetattr(terminal.slave) == terminal.before
        with live(world, "--plain", **on(terminal)) as process:
            terminal.said = ""
            wait_for_a_watcher(world, process)
            tell_the_story(world, "203.0.113.10", banned={("dovecot", "203.0.113.9")})
            wait_for(lambda: "BANNED: 4 wrong IMAP" in terminal.read(0.05), 10, "a line")
            assert "\x1b" not in terminal.said
        terminal.close()


def test_live_draws_at_most_four_times_a_second():
    with make_world() as world:
        world.start()
        terminal = Terminal(80, 24)
        with live(world, **on(terminal)):
            terminal.wait_for("is guarding", "the head")
            terminal.said = ""
            began = time.monotonic()
            with open(world.folder / "log" / "auth.log", "a") as log:
                while time.monotonic() - began < 2:
                    for i in range(20):
                        log.write(f"{at(time.time())} mx sshd[{i}]: Failed password for root from "
                                  f"198.51.{i}.{int(time.monotonic() * 1000) % 250} port 1 ssh2\n")
                    log.flush()
                    terminal.read(0.01)
            drawn = terminal.read(0.3).count("\x1b[H")
            took = time.monotonic() - began
            assert 2 <= drawn <= took * 4 + 2, f"{drawn} pages in {took:.1f} s"
        terminal.close()
        return f"{drawn} pages in {took:.1f} s of {int(took / 0.01) * 20} lines at most"


def test_live_is_for_the_group_and_nobody_else():
    with make_world() as world:
        world.start()
        world.build = world.programs_for_strangers()
        group = os.stat(world.folder / "run" / "control").st_gid
        member = ["setpriv", "--reuid", "64999", "--regid", str(group), "--clear-groups"]
        stranger = ["setpriv", "--reuid", "64999", "--regid", "64999", "--clear-groups"]
        terminal = Terminal(80, 24)
        with live(world, **on(terminal), wrapper=member):
            terminal.wait_for("is guarding", "the head")
        terminal.close()
        answer = run("ip", "netns", "exec", world.guard, *stranger,
                     str(world.build / "src" / "hauberk"), *world.folders, "live", check=False)
        assert answer.returncode == 1 and "member of group hauberk" in answer.stderr, answer.stderr


def test_replay_is_one_page():
    """Of fixed lines: an attacker who comes back, a user who errs too often, a guess that succeeds."""
    def ssh(day, clock, address, what="Failed password", user="root"):
        return f"2026-11-{day:02}T{clock}+00:00 mx sshd[{address.rpartition('.')[2]}]: {what} for " \
               f"{user} from {address} port 40022 ssh2\n"
    lines = [ssh(1, f"10:00:{i:02}", "203.0.113.5") for i in range(3)]
    lines += [ssh(2, f"10:00:{i:02}", "203.0.113.5") for i in range(4)]
    lines += [ssh(3, "09:00:00", "198.51.100.7", "Accepted password", "alice")]
    lines += [ssh(3, f"09:10:{i:02}", "198.51.100.7", user="alice") for i in range(3)]
    lines += [ssh(4, f"12:00:{i:02}", "203.0.113.6") for i in range(3)]
    lines += [ssh(4, "12:00:09", "203.0.113.6", "Accepted password")]
    with make_world() as world:
        log = world.folder / "log" / "auth.log"
        log.write_text("".join(lines))
        answer = run(str(world.build / "src" / "hauberk"), *world.folders, "replay", str(log),
                     check=False, env=dict(os.environ, TZ="UTC"))
        reason = "3 wrong SSH passwords in 2 s; the limit is 3 in 10 m (jail sshd)"
        wanted = f"""\
15 lines of 1 file, logins from  1 Nov 10:00 to  4 Nov 12:00; read in T s, nothing enforced.

jail               failures     logins     bans
dovecot                   0          0        0
postfix-sasl              0          0        0
recidive                  0          0        0
sshd                     13          2        4

! Your own users who would have been banned (1):
   3 Nov 09:10:02  198.51.100.7             {reason}; 1 login had succeeded before

! Suspicious: logins after the failures (1):
   4 Nov 12:00:02  203.0.113.6              {reason}; 1 login succeeded

Banned most, of 3 addresses:
  203.0.113.5                 2 bans     6 failures   last: {reason}
  198.51.100.7                1 ban      3 failures   last: {reason}
  203.0.113.6                 1 ban      3 failures   last: {reason}
"""
        said = re.sub(r"[0-9.]+ s, nothing", "T s, nothing", answer.stdout)
        assert said == wanted, f"\n{said}\nis not\n{wanted}"
        assert answer.returncode == 3
        every = run(str(world.build / "src" / "hauberk"), *world.folders, "replay", "--bans",
                    str(log), check=False, env=dict(os.environ, TZ="UTC")).stdout.splitlines()
        assert every[0] == f"   1 Nov 10:00:02  203.0.113.5              {reason}", every[0]
        assert len([line for line in every if line.startswith("   ")]) == 4 + 2
        told = json.loads(run(str(world.build / "src" / "hauberk"), *world.folders, "replay",
                              "--json", str(log), check=False).stdout)
        assert [(b["address"], b["collateral"], b["suspicious"]) for b in told["bans"]] == [
            ("203.0.113.5", 0, 0), ("203.0.113.5", 0, 0), ("198.51.100.7", 1, 0),
            ("203.0.113.6", 0, 1)]
        assert [(s["address"], s["account"], s["jail"], s["banned"]) for s in told["suspicions"]] == [
            ("203.0.113.6", "root", "sshd", True)]
        assert told["first"] == "2026-11-01T10:00:00Z" and told["last"] == "2026-11-04T12:00:09Z"
        log.write_text("")
        answer = run(str(world.build / "src" / "hauberk"), *world.folders, "replay", str(log),
                     check=False)
        assert answer.returncode == 0 and "Nobody would have been banned.\n" in answer.stdout
