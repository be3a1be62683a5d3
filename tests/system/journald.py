"""A real journald beside the machine's own, in a mount namespace: it writes into a folder of the test and
takes entries through a socket there."""
import signal
import socket
import subprocess

from world import run, wait_for

PROGRAM = "/lib/systemd/systemd-journald"
SETTINGS = """[Journal]
Storage=persistent
RateLimitBurst=0
RateLimitIntervalSec=0
ReadKMsg=no
Audit=no
ForwardToSyslog=no
SystemMaxFileSize={file_size}
SystemMaxUse=2G
SystemKeepFree=1M
"""
SCRIPT = """
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal /run/log /etc/systemd
mount --bind "$1/sockets" /run/systemd/journal
mount -t tmpfs none /etc/systemd
cp "$1/journald.conf" /etc/systemd/
touch /run/systemd/journal/flushed  # else it waits in /run for the disk
mount -t tmpfs none /var/log
mkdir -p "/var/log/journal/$(cat /etc/machine-id)"
mount --bind "$1/journal" "/var/log/journal/$(cat /etc/machine-id)"
exec "$2"
"""


class Journald:
    """Runs as long as the world does; `folder` of the world holds its files."""

    def __init__(self, world, file_size="8M"):
        self.folder = world.folder
        self.marks = 0
        for name in ("sockets", "journal"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "journald.conf").write_text(SETTINGS.format(file_size=file_size))
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh",
                                         str(self.folder), PROGRAM], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        world.stack.callback(self.stop)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.folder / "sockets" / "socket"
        wait_for(lambda: self.process.poll() is not None or (path.exists() and self.current().exists()), 10, "journald")
        assert self.process.poll() is None, "journald ended"
        self.socket.connect(str(path))

    def current(self):
        return self.folder / "journal" / "system.journal"

    def archived(self):
        """The files set aside, oldest first."""
        return sorted((p for p in (self.folder / "journal").glob("system@*.journal")),
                      key=lambda p: p.name.split("-")[-2])

    def send(self, identifier, pid, message):
        """One entry, as sd_journal_send(3) writes it; our uid is the trusted field."""
        text = message.encode()
        self.socket.send(b"SYSLOG_IDENTIFIER=%s\nSYSLOG_PID=%d\nPRIORITY=6\nMESSAGE\n%s%s\n" % (
            identifier.encode(), pid, len(text).to_bytes(8, "little"), text))

    def settle(self):
        """Until everything sent so far is in the file: signals overtake entries."""
        self.marks += 1
        self.send("mark", 1, f"mark {self.marks}")
        wait_for(lambda: f"mark {self.marks}\n" in run(
            "journalctl", "--directory", str(self.folder / "journal"), "-t", "mark", "-n", "1", "-o", "cat", "-q",
            check=False).stdout, 10, "journald to write")

    def rotate(self):
        self.settle()
        before = len(self.archived())
        self.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: len(self.archived()) > before, 10, "the rotation")

    def stop(self):
        self.socket.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)
