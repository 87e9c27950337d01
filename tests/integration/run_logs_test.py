# parallel: yes
"""What a run's build printed is stored compressed with times, and shown by `dogshore logs`."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tap import check, check_contains, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path.cwd()
REPOSITORY = HERE / "repository"
STATE = HERE / "state"
PROJECT = "app: logs\nservices:\n  job: {path: job}\nenvironments:\n  local: {target: local}\n"
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(STATE), "HOME": str(HERE)}


def dogshore(*words):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, check=False)


def commit(*commands):
    (REPOSITORY / "job").mkdir(parents=True, exist_ok=True)
    (REPOSITORY / "dogshore.yml").write_text(PROJECT)
    lines = "".join(f"      - {json.dumps(command)}\n" for command in commands)
    (REPOSITORY / "job/buildspec.yml").write_text(f"version: 0.2\nphases:\n  build:\n    commands:\n{lines}")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false", "-C", REPOSITORY]
    subprocess.run([*git[:-2], "init", "-q", "-b", "main", REPOSITORY], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "next"], check=True)


def run():
    return dogshore("run", "main", "--env", "local", "--repository", REPOSITORY)


def stored(number):
    return next(STATE.glob(f"runs/{number}-*/job/build/build.log.zst"))


def a_run():
    commit("echo one; echo 'é two'", r"printf '\033[31mred\033[0m \033[2Jclear\n'")
    ran = run()
    check("the run passed", ran.returncode, 0)
    shown = dogshore("logs", 1, "job", "build")
    check("logs has exit status 0", shown.returncode, 0)
    text = shown.stdout.decode()
    check_contains("what the command printed", text, "\none\né two\n")
    check_contains("to a file it goes as it is", text, "\x1b[2Jclear\n")
    check("zstd reads the stored log",
          subprocess.run(["zstd", "-dc", stored(1)], capture_output=True, check=True).stdout.decode(), text)
    check("all steps of the run", dogshore("logs", 1).stdout.decode(), text)
    check("there is no plain copy", stored(1).with_suffix("").exists(), False)


def times():
    text = dogshore("logs", 1, "job", "--timestamps").stdout.decode()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
    lines = text.splitlines()
    check("each line has its time", [line for line in lines if not re.match(stamp, line)], [])
    check("they are in order", [line[:24] for line in lines], sorted(line[:24] for line in lines))
    plain = dogshore("logs", 1, "job").stdout.decode()
    check("the rest is the log", re.sub("(?m)^" + stamp, "", text), plain)
    check("the last lines", dogshore("logs", 1, "job", "--lines", 3).stdout.decode().splitlines(),
          plain.splitlines()[-3:])


def a_terminal():
    shown = subprocess.run(["script", "-qec", f"{PROGRAM} logs 1 job", "/dev/null"], cwd=REPOSITORY, env=ENVIRONMENT,
                           stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout.decode()
    check_contains("colours pass", shown, "\x1b[31mred\x1b[0m clear")
    check("other sequences do not", "\x1b[2J" in shown, False)


def a_restored_build():
    first = dogshore("logs", 1, "job").stdout
    output = HERE / "out"
    ran = dogshore("build", "job", "--repository", REPOSITORY, "--output", output)
    check_contains("the build is restored", ran.stderr.decode(), "restored from")
    check("a person gets a plain log", (ran.returncode, (output / "build.log").read_bytes()), (0, first))


def a_run_that_fails():
    commit("echo the cause is here; exit 7")
    ran = run()
    check("its exit status", ran.returncode, 1)
    check_contains("its end is shown", ran.stderr.decode(), "\nthe cause is here\n")
    check_contains("and where all of it is", ran.stderr.decode(), "dogshore logs 2 job build")


def while_it_runs():
    commit("echo begun; while [ ! -e /tmp/never ] && [ ! -e go ]; do sleep 0.02; done; echo over")
    child = subprocess.Popen([PROGRAM, "run", "main", "--env", "local", "--repository", REPOSITORY], cwd=REPOSITORY,
                             env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    follow = None
    for _ in range(500):
        if follow is None and list(STATE.glob("runs/3-*/job/build/build.log.zst")):
            follow = subprocess.Popen([PROGRAM, "logs", "3", "job", "--follow"], cwd=REPOSITORY, env=ENVIRONMENT,
                                      stdout=subprocess.PIPE)
            break
        time.sleep(0.02)
    while line := follow.stdout.readline():
        if line == b"begun\n":
            break
    check("a line comes while the command runs", line, b"begun\n")
    check("the run is cancelled", dogshore("cancel", 3).returncode, 0)
    rest = follow.stdout.read()
    check("following ends with the step", (follow.wait(), b"\nover\n" in rest), (0, False))
    child.communicate()
    check("cancelled", child.returncode, 5)


def show_says_where():
    machine = os.uname()
    check_contains("show says where it was built", dogshore("show", 1).stdout.decode(),
                   f", {machine.sysname} {machine.release} {machine.machine}, sandbox\n")


def mistakes():
    for words, status, piece in (((99,), 3, "99"), ((1, "jobs"), 3, "dogshore show 1"), ((1, "job", "deploy"), 3, "deploy"),
                                 (("job", "build"), 2, "no number"), ((1, "--lines", 0), 2, "--lines")):
        ran = dogshore("logs", *words)
        check(f"logs {words}: exit status", ran.returncode, status)
        check_contains(f"logs {words}: says why", ran.stderr.decode(), piece)


def a_log_that_is_cut_off():
    path = stored(1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    ran = dogshore("logs", 1, "job")
    check("it is shown up to there", ran.returncode, 0)
    check_contains("and said", ran.stderr.decode(), "breaks off")
    path.write_bytes(whole[:40] + b"damage" + whole[46:])
    ran = dogshore("logs", 1, "job")
    check("a damaged one is an error", ran.returncode, 2)
    check_contains("with the place", ran.stderr.decode(), "is damaged at byte 0")


run_tests(a_run, times, a_terminal, a_restored_build, a_run_that_fails, while_it_runs, show_says_where, mistakes, a_log_that_is_cut_off)
