"""Some days of a mail host's life, seeded and labelled: who came, of what kind, and when each of them tried a
password. Users first, then attackers; each kind is a function that says in its first line what it is.

What legitimate users do is what they are known to do (the scenarios in tests/scenarios tell where from), within
one limit that README and docs promise nothing beyond: nobody types more than three wrong passwords within ten
minutes from a network where he has never logged in.

SPDX-License-Identifier: GPL-2.0-or-later"""
import ipaddress

from words import DAY, HOUR, MAIL_ACCOUNTS, SSH_ACCOUNTS, Host, Visitor

USER, ATTACKER, SHARED = "user", "attacker", "shared"

HOSTS = [(12, False), (13, True), (12, True), (13, False)]  # release, auth_verbose

GUESSED_NAMES = ("admin test oracle postgres ubuntu user guest git ftpuser hadoop support mysql web www nagios pi "
                 "scanner fax contact mail webmaster postmaster hr jobs billing accounts kontakt service shop news "
                 "marketing reception finance print noreply demo student dev jenkins minecraft").split()

KINDS = []  # (name, side, is_weak, how many at scale 1, function)


def kind(name, side, count, is_weak=False):
    def register(function):
        KINDS.append((name, side, is_weak, count, function))
        return function
    return register


class Story:
    def __init__(self, seed, days, scale):
        self.seed = seed
        self.host = Host(seed, *HOSTS[seed % len(HOSTS)])
        self.random = self.host.random
        self.seconds = days * DAY
        self.days = days
        self.visitors = []
        self.used = set()
        for name, _, _, count, function in KINDS:
            for _ in range(max(2, round(count * scale))):
                self.visitors += function(self, lambda name=name: Visitor(name)) or []
        self.visitors = [one for one in self.visitors if one.addresses]
        self.lines = sorted(self.host.lines, key=lambda line: line.at)
        for one in self.visitors:
            one.tries.sort()

    # ---- addresses, names, times ----

    def fresh(self, make):
        while (address := make()) in self.used:
            pass
        self.used.add(address)
        return address

    def v4(self):
        """Of the networks set aside for measuring (RFC 2544); of documentation for IPv6 (RFC 3849)."""
        return self.fresh(lambda: f"198.{self.random.randrange(18, 20)}.{self.random.randrange(256)}."
                          f"{self.random.randrange(1, 255)}")

    def net64(self):
        return self.fresh(lambda: f"2001:db8:{self.random.randrange(1, 65536):x}:{self.random.randrange(1, 65536):x}")

    def within(self, net64):
        """A privacy address."""
        host = self.random.getrandbits(64) | 1 << 63
        return str(ipaddress.IPv6Address(f"{net64}::") + host)

    def home(self):
        """A function that gives today's address of a line at home."""
        if self.random.random() < 0.5:
            address = self.v4()
            return lambda: address
        net = self.net64()
        return lambda: self.within(net)

    def account(self):
        return self.random.choice(MAIL_ACCOUNTS)

    def guess(self, service, share_known=0.3):
        if service == "ssh":
            return self.random.choice(SSH_ACCOUNTS) if self.random.random() < share_known else \
                self.random.choice(GUESSED_NAMES)
        return self.account() if self.random.random() < share_known else \
            f"{self.random.choice(GUESSED_NAMES)}@example.org"

    def office_hour(self, day):
        return day * DAY + self.random.uniform(7, 19) * HOUR

    def logs_in(self, visitor, at, address, account):
        """A mail program that works: it reads, now and then it sends."""
        self.host.dovecot(visitor, at, address, [(account, True)])
        if self.random.random() < 0.3:
            self.host.submission(visitor, at + self.random.uniform(20, 400), address, [(account, True)])

    # ---- attackers' ways ----

    def tools(self):
        return self.random.choice(["ssh", "imap", "submission"])

    def attack(self, visitor, at, address_of, accounts, gap, service=None, per_connection=1):
        """Tries all accounts in turn. gap(): seconds between tries; ends with the story."""
        service = service or self.tools()
        left = list(accounts)
        while left and at < self.seconds:
            some = [one if isinstance(one, tuple) else (one, False) for one in left[:per_connection]]
            del left[:per_connection]
            between = gap()
            began, inside = at, min(between, 15 if len(some) > 1 else 3)
            if service == "ssh":
                at = self.host.ssh(visitor, at, address_of(), some, gap=inside)
            elif service == "imap":
                at = self.host.dovecot(visitor, at, address_of(), some, gap=inside,
                                       protocol=self.random.choice(["imap", "pop3"]))
            else:
                at = self.host.submission(visitor, at, address_of(), some, gap=inside)
            at = max(at + 0.05, began + between)
        return at

    def steady(self, low, high):
        return lambda: self.random.uniform(low, high)


