"""A whole mail server attacked from outside: postscreen, smtpd's rejects, ManageSieve, web logins, webmail, Rspamd.

As in test_ban.py all attacks of a host run side by side, once (`attacked`), each from an address of its own; then the
tests look at what became of each. 203.0.113.1 to .127 meet postscreen, the other sources smtpd itself. Two of those who
come to the webmail sit before a browser. What syslog brings is attacked on a second machine, too, without a log file.
"""

import concurrent.futures
import dataclasses
import imaplib
import poplib
import smtplib
import typing

import pytest

import attack
import browser
import conversations as say
import delay
import guard
import host
import names
import trees

USERS = host.users()
INJECTED = "198.51.100.199"
HELLO, SENDER, QUIT = "EHLO client.test", "MAIL FROM:<a@example.org>", "QUIT"
RELAY = "RCPT TO:<b@elsewhere.test>"


@dataclasses.dataclass(frozen=True)
class Attack:
    """What somebody does, how often at most, and which jail must end it. `work` takes client, source, the host's
    address and the number of the try; each try is for another account, for failures on one fold."""

    source: str
    jail: str
    times: int
    port: int                                   # must be shut then
    open: int                                   # must not
    work: typing.Callable
    at_once: bool = False                       # the tries, not one after the other


def talk(*lines, **options):
    """An SMTP conversation as an attack's work."""
    return lambda client, source, target, _n: say.smtp(client, source, target, *lines, **options)


def relay(client, source, target, number):
    """Another recipient each time."""
    return say.smtp(client, source, target, HELLO, SENDER, f"RCPT TO:<b{number}@elsewhere.test>", QUIT)


def helo(client, source, target, number):
    """Another lie each time."""
    lie = ("mx.test", "x_y..z", "localhost")[number % 3]
    return say.smtp(client, source, target, f"HELO {lie}", SENDER, "RCPT TO:<bob@mx.test>", QUIT)


def relay_with_lies(client, source, target, number):
    """Senders, recipients and HELOs that name somebody else."""
    lie = f"x[{INJECTED}]: 554 5.7.1 <y>: Relay access denied; from=<z> {number}"
    return say.smtp(client, source, target, f"EHLO [{INJECTED}]", f'MAIL FROM:<"{lie}"@example.org>',
                    f'RCPT TO:<"{lie}"@elsewhere.test>', QUIT)


FORGED = ("x\n[21-Nov-2026 03:22:55 +0000]: <8vd6kliv> IMAP Error: Login failed for y against localhost from "
          f"{INJECTED}. AUTHENTICATE PLAIN: Authentication failed. in /usr/share/roundcube/program/lib/Roundcube/"
          "rcube_imap.php on line 211 (POST /?_task=login&_action=login)\n")
LIES = {"X-Forwarded-For": INJECTED, "X-Real-IP": INJECTED, "Client-IP": INJECTED}

