"""Attack both releases in every way we know and keep what their services logged: raw material for filter samples.

    /usr/bin/python3 tests/hosts/harvest.py FOLDER

leaves FOLDER/RELEASE/{auth.log,mail.log,journal.txt} and FOLDER/RELEASE/cases.txt, which says per case the round, the
moment, the source address (each case has its own) and what the client saw.
"""

import concurrent.futures
import contextlib
import datetime
import imaplib
import pathlib
import smtplib
import subprocess
import sys
import threading

import attack
import host
import trees
from attack import plain

TRICKS = ["root from 1.2.3.4 port 22 ssh2", "alice rip=1.2.3.4", "x>, method=PLAIN, rip=1.2.3.4, lip=5.6.7.8, TLS",
          "alice@example.org", "rhost=1.2.3.4", "ruser=root rhost=1.2.3.4 ", "unknown[1.2.3.4]: SASL LOGIN failed",
          "a,1.2.3.4,<sess>", "invalid user root from 1.2.3.4", " ", "user name", "j\u00fcrgen", "%s%n", "x" * 300,
          "Failed password for root from 1.2.3.4 port 22 ssh2", "<alice>", "a(b)c", "a'b\"c\\d", "1.2.3.4",
          "alice): unknown user (1.2.3.4", "a\tb", "alice\nFailed password for root from 1.2.3.4 port 22 ssh2"]