# ---- people and their programs ----

@kind("phone with an old password", USER, 6)
def phone_with_an_old_password(story, visitor):
    """A day long it repeats it on one to three connections, at home and on the road."""
    one, account, home = visitor(), story.account(), story.home()
    for day in range(story.days):
        for _ in range(4):
            story.logs_in(one, story.office_hour(day), home(), account)
    mobile = story.v4()
    changed = story.random.uniform(1, story.days - 1.2) * DAY
    every = story.random.choice([5, 10, 15]) * 60
    story.host.dovecot(one, changed, home(), [(account, True)])  # the computer has the new one
    at = changed + every
    while at < changed + DAY:
        is_away = 9 * HOUR < at % DAY < 12 * HOUR
        address = mobile if is_away else home()
        for number in range(story.random.randint(1, 3)):
            story.host.dovecot(one, at + 0.2 * number, address, [(account, False)], gap=2)
        at += (900 if is_away else every) + story.random.uniform(-20, 20)
    story.logs_in(one, at, home(), account)
    return [one]


@kind("Outlook's set-up assistant", USER, 12)
def outlook(story, visitor):
    """Address, name and DOMAIN\\name, PLAIN and LOGIN, IMAP and SMTP; the last form is right."""
    one, account, address = visitor(), story.account(), story.home()()
    at = story.office_hour(story.random.randrange(story.days))
    name = account.split("@")[0]
    for form in (name, f"EXAMPLE\\{name}"):
        story.host.dovecot(one, at, address, [(form, False)], gap=0.4)
        story.host.dovecot(one, at + 0.3, address, [(form, False)], gap=0.4)
        at += story.random.uniform(0.8, 1.5)
    story.host.submission(one, at + 3, address, [(name, False, "PLAIN"), (name, False, "LOGIN")], gap=0.5)
    at += story.random.uniform(6, 9)
    story.host.dovecot(one, at, address, [(account, True)])
    story.host.submission(one, at + 1, address, [(account, True)])
    for day in range(int(at // DAY) + 1, story.days):
        story.logs_in(one, story.office_hour(day), address, account)
    return [one]


@kind("Thunderbird's five connections", USER, 12)
def thunderbird(story, visitor):
    """A mistyped password on five connections at once; typed again, perhaps wrong again, then right."""
    one, account, address = visitor(), story.account(), story.home()()
    at = story.office_hour(story.random.randrange(story.days))
    for mistakes in (5, 2)[:story.random.randint(1, 2)]:
        for number in range(mistakes):
            story.host.dovecot(one, at + story.random.uniform(0, 0.8) + 0.1 * number, address, [(account, False)],
                               gap=1)
        at += story.random.uniform(15, 40)
    for number in range(5):
        story.host.dovecot(one, at + 0.1 * number, address, [(account, True)])
    return [one]


@kind("PLAIN, then LOGIN", USER, 12)
def plain_then_login(story, visitor):
    """A program that does not believe the first refusal; its owner mistypes once or twice. Half of them where
    the log names no account."""
    one, account, address = visitor(), story.account(), story.home()()
    story.host.names_accounts = story.random.random() < 0.5
    at = story.office_hour(story.random.randrange(story.days))
    for _ in range(story.random.randint(1, 2)):
        story.host.submission(one, at, address, [(account, False, "PLAIN"), (account, False, "LOGIN")], gap=0.6)
        at += story.random.uniform(20, 60)
    story.host.submission(one, at, address, [(account, True)])
    story.host.names_accounts = True
    return [one]


@kind("office behind one address, with a forgetter", USER, 4)
def office(story, visitor):
    """Twenty people; one forgets his password twice a day, and somebody new mistypes."""
    one, address = visitor(), story.v4()
    people = story.random.sample(MAIL_ACCOUNTS, 21)
    forgetter, newcomer = people[0], people.pop()
    for day in range(story.days):
        for person in people:
            story.logs_in(one, day * DAY + story.random.uniform(7, 8.5) * HOUR, address, person)
            story.logs_in(one, story.office_hour(day), address, person)
        for hour in (9, 14):
            at = day * DAY + (hour + story.random.random()) * HOUR
            for _ in range(story.random.randint(5, 14)):
                story.host.dovecot(one, at, address, [(forgetter, False)], gap=2)
                at += story.random.uniform(15, 40)
            story.host.dovecot(one, at, address, [(forgetter, True)])
    at = DAY + story.random.uniform(10, 11) * HOUR
    for _ in range(2):
        story.host.dovecot(one, at, address, [(newcomer, False)], gap=2)
        at += 25
    story.host.dovecot(one, at, address, [(newcomer, True)])
    return [one]


@kind("carrier's NAT with many customers", USER, 3)
def carrier_nat(story, visitor):
    """Thirty-five customers of ours behind one address, each new to it once; every tenth mistypes."""
    one, address = visitor(), story.v4()
    for account in MAIL_ACCOUNTS:
        at = story.random.uniform(0, story.seconds * 0.8)
        if story.random.random() < 0.1:
            for _ in range(story.random.randint(1, 2)):
                story.host.dovecot(one, at, address, [(account, False)], gap=2)
                at += story.random.uniform(15, 40)
        while at < story.seconds:
            story.logs_in(one, at, address, account)
            at += story.random.uniform(2, 20) * HOUR
    return [one]


@kind("roaming, IPv6 privacy addresses", USER, 12)
def roaming(story, visitor):
    """Home and mobile networks, the lower half new each hour, a new mobile /64 each day; mistypes at times."""
    one, account, home = visitor(), story.account(), story.net64()
    for day in range(story.days):
        mobile = story.net64()
        for _ in range(10):
            net = story.random.choice([home, mobile])
            at = story.office_hour(day)
            if story.random.random() < 0.1:
                story.host.dovecot(one, at, story.within(net), [(account, False)], gap=2)
                at += 20
            story.logs_in(one, at, story.within(net), account)
    return [one]


@kind("traveller in a new network", USER, 12)
def traveller(story, visitor):
    """One to three wrong passwords in the words of a person, then right; sometimes it was SSH."""
    one, account, address = visitor(), story.account(), story.v4()
    at = story.office_hour(story.random.randrange(story.days))
    if story.random.random() < 0.3:
        story.host.ssh(one, at, address, [("alice", False)] * story.random.randint(1, 2) + [("alice", True)], gap=9)
        return [one]
    for _ in range(story.random.randint(1, 3)):
        story.host.dovecot(one, at, address, [(account, False)], gap=2)
        at += story.random.uniform(15, 60)
    story.host.dovecot(one, at, address, [(account, True)])
    return [one]


@kind("administrator by key, now and then by password", USER, 4)
def administrator(story, visitor):
    one, address = visitor(), story.home()()
    for day in range(story.days):
        for _ in range(6):
            story.host.ssh_by_key(one, story.office_hour(day), address, story.random.choice(["root", "alice"]))
        if story.random.random() < 0.5:
            story.host.ssh(one, story.office_hour(day), address, [("alice", False)] * story.random.randint(1, 2) +
                           [("alice", True)], gap=6)
    return [one]


@kind("script with a withdrawn key, hourly", USER, 3)
def withdrawn_key(story, visitor):
    one, address = visitor(), story.v4()
    at = story.random.uniform(0, HOUR)
    while at < story.seconds:
        story.host.ssh_by_key(one, at, address, "backup", is_right=False)
        at += HOUR
    return [one]


@kind("monitor that only connects", USER, 3)
def monitor(story, visitor):
    one, address = visitor(), story.v4()
    at = story.random.uniform(0, 300)
    while at < story.seconds:
        story.host.connected_only(one, at, address)
        at += 300
    return [one]


@kind("provider's pool, dead recipients", USER, 2)
def dead_recipients(story, visitor):
    one = visitor()
    pool = [story.v4() for _ in range(12)]
    for _ in range(60 * story.days):
        story.host.refused_recipient(one, story.random.uniform(0, story.seconds), story.random.choice(pool),
                                     f"gone{story.random.randrange(40)}@example.org", "550 5.1.1",
                                     "User unknown in virtual mailbox table")
    return [one]


@kind("newsletter, greylisted", USER, 2)
def newsletter(story, visitor):
    """Each address of the pool comes back every few minutes until it is let in."""
    one = visitor()
    for address in [story.v4() for _ in range(8)]:
        at = story.office_hour(story.random.randrange(story.days))
        for _ in range(12):
            story.host.refused_recipient(one, at, address, "alice@example.org", "450 4.2.0", "Greylisted")
            at += story.random.uniform(60, 400)
    return [one]


# ---- attackers that an address-based guard can see ----

def _single(story, visitor, accounts, gap, **more):
    one, address = visitor(), story.v4()
    story.attack(one, story.random.uniform(0, story.seconds * 0.8), lambda: address, accounts, gap, **more)
    return [one]


@kind("fast, one account", ATTACKER, 25)
def fast_on_one(story, visitor):
    """Several tries a second."""
    service = story.tools()
    account = story.random.choice(["root", "alice"]) if service == "ssh" else story.account()
    return _single(story, visitor, [account] * story.random.randint(40, 400), story.steady(0.1, 1), service=service,
                   per_connection=story.random.choice([1, 1, 3]))


@kind("fast, many names", ATTACKER, 25)
def fast_on_many(story, visitor):
    service = story.tools()
    names = [story.guess(service) for _ in range(story.random.randint(40, 400))]
    return _single(story, visitor, names, story.steady(0.1, 2), service=service,
                   per_connection=1 if service == "ssh" else story.random.choice([1, 1, 3]))


@kind("steady, a try each 3 to 60 s", ATTACKER, 30)
def steady(story, visitor):
    service = story.tools()
    if story.random.random() < 0.5:
        accounts = [story.guess(service, 1.0)] * 150
    else:
        accounts = [story.guess(service) for _ in range(150)]
    low = story.random.uniform(3, 50)
    return _single(story, visitor, accounts, story.steady(low, low * 1.2), service=service)


@kind("paced just under the limits, many names", ATTACKER, 25)
def paced(story, visitor):
    """Two tries, then silence until ten minutes are over; or one each five and a half to nine minutes."""
    service = story.tools()
    names = [story.guess(service, 0.5) for _ in range(story.random.randint(60, 200))]
    if story.random.random() < 0.5:
        beat = iter([5, 600] * 200)
        return _single(story, visitor, names, lambda: next(beat), service=service)
    return _single(story, visitor, names, story.steady(330, 540), service=service)


@kind("slow, one try an hour, many names", ATTACKER, 20)
def hourly(story, visitor):
    service = story.tools()
    one, address = visitor(), story.v4()
    names = [story.guess(service, 0.5) for _ in range(24 * story.days)]
    story.attack(one, story.random.uniform(0, DAY), lambda: address, names, story.steady(3500, 3700), service=service)
    return [one]


@kind("spread over many addresses", ATTACKER, 2)
def spread(story, visitor):
    """Fifteen addresses share a list of names; each of them tries every ten seconds to two minutes."""
    service, began, bots = story.tools(), story.random.uniform(0, story.seconds * 0.7), []
    for _ in range(15):
        one, address = visitor(), story.v4()
        names = [story.guess(service) for _ in range(story.random.randint(20, 60))]
        story.attack(one, began + story.random.uniform(0, HOUR), lambda address=address: address, names,
                     story.steady(10, 120), service=service)
        bots.append(one)
    return bots


@kind("password spray", ATTACKER, 12)
def spray(story, visitor):
    """One password, all accounts, most of which there are."""
    service = story.random.choice(["imap", "submission"])
    names = [story.guess(service, 0.8) for _ in range(60)]
    low = story.random.choice([1, 20, 90])
    return _single(story, visitor, names, story.steady(low, low * 2), service=service)


@kind("credential stuffing", ATTACKER, 3)
def stuffing(story, visitor):
    """Six addresses work off a leaked list: each name once, most of them elsewhere's."""
    began, bots = story.random.uniform(0, story.seconds * 0.7), []
    for _ in range(6):
        one, address = visitor(), story.v4()
        names = [f"user{story.random.randrange(10**6)}@example.{story.random.choice(['com', 'net', 'org'])}"
                 for _ in range(80)]
        story.attack(one, began + story.random.uniform(0, 600), lambda address=address: address, names,
                     story.steady(2, 30), service=story.random.choice(["imap", "submission"]))
        bots.append(one)
    return bots


@kind("IPv6, another address of its /64 each try", ATTACKER, 12)
def rotating_within(story, visitor):
    one, net, service = visitor(), story.net64(), story.tools()
    low = story.random.choice([1, 10, 100])
    story.attack(one, story.random.uniform(0, story.seconds * 0.7), lambda: story.within(net),
                 [story.guess(service) for _ in range(100)], story.steady(low, low * 2), service=service)
    return [one]


@kind("returns after every ban", ATTACKER, 12)
def returner(story, visitor):
    """Comes every two to four hours and tries ten times."""
    one, address, service = visitor(), story.v4(), story.tools()
    at = story.random.uniform(0, DAY)
    while at < story.seconds:
        story.attack(one, at, lambda: address, [story.guess(service) for _ in range(10)], story.steady(2, 8),
                     service=service)
        at += story.random.uniform(2, 4) * HOUR
    return [one]


@kind("customer who guesses others' passwords", ATTACKER, 6)
def insider(story, visitor):
    """Logs in with an account of his own, from the same address, day by day."""
    one, address, own = visitor(), story.v4(), story.account()
    one.own_account = own
    for day in range(story.days):
        story.logs_in(one, story.office_hour(day), address, own)
    others = [a for a in MAIL_ACCOUNTS if a != own]
    story.attack(one, story.random.uniform(1, story.days - 0.5) * DAY, lambda: address,
                 [story.random.choice(others) for _ in range(60)], story.steady(5, 60), service="imap")
    return [one]


@kind("a guess that would be right at try 15 to 40", ATTACKER, 12)
def right_at_last(story, visitor):
    """Banned in time, it is never made."""
    service = story.tools()
    account = story.guess(service, 1.0)
    return _single(story, visitor, [account] * story.random.randint(14, 39) + [(account, True)],
                   story.steady(2, 20), service=service)


# ---- attackers that are weak spots by nature ----

@kind("one account, a try each 6 to 9 min", ATTACKER, 8, is_weak=True)
def paced_on_one(story, visitor):
    """Looks like a phone with an old password."""
    service = story.tools()
    return _single(story, visitor, [story.guess(service, 1.0)] * 300, story.steady(360, 540), service=service)


@kind("one account, hourly, right in the end", ATTACKER, 8, is_weak=True)
def compromised_slowly(story, visitor):
    """The account is lost; what can be done is to tell its owner."""
    service = story.tools()
    account = story.guess(service, 1.0)
    one, address = visitor(), story.v4()
    story.attack(one, story.random.uniform(0, DAY / 2), lambda: address,
                 [account] * story.random.randint(6, 22) + [(account, True)] * 3, story.steady(3500, 3700),
                 service=service)
    return [one]


@kind("right at the first to third try", ATTACKER, 8, is_weak=True)
def right_at_once(story, visitor):
    """A password that was stolen elsewhere."""
    service = story.tools()
    account = story.guess(service, 1.0)
    return _single(story, visitor, [account] * story.random.randint(0, 2) + [(account, True)] * 4,
                   story.steady(60, 600), service=service)


@kind("slow botnet, 1 or 2 tries per address", ATTACKER, 1, is_weak=True)
def botnet(story, visitor):
    """A hundred and fifty addresses over all days."""
    service, bots = story.tools(), []
    for _ in range(150):
        one, address = visitor(), story.v4()
        for _ in range(story.random.randint(1, 2)):
            story.attack(one, story.random.uniform(0, story.seconds), lambda: address, [story.guess(service)],
                         story.steady(1, 2), service=service)
        bots.append(one)
    return bots


@kind("slow botnet, 3 to 7 tries a day per address", ATTACKER, 1, is_weak=True)
def larger_botnet(story, visitor):
    service, bots = story.tools(), []
    for _ in range(40):
        one, address = visitor(), story.v4()
        a_day = story.random.randint(3, 7)
        at = story.random.uniform(0, DAY / a_day)
        story.attack(one, at, lambda address=address: address,
                     [story.guess(service) for _ in range(a_day * story.days)],
                     story.steady(0.8 * DAY / a_day, 1.2 * DAY / a_day), service=service)
        bots.append(one)
    return bots


@kind("IPv6, another /64 of its /48 each try", ATTACKER, 3, is_weak=True)
def rotating_across(story, visitor):
    one, service = visitor(), story.tools()
    net48 = story.net64().rsplit(":", 1)[0]
    story.attack(one, story.random.uniform(0, story.seconds * 0.7),
                 lambda: story.within(f"{net48}:{story.random.randrange(65536):x}"),
                 [story.guess(service) for _ in range(200)], story.steady(5, 60), service=service)
    return [one]


@kind("one try an hour, and the log names no account", ATTACKER, 8, is_weak=True)
def hourly_unnamed(story, visitor):
    """An old Postfix in front: was it one account or many?"""
    one, address = visitor(), story.v4()
    story.host.names_accounts = False
    story.attack(one, story.random.uniform(0, DAY), lambda: address,
                 [story.guess("submission", 0.5) for _ in range(24 * story.days)], story.steady(3500, 3700),
                 service="submission")
    story.host.names_accounts = True
    return [one]


@kind("one long connection, 12 tries", ATTACKER, 8, is_weak=True)
def long_connection(story, visitor):
    """Dovecot without auth_verbose tells of them when the connection ends."""
    return _single(story, visitor, [story.guess("imap") for _ in range(60)], story.steady(12, 15), service="imap",
                   per_connection=12)


@kind("twenty connections at once", ATTACKER, 8, is_weak=True)
def at_once(story, visitor):
    """All of them are under way before the first one has been refused."""
    one, address = visitor(), story.v4()
    began = story.random.uniform(0, story.seconds * 0.8)
    for number in range(20):
        story.host.dovecot(one, began + 0.01 * number, address, [(story.guess("imap"), False)], gap=2.5)
    return [one]


# ---- both behind one address ----

@kind("carrier's NAT with a guesser among the users", SHARED, 3)
def shared_nat(story, visitor):
    """Ten of our users log in from there all day; somebody behind the same address guesses."""
    one, address = visitor(), story.v4()
    for account in story.random.sample(MAIL_ACCOUNTS, 10):
        at = story.random.uniform(0, 6 * HOUR)
        while at < story.seconds:
            story.logs_in(one, at, address, account)
            at += story.random.uniform(1, 5) * HOUR
    story.attack(one, story.random.uniform(1, story.days - 0.5) * DAY, lambda: address,
                 [story.guess("imap", 0.1) for _ in range(60)], story.steady(5, 40), service="imap")
    return [one]


def labels(story):
    """The label file: address, kind, side, and each try's time, address, service, account and outcome."""
    sides = {name: side for name, side, *_ in KINDS}
    for number, one in enumerate(story.visitors):
        for address in sorted(one.addresses):
            yield {"visitor": number, "address": address, "kind": one.kind, "side": sides[one.kind],
                   "tries": [{"at_us": t.at, "service": t.service, "account": t.account, "right": t.is_right}
                             for t in one.tries if t.address == address]}