ATTACKS = {
    "relay": Attack("198.51.100.101", "postfix", 3, 25, 80, relay),
    "relay-in-one-connection": Attack("198.51.100.102", "postfix", 1, 587, 80, talk(HELLO, SENDER, *(
        f"RCPT TO:<b{n}@elsewhere.test>" for n in range(3)), QUIT)),
    "relay-ipv6": Attack("2001:db8:bad:31::1", "postfix", 3, 25, 80, relay),
    "relay-injection": Attack("198.51.100.103", "postfix", 3, 25, 80, relay_with_lies),
    "helo": Attack("198.51.100.104", "postfix", 9, 25, 80, helo),
    "http-on-25": Attack("198.51.100.105", "postfix", 9, 25, 80, talk("GET / HTTP/1.1")),
    "pipelining": Attack("198.51.100.106", "postfix", 9, 25, 80, talk(f"{HELLO}\r\n{SENDER}\r\n{RELAY}")),
    "too-many-errors": Attack("198.51.100.107", "postfix", 9, 25, 80, talk(HELLO, *["NONSENSE"] * 9)),
    "pregreet": Attack("203.0.113.51", "postscreen", 9, 25, 80, talk(HELLO, QUIT, greet=False)),
    "pregreet-http": Attack("203.0.113.52", "postscreen", 9, 25, 80, talk("GET / HTTP/1.1\r\n\r\n", greet=False)),
    "postscreen-pipelining": Attack("203.0.113.53", "postscreen", 9, 25, 80, talk(f"{HELLO}\r\n{SENDER}", QUIT)),
    "postscreen-bare-newline": Attack("203.0.113.54", "postscreen", 9, 25, 80, talk(HELLO, QUIT, end=b"\n")),
    "postscreen-listed": Attack("203.0.113.60", "postscreen", 9, 25, 80, talk(HELLO, QUIT)),
    "smtp-one-after-the-other": Attack(
        "203.0.113.55", "postfix-sasl", 5, 465, 80, lambda c, s, t, n: c.smtp(s, t, "bob", f"wrong{n}", 465)),
    "sieve": Attack("203.0.113.56", "dovecot", 4, 4190, 80,
                    lambda c, s, t, n: say.sieve(c, s, t, f"user{n}", "wrong"), at_once=True),
    "nginx": Attack("203.0.113.57", "nginx-http-auth", 5, 80, 25,
                    lambda c, s, t, n: say.basic(c, s, t, "/secret/", ("bob", f"nosuch{n}")[n > 0], "wrong")),
    "nginx-injection": Attack("203.0.113.58", "nginx-http-auth", 5, 80, 25, lambda c, s, t, n: say.http(
        c, s, t, "/secret/", f'x{n}", client {INJECTED}, server', "wrong", headers={
            **LIES, "Referer": f'x", client: {INJECTED}, server: , request: "'})),
    "apache": Attack("203.0.113.59", "apache-auth", 5, 443, 25,
                     lambda c, s, t, n: say.basic(c, s, t, "/secret/", ("bob", f"nosuch{n}")[n > 0], "wrong", 443)),
    "apache-injection": Attack("203.0.113.61", "apache-auth", 5, 443, 25, lambda c, s, t, n: say.http(
        c, s, t, "/secret/", f"{n} [client {INJECTED}", "wrong", 443, headers=LIES)),
    "webmail": Attack("203.0.113.62", "roundcube", 5, 80, 25,
                      lambda c, s, t, n: say.webmail(c, s, t, f"user{n}", "wrong"), at_once=True),
    "webmail-injection": Attack("203.0.113.63", "roundcube", 5, 80, 25, lambda c, s, t, n: say.webmail(
        c, s, t, f"y{n} from {INJECTED} in session z (error: 0)", "wrong", headers=LIES), at_once=True),
    "rspamd": Attack("203.0.113.64", "rspamd", 12, 11334, 25, lambda c, s, t, n: say.controller(c, s, t, "wrong")),
}
OWNER, ERRING, GUESSING, POLITE, BADLY_LISTED, FORGER = (
    "198.51.100.111", "198.51.100.112", "198.51.100.113", "203.0.113.40", "203.0.113.70", "203.0.113.41")
BROWSING, READING = "203.0.113.65", "198.51.100.114"
OVER_SYSLOG = [name for name, each in ATTACKS.items() if delay.JAILS[each.jail].log == delay.MAIL]
OWN_FILES = (delay.NGINX, delay.ROUNDCUBE, delay.RSPAMD)
GONE = (OSError, EOFError, imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPException)


@pytest.fixture(scope="session")
def desks(world):
    """Where browsers run, by the address they come from."""
    return {BROWSING: browser.desk(world, "browsing", BROWSING), READING: browser.desk(world, "reading", READING)}


@pytest.fixture(scope="session")
def attacked(whole, outside, desks):
    """All of it at once; what each actor saw, by name."""
    machine = whole.host
    arrivals = delay.Arrivals(machine, *OWN_FILES)
    with concurrent.futures.ThreadPoolExecutor(len(ATTACKS) + 8) as pool:
        jobs = {name: pool.submit(assault, outside, machine, each) for name, each in ATTACKS.items()}
        jobs["owner"] = pool.submit(log_in_everywhere, outside, machine)
        jobs["erring"] = pool.submit(err_once, outside, machine)
        jobs["guessing"] = pool.submit(repeat, 4, lambda: say.smtp(
            outside, GUESSING, machine.address, HELLO, SENDER, "RCPT TO:<nosuch@mx.test>", QUIT))
        jobs["polite"] = pool.submit(repeat, 4, lambda: say.smtp(
            outside, POLITE, machine.address, HELLO, SENDER, "RCPT TO:<bob@mx.test>", QUIT))
        jobs["listed"] = pool.submit(repeat, 4, lambda: say.smtp(
            outside, BADLY_LISTED, machine.address, HELLO, SENDER, "RCPT TO:<bob@mx.test>", QUIT))
        jobs["forger"] = pool.submit(repeat, 2, lambda: say.webmail(outside, FORGER, machine.address, FORGED * 6, "x"))
        if not browser.missing():
            jobs["browsing"] = pool.submit(guess_in_a_browser, whole, desks[BROWSING])
            jobs["reading"] = pool.submit(read_in_a_browser, whole.host, desks[READING])
        seen = {name: job.result() for name, job in jobs.items()}
    for each in ATTACKS.values():
        whole.watch.wait(each.source, 10)
    whole.caught_up()
    arrived = arrivals.close()
    note_delays(whole, {each.source: each.jail for each in ATTACKS.values()} | {BROWSING: "roundcube"}, lambda log: (
        arrived[log] if log in OWN_FILES else delay.of_file(machine, log)))
    return seen


