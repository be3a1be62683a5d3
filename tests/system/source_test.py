"""Logs that are cut, replaced, renamed, compressed and created late: no line counted twice, and what
is gone is counted and shown."""
import os
import shutil

from ban_test import attack, make_world, ssh_failure, stamp
from world import wait_for


def failures(world):
    return sum(j["failures"] for j in world.status()["jails"])


def wait_for_failures(world, count):
    wait_for(lambda: failures(world) >= count, 15,
             lambda: f"{count} failures, not {failures(world)}")
    assert failures(world) == count, f"{failures(world)} failures instead of {count}"


def source(world, name="auth"):
    return next(s for s in world.status()["sources"] if s["path"].endswith(f"{name}.log"))


def committed(world):
    wait_for(lambda: source(world)["committed"] == source(world)["position"], 10, "the commit")


def test_what_lies_before_the_first_look_is_memory_only():
    with make_world() as world:
        attack(world, "203.0.113.7", 6)
        world.start()
        attack(world, "203.0.113.8")
        world.wait_for_bans({("sshd", "203.0.113.8")})
        assert source(world)["mark"] > 0
        why = world.hauberk("why", "203.0.113.7").stdout
        assert "before hauberk first looked" in why, why


def test_a_log_created_late_is_read_from_its_beginning():
    with make_world() as world:
        (world.folder / "log" / "auth.log").unlink()
        world.start()
        wait_for(lambda: {j["jail"]: j["state"] for j in world.status()["jails"]}["sshd"] == "waiting",
                 5, "the jail to say that it waits")
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})
        assert source(world)["mark"] == 0


def test_a_log_whose_folder_comes_late():
    with make_world() as world:
        shutil.rmtree(world.folder / "log")
        world.start()
        (world.folder / "log").mkdir()
        attack(world, "203.0.113.7")
        world.wait_for_bans({("sshd", "203.0.113.7")})


def test_a_glob_takes_new_files():
    with make_world() as world:
        world.configure(f"[sshd]\nlogpath = {world.folder}/log/*.log\n[dovecot]\nenabled = no\n"
                        "[postfix-sasl]\nenabled = no\n")
        world.start()
        with open(world.folder / "log" / "other.log", "w") as log:
            for i in range(3):
                log.write(ssh_failure("203.0.113.7", i))
        world.wait_for_bans({("sshd", "203.0.113.7")})


def test_rename_while_running_and_while_not():
    with make_world() as world:
        path = world.folder / "log" / "auth.log"
        world.start()
        attack(world, "203.0.113.7", 2)
        wait_for_failures(world, 2)
        os.rename(path, path.with_name("auth.log.1"))
        path.touch()
        with open(path.with_name("auth.log.1"), "a") as old:  # the writer is late in noticing
            old.write(ssh_failure("203.0.113.7", 1))
        world.wait_for_bans({("sshd", "203.0.113.7")})
        attack(world, "203.0.113.8", 2)
        wait_for_failures(world, 5)
        committed(world)
        world.stop()
        attack(world, "203.0.113.8", 1)
        os.rename(path.with_name("auth.log.1"), path.with_name("auth.log.2"))
        os.rename(path, path.with_name("auth.log.1"))
        attack(world, "203.0.113.9", 3)
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.7"), ("sshd", "203.0.113.8"), ("sshd", "203.0.113.9")})
        wait_for_failures(world, 4)  # counted since this start
        assert source(world)["lost"] == 0


def test_compressed_while_not_running():
    for ending, packer in ((".gz", ["gzip"]), (".xz", ["xz"]), (".zst", ["zstd", "-q", "--rm"])):
        with make_world() as world:
            path = world.folder / "log" / "auth.log"
            world.start()
            attack(world, "203.0.113.7", 2)
            wait_for_failures(world, 2)
            committed(world)
            world.stop()
            attack(world, "203.0.113.7", 1)
            os.rename(path, path.with_name("auth.log.1"))
            assert os.spawnvp(os.P_WAIT, packer[0], [*packer, str(path.with_name("auth.log.1"))]) == 0
            attack(world, "203.0.113.8", 3)
            world.start()
            world.wait_for_bans({("sshd", "203.0.113.7"), ("sshd", "203.0.113.8")})
            wait_for_failures(world, 4)


def test_copytruncate_running_and_not():
    with make_world() as world:
        path = world.folder / "log" / "auth.log"
        world.start()
        attack(world, "203.0.113.7", 2)
        wait_for_failures(world, 2)
        shutil.copy2(path, path.with_name("auth.log.1"))
        os.truncate(path, 0)
        attack(world, "203.0.113.8", 2)
        wait_for_failures(world, 4)
        committed(world)
        world.stop()
        attack(world, "203.0.113.8", 1)
        os.rename(path.with_name("auth.log.1"), path.with_name("auth.log.2"))
        shutil.copy2(path, path.with_name("auth.log.1"))
        os.truncate(path, 0)
        attack(world, "203.0.113.7", 1)
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.7"), ("sshd", "203.0.113.8")})
        wait_for_failures(world, 2)
        assert source(world)["lost"] == 0


def test_cut_below_the_position():
    with make_world() as world:
        path = world.folder / "log" / "auth.log"
        path.write_text("".join(f"{stamp()} mx CRON[{i}]: a line of no interest\n" for i in range(50)))
        world.start()
        attack(world, "203.0.113.7", 1)
        wait_for_failures(world, 1)
        kept = path.stat().st_size
        attack(world, "203.0.113.9", 1)
        wait_for_failures(world, 2)
        committed(world)
        size = path.stat().st_size
        world.stop()
        os.truncate(path, kept)  # a power cut took the tail; the head is what it was
        world.start()
        wait_for(lambda: source(world)["lost"] == size - kept, 10, lambda: f"the loss: {source(world)}")
        for _ in range(2):  # it is remembered, and found once only
            world.stop()
            world.start()
            assert source(world)["lost"] == size - kept, source(world)
        attack(world, "203.0.113.7", 2)
        world.wait_for_bans({("sshd", "203.0.113.7")})
        wait_for_failures(world, 2)
        committed(world)
        world.stop()
        world.start()
        assert source(world)["lost"] == size - kept, source(world)
        assert "were gone before they were read" in world.hauberk("status").stdout


def test_replaced_by_another_file():
    with make_world() as world:
        path = world.folder / "log" / "auth.log"
        world.start()
        attack(world, "203.0.113.7", 2)
        wait_for_failures(world, 2)
        committed(world)
        world.stop()
        path.unlink()
        attack(world, "203.0.113.7", 1)
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.7")})
        wait_for_failures(world, 1)


def test_deleted_but_still_written():
    with make_world() as world:
        path = world.folder / "log" / "auth.log"
        world.start()
        with open(path, "a") as log:
            log.write(ssh_failure("203.0.113.7", 1))
            log.flush()
            path.unlink()
            log.write(ssh_failure("203.0.113.7", 2))
            log.flush()
            log.write(ssh_failure("203.0.113.7", 3))
            log.flush()
            world.wait_for_bans({("sshd", "203.0.113.7")})


def test_a_symbolic_link_is_not_followed():
    with make_world() as world:
        path = world.folder / "log" / "auth.log"
        path.rename(path.with_name("real"))
        path.symlink_to("real")
        world.start()
        attack(world, "203.0.113.7")
        wait_for(lambda: "is a symbolic link" in world.log_path.read_text(), 10, "a warning")
        assert world.bans() == []
