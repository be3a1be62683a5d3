"""A small world for tests: a network namespace where hauberkd runs, one where attackers live, and a
veth between them. Everything is torn down at the end, also after an exception."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PREFIX = "hbsys"
GUARD_ADDRESS, ATTACKER_ADDRESS = "192.0.2.1", "192.0.2.100"


def run(*command, check=True, **options):
    return subprocess.run(command, check=check, capture_output=True, text=True, **options)


def missing_right():
    """Why these tests cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    name = f"{PREFIX}probe{os.getpid()}"
    made = run("ip", "netns", "add", name, check=False)
    if made.returncode != 0:
        return "may not make network namespaces"
    tried = run("ip", "netns", "exec", name, "nft", "add", "table", "inet", "probe", check=False)
    run("ip", "netns", "del", name, check=False)
    return None if tried.returncode == 0 else "may not use nftables in an own namespace"


def wait_for(condition, seconds=30, what="it"):
    """Polls a condition of another process: there is no descriptor to wait on for most of them."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            told = what() if callable(what) else what
            raise AssertionError(f"waited {seconds} s in vain for {told}")
        time.sleep(0.01)


JAILS = {"sshd", "dovecot", "postfix-sasl", "recidive"}  # whose logs a world's configuration names


class World:
    def __init__(self, build, libexec=None):
        self.build = pathlib.Path(build)
        self.libexec = libexec
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hb", dir="/tmp"))
        self.folder.chmod(0o755)
        self.guard, self.attacker = f"{PREFIX}g{os.getpid()}", f"{PREFIX}a{os.getpid()}"
        self.daemon, self.stack = None, contextlib.ExitStack()
        self.is_kept_alive = False
        self.wrapper, self.environment = [], {}  # what hauberkd is started through, and with
        for name in ("conf", "log"):
            (self.folder / name).mkdir()
        self.leave_out_other_jails()
        # The machine has an owner, who is not to get mail of a test.
        (self.folder / "conf" / "hauberk.d" / "nobody.conf").write_text("[hauberk]\nnotify =\n")
        self.configure("")
        self.log_path = self.folder / "hauberkd.log"
        for name in (self.guard, self.attacker):
            run("ip", "netns", "add", name)
            self.stack.callback(run, "ip", "netns", "del", name, check=False)
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.stack.callback(self.stop)
        run("ip", "link", "add", "vg", "netns", self.guard, "type", "veth", "peer", "name", "va",
            "netns", self.attacker)
        self.net(self.guard, "link", "set", "lo", "up")
        self.net(self.guard, "link", "set", "vg", "up")
        self.net(self.attacker, "link", "set", "va", "up")
        self.net(self.guard, "addr", "add", f"{GUARD_ADDRESS}/24", "dev", "vg")
        self.net(self.attacker, "addr", "add", f"{ATTACKER_ADDRESS}/24", "dev", "va")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with self.stack:
            kept = os.environ.get("HAUBERK_KEEP")
            if error[0]:
                print(self.log_path.read_text()[-6000:] if self.log_path.exists() else "")
            if error[0] and kept:  # for whoever looks into a failure
                shutil.copytree(self.folder, kept, dirs_exist_ok=True, ignore=lambda folder, names: [
                    n for n in names if n in ("control", "sockets")])

    def net(self, namespace, *arguments):
        run("ip", "-n", namespace, *arguments)

    def add_attacker(self, address):
        """One more address in the attackers' namespace, reachable from the guard's."""
        self.net(self.attacker, "addr", "add", f"{address}/32", "dev", "va")
        self.net(self.guard, "route", "add", f"{address}/32", "via", ATTACKER_ADDRESS)

    @property
    def folders(self):
        return ["--config", str(self.folder / "conf"), "--state", str(self.folder / "state"),
                "--runtime", str(self.folder / "run")]

    def leave_out_other_jails(self):
        """The shipped jails that a world has no logs for would read this machine's."""
        shipped = {path.stem for path in (pathlib.Path(__file__).parents[2] / "jails").glob("*.conf")}
        folder = self.folder / "conf" / "hauberk.d"
        folder.mkdir()
        (folder / "others.conf").write_text("".join(f"[{name}]\nenabled = no\n" for name in sorted(shipped - JAILS)))

    @property
    def journal(self):
        """Where this world's journal is; there is none unless a test makes one."""
        return self.folder / "journal"

    def configure(self, text, humane=False):
        """Failures of tests come all at once, on one account: a person's mistake if that is let count."""
        if not humane and "[DEFAULT]" in text:
            text += "humane = no\n"
        elif not humane:
            text += "\n[DEFAULT]\nhumane = no\n"
        (self.folder / "conf" / "hauberk.conf").write_text(text)

    def start(self, *options, wait=True):
        program = (self.libexec or self.build / "src") / "hauberkd"
        log = open(self.log_path, "ab")
        self.daemon = subprocess.Popen(
            ["ip", "netns", "exec", self.guard, *self.wrapper, str(program), *self.folders,
             "--journal", str(self.journal), *options],
            env=dict(os.environ, **self.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        if wait:
            wait_for(self.is_ready, 60, "hauberkd to be ready")

    def resting(self):
        """What hauberkd says while it lets a dying role rest; "" while it does not. It comes and goes."""
        try:
            return (self.folder / "run" / "resting").read_text()
        except FileNotFoundError:
            return ""

    def is_ready(self):
        if self.daemon.poll() is not None:
            raise AssertionError(f"hauberkd ended with {self.daemon.returncode}: "
                                 + self.log_path.read_text()[-2000:])
        status = self.status()
        return bool(status) and all(role["ready"] for role in status["roles"]) \
            and len(status["roles"]) == 3 and status["past_read"] == 100

    def programs_for_strangers(self):
        """A copy of `hauberk`, with what it reads: the checkout may lie where they may not look."""
        programs = self.folder / "programs"
        (programs / "src").mkdir(parents=True)
        shutil.copy(self.build / "src" / "hauberk", programs / "src")
        for name in ("filters", "jails"):
            shutil.copytree(pathlib.Path(__file__).parents[2] / name, programs / "share" / "hauberk" / name)
        return programs

    def hauberk(self, *arguments, check=False):
        return run("ip", "netns", "exec", self.guard, str(self.build / "src" / "hauberk"),
                   *self.folders, *arguments, check=check, timeout=60)

    def status(self):
        if self.is_kept_alive and self.daemon and self.daemon.poll() is not None:
            self.start(wait=False)  # as systemd's Restart=always would
        answer = self.hauberk("status", "--json")
        return json.loads(answer.stdout) if answer.stdout.startswith("{") else None

    def bans(self):
        answer = self.hauberk("bans", "--json")
        return json.loads(answer.stdout) if answer.stdout.startswith("[") else None

    def wait_for_bans(self, wanted, seconds=30):
        """Until the banned (jail, address) pairs are exactly these and in the kernel."""
        def are_there():
            bans = self.bans()
            return bans is not None and wanted == {(b["jail"], b["address"]) for b in bans
                                                   if b["enforced"]}
        wait_for(are_there, seconds, lambda: f"bans {wanted}, not {self.bans()}")

    def pids(self):
        """Of hauberkd and its roles, by name."""
        found = {"hauberkd": self.daemon.pid}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                fields = (process / "stat").read_text().rsplit(")", 1)
                if int(fields[1].split()[1]) == self.daemon.pid and fields[1].split()[0] != "Z":
                    name = fields[0].split("(", 1)[1].removeprefix("hauberk-")
                    # (names are cut at 15 bytes; between fork and exec a child has its parent's)
                    found.setdefault({"enforce": "enforcer"}.get(name, name), int(process.name))
            except (OSError, IndexError):
                continue
        return found

    def stop(self, number=signal.SIGTERM):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(number)
            try:
                self.daemon.wait(15)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        self.daemon = None

    def nft(self, *arguments, check=True):
        return run("ip", "netns", "exec", self.guard, "nft", *arguments, check=check).stdout

    def elements(self, name):
        """Addresses in a set of our table; None when there is no such set."""
        answer = run("ip", "netns", "exec", self.guard, "nft", "-j", "list", "set", "inet",
                     "hauberk", name, check=False)
        if answer.returncode != 0:
            return None
        for item in json.loads(answer.stdout)["nftables"]:
            if "set" in item:
                return {e["elem"]["val"] if isinstance(e, dict) and "elem" in e else
                        (e if isinstance(e, str) else json.dumps(e))
                        for e in item["set"].get("elem", [])}
        return set()

    def listen(self, port):
        """A listener in the guard's namespace that accepts and holds connections."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.guard, "/usr/bin/python3", "-c",
             "import socket,sys\n"
             "s=socket.create_server(('0.0.0.0',int(sys.argv[1])),backlog=512)\n"
             "print('up',flush=True)\n"
             "kept=[]\n"
             "while True: kept.append(s.accept()[0]); kept=kept[-64:]", str(port)],
            stdout=subprocess.PIPE, text=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        assert process.stdout.readline() == "up\n"
        return process

    def connects(self, source, port, seconds=0.5):
        """Can this address connect right now?"""
        answer = run("ip", "netns", "exec", self.attacker, "/usr/bin/python3", "-c",
                     "import socket,sys\n"
                     "s=socket.socket(); s.settimeout(float(sys.argv[4])); s.bind((sys.argv[1],0))\n"
                     "s.connect((sys.argv[2],int(sys.argv[3])))",
                     source, GUARD_ADDRESS, str(port), str(seconds), check=False)
        return answer.returncode == 0

    def connect_loop(self, source, port):
        """A process that tries to connect without pause; `.got_through()` counts successes."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.attacker, "/usr/bin/python3", "-c",
             "import selectors,socket,sys,time,signal\n"
             "source,target,port=sys.argv[1],sys.argv[2],int(sys.argv[3])\n"
             "stop=[]\n"
             "signal.signal(signal.SIGTERM,lambda *a:stop.append(1))\n"
             "tries=through=0; waiting=[]\n"
             "print('up',flush=True)\n"
             "while not stop:\n"
             "    s=socket.socket(); s.setblocking(False); s.bind((source,0))\n"
             "    s.connect_ex((target,port)); tries+=1; waiting.append((time.monotonic(),s))\n"
             "    time.sleep(0.002)\n"
             "    keep=[]\n"
             "    for at,one in waiting:\n"
             "        try: one.getpeername(); through+=1; one.close()\n"
             "        except OSError:\n"
             "            if time.monotonic()-at>0.5: one.close()\n"
             "            else: keep.append((at,one))\n"
             "    waiting=keep\n"
             "print(tries,through,flush=True)", source, GUARD_ADDRESS, str(port)],
            stdout=subprocess.PIPE, text=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        assert process.stdout.readline() == "up\n"

        def end():
            process.terminate()
            tries, through = process.stdout.readline().split()
            return int(tries), int(through)
        process.end = end
        return process
