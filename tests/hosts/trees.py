"""Trees of Debian releases, kept outside the checkout and stacked as overlay layers.

Making a Debian system takes a minute, booting one takes a second. So what does not change from run to run is made once
and kept under TREES: per release a `base` (debootstrap), upon it the `services` (the mail server under attack), upon
that `build` (compiler and development packages) and, beside it, `whole` (web server, webmail, spam filter: what only
some tests attack) with `hardened` (what a well-kept server has besides) upon it. Upon the services, too, are the
`guide-…`: the packages of one old guide each (tests/guides), all switched off. A layer is a plain directory that overlayfs stacks read-only.

A layer's directory is named after a digest of its recipe and of the layer below, so a changed recipe makes a new layer
and the old one is swept away. It is made under a temporary name and renamed when complete: what has the final name is
whole. Makers run in mount and pid namespaces that end with their parent, so a killed run leaves temporary names only,
which the next run removes.

`hauberk` is one layer more: the checkout built in release mode inside its release's build tree, keyed by its sources.
`deb` has what `make deb` needs on top of `build`, and `package` what it gave: the checkout's package twice, the one of
a later version that upgrades the other, and lintian's opinion.

    trees.py [--layer LAYER]… [RELEASE]…      makes what is missing (up to `build`, both releases)
"""

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import sys
import time

import namespaces

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
TREES = pathlib.Path(os.environ.get("HAUBERK_TREES", "/var/cache/hauberk-tests"))
DIGEST = "HAUBERK_SOURCES_DIGEST"       # in a maker's environment
RELEASES = ("bookworm", "trixie")

BASE_PACKAGES = "systemd systemd-sysv dbus ca-certificates iproute2".split()

SERVICE_PACKAGES = """openssh-server libpam-systemd sudo postfix dovecot-imapd dovecot-pop3d rsyslog logrotate
    nftables openssl procps""".split()

# The rest of a whole mail server, for the tests that attack it: the other machines boot faster without.
WHOLE_PACKAGES = """dovecot-lmtpd dovecot-managesieved dovecot-sqlite dovecot-submissiond sqlite3 nginx apache2
    php-fpm php-sqlite3 roundcube-core roundcube-sqlite3 rspamd""".split()

# What hauberk links against. Named per release because of Debian's 64-bit time_t renaming.
RUNTIME_PACKAGES = {
    "bookworm": """libsystemd0 libpcre2-8-0 libhyperscan5 libmnl0 libnftnl11 libnetfilter-conntrack3 libsqlite3-0
        libseccomp2 libcap-ng0 libsodium23 libjansson4 libarchive13 libunbound8 libssl3""".split(),
    "trixie": """libsystemd0 libpcre2-8-0 libhyperscan5 libmnl0 libnftnl11 libnetfilter-conntrack3 libsqlite3-0
        libseccomp2 libcap-ng0 libsodium23 libjansson4 libarchive13t64 libunbound8 libssl3t64""".split(),
}

OTHER_PACKAGES = ["lynis", "testssl.sh"]        # who else looks; side_by_side.py takes the files out of this layer
EXIM_PACKAGES = ["exim4-daemon-light"]          # it takes Postfix' place
GUIDES = CHECKOUT / "tests" / "guides"
GUIDE_LAYERS = {f"guide-{path.stem}": path for path in sorted(GUIDES.glob("S?.sh"))}

# What each layer lies on.
BELOW = {"base": None, "services": "base", "whole": "services", "hardened": "whole", "build": "services",
         "hauberk": "build", "deb": "build", "package": "deb",
         "others": "services", "exim": "services", **dict.fromkeys(GUIDE_LAYERS, "services")}

PACKAGES = "/packages"                  # where the layer `package` has them: old.deb, new.deb, lintian
OLD_VERSION, NEW_VERSION = "0.0.1~test", "0.0.2~test"
DEB_EXTRAS = ["lintian", "ccache"]      # for an opinion, and because the second build differs from the first in one file


