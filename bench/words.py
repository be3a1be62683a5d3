"""The lines a mail host writes when somebody comes: sshd, Dovecot and Postfix as Debian 12 and 13 ship
them, worded as filters/*.samples has them from real hosts. Each visit is put down twice: as lines, and as
tries in the visitor's own record, so that a guard that reads the lines can be marked.

SPDX-License-Identifier: GPL-2.0-or-later"""
import collections
import datetime
import random
import string

START = datetime.datetime(2026, 3, 2, tzinfo=datetime.timezone.utc)
START_US = int(START.timestamp()) * 1_000_000
HOUR, DAY = 3600, 86400

MAIL_ACCOUNTS = [f"{name}@example.org" for name in (
    "alice bob carol dave erin frank grace heidi ivan judy karl laura mike nina oscar peggy quentin rosa sam "
    "tina ute victor wendy xaver yvonne zoe anna bert clara dora emil fritz gina hans info sales office").split()]
SSH_ACCOUNTS = ["root", "alice", "backup", "deploy"]
SESSION_LETTERS = string.ascii_letters + string.digits

# at: microseconds of Unix time; service: ssh, mail (logins of all kinds) or smtp (port 25).
Line = collections.namedtuple("Line", "at log text address service")
Try = collections.namedtuple("Try", "at address service account is_right")


class Visitor:
    """One person, program, address or network of a labelled kind."""

    def __init__(self, kind):
        self.kind = kind
        self.own_account = None  # an attacker's, who is a customer
        self.addresses = set()
        self.tries = []


