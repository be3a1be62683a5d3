"""How long it takes from the line a service writes to the element in the kernel, per jail and way of the log.

The line is the one with which the jail's limit was reached. Its moment is what stands in it where that is exact enough:
rsyslog's stamp, the journal's entry, Apache's. nginx, Roundcube and Rspamd write whole seconds into files of their own;
of these `Arrivals` notes when the line was there. What was seen is told at the end of the run, and no test fails on it.
"""

import collections
import ctypes
import dataclasses
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import host
import namespaces

_libc = ctypes.CDLL(None, use_errno=True)
IN_MODIFY = 0x2             # linux/inotify.h

FILE, JOURNAL, OWN = "rsyslog's file", "journal", "its own file"


@dataclasses.dataclass(frozen=True)
class Lines:
    """What a jail counts: where it stands, how many are too many, and which lines. `times` in `failure` is the number
    of attempts a line names; of several lines with one `session` the first counts."""

    log: str
    limit: int
    failure: str

    @property
    def way(self):
        return FILE if self.log in (AUTH, MAIL) else OWN


AUTH, MAIL = "/var/log/auth.log", "/var/log/mail.log"
NGINX, ROUNDCUBE, RSPAMD = "/var/log/nginx/error.log", "/var/log/roundcube/errors.log", "/var/log/rspamd/rspamd.log"
JAILS = {
    "sshd": Lines(AUTH, 3, r"Failed password for "),
    "postfix-sasl": Lines(MAIL, 3, r"SASL \S+ authentication failed"),
    "dovecot": Lines(MAIL, 4, r"-login: .*auth failed, (?P<times>\d+) attempts"),
    "postfix": Lines(MAIL, 3, r"smtpd\[\d+\]: .*(?:Relay access denied|Helo command rejected|too many errors after|"
                              r"improper (?:command pipelining|use of SMTP command)|non-SMTP command)"),
    "postscreen": Lines(MAIL, 3, r"(?:PREGREET|COMMAND PIPELINING|BARE NEWLINE|NON-SMTP COMMAND|DNSBL rank) .*?"
                                 r"(?:from|for) \[\S+\]:(?P<session>\d+)"),
    "nginx-http-auth": Lines(NGINX, 5, r"password mismatch|was not found in"),
    "apache-auth": Lines("/var/log/apache2/error.log", 5, r"AH0161[78]"),
    "roundcube": Lines(ROUNDCUBE, 5, "IMAP Error: Login failed"),
    "rspamd": Lines(RSPAMD, 5, "incorrect password has been specified"),
}

SEEN = collections.defaultdict(list)        # (jail, release, way): milliseconds


def note(release, jail, way, lines, source, element):
    """Keep the time from the line among `lines`, each (moment, text), that reached the jail's limit to the event
    `element` about the address `source`. (What is noted after the element was: the other watcher was faster.)"""
    counted, sessions, reached = 0, set(), None
    named = re.compile(rf"(?<![\w.:]){re.escape(source)}(?!\d)")
    for moment, text in lines:
        found = re.search(JAILS[jail].failure, text) if named.search(text) else None
        if not found or counted >= JAILS[jail].limit:
            continue
        parts = found.groupdict()
        if parts.get("session") is None or parts["session"] not in sessions:
            sessions.add(parts.get("session"))
            counted += min(int(parts.get("times") or 1), 5)
            reached = moment
    if counted >= JAILS[jail].limit:
        SEEN[jail, release, way].append(max((element.moment - reached) * 1000, 0))


def told():
    """A sentence per jail, release and way."""
    return [f"{jail}, {release}, {way}: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms from the "
            f"service's line to the kernel's element ({len(times)})"
            for (jail, release, way), times in sorted(SEEN.items())]


# --- lines and their moments -----------------------------------------------------------------------------------------

def of_file(machine, path):
    """The lines of a file that rsyslog or Apache writes."""
    for line in machine.read(path).splitlines():
        apache = re.match(r"\[\w{3} (\w{3} [ \d]\d [\d:]{8}\.\d+ \d{4})\]", line)
        try:
            yield (datetime.datetime.strptime(apache[1], "%b %d %H:%M:%S.%f %Y").replace(tzinfo=datetime.timezone.utc)
                   if apache else datetime.datetime.fromisoformat(line.split(" ", 1)[0])).timestamp(), line
        except ValueError:
            pass                                # the rest of a message of several lines


def of_journal(machine):
    """The journal's messages: when the service itself said it, as its syslog call carried, else journald's time."""
    for line in machine.journal("-o", "json").splitlines():
        entry = json.loads(line)
        if isinstance(entry.get("MESSAGE"), str):
            moment = int(entry.get("_SOURCE_REALTIME_TIMESTAMP", entry["__REALTIME_TIMESTAMP"])) / 1e6
            yield moment, f"{entry.get('SYSLOG_IDENTIFIER')}[{entry.get('SYSLOG_PID')}]: {entry['MESSAGE']}"


class Arrivals:
    """Notes when each line comes into files of a host, in a process of its own, for threads of the attackers' must not
    hold it up."""

    def __init__(self, machine, *paths):
        self._paths, self._machine = paths, machine
        self._noted = tempfile.TemporaryFile("w+", dir=machine.world.folder)
        self._follower = subprocess.Popen(
            ["nice", "-n", "-10", sys.executable, __file__, *(machine.path(path) for path in paths)],
            stdin=subprocess.DEVNULL, stdout=self._noted, preexec_fn=namespaces.die_with_parent)
        host.wait_for(lambda: os.fstat(self._noted.fileno()).st_size, what="the follower of the logs")

    def close(self):
        """Stop watching; the lines of each path, as (moment, text)."""
        self._follower.terminate()
        self._follower.wait()
        self._noted.seek(len("ready\n"))
        lines = {path: [] for path in self._paths}
        for line in self._noted:
            moment, number, text = line.split(" ", 2)
            lines[self._paths[int(number)]].append((float(moment), text))
        self._noted.close()
        return lines


def follow(*paths):
    """Print "ready", then each new line of the files: its moment, the file's number, the line. Their folders are what
    is watched, for a file may not be there yet, or the overlay may put another in its place."""
    read = [len(contents(path)) for path in paths]
    inotify = _libc.inotify_init1(os.O_CLOEXEC)
    for folder in {os.path.dirname(path) for path in paths}:
        if _libc.inotify_add_watch(inotify, os.fsencode(folder), IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch {folder}")
    print("ready", flush=True)
    while os.read(inotify, 1 << 16):
        moment = time.time()
        for number, path in enumerate(paths):
            new = contents(path)[read[number]:]
            new = new[:new.rfind(b"\n") + 1]
            read[number] += len(new)
            for text in new.decode(errors="backslashreplace").splitlines():
                print(moment, number, text, flush=True)


def contents(path):
    """A file's bytes, none if it is not there."""
    try:
        return pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        return b""


if __name__ == "__main__":
    follow(*sys.argv[1:])