class TreeError(Exception):
    """A tree could not be made; the text ends with the log's last lines."""


def run(log, *command):
    """Run a command to its end, its output appended to the file `log`; raise with the log's tail when it fails."""
    with open(log, "ab") as out:
        done = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                preexec_fn=namespaces.die_with_parent)
        try:
            status = done.wait()
        finally:
            done.kill()
    if status:
        tail = pathlib.Path(log).read_text(errors="replace").splitlines()[-25:]
        raise TreeError("\n".join([f"exit {status} of: {' '.join(map(str, command))}", *tail]))


# --- the archive: read from the host's own sources, never named in a file of ours ------------------------------------

def apt_stanzas():
    """Yield (uri, suites) of every `deb` source of this host, in both notations of sources.list(5)."""
    folder = pathlib.Path("/etc/apt/sources.list.d")
    for path in sorted(folder.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M))
            if "deb" in fields.get("Types", "").split() and fields.get("URIs"):
                yield fields["URIs"].split()[0], fields["Suites"].split()
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list"))]:
        if path.exists():
            for uri, suite in re.findall(r"^deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)", path.read_text(), re.M):
                yield uri, [suite]


def archive():
    """The URIs of (main archive, security archive or None) as this Debian host has them."""
    own = os_release()
    main = security = None
    for uri, suites in apt_stanzas():
        if own in suites:
            main = main or uri
        if f"{own}-security" in suites or f"{own}/updates" in suites:
            security = security or uri
    if not main:
        raise TreeError(f"no apt source of this host offers the suite {own!r}: cannot find Debian's archive")
    return main, security


def os_release():
    """This host's code name, the suite by which its archive is recognised."""
    text = pathlib.Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.M).group(1)


def sources_list(release):
    """The apt sources for a tree of `release`."""
    main, security = archive()
    lines = [f"deb {main} {release} main", f"deb {main} {release}-updates main"]
    if security:
        lines.append(f"deb {security} {release}-security main")
    return "\n".join(lines) + "\n"


# --- layers ----------------------------------------------------------------------------------------------------------

def listed_packages(purpose):
    """What building hauberk ("build") or its package ("deb") needs: one name a line, # begins a comment."""
    lines = (CHECKOUT / "packages" / purpose).read_text().splitlines()
    return sorted(name for line in lines for name in line.split("#")[0].split())


def hardened_packages():
    """What tests/sabotage/hardened/ sets up beyond the layer `whole`."""
    lines = (CHECKOUT / "tests" / "sabotage" / "hardened" / "packages").read_text().splitlines()
    return sorted(name for line in lines for name in line.split("#")[0].split())


def guide_packages(layer, release):
    """What a guide has one install: the lines "# packages: …" and "# packages, RELEASE: …" of its script."""
    told = re.findall(rf"^# packages(?:, {release})?: (.*)$", GUIDE_LAYERS[layer].read_text(), re.M)
    return sorted(name for line in told for name in line.split())


def files_digest(folder):
    """A digest over names, modes and contents of all files below `folder`."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder)} {path.stat().st_mode:o} ".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def name_of(release, layer):
    """The directory name of a layer: it changes with the layer's recipe and with the layer below."""
    recipes = {
        "base": lambda: BASE_PACKAGES,
        "services": lambda: [*SERVICE_PACKAGES, *RUNTIME_PACKAGES[release], files_digest(HERE / "services")],
        "whole": lambda: [*WHOLE_PACKAGES, files_digest(HERE / "whole")],
        "hardened": lambda: hardened_packages(),
        "build": lambda: listed_packages("build"),
        "hauberk": lambda: [sources_digest()],
        "deb": lambda: [*listed_packages("deb"), *DEB_EXTRAS],
        "package": lambda: [sources_digest(), OLD_VERSION, NEW_VERSION],
        "others": lambda: OTHER_PACKAGES,
        "exim": lambda: EXIM_PACKAGES,
        **{guide: lambda guide=guide: guide_packages(guide, release) for guide in GUIDE_LAYERS},
    }
    base = name_of(release, BELOW[layer]) if BELOW[layer] else release
    recipe = " ".join([base, *recipes[layer]()])
    return f"{release}-{layer}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def path_of(release, layer):
    """Where the layer lies when it is complete."""
    return TREES / name_of(release, layer)


