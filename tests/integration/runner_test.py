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


def printed_lines(text):
    """What is printed of a failure, without what run.py says about it."""
    said = run_script(text)[1].splitlines()
    return [line.strip().removeprefix("| ") for line in said if line.startswith("    ") and "whole output" not in line]


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


def what_is_printed_of_a_failure():
    check("the failing point and the lines around it, nothing of the points that are ok",
          printed_lines("echo far; echo ok 1; echo '# cause'; echo not ok 2 - b; echo '# at line 7'; echo ok 3; echo far; echo ok 4; echo 1..4; exit 1"),
          ["...", "# cause", "not ok 2 - b", "# at line 7", "..."])
    check("two failing points, each with its own",
          printed_lines("echo A; echo not ok 1; echo ok 2; echo ok 3; echo B; echo not ok 4; echo 1..4; exit 1"),
          ["A", "not ok 1", "...", "B", "not ok 4", "1..4"])
    check("of very many lines those next to the point",
          printed_lines("seq 1 1000; echo not ok 1; seq 2001 3000; echo ok 2; echo 1..2; exit 1"),
          ["...", *map(str, range(971, 1001)), "not ok 1", *map(str, range(2001, 2011)), "..."])
    check("of a line that never ends its beginning",
          printed_lines("printf '%01000d\\n' 7; echo not ok 1; echo 1..1; exit 1")[0], "0" * 400 + "... (1000 characters)")
    many = printed_lines("for i in $(seq 200); do echo not ok $i; done; echo 1..200; exit 1")
    check("of very many failing points the first ten, and how many there are",
          (many[:10], many[10:]), ([f"not ok {i}" for i in range(1, 11)], ["...", "# run.py: 190 more failed"]))
    check("of a test that dies without a word the end, whatever was ok",
          printed_lines("for i in $(seq 100); do echo ok $i; done; echo 'segmentation fault'; exit 139")[-1:], ["segmentation fault"])
    check("of a test that fails though all points are ok the end",
          printed_lines("echo ok 1; echo 1..1; echo '==1==ERROR: LeakSanitizer'; exit 1"), ["ok 1", "1..1", "==1==ERROR: LeakSanitizer"])
    check("a point that is skipped or to be done later is read as it is counted",
          printed_lines("echo not ok 1 - a '# SKIP' no crun; echo why; echo not ok 2 - b; echo 1..2; exit 1"), ["...", "why", "not ok 2 - b", "1..2"])
    check("of a success nothing", printed_lines("echo hello; echo ok 1; echo 1..1"), [])


def the_whole_output_is_kept():
    text = "echo first; echo ok 1; echo far; echo ok 2; echo not ok 3; echo 1..3; exit 1"
    _, printed = run_script(text)
    log = run.LOGS / "integration-x.log"
    check("in a file", log.read_text(), "first\nok 1\nfar\nok 2\nnot ok 3\n1..3\n")
    check("which is named", f"    whole output: {log}\n" in printed, True)
    run_script("echo ok 1; echo 1..1")
    check("and is gone when the test passes again", log.exists(), False)
    run.LOGS = Path("/dev/null/none")
    _, printed = run_script(text)
    check("that it cannot be kept is told, and hides no failure",
          ("    | not ok 3\n" in printed, "could not be kept" in printed), (True, True))


run.LOGS = Path(os.environ["TMPDIR"], "logs")
run_tests(what_is_counted, what_runs, what_is_printed_of_a_failure, the_whole_output_is_kept)
