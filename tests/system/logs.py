"""Seeded logs of a mail host under attack, in the words of real sshd, Dovecot and Postfix, and a
writer that rotates them as logrotate does."""
import datetime
import gzip
import os
import random
import shutil


class Story:
    """Lines with times, in order. Sessions of several lines interleave."""

    def __init__(self, seed, start=None):
        self.random = random.Random(seed)
        # Times to come would be clamped to now, which is another moment in each run.
        past = datetime.timedelta(minutes=4)
        self.now = start or datetime.datetime.now(datetime.timezone.utc) - past
        self.lines = []  # (which log, text)
        self.pending = []  # lines of sessions still to be told

    def tick(self, most_ms=20):
        self.now += datetime.timedelta(milliseconds=self.random.randint(1, most_ms))

    def say(self, log, program, text):
        self.tick()
        stamp = self.now.isoformat(timespec="microseconds")
        self.lines.append((log, f"{stamp} mx {program}: {text}\n"))

    def noise(self):
        choice = self.random.randrange(4)
        pid = self.random.randrange(1000, 60000)
        if choice == 0:
            self.say("mail", f"postfix/smtpd[{pid}]", "connect from mail.example.org[198.51.100.77]")
        elif choice == 1:
            self.say("mail", f"postfix/qmgr[{pid}]", "3F2A41: from=<a@example.org>, size=9000, nrcpt=1 (queue active)")
        elif choice == 2:
            self.say("auth", f"CRON[{pid}]", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
        else:
            self.say("mail", "dovecot", "imap-login: Disconnected: Connection closed (no auth attempts in 0 secs): "
                     "user=<>, rip=198.51.100.9, lip=192.0.2.1, session=<PnfQ0MBgUr0KYwAC>")

    def tell_pending(self, chance=0.3):
        still = []
        for lines in self.pending:
            if self.random.random() < chance:
                self.say(*lines.pop(0))
            if lines:
                still.append(lines)
        self.pending = still

    def account(self):
        """Often the same one, so that mistakes fold."""
        return self.random.choice(["info", "info", "info", "alice", "office", "sales"])

    def ssh_failure(self, address):
        """Two lines of one process; the failure's own line carries a name where the address was."""
        user = self.account()
        pid, port = self.random.randrange(1000, 4000000), self.random.randrange(1024, 65535)
        program = f"sshd[{pid}]"
        if self.random.random() < 0.5:
            self.pending.append([
                ("auth", program, f"Connection from {address} port {port} on 192.0.2.1 port 22 rdomain \"\""),
                ("auth", program, f"error: PAM: Authentication failure for {user} from host.example.net")])
        else:
            self.pending.append([
                ("auth", program, f"Failed password for {user} from {address} port {port} ssh2"),
                ("auth", program, f"Connection closed by authenticating user {user} {address} port {port} [preauth]")])

    def mail_failures(self, address, attempts):
        """auth_verbose lines of one IMAP session, and the line that sums them up."""
        account = self.account()
        session = "".join(self.random.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(16))
        lines = [("mail", "dovecot", f"auth-worker(4711): conn unix:auth-worker (pid=453,uid=103): auth-worker<{i}>: "
                  f"pam({account}@example.org,{address},<{session}>): pam_authenticate() failed: "
                  "Authentication failure (Password mismatch?)") for i in range(attempts)]
        lines.append(("mail", "dovecot", f"imap-login: Disconnected: Aborted login by logging out (auth failed, {attempts} "
                      f"attempts in 9 secs): user=<{account}@example.org>, method=PLAIN, rip={address}, lip=192.0.2.1, "
                      f"TLS, session=<{session}>"))
        self.pending.append(lines)

    def smtp_failure(self, address):
        self.say("mail", f"postfix/submission/smtpd[{self.random.randrange(1000, 60000)}]",
                 f"warning: unknown[{address}]: SASL LOGIN authentication failed: (reason unavailable), "
                 f"sasl_username={self.account()}@example.org")

    def attack(self, lines):
        """Noise with attackers in it until there are so many lines."""
        number = 0
        while len(self.lines) < lines:
            self.tell_pending()
            roll = self.random.random()
            if roll < 0.80:
                self.noise()
                continue
            # A few addresses come often enough to be banned, many once or twice.
            number += 1
            often = self.random.random() < 0.5
            host = self.random.randrange(1, 60) if often else 60 + number % 190
            net = "203.0.113" if often else "198.18.%d" % (number // 190 % 250)
            address = f"{net}.{host}"
            if roll < 0.87:
                self.ssh_failure(address)
            elif roll < 0.94:
                self.mail_failures(address, self.random.randrange(1, 4))
            else:
                self.smtp_failure(address)
        while self.pending:
            self.tell_pending(1.0)
        return self


class Writer:
    """Appends lines to auth.log and mail.log of a folder, and rotates them."""

    def __init__(self, folder, seed):
        self.folder, self.random = folder, random.Random(seed)
        self.files = {name: open(folder / f"{name}.log", "ab", buffering=0) for name in ("auth", "mail")}
        self.generations = {"auth": 0, "mail": 0}

    def write(self, lines):
        for name, text in lines:
            data = text.encode()
            if len(data) > 40 and self.random.random() < 0.02:
                cut = self.random.randrange(1, len(data))  # a line that comes in two pieces
                self.files[name].write(data[:cut])
                data = data[cut:]
            self.files[name].write(data)

    def path(self, name, generation=0, ending=""):
        return self.folder / (f"{name}.log" + (f".{generation}" if generation else "") + ending)

    def rotate(self, name, compress=True):
        """Rename and create, older generations compressed, as Debian's logrotate.conf has it."""
        for generation in range(8, 1, -1):
            for ending in ("", ".gz"):
                old = self.path(name, generation - 1, ending)
                if old.exists():
                    os.rename(old, self.path(name, generation, ending))
        if compress and self.path(name, 2).exists():
            with open(self.path(name, 2), "rb") as plain:
                with gzip.open(self.path(name, 2, ".gz.part"), "wb") as packed:
                    shutil.copyfileobj(plain, packed)
            times = self.path(name, 2).stat()
            os.utime(self.path(name, 2, ".gz.part"), ns=(times.st_atime_ns, times.st_mtime_ns))
            os.rename(self.path(name, 2, ".gz.part"), self.path(name, 2, ".gz"))
            os.unlink(self.path(name, 2))
        os.rename(self.path(name), self.path(name, 1))
        old = self.files[name]
        self.files[name] = open(self.path(name), "ab", buffering=0)
        old.close()

    def close(self):
        for file in self.files.values():
            file.close()
