#!/usr/bin/env python3
"""Turns a text file into the lines of a C string literal, for #include inside an initializer."""
import json
import pathlib
import sys

lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
text = "".join(json.dumps(line + "\n") + "\n" for line in lines if not line.startswith("--"))
pathlib.Path(sys.argv[2]).write_text(text)
