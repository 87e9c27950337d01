# parallel: yes
"""The conformance cases in tests/cases/buildspec, run by `dogshore buildspec run`; and real buildspecs."""
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tap import check, note, run_tests, skip  # noqa: E402

TESTS = Path(__file__).resolve().parent.parent
PROGRAM = os.environ["DOGSHORE"]
COMMAND = f"{PROGRAM} buildspec run --json --source {{src}} --artifacts {{out}} --env-file {{env}} --secrets-file {{secrets}} --reports {{reports}}"


def run_cases(command):
    ran = subprocess.run(
        [sys.executable, TESTS / "tools" / "run-buildspec-cases.py", "-v", "--jobs", "2", command],
        capture_output=True, text=True, check=False)
    for line in ran.stdout.splitlines():
        if line.startswith(("ok ", "FAIL ")):
            check(line.split()[1].rstrip(":"), line.startswith("ok"))
        if not line.startswith("ok "):
            note(line)
    number = len(list((TESTS / "cases" / "buildspec").glob("*/case.json")))
    check("every case was run", ran.stdout.splitlines()[-1], f"{number} passed, 0 failed")


def cases_in_the_sandbox():
    run_cases(COMMAND)


def cases_without_it():
    run_cases(COMMAND + " --no-sandbox")


def real_buildspecs():
    """Accepts exactly those that are right by the reference; null: undecided."""
    shared = os.environ.get("DOGSHORE_SHARED")
    index = Path(shared or "/", "buildspec-corpus", "index.json")
    if not shared or not index.exists():
        skip("real buildspecs are judged", "no ../shared/buildspec-corpus here")
        return
    wrong = []
    for entry in json.loads(index.read_text())["files"]:
        ran = subprocess.run([PROGRAM, "buildspec", "check", index.parent / entry["file"]],
                             capture_output=True, text=True, check=False)
        if entry["valid_buildspec"] is not None and ran.returncode != (0 if entry["valid_buildspec"] else 2):
            wrong.append(entry["file"])
            note(f"{entry['file']}: status {ran.returncode}\n{ran.stdout}{ran.stderr}")
    check("real buildspecs are judged as the reference judges them", wrong, [])


run_tests(cases_in_the_sandbox, cases_without_it, real_buildspecs)
