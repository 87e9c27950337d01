# parallel: yes
"""tests/run.py: what it counts, and that it ends what a test leaves running."""
import contextlib
import io
import os
import tempfile
from pathlib import Path

import run
from tap import check, run_tests


def counts(text, status):
    outcome = run.read_tap(text, status)
    return outcome.passed, len(outcome.failed), len(outcome.skipped)


def run_script(text, timeout=30):
    """Runs one shell script as a test; gives its outcome and what was printed."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "x_test.sh")
        script.write_text(text)
        test = run.Test("integration/x", ["bash", str(script)], timeout, True, "dev")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            outcomes = run.run_all([test], 1, folder)
        return outcomes["integration/x"], printed.getvalue()


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def what_is_counted():
    check("points of every kind are counted",
          counts("1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no crun\n", 1), (1, 1, 1))
    check("a reason of a skip is kept",
          run.read_tap("ok 1 - c # SKIP no crun here\n1..1\n", 0).skipped, ["c: no crun here"])
    check("a whole program can be skipped", counts("1..0 # SKIP no node\n", 0), (0, 0, 1))
    check("a program that dies half way fails", counts("ok 1 - a\n", 139), (1, 1, 0))
    check("a missing test fails", counts("1..2\nok 1 - a\n", 0), (1, 1, 0))
    check("a bad exit status fails though every line is ok", counts("1..1\nok 1 - a\n", 1), (1, 1, 0))
    check("output that looks like a test is none", counts("okay\nnot okay\n1..1\nok 1\n", 0), (1, 0, 0))


def what_runs():
    outcome, printed = run_script("echo 'the cause'; echo 'not ok 1 - a'; echo 1..1")
    check("output of a failed test is printed", "    | the cause\n" in printed, True)

    outcome, printed = run_script(
        "runs() { until [ \"$(cat /proc/$1/comm)\" = sleep ]; do :; done; echo \"ok $2 - $1\"; }; "
        "setsid sleep 1000 & runs $! 1; (trap '' TERM; exec sleep 1000) & runs $! 2; echo 1..2; exit 0")
    check("what a test leaves running is told", len(outcome.left_behind) >= 2, True)
    check("and is no failure", (outcome.passed, outcome.failed), (2, []))

    pid_file = Path(os.environ["TMPDIR"], "pid")
    run_script(f"setsid sleep 1000 & echo $! >{pid_file}; echo 1..1; echo ok 1")
    check("and is ended, also in a session of its own", alive(int(pid_file.read_text())), False)

    outcome, printed = run_script("echo ok 1; sleep 1000", timeout=1)
    check("a test that hangs is ended and says so",
          [line.split(" of ")[0] for line in outcome.failed[:1]], ["ended after the time limit"])

    outcome, printed = run_script(
        '[ "$HOME" = "$TMPDIR" ] && [ -z "$(ls -A "$TMPDIR")" ] && echo ok 1; touch "$TMPDIR/x"; echo 1..1')
    check("each test has an empty folder as its TMPDIR and HOME", (outcome.passed, outcome.failed), (1, []))


run_tests(what_is_counted, what_runs)
