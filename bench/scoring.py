"""Who was banned, and before which try: replays labelled traffic (traffic.py) and marks each visitor.

What is banned cannot go on: lines of an address that is banned for their service are taken out and the rest is
replayed again, until nothing changes. So a try counts as let through only if it would have reached the server.

SPDX-License-Identifier: GPL-2.0-or-later"""
import bisect
import collections
import datetime
import functools
import ipaddress
import json
import pathlib
import re
import subprocess

from traffic import ATTACKER, KINDS, USER

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS = 40
TENTH = 10

# Which of the services in words.py a scope or a port closes, and so each shipped jail.
SCOPES = {"ssh": {"ssh"}, "mail-login": {"mail"}, "mail": {"mail", "smtp"}, "web": set(),
          "all": {"ssh", "mail", "smtp"},
          "22": {"ssh"}, "11334": set(), "25": {"smtp"}, "80": set(), "443": set(),
          **dict.fromkeys("110 143 465 587 993 995 4190".split(), {"mail"})}


def closes(jail):
    ports = re.search(r"^port\s*=\s*(\S+)", jail.read_text(), re.M)[1]
    return tuple(sorted(set().union(*(SCOPES[port] for port in ports.split(",")))))


CLOSES = {path.stem: closes(path) for path in (ROOT / "jails").glob("*.conf")}

Ban = collections.namedtuple("Ban", "at until closes jail reason")


class Bans:
    """By address or network: who is banned for what, and when."""

    def __init__(self):
        self.by_id = collections.defaultdict(list)

    def add(self, prefix, ban):
        self.by_id[prefix].append(ban)

    @staticmethod
    def ids(address):
        return [address] if ":" not in address else [address, net64(address)]

    def of(self, address):
        return [ban for one in self.ids(address) for ban in self.by_id.get(one, ())]

    def keep_out(self, address, service, at):
        return any(ban.at < at < ban.until and service in ban.closes for ban in self.of(address))


@functools.cache
def net64(address):
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def replay(program, folder, lines):
    """What hauberk decides: bans and suspicious logins."""
    for log in ("auth", "mail"):
        with open(folder / f"{log}.log", "w") as file:
            file.writelines(line.text for line in lines if line.log == log)
    (folder / "hauberk.conf").touch()
    ran = subprocess.run([str(program), "--config", str(folder), "replay", "--json",
                          str(folder / "auth.log"), str(folder / "mail.log")], capture_output=True, text=True)
    if ran.returncode not in (0, 3):  # 3: it names users who were hit
        raise RuntimeError(f"hauberk replay: {ran.stderr}")
    told = json.loads(ran.stdout)
    bans = Bans()
    for one in told["bans"]:
        length = 32 if ":" not in one["address"] else 128
        name = one["address"] if one["prefix"] == length else f"{one['address']}/{one['prefix']}"
        until = one["at_us"] + length_us(one)
        bans.add(name, Ban(one["at_us"], until, CLOSES[one["jail"]], one["jail"], one["reason"]))
    return bans, told["suspicions"]


def length_us(ban):
    """Its length in microseconds; `at` and `until` are told in whole seconds."""
    if ban["until"] is None:
        return 10**18
    at, until = (datetime.datetime.fromisoformat(ban[key].replace("Z", "+00:00")) for key in ("at", "until"))
    return int((until - at).total_seconds()) * 1_000_000


def enforce(program, folder, story):
    """Until what was let through is what was replayed."""
    lines = story.lines
    for _ in range(ROUNDS):
        bans, suspicions = replay(program, folder, lines)
        left = [line for line in story.lines
                if line.address is None or not bans.keep_out(line.address, line.service, line.at)]
        if len(left) == len(lines) and left == lines:
            return bans, suspicions
        lines = left
    raise RuntimeError(f"the bans did not settle in {ROUNDS} rounds")


class Mark:
    """What became of one visitor."""

    def __init__(self, seed, visitor, bans, suspicions):
        self.seed, self.kind = seed, visitor.kind
        own = [ban for address in visitor.addresses for ban in bans.of(address)]
        self.bans = sorted(set(own))
        self.first = self.bans[0] if self.bans else None
        tries = [t for t in visitor.tries if t.account != visitor.own_account]
        self.made = len(tries)
        self.through = [t for t in tries if not bans.keep_out(t.address, t.service, t.at)]
        self.at_try = bisect.bisect_right([t.at for t in tries], self.first.at) if self.first else None
        self.after = sum(t.at > self.first.at for t in self.through) if self.first else 0
        self.logins = {(t.address, t.account) for t in self.through if t.is_right}
        self.told = {(one["address"], one["account"]) for one in suspicions} & self.logins
        self.addresses = visitor.addresses

    def is_out_before_tenth(self):
        return self.at_try is not None and self.at_try < TENTH


def mark_all(story, bans, suspicions, marks):
    """Adds to marks: by kind, a Mark for each visitor."""
    for visitor in story.visitors:
        marks[visitor.kind].append(Mark(story.seed, visitor, bans, suspicions))


def outcome(marks):
    """(legitimate ones banned, attackers who can be seen, how many of them before the tenth try)"""
    sides = {name: (side, weak) for name, side, weak, *_ in KINDS}
    hit = [m for name, some in marks.items() for m in some if sides[name][0] == USER and m.first]
    seen = [m for name, some in marks.items() for m in some if sides[name] == (ATTACKER, False)]
    return hit, seen, [m for m in seen if m.is_out_before_tenth()]