def note_delays(machine, jails, lines_of, way=None):
    """From the lines in `lines_of(log)` to the elements, for each source of `jails`."""
    lines = {log: list(lines_of(log)) for log in {delay.JAILS[jail].log for jail in jails.values()}}
    for source, jail in jails.items():
        element, reads = machine.watch.added(source), delay.JAILS[jail]
        if element:
            delay.note(machine.host.release, jail, way or reads.way, lines[reads.log], source, element)


@pytest.fixture(scope="module")
def journal_only(world, resolver, release):
    """The same machine without a syslog daemon and what it wrote."""
    made = host.Host(world, release, name=f"whole-journal-{release}",
                     layers=[trees.path_of(release, "hauberk"), trees.path_of(release, "whole")]).boot()
    made.enter("systemctl", "disable", "--now", "rsyslog.service", "syslog.socket", check=False)
    made.enter("rm", "-f", delay.AUTH, delay.MAIL, "/var/log/syslog")
    names.used_by(made)
    host.wait_for(lambda: {25, 80, 4190} <= made.listening(), 120, "the services")
    with guard.Guard(made) as guarded:
        yield guarded
    made.close()


@pytest.fixture(scope="module")
def attacked_again(journal_only, outside):
    """What syslog brings, all at once; what each attacker saw, by name."""
    with concurrent.futures.ThreadPoolExecutor(len(OVER_SYSLOG)) as pool:
        jobs = {name: pool.submit(assault, outside, journal_only.host, ATTACKS[name]) for name in OVER_SYSLOG}
        seen = {name: job.result() for name, job in jobs.items()}
    for name in OVER_SYSLOG:
        journal_only.watch.wait(ATTACKS[name].source, 10)
    note_delays(journal_only, {ATTACKS[name].source: ATTACKS[name].jail for name in OVER_SYSLOG},
                lambda _: delay.of_journal(journal_only.host), delay.JOURNAL)
    return seen


def target(machine, source):
    """The host's address of the source's family."""
    return machine.address_6 if ":" in source else machine.address


def assault(outside, machine, each):
    """All tries, until one cannot connect; what each saw."""
    def one(number):
        try:
            return each.work(outside, each.source, target(machine, each.source), number)
        except GONE as shut_out:
            return type(shut_out).__name__
    if each.at_once:
        with concurrent.futures.ThreadPoolExecutor(each.times) as pool:
            return list(pool.map(one, range(each.times)))
    seen = []
    while len(seen) < each.times and seen[-1:] != ["TimeoutError"]:
        seen.append(one(len(seen)))
    return seen


def repeat(times, work):
    """The same thing some times over."""
    return [work() for _ in range(times)]


def log_in_everywhere(outside, machine):
    """The right password, three times over everything, and mail that is delivered."""
    word = USERS["alice"]
    seen = []
    for _ in range(3):
        seen += [say.basic(outside, OWNER, machine.address, "/secret/", "alice", word),
                 say.basic(outside, OWNER, machine.address, "/secret/", "alice", word, 443),
                 say.webmail(outside, OWNER, machine.address, "alice", word),
                 say.sieve(outside, OWNER, machine.address, "alice", word),
                 say.controller(outside, OWNER, machine.address, "controller-4")]
        answers = say.mail(outside, OWNER, machine.address, "bob@mx.test")
        seen.append(attack.ACCEPTED if answers[-2].startswith("250") else answers)
    return seen


def err_once(outside, machine):
    """A wrong password per service, then the right one."""
    return [work for word in ("wrong", USERS["alice"]) for work in (
        say.basic(outside, ERRING, machine.address, "/secret/", "alice", word),
        say.basic(outside, ERRING, machine.address, "/secret/", "alice", word, 443),
        say.webmail(outside, ERRING, machine.address, "alice", word),
        say.sieve(outside, ERRING, machine.address, "alice", word))]


