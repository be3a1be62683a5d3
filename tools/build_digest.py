#!/usr/bin/env python3
"""Writes build.c: the digest of every source file, which two processes must share to talk.

Usage: build_digest.py SRC VERSION OUTPUT. Leaves OUTPUT alone when nothing changed, so that a build
without changes links nothing."""
import hashlib
import pathlib
import sys

source, version, output = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
digest = hashlib.blake2b(version.encode(), digest_size=16)
for path in sorted(source.rglob("*")):
    if path.suffix in (".c", ".h", ".def", ".sql"):
        digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
octets = ", ".join(f"0x{octet:02x}" for octet in digest.digest())
text = f"""/* Made by tools/build_digest.py. */
#include "wire/build.h"

static const struct digest digest = {{{{{octets}}}}};
const char build_version[] = "{version}";

const struct digest *build_digest(void) {{
    return &digest;
}}
"""
if not output.exists() or output.read_text() != text:
    output.write_text(text)
