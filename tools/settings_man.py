#!/usr/bin/env python3
"""The settings of src/config/settings.def as scdoc, put into a man page.

usage: settings_man.py settings.def page.scd.in > page.scd

Each line of the page that is @NAME@ and nothing else is replaced by the list of that name:
@JAIL_SETTINGS@, @HAUBERK_SETTINGS@, @IGNORED_KEYS@, @REFUSED_KEYS@, @KNOWN_VARIABLES@. The table is
C, but of one shape: MACRO(argument, ...) with string literals and plain words. It is read here
rather than by the C preprocessor so that the page can be made without a compiler.
"""

import re
import sys

TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_.]+)|([(),])')


def read_calls(text):
    """Yields (macro, [arguments]) for every call; adjacent literals are one argument."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    macro, arguments, current = None, [], None
    for literal, word, sign in TOKEN.findall(text):
        if sign == "(":
            macro, arguments, current = current, [], None
        elif sign:
            arguments.append(current or "")
            current = None
            if sign == ")":
                yield macro, arguments
        else:
            current = word or (current or "") + literal.replace('\\"', '"')


def escape(text):
    """scdoc's own signs, and `words like this` to *words like this*."""
    parts = text.split("`")
    for i, part in enumerate(parts):
        part = re.sub(r"([\\*_<>#~|\[\]])", r"\\\1", part)
        parts[i] = f"*{part}*" if i % 2 else part
    return "".join(parts)


def describe_range(kind, unit, fallback, least, most):
    """What stands in brackets behind a setting: its type, limits and default."""
    kinds = {
        "BOOLEAN": "yes or no",
        "NUMBER": f"a number of {unit}, {least} to {most}",
        "DURATION": "a time",
        "DURATION_OR_EVER": "a time or -1",
        "ADDRESSES": "addresses and prefixes",
        "PATHS": "paths",
        "GROUPS": "names of groups",
        "DOMAINS": "names of domains",
        "PORTS": "ports or a scope",
        "BACKEND": "auto, file or journal",
        "COUNTS": "failures or returns",
        "FILTER": "a name",
        "TIME_OF_DAY": "a time of day or off",
        "RECIPIENT": "a mail address or local user",
        "COMMAND": "a program's path",
    }
    known = kinds.get(kind)
    default = "the jail's name" if fallback == "%(__name__)s" else fallback or "none"
    return "; ".join(part for part in (known, f"default {default}") if part)


def entry(key, in_brackets, text):
    bracket = f" ({escape(in_brackets)})" if in_brackets else ""
    return f"*{escape(key)}*{bracket}\n\t{escape(text)}\n"


def make_lists(calls):
    lists = {name: [] for name in ("JAIL_SETTINGS", "HAUBERK_SETTINGS", "IGNORED_KEYS",
                                   "REFUSED_KEYS", "KNOWN_VARIABLES")}
    for macro, a in calls:
        if macro == "JAIL_SETTING":
            key, kind, _, unit, fallback, least, most, _, text = a
            lists["JAIL_SETTINGS"].append(
                entry(key, describe_range(kind, unit, fallback, least, most), text))
        elif macro == "JAIL_FIXED":
            key, kind, fallback, text = a
            lists["JAIL_SETTINGS"].append(
                entry(key, describe_range(kind, "", fallback, 0, 0), text))
        elif macro == "HAUBERK_SETTING":
            key, kind, _, unit, fallback, least, most, text = a
            lists["HAUBERK_SETTINGS"].append(
                entry(key, describe_range(kind, unit, fallback, least, most), text))
        elif macro in ("IGNORED_KEY", "REFUSED_KEY"):
            lists[macro + "S"].append(entry(a[0], "", a[1][0].upper() + a[1][1:] + "."))
        elif macro == "KNOWN_VARIABLE":
            lists["KNOWN_VARIABLES"].append(entry(a[0], "", a[1]))
    return lists


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as table:
        lists = make_lists(list(read_calls(table.read())))
    with open(sys.argv[2], encoding="utf-8") as page:
        for line in page:
            wanted = re.fullmatch(r"@([A-Z_]+)@\n?", line)
            if wanted:
                if not lists.get(wanted[1]):
                    sys.exit(f"{sys.argv[2]}: there is no list @{wanted[1]}@")
                sys.stdout.write("\n".join(lists[wanted[1]]))
            else:
                sys.stdout.write(line)


if __name__ == "__main__":
    main()
