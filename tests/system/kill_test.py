"""kill -9 of any process at any instant: the counts and bans come out as if nothing had happened, and
no banned address gets through meanwhile."""
import json
import os
import pathlib
import random
import signal
import time

from logs import Story, Writer
from world import World, wait_for, run

BUILD = pathlib.Path(os.environ["HAUBERK_CHECK"])
KILLS = int(os.environ.get("HAUBERK_KILLS", "200"))
SEED = int(os.environ.get("HAUBERK_SEED", "20261121"))

CONFIGURATION = """
[sshd]
logpath = {folder}/log/auth.log
[dovecot]
logpath = {folder}/log/mail.log
[postfix-sasl]
logpath = {folder}/log/mail.log
"""


def result(world):
    return sorted((b["jail"], b["address"], b["failures"]) for b in world.bans() or []
                  if b["jail"] != "by-hand")


def wait_until_read(world, writer):
    """Until both logs are read to their ends and that is committed."""
    sizes = {str(world.folder / "log" / f"{name}.log"): (world.folder / "log" / f"{name}.log").stat().st_ino
             for name in ("auth", "mail")}

    def is_read():
        status = world.status()
        if not status:
            return False
        sources = {s["path"]: s for s in status["sources"]}
        return all(path in sources and sources[path]["lag"] == 0
                   and sources[path]["committed"] == sources[path]["position"]
                   and sources[path]["position"] == writer.total[os.path.basename(path)[:4]]
                   for path in sizes)
    wait_for(is_read, 60, lambda: f"all logs to be read: {world.status()['sources']}, wrote {writer.total}")


class CountingWriter(Writer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.total = {"auth": 0, "mail": 0}

    def write(self, lines):
        for name, text in lines:
            self.total[name] += len(text.encode())
        super().write(lines)


def tell_story(world, story, disturb):
    """Writes the whole story in pieces, with rotations at the same places; `disturb` is called
    between pieces."""
    writer = CountingWriter(world.folder / "log", SEED)
    world.start()
    world.hauberk("ban", "198.51.100.66", "--for", "1h", check=True)
    pieces = KILLS + 20
    size = len(story.lines) // pieces + 1
    for i in range(pieces):
        writer.write(story.lines[i * size:(i + 1) * size])
        if i % 29 == 28:
            writer.rotate("mail" if i % 2 else "auth")
        disturb(i)
    wait_until_read(world, writer)
    writer.close()
    return result(world)


def make_world():
    world = World(BUILD)
    world.configure(CONFIGURATION.format(folder=world.folder), humane=True)
    world.add_attacker("198.51.100.66")
    return world


def kill_one(world, chooser):
    """A random process of ours; hauberkd itself is started again at once, as systemd would."""
    pids = world.pids()
    patience = time.monotonic() + 2  # a restart on a slow build: else only hauberkd would be hit
    while len(pids) < 4 and chooser.random() < 0.95 and time.monotonic() < patience:
        time.sleep(0.02)
        pids = world.pids()
    name = chooser.choice(sorted(pids))
    try:
        os.kill(pids[name], signal.SIGKILL)
    except ProcessLookupError:
        return name
    if name == "hauberkd":
        world.daemon.wait()
        world.start(wait=False)
    return name


def test_kills_change_nothing():
    story = Story(SEED).attack(22000)
    with make_world() as world:
        undisturbed = tell_story(world, story, lambda i: None)
        replayed = world.hauberk("replay", "--json",
                                 *(str(p) for p in (world.folder / "log").iterdir()))
        replayed = sorted((b["jail"], b["address"], b["failures"])
                          for b in json.loads(replayed.stdout)["bans"])
    assert len(undisturbed) > 30, f"the story makes too few bans: {undisturbed}"
    with make_world() as world:
        chooser = random.Random(SEED + 1)
        world.is_kept_alive = True
        world.listen(22)
        killed = {}
        loop = None

        def disturb(i):
            nonlocal loop
            if loop is None:
                assert not world.connects("198.51.100.66", 22), "banned, and got in at the start"
                loop = world.connect_loop("198.51.100.66", 22)
            time.sleep(chooser.random() * 0.15)  # the instant is the test's random choice
            if i < KILLS:
                name = kill_one(world, chooser)
                killed[name] = killed.get(name, 0) + 1
        disturbed = tell_story(world, story, disturb)
        tries, through = loop.end()
        lost = sum(s["lost"] for s in world.status()["sources"])
    assert through == 0, f"a banned address got through {through} times of {tries}"
    missing, extra = set(undisturbed) - set(disturbed), set(disturbed) - set(undisturbed)
    assert disturbed == undisturbed, f"missing {missing}, extra {extra}, lost {lost}"
    assert replayed == undisturbed, "replay: missing %s, extra %s" % (
        set(undisturbed) - set(replayed), set(replayed) - set(undisturbed))
    return (f"{sum(killed.values())} kills {killed}, {len(disturbed)} bans equal, "
            f"{tries} connects refused, {lost} bytes lost")