def below(release, layer):
    """The layers under `layer`, topmost first, as overlayfs wants them."""
    lower = BELOW[layer]
    return [path_of(release, lower), *below(release, lower)] if lower else []


def ensure(releases=RELEASES, layers=("build",)):
    """Make what is missing of these layers and those below them, the releases side by side."""
    missing = [release for release in releases if any(not path_of(release, layer).is_dir() for layer in layers)]
    makers = []
    try:
        for release in missing:
            command = [*namespaces.OWN_PIDS, sys.executable, HERE / "trees.py", f"--for-pid={os.getpid()}",
                       *(f"--layer={layer}" for layer in layers), release]
            makers.append(subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                           stdout=sys.stderr, text=True, preexec_fn=namespaces.die_with_parent,
                                           env={**os.environ, DIGEST: sources_digest()}))
        errors = [maker.communicate()[1] for maker in makers]
        if any(maker.returncode for maker in makers):
            raise TreeError("\n".join(error for error in errors if error))
    finally:
        for maker, release in zip(makers, missing):
            maker.kill()
            namespaces.kill_cgroup(f"hauberk-tests-{os.getpid()}-tree-{release}")


def make(release, layer, cgroup):
    """Make one layer (and first those below it) unless it exists. Runs in namespaces of its own."""
    TREES.mkdir(mode=0o755, parents=True, exist_ok=True)
    if BELOW[layer]:
        make(release, BELOW[layer], cgroup)
    with locked(f"{release}-{layer}"):
        path = path_of(release, layer)
        if path.is_dir():
            return
        sweep(f"{release}-{layer}-")
        began = time.monotonic()
        making, log = path.with_name(path.name + ".making"), path.with_name(path.name + ".log")
        making.mkdir()
        makers = {"base": make_base, "services": make_services, "whole": make_whole, "hardened": make_hardened, "build": make_build,
                  "hauberk": make_hauberk, "deb": make_deb, "package": make_package, "others": make_others, "exim": make_exim,
                  **{guide: make_guide(guide) for guide in GUIDE_LAYERS}}
        makers[layer](Tree(release, making, log, cgroup))
        (making / "upper").rename(path)
        subprocess.run(["umount", "-l", making / "root"], check=False, capture_output=True)
        shutil.rmtree(making)
        print(f"# made the {layer} layer of {release} in {time.monotonic() - began:.0f} s", flush=True)


def missing_overlay():
    """Why no overlay can be stacked where the trees are kept, or None: a container that itself lies on an overlay
    cannot, and then no machine can be laid out there."""
    TREES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TREES, prefix="probe-") as folder:
        for name in ("lower", "upper", "work", "root"):
            os.mkdir(f"{folder}/{name}")
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        tried = subprocess.run(["unshare", "--mount", "--propagation=private", "mount", "-t", "overlay", "overlay", "-o",
                                options, f"{folder}/root"], capture_output=True, check=False)
    return None if tried.returncode == 0 else f"may not stack an overlay in {TREES} (a container?)"


