# parallel: yes
"""`dogshore build`: one service of one commit, from a repository to artifacts, and what it must not do."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, run_tests, wait_until  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
REPOSITORY, WORK = HERE / "repository", HERE / "work"
PROJECT = """
app: booking
services:
  rooms:
    path: services/rooms
    uses: [lib]
    env: {FROM_PROJECT: "yes"}
"""
GOOD = """
version: 0.2
env:
  exported-variables: [VERSION]
phases:
  build:
    commands:
      - VERSION=$(cat lib/version)
      - mkdir out && echo "$VERSION $FROM_PROJECT $GIVEN" >out/rooms
artifacts:
  base-directory: out
  files: [rooms]
"""


repository = Repository(REPOSITORY)


def commit(buildspec):
    (REPOSITORY / "services/rooms/buildspec.yml").write_text(buildspec)
    repository.commit()


def script(*commands):
    lines = "".join(f"      - |\n        {c}\n" for c in commands)
    return f"version: 0.2\nphases:\n  build:\n    commands:\n{lines}"


def environment():
    return {**os.environ, "DOGSHORE_WORK": str(WORK), "DOGSHORE_STATE": str(HERE / "state"), "HOST_SECRET": "s3cret"}


def build(*flags, output="output"):
    """Exit status, the document, stderr."""
    ran = subprocess.run(
        [PROGRAM, "build", "rooms", "--repository", REPOSITORY, "--output", HERE / output, "--json", *flags],
        capture_output=True, text=True, check=False, env=environment())
    return ran.returncode, json.loads(ran.stdout), ran.stderr


def left_behind():
    return sorted(p.name for p in WORK.iterdir())


def prepare():
    for folder in ("services/rooms", "lib", "other"):
        (REPOSITORY / folder).mkdir(parents=True)
    WORK.mkdir()
    (REPOSITORY / "dogshore.yml").write_text(PROJECT)
    (REPOSITORY / "lib/version").write_text("1.2\n")
    (REPOSITORY / "other/file").write_text("x\n")
    subprocess.run(["git", "init", "-q", "-b", "main", REPOSITORY], check=True)


def a_good_build():
    commit(GOOD)
    status, result, log = build("--env", "GIVEN=too")
    check("a good build has exit status 0", status, 0)
    check("stage, service and status are told",
          (result["stage"], result["service"], result["status"]), ("build", "rooms", "passed"))
    check("the commit is told", len(result["commit"]), 40)
    machine = os.uname()
    where = result["environment"]
    check("where it was built is told", [where[key] for key in ("executor", "sandbox", "kernel", "machine")],
          ["local", True, f"{machine.sysname} {machine.release}", machine.machine])
    check("exported variables are told", result["exported_variables"], {"VERSION": "1.2"})
    # sha256 of "1.2 yes too\n"
    check("artifacts have size and digest", result["artifacts"], [{
        "path": "rooms", "size": 12,
        "digest": "sha256:" + subprocess.run(["sha256sum"], input=b"1.2 yes too\n", capture_output=True,
                                             check=True).stdout.decode().split()[0]}])
    check("the artifact is there", (HERE / "output/artifacts/rooms").read_text(), "1.2 yes too\n")
    check("the log is kept", (HERE / "output/build.log").read_text(), log)
    check("the result is kept", json.loads((HERE / "output/result.json").read_text()), result)
    check("the work folder is gone", left_behind(), [])


def a_failed_build():
    commit(script("echo the cause; exit 7"))
    status, result, log = build()
    check("a failed build has exit status 1", status, 1)
    check("it is told which phase", (result["status"], result["error"]["phase"]), ("failed", "BUILD"))
    check_contains("the log has the cause", log, "\nthe cause\n")
    check("artifacts of the build before are gone", (HERE / "output/artifacts").exists(), False)
    check("the work folder is gone", left_behind(), [])


def only_declared_inputs():
    commit(script("test ! -e other; test -e lib/version && test ! -e dogshore.yml"))
    check("a build finds only what its service declares", build()[0], 0)


def nothing_of_the_machine():
    commit(script("test -z \"$HOST_SECRET\" && test ! -e /home && ! touch /usr/x 2>/dev/null",
                  "test \"$(ls -A /tmp /root)\" = \"$(printf '/root:\\n\\n/tmp:')\"",
                  "test \"$PWD\" = \"$CODEBUILD_SRC_DIR\""))
    check("a build sees nothing of the machine", build()[0], 0)
    secret = HERE / "secret"
    secret.write_text("of the machine")
    commit(script(f"ln -s {secret} link") + "artifacts: {files: ['**/link']}\n")
    status, result, _ = build()
    check("a link that leads out is no artifact", (status, result["artifacts"]), (1, []))


def an_invalid_buildspec():
    commit("version: 0.2\nphases:\n  biuld: {}\n")
    status, result, _ = build()
    check("a wrong buildspec has exit status 2", status, 2)
    check("its place is told", (result["error"]["path"], result["error"]["line"]), ("phases.biuld", 3))
    commit("")
    check("an empty one too", build()[0], 2)


def what_does_not_exist():
    status, result, _ = build("--commit", "nowhere")
    check("a commit that does not exist has exit status 3", status, 3)
    check_contains("and is named", result["error"]["message"], "nowhere")
    ran = subprocess.run([PROGRAM, "build", "romos", "--repository", REPOSITORY], capture_output=True,
                         text=True, check=False)
    check("a service that does not exist has exit status 2", ran.returncode, 2)
    check_contains("the nearest name is suggested", ran.stderr, "rooms")


def time_runs_out():
    commit(script("trap 'echo cleaned; exit 1' TERM; sleep 1000 & wait"))
    status, result, log = build("--timeout", "1s")
    check("a build that takes too long has exit status 6", status, 6)
    check("the kind is told", result["error"]["kind"], "timed_out")
    check_contains("it could clean up", log, "\ncleaned\n")
    check("the work folder is gone", left_behind(), [])


def start_long_build(output, mark, *flags):
    process = subprocess.Popen(
        [PROGRAM, "build", "rooms", "--repository", REPOSITORY, "--output", HERE / output, *flags],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    wait_until("the command runs", lambda: processes_of(mark))
    return process


def processes_of(mark):
    found = []
    for line in Path("/proc").iterdir():
        try:
            if line.name.isdigit() and mark.encode() in (line / "cmdline").read_bytes():
                found.append(line.name)
        except OSError:
            continue
    return found


def signals():
    mark = f"100{os.getpid()}"
    commit(script(f"sleep {mark}"))
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start_long_build(f"signal-{number}", mark)
        process.send_signal(number)
        check(f"{number.name} ends the build with exit status 5", process.wait(timeout=60), 5)
        check("its processes are gone", processes_of(mark), [])
        check("its work folder is gone", left_behind(), [])


def killed():
    mark = f"200{os.getpid()}"
    commit(script(f"setsid sleep {mark} & sleep {mark}"))
    for flags in ([], ["--no-sandbox"]):
        process = start_long_build("killed", mark, *flags)
        process.kill()
        process.wait(timeout=60)
        wait_until("what a killed build ran ends with it", lambda: not processes_of(mark))
        wait_until("its keeper removes its folder", lambda: not left_behind())
        check("nothing of a killed build is left", (processes_of(mark), left_behind()), ([], []))


def what_is_cached():
    count = script("mkdir -p .cache/x && echo x >>.cache/x/runs", "wc -l <.cache/x/runs >seen")
    commit(count + "artifacts: {files: [seen]}\ncache: {paths: ['.cache/x/**/*']}\n")
    seen = HERE / "output/artifacts/seen"
    counts = []
    for flags in ([], ["--no-restore"], ["--no-sandbox"], ["--no-cache"]):
        build("--cache", HERE / "cache", *flags)
        counts.append(seen.read_text().strip())
    check("cache paths are kept from build to build", counts, ["1", "2", "3", "1"])


def two_at_once():
    commit(GOOD)
    both = [subprocess.Popen([PROGRAM, "build", "rooms", "--repository", REPOSITORY, "--output", HERE / f"both-{n}"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()) for n in (1, 2)]
    check("two builds of one commit do not disturb each other", [p.wait(timeout=60) for p in both], [0, 0])


run_tests(a_good_build, a_failed_build, only_declared_inputs, nothing_of_the_machine, an_invalid_buildspec,
          what_does_not_exist, time_runs_out, signals, killed, what_is_cached, two_at_once, ready=prepare)
