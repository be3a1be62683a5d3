#!/usr/bin/env python3
"""What the probe of TLS says of a server, against what a server was told and what OpenSSL's own client can agree on
with it. Servers are OpenSSL's, each with one weakness, on loopback in a network namespace of the test's own; what no
library speaks any more is a few lines of Python. Prints TAP.

    tls_test.py [long]      long: testssl.sh is asked as well (minutes)"""
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
RELEASE = pathlib.Path(os.environ["HAUBERK_RELEASE"])
PROBER = RELEASE / "src" / "hauberk-prober"
NAME = "mx.test"
AUTHORITIES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
INSIDE = "HAUBERK_TLS_TEST_INSIDE"
VERSIONS = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"


# ---- certificates ----

def openssl(*arguments, given=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


class Certificates:
    """A root, an intermediate, and host certificates with whatever is wrong with them."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        (folder / "ca.conf").write_text(f"""[ca]
default_ca = own
[own]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
policy = any
default_md = sha256
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
""")
        (folder / "index").write_text("")
        (folder / "serial").write_text("1000\n")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 100,
                "-subj", "/CN=root", "-keyout", folder / "root.key", "-out", folder / "root.pem")
        self.middle = self.sign("middle", "/CN=middle", ["basicConstraints=critical,CA:TRUE"], "root")

    def sign(self, name, subject, extensions, by, key=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), days=(-1, 60),
             digest="sha256"):
        folder, stamp = self.folder, lambda d: time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + d * 86400))
        added = [part for e in extensions for part in ("-addext", e)]
        openssl("req", "-newkey", *key, "-nodes", "-subj", subject, *added, "-keyout", folder / f"{name}.key",
                "-out", folder / f"{name}.csr")
        openssl("ca", "-batch", "-notext", "-config", folder / "ca.conf", "-in", folder / f"{name}.csr",
                "-cert", folder / f"{by}.pem", "-keyfile", folder / f"{by}.key", "-md", digest,
                "-startdate", stamp(days[0]), "-enddate", stamp(days[1]), "-out", folder / f"{name}.pem")
        return name

    def host(self, names=(NAME,), chain=True, **how):
        """The arguments with which s_server shows a new certificate."""
        self.count += 1
        name = f"host{self.count}"
        san = ["subjectAltName=" + ",".join(f"DNS:{n}" for n in names)] if names else []
        self.sign(name, f"/CN={NAME}", san, "middle", **how)
        shown = ["-cert", self.folder / f"{name}.pem", "-key", self.folder / f"{name}.key"]
        return [*shown, "-cert_chain", self.folder / "middle.pem"] if chain else shown

    def second(self, shown):
        """The same as a second certificate of a server."""
        return [{"-cert": "-dcert", "-key": "-dkey", "-cert_chain": "-dcert_chain"}.get(a, a) for a in shown]


# ---- servers ----

class Ports:
    next = 20000


def is_listening(port):
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
               for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])


@contextlib.contextmanager
def served(*arguments):
    """An s_server; its port."""
    Ports.next += 1
    port = Ports.next
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", *map(str, arguments)],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not is_listening(port):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"s_server {arguments} does not listen")
            select.select([], [], [], 0.01)  # nothing tells when another process listens
        yield port
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def answering(answer):
    """A server that calls answer(connection) for each connection, one at a time; its port."""
    Ports.next += 1
    listener = socket.create_server(("127.0.0.1", Ports.next), backlog=50)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                answer(connection)
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Ports.next
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def record(kind, version, body):
    return struct.pack(">BHH", kind, version, len(body)) + body


def old_server(version, suite, compression=0, extensions=b""):
    """Agrees to one version and suite that no library speaks any more, and goes no further."""
    def answer(connection):
        connection.settimeout(5)
        head = connection.recv(5, socket.MSG_WAITALL)
        if len(head) < 5:
            return
        hello = connection.recv(struct.unpack(">H", head[3:])[0], socket.MSG_WAITALL)
        offered, = struct.unpack(">H", hello[4:6])
        at = 39 + hello[38]  # behind the session's name
        length, = struct.unpack(">H", hello[at:at + 2])
        suites = struct.unpack(f">{length // 2}H", hello[at + 2:at + 2 + length])
        if offered < version or suite not in suites:
            connection.sendall(record(21, version, b"\2\x28"))
            return
        body = struct.pack(">H", version) + b"r" * 32 + b"\0" + struct.pack(">HB", suite, compression)
        if extensions:
            body += struct.pack(">H", len(extensions)) + extensions
        connection.sendall(record(22, version, b"\2\0" + struct.pack(">H", len(body)) + body + b"\x0e\0\0\0"))
    return answer


DIALECTS = {  # what is said, and after which line
    "smtp": [(None, "220 mx.test ESMTP"), ("EHLO", "250-mx.test\r\n250 STARTTLS"), ("STARTTLS", "220 go on")],
    "imap": [(None, "* OK [CAPABILITY IMAP4rev1 STARTTLS] Ready."), ("CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS\r\nh OK"),
             ("STARTTLS", "h OK go on")],
    "pop3": [(None, "+OK Ready."), ("CAPA", "+OK\r\nSTLS\r\n."), ("STLS", "+OK go on")],
    "sieve": [(None, '"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK'), ("CAPABILITY", '"STARTTLS"\r\nOK'), ("STARTTLS", "OK")],
}


def speaking(dialect, port):
    """Speaks a dialect up to STARTTLS, then hands everything on to the server at `port`."""
    lines = dict(DIALECTS[dialect])

    def answer(connection):
        connection.settimeout(5)
        connection.sendall(lines[None].encode() + b"\r\n")
        for line in connection.makefile("rb", buffering=0):
            word = [w for w in line.decode("ascii", "replace").split() if w != "h"][0]
            connection.sendall(lines[word].encode() + b"\r\n")
            if word in ("STARTTLS", "STLS"):
                break
        with socket.create_connection(("127.0.0.1", port)) as server:
            ends = {connection: server, server: connection}
            while True:
                for end in select.select(list(ends), [], [], 5)[0]:
                    read = end.recv(65536)
                    if not read:
                        return
                    ends[end].sendall(read)
    return answer


# ---- asking ----

def probe(port, dialect="tls", name=NAME):
    """What the probe says of that port, and why it could not look."""
    done = subprocess.run([PROBER, "tls", f"port={port}/{dialect},{name}"], capture_output=True, text=True, timeout=30)
    readings = {}
    for line in done.stdout.splitlines():
        key, subject, value = line.split("\t")
        if key == "!":
            readings.setdefault("not looked at", []).append(f"{subject} {value}")
        else:
            readings[key.removeprefix("tls.") + subject.removeprefix(f"port {port}")] = value
    if done.returncode or done.stderr:
        readings["failed"] = done.stderr
    return readings


def agrees(port, *arguments):
    """Can OpenSSL's client shake hands so?"""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-groups",
                           "P-256:X25519:P-384", *arguments], input="", capture_output=True, text=True, timeout=20)
    return re.search(r"^    Cipher    : (?!0000)\S+|^New, TLS\S+, Cipher is (?!\(NONE\))", done.stdout, re.M) is not None


