"""A name server for the machines of a world: attackers have names, and some are on lists.

It answers on the gateway's port 53. The names are fixed, so that logs come out the same each time:

    N.bot.test                    198.51.100.N, and back: a name that holds
    203-0-113-N.1.2.3.4.test      what 203.0.113.N calls itself; N from 240 on is believed nowhere (no address)
    D.C.B.A.zen.test              127.0.0.2 for 203.0.113.60 and .200 to .209, 127.0.0.4 to .204 as well: listed
                                  127.255.255.254 for .70 and .210 to .219: "not for your resolver"
    D.C.B.A.bl.test               127.0.0.2 for .200 to .204 and .220 to .224
    mx.test, example.org, example.com  the machine and two domains that exist
    *.fails.test                  SERVFAIL

A machine's own zone, when it is given one, goes before all that (Names.publish).
"""

import ipaddress
import socket
import struct
import threading

import host

A, NS, PTR, MX, TXT, AAAA, SPF = 1, 2, 12, 15, 16, 28, 99
KINDS = {"A": A, "NS": NS, "PTR": PTR, "MX": MX, "TXT": TXT, "AAAA": AAAA, "SPF": SPF}
EXIST = {"mx.test", "example.org", "example.com", "client.test"}


def records(name, kind):
    """The answers to one question: a list of (kind, text), [] when there is none, None for a failure of the server."""
    labels = name.lower().split(".")
    if labels[-2:] == ["fails", "test"]:
        return None
    if labels[-2:] in (["zen", "test"], ["bl", "test"]) and len(labels) == 6:
        codes = listed(labels[-2], labels[3::-1])
        if kind == TXT and codes:
            text = "Error: open resolver; https://lists.test/returnc/pub/" if "255" in codes[0] else "listed at"
            return [(TXT, f"{text} https://lists.test/query/{'.'.join(labels[3::-1])}")]
        return [(A, code) for code in codes] if kind == A else []
    if name.lower().endswith(".in-addr.arpa") and kind == PTR:
        address = ".".join(labels[3::-1])
        last = labels[0]
        if address.startswith("203.0.113."):
            return [(PTR, f"203-0-113-{last}.1.2.3.4.test")]
        return [(PTR, f"{last}.bot.test")] if address.startswith("198.51.100.") else []
    if labels[1:] == ["bot", "test"] and kind == A:
        return [(A, f"198.51.100.{labels[0]}")]
    if labels[1:] == "1.2.3.4.test".split(".") and kind == A and int(labels[0].rsplit("-", 1)[1]) < 240:
        return [(A, labels[0].replace("-", "."))]
    if name.lower() in EXIST:
        return {A: [(A, "192.0.2.1")], MX: [(MX, name)]}.get(kind, [])
    return []


def listed(zone, address):
    """A list's answers about an address given by its four parts."""
    if address[:3] != ["203", "0", "113"]:
        return []
    last = int(address[3])
    if zone == "zen":
        return (["127.0.0.2"] * (last == 60 or 200 <= last < 210) + ["127.0.0.4"] * (200 <= last < 205)
                + ["127.255.255.254"] * (last == 70 or 210 <= last < 220))
    return ["127.0.0.2"] if 200 <= last < 205 or 220 <= last < 225 else (
        ["127.255.255.254"] * (last == 70 or 210 <= last < 220))


class Names:
    """Answers until closed."""

    def __init__(self, address):
        self._zone = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def publish(self, lines):
        """Answer for these records from now on, and for no others published before; a line is NAME KIND DATA."""
        zone = {}
        for line in lines:
            name, kind, data = line.split(None, 2)
            zone.setdefault(name.lower().rstrip("."), {}).setdefault(KINDS[kind], []).append(data.strip().rstrip("."))
        self._zone = zone

    def published(self, name, kind):
        """The answers of the zone, one of its wildcards included; None when it has no such name."""
        labels = name.lower().split(".")
        inside = [name.lower(), *(".".join(["*", *labels[i:]]) for i in range(1, len(labels)))]
        held = next((self._zone[one] for one in inside if one in self._zone), None)
        return None if held is None else [(kind, data) for data in held.get(kind, [])]

    def close(self):
        """Fall silent."""
        self._socket.close()

    def _serve(self):
        while True:
            try:
                question, client = self._socket.recvfrom(4096)
                self._socket.sendto(answer(question, self.published), client)
            except OSError:
                return
            except (ValueError, IndexError, struct.error):
                pass                                # a question nobody asks


def used_by(machine):
    """Make a booted machine ask this server. Postfix has its own copy of the resolver's settings."""
    machine.write("/etc/resolv.conf", f"nameserver {host.GATEWAY_4}\noptions timeout:2\n")
    machine.enter("cp", "/etc/resolv.conf", "/var/spool/postfix/etc/resolv.conf")
    machine.enter("systemctl", "restart", "postfix")


def answer(question, published=lambda *_: None):
    """The packet that answers one question."""
    name, at = [], 12
    while question[at]:
        name.append(question[at + 1:at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    kind = struct.unpack(">H", question[at + 1:at + 3])[0]
    asked = question[12:at + 5]
    found = published(".".join(name), kind)
    exists = found is not None or ".".join(name).lower() in EXIST
    if found is None:
        found = records(".".join(name), kind)
    code = 2 if found is None else 0 if found or exists else 3
    head = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found or []), 0, 0)
    return head + asked + b"".join(record(*each) for each in found or [])


def record(kind, text):
    """One resource record for the name asked for."""
    data = {A: lambda: ipaddress.ip_address(text).packed, AAAA: lambda: ipaddress.ip_address(text).packed,
            PTR: lambda: encoded(text), NS: lambda: encoded(text), MX: lambda: b"\0\x0a" + encoded(text),
            TXT: lambda: strings(text), SPF: lambda: strings(text)}[kind]()
    return struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(data)) + data


def strings(text):
    """A text as the DNS has it: pieces of at most 255 bytes."""
    pieces = [text[i:i + 255].encode() for i in range(0, len(text), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def encoded(name):
    """A name in wire form."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
