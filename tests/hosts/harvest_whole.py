"""What harvest.py does, for the rest of a whole mail server: postscreen, smtpd's rejects, web, webmail, ManageSieve.

    /usr/bin/python3 tests/hosts/harvest_whole.py FOLDER

leaves FOLDER/RELEASE/ with the logs of all services and cases.txt; see harvest.py.
"""

import concurrent.futures
import pathlib
import sys

import attack
import conversations as say
import harvest
import host
import names
import trees

LOGS = ("auth.log", "mail.log", "syslog", "nginx/error.log", "nginx/access.log", "apache2/error.log",
        "apache2/access.log", "roundcube/errors.log", "roundcube/userlogins.log", "rspamd/rspamd.log")
LIES = ["x y[1.2.3.4]", "unknown[1.2.3.4]", "a.example[1.2.3.4]: 554 5.7.1 <x>: Relay access denied", "[1.2.3.4]",
        "x> from unknown[1.2.3.4]", "from=<a> to=<b> proto=SMTP helo=<x>", "j\u00fcrgen", "%s%n", "x" * 200,
        "mx.example; from=<> to=<> proto=ESMTP helo=<y>", "\"x[1.2.3.4]\""]
WEB_LIES = ['x": password mismatch, client: 1.2.3.4, server: y', "x, client: 1.2.3.4",
            "[client 1.2.3.4:80] AH01617", "a b", "j\u00fcrgen",
            "x\n2026/11/21 08:00:00 [error] 7#7: *1 user \"y\": password mismatch, client: 1.2.3.4",
            "x\r\nFailed login for y from 1.2.3.4 in session z (error: 0)", "y from 1.2.3.4 in session abc (error: 0)",
            "\x1b[31m\\x22", "%s%n", "", "x" * 300]