def weak_suites():
    """Those before TLS 1.3 that OpenSSL knows here, less those that are well."""
    names = openssl("ciphers", "-tls1_2", "-s", EVERYTHING).strip().split(":")
    return [n for n in names if "PSK" not in n and "SRP" not in n and not n.startswith("TLS_") and
            not re.match(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-(GCM|CCM$)|CHACHA)", n)]


# ---- the checks ----

FAILED = []


def check(what, *faults):
    faults = [f for f in faults if f]
    print(f"{'not ok' if faults else 'ok'} - {what}", flush=True)
    for fault in faults:
        FAILED.append(what)
        print(f"# {fault}")


def compare(what, readings, **wanted):
    check(what, *(f"{key} is {readings.get(key)!r}, not {value!r}: {readings}"
                  for key, value in ((k.replace("__", ", for "), v) for k, v in wanted.items())
                  if (value(readings.get(key)) if callable(value) else readings.get(key) == value) is False))


def has(*words):
    return lambda value: value is not None and all(w in value.split() for w in words)


def check_suites(what, *arguments):
    """Weak suites and versions, one by one, as the client sees them and as the probe does."""
    with served("-cipher", EVERYTHING, *arguments) as port:
        readings = probe(port)
        said = set(f"{readings.get('suites_insufficient', '')} {readings.get('suites_phase_out', '')}".split()) - {"none"}
        seen = {n for n in weak_suites() if agrees(port, "-tls1_2", "-cipher", f"{n}:@SECLEVEL=0")}
        versions = {v for v, o in VERSIONS.items() if agrees(port, o, "-cipher", EVERYTHING)}
        check(f"{what}: all {len(seen)} weak suites, and no other",
              seen != said and f"the probe only: {sorted(said - seen)}; the client only: {sorted(seen - said)}",
              not seen and "the client agrees to none at all", readings.get("not looked at"))
        check(f"{what}: versions {' '.join(sorted(versions))}",
              set(readings.get("versions", "").split()) != versions and readings)


def check_each_version(host):
    for version, option in VERSIONS.items():
        with served(*host, option, "-cipher", EVERYTHING) as port:
            compare(f"only {version}", probe(port), versions=version)


def check_settings(host, rsa):
    well = ["-cipher", "ECDHE+AESGCM:ECDHE+CHACHA20", "-groups", "X25519:P-256", "-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256"]
    for what, arguments, wanted in [
            ("nothing weak", [*host, *well, "-no_ticket"],
             dict(suites_insufficient="none", suites_phase_out="none", suites_broken="none", groups_weak="none",
                  signatures_weak="none", compression="no", renegotiation="no", safe_renegotiation="yes",
                  master_secret="yes", tickets="no", early_data="no", post_quantum="no", choice=None, dh_bits=None,
                  versions="TLSv1.2 TLSv1.3", chain="good", named="yes", expired="no", offered="yes")),
            ("a prime of the server's choice", [*rsa, "-cipher", "DHE"], dict(dh_bits="3072")),
            ("RSA's key exchange", [*rsa, "-cipher", "kRSA"], dict(suites_static=has("AES128-GCM-SHA256"))),
            ("no encryption", [*rsa, "-cipher", "eNULL:@SECLEVEL=0"], dict(suites_broken=has("NULL-SHA256"))),
            ("nobody proves who he is", [*host, "-cipher", "aNULL:@SECLEVEL=0"], dict(suites_anonymous=has("ADH-AES256-GCM-SHA384"))),
            ("a curve of 224 bits", [*rsa, *well, "-groups", "P-224:P-256"], dict(groups_weak="P-224")),
            ("finite fields in 1.3", [*rsa, *well, "-groups", "ffdhe2048:X25519"], dict(groups_weak="ffdhe2048")),
            ("a curve of 163 bits", [*rsa, *well, "-groups", "sect163r2:X25519", "-cipher", "ECDHE+AESGCM:@SECLEVEL=0"],
             dict(groups_weak="sect163r2")),
            ("signatures with SHA-1", [*rsa, "-cipher", "ECDHE+AESGCM:@SECLEVEL=0", "-sigalgs", "RSA+SHA1:RSA-PSS+SHA256"],
             dict(signatures_weak="SHA-1")),
            ("signatures with SHA-224", [*host, "-sigalgs", "ECDSA+SHA224:ECDSA+SHA256"], dict(signatures_weak="SHA-224")),
            ("a client may begin again", [*host, *well, "-client_renegotiation"], dict(renegotiation="yes")),
            ("data before the handshake is over", [*host, *well, "-early_data"], dict(early_data="yes")),
            ("tickets", [*host, *well], dict(tickets="yes")),
            ("the server chooses", [*host, "-cipher", "ECDHE+AESGCM:ECDHE-ECDSA-AES128-SHA256", "-serverpref"], dict(choice="server")),
            ("the client chooses", [*host, "-cipher", "ECDHE+AESGCM:ECDHE-ECDSA-AES128-SHA256"], dict(choice="client"))]:
        with served(*arguments) as port:
            compare(what, probe(port), **wanted)


def check_old():
    renegotiation, master = b"\xff\1\0\1\0", b"\0\x17\0\0"
    for what, server, wanted in [
            ("SSL 3 with RC4", old_server(0x300, 0x0005), dict(versions="SSLv3", suites_broken="RC4-SHA", safe_renegotiation="no")),
            ("an export suite", old_server(0x301, 0x0008), dict(versions="TLSv1", suites_broken="EXP-DES-CBC-SHA")),
            ("Triple-DES", old_server(0x303, 0x000a, 0, renegotiation + master),
             dict(versions="TLSv1.2", suites_broken="DES-CBC3-SHA", safe_renegotiation="yes", master_secret="yes")),
            ("compression", old_server(0x303, 0x009c, 1, renegotiation), dict(compression="yes", master_secret="no"))]:
        with answering(server) as port:
            compare(what, probe(port), **wanted)
    for what, bytes_ in [("a service without TLS", b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("rubbish", bytes(range(256)) * 40),
                         ("a record that never ends", b"\x16\3\3\xff\xff" + b"\2" * 70000)]:
        def answer(connection):
            connection.recv(4096)
            connection.sendall(bytes_)
        with answering(answer) as port:
            readings = probe(port)
            check(f"{what} is no TLS", "versions" in readings and readings["versions"] != "none" and readings,
                  readings.get("failed"))

    def silent(connection):
        while connection.recv(4096):
            pass
    with answering(silent) as port:
        started = time.monotonic()
        readings = probe(port)
        check("a service that is silent takes 4 seconds, no more", "not looked at" not in readings and readings,
              time.monotonic() - started > 8 and "it took longer")


def check_certificates(certificates):
    ec = lambda curve: ("ec", "-pkeyopt", f"ec_paramgen_curve:{curve}")
    weak = ["-cipher", "DEFAULT:@SECLEVEL=0"]
    unknown = "unable to get local issuer certificate"
    for what, shown, wanted in [
            ("a good one", certificates.host(), dict(chain="good", named="yes", self_signed="no", key="EC", key_curve="prime256v1",
                                                     hash="SHA256", lifetime_days="61", names=NAME)),
            ("without the middle of its chain", certificates.host(chain=False), dict(chain=unknown)),
            ("for another name", certificates.host(names=["www.example.com"]), dict(named=lambda v: v.startswith("no"))),
            ("for all names there are", certificates.host(names=["*.test"]), dict(named=lambda v: v.startswith("no"), names="*.test")),
            ("without names", certificates.host(names=[]), dict(names="none")),
            ("expired", certificates.host(days=(-90, -1)), dict(expired="yes", days_left="0", chain="good")),
            ("not valid yet", certificates.host(days=(2, 60)), dict(expired="not valid yet")),
            ("about to run out", certificates.host(days=(-80, 5)), dict(expired="no", days_left=lambda v: v in ("4", "5"))),
            ("for ten years", certificates.host(days=(-1, 3650)), dict(lifetime_days="3651")),
            ("RSA 1024", [*certificates.host(key=("rsa:1024",)), *weak], dict(key="RSA", key_bits="1024")),
            ("RSA 3072", certificates.host(key=("rsa:3072",)), dict(key="RSA", key_bits="3072")),
            ("secp256k1", [*certificates.host(key=ec("secp256k1")), "-groups", "secp256k1:P-256"], dict(key="EC", key_curve="secp256k1")),
            ("Ed25519", certificates.host(key=("ed25519",)), dict(key="ED25519", hash="SHA256")),
            ("SHA-1", [*certificates.host(digest="sha1"), *weak], dict(hash="SHA1")),
            ("two keys", [*certificates.host(), *certificates.second(certificates.host(key=("rsa:2048",)))],
             {"key": "EC", "key__RSA": "RSA", "key_bits__RSA": "2048"})]:
        with served(*shown) as port:
            compare(f"certificate: {what}", probe(port), **wanted)
    folder = certificates.folder
    openssl("req", "-x509", "-newkey", *ec("prime256v1"), "-nodes", "-days", 30, "-subj", f"/CN={NAME}", "-addext",
            f"subjectAltName=DNS:{NAME}", "-keyout", folder / "self.key", "-out", folder / "self.pem")
    with served("-cert", folder / "self.pem", "-key", folder / "self.key") as port:
        readings = probe(port)
        compare("certificate: its own", readings, self_signed="yes", chain="self-signed certificate")
        wanted = openssl("x509", "-in", folder / "self.pem", "-noout", "-fingerprint", "-sha256")
        check("its fingerprint is OpenSSL's", readings["certificate"] !=
              wanted.split("=")[1].strip().replace(":", "").lower() and wanted)


def check_dialects(host):
    with served(*host, "-tls1_2", "-cipher", "ECDHE+AESGCM:ECDHE-ECDSA-AES128-SHA256") as port:
        plain = probe(port)
        for dialect in DIALECTS:
            with answering(speaking(dialect, port)) as front:
                readings = probe(front, dialect)
                differing = [k for k in plain if k not in ("port",) and readings.get(k) != plain[k]]
                check(f"{dialect}: the same behind STARTTLS", differing and f"{differing}: {readings}")

    def without(connection):
        connection.sendall(b"220 mx.test ESMTP\r\n")
        while connection.recv(4096):
            connection.sendall(b"250 mx.test\r\n")
    with answering(without) as port:
        compare("SMTP without STARTTLS", probe(port, "smtp"), offered="no", versions=None)


def check_testssl(hosts):
    """testssl.sh as a second opinion on versions and weak suites."""
    names = {"SSLv3": "SSLv3", "TLS1": "TLSv1", "TLS1_1": "TLSv1.1", "TLS1_2": "TLSv1.2", "TLS1_3": "TLSv1.3"}
    for what, arguments in hosts:
        with served(*arguments) as port, tempfile.TemporaryDirectory() as folder:
            readings = probe(port)
            out = pathlib.Path(folder) / "out.json"
            subprocess.run(["testssl", "--quiet", "--jsonfile", out, "--warnings", "off", "-p", "-E", "--ip", "127.0.0.1",
                            f"{NAME}:{port}"], capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
            found = {one["id"]: one["finding"] for one in json.loads(out.read_text())}
            versions = {v for k, v in names.items() if found.get(k, "").startswith("offered")}
            check(f"testssl, {what}: versions", set(readings["versions"].split()) != versions and
                  f"{readings['versions']} {versions}")
            # "TLS 1.2   xc024   NAME …"
            suites = {re.search(r"\sx[0-9a-f]+\s+(\S+)", f)[1] for k, f in found.items() if k.startswith("cipher-tls1_2_")}
            said = set(f"{readings['suites_insufficient']} {readings['suites_phase_out']}".split()) - {"none"}
            check(f"testssl, {what}: it knows every weak suite", not said <= suites and sorted(said - suites),
                  not suites and f"testssl names no suite: {sorted(found)}")


def main():
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "yes"
        os.execvp("unshare", ["unshare", "-n", "-m", "--kill-child", "-f", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hauberk-tls") as name:
        folder = pathlib.Path(name)
        certificates = Certificates(folder)
        subprocess.run(["mount", "--bind", folder / "root.pem", AUTHORITIES], check=True)
        host, rsa = certificates.host(), certificates.host(key=("rsa:3072",))
        both = [*host, *certificates.second(rsa)]
        check_suites("RSA, everything", *rsa)
        check_suites("ECDSA, everything", *host)
        check_each_version(rsa)
        check_settings(host, rsa)
        check_old()
        check_certificates(certificates)
        check_dialects(host)
        if "long" in sys.argv[1:]:
            check_testssl([("RSA, everything", [*rsa, "-cipher", EVERYTHING]), ("two certificates", [*both, "-cipher", "HIGH"]),
                           ("only 1.2", [*host, "-tls1_2"])])
    print(f"# measured {time.monotonic() - started:.0f} s")
    sys.exit(1 if FAILED else 0)


main()