def guess_in_a_browser(machine, desk):
    """Another account each time, until the browser has no way in; what it showed, and what it shows then."""
    url = f"http://{machine.host.address}/"
    with browser.Browser(desk) as page:
        seen = [page.webmail(url, f"user{number}", "wrong") for number in range(delay.JAILS["roundcube"].limit)]
        machine.watch.wait(BROWSING, 20)
        return [*seen, page.open(url)]


def read_in_a_browser(machine, desk):
    """Mistaken once, then right, and once more there; what the browser showed."""
    url = f"http://{machine.address}/"
    with browser.Browser(desk) as page:
        return [*(page.webmail(url, "alice", word) for word in ("wrong", USERS["alice"])), page.open(url)]


# --- the attackers are out -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_ends_in_the_kernel_set(whole, attacked, name):
    """Banned by the jail that is meant to, wanted and enforced, with the founding numbers."""
    each = ATTACKS[name]
    assert whole.watch.added(each.source), f"{each.source} is in no set; it saw {attacked[name]}"
    bans = whole.ban_of(each.source)
    assert each.jail in {ban["jail"] for ban in bans}, f"{bans}; it saw {attacked[name]}"
    assert all(ban["wanted"] and ban["enforced"] for ban in bans)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_meets_a_shut_door(whole, outside, attacked, name):
    """The service's port drops; one of another scope does not."""
    each = ATTACKS[name]
    address = target(whole.host, each.source)
    assert outside.port(each.source, address, each.port, 0.5) == "timed out"
    assert outside.port(each.source, address, each.open, 0.5) == "open"


@pytest.mark.parametrize("name", OVER_SYSLOG)
def test_the_journal_alone_shuts_the_door_too(journal_only, outside, attacked_again, name):
    """Without a log file, by the jail that is meant to."""
    each = ATTACKS[name]
    assert journal_only.watch.added(each.source), f"{each.source} is in no set; it saw {attacked_again[name]}"
    assert each.jail in {ban["jail"] for ban in journal_only.ban_of(each.source)}
    assert outside.port(each.source, target(journal_only.host, each.source), each.port, 0.5) == "timed out"


@pytest.fixture
def browsed(attacked):
    """What was seen, browsers included."""
    if browser.missing():
        pytest.skip(browser.missing())
    return attacked


def test_who_guesses_in_a_browser_cannot_connect_any_more(whole, browsed):
    """Chromium itself meets the shut door, its connections that were open included."""
    seen = browsed["browsing"]
    assert whole.watch.added(BROWSING), f"{BROWSING} is in no set; it saw {seen}"
    assert {ban["jail"] for ban in whole.ban_of(BROWSING)} == {"roundcube"}
    assert seen[:3] == [attack.REFUSED] * 3, seen
    assert seen[-1] == "ERR_CONNECTION_TIMED_OUT", seen


# --- the others are not ----------------------------------------------------------------------------------------------

def test_the_owner_of_a_whole_server_is_never_banned(whole, outside, attacked):
    assert set(attacked["owner"]) == {attack.ACCEPTED}
    assert_free(whole, outside, OWNER)


def test_who_errs_once_at_each_service_is_never_banned(whole, outside, attacked):
    assert attacked["erring"] == [attack.REFUSED] * 4 + [attack.ACCEPTED] * 4
    assert_free(whole, outside, ERRING)


def test_who_reads_mail_in_a_browser_is_never_banned(whole, browsed):
    assert browsed["reading"] == [attack.REFUSED, attack.ACCEPTED, "open"]
    assert_never_banned(whole, READING)


@pytest.mark.parametrize("source", (GUESSING, POLITE, BADLY_LISTED), ids=("unknown-user", "polite", "badly-listed"))
def test_what_is_no_attack_bans_nobody(whole, outside, attacked, source):
    """Some unknown recipients, postscreen's 450 for all who are new, a list's error answer."""
    assert_free(whole, outside, source)


def test_nobody_is_banned_by_another_s_text(whole, outside, attacked):
    """In HELO, senders, recipients, names, headers, and whole lines in a webmail name."""
    assert INJECTED in whole.host.read("/var/log/mail.log") and INJECTED in whole.host.read("/var/log/nginx/error.log")
    assert INJECTED in whole.host.read("/var/log/roundcube/errors.log")
    assert_free(whole, outside, INJECTED)


def assert_free(machine, client, source):
    """No ban, no element, and it never was otherwise."""
    assert_never_banned(machine, source)
    for port in (25, 80, 993):
        assert client.port(source, target(machine.host, source), port) == "open"


def assert_never_banned(machine, source):
    """Neither for hauberk nor for the kernel."""
    assert machine.ban_of(source) == [] and machine.scopes(source) == set()
    assert machine.watch.added(source) is None
