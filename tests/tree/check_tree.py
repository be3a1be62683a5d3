#!/usr/bin/env python3
"""The repository's own rules, checked without building anything. Prints TAP.

Each check is a function that yields what is wrong, a sentence each; no sentence is a pass."""

import functools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src"
sys.path.insert(0, str(ROOT / "tools"))
from settings_man import escape, read_calls  # noqa: E402

# A folder includes itself and those before it (docs/architecture.md, "The tree"). roles/ and cli/
# stand beside each other at the end.
ORDER = ["base", "wire", "sandbox", "config", "sources", "match", "ledger", "enforce", "bans", "notify", "store",
         "control", "desk", "supervise", "probe", "audit"]
PROGRAMS = ["roles", "cli"]

# Headers of libraries, as they begin; each may be included in one folder only.
LIBRARIES = ["systemd/sd-event.h", "systemd/sd-daemon.h", "systemd/sd-journal.h", "sqlite3.h",
             "pcre2.h", "hs.h", "hs/", "libmnl/", "libnftnl/", "libnetfilter_conntrack/",
             "jansson.h", "sodium.h", "sodium/", "archive.h", "archive_entry.h", "seccomp.h", "cap-ng.h", "pthread.h", "unbound.h", "openssl/"]

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)

# Package archives and registries do not belong into the sources: which one a machine uses is its
# owner's choice. In two pieces each, so that this list does not find itself.
HOSTS = [a + b for a, b in [
    ("deb.debian", ".org"), ("security.debian", ".org"), ("ftp.debian", ".org"),
    ("snapshot.debian", ".org"), ("archive.debian", ".org"), ("archive.ubuntu", ".com"),
    ("registry.npmjs", ".org"), ("registry.yarnpkg", ".com"), ("pypi", ".org"),
    ("files.pythonhosted", ".org"), ("crates", ".io"), ("proxy.golang", ".org"),
    ("rubygems", ".org"), ("repo1.maven", ".org"), ("registry-1.docker", ".io"), ("ghcr", ".io"),
    ("quay", ".io"), ("artifact", "ory"),
]]

# scdoc writes .PP before each block and behind each heading; mandoc says that it skips those that
# are empty. Nothing in a page's source changes that, and no reader sees it.
HARMLESS = re.compile(r"WARNING: skipping paragraph macro: PP (empty|after S[HS])")


@functools.cache
def tracked():
    """The files of the repository: what git knows and what it would take."""
    listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z",
                             "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # a tree without git
        paths = [p for p in ROOT.rglob("*") if p.relative_to(ROOT).parts[0] not in ("build", ".git")]
    return sorted(p for p in paths if p.is_file() and not p.is_symlink())


def name(path):
    return str(path.relative_to(ROOT))


@functools.cache
def text(path):
    return path.read_text(errors="replace")


@functools.cache
def sources(*endings):
    return [p for p in tracked() if p.is_relative_to(SOURCE) and p.suffix in (endings or (".c", ".h"))]


def folder(path):
    return path.relative_to(SOURCE).parts[0]


def includes(path):
    """(is it in quotes, what) for each #include."""
    return [(quote == '"', what) for quote, what in INCLUDE.findall(text(path))]


def every_folder_has_its_place():
    for path in sources():
        if folder(path) not in ORDER + PROGRAMS:
            yield f"{name(path)}: the folder has no place in the order"


def folders_include_only_what_stands_above():
    for path in sources(".c", ".h", ".def"):
        here = folder(path)
        above = ORDER if here in PROGRAMS else ORDER[:ORDER.index(here)] if here in ORDER else []
        for is_ours, what in includes(path):
            there = what.split("/")[0]
            if is_ours and "/" in what and there != here and there not in above:
                yield f"{name(path)} includes {what}"
            is_made = what == "report_css.h" or re.fullmatch(r"schema(_\d+)?\.h", what)
            if is_ours and "/" not in what and not is_made:
                yield f"{name(path)} includes {what} without its folder"
            if not is_ours and (SOURCE / what).exists():
                yield f"{name(path)} includes {what} of ours in <>"


def private_headers_stay_in_their_folder():
    for path in sources(".c", ".h", ".def"):
        for is_ours, what in includes(path):
            if is_ours and re.search(r"(private|inside)\.h$", what) and what.split("/")[0] != folder(path):
                yield f"{name(path)} includes {what}"


