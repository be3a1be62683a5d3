"""Debian machines booted in containers, and the little internet they live in.

A `World` is a bridge in the harness's own network namespace, which is also everybody's router: hosts sit on
192.0.2.0/24 and 2001:db8:0:2::/64; attackers own whole prefixes of documentation addresses routed to them, so that
they may use any source address. No interface leads out.

A `Host` is an overlay of trees (see trees.py) on tmpfs, booted with systemd as PID 1 by systemd-nspawn in an own
network namespace.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import namespaces
import trees

GATEWAY_4, GATEWAY_6 = "192.0.2.1", "2001:db8:0:2::1"
# What a service unit of a real machine has by default and nspawn in a foreign namespace takes away. The system calls
# are named one by one: nspawn 252 accepts the group @sandbox here and yet refuses landlock.
CAPABILITIES = "CAP_NET_ADMIN,CAP_BPF,CAP_PERFMON"
SYSTEM_CALLS = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "bpf", "perf_event_open")


def wait_for(condition, timeout=10.0, what=None):
    """Poll until `condition()` is true; return its value. For what no event announces."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what or condition.__doc__ or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def ip(*arguments):
    """ip(8) in the harness's own namespace."""
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(map(str, arguments))}: {done.stderr}")


def users():
    """Passwords of the test hosts' users, by name (services/users)."""
    lines = (trees.HERE / "services" / "users").read_text().splitlines()
    return {line.split()[0]: line.split()[1] for line in lines if line and not line.startswith("#")}


