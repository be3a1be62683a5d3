"""Services in containers: their output in the journal, and the bridge that hides everybody."""
import datetime

from ban_test import BUILD, make_world
from journald import Journald
from world import World, wait_for

SETTINGS = "[sshd]\nenabled = no\n[postfix-sasl]\nenabled = no\n[dovecot]\nbackend = journal\njournalmatch = {}\n"


def test_a_containers_output_in_the_journal_bans():
    with World(BUILD) as world:
        world.configure(SETTINGS.format("_UID=0 CONTAINER_NAME=mailserver"))
        journal = Journald(world)
        world.start()

        def fails(name, address, stamp, text="mail dovecot: auth-worker(455): conn unix:auth-worker (pid=453,uid=103): "
                  "auth-worker<1>: sql(u{0}@example.org,{1},<3fqVa8Rg24rLAHE{0}>): unknown user"):
            for i in range(5):
                # As Docker's journald driver writes it: what stood on the container's output.
                journal.socket.send(f"SYSLOG_IDENTIFIER=8f2b6d3f1c1e\nCONTAINER_NAME={name}\nPRIORITY=6\n"
                                    f"MESSAGE={stamp} {text.format(i, address)}\n".encode())
        fails("another", "203.0.113.4", "Nov 21 03:13:03")
        # A stamp in the container's own zone, or of another year, is not the time of the entry.
        fails("mailserver", "203.0.113.5", "Jan  1 03:13:03")
        fails("mailserver", "203.0.113.6", "2020-11-21T03:13:03.475286-11:00")
        # What only looks like it: words of a stranger, in a line of the container without a stamp.
        fails("mailserver", "203.0.113.7", "hello")
        world.wait_for_bans({("dovecot", "203.0.113.5"), ("dovecot", "203.0.113.6")})
    with World(BUILD) as world:
        world.configure(SETTINGS.format("CONTAINER_NAME=mailserver"))
        answer = world.hauberk("config")
        assert answer.returncode == 1 and "a field that journald fills in itself" in answer.stderr, answer


def everybody_fails_from(world, address, count=20):
    """Over a quarter of an hour until now, on ten accounts."""
    now = datetime.datetime.now(datetime.timezone.utc)
    with open(world.folder / "log" / "auth.log", "a") as log:
        for i in range(count):
            at = now - datetime.timedelta(minutes=15 * (count - i) / count)
            log.write(f"{at.isoformat()} mx sshd[{i}]: Failed password for invalid user u{i % 10} from {address} "
                      f"port {2000 + i} ssh2\n")


def origins(world, count):
    return wait_for(lambda: len(world.status()["origins"]) == count and world.status()["origins"], 15,
                    lambda: f"{count} origins, not {world.status()['origins']}")


def test_status_says_who_hides_everybody():
    with make_world() as world:
        world.net(world.guard, "addr", "add", "172.18.0.1/16", "dev", "vg")
        world.start()
        assert world.status()["origins"] == [] and world.hauberk("status").returncode == 0
        everybody_fails_from(world, "172.18.0.1", 19)
        wait_for(lambda: any(j["failures"] == 19 for j in world.status()["jails"]), 10, "the failures")
        assert world.status()["origins"] == []
        everybody_fails_from(world, "172.18.0.1", 1)
        told = origins(world, 1)[0]
        assert (told["jail"], told["address"], told["failures"], told["of"]) == ("sshd", "172.18.0.1", 20, 20), told
        assert told["hides_others"] and "this machine's own address" in told["exempt"], told
        answer = world.hauberk("status")
        assert answer.returncode == 3, answer
        assert "All 20 failures of sshd" in answer.stdout and "userland-proxy" in answer.stdout, answer
        assert "(20 of 20) come from 172.18.0.1, which is never banned" in answer.stdout, answer
        # Another address shows that true ones are seen; this one is exempt all the same.
        everybody_fails_from(world, "203.0.113.8", 1)
        wait_for(lambda: not world.status()["origins"][0]["hides_others"], 10, "the other address to be seen")
        answer = world.hauberk("status")
        assert answer.returncode == 0 and "userland-proxy" not in answer.stdout, answer
        assert "(20 of 21) come from 172.18.0.1" in answer.stdout, answer
