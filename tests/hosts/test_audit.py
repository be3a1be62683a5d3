"""The audit on booted mail servers: in the hardened state nothing is found, and each sabotage is.

tests/sabotage/hardened/ brings a whole mail server into the state that the rules want; tests/sabotage/*.sabotage has for
each rule the commands that break exactly that, as guides do, and those that mend it again:

    [RULE]
    break = commands        (sh -eu, as root on the host)
    mend  = commands
    also  = RULE …          rules that this finds too, of necessity
    on    = 12              only on that release
"""

import configparser
import json
import os
import pathlib
import subprocess

import pytest

import guard
import host
import trees

SABOTAGE = trees.CHECKOUT / "tests" / "sabotage"
NUMBERS = {"bookworm": "12", "trixie": "13"}


BATCHES = 24        # so many times the services are broken, looked at, and mended


def read_sabotages():
    """All sections by rule, file by file."""
    files = []
    for path in sorted(SABOTAGE.glob("*.sabotage")):
        parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
        parser.read(path)
        files.append({name: dict(parser[name]) for name in parser.sections()})
    return files


FILES = read_sabotages()
SABOTAGES = {rule: sabotage for one in FILES for rule, sabotage in one.items()}


def batches():
    """The rules of all files in about as many batches, so that those of one batch are of different services."""
    cut = [[] for _ in range(BATCHES)]
    for one in FILES:
        for number, rule in enumerate(one):
            cut[number % BATCHES].append(rule)
    return [batch for batch in cut if batch]


def shipped_rules():
    """The ids of all rules."""
    return {line[1:line.index("]")] for path in (trees.CHECKOUT / "hardening").glob("*.rules")
            for line in path.read_text().splitlines() if line.startswith("[")}


class Audited:
    """A hardened host and its audit."""

    def __init__(self, machine):
        self.host, self.number = machine, NUMBERS[machine.release]
        self.seconds = []

    def shell(self, script):
        """Run commands as a person at a root shell would."""
        return self.host.enter("sh", "-euc", script, timeout=120)

    def audit(self, *options):
        """`hauberk audit --json`."""
        done = self.host.enter("/usr/bin/hauberk", "--state", "/var/lib/hauberk-test", "audit", "--json", *options,
                               check=False, timeout=120)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"audit: exit {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def found(self):
        """What is found, as {rule: evidence}."""
        return {one["id"]: one["evidence"] for one in self.audit()["findings"]}


@pytest.fixture(scope="session")
def audited(world, release):
    """A booted host in the hardened state."""
    made = host.Host(world, release, name=f"mail-{release}",
                     layers=[trees.path_of(release, "hauberk"), trees.path_of(release, "hardened"),
                             trees.path_of(release, "whole")]).boot()
    machine = Audited(made)
    made.enter("mkdir", "-p", "/var/lib/hauberk-test")
    for file in sorted((SABOTAGE / "dns").iterdir()):
        made.write(f"/opt/dns-world/{file.name}", file.read_text())
    made.enter("chmod", "+x", "/opt/dns-world/dns-world")
    # The DNS last: it publishes the certificate that the others made.
    for script in sorted((SABOTAGE / "hardened").glob("*.sh"), key=lambda path: (path.stem == "dns", path.stem)):
        made.write(f"/root/hardened/{script.name}", script.read_text())
        made.enter("sh", "-eu", f"/root/hardened/{script.name}", timeout=300)
    yield machine
    made.close()


@pytest.fixture(scope="session")
def at_first(audited):
    """What is found in the hardened state: nothing, as the test of that name says."""
    return audited.found()


def test_every_rule_has_a_sabotage():
    missing = sorted(shipped_rules() - set(SABOTAGES))
    unknown = sorted(set(SABOTAGES) - shipped_rules())
    assert not missing and not unknown, f"without sabotage: {missing}; sabotages of no rule: {unknown}"


def test_the_hardened_host_has_no_findings(audited):
    report = audited.audit()
    found = {one["id"]: one["evidence"] for one in report["findings"]}
    assert not found, f"{found}"
    guard.measured(f"{audited.host.release}: {report['passed']} passed, {len(report['skipped'])} not looked at: "
                   + ", ".join(f"{one['id']} ({one['reason']})" for one in report["skipped"]))


@pytest.mark.parametrize("batch", batches(), ids=lambda batch: f"{batch[0]} and {len(batch) - 1} more")
def test_sabotages_are_found(audited, at_first, batch):
    """All of a batch at once; where that finds too much or too little, each by itself."""
    rules = [rule for rule in batch if SABOTAGES[rule].get("on", audited.number) == audited.number]
    found, wrong = sabotage(audited, at_first, rules)
    if wrong:
        found, wrong = {}, {}
        for rule in rules:
            one_found, one_wrong = sabotage(audited, at_first, [rule])
            found |= one_found
            wrong |= one_wrong
    for rule in rules:
        note(audited.number, rule, found[rule], wrong.get(rule, ""))
    assert not wrong, "\n".join(f"{rule}: {what}" for rule, what in wrong.items())


def sabotage(audited, at_first, rules):
    """Break, look, mend. ({rule: was it found}, {rule: what is wrong with that})."""
    expected = {other for rule in rules for other in [rule, *SABOTAGES[rule].get("also", "").split()]}
    broken, wrong = [], {}
    try:
        for rule in rules:
            broken.append(rule)
            audited.shell(SABOTAGES[rule]["break"])
        found = audited.found()
    except RuntimeError as error:
        found = {}
        wrong[broken[-1]] = f"cannot be broken: {error}"
    finally:
        for rule in reversed(broken):
            audited.shell(SABOTAGES[rule]["mend"])
    fresh = set(found) - set(at_first) - expected
    for rule in rules:
        if rule not in found:
            wrong.setdefault(rule, "missed")
    if fresh:
        wrong.setdefault(rules[0], f"found besides: { {one: found[one] for one in sorted(fresh)} }")
    return {rule: rule in found for rule in rules}, wrong


def note(number, rule, is_found, what):
    """One line for the table of the docs (tools/sabotage_table)."""
    path = os.environ.get("HAUBERK_SABOTAGE_NOTES")
    if path:
        with open(path, "a", encoding="utf-8") as notes:
            notes.write(f"{number}\t{rule}\t{'found' if is_found else 'missed'}\t{what.splitlines()[0] if what else ''}\n")


def test_the_audit_is_quick_and_changes_nothing(audited):
    before = everything(audited.host)
    audited.host.enter("sh", "-c", "systemctl list-units --no-legend --plain --state=active > /root/units-before")
    began = host.time.monotonic()
    audited.audit()
    took = host.time.monotonic() - began
    guard.measured(f"{audited.host.release}: a whole audit in {took:.1f} s")
    changed = sorted(set(before.items()) ^ set(everything(audited.host).items()))
    assert not changed, f"{changed[:20]}"


def everything(machine):
    """Every file of the host but what is not its own: {path: (size, time of change, mode)}."""
    listed = machine.enter(
        "find", "/", "-xdev", "-not", "-path", "/proc/*", "-not", "-path", "/sys/*", "-not", "-path", "/run/*", "-not",
        "-path", "/var/log/*", "-not", "-path", "/var/lib/hauberk-test/*", "-not", "-path", "/tmp/*", "-not", "-path",
        "/var/spool/postfix/*", "-type", "f", "-printf", r"%p\t%s %T@ %m\n", timeout=120).stdout
    return dict(line.split("\t", 1) for line in listed.splitlines() if "\t" in line)
