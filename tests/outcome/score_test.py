#!/usr/bin/env python3
"""What all the counting is for: of some days of labelled traffic (bench/traffic.py, few of each kind) no
legitimate visitor is banned, and nearly every attacker before his tenth try. Prints TAP; bench/score tells more."""
import collections
import os
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from scoring import enforce, mark_all, outcome  # noqa: E402
from traffic import KINDS, USER, Story  # noqa: E402

SEEDS, DAYS, SCALE = (3, 2), 3, 0.3  # Debian 13 with auth_verbose off, as it is by default; 12 with it
SHARE = 0.99
MANY_BEHIND_ONE = ("carrier's NAT with many customers",)


def main():
    marks = collections.defaultdict(list)
    program = pathlib.Path(os.environ["HAUBERK_RELEASE"]) / "src" / "hauberk"
    with tempfile.TemporaryDirectory(prefix="hauberk-score") as folder:
        for seed in SEEDS:
            story = Story(seed, DAYS, SCALE)
            mark_all(story, *enforce(program, pathlib.Path(folder), story), marks)
    hit, seen, soon = outcome(marks)
    users = [name for name, side, *_ in KINDS if side == USER]
    late = [f"{m.kind}: at try {m.at_try} of {m.made}" for m in seen if not m.is_out_before_tenth()]
    absent = [name for name, *_ in KINDS if not marks[name]]
    lost = [m for m in marks["one account, hourly, right in the end"] if m.logins]
    # Strangers to each other mistype there.
    alarms = [name for name in users if name not in MANY_BEHIND_ONE and any(m.told for m in marks[name])]
    failed = 0
    for is_well, what, why in (
            (not absent, "every kind of visitor comes", absent),
            (not hit, f"none of {sum(len(marks[name]) for name in users)} legitimate visitors is banned",
             [f"{m.kind}: {m.first.jail}: {m.first.reason}" for m in hit]),
            (len(soon) >= SHARE * len(seen) > 0,
             f"{len(soon)} of {len(seen)} attackers who can be seen are out before their tenth try", late),
            (lost and all(m.told for m in lost), "a slow guess that succeeds is told", [m.logins for m in lost]),
            (not alarms, "no login of a legitimate visitor is called suspicious", alarms)):
        print(f"{'ok' if is_well else 'not ok'} - {what}")
        if not is_well:
            failed += 1
            print(f"# {why}")
    sys.exit(1 if failed else 0)


main()