@contextlib.contextmanager
def locked(name):
    """One maker per layer: another run waits here and then finds the layer complete."""
    with open(TREES / f".lock-{name}", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def hold(path):
    """Keep a layer from being swept while a host lies on it; close the returned descriptor to let go."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def sweep(prefix):
    """Remove older layers of one kind and what killed runs left of them (the caller holds the kind's lock)."""
    for path in TREES.glob(f"{prefix}*"):
        if not path.is_dir():
            path.unlink()
            continue
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(BlockingIOError):      # another run's hosts lie on it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        os.close(descriptor)


@dataclasses.dataclass
class Tree:
    """A layer in the making: `making/upper` becomes the layer."""

    release: str
    making: pathlib.Path
    log: pathlib.Path
    cgroup: str

    def run(self, *command):
        """Run a command to its end, its output in the log."""
        run(self.log, *command)

    def overlay(self, layer, folder=None):
        """Mount the layers below `layer`, to be written to in `folder`; return the root."""
        folder = folder or self.making
        for part in ("upper", "work", "root"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        mount_overlay(folder / "root", below(self.release, layer), folder / "upper", folder / "work")
        return folder / "root"

    def inside(self, root, script, *options):
        """Run a shell script in a root, not booted, with this host's network and resolver (archive access)."""
        self.run(*namespaces.in_cgroup(self.cgroup), "systemd-nspawn", "-q", "-D", root,
                 f"--machine=tree-{self.release}", "--register=no", "--keep-unit", "--resolv-conf=bind-host", "--pipe",
                 "--setenv=LC_ALL=C.UTF-8", "--setenv=DEBIAN_FRONTEND=noninteractive", *options,
                 "/bin/sh", "-ec", script)

    def install(self, root, packages):
        """apt-get install in a root."""
        self.inside(root, "apt-get -q update && apt-get -qy install --no-install-recommends " + " ".join(packages)
                    + " && apt-get clean")


def make_base(tree):
    """debootstrap, then this host's sources and current updates."""
    upper = tree.making / "upper"
    tree.run("debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", tree.release, upper,
             archive()[0])
    policy = upper / "usr/sbin/policy-rc.d"         # a package's own scripts must not start a daemon in a tree
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (upper / "etc/apt/sources.list").write_text(sources_list(tree.release))
    tree.inside(upper, "apt-get -q update && apt-get -qy upgrade && apt-get clean")
    (upper / "etc/resolv.conf").write_text("")      # a booted host has no resolver; only tree making binds this host's


def make_services(tree):
    """The mail server: packages as Debian ships them, then services/setup in the tree."""
    root = tree.overlay("services")
    tree.install(root, SERVICE_PACKAGES + RUNTIME_PACKAGES[tree.release])
    tree.inside(root, f"sh -eux /mnt/setup {tree.release}", f"--bind-ro={HERE / 'services'}:/mnt")


def make_whole(tree):
    """Web server, webmail, spam filter and Dovecot's other services, then whole/setup in the tree."""
    root = tree.overlay("whole")
    tree.install(root, WHOLE_PACKAGES)
    tree.inside(root, f"sh -eux /mnt/setup {tree.release}", f"--bind-ro={HERE / 'whole'}:/mnt")


def make_hardened(tree):
    """What a well-kept mail server has besides; its settings are made when it runs (test_audit.py)."""
    tree.install(tree.overlay("hardened"), hardened_packages())


def make_others(tree):
    """Other programs that look for what is weak."""
    tree.install(tree.overlay("others"), OTHER_PACKAGES)


def make_exim(tree):
    """Another mail server."""
    tree.install(tree.overlay("exim"), EXIM_PACKAGES)


def make_guide(layer):
    """The packages of one guide, none of their services switched on: the guide's script does that when it runs."""
    def make(tree):
        root = tree.overlay(layer)
        switched_on = "find /etc/systemd/system -type l -path '*.wants/*' | sort"
        tree.inside(root, f"{switched_on} >/root/before")
        tree.install(root, guide_packages(layer, tree.release))
        tree.inside(root, f"{switched_on} | comm -13 /root/before - | xargs -r rm; rm /root/before")
    return make


def make_build(tree):
    """A compiler and the development packages."""
    tree.install(tree.overlay("build"), listed_packages("build"))


def make_hauberk(tree):
    """A release build of the checkout; the layer is what `make install` gives, and nothing of the building."""
    building = tree.making / "building"
    root = tree.overlay("hauberk", building)
    copy_checkout(root / "root/hauberk")
    tree.inside(root, "cd /root/hauberk && make install DESTDIR=/root/installed PREFIX=/usr", "--private-network")
    (building / "upper/root/installed").rename(tree.making / "upper")
    tree.run("umount", root)


def make_deb(tree):
    """debhelper, and what `package` needs besides."""
    tree.install(tree.overlay("deb"), [*listed_packages("deb"), *DEB_EXTRAS])


def make_package(tree):
    """`make deb` by an ordinary user, without a network, once for each version: of the old one a source differs, so that
    its programs would not talk to the new one's."""
    building = tree.making / "building"
    root = tree.overlay("package", building)
    copy_checkout(root / "home/builder/hauberk")
    tree.inside(root, f"""useradd builder; chown -R builder: /home/builder; mkdir {PACKAGES}
        by_builder() {{ setpriv --reuid=builder --regid=builder --init-groups env HOME=/home/builder \
            PATH="/usr/lib/ccache:$PATH" "$@"; }}
        cd /home/builder/hauberk
        by_builder make deb DEB_VERSION={NEW_VERSION}
        mv build/deb/*.deb {PACKAGES}/new.deb
        echo '/* as it was */' >>src/base/clock.c
        by_builder make deb DEB_VERSION={OLD_VERSION}
        mv build/deb/*.deb {PACKAGES}/old.deb
        by_builder lintian --tag-display-limit 0 {PACKAGES}/new.deb | tee {PACKAGES}/lintian""", "--private-network")
    (tree.making / f"upper{PACKAGES}").parent.mkdir(parents=True)
    (building / f"upper{PACKAGES}").rename(tree.making / f"upper{PACKAGES}")
    tree.run("umount", root)


def source_files():
    """The checkout's files as git sees them, those not yet added included; relative paths."""
    listed = subprocess.run(["git", "-c", f"safe.directory={CHECKOUT}", "-C", CHECKOUT, "ls-files", "-z", "--cached",
                             "--others", "--exclude-standard"], check=True, capture_output=True).stdout
    paths = (pathlib.Path(os.fsdecode(name)) for name in listed.split(b"\0") if name)
    return sorted(path for path in paths if (CHECKOUT / path).is_file())


@functools.cache
def sources_digest():
    """A digest of what the installed tree is made from. The tests themselves are not.

    Taken once per run, a maker's from its parent: somebody may be editing meanwhile.
    """
    if DIGEST in os.environ:
        return os.environ[DIGEST]
    whole = hashlib.sha256()
    for path in source_files():
        if path.parts[0] not in ("tests", "docs", "bench", ".ci"):
            whole.update(f"{path} ".encode() + hashlib.sha256((CHECKOUT / path).read_bytes()).digest())
    return whole.hexdigest()


def copy_checkout(target):
    """Copy the checkout's files, as a clone would have them."""
    for path in source_files():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / path, target / path, follow_symlinks=False)


def mount_overlay(target, lowers, upper, work):
    """mount(8) an overlay; `lowers` are named topmost first."""
    options = f"lowerdir={':'.join(map(str, lowers))},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, target], check=True)


def main():
    parser = argparse.ArgumentParser(description="Make the trees of the hosts suite.")
    parser.add_argument("--layer", action="append", choices=BELOW, help="with those below it; default: build")
    parser.add_argument("--for-pid", type=int, help="(internal) make here; the namespaces are this process's own")
    parser.add_argument("releases", nargs="*", default=RELEASES, metavar="RELEASE")
    options = parser.parse_args()
    layers = options.layer or ["build"]
    try:
        if not options.for_pid:
            ensure(options.releases, layers)
            return
        namespaces.hide_nspawn_traces()
        for release in options.releases:
            for layer in layers:
                make(release, layer, f"hauberk-tests-{options.for_pid}-tree-{release}")
    except TreeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
