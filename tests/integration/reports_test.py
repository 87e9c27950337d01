# parallel: yes
"""Test reports of runs: run and show count them, tests RUN names what failed, was slow or is flaky."""
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
WORK, STATE = HERE / "work", HERE / "state"
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(STATE), "NO_COLOR": "1"}

# The status of the build is that of its tests: as with any test runner. "shaky" fails in every second build.
BUILDSPEC = """\
version: 0.2
phases:
  build:
    commands:
      - cp one/report.xml report.xml
      - |
        if [ -e one/shaky ]; then
          count=$(cat .cache/count 2>/dev/null || echo 0)
          echo $((count + 1)) >.cache/count
          [ $((count % 2)) = 0 ] || sed -i 's,<testcase name="shaky"/>,<testcase name="shaky"><error message="lost"/></testcase>,' report.xml
        fi
      - "! grep -Eq '<(failure|error)' report.xml"
reports:
  unit: {files: [report.xml]}
  lines: {files: [one/coverage.xml], file-format: COBERTURAXML}
cache:
  paths: ['.cache/**/*']
"""
GOOD = """\
<testsuite name="Room"><testcase classname="Room" name="opens" time="0.25"/><testcase classname="Room" name="closes"
time="1.5"/><testcase classname="Room" name="later"><skipped/></testcase><testcase name="shaky"/></testsuite>
"""
COVERAGE = """\
<coverage><packages><package><classes><class filename="a.c"><lines><line number="1" hits="1"/><line number="2" hits="1"/>
<line number="3" hits="0"/><line number="4" hits="2"/></lines></class></classes></package></packages></coverage>
"""


repository = Repository(WORK)
put, commit = repository.put, repository.commit


def dogshore(*words, status=0):
    process = subprocess.run([PROGRAM, *words], cwd=WORK, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if not check(f"{' '.join(words)}: exit status", process.returncode, status):
        note(process.stdout + process.stderr)
    return process.stdout


def run(status=0, *words):
    return json.loads(dogshore(*(words or ("run",)), "--json", status=status))


def tests(number, status=0):
    return json.loads(dogshore("tests", str(number), "--json", status=status))["services"][0]


def flaky(number, status=0):
    return [test["name"] for test in tests(number, status)["flaky"]]


def with_failure(number):
    return GOOD.replace('name="opens" time="0.25"/>', f'name="opens" time="0.25" file="room.c" line="7"><failure '
                        f'message="expected 1,&#10;got {number}">\x60stack\x60</failure></testcase>')


def begin():
    subprocess.run(["git", "init", "-q", "-b", "main", WORK], check=True)
    put("dogshore.yml", "app: demo\nservices:\n  one: {path: one}\n")
    put("one/buildspec.yml", BUILDSPEC)
    put("one/report.xml", GOOD)
    put("one/coverage.xml", COVERAGE)
    commit()


def tests_that_passed():
    begin()
    result = run()
    step = result["steps"][0]
    check("run counts the tests", step["tests"], {"passed": 3, "failed": 0, "errors": 0, "skipped": 1})
    check_contains("show says so", dogshore("show", "1"), "tests: 3 passed, 1 skipped; 75.0 % of lines covered")
    said = dogshore("tests", "1")
    check_contains("tests: the slowest", said, "slow       Room > closes  1.5 s")
    check("tests: nothing failed", "failed" in said, False)
    kept = STATE / "runs"
    check("each case is a line", len((next(kept.iterdir()) / "one/build/reports.jsonl").read_text().splitlines()), 5)


def tests_that_failed():
    put("one/report.xml", with_failure(2))
    commit()
    result = run(1)
    check("run: what failed is counted", result["steps"][0]["tests"]["failed"], 1)
    said = dogshore("tests", "2", "one", status=1)
    check_contains("tests: the name and where it is", said, "  failed     Room > opens  (room.c:7)\n")
    check_contains("tests: the message", said, "             expected 1,\n             got 2\n")
    whole = json.loads(dogshore("tests", "2", "--json", status=1))
    check("json: status and sums", (whole["status"], whole["tests"]), ("failed", {"passed": 2, "failed": 1, "errors": 0, "skipped": 1}))
    check("json: the message is whole", whole["services"][0]["reports"][0]["failed"][0]["message"], "expected 1,\ngot 2")
    check("one failure is not flaky", whole["services"][0]["flaky"], [])
    check_contains("a service that is none", dogshore("tests", "2", "two", "--json", status=3), "did not build")
    check_contains("a run that is none", dogshore("tests", "99", "--json", status=3), "there is no run 99")


def a_mended_test_is_not_flaky():
    put("one/report.xml", GOOD + "<!-- mended -->")
    commit()
    run()
    check("broken once and mended", flaky(3), [])


def a_test_that_flips_is_flaky():
    put("one/report.xml", with_failure(3))
    commit()
    run(1)
    check("the third change", flaky(4, 1), ["opens"])
    check("what was known then", flaky(3), [])


def both_outcomes_of_one_commit():
    put("one/report.xml", GOOD)
    put("one/shaky", "")
    commit()
    run()
    check("passed so far", "shaky" in flaky(5), False)
    run(0, "rerun", "5", "--step", "one/build")
    check("a build that is restored says nothing new", tests(6)["flaky_runs"], 5)
    run(1, "rerun", "5", "--step", "one/build", "--no-restore")
    found = [test for test in tests(7, 1)["flaky"] if test["name"] == "shaky"]
    check("it passed and failed with the same inputs", (len(found), found and found[0]["same_inputs"], found and found[0]["last_failed_run"]),
          (1, True, 7))
    check_contains("and tests says so", dogshore("tests", "7", status=1), "flaky      Room > shaky  failed in 1 of 6 runs, with the same inputs, last in run 7")


def old_runs_are_forgotten():
    """As many runs as are kept are put before those that are there; the next run removes the oldest."""
    with sqlite3.connect(STATE / "ledger.db") as ledger:
        for number in range(50):
            ledger.execute("INSERT INTO test_runs (run, app, service, branch, commit_id, key) VALUES (?, 'demo', 'one', '', '', '')", (number - 100,))
            made = ledger.execute("SELECT last_insert_rowid()").fetchone()[0]
            ledger.execute("INSERT INTO tests (app, service, grp, suite, class, name) VALUES ('demo', 'one', 'g', '', '', ?)", (f"old{number}",))
            ledger.execute("INSERT INTO test_results VALUES (last_insert_rowid(), ?, 0)", (made,))
    run(0, "rerun", "5", "--step", "one/build", "--no-restore")
    with sqlite3.connect(STATE / "ledger.db") as ledger:
        counts = [ledger.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
                  for what in ("test_runs", "tests WHERE name LIKE 'old%'", "test_results WHERE test_run NOT IN (SELECT id FROM test_runs)")]
    # 50 are kept: 7 of this script (one was restored), so 43 of the old ones and their tests.
    check("runs, tests and results that are kept", counts, [50, 43, 0])


def a_run_without_reports():
    put("one/buildspec.yml", 'version: 0.2\nphases:\n  build:\n    commands: ["true"]\n')
    commit()
    run()
    check_contains("it says how to have some", dogshore("tests", "9"), "has no test reports")


run_tests(tests_that_passed, tests_that_failed, a_mended_test_is_not_flaky, a_test_that_flips_is_flaky,
          both_outcomes_of_one_commit, old_runs_are_forgotten, a_run_without_reports)
