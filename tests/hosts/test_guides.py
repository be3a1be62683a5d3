"""The five old guides that this project was founded on, followed on a plain mail server, and what the audit says of it.

tests/guides/S….sh brings a booted host (services, and the packages the guide names) into the state that the guide gives,
as far as today's packages allow; what they do not is said in its head. Every rule that says of the guide "you followed a
guide that …" (`harmful`) has to find it there. S1 has lines that keep its servers from starting; S1-mended.sh then
writes them as they were meant, and the audit looks a second time.

A script may leave the zone that its guide has one publish in /root/zone: NAME KIND DATA a line.
HAUBERK_GUIDES_NOTES names a file for what is found, a JSON object a line, from which tools/guides_page writes
docs/guides.md.
"""

import ipaddress
import json
import os
import re

import pytest

import guard
import host
import names
import test_audit
import trees

NAMES = sorted(path.stem for path in trees.GUIDES.glob("S?.sh"))
# What S2 sends its questions to, which in this world is the harness too.
OPEN_RESOLVER = "8.8.8.8"
# A mail server of example.org, as nobody has followed a guide on it.
PLAIN = """postconf -e myhostname=mail.example.org 'mydestination = example.org, localhost'
    echo 'nameserver %s' >/etc/resolv.conf; cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf
    mkdir -p /var/lib/hauberk-test /etc/hauberk/hauberk.d
    printf '[hauberk]\\ndomains = example.org\\n' >/etc/hauberk/hauberk.d/domains.conf
    systemctl restart postfix""" % host.GATEWAY_4

# What a guide's host cannot show, why, and on which release only (None: on both).
CANNOT = {
    ("S1", "dovecot-configuration-broken"): ("Dovecot 2.3 only warns of it", "12"),
    ("S2", "dns-dkim-short"): ("its text ends before OpenDKIM is set up, and nothing here signs with that key", None),
    ("S2", "resolver-public-with-lists"): ("its text ends before any blocklist is asked", None),
    ("S2", "rspamd-public-resolver"): ("it has no Rspamd", None),
    ("S2", "unbound-forwards-to-public"): ("its own resolver would come after its text ends", None),
    ("S4", "dns-dkim-short"): ("opendkim-genkey makes 2048 bits by itself today; the key that the guide shows has 1024", None),
}


def cannot(guide, rule, number):
    """Why the guide's host of that release cannot show the rule; "" when it can."""
    reason, only = CANNOT.get((guide, rule), ("", None))
    return reason if only in (None, number) else ""


def harmful_rules():
    """{rule: (the guides its `harmful` names, that sentence)}, for all shipped rules that have one."""
    found = {}
    for path in sorted((trees.CHECKOUT / "hardening").glob("*.rules")):
        for section in re.split(r"^\[", path.read_text(), flags=re.M)[1:]:
            told = re.search(r"^harmful *= *(.*)$", section, re.M)
            if told:
                found[section[:section.index("]")]] = (re.findall(r"\bS[0-4]\b", told[1]), told[1].replace("%%", "%"))
    return found


HARMFUL = harmful_rules()


def is_of(rule, number):
    """Can the rule be asked on that release?"""
    return test_audit.SABOTAGES.get(rule, {}).get("on", number) == number


@pytest.fixture(scope="session")
def open_resolver(world, resolver):
    """The resolver that the whole world asks, with the same answers as the world's own."""
    host.ip("addr", "add", f"{OPEN_RESOLVER}/32", "dev", "br0")
    made = names.Names(OPEN_RESOLVER)
    made.published = resolver.published
    yield made
    made.close()


