# timeout: 900
"""README's first command: twice, then everything it suggests to try, then down."""
import json
import os
import re
import subprocess
import time
from pathlib import Path

import scene
from tap import check, check_contains, note, run_tests

scene.need_root()
folder = Path(os.environ["TMPDIR"])
state = folder / "up"
stage = scene.Scene()
environment = dict(
    os.environ, DOGSHORE_STATE=str(state),
    DOGSHORE_UP_PORTS=f"{scene.free_port()} {scene.free_port()} {stage.port}")
said = {}  # what the first call printed; the blocks it suggests, by their title


def up(*words):
    process = subprocess.run(
        [scene.SOURCE / "dogshore-up", *words], env=environment, text=True, capture_output=True,
        stdin=subprocess.DEVNULL, check=False)
    if process.returncode != 0:
        note(process.stdout + process.stderr)
    return process


def runs():
    listed = subprocess.run(
        [scene.PROGRAM, "runs", "--json"], env=environment, text=True, capture_output=True, check=True)
    return json.loads(listed.stdout)["runs"]


def try_what_it_suggests(title, expected):
    """Runs the commands of a block as a shell would, waits for the run of its push; gives what it printed."""
    lines = said["blocks"][title]
    before = runs()[0]["run"]
    script = "\n".join(["set -e", *said["blocks"][""], *lines])
    printed = subprocess.run(["bash", "-c", script], env=environment, text=True, capture_output=True, check=False)
    check(f"{title}: its commands", printed.returncode, 0)
    if printed.returncode != 0:
        note(f"{script}\n{printed.stdout}{printed.stderr}")
    newest = scene.wait_until(
        "the run to end", lambda: next(
            (r for r in runs() if r["run"] > before and r["status"] not in ("waiting", "running")), None))
    check(f"{title}: the run", newest["status"], expected)
    return newest


def the_first_call():
    process = up()
    check("exit status", process.returncode, 0)
    for path in ("/rooms", "/bookings"):
        check_contains(f"it shows that {path} answers", process.stdout, f"curl http://127.0.0.1:{stage.port}{path}")
        check(f"{path} answers", stage.get(path)[0], 200)
    advice = process.stdout.split("What to try next\n")[1]
    said["blocks"], title = {"": []}, ""
    for line in advice.splitlines():
        if match := re.match(r"\s*# (.*)", line):
            title = match.group(1)
            said["blocks"][title] = []
        elif line.strip():
            said["blocks"][title].append(line.strip())


def the_second_call():
    before, began = runs(), time.monotonic()
    process = up()
    note(f"it took {time.monotonic() - began:.1f} s")
    check("exit status", process.returncode, 0)
    check("nothing ran again", runs(), before)


def what_it_suggests():
    try_what_it_suggests("see a change roll", "passed")
    check_contains("the new version answers", stage.get("/rooms/oak")[1], "I know no room")
    try_what_it_suggests("only a comment changed: built, the same image, nothing deployed", "passed")
    try_what_it_suggests("break a unit test: it ends before there is an image", "failed")
    try_what_it_suggests("crash at start: rolled back, the old version goes on answering", "rolled_back")
    check_contains("the old version answers", stage.get("/rooms/oak")[1], "I know no room")


def a_call_after_both_have_died():
    for file in (state / "engine.pid", state / "local" / "pid"):
        os.kill(int(file.read_text()), 9)
    process = up()
    check("exit status", process.returncode, 0)
    check_contains("it says how the newest commit went", process.stdout, "rolled_back")
    check("rooms answers", stage.get("/rooms")[0], 200)
    check("the engine runs again", Path(f"/proc/{(state / 'engine.pid').read_text().strip()}").exists())


def down():
    process = up("--down")
    check("exit status", process.returncode, 0)
    check("its folder is gone", state.exists(), False)
    process = up("--down")
    check("a second --down has nothing to do", process.returncode, 0)


def tidy():
    if state.exists():
        up("--down")


run_tests(
    the_first_call, the_second_call, what_it_suggests, a_call_after_both_have_died, down,
    tidy=tidy, chained=True)
