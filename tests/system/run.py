#!/usr/bin/python3
"""The system suite: hauberkd as a whole, in a namespace of its own, with real logs and the real
kernel. Prints TAP. Usage: run.py [NAME…]

Most tests wait most of the time, so two lanes of them run side by side, each in a process of its own; a test's lines
come out together.

Some tests wait for what others do within seconds. One that fails is run once more; if it passes then, that is told
with what went wrong, as `# measured: NAME passed at its second try only`, for whoever reads it to judge whether the
machine was busy or the code is wrong."""
import os
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(__file__))

import alone_test  # noqa: E402
import container_test  # noqa: E402
import dns_test  # noqa: E402
import exempt_test  # noqa: E402
import first_test  # noqa: E402
import kill_test  # noqa: E402
import journal_test  # noqa: E402
import logins_test  # noqa: E402
import selftest_test  # noqa: E402
import source_test  # noqa: E402
import fault_test  # noqa: E402
import ban_test  # noqa: E402
import words_test  # noqa: E402
import supervise_test  # noqa: E402
import bulk_test  # noqa: E402
import notify_test  # noqa: E402
import world  # noqa: E402


LONG_S = 20     # a test that takes longer is told: `make check` has minutes for all of them


def passes(name, test, is_second=False):
    began = time.monotonic()
    try:
        told = test()
    except Exception as error:  # noqa: BLE001 - a test's failure is told, and the next one runs
        traceback.print_exc(file=sys.stdout)
        last = (str(error).splitlines() or [type(error).__name__])[0][:300]
        print(f"not ok - {name}" if is_second else f"# measured: {name} failed at its first try: {last}", flush=True)
        return False
    if time.monotonic() - began > LONG_S:
        print(f"# measured: {name} took {time.monotonic() - began:.0f} s", flush=True)
    if is_second:
        print(f"# measured: {name} passed at its second try only", flush=True)
    print(f"ok - {name}{': ' + told if told else ''}", flush=True)
    return True


LANES = (
    (ban_test, first_test, alone_test, exempt_test, container_test, words_test, notify_test, bulk_test, selftest_test,
     source_test),
    (journal_test, logins_test, fault_test, supervise_test, kill_test),
)


def run_tests(modules, names):
    """How many failed of the tests of these modules; of those with these names, if any is given."""
    failed = 0
    for module in modules:
        for name, test in sorted(vars(module).items()):
            if not name.startswith("test_") or (names and name not in names):
                continue
            failed += not (passes(name, test) or passes(name, test, is_second=True))
    return failed


def print_whole_tests(lane, lock):
    """What a lane prints, a test at a time."""
    lines = []
    for line in lane.stdout:
        lines.append(line)
        if line.startswith(("ok - ", "not ok - ")):
            with lock:
                sys.stdout.writelines(lines)
                sys.stdout.flush()
            lines = []
    with lock:
        sys.stdout.writelines(lines)


def run_lanes():
    """Both lanes to their ends; 1 if one failed."""
    lanes = [subprocess.Popen([sys.executable, __file__, "--lane", str(number)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace") for number in range(len(LANES))]
    lock = threading.Lock()
    printers = [threading.Thread(target=print_whole_tests, args=(lane, lock)) for lane in lanes]
    for printer in printers:
        printer.start()
    for printer in printers:
        printer.join()
    return int(any([lane.wait() != 0 for lane in lanes]))


def main():
    names = sys.argv[1:]
    why = world.missing_right()
    if why:
        print(f"ok - system # SKIP {why}")
        return 0
    if names[:1] == ["--lane"]:
        return int(run_tests(LANES[int(names[1])], []) > 0)
    if "test_dns" in names:  # make soak: its world needs a name server's package
        return int(run_tests((dns_test,), names) > 0)
    return int(run_tests(sum(LANES, ()), names) > 0) if names else run_lanes()


sys.exit(main())