class Whole(harvest.Harvest):
    """One whole mail server's attacks."""

    def net(self, low, high):
        """Sources of a range of 203.0.113.0/24, one after the other."""
        numbers = iter(range(low, high))
        return lambda: f"203.0.113.{next(numbers)}"

    def at(self, source, work):
        """A case from a given source, for `note`."""
        return lambda _s, _t: (source, work(source, self.host.address))

    # --- SMTP --------------------------------------------------------------------------------------------------------

    def smtpd(self):
        """What smtpd refuses. From 198.51.100.0/24, which postscreen lets pass."""
        c, hello = self.client, "EHLO client.test"
        sender = "MAIL FROM:<a@example.org>"
        numbers = iter(range(1, 250))

        def case(name, *lines, **options):
            source = f"198.51.100.{next(numbers)}"
            return f"smtpd {name}", self.at(source, lambda s, t: say.smtp(c, s, t, *lines, **options))

        yield case("relay denied", hello, sender, "RCPT TO:<b@elsewhere.test>", "QUIT")
        yield case("relay denied x3", hello, sender, *["RCPT TO:<b@elsewhere.test>"] * 3, "QUIT")
        yield case("unknown users x4", hello, sender, *[f"RCPT TO:<no{n}@mx.test>" for n in range(4)], "QUIT")
        yield case("unknown users x8", hello, sender, *[f"RCPT TO:<no{n}@mx.test>" for n in range(8)], "QUIT")
        yield case("our own name as HELO", "EHLO mx.test", sender, "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("address of ours as HELO", "HELO 192.0.2.99", sender, "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("bare address as HELO", "HELO 192.0.2.7", sender, "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("bad HELO", "HELO x_y..z", sender, "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("short HELO", "HELO localhost", sender, "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("empty HELO", "HELO ", sender, "QUIT")
        yield case("no HELO", sender, "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("unknown sender domain", hello, "MAIL FROM:<a@nowhere.test>", "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("sender domain fails", hello, "MAIL FROM:<a@x.fails.test>", "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("short sender", hello, "MAIL FROM:<a@localhost>", "RCPT TO:<bob@mx.test>", "QUIT")
        yield case("bad sender", hello, "MAIL FROM:a b", "QUIT")
        yield case("pipelined before EHLO's answer", f"{hello}\r\n{sender}\r\nRCPT TO:<bob@mx.test>", "QUIT")
        yield case("pipelined lies", "EHLO x\r\nQUIT from unknown[1.2.3.4]: y\r\nMAIL FROM:<>", "QUIT")
        yield case("pipelined DATA", hello, f"{sender}\r\nRCPT TO:<bob@mx.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.",
                   "QUIT")
        yield case("GET", "GET / HTTP/1.1", "Host: x", "", "QUIT")
        yield case("POST with lies", "POST /x from unknown[1.2.3.4]: y HTTP/1.1", "QUIT")
        yield case("CONNECT", "CONNECT 1.2.3.4:25 HTTP/1.0", "QUIT")
        yield case("Subject as a command", hello, "Subject: x from unknown[1.2.3.4]", "QUIT")
        yield case("nonsense x9", hello, *["NONSENSE"] * 9)
        yield case("AUTH where there is none x9", hello, *["AUTH LOGIN"] * 9)
        yield case("VRFY x3", hello, *["VRFY root"] * 3, "QUIT")
        yield case("ETRN", hello, "ETRN x", "QUIT")
        yield case("lost after EHLO", hello)
        yield case("reset after MAIL", hello, sender, leave="reset")
        yield case("nothing said")
        yield case("DATA without recipients", hello, sender, "DATA", "QUIT")
        yield case("long line", hello, "x" * 5000, "QUIT")
        yield case("binary", b"\x16\x03\x01\x02\x00\x01\x00\r\n", "QUIT")
        for lie in LIES:
            yield case(f"HELO {lie[:40]!r}", f"EHLO {lie}", sender, "RCPT TO:<b@elsewhere.test>", "QUIT")
            yield case(f"HELO {lie[:40]!r} SMTP", f"HELO {lie}", sender, "RCPT TO:<bob@mx.test>", "QUIT")
            yield case(f"sender {lie[:40]!r}", hello, f"MAIL FROM:<{lie}>", "RCPT TO:<b@elsewhere.test>", "QUIT")
            yield case(f"sender {lie[:40]!r} quoted", hello, f"MAIL FROM:<\"{lie}\"@example.org>",
                       "RCPT TO:<b@elsewhere.test>", "QUIT")
            yield case(f"recipient {lie[:40]!r}", hello, sender, f"RCPT TO:<\"{lie}\"@elsewhere.test>",
                       f"RCPT TO:<\"{lie}\"@mx.test>", "QUIT")

    def smtp_listed(self):
        """What lists say, to smtpd: 203.0.113.128 and above pass postscreen."""
        for n in (200, 201, 205, 210, 211, 220, 240, 241):
            yield f"smtpd listed {n}", self.at(f"203.0.113.{n}", lambda s, t: say.mail(
                self.client, s, t, "bob@mx.test"))

    def postscreen(self):
        """What postscreen sees: 203.0.113.1 to .126."""
        c, hello = self.client, "EHLO client.test"
        sender, to = "MAIL FROM:<a@example.org>", "RCPT TO:<bob@mx.test>"
        source = self.net(1, 120)

        def case(name, *lines, **options):
            return f"postscreen {name}", self.at(source(), lambda s, t: say.smtp(c, s, t, *lines, **options))

        yield case("polite", hello, sender, to, "QUIT")
        yield case("polite, then again", hello, sender, to, "QUIT")
        yield case("pregreet EHLO", hello, sender, to, "QUIT", greet=False)
        yield case("pregreet GET", "GET / HTTP/1.1\r\nHost: x\r\n", "QUIT", greet=False)
        yield case("pregreet lies", "EHLO x from [1.2.3.4]:25: y\\r\\n PREGREET 5 after 0 from [1.2.3.4]:5", "QUIT",
                   greet=False)
        yield case("pregreet binary", b"\x16\x03\x01\x00\xff\n\xfe\r\n", "QUIT", greet=False)
        yield case("pregreet and reset", hello, greet=False, leave="reset")
        yield case("hang up at once", greet=False)
        yield case("hang up after greeting")
        yield case("hang up after EHLO", hello)
        yield case("non-SMTP command", hello, "GET / HTTP/1.1", "QUIT")
        yield case("non-SMTP command lies", hello, "Subject: x from [1.2.3.4]:25 after EHLO: y", "QUIT")
        yield case("bare newline", "EHLO client.test", "NOOP", "QUIT", end=b"\n")
        yield case("pipelining", f"{hello}\r\n{sender}\r\n{to}", "QUIT")
        yield case("pipelining lies", f"{hello}\r\nNOOP from [1.2.3.4]:9 after EHLO: y\r\nNOOP", "QUIT")
        yield case("bad commands", hello, *["NONSENSE"] * 30)
        yield case("many commands", hello, *["NOOP"] * 30, "QUIT")
        yield case("long line", hello, "x" * 3000, "QUIT")
        yield case("relay", hello, sender, "RCPT TO:<b@elsewhere.test>", "QUIT")
        yield case("mail for nobody", hello, sender, "RCPT TO:<nosuch@mx.test>", "QUIT")
        yield "postscreen denylisted", self.at("203.0.113.127", lambda s, t: say.mail(c, s, t, "bob@mx.test"))

    def postscreen_listed(self):
        """What lists say, to postscreen, which lets nobody pass in this round."""
        for n in (200, 205, 210, 220, 130):
            yield f"postscreen listed {n}", self.at(f"203.0.113.{n}", lambda s, t: say.mail(
                self.client, s, t, "bob@mx.test"))

    def delivered(self):
        """Mail that arrives."""
        c = self.client
        sources = iter(range(30, 60))

        def case(name, work):
            return f"delivered {name}", self.at(f"198.51.100.{next(sources)}", work)

        yield case("to bob", lambda s, t: say.mail(c, s, t, "bob@mx.test"))
        yield case("to bob and alice", lambda s, t: say.mail(c, s, t, "bob@mx.test", "alice@mx.test"))
        yield case("to bob and nobody", lambda s, t: say.mail(c, s, t, "bob@mx.test", "nosuch@mx.test"))
        yield case("to root's alias", lambda s, t: say.mail(c, s, t, "postmaster@mx.test"))
        yield case("submitted by alice", lambda s, t: self.send(s, t, "alice", self.users["alice"]))
        yield case("lies", lambda s, t: say.mail(c, s, t, "bob@mx.test", sender='"x: client=y[1.2.3.4]"@example.org',
                                                 subject="ABCDEF: client=y[1.2.3.4]"))

    # --- web ---------------------------------------------------------------------------------------------------------

    def web(self):
        """Passwords at nginx and Apache."""
        c, right = self.client, self.users["alice"]
        for server, port in (("nginx", 80), ("apache", 443)):
            def case(name, user, password, path="/secret/", port=port, server=server, **options):
                return f"{server} {name}", lambda s, t: say.http(c, s, t, path, user, password, port, **options)[0]

            yield case("wrong", "alice", "wrong")
            yield case("unknown user", "nosuch", "wrong")
            yield case("right", "alice", right)
            yield case("right, not there", "alice", right, "/secret/none")
            yield case("no password", None, "")
            yield case("not allowed", "bob", self.users["bob"], "/secret/alice")
            yield case("wrong, with lies", "alice", "wrong", '/secret/", client: 1.2.3.4, "x', headers={
                "User-Agent": 'x" client: 1.2.3.4', "Referer": "http://x/, client: 1.2.3.4", "Host": "1.2.3.4",
                "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4"})
            yield case("another scheme", None, "", headers={"Authorization": "Bearer x, client: 1.2.3.4"})
            yield case("digest", None, "", "/digest", headers={
                "Authorization": 'Digest username="x[client 1.2.3.4]", realm="secret", nonce="x", uri="/digest", '
                'response="y"'})
            yield case("forbidden", None, "", "/.htaccess")
            for lie in WEB_LIES:
                yield case(f"user {lie[:40]!r}", lie, "wrong")

    def webmail(self):
        """Roundcube, seen directly and behind a proxy."""
        c, right = self.client, self.users["alice"]
        for place, path in (("", "/"), (" behind a proxy", "/behind/")):
            def case(name, user, password, path=path, place=place, **options):
                return f"webmail{place} {name}", lambda s, t: say.webmail(c, s, t, user, password, path, **options)

            yield case("wrong", "alice", "wrong")
            yield case("unknown user", "nosuch", "wrong")
            yield case("right", "alice", right)
            yield case("wrong, forwarded for another", "alice", "wrong", headers={
                "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "Forwarded": "for=1.2.3.4",
                "Client-IP": "1.2.3.4"})
            yield case("right, forwarded for another", "alice", right, headers={"X-Forwarded-For": "1.2.3.4"})
            yield case("wrong, forwarded lies", "alice", "wrong", headers={
                "X-Forwarded-For": "x from 1.2.3.4 in session y (error: 0)", "X-Real-IP": ") from 1.2.3.4"})
            for lie in WEB_LIES:
                yield case(f"user {lie[:40]!r}", lie, "wrong")

    def controller(self):
        """Rspamd's controller, seen directly and through nginx."""
        c = self.client
        for place, port, path in (("", 11334, "/auth"), (" behind a proxy", 80, "/rspamd/auth")):
            def case(name, password, port=port, path=path, place=place, more="", **options):
                return f"rspamd{place} {name}", lambda s, t: say.controller(c, s, t, password, path + more, port,
                                                                            **options)
            yield case("wrong", "wrong")
            yield case("wrong for stat", "wrong", path=path.replace("auth", "stat"))
            yield case("empty", "")
            yield case("right", "controller-4")
            yield case("weak password for saving", "controller-4", path=path.replace("auth", "saveactions"))
            yield case("wrong, with lies", "wrong from 1.2.3.4", more="?x=1.2.3.4", headers={
                "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "User-Agent": "from 1.2.3.4"})
            yield case("wrong in the query", "", more="?password=wrong%20from%201.2.3.4")

    # --- Dovecot -----------------------------------------------------------------------------------------------------

    def sieve(self):
        """ManageSieve and Dovecot's own submission."""
        c, right = self.client, self.users["alice"]
        for tries in (1, 3):
            yield f"sieve wrong x{tries}", lambda s, t, n=tries: say.sieve(c, s, t, "alice", "wrong", n)
            yield f"dovecot submission wrong x{tries}", lambda s, t, n=tries: self.submission(s, t, "alice", "wrong", n)
        yield "sieve unknown user", lambda s, t: say.sieve(c, s, t, "nosuch", "wrong")
        yield "sieve wrong, reset", lambda s, t: say.sieve(c, s, t, "alice", "wrong", leave="reset")
        yield "sieve right", lambda s, t: say.sieve(c, s, t, "alice", right)
        yield "sieve GET", lambda s, t: self.raw(s, t, 4190, b"GET / HTTP/1.0\r\n\r\n")
        yield "sieve nothing", lambda s, t: self.raw(s, t, 4190, b"", read=False)
        yield "dovecot submission right", lambda s, t: self.submission(s, t, "alice", right)
        yield "dovecot submission unknown user", lambda s, t: self.submission(s, t, "nosuch", "wrong")
        for user in harvest.TRICKS[:12]:
            yield f"sieve user {user[:40]!r}", lambda s, t, user=user: say.sieve(c, s, t, user, "wrong")

    def submission(self, source, target, user, password, tries=1):
        """Dovecot's submission service on 2587."""
        with self.client.netns:
            client = attack.smtplib.SMTP(target, 2587, "client.test", 30, (source, 0))
        client.starttls(context=attack.tls())
        client.ehlo()
        for _ in range(tries):
            outcome = attack.smtp_auth(client, "PLAIN", user, password)
        client.quit()
        return outcome

    def penalty(self):
        """Other wrong passwords one after the other: Dovecot answers later and later, at last later than Postfix
        waits. (The same one again costs nothing more.)"""
        def work(source, target, mechanism):
            said = []
            for number in range(6):
                try:
                    said.append(self.client.smtp(source, target, "bob", f"wrong{number}", 465, mechanism))
                except Exception as why:            # whatever a client meets is what we want to know
                    said.append(f"{type(why).__name__}: {why}")
            return said
        for mechanism in ("PLAIN", "LOGIN"):
            yield f"penalty {mechanism}", lambda s, t, m=mechanism: work(s, t, m)

    def passdb(self, which):
        """Dovecot's other ways to look at a password: passwd-file and SQL, besides PAM."""
        new = self.host.release == "trixie"
        self.host.write("/etc/dovecot/people", "dora:{PLAIN}garden-gate-3\n", 0o644)
        self.host.enter("sqlite3", "/etc/dovecot/people.sqlite", "DROP TABLE IF EXISTS people; CREATE TABLE people "
                        "(name TEXT, word TEXT); INSERT INTO people VALUES ('emil', '{PLAIN}milk-and-honey-2');")
        place = "/nowhere/people.sqlite" if which == "broken sql" else "/etc/dovecot/people.sqlite"
        self.host.write("/etc/dovecot/people-sql.conf", f"driver = sqlite\nconnect = {place}\n"
                        "password_query = SELECT word AS password FROM people WHERE name = '%n'\n")
        self.host.enter("chmod", "0644", "/etc/dovecot/people.sqlite")
        settings = {
            ("passwd-file", False): "passdb {\n  driver = passwd-file\n  args = /etc/dovecot/people\n}\n",
            ("passwd-file", True): "passdb passwd-file {\n  passwd_file_path = /etc/dovecot/people\n}\n",
            ("sql", False): "passdb {\n  driver = sql\n  args = /etc/dovecot/people-sql.conf\n}\n",
            ("sql", True): f"sql_driver = sqlite\nsqlite_path = {place}\npassdb sql {{\n  query = "
                           "SELECT word AS password FROM people WHERE name = '%{user | username}'\n}\n",
        }[which.removeprefix("broken "), new]
        users = ("userdb everybody {\n  driver = static\n  fields {\n    uid = nobody\n    gid = nogroup\n"
                 "    home = /tmp\n  }\n}\n" if new else
                 "userdb {\n  driver = static\n  args = uid=nobody gid=nogroup home=/tmp\n}\n")
        self.round = f"auth_verbose=yes passdb={which}"
        self.host.write("/etc/dovecot/verbose.conf", f"auth_verbose = yes\n{settings}{users}")
        self.host.enter("systemctl", "restart", "dovecot")
        user, right = ("dora", "garden-gate-3") if which == "passwd-file" else ("emil", "milk-and-honey-2")
        c = self.client
        self.run([
            (f"{which} imap wrong", lambda s, t: c.imap(s, t, user, "wrong")),
            (f"{which} imap wrong x3", lambda s, t: c.imap(s, t, user, "wrong", tries=3)),
            (f"{which} imap right", lambda s, t: c.imap(s, t, user, right)),
            (f"{which} imap PAM's user, right", lambda s, t: c.imap(s, t, "alice", self.users["alice"])),
            (f"{which} imap unknown", lambda s, t: c.imap(s, t, "nosuch", "wrong")),
            (f"{which} sieve wrong", lambda s, t: say.sieve(c, s, t, user, "wrong")),
            (f"{which} smtp wrong", lambda s, t: c.smtp(s, t, user, "wrong", 465)),
            (f"{which} smtp unknown", lambda s, t: c.smtp(s, t, "nosuch", "wrong", 465)),
            (f"{which} webmail wrong", lambda s, t: say.webmail(c, s, t, user, "wrong"))])

    # --- all rounds --------------------------------------------------------------------------------------------------

    def everything(self):
        """Every case."""
        names.used_by(self.host)
        host.wait_for(lambda: {25, 80, 443, 4190, 11334} <= self.host.listening(), 90, "the services")
        self.run([*self.delivered(), *self.smtpd(), *self.smtp_listed(), *self.postscreen()])
        self.run([*self.web(), *self.webmail(), *self.controller(), *self.sieve()])
        self.round = "postscreen for all"
        self.host.write("/etc/postfix/postscreen.cidr", "198.51.100.0/24 permit\n")
        self.host.enter("postfix", "reload")
        self.run([*self.postscreen_listed(), *self.penalty()])
        self.round = "log_logins"
        config = "/etc/roundcube/config.inc.php"
        self.host.write(config, self.host.read(config) + "$config['log_logins'] = true;\n", 0o644)
        self.run([*self.webmail()])
        self.round = "log_logins, log_driver=syslog"
        self.host.write(config, self.host.read(config) + "$config['log_driver'] = 'syslog';\n", 0o644)
        self.run([*self.webmail()])
        self.host.write(config, self.host.read(config) + "$config['log_driver'] = 'file';\n", 0o644)
        self.round = "log_logins, no IMAP server"
        self.host.enter("systemctl", "stop", "dovecot")
        self.run([*self.webmail()][:3])
        self.round = "auth_verbose=yes"
        self.host.write("/etc/dovecot/verbose.conf", "auth_verbose = yes\n")
        self.host.enter("systemctl", "restart", "dovecot")
        self.run([*self.sieve(), *self.penalty()])
        for which in ("passwd-file", "sql", "broken sql"):
            self.passdb(which)

    def save(self, folder):
        """Copy the logs."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in LOGS:
            path = self.host.path(f"/var/log/{name}")
            if path.exists():
                (folder / name.replace("/", "-")).write_bytes(path.read_bytes())
        (folder / "journal.export").write_text(self.host.journal("-o", "export"))
        (folder / "cases.txt").write_text("\n".join(sorted(self.cases)) + "\n")


def main(folder):
    """Both releases at once."""
    trees.ensure(layers=("whole",))
    with host.World() as world:
        client = attack.Client.at(world, "harvest", ["203.0.113.0/24", "198.51.100.0/24", "2001:db8:bad::/48"])
        server = names.Names(host.GATEWAY_4)
        machines = [host.Host(world, release, layers=[trees.path_of(release, "whole")]).start()
                    for release in trees.RELEASES]
        harvests = [Whole(machine.wait(120), client, number) for number, machine in enumerate(machines)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for each, job in [(each, pool.submit(each.everything)) for each in harvests]:
                try:
                    job.result()
                finally:
                    each.save(pathlib.Path(folder) / each.host.name)
        server.close()


if __name__ == "__main__":
    main(sys.argv[1])
