"""The DNS probe against a world that is all right, wrong in one point, hostile, or silent. The world is
tests/sabotage/dns: zones signed from a root of their own, in a network namespace."""
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from world import PREFIX, run

ROOT = pathlib.Path(__file__).parents[2]
PROBER = pathlib.Path(os.environ["HAUBERK_CHECK"]) / "src" / "hauberk-prober"
V4, V6 = "192.0.2.1", "2001:db8::1"
REVERSE4 = "1.2.0.192.in-addr.arpa"
REVERSE6 = "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"
MAIL = "mail.example.org"
LIMIT = 20  # probes.def


class Dns:
    """A namespace with two public addresses, and in it the world; its /etc has more than this machine's."""

    def __init__(self, stack):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hbdns", dir="/tmp"))
        self.namespace = f"{PREFIX}d{os.getpid()}"
        self.tool = str(ROOT / "tests/sabotage/dns/dns-world")
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        run("ip", "netns", "add", self.namespace)
        stack.callback(run, "ip", "netns", "del", self.namespace, check=False)
        for command in ("link set lo up", "link add d0 type veth peer name d1", "link set d0 up", "link set d1 up",
                        f"addr add {V4}/24 dev d0", f"-6 addr add {V6}/64 dev d0 nodad",
                        "route add default via 192.0.2.254", "-6 route add default via 2001:db8::fffe"):
            run("ip", "-n", self.namespace, *command.split())
        (self.folder / "etc").mkdir()
        self.make_keys()
        for name, value in (("V4", V4), ("V6", V6), ("REVERSE4", REVERSE4), ("REVERSE6", REVERSE6), ("TLSA", "ab" * 32)):
            self.world("value", name, value)
        stack.callback(self.world, "stop")
        self.world("start")

    def inside(self, *command):
        """A command in the namespace, on a machine called mail.example.org, with an /etc of its own."""
        script = f'mount -t overlay overlay -o lowerdir={self.folder}/etc:/etc /etc; hostname {MAIL}; exec "$@"'
        return ["ip", "netns", "exec", self.namespace, "unshare", "-m", "-u", "sh", "-euc", script, "sh", *command]

    def world(self, *arguments):
        done = subprocess.run(["ip", "netns", "exec", self.namespace, self.tool, *arguments], capture_output=True, text=True,
                              timeout=60, env=dict(os.environ, DNS_WORLD=str(self.folder / "world")))
        assert done.returncode == 0, f"dns-world {arguments}: {done.stdout}{done.stderr}"

    def make_keys(self):
        signing = self.folder / "etc/rspamd/local.d"
        signing.mkdir(parents=True)
        key = self.folder / "etc/rspamd/key"
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key))
        public = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"], capture_output=True,
                                check=True).stdout[-32:]
        self.world("value", "ED25519", subprocess.run(["base64", "-w0"], input=public, capture_output=True,
                                                      check=True).stdout.decode())
        (signing / "dkim_signing.conf").write_text(
            'domain { example.org { path = "/etc/rspamd/key"; selector = "s2026e"; } }\n')

    def start_probe(self, domains="example.org", resolver="127.0.0.1"):
        return subprocess.Popen(self.inside(str(PROBER), "dns", f"domains={domains}", f"resolver={resolver}",
                                            f"anchors={self.folder}/world/root.key"),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")

    def probe(self, domains="example.org"):
        return read(self.start_probe(domains))

    @contextlib.contextmanager
    def changed(self, *changes, how="change"):
        """Changes are (zone, sed expression)."""
        self.world(how, *(word for change in changes for word in change))
        try:
            yield
        finally:
            self.world("mend")


def read(process):
    """{(reading, subject): value}; what could not be looked at under (reading, None)."""
    out, error = process.communicate(timeout=LIMIT + 20)
    assert process.returncode == 0, error
    readings = {}
    for line in out.splitlines():
        fields = line.split("\t")
        assert len(fields) == 3, line
        assert line.isprintable() or all(c.isprintable() or c == "\t" for c in line), f"not safe: {line!r}"
        if fields[0] == "!":
            readings[fields[1], None] = fields[2]
        else:
            readings[fields[0], fields[1]] = fields[2]
    return readings


RIGHT = {
    ("dns.resolver.validates", "127.0.0.1"): "yes", ("dns.resolver.dnssec", ""): "passed", ("dns.helo", ""): MAIL,
    ("dns.host.a", MAIL): V4, ("dns.host.aaaa", MAIL): V6, ("dns.host.here", MAIL): "yes",
    ("dns.host.dnssec", MAIL): "secure", ("dns.host.tlsa.usable", MAIL): "2", ("dns.host.tlsa.rollover", MAIL): "yes",
    ("dns.host.caa", MAIL): '0 issue "letsencrypt.org"', ("dns.address.ptr", V4): MAIL, ("dns.address.ptr", V6): MAIL,
    ("dns.address.confirmed", V4): "yes", ("dns.address.helo", V6): "yes",
    ("dns.address.listed", f"{V4} zen.spamhaus.org"): "no", ("dns.address.listed", f"{V6} zen.spamhaus.org"): "no",
    ("dns.domain.dnssec", "example.org"): "secure", ("dns.mx", "example.org"): MAIL, ("dns.mx.here", "example.org"): "yes",
    ("dns.mx.target", f"example.org {MAIL}"): "good", ("dns.servers.ipv6", "example.org"): "2",
    ("dns.wildcard", "example.org"): "none", ("dns.spf.lookups", "example.org"): "1", ("dns.spf.all", "example.org"): "fail",
    ("dns.spf.covers", f"example.org {V4}"): "pass", ("dns.spf.covers", f"example.org {V6}"): "pass",
    ("dns.dmarc.policy", "example.org"): "reject", ("dns.dkim.type", "s2026e._domainkey.example.org"): "ed25519",
    ("dns.dkim.matches", "s2026e._domainkey.example.org"): "yes", ("dns.mta-sts.error", "example.org"): "none",
    ("dns.mta-sts.policy.error", "example.org"): "mta-sts.example.org: Connection refused",
    ("dns.tls-rpt.error", "example.org"): "none", ("dns.domain.dnssec", "elsewhere.net"): "insecure",
    ("dns.domain.exists", "gone.net"): "no", ("dns.mx.here", "elsewhere.net"): "no",
}

# What is changed, several things at once, and what is read then. The sabotages of hardening/dns.rules are more of these.
FAULTS = [
    ([("example.org", r"$a * A 192.0.2.80\n* MX 10 mail\nmx CNAME mail"),
      ("example.org", "s/^@ MX .*/@ MX 10 mx/"),
      ("root", f"s/^{REVERSE4}.*/{REVERSE4}. PTR pool.elsewhere.net./; /^{REVERSE6}/d"),
      ("example.org", "/^_dmarc/s/dmarc@example.org/a@elsewhere.net,mailto:b@nobody.net/"),
      ("example.org", "s/TLSA 3 1 1 0000/TLSA 0 1 1 0000/")],
     {("dns.wildcard", "example.org"): "A MX",
      ("dns.mx.target", "example.org mx.example.org"): f"alias of {MAIL}",
      ("dns.address.confirmed", V4): "no", ("dns.address.helo", V4): "no", ("dns.address.ptr", V6): "none",
      ("dns.dmarc.accepted", "example.org elsewhere.net"): "yes", ("dns.dmarc.accepted", "example.org nobody.net"): "no",
      ("dns.host.tlsa.usable", MAIL): "1", ("dns.host.tlsa.rollover", MAIL): "no"}),
    ([("root", "/^example.org.*DS/d"),
      ("root", f"$a {REVERSE4[:9]}.zen.spamhaus.org. A 127.0.0.3\\n{REVERSE4[:9]}.bl.spamcop.net. A 127.255.255.254"),
      ("root", "s/^2.0.0.127.psbl.*/1.0.0.127.psbl.surriel.com. A 127.0.0.2/"),
      ("example.org", "s/^@ MX .*/@ MX 0 ./"),
      ("example.org", 's/"v=spf1 mx/"v=spf1 include:a.loop.elsewhere.net/'),
      ("example.org", "s/p=[A-Za-z0-9+/=]*\"$/p=\"/"),
      ("elsewhere.net", r'$a a.loop TXT "v=spf1 include:b.loop.elsewhere.net a:gone.elsewhere.net -all"\n'
                        r'b.loop TXT "v=spf1 mx:gone.elsewhere.net redirect=c.loop.elsewhere.net"\n'
                        f'c.loop TXT "v=spf1 ip4:{V4} ~all"')],
     {("dns.domain.dnssec", "example.org"): "insecure", ("dns.mx", "example.org"): "null",
      ("dns.address.listed", f"{V4} zen.spamhaus.org"): "yes: 127.0.0.3",
      ("dns.address.listed", f"{V4} bl.spamcop.net"): None,
      ("dns.list.refuses", "bl.spamcop.net"): "127.255.255.254",
      ("dns.list.refuses", "psbl.surriel.com"): "it lists everything",
      ("dns.spf.lookups", "example.org"): "5", ("dns.spf.voids", "example.org"): "2",
      ("dns.spf.covers", f"example.org {V4}"): "pass", ("dns.spf.covers", f"example.org {V6}"): "fail",
      ("dns.dkim.error", "s2026e._domainkey.example.org"): "p= is empty: the key is revoked"}),
    ([("example.org", r'$a @ SPF "v=spf1 a ~all"\n@ TXT "v=spf1 a ~all"')],
     {("dns.spf.records", "example.org"): "2", ("dns.spf.type99", "example.org"): "yes"}),
]

HUGE = " ".join(f'"{"A" * 250}"' for _ in range(120))
HOSTILE = [
    ("example.org", '$a @ TXT ' + HUGE),
    ("example.org", r's/"v=spf1 mx/"v=spf1 include:one.loop.elsewhere.net/'),
    ("elsewhere.net", r'$a one.loop TXT "v=spf1 include:two.loop.elsewhere.net include:two.loop.elsewhere.net ?all"' + "\\n"
     'two.loop TXT "v=spf1 include:one.loop.elsewhere.net ' + " ".join(f'a:{n}.gone.elsewhere.net" "' for n in range(30)) + ' -all"'),
    ("example.org", r"s/^@ MX .*/@ MX 10 round/; $a round CNAME about\nabout CNAME round"),
    ("example.org", "$a " + "\\n".join(f"@ MX {n} mx{n}.elsewhere.net." for n in range(90))),
    ("example.org", r'/^_dmarc/d; $a _dmarc TXT "v=DMARC1; p=\\027[31m\\000\\255; rua=mailto:a@$(id)"'),
    ("example.org", r'/^_smtp/d; $a _smtp._tls TXT "v=TLSRPTv1; rua=\\010\\009tab"'),
    ("root", f"s/^{REVERSE4}.*/{REVERSE4}. PTR a\\\\\\\\000b\\\\\\\\010.evil\\\\\\\\009.net./"),
]


def missing():
    for program in ("/usr/sbin/unbound", "/usr/bin/ldns-signzone", "/usr/bin/drill"):
        if not pathlib.Path(program).exists():
            return f"needs {program}: packages/check"
    return None


def expect(readings, wanted):
    wrong = {key: (readings.get(key), value) for key, value in wanted.items() if readings.get(key) != value}
    assert not wrong, f"read, wanted: {wrong}; not looked at: { {k[0]: v for k, v in readings.items() if k[1] is None} }"


class Server(threading.Thread):
    """A name server on another port: it answers for the root what it must, and of others what it is told."""

    def __init__(self, dns, port, answer):
        super().__init__(daemon=True)
        self.answer = answer
        with entered(dns.namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.start()

    def run(self):
        while True:
            question, client = self.socket.recvfrom(4096)
            answer = self.answer(question)
            if answer:
                self.socket.sendto(answer, client)


@contextlib.contextmanager
def entered(namespace):
    """This thread in a network namespace."""
    with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{namespace}") as there:
        os.setns(there.fileno(), os.CLONE_NEWNET) if hasattr(os, "setns") else set_namespace(there.fileno())
        try:
            yield
        finally:
            os.setns(before.fileno(), os.CLONE_NEWNET) if hasattr(os, "setns") else set_namespace(before.fileno())


def set_namespace(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def nothing(question):
    return None


def only_the_root(question):
    """No error and no records for the root, silence for everything else."""
    return question[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + question[12:17] if question[12] == 0 else None


def noise(question):
    """The right number and flags, then what never was a packet."""
    return question[:2] + b"\x81\x80\xff\xff\xff\xff\xff\xff\xff\xff" + os.urandom(400)


def timed(dns, resolver):
    """What is read through it, and how long that takes."""
    began = time.monotonic()
    return read(dns.start_probe(resolver=resolver)), time.monotonic() - began


def test_dns():
    why = missing()
    if why:
        raise AssertionError(why)
    with contextlib.ExitStack() as stack:
        dns = Dns(stack)
        # The slow ones wait while the others work.
        Server(dns, 5301, nothing), Server(dns, 5302, only_the_root), Server(dns, 5303, noise)
        waiting = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
        slow = {port: waiting.submit(timed, dns, f"127.0.0.1@{port}") for port in (5301, 5302, 5303)}
        expect(dns.probe("example.org,elsewhere.net,gone.net"), RIGHT)
        readings = dns.probe(",".join(["example.org"] + [f"d{i}.example.org" for i in range(44)]))
        assert readings["dns.spf.", None] == "only 40 domains were asked for, 5 others were not", readings
        assert ("dns.spf", "example.org") in readings and ("dns.host.", None) not in readings, readings
        for changes, wanted in FAULTS:
            with dns.changed(*changes):
                expect(dns.probe(), wanted)
        with dns.changed(("example.org", "/TXT.*spf1 mx/s/-all/+all/"), how="corrupt"):
            readings = dns.probe()
            assert ("dns.bogus", "example.org type 16") in readings, readings
            assert ("dns.spf", "example.org") not in readings, "a forged record was believed"
        with dns.changed(*HOSTILE):
            asked = time.monotonic()
            readings = dns.probe()
            took = time.monotonic() - asked
        assert took < LIMIT, f"hostile answers took {took:.0f} s"
        assert int(readings["dns.spf.lookups", "example.org"]) > 10, readings
        assert "error" in readings["dns.spf.covers", f"example.org {V4}"], readings
        assert readings["dns.dmarc.error", "example.org"].startswith("a policy is none"), readings
        assert not any("\x1b" in value or "\0" in value for value in readings.values())
        seconds = {}
        for port, later in slow.items():
            readings, seconds[port] = later.result()
            assert any(key[1] is None for key in readings), f"{port}: a silent server's answers: {readings}"
            assert seconds[port] < LIMIT, f"{port}: {seconds}"
        # This one answers for the root: what is said comes in time, with what is not known.
        assert ("dns.mx", None) in slow[5302].result()[0], readings
    return (f"hostile answers in {took:.1f} s, servers that are silent, fall silent and talk nonsense in "
            + ", ".join(f"{each:.1f}" for each in seconds.values()) + " s")
