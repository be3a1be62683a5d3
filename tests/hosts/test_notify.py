"""The owner's mailbox: a suspicious login is one mail there, brought by the package's unit through the real Postfix, and so
is what the weekly audit finds otherwise than the week before."""

import concurrent.futures
import email
import email.policy
import os

import pytest

import host
import trees
from test_package import Packaged

STRANGER, PORT = "203.0.113.91", 993
PASSWORD = host.users()["alice"]
# So many wrong passwords as make a login suspicious would be a ban before.
PATIENT = "[dovecot]\nmaxretry = 100\nslow.maxretry = 0\n"


@pytest.fixture(scope="module")
def told(world, release):
    """A mail server with the package, whose root reads his mail."""
    made = host.Host(world, release, name=f"notify-{release}", layers=[trees.path_of(release, "package")])
    made.path("/usr/sbin/policy-rc.d").unlink()
    made.path("/etc/hauberk/hauberk.d").mkdir(parents=True)
    made.write("/etc/hauberk/hauberk.d/patient.conf", PATIENT)
    made.boot()
    guarded = Packaged(made)
    guarded.install("new")
    yield guarded
    guarded.watch.close()
    made.close()


def mails(machine, kind):
    """What lies in root's mailbox of that kind."""
    folder = machine.path("/root/Maildir/new")
    read = [email.message_from_bytes((folder / name).read_bytes(), policy=email.policy.default)
            for name in (sorted(os.listdir(folder)) if folder.is_dir() else [])]
    return [mail for mail in read if mail["X-Hauberk"] == kind]


def test_a_suspicious_login_is_one_mail(told, outside):
    machine = told.host
    with concurrent.futures.ThreadPoolExecutor(6) as pool:  # side by side, for Dovecot delays each further failure more
        for tried in [pool.submit(outside.login, "imaps", STRANGER, machine.address, f"guess{n}", "wrong")
                      for n in range(6)]:
            tried.result()
    outside.login("imaps", STRANGER, machine.address, "alice", PASSWORD)
    try:
        host.wait_for(lambda: mails(machine, "suspicious"), 30)
    except TimeoutError as late:
        raise AssertionError(told.journal()[-3000:] + machine.read("/var/log/mail.log")[-3000:]) from late
    answer = told.word("notify", "--test", check=False)
    assert answer.stdout == "mail to root: sendmail took it\n", answer.stdout + answer.stderr
    host.wait_for(lambda: mails(machine, "test"), 30)
    mail, = mails(machine, "suspicious")
    assert mail["To"].startswith("root") and mail["Auto-Submitted"] == "auto-generated"
    assert mail["From"].startswith("hauberk <hauberk@") and mail["Message-ID"] and mail["Date"]
    assert f"suspicious login from {STRANGER}" in mail["Subject"] and "alice" not in mail["Subject"]
    said = mail.get_content()
    assert said.startswith(f"alice logged in from {STRANGER}, after "), said
    assert "guess" not in said
    assert said.rstrip().endswith(f"hauberk why {STRANGER}"), said
    kinds = [mail["X-Hauberk"] for mail in mails(machine, "suspicious") + mails(machine, "test")]
    assert kinds == ["suspicious", "test"]


def test_who_brings_it_has_no_rights(told):
    """Postfix notes who handed a mail in: the decider's user, not root."""
    log = told.host.read("/var/log/mail.log")
    uid = told.host.enter("id", "-u", "hauberk").stdout.strip()
    assert f"uid={uid} from=<root>" in log, log[-2000:]


def weekly(told, expected):
    """The timer's unit now, and what of its mails there are after it: so many. The last one's text."""
    machine = told.host
    told.systemctl("start", "hauberk-audit.service")
    result = machine.enter("systemctl", "show", "--value", "-p", "Result", "hauberk-audit.service").stdout.strip()
    assert result == "success", machine.journal("-u", "hauberk-audit.service")[-3000:]
    host.wait_for(lambda: len(mails(machine, "audit")) >= expected, 30, f"mail {expected} of an audit")
    found = mails(machine, "audit")
    assert len(found) == expected, [mail.get_content() for mail in found]
    return found[-1].get_content()


def test_the_weekly_audit_mails_what_changed_and_only_that(told):
    """All that is weak at first, then nothing, then what somebody changed, then that it was mended."""
    machine = told.host
    rule = "postfix-relay-for-the-world"
    first = weekly(told, 1)
    assert rule not in first and "host-firewall" in first, first
    weekly(told, 1)
    own = machine.enter("postconf", "-h", "mynetworks").stdout.strip()
    machine.enter("postconf", "-e", "mynetworks = 0.0.0.0/0")
    changed = weekly(told, 2)
    assert rule in changed and "host-firewall" not in changed, changed
    machine.enter("postconf", "-e", f"mynetworks = {own}")
    mended = weekly(told, 3)
    assert rule in mended and "host-firewall" not in mended, mended
