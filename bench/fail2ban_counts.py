"""fail2ban's counting at its default numbers, on lines in order of time; what is banned writes no more.

This is not fail2ban running but its rule: five failures of one address in ten minutes are a ban of ten minutes, which
does not grow; the rate is rescaled as its tickets do; each line that a filter takes is one failure. Which lines
those are was compared with the filters sshd, dovecot and postfix[mode=auth] of fail2ban 1.0.2 (Debian 12), line by
line, on the logs that bench/traffic.py writes for Debian 12: they agree. Debian 13's lines, some of which those
filters do not know, are taken alike.

SPDX-License-Identifier: GPL-2.0-or-later"""
import re

from scoring import CLOSES, Ban, Bans

MAX_RETRY, FIND_US, BAN_US = 5, 600_000_000, 600_000_000

TAKES = [
    ("sshd", re.compile(r"sshd(?:-session)?\[\d+\]: (?:Failed password for|Invalid user) ")),
    ("dovecot", re.compile(r"-login: .*\(auth failed, \d+ attempts|dovecot: auth-worker.*: "
                           r"(?:Password mismatch|unknown user)$")),
    ("postfix-sasl", re.compile(r"smtpd\[\d+\]: warning: .*: SASL \S+ authentication failed: ")),
]


def enforce(lines):
    bans, counts = Bans(), {}
    for line in lines:
        if line.address is None or bans.keep_out(line.address, line.service, line.at):
            continue
        for jail, pattern in TAKES:
            if not pattern.search(line.text.rstrip("\n")):
                continue
            key = (jail, line.address)
            count, first, last = counts.get(key, (0, line.at, line.at))
            if line.at - last > FIND_US:
                count, first = 0, line.at
            elif line.at - first > FIND_US:
                count = round(count / (line.at - first) * FIND_US)
                first = line.at - FIND_US
            counts[key] = (count + 1, first, line.at)
            if count + 1 >= MAX_RETRY:
                bans.add(line.address, Ban(line.at, line.at + BAN_US, CLOSES[jail], jail, ""))
                del counts[key]
    return bans