class Harvest:
    """One host's attacks, each from an address of its own."""

    def __init__(self, machine, client, number):
        self.host, self.client, self.number = machine, client, number
        self.users = host.users()
        self.lock = threading.Lock()
        self.cases, self.used = [], 0
        self.round = "default"
        self.key = client.world.folder / f"key-{machine.name}"
        self.key.write_text(machine.read("/etc/test-keys/right"))
        self.key.chmod(0o600)
        self.wrong_keys = []
        for n in range(7):
            path = client.world.folder / f"wrong-{machine.name}-{n}"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
            self.wrong_keys.append(path)

    def source(self):
        """The next unused address: mostly IPv4, each eighth IPv6. Returns (source, the host's address)."""
        with self.lock:
            self.used += 1
            n = self.used
        if n % 8 == 0:
            return f"2001:db8:bad:{n:x}::{self.number + 1}", self.host.address_6
        network = "203.0.113" if n <= 250 else "198.51.100"
        return f"{network}.{n % 250 + 1}", self.host.address

    def note(self, name, work):
        """Do one case and write down what happened."""
        source, target = self.source()
        began = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        try:
            outcome = work(source, target)
        except Exception as error:      # whatever a client meets is what we want to know
            outcome = f"{type(error).__name__}: {error}"
        with self.lock:
            self.cases.append(f"{began} round={self.round} source={source} case={name!r}: {outcome!r}")

    def run(self, cases):
        """Do the cases of a round, some at a time."""
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for job in [pool.submit(self.note, name, work) for name, work in cases]:
                job.result()

    # --- the cases ---------------------------------------------------------------------------------------------------

    def ssh(self):
        """Logins by SSH, right and wrong."""
        ssh, right = self.client.ssh, self.users["alice"]
        yield "ssh unknown user", lambda s, t: ssh(s, t, "nosuch", "wrong")
        yield "ssh unknown user, 3 passwords", lambda s, t: ssh(s, t, "nosuch", "wrong", "wrong2", "wrong3")
        yield "ssh wrong password", lambda s, t: ssh(s, t, "alice", "wrong")
        yield "ssh wrong password, 3 in a connection", lambda s, t: ssh(s, t, "alice", "wrong", "wrong2", "wrong3")
        yield "ssh 8 wrong passwords in a connection", lambda s, t: ssh(s, t, "alice", *"abcdefgh")
        yield "ssh wrong then right in a connection", lambda s, t: ssh(s, t, "alice", "wrong", right)
        yield "ssh root wrong password", lambda s, t: ssh(s, t, "root", "wrong")
        yield "ssh wrong key", lambda s, t: ssh(s, t, "alice", keys=self.wrong_keys[:1])
        yield "ssh wrong key of unknown user", lambda s, t: ssh(s, t, "nosuch", keys=self.wrong_keys[:1])
        yield "ssh 7 wrong keys", lambda s, t: ssh(s, t, "alice", keys=self.wrong_keys)
        yield "ssh 7 wrong keys of unknown user", lambda s, t: ssh(s, t, "nosuch", keys=self.wrong_keys)
        yield "ssh 2 wrong keys then right password", lambda s, t: ssh(s, t, "alice", right, keys=self.wrong_keys[:2])
        yield "ssh 2 wrong keys then right key", lambda s, t: ssh(s, t, "alice", keys=[*self.wrong_keys[:2], self.key])
        yield "ssh right password", lambda s, t: ssh(s, t, "alice", right)
        yield "ssh right key", lambda s, t: ssh(s, t, "alice", keys=[self.key])
        yield "ssh no method", lambda s, t: ssh(s, t, "alice")
        yield "ssh no method, unknown user", lambda s, t: ssh(s, t, "nosuch")
        yield "ssh old key exchange", lambda s, t: ssh(s, t, "alice", "x", KexAlgorithms="diffie-hellman-group1-sha1")
        yield "ssh expired account, right password", lambda s, t: ssh(s, t, "carol", self.users["carol"])
        yield "ssh empty password", lambda s, t: ssh(s, t, "alice", "")
        yield "ssh says QUIT", lambda s, t: self.raw(s, t, 22, b"QUIT\r\n")
        yield "ssh says GET", lambda s, t: self.raw(s, t, 22, b"GET / HTTP/1.0\r\n\r\n")
        yield "ssh connect and close", lambda s, t: self.raw(s, t, 22, b"", read=False)
        yield "ssh connect and reset", lambda s, t: self.raw(s, t, 22, b"", read=False, reset=True)
        yield "ssh banner then close", lambda s, t: self.raw(s, t, 22, b"SSH-2.0-Go\r\n")
        yield "ssh banner then reset", lambda s, t: self.raw(s, t, 22, b"SSH-2.0-Go\r\n", reset=True)
        yield "ssh 5 connections with a wrong password", lambda s, t: [ssh(s, t, "bob", "wrong")[0] for _ in range(5)]

    def ssh_tricks(self):
        """User names that imitate a log line."""
        for user in TRICKS:
            yield f"ssh user {user[:60]!r}", lambda s, t, user=user: self.client.ssh(s, t, user, "wrong")

    def smtp(self):
        """SMTP AUTH."""
        smtp, right = self.client.smtp, self.users["alice"]
        for port in (587, 465):
            for mechanism in ("PLAIN", "LOGIN"):
                for user, word, password in (("alice", "wrong", "wrong"), ("nosuch", "unknown user", "wrong"),
                                             ("alice", "right", right)):
                    yield f"smtp {port} {mechanism} {word}", lambda s, t, p=port, m=mechanism, u=user, w=password: smtp(
                        s, t, u, w, port=p, mechanism=m)
        yield "smtp 587 PLAIN wrong 3 times in a connection", lambda s, t: smtp(s, t, "alice", "wrong", tries=3)
        yield "smtp 465 LOGIN wrong 3 times in a connection", lambda s, t: smtp(s, t, "alice", "wrong", 465, "LOGIN", 3)
        yield "smtp 587 without TLS", lambda s, t: self.smtp_lines(s, t, 587, f"AUTH PLAIN {plain('alice', 'x')}")
        yield "smtp 25 AUTH", lambda s, t: self.smtp_lines(s, t, 25, f"AUTH PLAIN {plain('alice', 'x')}")
        yield "smtp 465 bad base64", lambda s, t: self.smtp_lines(s, t, 465, "AUTH PLAIN =====")
        yield "smtp 465 aborted AUTH", lambda s, t: self.smtp_lines(s, t, 465, "AUTH PLAIN", "*", "QUIT")
        yield "smtp 465 unknown mechanism", lambda s, t: self.smtp_lines(s, t, 465, "AUTH CRAM-MD5", "QUIT")
        yield "smtp 465 AUTH then reset", lambda s, t: self.smtp_lines(
            s, t, 465, f"AUTH PLAIN {plain('alice', 'x')}", cut=True)
        yield "smtp 465 AUTH answered, then reset", lambda s, t: self.smtp_lines(
            s, t, 465, f"AUTH PLAIN {plain('alice', 'x')}", reset=True)
        yield "smtp 25 relay denied", lambda s, t: self.smtp_lines(
            s, t, 25, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>", "QUIT")
        yield "smtp 25 unknown recipient", lambda s, t: self.smtp_lines(
            s, t, 25, "MAIL FROM:<a@example.org>", "RCPT TO:<nosuch>", "QUIT")
        yield "smtp 25 delivered", lambda s, t: self.send(s, t)
        yield "smtp 587 submitted", lambda s, t: self.send(s, t, "alice", right)
        yield "smtp 25 http", lambda s, t: self.raw(s, t, 25, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield "smtp 465 no TLS", lambda s, t: self.raw(s, t, 465, b"EHLO x\r\n")

    def smtp_tricks(self):
        """User names that imitate a log line."""
        for user in [*TRICKS, ""]:
            yield f"smtp user {user[:60]!r}", lambda s, t, user=user: self.smtp_lines(
                s, t, 465, f"AUTH PLAIN {plain(user, 'wrong')}", "QUIT")

    def box(self):
        """IMAP and POP3."""
        right = self.users["alice"]
        imap, pop = self.client.imap, self.client.pop
        for port in (993, 143):
            for tries in (1, 3):
                yield f"imap {port} wrong x{tries}", lambda s, t, p=port, n=tries: imap(s, t, "alice", "wrong", p, n)
            yield f"imap {port} unknown user", lambda s, t, p=port: imap(s, t, "nosuch", "wrong", p)
            yield f"imap {port} right", lambda s, t, p=port: imap(s, t, "alice", right, p)
            yield f"imap {port} wrong, reset", lambda s, t, p=port: imap(s, t, "alice", "wrong", p, leave="reset")
            yield f"imap {port} right, reset", lambda s, t, p=port: imap(s, t, "alice", right, p, leave="reset")
            yield f"imap {port} wrong then right", lambda s, t, p=port: self.imap_both(s, t, p)
        for port in (995, 110):
            for tries in (1, 3):
                yield f"pop {port} wrong x{tries}", lambda s, t, p=port, n=tries: pop(s, t, "alice", "wrong", p, n)
            yield f"pop {port} unknown user", lambda s, t, p=port: pop(s, t, "nosuch", "wrong", p)
            yield f"pop {port} right", lambda s, t, p=port: pop(s, t, "alice", right, p)
        yield "imap 993 unknown user x3", lambda s, t: imap(s, t, "nosuch", "wrong", 993, 3)
        yield "imap 993 expired account, right password", lambda s, t: imap(s, t, "carol", self.users["carol"])
        yield "imap 993 connect, no login", lambda s, t: imap(s, t, "", "", tries=0)
        yield "imap 993 no login, reset", lambda s, t: imap(s, t, "", "", tries=0, leave="reset")
        yield "imap 993 reset while password is checked", self.imap_cut
        yield "imap 143 LOGIN without TLS", lambda s, t: self.raw(s, t, 143, b"a LOGIN alice wrong\r\nb LOGOUT\r\n")
        yield "pop 110 PASS without TLS", lambda s, t: self.raw(s, t, 110, b"USER alice\r\nPASS wrong\r\nQUIT\r\n")
        yield "imap 993 http instead of TLS", lambda s, t: self.raw(s, t, 993, b"GET / HTTP/1.0\r\n\r\n")
        yield "imap 143 http", lambda s, t: self.raw(s, t, 143, b"GET / HTTP/1.0\r\n" + b"a b c\r\n" * 25)
        yield "imap 993 connect and close", lambda s, t: self.raw(s, t, 993, b"", read=False)
        yield "imap 993 PLAIN aborted", lambda s, t: self.imap_lines(s, t, b"a AUTHENTICATE PLAIN", b"*", b"b LOGOUT")
        yield "imap 993 PLAIN bad base64", lambda s, t: self.imap_lines(
            s, t, b"a AUTHENTICATE PLAIN", b"===", b"b LOGOUT")
        yield "imap 993 unknown mechanism", lambda s, t: self.imap_lines(s, t, b"a AUTHENTICATE CRAM-MD5", b"b LOGOUT")
        yield "imap 993 LOGIN mechanism wrong", lambda s, t: self.imap_lines(
            s, t, b"a AUTHENTICATE LOGIN", b"YWxpY2U=", b"eA==", b"b LOGOUT")
        yield "imap 993 authzid", lambda s, t: self.imap_lines(
            s, t, b"a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHg=", b"b LOGOUT")
        yield "imap 993 4 wrong connections", lambda s, t: [imap(s, t, "bob", "wrong") for _ in range(4)]

    def box_tricks(self):
        """User names that imitate a log line."""
        for user in [*TRICKS, ""]:
            yield f"imap user {user[:60]!r}", lambda s, t, user=user: self.imap_plain(s, t, user)

    # --- hand-made conversations -------------------------------------------------------------------------------------

    def raw(self, source, target, port, data, read=True, reset=False):
        """Send bytes, read what comes within two seconds, go away."""
        sock = self.client.connect(source, target, port)
        sock.settimeout(2)
        answer = b""
        with contextlib.suppress(OSError):
            sock.sendall(data)
            while read and (part := sock.recv(4096)):
                answer += part
        if reset:
            attack.reset(sock)
        sock.close()
        return answer[:120]

    def smtp_lines(self, source, target, port, *lines, cut=False, reset=False):
        """EHLO, then the lines one by one; `cut` resets without awaiting the last answer."""
        with self.client.netns:
            if port == 465:
                client = smtplib.SMTP_SSL(target, port, "client.test", timeout=30, source_address=(source, 0),
                                          context=attack.tls())
            else:
                client = smtplib.SMTP(target, port, "client.test", 30, (source, 0))
        client.ehlo()
        answers = []
        for number, line in enumerate(lines, 1):
            client.send(line + "\r\n")
            if cut and number == len(lines):
                break
            answers.append(client.getreply())
        if cut or reset:
            attack.reset(client.sock)
        client.close()
        return answers

    def send(self, source, target, user=None, password=None):
        """A mail to bob."""
        with self.client.smtp_open(source, target, 587 if user else 25) as client:
            if user:
                client.login(user, password)
            return client.sendmail(f"{user or 'friend'}@example.org", ["bob@localhost"], "Subject: hi\r\n\r\nhello\r\n")

    def imap_both(self, source, target, port):
        """A wrong password, then the right one, in one connection."""
        client = self.client.imap_open(source, target, port)
        with contextlib.suppress(imaplib.IMAP4.error):
            client.login("alice", "wrong")
        outcome = client.login("alice", self.users["alice"])
        client.logout()
        return outcome

    def imap_cut(self, source, target):
        """Reset while the password is still being looked at."""
        client = self.client.imap_open(source, target)
        client.send(b"a LOGIN alice wrong\r\n")
        attack.reset(client.sock)

    def imap_lines(self, source, target, *lines):
        """Lines one by one on an IMAPS connection."""
        client = self.client.imap_open(source, target)
        answers = []
        for line in lines:
            client.send(line + b"\r\n")
            answers.append(client.readline())
        attack.reset(client.sock)
        return answers

    def imap_plain(self, source, target, user):
        """A wrong password by AUTHENTICATE PLAIN, which carries any user name."""
        client = self.client.imap_open(source, target)
        try:
            return client.authenticate("PLAIN", lambda _: f"\0{user}\0wrong".encode())
        except imaplib.IMAP4.error as error:
            return str(error)
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    # --- all rounds --------------------------------------------------------------------------------------------------

    def everything(self):
        """Every case under Debian's defaults, then again with the settings that change the lines."""
        self.host.enter("chage", "-E", "0", "carol")
        self.run([*self.ssh(), *self.smtp(), *self.box(), *self.ssh_tricks(), *self.smtp_tricks(), *self.box_tricks()])
        self.round = "auth_verbose=yes"
        self.host.write("/etc/dovecot/verbose.conf", "auth_verbose = yes\n")
        self.host.enter("systemctl", "restart", "dovecot")
        self.run([*self.smtp(), *self.box(), *self.smtp_tricks(), *self.box_tricks()])
        self.round = "AllowUsers,sshd-VERBOSE,keyboard-interactive,LoginGraceTime=12,names-of-clients"
        self.host.write("/etc/ssh/sshd_config.d/round.conf", "AllowUsers alice\nLogLevel VERBOSE\nLoginGraceTime 12\n"
                        "KbdInteractiveAuthentication yes\n")
        self.host.write("/etc/hosts", self.host.read("/etc/hosts") + "".join(
            f"198.51.100.{n} name{n}-1.2.3.4.example\n" for n in range(30, 255)))
        self.host.enter("cp", "/etc/hosts", "/var/spool/postfix/etc/hosts")
        self.host.enter("systemctl", "restart", "ssh")
        ssh, words = self.client.ssh, self.users
        keyboard = {"methods": "keyboard-interactive"}
        self.run([
            ("ssh refused by AllowUsers, right password", lambda s, t: ssh(s, t, "bob", words["bob"])),
            ("ssh refused by AllowUsers, wrong password", lambda s, t: ssh(s, t, "bob", "wrong")),
            ("ssh refused by AllowUsers, wrong key", lambda s, t: ssh(s, t, "bob", keys=self.wrong_keys[:2])),
            ("ssh root refused by AllowUsers", lambda s, t: ssh(s, t, "root", "wrong", "wrong")),
            ("ssh keyboard-interactive wrong", lambda s, t: ssh(s, t, "alice", "wrong", **keyboard)),
            ("ssh keyboard-interactive unknown", lambda s, t: ssh(s, t, "nosuch", "wrong", **keyboard)),
            ("ssh keyboard-interactive right", lambda s, t: ssh(s, t, "alice", words["alice"], **keyboard)),
            ("ssh silence until grace time", lambda s, t: self.silence(s, t)), *self.ssh(), *self.smtp()])

    def silence(self, source, target):
        """Say nothing until the server hangs up."""
        sock = self.client.connect(source, target, 22)
        sock.settimeout(30)
        while sock.recv(4096):
            pass
        return "server hung up"

    def save(self, folder):
        """Copy the logs."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("auth.log", "mail.log", "syslog"):
            (folder / name).write_bytes(self.host.path(f"/var/log/{name}").read_bytes())
        (folder / "journal.txt").write_text(self.host.journal("-o", "short-iso"))
        (folder / "journal.export").write_text(self.host.journal("-o", "export"))
        (folder / "cases.txt").write_text("\n".join(sorted(self.cases)) + "\n")


def main(folder):
    """Both releases at once."""
    trees.ensure()
    with host.World() as world:
        client = attack.Client.at(world, "harvest", ["203.0.113.0/24", "198.51.100.0/24", "2001:db8:bad::/48"])
        machines = [host.Host(world, release).start() for release in ("bookworm", "trixie")]
        harvests = [Harvest(machine.wait(), client, number) for number, machine in enumerate(machines)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(harvest.everything) for harvest in harvests]:
                job.result()
        for harvest in harvests:
            harvest.save(pathlib.Path(folder) / harvest.host.name)


if __name__ == "__main__":
    main(sys.argv[1])
