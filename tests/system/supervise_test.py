"""hauberkd itself: configurations that become wrong, roles that misbehave, folders that come and go,
and what a person is told meanwhile."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import time

from ban_test import CONFIGURATION, attack, ssh_failure
from faulty import BUILD, FAULTS, ROOT, make_world, replace_role
from notify_test import mails, make_telling_world
from world import wait_for

MESSAGES = re.findall(r"^MESSAGE\((\w+)", (ROOT / "src/wire/messages.def").read_text(), re.M)


def said(world, text):
    return world.log_path.read_text().count(text)


def test_a_configuration_that_became_wrong_leaves_the_one_in_force():
    with make_world() as world:
        world.start()
        first = world.status()["configuration"]
        assert first["disk_error"] is None and world.hauberk("status").returncode == 0
        world.configure("[sshd]\nmaxretyr = 5\n")
        attack(world, "203.0.113.5", 2)
        os.kill(world.pids()["sensor"], signal.SIGSEGV)
        attack(world, "203.0.113.5", 1)
        world.wait_for_bans({("sshd", "203.0.113.5")}, 5)
        status = world.status()["configuration"]
        assert status["digest"] == first["digest"] and status["since"] == first["since"], status
        assert "maxretyr" in status["disk_error"] and str(world.folder / "conf") in status["disk_error"], status
        shown = world.hauberk("status")
        assert shown.returncode == 3 and "on disk is wrong" in shown.stdout and "stays in force" in shown.stdout
        reload = world.hauberk("reload")
        assert reload.returncode == 1 and "maxretyr" in reload.stderr, reload

        world.stop()  # and a new hauberkd finds it wrong
        attack(world, "203.0.113.6", 3)
        world.start()
        world.wait_for_bans({("sshd", "203.0.113.5"), ("sshd", "203.0.113.6")})
        assert "maxretyr" in world.status()["configuration"]["disk_error"]
        assert said(world, "Starting with the one of") == 1

        world.configure(CONFIGURATION.format(folder=world.folder) + "[DEFAULT]\nmaxretry = 2\n")
        assert world.hauberk("reload").returncode == 0
        status = world.status()["configuration"]
        assert status["disk_error"] is None and status["digest"] != first["digest"], status
        kept = [p.name for p in (world.folder / "run").iterdir() if p.name.startswith("config-")]
        assert sorted(kept) == sorted(["config-in-force", f"config-{status['digest']}"]), kept
        mode = stat.S_IMODE((world.folder / "run" / f"config-{status['digest']}").stat().st_mode)
        assert mode == 0o700, oct(mode)


def test_a_damaged_copy_is_made_anew():
    with make_world() as world:
        world.configure(CONFIGURATION.format(folder=world.folder) + "[DEFAULT]\nmaxretry = 2\n")
        world.start()
        copy = (world.folder / "run" / "config-in-force").resolve()
        world.stop(signal.SIGKILL)
        (copy / "config" / "hauberk.conf").unlink()
        world.start()
        assert said(world, "changed while hauberk was starting") and (copy / "config" / "hauberk.conf").exists()
        attack(world, "203.0.113.5", 2)
        world.wait_for_bans({("sshd", "203.0.113.5")})


def test_without_an_earlier_configuration_a_wrong_one_is_refused():
    with make_world() as world:
        world.configure("[sshd]\nmaxretyr = 5\n")
        world.start(wait=False)
        assert world.daemon.wait(10) == 1 and said(world, "maxretyr")


def test_reload_answers_when_the_new_configuration_is_in_force():
    with make_world() as world:
        world.start()
        for retries in (2, 4, 5):
            before = world.pids()
            world.configure(CONFIGURATION.format(folder=world.folder) + f"[DEFAULT]\nmaxretry = {retries}\n")
            answer = world.hauberk("reload")
            assert answer.returncode == 0 and "in force" in answer.stdout, answer
            status = json.loads(world.hauberk("status", "--json").stdout)
            wanted = json.loads(world.hauberk("config", "--json").stdout)["digest"]
            assert status["configuration"]["digest"] == wanted
            assert all(role["ready"] for role in status["roles"])
            after = world.pids()
            assert all(before[role] != after[role] for role in ("sensor", "decider", "enforcer")), (before, after)


def test_orders_are_carried_out_when_no_process_answers():
    with make_world() as world:
        world.start()
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        os.kill(world.pids()["decider"], signal.SIGSTOP)
        # Beside it: both say after five seconds that nobody answers, and the watchdog kills after ten.
        with concurrent.futures.ThreadPoolExecutor() as beside:
            status = beside.submit(world.hauberk, "status")
            began = time.monotonic()
            answer = world.hauberk("unban", "203.0.113.5")
            took = time.monotonic() - began
            assert answer.returncode == 0 and "takes no orders" in answer.stdout, answer
            assert "203.0.113.5" not in world.elements("ssh_4") and took < 7
            assert "takes no questions yet" in status.result().stderr, status.result()
        wait_for(world.is_ready, 20, "the restart")
        assert world.bans() == []


def test_a_role_that_always_dies_is_not_started_in_a_tight_loop():
    garbage = "#!/usr/bin/python3\nimport os\nos.write(3, b'garbage!' * 4)\nimport time\ntime.sleep(30)\n"
    for program in ("#!/bin/sh\nexit 1\n", garbage):
        with make_world() as world:
            replace_role(world, "decider", "")
            world.start()  # one that was never ready ends hauberkd
            (world.libexec / "new").write_text(program)
            (world.libexec / "new").chmod(0o755)
            (world.libexec / "new").rename(world.libexec / "hauberk-decider")
            os.kill(world.pids()["decider"], signal.SIGKILL)
            wait_for(world.resting, 20, "a rest")
            wait_for(lambda: "every 5000 ms" in world.resting(), 30, "the long rest")
            starts = said(world, "the decider")
            assert starts <= 12, world.log_path.read_text()
            answer = world.hauberk("ban", "203.0.113.9")
            assert answer.returncode == 0 and "203.0.113.9" in world.elements("all_4"), answer
            shutil.copy(BUILD / "src" / "hauberk-decider", world.libexec / "new")
            (world.libexec / "new").rename(world.libexec / "hauberk-decider")
            wait_for(world.is_ready, 20, "the repaired decider")
            wait_for(lambda: not world.resting(), 5, "the rest to be over")
            assert [b["address"] for b in world.bans()] == ["203.0.113.9"]


def test_the_owner_is_told_once_of_a_role_that_always_dies():
    world, path = make_telling_world()
    with world:
        replace_role(world, "decider", "")
        world.start()
        (world.libexec / "new").write_text("#!/bin/sh\nexit 7\n")
        (world.libexec / "new").chmod(0o755)
        (world.libexec / "new").rename(world.libexec / "hauberk-decider")
        os.kill(world.pids()["decider"], signal.SIGKILL)
        wait_for(lambda: mails(path), 40, "the letter")
        deaths = said(world, "the decider ended (exit 7)")
        wait_for(lambda: said(world, "the decider ended (exit 7)") > deaths + 1, 20, "two more deaths")
        told, = mails(path)
        assert ": its processes end again and again\n" in told and "decider exit 7" in told, told


def test_the_owner_is_told_of_a_role_that_somebody_kills_again_and_again():
    world, path = make_telling_world()
    with world:
        world.start()
        for number in range(1, 8):
            assert not mails(path), number
            pid = world.pids()["sensor"]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: world.pids().get("sensor") not in (None, pid) and world.is_ready(), 15, "a restart")
        wait_for(lambda: mails(path), 20, "the letter")
        told, = mails(path)
        assert ": its processes end again and again\n" in told and "sensor killed by SIGKILL" in told, told


def test_a_role_that_shuts_its_wire_and_lives_is_restarted():
    with make_world("close_peer") as world:
        world.start()
        for role in ("sensor", "enforcer"):
            pid = world.pids()[role]
            os.kill(pid, signal.SIGUSR2)
            wait_for(lambda: world.pids().get(role) not in (None, pid) and world.is_ready(), 15, "a restart")
            assert said(world, f"the {role} has closed its end of a wire")
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})


def test_a_sensor_that_asks_for_files_without_end_is_held_back():
    told = []
    for takes in ("1", "0"):
        with make_world() as world:
            replace_role(world, "sensor", (FAULTS / "asking_sensor.py").read_text())
            numbers = [MESSAGES.index(name) for name in ("OPEN", "LIST", "PING", "PONG", "QUIT")]
            for i in range(2000):
                (world.folder / "log" / f"auth.log.{i}").touch()
            # (hauberkd hands on what begins with HAUBERK_)
            world.environment = {"HAUBERK_NUMBERS": ",".join(map(str, numbers)), "HAUBERK_TAKES": takes}
            world.start(wait=False)
            wait_for(lambda: "sensor" in world.pids(), 10, "the sensor")
            time.sleep(1)

            def used():
                fields = pathlib.Path(f"/proc/{world.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            before, began, most = used(), time.monotonic(), 0
            while time.monotonic() < began + 4:
                most = max(most, len(os.listdir(f"/proc/{world.daemon.pid}/fd")))
                time.sleep(0.02)
            share = (used() - before) / (time.monotonic() - began)
            assert share < 0.6 and most < 200, (share, most)
            assert not said(world, "the sensor ended") and not said(world, "of the sensor"), "it spoke wrongly"
            assert said(world, "so often that it has to wait") == 1
            told.append(f"{share:.0%} of a CPU, {most} descriptors")
    return "; ".join(told)


def test_folders_that_go_and_come_again():
    with make_world() as world:
        log = world.folder / "log"
        world.start()
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        banned = {("sshd", "203.0.113.5")}
        for number, how in enumerate(("remove", "slowly", "rename", "parent"), 6):
            address = f"203.0.113.{number}"
            if how == "parent":
                world.configure(CONFIGURATION.format(folder=world.folder / "up" / "er"))
                (world.folder / "up" / "er" / "log").mkdir(parents=True)
                log = world.folder / "up" / "er" / "log"
                assert world.hauberk("reload").returncode == 0
                (world.folder / "up").rename(world.folder / "down")
            elif how == "rename":
                log.rename(log.with_name("old"))
            else:
                shutil.rmtree(log)
            if how in ("slowly", "parent"):
                time.sleep(0.5)
            log.mkdir(parents=True)
            with open(log / "auth.log", "a") as file:
                for i in range(3):
                    file.write(ssh_failure(address, i))
            banned.add(("sshd", address))
            world.wait_for_bans(banned, 10)


def test_a_pattern_in_a_folders_name():
    with make_world() as world:
        world.configure(f"[sshd]\nlogpath = {world.folder}/www/*/logs/error.log\n[dovecot]\nenabled = no\n"
                        "[postfix-sasl]\nenabled = no\n")
        world.start()
        banned = set()
        for number, name in enumerate(("first", "second", "third"), 5):
            logs = world.folder / "www" / name / "logs"
            for folder in (logs.parent.parent, logs.parent, logs):
                folder.mkdir(exist_ok=True)
                time.sleep(0.15 if name == "second" else 0)
            with open(logs / "error.log", "w") as file:
                for i in range(3):
                    file.write(ssh_failure(f"203.0.113.{number}", i))
            banned.add(("sshd", f"203.0.113.{number}"))
            world.wait_for_bans(banned, 10)


def test_no_inotify_instance_left():
    with make_world("no_inotify", hang="hang") as world:
        (world.folder / "hang").touch()
        world.start()
        status = world.status()
        assert {s["state"] for s in status["sources"]} == {"unreadable"}, status["sources"]
        assert all("max_user_instances" in s["why"] for s in status["sources"])
        assert said(world, "no inotify instance is left")
        shown = world.hauberk("status")
        assert shown.returncode == 3 and "is not followed: no inotify instance" in shown.stdout
        assert "its logs cannot be followed" in shown.stdout
        (world.folder / "hang").unlink()

        def reads_all():
            status = world.status()  # none while it starts anew
            return status and all(s["state"] == "reading" for s in status["sources"])

        wait_for(lambda: world.is_ready() and reads_all(), 25, "another try")
        attack(world, "203.0.113.5")  # before the mark, perhaps: memory
        wait_for(lambda: sum(s["lines"] for s in world.status()["sources"]) > 0, 25, "the log to be read")
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        assert world.hauberk("status").returncode == 0


def test_what_killed_is_known_after_a_restart():
    with make_world("poison") as world:
        world.start()
        with open(world.folder / "log" / "auth.log", "a") as log:
            log.write(ssh_failure("203.0.113.66", 9, user="POISON"))
        attack(world, "203.0.113.5")
        world.wait_for_bans({("sshd", "203.0.113.5")})
        kept = world.folder / "state" / "poison"
        assert kept.stat().st_uid == 0 and stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert str(world.folder / "log" / "auth.log").encode() in kept.read_bytes()
        # The position is lost, the line is read again, under another number: it is left out.
        world.stop()
        for name in ("hauberk.db", "hauberk.db-wal", "hauberk.db-shm"):
            (world.folder / "state" / name).unlink(missing_ok=True)
        world.configure(f"[sshd]\nlogpath = {world.folder}/log/auth.log\n[dovecot]\nenabled = no\n"
                        "[postfix-sasl]\nenabled = no\n")
        world.start()
        wait_for(lambda: sum(s["skipped"] for s in world.status()["sources"]) == 1, 10, "the line to be left out")
        assert all(r["restarts"] == 0 for r in world.status()["roles"]), world.status()["roles"]
        assert said(world, f"a line of {world.folder}/log/auth.log") == 1