def libraries_are_included_in_one_folder_only():
    where = {}
    for path in sources():
        for is_ours, what in includes(path):
            for library in LIBRARIES:
                if not is_ours and what.startswith(library):
                    where.setdefault(library.rstrip("/"), {}).setdefault(folder(path), name(path))
    for library, folders in sorted(where.items()):
        if len(folders) > 1:
            yield f"{library} is included in {', '.join(sorted(folders.values()))}"


def only_programs_have_a_main():
    for path in sources():
        if re.search(r"^int main\(", text(path), re.M) and folder(path) not in PROGRAMS:
            yield f"{name(path)} defines main()"


def sources_begin_with_what_they_are():
    for path in sources(".c", ".h", ".def", ".sql"):
        head = re.match(r"/\*.*?\*/|(?:--[^\n]*\n)+", text(path), re.S)
        if not head:
            yield f"{name(path)} does not begin with a comment"
        elif "SPDX-License-Identifier: GPL-2.0-or-later" not in head[0]:
            yield f"{name(path)}: the SPDX line is not in its first comment"


def filters_have_samples():
    filters = {p.stem for p in (ROOT / "filters").glob("*.conf")}
    samples = {p.stem for p in (ROOT / "filters").glob("*.samples")}
    for one in sorted(filters - samples):
        yield f"filters/{one}.conf has no samples"
    for one in sorted(samples - filters):
        yield f"filters/{one}.samples has no filter"
    for path in (ROOT / "filters").glob("*.samples"):
        kinds = set(re.findall(r"^== (failure|success|delivered|nothing)", text(path), re.M))
        rules = text(path.with_suffix(".conf")) if path.with_suffix(".conf").exists() else ""
        wanted = {"failure", "nothing"}
        if "successregex" in rules:
            wanted.add("delivered" if "<F-DELIVERED>" in rules else "success")
        for kind in sorted(wanted - kinds):
            yield f"{name(path)} has no sample of '{kind}'"


def jails_name_filters_that_are_there():
    for path in sorted((ROOT / "jails").glob("*.conf")):
        for wanted in re.findall(r"^filter\s*=\s*(\S+)", text(path), re.M):
            if not (ROOT / "filters" / f"{wanted}.conf").exists():
                yield f"{name(path)} wants the filter {wanted}"


# ---- the manual ----

def run(*command, given=None):
    return subprocess.run(command, input=given, capture_output=True, text=True)


@functools.cache
def page(which):
    """The scdoc source of a manual page, its lists filled in; and what went wrong."""
    made = {"hauberk.1": ("words_man.py", "src/cli/words.def"),
            "hauberk.conf.5": ("settings_man.py", "src/config/settings.def")}
    if which not in made:
        return text(ROOT / "man" / f"{which}.scd"), ""
    tool, table = made[which]
    done = run(sys.executable, str(ROOT / "tools" / tool), str(ROOT / table),
               str(ROOT / "man" / f"{which}.scd.in"))
    return done.stdout, done.stderr.strip()


def calls(path):
    return list(read_calls(text(ROOT / path)))


def words_are_in_the_manual():
    source, error = page("hauberk.1")
    if error:
        yield error
    for macro, arguments in calls("src/cli/words.def"):
        if macro == "WORD" and not re.search(rf"^\*{arguments[0]}\*", source, re.M):
            yield f"hauberk(1) does not describe '{arguments[0]}'"


def settings_are_in_the_manual():
    source, error = page("hauberk.conf.5")
    if error:
        yield error
    for macro, arguments in calls("src/config/settings.def"):
        where = "hauberk-filters(5)" if macro == "FILTER_SETTING" else "hauberk.conf(5)"
        pages = page("hauberk-filters.5")[0] if macro == "FILTER_SETTING" else source
        if f"*{escape(arguments[0])}*" not in pages:
            yield f"{where} does not describe '{arguments[0]}'"


def manual_is_clean():
    for program in ("scdoc", "mandoc"):
        if not shutil.which(program):
            raise Skip(f"needs the package {program}")
    pages = [p.name.split(".scd")[0] for p in sorted((ROOT / "man").glob("*.scd*"))]
    with tempfile.TemporaryDirectory() as scratch:
        for which in pages:
            source, error = page(which)
            made = run("scdoc", given=source)
            if error or made.returncode:
                yield f"{which}: {error or made.stderr.strip()}"
                continue
            path = pathlib.Path(scratch) / which
            path.write_text(made.stdout)
            for line in run("mandoc", "-Tlint", "-W", "warning", str(path)).stdout.splitlines():
                if not HARMLESS.search(line):
                    yield line.replace(f"{scratch}/", "")


# ---- everything else ----

def is_script(path, interpreter):
    with open(path, "rb") as opened:
        return opened.readline().startswith(b"#!") and interpreter in text(path).split("\n")[0]