class Host:
    """release: 12 or 13. is_verbose: Dovecot's auth_verbose, a line for each attempt."""

    def __init__(self, seed, release, is_verbose):
        self.random = random.Random(seed)
        self.release, self.is_verbose = release, is_verbose
        self.names_accounts = True  # does Postfix say which account failed?
        self.mx = f"mx{release}"
        self.lines = []
        self.pid = 1000

    def say(self, at, log, program, text, visit=None):
        """at: seconds since the story's start."""
        us = START_US + int(at * 1_000_000)
        stamp = START + datetime.timedelta(microseconds=us - START_US)
        _, address, service = visit or (None, None, None)
        self.lines.append(Line(us, log, f"{stamp.isoformat(timespec='microseconds')} {self.mx} {program}: {text}\n",
                               address, service))

    def note(self, visit, at, account, is_right):
        visitor, address, service = visit
        visitor.addresses.add(address)
        visitor.tries.append(Try(START_US + int(at * 1_000_000), address, service, account, is_right))

    def next_pid(self):
        self.pid = 1000 + (self.pid - 999) % 4_000_000
        return self.pid

    # ---- ssh ----

    def ssh(self, visitor, at, address, tries, gap=2.5):
        """One connection; tries: (user, is_right)…, passwords. Returns when it is over."""
        visit = (visitor, address, "ssh")
        program = f"sshd{'-session' if self.release > 12 else ''}[{self.next_pid()}]"
        port = self.random.randrange(1024, 65535)
        for number, (user, is_right) in enumerate(tries):
            self.note(visit, at, user, is_right)
            exists = user in SSH_ACCOUNTS
            who = user if exists else f"invalid user {user}"
            if not exists and number == 0:
                self.say(at, "auth", program, f"Invalid user {user} from {address} port {port}", visit)
                self.say(at, "auth", program, "pam_unix(sshd:auth): check pass; user unknown", visit)
            if is_right:
                self.say(at, "auth", program, f"Accepted password for {user} from {address} port {port} ssh2", visit)
                return at
            known = f"  user={user}" if exists else " "
            self.say(at, "auth", program, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh "
                     f"ruser= rhost={address}{known}", visit)
            self.say(at, "auth", program, f"Failed password for {who} from {address} port {port} ssh2", visit)
            at += gap
        who = ("authenticating" if exists else "invalid") + f" user {user}"
        self.say(at, "auth", program, f"Connection closed by {who} {address} port {port} [preauth]", visit)
        return at

    def ssh_by_key(self, visitor, at, address, user, is_right=True):
        """A key that is wrong leaves one line at LogLevel INFO: the end of the connection."""
        visit = (visitor, address, "ssh")
        program = f"sshd{'-session' if self.release > 12 else ''}[{self.next_pid()}]"
        port = self.random.randrange(1024, 65535)
        self.note(visit, at, user, is_right)
        if is_right:
            key = "".join(self.random.choices(SESSION_LETTERS, k=43))
            self.say(at, "auth", program, f"Accepted publickey for {user} from {address} port {port} ssh2: "
                     f"ED25519 SHA256:{key}", visit)
        else:
            self.say(at, "auth", program, f"Connection closed by authenticating user {user} {address} port {port} "
                     "[preauth]", visit)

    # ---- Dovecot ----

    def dovecot(self, visitor, at, address, tries, protocol="imap", gap=3.0):
        """One connection; tries: (account, is_right)…. Without auth_verbose its failures are told at its
        end, and not at all when it ends with a login. Returns when it is over."""
        visit = (visitor, address, "mail")
        session = "".join(self.random.choices(SESSION_LETTERS, k=16))
        lip = "192.0.2.11" if ":" not in address else "2001:db8:0:2::11"
        began, failed = at, 0
        for account, is_right in tries:
            self.note(visit, at, account, is_right)
            if is_right:
                word = "Login" if self.release == 12 else "Logged in"
                self.say(at + 0.05, "mail", "dovecot", f"{protocol}-login: {word}: user=<{account}>, method=PLAIN, "
                         f"rip={address}, lip={lip}, mpid={self.next_pid()}, TLS, session=<{session}>", visit)
                return at
            failed += 1
            self.verbose(visit, at, account, f",<{session}>", f"<{session}>")
            at += gap
        how = "Disconnected: Aborted login by logging out" if self.release == 12 else "Login aborted: Logged out"
        end = "" if self.release == 12 else " (auth_failed)"
        self.say(at, "mail", "dovecot", f"{protocol}-login: {how} (auth failed, {failed} attempts in "
                 f"{int(at - began)} secs){end}: user=<{account}>, method=PLAIN, rip={address}, lip={lip}, TLS, "
                 f"session=<{session}>", visit)
        return at

    def verbose(self, visit, at, account, session_12, session_13):
        if not self.is_verbose:
            return
        what = "Password mismatch" if account in MAIL_ACCOUNTS else "unknown user"
        pid, address = self.next_pid(), visit[1]
        if self.release == 12:
            self.say(at, "mail", "dovecot", f"auth-worker({pid}): conn unix:auth-worker (pid=453,uid=102): "
                     f"auth-worker<{pid % 40}>: sql({account},{address}{session_12}): {what}", visit)
        else:
            self.say(at, "mail", "dovecot", f"auth-worker({account},{address})<{pid}>{session_13}: request "
                     f"[{pid % 40}]: sql: {what}", visit)

    # ---- Postfix ----

    def submission(self, visitor, at, address, tries, gap=3.0):
        """One connection to port 587; tries: (account, is_right) or (account, is_right, mechanism)…"""
        visit = (visitor, address, "mail")
        program = f"postfix/submission/smtpd[{self.next_pid()}]"
        self.say(at, "mail", program, f"connect from unknown[{address}]", visit)
        for account, is_right, *mechanism in tries:
            how = mechanism[0] if mechanism else "PLAIN"
            self.note(visit, at, account, is_right)
            if is_right:
                self.say(at, "mail", program, f"{self.next_pid():X}D2CB: client=unknown[{address}], "
                         f"sasl_method={how}, sasl_username={account}", visit)
                break
            # Dovecot's own line has no session here.
            self.verbose(visit, at, account, "", "")
            reason = (f"(reason unavailable), sasl_username={account}" if self.names_accounts else
                      "UGFzc3dvcmQ6" if how == "LOGIN" else "authentication failure")
            self.say(at, "mail", program, f"warning: unknown[{address}]: SASL {how} authentication failed: {reason}",
                     visit)
            at += gap
        self.say(at, "mail", program, f"disconnect from unknown[{address}] commands=4/5", visit)
        return at

    def refused_recipient(self, visitor, at, address, recipient, code, text):
        """Mail that is not taken, or not yet: no try at a password."""
        visit = (visitor, address, "smtp")
        visitor.addresses.add(address)
        program = f"postfix/smtpd[{self.next_pid()}]"
        self.say(at, "mail", program, f"connect from out.example.net[{address}]", visit)
        self.say(at + 0.1, "mail", program, f"NOQUEUE: reject: RCPT from out.example.net[{address}]: {code} "
                 f"<{recipient}>: Recipient address rejected: {text}; from=<bounce@example.net> to=<{recipient}> "
                 "proto=ESMTP helo=<out.example.net>", visit)
        self.say(at + 0.2, "mail", program, f"disconnect from out.example.net[{address}] ehlo=1 mail=1 rcpt=0/1 quit=1 "
                 "commands=3/4", visit)

    def connected_only(self, visitor, at, address):
        """A monitor: is there a greeting?"""
        visit = (visitor, address, "mail")
        visitor.addresses.add(address)
        how, end = (("Disconnected: Aborted login by logging out", "") if self.release == 12 else
                    ("Login aborted: Logged out", " (no_auth_attempts)"))
        session = "".join(self.random.choices(SESSION_LETTERS, k=16))
        self.say(at, "mail", "dovecot", f"imap-login: {how} (no auth attempts in 0 secs){end}: user=<>, rip={address}, "
                 f"lip=192.0.2.11, TLS, session=<{session}>", visit)
        program = f"postfix/smtpd[{self.next_pid()}]"
        self.say(at + 0.1, "mail", program, f"connect from monitor.example.net[{address}]", visit)
        self.say(at + 0.2, "mail", program, f"disconnect from monitor.example.net[{address}] ehlo=1 quit=1 commands=2",
                 visit)
        self.say(at + 0.3, "auth", f"sshd[{self.next_pid()}]", f"Connection closed by {address} port "
                 f"{self.random.randrange(1024, 65535)}", visit)
