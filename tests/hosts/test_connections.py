"""What a ban does to connections: those that exist, those we make ourselves, those that are forwarded."""

import concurrent.futures
import socket
import threading

import attack
import host
import namespaces

USERS = host.users()


def fail(outside, source, address, user="bob", times=4):
    """Wrong IMAP passwords, side by side, enough for a ban of the mail logins."""
    with concurrent.futures.ThreadPoolExecutor(times) as pool:
        for job in [pool.submit(outside.imap, source, address, user, "wrong") for _ in range(times)]:
            job.exception()         # the last ones may meet the ban already


def test_a_logged_in_connection_survives_its_neighbours_ban(machine, outside):
    """Two users behind one address: bob's failures shut the door, alice's open session goes on."""
    source, address = "203.0.113.31", machine.host.address
    held = outside.hold_imap(source, address, "alice", USERS["alice"])
    fail(outside, source, address)
    assert machine.watch.wait(source, 20), "no ban"
    assert outside.port(source, address, 993, 0.5) == "timed out"
    assert attack.alive(held)


def test_an_attackers_own_connection_is_cut(machine, outside):
    """Nobody ever logged in from there: what it still holds ends with the ban."""
    source, address = "203.0.113.32", machine.host.address
    idle = outside.imap_open(source, address)
    assert attack.alive(idle)
    fail(outside, source, address)
    assert machine.watch.wait(source, 20), "no ban"
    host.wait_for(lambda: not attack.alive(idle), 5, "the cut of a banned address's connection")


def test_mail_to_a_host_under_an_all_ports_ban_is_delivered(machine, world):
    """A ban stops who connects to us, not whom we connect to."""
    peer = host.Host(world, machine.host.release, name=f"peer-{machine.host.release}").boot()
    try:
        machine.word("ban", peer.address, "--for", "1h", "--why", "a test")
        assert machine.scopes(peer.address) == {"all"}
        there = attack.Client(world, peer.netns)
        assert there.port(peer.address, machine.host.address, 25, 0.5) == "timed out"
        machine.host.unit("sendmail", "-f", "alice@localhost", f"bob@[{peer.address}]",
                          input="Subject: still\n\ndelivered\n")
        host.wait_for(lambda: list(peer.path("/home/bob/Maildir/new").glob("*")), 20, "the mail at the banned host")
    finally:
        peer.close()
        machine.word("unban", peer.address)


def test_a_forwarded_service_is_covered(machine, world, outside):
    """A port that DNAT hands to a container is shut by the port the client asked for, and its flows are cut."""
    source, address = "203.0.113.33", machine.host.address
    with Container(machine.host, world, port=4190):
        assert outside.port(source, address, 4190) == "open"
        flow = outside.connect(source, address, 4190)
        assert echo(flow)
        fail(outside, source, address)
        assert machine.watch.wait(source, 20), "no ban"
        assert outside.port(source, address, 4190, 0.5) == "timed out"
        assert not echo(flow)
        assert outside.port("203.0.113.34", address, 4190) == "open"


def echo(connection):
    """Whether a byte sent comes back within a second."""
    connection.settimeout(1)
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


class Container:
    """A namespace behind the host with an echo service, to which the host forwards a port by DNAT."""

    def __init__(self, machine, world, port):
        self.machine, self.port = machine, port
        self.netns = namespaces.Netns(world.folder / "netns" / f"inner-{machine.name}")
        self.server = None

    def __enter__(self):
        run = self.machine.netns.run
        run("ip", "link", "add", "inner0", "type", "veth", "peer", "name", "eth0", "netns", self.netns.path)
        run("ip", "addr", "add", "10.55.0.1/24", "dev", "inner0")
        run("ip", "link", "set", "inner0", "up")
        run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.netns.run("ip", "addr", "add", "10.55.0.2/24", "dev", "eth0")
        self.netns.run("ip", "link", "set", "eth0", "up")
        self.netns.run("ip", "route", "add", "default", "via", "10.55.0.1")
        self.machine.enter("nft", "-f", "-", input="table ip inner {\n"
                           "chain pre { type nat hook prerouting priority dstnat;\n"
                           f"iifname eth0 tcp dport {self.port} dnat to 10.55.0.2:{self.port}\n}}\n}}")
        with self.netns:
            self.server = socket.create_server(("10.55.0.2", self.port))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection):
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            pass

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.machine.enter("nft", "delete", "table", "ip", "inner", check=False)
        self.machine.netns.run("ip", "link", "del", "inner0", check=False)
        self.netns.close()