class World:
    """The network all machines of a run share. Use as a context manager; leaving it ends everything."""

    def __init__(self):
        namespaces.sweep_dead_runs()
        trees.TREES.mkdir(parents=True, exist_ok=True)
        self.origin = namespaces.Origin()       # new_machine.py alone goes back there, to the package archive
        namespaces.leave_root_namespaces()
        self.folder = trees.TREES / "run"
        self.folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "hauberk-tests", self.folder], check=True)
        self.hosts, self.clients = [], []
        self._next = 0
        self._make_router()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _make_router(self):
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            pathlib.Path(f"/proc/sys/net/{key}").write_text("1")
        pathlib.Path("/proc/sys/net/ipv4/conf/all/send_redirects").write_text("0")
        pathlib.Path("/proc/sys/net/ipv4/conf/default/send_redirects").write_text("0")
        pathlib.Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
        ip("link", "set", "lo", "up")
        # An address of its own: else the bridge takes the lowest of its ports', another whenever a machine comes or
        # goes, and whoever knows the gateway by the old one is cut off for seconds.
        ip("link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge")
        ip("link", "set", "br0", "up")
        ip("addr", "add", f"{GATEWAY_4}/24", "dev", "br0")
        ip("addr", "add", f"{GATEWAY_6}/64", "dev", "br0", "nodad")

    def plug(self, netns, number):
        """Join a namespace to the bridge; it gets the addresses with this number on the hosts' network."""
        for key in ("all", "default"):
            netns.run("sysctl", "-qw", f"net.ipv6.conf.{key}.accept_dad=0")
        ip("link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", netns.path)
        ip("link", "set", f"v{number}", "master", "br0", "up")
        netns.run("ip", "link", "set", "eth0", "up")
        netns.run("ip", "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
        netns.run("ip", "addr", "add", f"2001:db8:0:2::{number}/64", "dev", "eth0", "nodad")
        netns.run("ip", "route", "add", "default", "via", GATEWAY_4)
        netns.run("ip", "-6", "route", "add", "default", "via", GATEWAY_6)
        return f"192.0.2.{number}", f"2001:db8:0:2::{number}"

    def number(self):
        """The next free number on the hosts' network."""
        self._next += 1
        return 9 + self._next

    def prefixes(self, netns, number, prefixes):
        """Route prefixes to a plugged namespace and make each of their addresses its own."""
        netns.run("sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1")   # IPv6 binds no address of a local route else
        for prefix in prefixes:
            family, via = ("-6", f"2001:db8:0:2::{number}") if ":" in prefix else ("-4", f"192.0.2.{number}")
            ip(family, "route", "add", prefix, "via", via)
            netns.run("ip", family, "route", "add", "local", prefix, "dev", "lo")

    def close(self):
        """End all machines; safe to call twice."""
        for machine in [*self.hosts, *self.clients]:
            machine.close()
        subprocess.run(["umount", "-l", self.folder], check=False, capture_output=True)


class Host:
    """One booted Debian: the services tree, with further `layers` laid over it, topmost first."""

    def __init__(self, world, release, name=None, layers=()):
        self.world, self.release = world, release
        self.name = name or release
        self.number = world.number()
        self.folder = world.folder / self.name
        self.root = self.folder / "root"
        self.cgroup = f"hauberk-tests-{os.getpid()}-{self.name}"
        self.leader = self._nspawn = None
        for part in ("root", "upper", "work"):
            (self.folder / part).mkdir(parents=True)
        self.lowers = [*layers, trees.path_of(release, "services"), *trees.below(release, "services")]
        self._held = [trees.hold(layer) for layer in self.lowers]
        self.netns = namespaces.Netns(world.folder / "netns" / self.name)
        world.hosts.append(self)
        self.address, self.address_6 = world.plug(self.netns, self.number)
        trees.mount_overlay(self.root, self.lowers, self.folder / "upper", self.folder / "work")

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self):
        """Begin to boot; `wait` awaits the end. Two calls, so that several hosts boot at once."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        path = self.folder / "notify"
        path.unlink(missing_ok=True)
        self._notify.bind(str(path))
        command = ["systemd-nspawn", "-q", "-D", self.root, f"--machine={self.name}", f"--hostname={self.name}",
                   "--boot", "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off",
                   f"--network-namespace-path={self.netns.path}", f"--capability={CAPABILITIES}",
                   f"--system-call-filter={' '.join(SYSTEM_CALLS)}", "--notify-ready=yes"]
        environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", "NOTIFY_SOCKET": str(path)}
        with open(self.folder / "console.log", "wb") as console:
            self._nspawn = subprocess.Popen(
                [*namespaces.in_cgroup(self.cgroup), *namespaces.OWN_PIDS, *map(str, command)], env=environment,
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=namespaces.die_with_parent)
        return self

    def wait(self, timeout=60):
        """Await the booted system: nspawn tells when its PID 1 says that start-up is finished."""
        self._notify.settimeout(timeout)
        ready = False
        while not ready:
            try:
                message = self._notify.recv(4096).decode()
            except TimeoutError:
                raise TimeoutError(f"{self.name} did not boot: {self.console()[-2000:]}") from None
            ready = "READY=1" in message.splitlines()
        self._notify.close()
        self.leader = namespaces.inner_init(self.cgroup)
        state = self.enter("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        if state != "running":
            failed = self.enter("systemctl", "list-units", "--failed", "--no-legend", check=False).stdout
            raise RuntimeError(f"{self.name} is {state}: {failed}")
        return self

    def boot(self):
        """start and wait."""
        return self.start().wait()

    def stop(self, timeout=30):
        """A clean power-off, as a person would do it."""
        if self._nspawn and self._nspawn.poll() is None and self.leader:
            os.kill(self.leader, signal.SIGRTMIN + 4)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(timeout)
        self._end()

    def _end(self):
        if self._nspawn:
            if self._nspawn.poll() is None:
                self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn = self.leader = None
        namespaces.kill_cgroup(self.cgroup)

    def close(self):
        """End it at once and give everything back; safe to call twice."""
        self._end()
        if self.folder.exists():
            subprocess.run(["umount", "-l", self.root], check=False, capture_output=True)
            self.netns.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(RuntimeError):
                ip("link", "del", f"v{self.number}")
            for descriptor in self._held:
                os.close(descriptor)
        if self in self.world.hosts:
            self.world.hosts.remove(self)

    def console(self):
        """What the system printed on its console."""
        return (self.folder / "console.log").read_text(errors="replace")

    # --- work inside -------------------------------------------------------------------------------------------------

    def inside(self, *command):
        """The command line that runs `command` inside with the harness's own powers."""
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", *map(str, command)]

    def enter(self, *command, check=True, timeout=60, **options):
        """Run inside with the harness's powers, which are more than any unit has: for looking and arranging only."""
        return self._finish(self.inside(*command), check, timeout, options)

    def unit(self, *command, check=True, timeout=60, properties=(), **options):
        """Run inside as a transient unit: with the capabilities and the system call filter a service has."""
        settings = [f"--property={p}" for p in properties]
        return self._finish(self.inside("systemd-run", "--quiet", "--wait", "--pipe", "--collect", *settings, "--",
                                        *command), check, timeout, options)

    @staticmethod
    def _finish(command, check, timeout, options):
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("text", True)
        done = subprocess.run(command, capture_output=True, check=False, timeout=timeout, **options)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command[9:])}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def json(self, *command, **options):
        """Run inside as a unit and read its output as JSON."""
        return json.loads(self.unit(*command, **options).stdout)

    def path(self, path):
        """A path of the host as the harness sees it."""
        return self.root / str(path).lstrip("/")

    def read(self, path):
        """A file's text; log bytes that are no UTF-8 are kept as escapes."""
        return self.path(path).read_text(errors="backslashreplace")

    def write(self, path, text, mode=0o644):
        """Make a file, with its folders."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def cgroup_pids(self, group):
        """The harness's pids of the processes in a control group of the host (as systemctl names it)."""
        return namespaces.cgroup_pids(f"{self.cgroup}/payload{group}")

    def journal(self, *arguments):
        """journalctl's output."""
        return self.enter("journalctl", "--no-pager", *arguments).stdout

    def listening(self):
        """The TCP ports somebody listens on."""
        lines = self.netns.run("ss", "-Hltn").stdout.splitlines()
        return {int(line.split()[3].rsplit(":", 1)[1]) for line in lines}
