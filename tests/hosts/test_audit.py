"""The audit on booted mail servers: in the hardened state nothing is found, and each sabotage is.

tests/sabotage/hardened/ brings a whole mail server into the state that the rules want; tests/sabotage/*.sabotage has for
each rule the commands that break exactly that, as guides do, and those that mend it again:

    [RULE]
    break = commands        (sh -eu, as root on the host)
    mend  = commands
    also  = RULE …          rules that this finds too, of necessity
    on    = 12              only on that release

A mend says what a person would do, and does not know what else the hardened state has in the file it writes. So what it
leaves under /etc is brought back from a copy, and the service that reads it told.
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
COPY = "/root/as-hardened"
# Who reads what lies under /etc, and how it is told of a change.
READERS = {
    "etc/postfix": "postfix reload", "etc/dovecot": "doveadm reload", "etc/nginx": "systemctl reload nginx",
    "etc/ssh": "systemctl reload ssh", "etc/rspamd": "systemctl reload rspamd", "etc/systemd": "systemctl daemon-reload",
    "etc/sysctl.d": "sysctl -q --system", "etc/aliases": "newaliases",
}


def read_sabotages():
    """All sections of all files by rule."""
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    for path in sorted(SABOTAGE.glob("*.sabotage")):
        parser.read(path)
    return {name: dict(parser[name]) for name in parser.sections()}


SABOTAGES = read_sabotages()


def shipped_rules():
    """The services of all rules by id."""
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    for path in sorted((trees.CHECKOUT / "hardening").glob("*.rules")):
        parser.read(path)
    return {name: parser[name]["service"] for name in parser.sections()}


RULES = shipped_rules()


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

    def found(self, *options):
        """What is found, as {rule: evidence}."""
        return {one["id"]: one["evidence"] for one in self.audit(*options)["findings"]}

    def settings(self):
        """Everything under /etc: {path: what stat says of it}."""
        listed = self.shell(r"cd / && find etc -mindepth 1 \( -type d -printf '%p\t%y %m %U %G\n' \) -o "
                            r"-printf '%p\t%y %m %U %G %T@ %s %l\n'").stdout
        return dict(line.split("\t", 1) for line in listed.splitlines())

    def keep_settings(self):
        """Keep a copy of /etc for `bring_back_settings`."""
        self.shell(f"mkdir -p {COPY} && cp -a /etc {COPY}/")
        self.kept = self.settings()

    def bring_back_settings(self):
        """Make /etc again what it was, and tell who reads it."""
        now = self.settings()
        changed = sorted(path for path in {*now, *self.kept} if now.get(path) != self.kept.get(path))
        for path in changed:
            if path not in self.kept:
                self.host.enter("rm", "-rf", f"/{path}")
            elif self.kept[path].startswith("d"):
                self.host.enter("sh", "-ec", 'mkdir -p "/$2"; chmod --reference="$1/$2" "/$2"; chown --reference="$1/$2" "/$2"',
                                "sh", COPY, path)
            else:
                self.host.enter("cp", "-a", "--no-target-directory", "--remove-destination", f"{COPY}/{path}", f"/{path}")
        for reader, tell in READERS.items():
            if any(path == reader or path.startswith(f"{reader}/") for path in changed):
                self.host.enter("sh", "-c", tell, check=False)


def harden(machine):
    """Bring a host with the layers `whole` and `hardened` into the state that the rules want."""
    machine.enter("mkdir", "-p", "/var/lib/hauberk-test")
    machine.enter("postconf", "-e", "myhostname=mail.example.org")      # certificates and the DNS are made for it
    for file in sorted((SABOTAGE / "dns").iterdir()):
        machine.write(f"/opt/dns-world/{file.name}", file.read_text())
    machine.enter("chmod", "+x", "/opt/dns-world/dns-world")
    # The DNS last: it publishes the certificate that the others made.
    for script in sorted((SABOTAGE / "hardened").glob("*.sh"), key=lambda path: (path.stem == "dns", path.stem)):
        machine.write(f"/root/hardened/{script.name}", script.read_text())
        machine.enter("sh", "-eu", f"/root/hardened/{script.name}", timeout=300)


@pytest.fixture(scope="session")
def audited(world, release):
    """A booted host in the hardened state."""
    made = host.Host(world, release, name=f"mail-{release}",
                     layers=[trees.path_of(release, "hauberk"), trees.path_of(release, "hardened"),
                             trees.path_of(release, "whole")]).boot()
    harden(made)
    hardened = Audited(made)
    hardened.keep_settings()
    yield hardened
    made.close()


@pytest.fixture(scope="session")
def at_first(audited):
    """What is found in the hardened state: nothing, as the test of that name says."""
    return audited.found()


def test_every_rule_has_a_sabotage():
    missing = sorted(set(RULES) - set(SABOTAGES) - {"host-drift"})     # test_nothing_drifts_by_itself
    unknown = sorted(set(SABOTAGES) - set(RULES))
    assert not missing and not unknown, f"without sabotage: {missing}; sabotages of no rule: {unknown}"


def test_the_hardened_host_has_no_findings(audited):
    report = audited.audit()
    found = {one["id"]: one["evidence"] for one in report["findings"]}
    assert not found, f"{found}"
    guard.measured(f"{audited.host.release}: {report['passed']} passed, {len(report['skipped'])} not looked at: "
                   + ", ".join(f"{one['id']} ({one['reason']})" for one in report["skipped"]))


@pytest.mark.parametrize("rule", sorted(SABOTAGES))
def test_a_sabotage_is_found(audited, at_first, rule, request):
    """It, and nothing else of the services that it and its companions are about, or (--whole-audit) nothing else at all."""
    sabotage = SABOTAGES[rule]
    if sabotage.get("on", audited.number) != audited.number:
        pytest.skip(f"of Debian {sabotage['on']} only")
    expected = {rule, *sabotage.get("also", "").split()}
    found = set()
    try:
        audited.shell(sabotage["break"])
        services = [] if request.config.getoption("--whole-audit") else sorted({RULES[one] for one in expected})
        for options in [("--service", one) for one in services] or [()]:
            found |= set(audited.found(*options))
    finally:
        audited.shell(sabotage["mend"])
        audited.bring_back_settings()
    fresh = sorted(found - set(at_first) - expected)
    note(audited.number, rule, rule in found, " ".join(fresh))
    assert rule in found, f"missed; found {sorted(found)}"
    assert not fresh, f"found besides: {fresh}"


def test_after_all_of_them_the_host_is_as_it_was(audited, at_first):
    assert audited.found() == at_first


def note(number, rule, is_found, what):
    """One line for the table of the docs (tools/sabotage_page)."""
    path = os.environ.get("HAUBERK_SABOTAGE_NOTES")
    if path:
        with open(path, "a", encoding="utf-8") as notes:
            notes.write(f"{number}\t{rule}\t{'found' if is_found else 'missed'}\t{what}\n")


def test_nothing_drifts_by_itself(audited):
    """What was accepted a moment ago is as it was, and a change is found."""
    audited.audit("--accept")
    assert "host-drift" not in audited.found()
    audited.shell("postconf -e smtpd_banner=x")
    try:
        found = audited.found()
        note(audited.number, "host-drift", "host-drift" in found, "")
        assert found["host-drift"]
    finally:
        audited.shell("postconf -e 'smtpd_banner = $myhostname ESMTP'; rm /var/lib/hauberk-test/audit/baseline")


def test_the_audit_is_quick_and_changes_nothing(audited):
    before = everything(audited.host)
    began = host.time.monotonic()
    audited.audit()
    took = host.time.monotonic() - began
    guard.measured(f"{audited.host.release}: a whole audit in {took:.1f} s")
    changed = sorted(set(before.items()) ^ set(everything(audited.host).items()))
    assert not changed, f"{changed[:20]}"


def everything(machine):
    """Every file of the host but what is not its own: {path: (size, time of change, mode)}."""
    # Roundcube counts who asks for its page as a session, the guard notes who speaks with the services, and Postfix
    # keeps sessions and random numbers.
    others = ("/proc", "/sys", "/run", "/tmp", "/var/log", "/var/spool/postfix", "/var/lib/hauberk", "/var/lib/hauberk-test",
              "/var/lib/dbconfig-common/sqlite3", "/var/lib/postfix")
    pruned = [word for path in others for word in ("-not", "-path", f"{path}/*")]
    listed = machine.enter("find", "/", "-xdev", *pruned, "-type", "f", "-printf", r"%p\t%s %T@ %m\n", timeout=120).stdout
    return dict(line.split("\t", 1) for line in listed.splitlines() if "\t" in line)
