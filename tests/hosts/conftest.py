"""How the hosts suite runs: what it needs, the machines the tests share, and its report.

    /usr/bin/python3 -m pytest tests/hosts [--release bookworm]        (as root)

Prints one line per test, `ok - NAME`, `not ok - NAME` or `ok - NAME # SKIP why`, what went wrong as comment lines, the
times measured, and the counts at the end. Where the rights are missing the whole suite is one named skip.
"""

import shutil
import signal
import sys

sys.dont_write_bytecode = True

import pytest

import attack
import delay
import guard
import host
import names
import namespaces
import trees

PROGRAMS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nft": "nftables", "ip": "iproute2",
            "ssh": "openssh-client", "git": "git", "nsenter": "util-linux"}


def missing():
    """Why the suite cannot run here, or None."""
    programs = [f"{package} (for {name})" for name, package in PROGRAMS.items() if not shutil.which(name)]
    if programs:
        return f"needs the packages {', '.join(programs)}"
    return namespaces.missing_right() or trees.missing_overlay()


# --- the machines ----------------------------------------------------------------------------------------------------

def pytest_addoption(parser):
    parser.addoption("--release", action="append", choices=trees.RELEASES, help="only this release (may be repeated)")
    parser.addoption("--whole-audit", action="store_true", help="after each sabotage look at everything: an hour instead of minutes")


def pytest_generate_tests(metafunc):
    """Every test that takes `release`, directly or through `machine`, runs once per release."""
    if "release" in metafunc.fixturenames:
        metafunc.parametrize("release", metafunc.config.getoption("release") or trees.RELEASES, scope="session")


@pytest.fixture(scope="session")
def world():
    """The network of all machines. The trees exist (make_trees): from here there is no way out to any archive."""
    with host.World() as made:
        yield made


@pytest.fixture(scope="session")
def outside(world):
    """The outside world: attackers and owners, each test with source addresses of its own."""
    return attack.Client.at(world, "outside", ["203.0.113.0/24", "198.51.100.0/24", "2001:db8:bad::/48"])


@pytest.fixture(scope="session")
def bare(world, release):
    """A booted mail server without hauberk."""
    made = host.Host(world, release, name=f"bare-{release}").boot()
    yield made
    made.close()


@pytest.fixture(scope="session")
def machine(world, release):
    """A booted mail server that hauberk guards; see guard.Guard."""
    made = host.Host(world, release, layers=[trees.path_of(release, "hauberk")]).boot()
    with guard.Guard(made) as guarded:
        yield guarded
    made.close()


@pytest.fixture(scope="session")
def resolver(world):
    """The name server of the machines that ask one; see names.Names."""
    made = names.Names(host.GATEWAY_4)
    yield made
    made.close()


@pytest.fixture(scope="session")
def whole(world, resolver, release):
    """A booted mail server with all that belongs to one (the layer `whole`), guarded."""
    made = host.Host(world, release, name=f"whole-{release}",
                     layers=[trees.path_of(release, "hauberk"), trees.path_of(release, "whole")]).boot()
    names.used_by(made)
    host.wait_for(lambda: {25, 80, 443, 4190, 11334} <= made.listening(), 120, "the services")
    with guard.Guard(made) as guarded:
        yield guarded
    made.close()


# --- the report ------------------------------------------------------------------------------------------------------

class Report:
    """One line per test and the counts at the end."""

    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.told = set()

    def line(self, text):
        print(text, flush=True)

    def comment(self, text):
        """A failure's story as comment lines; the same story (a fixture's, say) is told once."""
        if text not in self.told:
            self.told.add(text)
            self.line("\n".join(f"# {part}" for part in text.splitlines()))

    def passed(self, name):
        self.counts["passed"] += 1
        self.line(f"ok - {name}")

    def skipped(self, name, why):
        self.counts["skipped"] += 1
        self.line(f"ok - {name} # SKIP {why}")

    def failed(self, name, story):
        self.counts["failed"] += 1
        self.line(f"not ok - {name}")
        self.comment(story)

    def pytest_runtest_logreport(self, report):
        name = readable(report.nodeid)
        if report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped(name, why.removeprefix("Skipped: "))
        elif report.failed:
            stage = "" if report.when == "call" else f" ({report.when})"
            self.failed(name + stage, report.longreprtext + "".join(f"\n{text}" for _, text in report.sections if text))
        elif report.when == "call":
            self.passed(name)

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed(f"{report.nodeid} can be read", report.longreprtext)

    def pytest_internalerror(self, excrepr):
        self.failed("the harness itself", str(excrepr))

    def pytest_keyboard_interrupt(self, excinfo):
        self.line("Bail out! interrupted")

    def pytest_sessionfinish(self, session):
        for text in [*guard.MEASURED, *delay.told()]:
            self.line(f"# measured: {text}")
        self.line(f"# hosts: {', '.join(f'{count} {word}' for word, count in self.counts.items())}")
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and sum(self.counts.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if self.counts["failed"] else pytest.ExitCode.OK


def readable(nodeid):
    """`test_ban.py::test_it_is_out[bookworm-ssh]` as "it is out [bookworm ssh]"."""
    function, _, parameters = nodeid.split("::")[-1].partition("[")
    parameters = f" [{parameters[:-1].replace('-', ' ')}]" if parameters else ""
    return function.removeprefix("test_").replace("_", " ") + parameters


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if config.option.collectonly:
        return
    config.pluginmanager.unregister(config.pluginmanager.getplugin("terminalreporter"))
    config.pluginmanager.register(Report(), "hosts-report")
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    report = config.pluginmanager.getplugin("hosts-report")
    items.sort(key=order)
    if not report or not items:
        return
    why = missing()
    if why:
        items.clear()
        report.skipped("hosts", why)
    elif not make_trees(report, config.getoption("release") or trees.RELEASES, layers_for(items)):
        items.clear()


def layers_for(items):
    """Only what the chosen tests lie on: the package and the whole mail server take minutes to make."""
    files = {item.path.stem for item in items}
    wanted = ["hauberk"]
    if files & {"test_package", "test_notify"}:
        wanted.append("package")
    if "test_audit" in files:
        wanted.append("hardened")
    if "test_guides" in files:
        wanted += trees.GUIDE_LAYERS
    return [*wanted, "whole"] if "test_whole" in files else wanted


def make_trees(report, releases, layers):
    """Make what is missing, hauberk's own release build included; without it there is nothing to run."""
    name = "the trees are made and hauberk builds in them"
    try:
        trees.ensure(releases, layers)
    except trees.TreeError as error:
        report.failed(name, str(error))
        return False
    report.passed(name)
    return True


FILES = ("test_harness", "test_ban", "test_connections", "test_admin", "test_survival", "test_journal", "test_package",
         "test_notify", "test_whole", "test_audit", "test_guides")


def order(item):
    """One release after the other, so that its machines boot once; the rough tests at the end of a machine's life."""
    release = item.callspec.params.get("release", "") if hasattr(item, "callspec") else ""
    name = item.path.stem
    return release or "~", FILES.index(name) if name in FILES else len(FILES), name, item.location[1]
