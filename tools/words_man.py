#!/usr/bin/env python3
"""The words of src/cli/words.def as scdoc, put into hauberk(1).

usage: words_man.py words.def page.scd.in > page.scd

In the page, a line `@WORD name@` is replaced by that word's usage and its sentence; what the page
writes behind it, indented, belongs to the same entry. Every word must have such a line, once and in
the order of the table, and no other may be there: a word that is not described is an error.
"""

import re
import sys

sys.dont_write_bytecode = True  # the checkout stays as it was

from settings_man import escape, read_calls


def usage(name, arguments):
    """`ban` and "ADDRESS [--cut]" as *ban* _ADDRESS_ [*--cut*]."""
    text = escape(arguments).replace("\\|", "|")
    text = re.sub(r"--[a-z-]+", lambda found: f"*{found[0]}*", text)
    text = re.sub(r"[A-Z]{2,}", lambda found: f"_{found[0]}_", text)
    return f"*{name}* {text}".rstrip()


def entry(name, arguments, sentence):
    return f"{usage(name, arguments)}\n\t{escape(sentence[0].upper() + sentence[1:])}.\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as table:
        words = {a[0]: (a[2], a[3]) for macro, a in read_calls(table.read()) if macro == "WORD"}
    described = []
    with open(sys.argv[2], encoding="utf-8") as page:
        for line in page:
            wanted = re.fullmatch(r"@WORD ([a-z]+)@\n?", line)
            if not wanted:
                sys.stdout.write(line)
                continue
            name = wanted[1]
            if name not in words:
                sys.exit(f"{sys.argv[2]}: there is no word '{name}'")
            described.append(name)
            sys.stdout.write(entry(name, *words[name]))
    if described != list(words):
        missing = [name for name in words if name not in described]
        sys.exit(f"{sys.argv[2]}: " + (f"not described: {', '.join(missing)}" if missing else
                                       "words are not in the table's order, or stand there twice"))


if __name__ == "__main__":
    main()
