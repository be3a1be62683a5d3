"""hauberkd running on a booted host, seen from outside: its words, its unit, its effects in the kernel."""

import contextlib
import itertools
import json
import os
import pathlib
import signal

import kernel
from host import wait_for

FOLDERS = ["--config", "/etc/hauberk", "--state", "/var/lib/hauberk", "--runtime", "/run/hauberk"]
ROLES = ("sensor", "decider", "enforcer")

MEASURED = []       # sentences for the end of the report


def measured(text):
    """A time to report; no test fails on one."""
    MEASURED.append(text)


class Guard:
    """A host with its hauberkd. Use as a context manager; `words` run as a unit of the host would."""

    unit = "hauberkd.service"
    _barriers = itertools.count(1)

    def __init__(self, machine):
        self.host = machine
        self.watch = kernel.SetWatch(machine)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.watch.close()

    # --- the daemon --------------------------------------------------------------------------------------------------

    def start(self, *options):
        """Start hauberkd as a unit and await its own word that it is ready. An attack here is a few tries on one account
        within seconds, which hauberk would take for a person's mistake if it were let."""
        if self.unit == Guard.unit:
            self.host.write("/etc/hauberk/hauberk.d/tests.conf", "[DEFAULT]\nhumane = no\n")
        self.host.enter("systemctl", "reset-failed", self.unit, check=False)
        wait_for(lambda: self.host.enter("systemctl", "show", "--value", "-p", "LoadState", self.unit).stdout.strip()
                 == "not-found", 15, "the end of the earlier hauberkd's unit")
        done = self.host.enter(
            "systemd-run", "--quiet", "--collect", f"--unit={self.unit}", "--service-type=notify",
            "--property=Restart=on-failure", "--property=RestartSec=0", "--property=StartLimitIntervalSec=0",
            "--property=TimeoutStartSec=20", "--", "/usr/sbin/hauberkd", *FOLDERS, *options, check=False)
        if done.returncode:
            story = self.journal()[-4000:]
            self.host.enter("systemctl", "stop", self.unit, check=False)
            raise RuntimeError(f"hauberkd does not start: {done.stderr}{story}")

    def stop(self):
        """End hauberkd as a restart would: by SIGTERM, after which the kernel keeps the bans."""
        self.host.enter("systemctl", "stop", self.unit)

    def signal(self, which, number=signal.SIGKILL):
        """Signal one of our processes: "hauberkd" or a role."""
        os.kill(self.pids()[which], number)

    def pids(self):
        """The harness's pids of hauberkd and the roles, by name."""
        group = self.host.enter("systemctl", "show", "--value", "-p", "ControlGroup", self.unit).stdout.strip()
        found = {}
        for pid in self.host.cgroup_pids(group):
            with contextlib.suppress(OSError):
                found[pathlib.Path(os.readlink(f"/proc/{pid}/exe")).name.removeprefix("hauberk-")] = pid
        return found

    def journal(self):
        """What hauberkd wrote to the journal."""
        return self.host.journal("-u", self.unit, "-o", "cat")

    # --- the command line --------------------------------------------------------------------------------------------

    def word(self, *words, check=True):
        """`hauberk WORD …` on the host."""
        return self.host.unit("/usr/bin/hauberk", *FOLDERS, *words, check=check)

    def bans(self):
        """`hauberk bans --json`."""
        return json.loads(self.word("bans", "--json").stdout)

    def ban_of(self, address):
        """The bans that name this address (IPv6: its /64)."""
        heads = {address, address.rsplit("::", 1)[0] + "::"} if ":" in address else {address}
        return [ban for ban in self.bans() if ban["address"] in heads]

    def status(self):
        """`hauberk status --json`."""
        return json.loads(self.word("status", "--json", check=False).stdout)

    # --- what happened -----------------------------------------------------------------------------------------------

    def scopes(self, address):
        """The scopes in which the kernel refuses the address now."""
        return kernel.scopes_of(self.host, address)

    def caught_up(self):
        """Await that all lines written so far are dealt with.

        Lines that imitate an attack are appended to both logs through syslog; when their sender is banned, everything
        before them in the same files has been read and judged.
        """
        number = next(self._barriers)
        tag = {"bookworm": "sshd[9999]", "trixie": "sshd-session[9999]"}[self.host.release]
        for facility, tag, line, last in (
                ("auth", tag, "Failed password for bob{} from {} port 9 ssh2", 100 + number),
                ("mail", "postfix/smtpd[9999]",
                 "warning: unknown[{1}]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=bob{0}",
                 170 + number)):
            address = f"198.51.100.{last}"
            for user in range(3):
                self.host.enter("logger", "-p", f"{facility}.info", "-t", tag, line.format(user, address))
            if not self.watch.wait(address, 15):
                raise TimeoutError(f"the lines of {address} were not acted upon: {self.journal()[-2000:]}")

    def told_since(self, written):
        """What hauberkd's journal says beyond its first `written` characters."""
        return self.journal()[written:]
