"""Own mount and network namespaces for the harness, network namespaces for its machines, and own cgroups.

The harness leaves the machine's own namespaces before it does anything: `leave_root_namespaces` gives this process a
private mount namespace and a fresh network namespace. So nothing it or its children do with mount, ip or nft can reach
the host, not even by mistake, and when the last process is gone the kernel has already cleaned up. Containers and tree
makers sit in pid namespaces that die with the harness (OWN_PIDS). What remains after a SIGKILL are empty cgroups; they
carry the dead harness's pid in their name and the next run removes them.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_thread = threading.local()


def _must(result, what):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def missing_right():
    """What this process lacks to run the hosts suite, as a phrase, or None.

    Each right is tried in a child, for entering a namespace cannot be undone; at last systemd-nspawn itself is tried,
    for a container manager may allow the parts and yet not the whole.
    """
    if os.geteuid() != 0:
        return "needs root"
    cgroup = f"hauberk-tests-{os.getpid()}-probe"
    steps = (("may not create a mount namespace", lambda: _must(_libc.unshare(CLONE_NEWNS), "unshare")),
             ("may not create a network namespace", lambda: _must(_libc.unshare(CLONE_NEWNET), "unshare")),
             ("may not configure a network", lambda: subprocess.run(
                 ["ip", "link", "add", "name", "probe", "type", "veth"], check=True, capture_output=True)),
             ("may not mount", lambda: _must(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
              or _must(_libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None), "mount")),
             ("may not write below /run", hide_nspawn_traces),
             ("may not create a cgroup", lambda: in_cgroup(cgroup)),
             ("may not start a container (systemd-nspawn)", lambda: subprocess.run(
                 [*in_cgroup(cgroup), "systemd-nspawn", "-q", "--volatile=yes", "-D", "/", "--register=no",
                  "--keep-unit", "--private-network", "--pipe", f"--machine={cgroup}", "true"],
                 check=True, capture_output=True, stdin=subprocess.DEVNULL)))
    child = os.fork()
    if child == 0:
        failed = 0
        for number, (_, step) in enumerate(steps, 1):
            try:
                step()
            except (OSError, subprocess.SubprocessError):
                failed = number
                break
        os._exit(failed)
    _, status = os.waitpid(child, 0)
    kill_cgroup(cgroup)
    number = os.waitstatus_to_exitcode(status)
    return steps[number - 1][0] if number else None


def leave_root_namespaces():
    """Enter a private mount namespace and a fresh network namespace, for good."""
    _must(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    _must(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")
    hide_nspawn_traces()


def hide_nspawn_traces():
    """Give nspawn's run-time folder a tmpfs of this mount namespace: it leaves a folder per machine there else."""
    os.makedirs("/run/systemd/nspawn", exist_ok=True)
    _must(_libc.mount(b"tmpfs", b"/run/systemd/nspawn", b"tmpfs", 0, None), "mount /run/systemd/nspawn")


# In front of a command: a pid namespace that ends, with all in it, when the command or (die_with_parent) we end.
OWN_PIDS = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


def die_with_parent():
    """For Popen(preexec_fn=): SIGKILL when the thread that started us ends, and no Ctrl-C from the terminal."""
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Entered:
    """Something whose network namespace `with` moves the calling thread into, and back."""

    path = None

    def __enter__(self):
        homes = _thread.__dict__.setdefault("homes", [])
        homes.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        _must(_libc.setns(there, CLONE_NEWNET), "setns")
        os.close(there)
        return self

    def __exit__(self, *_):
        home = _thread.homes.pop()
        _must(_libc.setns(home, CLONE_NEWNET), "setns")
        os.close(home)


class Origin(Entered):
    """The network namespace we come from."""

    def __init__(self):
        self._descriptor = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.path = f"/proc/self/fd/{self._descriptor}"


class Netns(Entered):
    """A network namespace of a machine, kept by a bind mount at `path`."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        subprocess.run(["unshare", f"--net={self.path}", "true"], check=True)
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *command):
        """The command line that runs `command` in this namespace."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, command)]

    def run(self, *command, check=True, **options):
        """Run a command of the harness's machine in this namespace; its text output is captured.

        Not for nft: another release's nft may fail, even crash, on the rule set it finds. Use the host's own.
        """
        options = {"text": True, "stdin": subprocess.DEVNULL, **options}
        if "input" in options:
            del options["stdin"]
        done = subprocess.run(self.command(*command), capture_output=True, check=False, **options)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr or done.stdout}")
        return done

    def close(self):
        """Let go of the namespace; it ends with its last process."""
        subprocess.run(["umount", str(self.path)], check=False, capture_output=True)
        with contextlib.suppress(OSError):
            self.path.unlink()


class Here(contextlib.nullcontext):
    """The namespace we are in, with the manners of Netns."""

    def command(self, *command):
        """The command line that runs `command` here."""
        return list(map(str, command))


# --- cgroups ---------------------------------------------------------------------------------------------------------

def cgroup_folders(name):
    """The folders of our cgroup `name`: in the v1 `systemd` hierarchy and cgroup2, or in the one unified tree."""
    root = pathlib.Path("/sys/fs/cgroup")
    parents = [root / kind for kind in ("systemd", "unified") if (root / kind).is_dir()] or [root]
    return [parent / name for parent in parents]


def in_cgroup(name):
    """A command prefix that runs in the cgroup `name`: two nspawns without own cgroups share /payload and fail."""
    folders = cgroup_folders(name)
    for folder in folders:
        folder.mkdir(exist_ok=True)
    script = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders) + 'exec "$@"'
    return ["sh", "-ec", script, "sh"]


def cgroup_pids(name):
    """All processes in the cgroup `name` and below."""
    pids = set()
    for folder in cgroup_folders(name):
        for procs in folder.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids.update(int(pid) for pid in procs.read_text().split())
    return pids - {0}


def inner_init(name):
    """Our pid of the container's PID 1 in the cgroup `name`: the process that is 1 in the innermost of three pid
    namespaces (ours, OWN_PIDS', the container's)."""
    for pid in cgroup_pids(name):
        with contextlib.suppress(OSError):
            numbers = re.search(r"^NSpid:(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1).split()
            if len(numbers) == 3 and numbers[2] == "1":
                return pid
    raise ProcessLookupError(f"no container's PID 1 in {name}")


def remove_cgroups(name):
    """Remove an emptied cgroup with its children; what still holds a process stays."""
    for folder in cgroup_folders(name):
        for child in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                child.rmdir()
        with contextlib.suppress(OSError):
            folder.rmdir()


def sweep_dead_runs(prefix="hauberk-tests-"):
    """End what a dead earlier run left: names are PREFIX + pid of the harness + what it was for."""
    parents = {folder.parent for folder in cgroup_folders("x")}
    names = {path.name for parent in parents for path in parent.glob(f"{prefix}[0-9]*")}
    for name in names:
        owner = name[len(prefix):].split("-")[0]
        if not pathlib.Path(f"/proc/{owner}").exists():
            kill_cgroup(name)


def kill_cgroup(name):
    """SIGKILL to each process in a cgroup of ours, by pid, until none is left; then remove it."""
    deadline = time.monotonic() + 10
    while (pids := cgroup_pids(name)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    remove_cgroups(name)
