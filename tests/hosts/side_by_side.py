#!/usr/bin/env python3
"""Three hosts, looked at by hauberk audit, Lynis and testssl.sh. Run by hand, as root; it takes minutes:

    side_by_side.py [--release trixie] [HOST]…       HOST: fresh, S4, hardened

fresh is the layer `services`, S4 the host of tests/guides/S4.sh, hardened what test_audit.py begins with. Prints for
each what each finds, Lynis' and testssl's own words shortened to test and result. What of it we do not find, and why,
stands in docs/audit-compared.md.
"""

import argparse
import json
import re
import subprocess
import sys

sys.dont_write_bytecode = True

import host
import names
import test_audit
import test_guides
import trees

sys.stdout.reconfigure(line_buffering=True)

LAYERS = {"fresh": [], "S4": ["guide-S4"], "hardened": ["hardened", "whole"]}
# How testssl is told to speak with each port; one of each server's, for it takes minutes for each.
PORTS = {993: None, 443: None, 25: "smtp"}


def prepare(world, release, which, resolver):
    """The booted host in its state."""
    if which in test_guides.NAMES:
        followed = test_guides.Followed(world, release, which, resolver)
        followed.follow(f"{which}.sh")
        return followed.host
    made = host.Host(world, release, name=f"{which}-{release}", layers=[
        trees.path_of(release, "hauberk"), *(trees.path_of(release, layer) for layer in LAYERS[which])]).boot()
    if which == "hardened":
        test_audit.harden(made)
    else:
        test_audit.Audited(made).shell(test_guides.PLAIN)
    return made


def ours(machine):
    """hauberk audit."""
    report = test_audit.Audited(machine).audit()
    print(f"hauberk: {report['grade']}, {report['score']}, {report['passed']} passed, {len(report['skipped'])} not looked at")
    for one in report["findings"]:
        print(f"    {one['severity']:8} {one['id']}")
    for one in report["skipped"]:
        print(f"    not looked at {one['id']}: {one['reason']}")


def bring_others(machine):
    """The files of Lynis and testssl.sh without their packages: what we look at stays as it was."""
    layer = trees.path_of(machine.release, "others")
    for part in ("usr", "etc/lynis", "etc/testssl", "etc/alternatives"):
        if (layer / part).is_dir():
            subprocess.run(["cp", "-a", "--no-clobber", layer / part, machine.path(part).parent], check=True)
    machine.enter("ldconfig")


def lynis(machine):
    """Lynis' warnings and suggestions, and its hardening index."""
    machine.enter("lynis", "audit", "system", "--quick", "--no-colors", "--quiet", check=False, timeout=600)
    report = machine.read("/var/log/lynis-report.dat")
    print(f"lynis: hardening index {re.search(r'^hardening_index=(.*)$', report, re.M)[1]}")
    for kind, told in re.findall(r"^(warning|suggestion)\[\]=(.*)$", report, re.M):
        test, text, *details = told.split("|")
        print(f"    {kind:10} {test:10} {text} {' '.join(one for one in details if one not in ('', '-'))}")


def testssl(machine, options):
    """What testssl.sh finds worse than fine, port by port."""
    for port, dialect in PORTS.items():
        if port not in machine.listening():
            continue
        told = f"/root/testssl-{port}.json"
        machine.enter("testssl", "--quiet", "--color", "0", "--warnings", "off", *options, "--ip", "127.0.0.1", "--jsonfile",
                      told,
                      *(["--starttls", dialect] if dialect else []), f"localhost:{port}", check=False, timeout=900)
        path = machine.path(told)
        found = json.loads(path.read_text()) if path.exists() else []
        print(f"testssl: port {port}", flush=True)
        for one in found:
            if one["severity"] not in ("OK", "INFO", "DEBUG"):
                print(f"    {one['severity']:8} {one['id']}: {one['finding'][:120]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--release", default="trixie", choices=trees.RELEASES)
    parser.add_argument("--testssl", default="", metavar="OPTIONS", help="only some of its tests: '-p -s -S'")
    parser.add_argument("--without-lynis", action="store_true")
    parser.add_argument("--without-testssl", action="store_true")
    parser.add_argument("hosts", nargs="*", metavar="HOST")
    options = parser.parse_args()
    wanted = options.hosts or list(LAYERS)
    trees.ensure([options.release], ["hauberk", "others", *(layer for one in wanted for layer in LAYERS[one])])
    with host.World() as world:
        resolver = names.Names(host.GATEWAY_4)
        for which in wanted:
            machine = prepare(world, options.release, which, resolver)
            print(f"==== {which}", flush=True)
            ours(machine)
            bring_others(machine)
            if not options.without_lynis:
                lynis(machine)
            if not options.without_testssl:
                testssl(machine, options.testssl.split())
            machine.close()
        resolver.close()


if __name__ == "__main__":
    main()