class Followed:
    """A host on which somebody follows a guide; None: nobody does."""

    def __init__(self, world, release, guide, resolver):
        own = [trees.path_of(release, f"guide-{guide}")] if guide else []
        self.resolver = resolver
        self.host = host.Host(world, release, name=f"{(guide or 'plain').lower()}-{release}",
                              layers=[trees.path_of(release, "hauberk"), *own]).boot()
        self.audited = test_audit.Audited(self.host)
        self.audited.shell(PLAIN)
        self.publish()

    def follow(self, script):
        """Run a script of tests/guides."""
        self.host.write("/root/guide.sh", (trees.GUIDES / script).read_text())
        self.host.enter("sh", "-eu", "/root/guide.sh", timeout=300)
        self.host.enter("rm", "/root/guide.sh")
        self.publish()

    def publish(self):
        """Let the DNS say what the host's zone has, and the reverse names that belong to it."""
        lines = self.zone()
        name = next(line.split()[2] for line in lines if line.split()[1] == "MX")
        for address in (self.host.address, self.host.address_6):
            lines.append(f"{ipaddress.ip_address(address).reverse_pointer} PTR {name}")
        self.resolver.publish([". NS ns.example.org", *lines])

    def zone(self):
        """What the guide has one publish, or what a plain host has."""
        path = self.host.path("/root/zone")
        if path.exists():
            return path.read_text().splitlines()
        return [f"mail.example.org A {self.host.address}", f"mail.example.org AAAA {self.host.address_6}",
                "example.org MX mail.example.org", "example.org TXT v=spf1 mx -all"]

    def close(self):
        """End the host."""
        self.host.close()


def test_the_plain_host_is_sound(world, resolver, release):
    followed = Followed(world, release, None, resolver)
    try:
        report = followed.audited.audit()
    finally:
        followed.close()
    note(test_audit.NUMBERS[release], "plain", [report], set())
    broken = {one["id"] for one in report["findings"]} & {"postfix-configuration-broken", "dovecot-configuration-broken",
                                                         "host-failed-units"}
    assert not broken, "what is broken on a guide's host would not be the guide's doing"


@pytest.mark.parametrize("guide", NAMES)
def test_what_a_guide_harms_is_found(world, resolver, open_resolver, release, guide):
    number = test_audit.NUMBERS[release]
    followed = Followed(world, release, guide, resolver)
    reports = []
    try:
        for script in (f"{guide}.sh", f"{guide}-mended.sh"):
            if (trees.GUIDES / script).exists():
                followed.follow(script)
                reports.append(followed.audited.audit())
    finally:
        followed.close()
    found = {one["id"] for report in reports for one in report["findings"]}
    named = {rule for rule, (guides, _) in HARMFUL.items() if guide in guides and is_of(rule, number)}
    missed = named - found
    note(number, guide, reports, named)
    for report in reports:
        guard.measured(f"{guide} on {release}: {report['grade']}, {report['score']}, {len(report['findings'])} findings")
    unexpected = {rule for rule in missed if not cannot(guide, rule, number)}
    assert not unexpected, f"missed: {sorted(unexpected)}; found {sorted(found)}"
    shown = {rule for rule in named & found if cannot(guide, rule, number)}
    assert not shown, f"said not to show, and found: {sorted(shown)}"


def test_harmful_rules_name_guides():
    unknown = sorted(rule for rule, (guides, _) in HARMFUL.items() if not set(guides) & set(NAMES))
    assert not unknown


def note(number, guide, reports, named):
    """One line for the page of the docs (tools/guides_page)."""
    path = os.environ.get("HAUBERK_GUIDES_NOTES")
    if not path:
        return
    audits = [{"score": report["score"], "grade": report["grade"], "passed": report["passed"],
               "skipped": report["skipped"],
               "findings": [{key: one[key] for key in ("id", "severity", "title")} for one in report["findings"]]}
              for report in reports]
    harmful = [{"id": rule, "sentence": HARMFUL[rule][1], "cannot": cannot(guide, rule, number)} for rule in sorted(named)]
    with open(path, "a", encoding="utf-8") as notes:
        notes.write(json.dumps({"release": number, "guide": guide, "audits": audits, "harmful": harmful}) + "\n")
