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
import re
import select
import statistics
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
IN_MODIFY = 0x2             # linux/inotify.h

FILE, JOURNAL, OWN = "rsyslog's file", "journal", "its own file"


@dataclasses.dataclass(frozen=True)
class Lines:
    """What a jail counts: where it stands, which lines, and how many are too many; group 1, if any, is the number of
    attempts a line names."""

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
    "dovecot": Lines(MAIL, 4, r"-login: .*auth failed, (\d+) attempts"),
    "postfix": Lines(MAIL, 3, r"smtpd\[\d+\]: .*(?:Relay access denied|Helo command rejected|too many errors after|"
                              r"improper (?:command pipelining|use of SMTP command)|non-SMTP command)"),
    "postscreen": Lines(MAIL, 3, "PREGREET|COMMAND PIPELINING|BARE NEWLINE|NON-SMTP COMMAND|DNSBL rank"),
    "nginx-http-auth": Lines(NGINX, 5, r"password mismatch|was not found in"),
    "apache-auth": Lines("/var/log/apache2/error.log", 5, r"AH0161[78]"),
    "roundcube": Lines(ROUNDCUBE, 5, "IMAP Error: Login failed"),
    "rspamd": Lines(RSPAMD, 5, "incorrect password has been specified"),
}

SEEN = collections.defaultdict(list)        # (jail, release, way): milliseconds


def note(release, jail, way, lines, source, element):
    """Keep the time from the line among `lines`, each (moment, text), that reached the jail's limit to the event
    `element` about the address `source`. Only lines before the element count: it is they that made it."""
    count, reached = 0, None
    named = re.compile(rf"(?<![\w.:]){re.escape(source)}(?!\d)")
    for moment, text in lines:
        found = re.search(JAILS[jail].failure, text) if named.search(text) else None
        if found and moment <= element.moment and count < JAILS[jail].limit:
            count += min(int(found.group(1)), 5) if found.groups() else 1
            reached = moment
    if reached is not None:
        SEEN[jail, release, way].append((element.moment - reached) * 1000)


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
    """Notes when each line comes into files of a host; `lines[path]` grows by (moment, text). Their folders are what is
    watched, for a file may not be there yet, or the overlay may put another in its place."""

    def __init__(self, machine, *paths):
        self.lines = {path: [] for path in paths}
        self._machine, self._read = machine, {path: len(contents(machine, path)) for path in paths}
        self._inotify = _libc.inotify_init1(os.O_CLOEXEC)
        for folder in {os.path.dirname(path) for path in paths}:
            if _libc.inotify_add_watch(self._inotify, os.fsencode(machine.path(folder)), IN_MODIFY) < 0:
                raise OSError(ctypes.get_errno(), f"inotify_add_watch {folder}")
        self._ending = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        while not self._ending:
            if not select.select([self._inotify], [], [], 0.2)[0]:
                continue
            os.read(self._inotify, 1 << 16)
            moment = time.time()
            for path, lines in self.lines.items():
                new = contents(self._machine, path)[self._read[path]:]
                new = new[:new.rfind(b"\n") + 1]
                self._read[path] += len(new)
                lines += [(moment, text) for text in new.decode(errors="replace").splitlines()]

    def close(self):
        """Stop watching."""
        self._ending = True
        self._thread.join()
        os.close(self._inotify)


def contents(machine, path):
    """A file's bytes, none if it is not there."""
    path = machine.path(path)
    return path.read_bytes() if path.exists() else b""
