"""What the kernel of a host enforces: the elements of table `inet hauberk`, now and as they come.

Netlink is read directly. The text and JSON of nft(8) differ between releases, and a moment is wanted: `SetWatch` stamps
each new element when the kernel announces it.
"""

import collections
import ipaddress
import socket
import struct
import threading
import time

TABLE = "hauberk"

# Numbers of linux/netfilter/nf_tables.h and linux/netlink.h.
NETLINK_NETFILTER, NFNLGRP_NFTABLES, NFNL_SUBSYS_NFTABLES = 12, 7, 10
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 0x001, 0x300, 2, 3
SO_RCVBUFFORCE = 33
NFPROTO_INET = 1
NEWTABLE, GETTABLE, NEWSET, GETSET, NEWSETELEM, GETSETELEM, DELSETELEM = 0, 1, 9, 10, 12, 13, 14
TABLE_NAME, SET_TABLE, SET_NAME = 1, 1, 2
LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3
ELEM_KEY, ELEM_FLAGS, ELEM_TIMEOUT, DATA_VALUE = 1, 3, 4, 1
INTERVAL_END = 1


def attributes(data):
    """Yield (type, payload) of netlink attributes."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]


def text(data):
    """A name in an attribute."""
    return data.rstrip(b"\0").decode()


def messages(data):
    """Yield (kind, attribute bytes) of the nftables messages in a datagram; kind None for its end or an error."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            yield None, data[16:length]
        elif kind >> 8 == NFNL_SUBSYS_NFTABLES:
            yield kind & 0xFF, data[20:length]              # 16 bytes nlmsghdr, 4 bytes nfgenmsg
        data = data[(length + 3) & ~3:]


def elements_of(data):
    """Yield (set, address, timeout in seconds or None, is the end of a range) of one message about our elements."""
    fields = dict(attributes(data))
    if text(fields.get(LIST_TABLE, b"")) != TABLE:
        return
    for _, element in attributes(fields.get(LIST_ELEMENTS, b"")):
        parts = dict(attributes(element))
        key = dict(attributes(parts.get(ELEM_KEY, b""))).get(DATA_VALUE, b"")
        if len(key) in (4, 16):
            timeout = int.from_bytes(parts[ELEM_TIMEOUT], "big") / 1000 if ELEM_TIMEOUT in parts else None
            is_end = bool(int.from_bytes(parts.get(ELEM_FLAGS, b""), "big") & INTERVAL_END)
            yield text(fields[LIST_SET]), ipaddress.ip_address(key), timeout, is_end


# `moment` in seconds UTC, `verb` "add" or "delete", `timeout` in seconds or None.
Event = collections.namedtuple("Event", "moment verb set address timeout")


class SetWatch:
    """Follows the sets of one host's table; `events` grows."""

    def __init__(self, host):
        with host.netns:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self._socket.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))
        self._socket.settimeout(0.2)
        self.events = []
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        while not self._ending:
            try:
                data = self._socket.recv(1 << 20)
            except TimeoutError:
                continue
            moment = time.time()
            verbs = {NEWSETELEM: "add", DELSETELEM: "delete"}
            events = [Event(moment, verbs[kind], name, str(address), timeout) for kind, body in messages(data)
                      if kind in verbs for name, address, timeout, _ in elements_of(body)]
            if events:
                with self._changed:
                    self.events += events
                    self._changed.notify_all()

    def added(self, address, since=0.0):
        """The first event that put `address` into a set of a scope (not an exempt set) after the moment `since`."""
        wanted = str(ipaddress.ip_address(address))
        network = str(ipaddress.ip_network(f"{wanted}/64", strict=False).network_address) if ":" in wanted else None
        for event in self.events:
            is_ours = event.address == wanted or (event.set.endswith("_64") and event.address == network)
            if event.verb == "add" and is_ours and event.moment > since and not event.set.startswith("exempt"):
                return event
        return None

    def wait(self, address, timeout=30.0, since=0.0):
        """Await `added`; None when it did not come in time."""
        with self._changed:
            self._changed.wait_for(lambda: self.added(address, since), timeout)
            return self.added(address, since)

    def close(self):
        """Stop following."""
        self._ending = True
        self._thread.join()
        self._socket.close()


# --- what is there now -----------------------------------------------------------------------------------------------

def dump(host, kind, **names):
    """Yield the attribute bytes of every answer to a dump request; `names` are the request's string attributes."""
    body = struct.pack("=BBH", NFPROTO_INET, 0, 0)
    for number, name in names.values():
        value = name.encode() + b"\0"
        body += struct.pack("=HH", 4 + len(value), number) + value + b"\0" * (-len(value) % 4)
    request = struct.pack("=IHHII", 16 + len(body), NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    with host.netns, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(5)
        sock.send(request + body)
        while True:
            for found, data in messages(sock.recv(1 << 20)):
                if found is None:
                    return
                yield data


def table(host):
    """The sets of table inet hauberk as {name: [network, …]}; None while there is no such table."""
    if TABLE not in {text(dict(attributes(data))[TABLE_NAME]) for data in dump(host, GETTABLE)}:
        return None
    names = [text(dict(attributes(data))[SET_NAME]) for data in dump(host, GETSET, table=(SET_TABLE, TABLE))]
    return {name: networks(host, name) for name in names}


def networks(host, name):
    """The elements of one set as networks; those of a set with ranges are pieced together from their ends."""
    found = []
    for data in dump(host, GETSETELEM, table=(LIST_TABLE, TABLE), set=(LIST_SET, name)):
        found += [(address, is_end) for _, address, _, is_end in elements_of(data)]
    if not any(is_end for _, is_end in found):
        length = 64 if name.endswith("_64") else None
        return [ipaddress.ip_network(f"{address}/{length or address.max_prefixlen}") for address, _ in found]
    found.sort()
    ranges = zip(found, found[1:])
    return [network for (first, opens_not), (after, _) in ranges if not opens_not
            for network in ipaddress.summarize_address_range(first, after - 1)]


def scopes_of(host, address):
    """The scopes in whose sets `address` is, without those that exempt."""
    address = ipaddress.ip_address(address)
    found = {name for name, members in (table(host) or {}).items() if any(address in network for network in members)}
    suffixes = ("_4_nets", "_6_nets", "_6_64", "_4", "_6")
    return {next(name[:-len(suffix)] for suffix in suffixes if name.endswith(suffix))
            for name in found if not name.startswith("exempt")}
