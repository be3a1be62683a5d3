"""Both README commands on a fresh Debian, from a clean clone. Not part of the suite: name this file to run it.

    /usr/bin/python3 -m pytest tests/hosts/new_machine.py

A fresh machine has the services and nothing of ours. For apt alone it gets a way to the package archive, a relay from
its loopback to the archive this host's own sources name, which ends with the test. The clone is of what is committed.
The times are reported.
"""

import re
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

import guard
import host
import kernel
import trees

CLONE = "/home/admin/hauberk"
UNIT = "try.service"


class Relay:
    """Gives each name of the archive a loopback address of the host, and hands what comes there on to the archive."""

    def __init__(self, machine):
        self.machine = machine
        self.servers = []
        urls = {urllib.parse.urlsplit(uri) for uri in trees.archive() if uri}
        self.archives = sorted({(url.hostname, url.port or {"http": 80, "https": 443}[url.scheme]) for url in urls})

    def __enter__(self):
        for number, (name, port) in enumerate(self.archives):
            address = f"127.0.0.{80 + number}"
            self.machine.write("/etc/hosts", f"{self.machine.read('/etc/hosts')}{address} {name}\n")
            with self.machine.netns:
                server = socket.create_server((address, port))
            self.servers.append(server)
            threading.Thread(target=self._serve, args=(server, name, port), daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown(socket.SHUT_RDWR)
            server.close()

    def _serve(self, server, name, port):
        while True:
            try:
                inner, _ = server.accept()
                with self.machine.world.origin:
                    outer = socket.create_connection((name, port), 20)
            except OSError:
                return
            outer.settimeout(None)
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source, sink):
    """Copy bytes until the source ends."""
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture(scope="session")
def fresh(world, release):
    """A booted host with a clean clone in the admin's home, able to reach the package archive."""
    if subprocess.run(["git", "-C", trees.CHECKOUT, "rev-parse", "-q", "--verify", "HEAD"], check=False,
                      capture_output=True).returncode:
        pytest.skip("nothing is committed yet")
    machine = host.Host(world, release, name=f"fresh-{release}").boot()
    owner = machine.path("/home/admin").stat()
    subprocess.run(["git", "clone", "-q", "--no-local", trees.CHECKOUT, machine.path(CLONE)], check=True)
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", machine.path(CLONE)], check=True)
    with Relay(machine):
        machine.enter("apt-get", "-q", "update", timeout=300)
        machine.enter("apt-get", "-qy", "install", "--no-install-recommends", "make", timeout=300)
        yield machine
    machine.close()


def start(machine, target):
    """`sudo make TARGET` by the admin, as a unit whose output is kept."""
    machine.enter("systemd-run", "--quiet", f"--unit={UNIT}", f"--working-directory={CLONE}",
                  f"--property=StandardOutput=file:/var/log/{target}.out", "--property=StandardError=inherit",
                  "--property=KillMode=mixed", "--setenv=SUDO_USER=admin", "--setenv=SUDO_UID=1002", "make", target)


def stop(machine):
    """End it, whatever it is at."""
    machine.enter("systemctl", "kill", "-s", "KILL", UNIT, check=False)
    host.wait_for(lambda: not running(machine), 15)


def output(machine, target):
    """What the command printed so far."""
    return machine.read(f"/var/log/{target}.out")


def running(machine):
    """Whether the command still runs."""
    return machine.enter("systemctl", "is-active", UNIT, check=False).stdout.strip() in ("active", "activating")


def test_make_guard(fresh):
    """Installs what it needs, builds as the owner, guards, and lifts everything at Ctrl-C."""
    before = state_of(fresh)
    began = time.monotonic()
    start(fresh, "guard")
    try:
        host.wait_for(lambda: kernel.table(fresh) is not None or not running(fresh), 300)
    except TimeoutError:
        stop(fresh)
    assert running(fresh), output(fresh, "guard")[-4000:]
    guard.measured(f"{fresh.release}: make guard on a fresh machine, {time.monotonic() - began:.0f} s to the table")
    watch = kernel.SetWatch(fresh)
    for n in range(3):
        fresh.enter("logger", "-p", "mail.info", "-t", "postfix/smtpd[77]", f"warning: unknown[203.0.113.71]: "
                    f"SASL LOGIN authentication failed: (reason unavailable), sasl_username=user{n}")
    assert watch.wait("203.0.113.71", 15), output(fresh, "guard")[-4000:]
    host.wait_for(lambda: "203.0.113.71" in output(fresh, "guard"), 5, "the live view to name the ban")
    fresh.enter("systemctl", "kill", "-s", "INT", UNIT)
    host.wait_for(lambda: not running(fresh), 15, "the end after Ctrl-C")
    assert kernel.table(fresh) is None
    assert state_of(fresh) ^ before == set()
    owner = fresh.path("/home/admin").stat().st_uid
    foreign = [path for path in fresh.path(CLONE).rglob("*.o") if path.stat().st_uid != owner]
    assert not foreign, f"not built as the checkout's owner: {foreign[:3]}"


def test_make_check(fresh):
    """Every suite; the last lines count what passed, and name what was skipped."""
    before = state_of(fresh)
    began = time.monotonic()
    start(fresh, "check")
    try:
        host.wait_for(lambda: not running(fresh), 1500)
    except TimeoutError:
        stop(fresh)
    lines = output(fresh, "check").splitlines()
    guard.measured(f"{fresh.release}: make check on a fresh machine: {time.monotonic() - began:.0f} s; {lines[-2:]}")
    assert re.fullmatch(r"[1-9]\d* passed, 0 failed", lines[-1]), "\n".join(lines[-60:])
    assert state_of(fresh) ^ before == set()


def state_of(machine):
    """What the front door may not change: the running units, the rule set. (tests/run watches its host's /etc.)"""
    units = machine.enter("systemctl", "list-units", "--plain", "--no-legend", "--state=active",
                          "--type=service,socket,timer").stdout
    units = {line.split()[0] for line in units.splitlines()} - {UNIT}
    return {*units, machine.enter("nft", "list", "ruleset").stdout}
