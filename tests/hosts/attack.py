"""Clients in other network namespaces: the attackers, and the owners who must never be shut out.

A `Client` owns whole prefixes, so each call may choose its source address. The calls are made by the real client
libraries and programs (ssh, smtplib, imaplib, poplib) in a thread that has entered the client's namespace. What comes
back is what the client saw: "accepted", "refused" (the password was), or the reason why no answer came.
"""

import base64
import contextlib
import imaplib
import os
import pathlib
import poplib
import smtplib
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import namespaces

LOGINS = {"ssh": 22, "submission": 587, "smtps": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}

ACCEPTED, REFUSED = "accepted", "refused"


def tls():
    """A client context that takes the test certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Imap(imaplib.IMAP4):
    """imaplib with a source address and implicit TLS on 993."""

    def __init__(self, host, port, source, timeout):
        self._source = source
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout):
        sock = socket.create_connection((self.host, self.port), timeout, source_address=(self._source, 0))
        return tls().wrap_socket(sock) if self.port == 993 else sock


class _Pop(poplib.POP3):
    """poplib with a source address and implicit TLS on 995."""

    def __init__(self, host, port, source, timeout):
        self._source = source
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout):
        sock = socket.create_connection((self.host, self.port), timeout, source_address=(self._source, 0))
        return tls().wrap_socket(sock) if self.port == 995 else sock


class Client:
    """A machine of the outside world, made by `at`, or clients inside a namespace that exists: that of a host, or
    namespaces.Here, the router's, which is the gateway of all hosts."""

    def __init__(self, world, netns):
        self.world, self.netns = world, netns

    @classmethod
    def at(cls, world, name, prefixes):
        """A new machine that has every address of `prefixes`."""
        client = cls(world, namespaces.Netns(world.folder / "netns" / name))
        world.clients.append(client)
        number = world.number()
        world.plug(client.netns, number)
        world.prefixes(client.netns, number, prefixes)
        return client

    def close(self):
        """Give the namespace back."""
        self.netns.close()

    def connect(self, source, host, port, timeout=5.0):
        """A TCP connection from `source`."""
        with self.netns:
            return socket.create_connection((host, port), timeout, source_address=(source, 0))

    def port(self, source, host, port, timeout=1.0):
        """What a connection attempt meets: "open", "refused" (a reset) or "timed out" (the packet is dropped)."""
        try:
            self.connect(source, host, port, timeout).close()
            return "open"
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "timed out"

    # --- ssh ---------------------------------------------------------------------------------------------------------

    def ssh(self, source, host, user, *passwords, keys=(), methods=None, command="true", timeout=60, **more):
        """One ssh connection that tries `passwords` in turn. Returns (outcome, what ssh printed)."""
        methods = methods or ",".join(["publickey"] * bool(keys) + ["password"] * bool(passwords)) or "none"
        options = {"ConnectTimeout": "5", "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null",
                   "GlobalKnownHostsFile": "/dev/null", "LogLevel": "ERROR", "IdentitiesOnly": "yes",
                   "IdentityAgent": "none", "NumberOfPasswordPrompts": str(len(passwords) or 1), "CheckHostIP": "no",
                   "PreferredAuthentications": methods, **more}
        line = ["ssh", "-F", "none", "-b", source, "-l", user]
        line += [part for key in keys for part in ("-i", key)]
        line += [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        with tempfile.TemporaryDirectory(dir=self.world.folder) as folder:
            environment = {"PATH": os.environ["PATH"], "HOME": folder, "SSH_ASKPASS_REQUIRE": "force",
                           "SSH_ASKPASS": askpass(pathlib.Path(folder), passwords)}
            done = subprocess.run(self.netns.command(*line, host, command), stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, env=environment, timeout=timeout, check=False,
                                  start_new_session=True)
        if done.returncode == 0:
            return ACCEPTED, done.stdout
        text = done.stderr.strip()
        denied = "Permission denied" in text or "Too many authentication failures" in text
        return (REFUSED if denied else text.splitlines()[-1] if text else f"exit {done.returncode}"), text

    # --- mail logins -------------------------------------------------------------------------------------------------

    def smtp(self, source, host, user, password, port=587, mechanism="PLAIN", tries=1):
        """SMTP AUTH on 587 with STARTTLS or on 465; returns the outcome of the last try."""
        with self.smtp_open(source, host, port) as client:
            for _ in range(tries):
                outcome = smtp_auth(client, mechanism, user, password)
            return outcome

    def smtp_open(self, source, host, port):
        """An SMTP connection after EHLO: 465, 587 with STARTTLS, or 25 in the clear."""
        options = {"local_hostname": "client.test", "timeout": 30, "source_address": (source, 0)}
        with self.netns:
            if port == 465:
                client = smtplib.SMTP_SSL(host, port, context=tls(), **options)
            else:
                client = smtplib.SMTP(host, port, **options)
        if port == 587:
            client.starttls(context=tls())
        client.ehlo()
        return client

    def imap_open(self, source, host, port=993):
        """An IMAP connection (143 with STARTTLS), not logged in; it outlives the call."""
        with self.netns:
            client = _Imap(host, port, source, 30)
            if port == 143:
                client.starttls(tls())
            return client

    def imap(self, source, host, user, password, port=993, tries=1, leave="logout"):
        """Log in by IMAP, `tries` times in one connection; `leave` it by logout or by abrupt "reset"."""
        client = self.imap_open(source, host, port)
        outcome = None
        for _ in range(tries):
            try:
                client.login(quoted(user), password)
                outcome = ACCEPTED
            except imaplib.IMAP4.abort as why:
                return str(why)
            except imaplib.IMAP4.error:
                outcome = REFUSED
        if leave == "reset":
            reset(client.sock)
        else:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()
        return outcome

    def pop(self, source, host, user, password, port=995, tries=1):
        """Log in by POP3 (110 with STLS), `tries` times in one connection."""
        with self.netns:
            client = _Pop(host, port, source, 30)
            if port == 110:
                client.stls(tls())
        outcome = None
        for _ in range(tries):
            try:
                client.user(user)
                client.pass_(password)
                outcome = ACCEPTED
            except poplib.error_proto as why:
                if b"ERR" not in (why.args[0] if isinstance(why.args[0], bytes) else str(why.args[0]).encode()):
                    return str(why)
                outcome = REFUSED
        with contextlib.suppress(poplib.error_proto, OSError):
            client.quit()
        return outcome

    def login(self, service, source, host, user, password, **options):
        """Log in by the service's name ("ssh", "submission", "smtps", "imap", "imaps", "pop3", "pop3s")."""
        port = LOGINS[service]
        if service == "ssh":
            return self.ssh(source, host, user, password, **options)[0]
        if service in ("submission", "smtps"):
            return self.smtp(source, host, user, password, port=port, **options)
        if service in ("imap", "imaps"):
            return self.imap(source, host, user, password, port=port, **options)
        return self.pop(source, host, user, password, port=port, **options)

    def hold_imap(self, source, host, user, password):
        """A logged-in IMAP connection to keep; ask `alive` later whether it still works."""
        client = self.imap_open(source, host)
        client.login(user, password)
        client.select()
        return client

    def hammer(self, source, host, port, timeout=0.25):
        """A running loop of connects from `source`; see Hammer."""
        return Hammer(self, source, host, port, timeout)


def askpass(folder, passwords):
    """A program that ssh asks for passwords: each call prints the next one, the last for ever."""
    for number, password in enumerate(passwords or [""]):
        (folder / f"password-{number}").write_text(f"{password}\n")
    program = folder / "askpass"
    program.write_text('#!/bin/sh\nset -- "${0%/*}"/password-*\ncat "$1"\n[ $# = 1 ] || rm "$1"\n')
    program.chmod(0o700)
    return str(program)


def smtp_auth(client, mechanism, user, password):
    """One AUTH command; the outcome."""
    client.user, client.password = user, password
    method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
    try:
        client.auth(mechanism, method, initial_response_ok=mechanism == "PLAIN")
        return ACCEPTED
    except smtplib.SMTPAuthenticationError:
        return REFUSED


def quoted(user):
    """A user name as an IMAP string; imaplib quotes the password only."""
    return '"' + user.replace("\\", "\\\\").replace('"', '\\"') + '"'


def alive(imap):
    """Whether a held IMAP connection still answers."""
    try:
        imap.sock.settimeout(3)
        return imap.noop()[0] == "OK"
    except (imaplib.IMAP4.error, OSError):
        return False


def reset(sock):
    """Close a socket with a reset instead of a farewell."""
    raw = sock.detach()
    sock = socket.socket(fileno=raw)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def plain(user, password):
    """The initial response of SASL PLAIN."""
    return base64.b64encode(b"\0" + os.fsencode(user) + b"\0" + os.fsencode(password)).decode()


class Hammer:
    """Connects as fast as it can and keeps the moment (UTC seconds) of each connect that succeeded."""

    def __init__(self, client, source, host, port, timeout):
        self.successes, self.attempts = [], 0
        self._target = (client, source, host, port, timeout)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        client, source, host, port, timeout = self._target
        while not self._ending.is_set():
            began = time.time()
            self.attempts += 1
            if client.port(source, host, port, timeout) == "open":
                self.successes.append((began, time.time()))

    def stop(self):
        """End the loop and return the successes, each (begun, connected)."""
        self._ending.set()
        self._thread.join()
        return self.successes
