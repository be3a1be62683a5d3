"""Worlds with a fault: a library of faults/ is preloaded into hauberkd, and so into its roles. They run the
release build, for preloading and sanitizers do not go together."""
import os
import pathlib
import shutil
import subprocess

from kill_test import CONFIGURATION
from world import World

BUILD = pathlib.Path(os.environ["HAUBERK_RELEASE"])
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FAULTS = pathlib.Path(__file__).parent / "faults"


def make_world(fault=None, hang="state/hang"):
    """`hang`: the file, below the world's folder, that makes some faults begin."""
    world = World(BUILD)
    world.configure(CONFIGURATION.format(folder=world.folder))
    for name in ("auth", "mail"):
        (world.folder / "log" / f"{name}.log").touch()
    if fault:
        library = world.folder / f"{fault}.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(FAULTS / f"{fault}.c"), "-ldl"],
                       check=True)
        world.environment = {"LD_PRELOAD": str(library), "HAUBERK_HANG": str(world.folder / hang)}
    return world


def replace_role(world, role, program):
    """Runs from a copy of the programs, one of which is another."""
    world.libexec = world.folder / "bin"
    world.libexec.mkdir()
    (world.folder / "source").write_text(str(ROOT))
    for name in ("hauberkd", "hauberk-checker", "hauberk-sensor", "hauberk-decider", "hauberk-enforcer"):
        shutil.copy(BUILD / "src" / name, world.libexec / name)
    if program:
        path = world.libexec / f"hauberk-{role}"
        path.write_text(program)
        path.chmod(0o755)