def shell_scripts_parse():
    for path in tracked():
        if path.suffix == ".sh" or is_script(path, "/sh"):
            parsed = run("sh", "-n", str(path))
            if parsed.returncode:
                yield f"{name(path)}: {parsed.stderr.strip()}"
            if not path.stat().st_mode & 0o100:
                yield f"{name(path)} is not executable"


def python_scripts_parse():
    for path in tracked():
        if path.suffix == ".py" or is_script(path, "python"):
            try:
                compile(text(path), name(path), "exec")
            except SyntaxError as error:
                yield f"{name(path)}:{error.lineno}: {error.msg}"


def lines_of_c_fit():
    """At most 100 columns, as .clang-format says; tables are aligned by hand."""
    for path in tracked():
        if path.suffix not in (".c", ".h") or not name(path).startswith("src/"):
            continue
        is_by_hand = False
        for number, line in enumerate(text(path).splitlines(), 1):
            is_by_hand = "clang-format off" in line or (is_by_hand and "clang-format on" not in line)
            if len(line) > 100 and not is_by_hand:
                yield f"{name(path)}:{number} has {len(line)} columns"


def no_package_archive_is_named():
    for path in tracked():
        for number, line in enumerate(text(path).splitlines(), 1):
            for host in HOSTS:
                if host in line.lower():
                    yield f"{name(path)}:{number} names {host}"


def packages_are_listed_once():
    seen = {}
    for path in sorted((ROOT / "packages").iterdir()):
        for line in text(path).splitlines():
            package = line.split("#")[0].strip()
            if not package:
                continue
            if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package):
                yield f"{name(path)}: '{line}' is not one package's name"
            if package in seen:
                yield f"{package} is in {seen[package]} and in {name(path)}"
            seen[package] = name(path)


def texts_name_files_that_are_there():
    ours = "|".join(ORDER + PROGRAMS)
    for path in tracked():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#:]+)\)", text(path)):
            if not (path.parent / target).exists():
                yield f"{name(path)} links to {target}"
        for quoted in re.findall(r"`((?:src|tests|tools|packages|docs|man)/[\w./-]+)`", text(path)):
            if not (ROOT / quoted).exists():
                yield f"{name(path)} speaks of {quoted}, which is not there"
        for quoted in re.findall(rf"`((?:{ours})/[\w.]+)`", text(path)):
            if not (SOURCE / quoted).exists():
                yield f"{name(path)} speaks of src/{quoted}, which is not there"


def lines_end_cleanly():
    for path in tracked():
        if path.name == "LICENSE" or path.suffix in (".samples", ".png") or not text(path):
            continue
        if not text(path).endswith("\n"):
            yield f"{name(path)} does not end with a newline"
        for number, line in enumerate(text(path).splitlines(), 1):
            if line != line.rstrip():
                yield f"{name(path)}:{number} ends with blanks"


class Skip(Exception):
    """A check that cannot be made here, and why."""


def debian_control_builds_with_what_is_listed():
    """debian/control names the libraries of packages/build and no other."""
    listed = set(re.findall(r"^(lib\S+-dev)\b", text(ROOT / "packages/build"), re.M)) - {"libc6-dev"}
    needed = re.search(r"^Build-Depends:(.*?)^\S", text(ROOT / "debian/control"), re.M | re.S)[1]
    for package in sorted(listed ^ set(re.findall(r"\blib\S+-dev\b", needed))):
        yield f"{package} is in one of packages/build and debian/control's Build-Depends only"


CHECKS = [
    every_folder_has_its_place, folders_include_only_what_stands_above,
    private_headers_stay_in_their_folder, libraries_are_included_in_one_folder_only,
    only_programs_have_a_main, sources_begin_with_what_they_are, filters_have_samples,
    jails_name_filters_that_are_there, words_are_in_the_manual, settings_are_in_the_manual,
    manual_is_clean, shell_scripts_parse, python_scripts_parse, no_package_archive_is_named,
    packages_are_listed_once, texts_name_files_that_are_there, lines_end_cleanly,
    debian_control_builds_with_what_is_listed, lines_of_c_fit,
]


def main():
    failed = 0
    for number, check in enumerate(CHECKS, 1):
        what = check.__name__.replace("_", " ")
        try:
            faults = list(check())
        except Skip as why:
            print(f"ok {number} - {what} # SKIP {why}")
            continue
        failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {number} - {what}")
        for fault in faults:
            print(f"    # {fault}")
    print(f"1..{len(CHECKS)}")
    sys.exit(1 if failed else 0)


main()
