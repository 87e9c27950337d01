#!/usr/bin/python3
"""Runs tests that print TAP and says how it went; ./test calls it.

    tests/run.py [--unit PRESET]... [--scripts PRESET] [--only PATTERN] [--jobs N] [--list]

--unit PRESET     the test programs that build/PRESET/tests.list names (unit tests, simulations,
                  replays of fuzz corpora)
--scripts PRESET  integration, cases, e2e and sim scripts, run with build/PRESET/dogshore

A test is a program that prints TAP and ends with status 0 when all went well. Each runs in a
session of its own with a private TMPDIR; whatever it leaves running is ended and told. Programs run
--jobs at a time, scripts only when they say so in a line "# parallel: yes". A time limit only guards
against hangs ("# timeout: SECONDS" in a script that needs longer).

Scripts find in their environment: DOGSHORE (the program), DOGSHORE_BUILD (its build folder),
DOGSHORE_SOURCE (this checkout), DOGSHORE_SDK (folder with the node_modules of tests/integration/sdk)
and DOGSHORE_SHARED (the folder "shared" beside the checkout; unset when there is none).

Of a test that failed, what explains it is printed: each failing point and the lines between it and its
neighbours. The whole output lies in build/test-logs/NAME.log.

The last line is "N passed, N failed, N skipped". Exit status 1 when something failed, or nothing ran.
"""
import argparse
import ctypes
import dataclasses
import fnmatch
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
PROGRAM_TIMEOUT = 600  # sanitizers are slow, and machines can be busy
SCRIPT_TIMEOUT = 300
LOGS = SOURCE / "build" / "test-logs"  # the whole output of what failed
# What is printed of a failure; a log of CI may be cut, and the cause must be in what is left of it.
POINTS_SHOWN, LINES_BEFORE, LINES_AFTER, LINES_AT_THE_END, COLUMNS = 10, 30, 10, 30, 400
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LEFT_BEHIND = "# run.py: left behind: "
TIMED_OUT = "# run.py: ended after the time limit of "


@dataclasses.dataclass
class Test:
    name: str  # unit/base_buf, asan/base_buf, integration/docs
    command: list
    timeout: int
    parallel: bool
    preset: str


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    failed: list = dataclasses.field(default_factory=list)  # what failed, one line each
    unexplained: bool = False  # something failed that no point tells of: a crash, a missing test, a hang
    skipped: list = dataclasses.field(default_factory=list)  # why, one line each
    left_behind: list = dataclasses.field(default_factory=list)


# ---- finding tests


def needs_plain_addresses(preset):
    """Thread sanitizer of gcc 12 dies where the kernel spreads mappings wider than it knows."""
    return preset == "tsan" and shutil.which("setarch") is not None


def programs(preset):
    build = SOURCE / "build" / preset
    for name in (build / "tests.list").read_text().split():
        path, stem = build / "test-programs" / name, name.removesuffix("_test")
        kind = next((k for k in ("fuzz", "sim") if stem.startswith(k + "_")), "unit")
        stem = stem.removeprefix(kind + "_") if kind != "unit" else stem
        if preset != "dev":
            kind = preset if kind == "unit" else f"{preset}-{kind}"
        command = [str(path)]
        if needs_plain_addresses(preset):
            command = ["setarch", os.uname().machine, "-R"] + command
        yield Test(f"{kind}/{stem}", command, PROGRAM_TIMEOUT, True, preset)


def scripts(preset):
    for kind in ("cases", "integration", "sim", "e2e"):
        for path in sorted((SOURCE / "tests" / kind).glob("*_test.*")):
            runner = {".sh": "bash", ".py": sys.executable}.get(path.suffix)
            if runner is None:
                continue
            head = "\n".join(path.read_text().splitlines()[:30])
            limit = re.search(r"^# timeout: (\d+)$", head, re.M)
            yield Test(
                f"{kind}/{path.stem.removesuffix('_test')}",
                [runner, str(path)],
                int(limit.group(1)) if limit else SCRIPT_TIMEOUT,
                re.search(r"^# parallel: yes$", head, re.M) is not None,
                preset,
            )


def wanted(name, patterns):
    return not patterns or any(fnmatch.fnmatch(name, f"*{p}*") for p in patterns)


# ---- one test, in a process of its own that adopts and ends whatever the test leaves running


def descendants():
    """Process ids below this process, deepest last."""
    found, ahead = [], [os.getpid()]
    while ahead:
        pid = ahead.pop()
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
                ahead += [int(child) for child in children]
                found += [int(child) for child in children]
        except OSError:
            continue  # it ended while we looked
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] > 0:
            pass
    except ChildProcessError:
        pass


def end_all(first_signal):
    """Ends every descendant; those that ignore the first signal for two seconds are killed."""
    deadline, number = time.monotonic() + 2, first_signal
    while True:
        reap()
        left = descendants()
        if not left:
            return
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def command_of(pid):
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return " ".join(word.decode(errors="replace") for word in words[:4]).strip()
    except OSError:
        return ""


def supervise(test, environment, folder, output):
    """Runs in the forked process; never returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: (end_all(signal.SIGKILL), os._exit(1)))
    # Ctrl-C is run.py's to answer. A handler, unlike SIG_IGN, is not inherited by the test.
    signal.signal(signal.SIGINT, lambda *_: None)
    status = 1
    try:
        process = subprocess.Popen(
            test.command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True)
        try:
            status = process.wait(test.timeout)
        except subprocess.TimeoutExpired:
            os.write(output, f"\n{TIMED_OUT}{test.timeout} s\n".encode())
            status = 124
        reap()
        names = [name for name in map(command_of, descendants()) if name]
        for name in names:
            os.write(output, f"\n{LEFT_BEHIND}{name}\n".encode())
        end_all(signal.SIGTERM if status != 124 else signal.SIGKILL)
    except OSError as error:
        os.write(output, f"# run.py: {error}\n".encode())
    finally:
        os._exit(min(abs(status), 255))


def environment_of(test, folder):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DOGSHORE", "AWS_"))}
    build = SOURCE / "build" / test.preset
    environment |= {
        "DOGSHORE": str(build / "dogshore"),
        "DOGSHORE_BUILD": str(build),
        "DOGSHORE_SOURCE": str(SOURCE),
        "DOGSHORE_SDK": str(SOURCE / "build" / "sdk"),
        "TMPDIR": folder,
        "HOME": folder,
        "XDG_STATE_HOME": f"{folder}/state",
        "NO_COLOR": "1",
        "PYTHONPATH": str(SOURCE / "tests"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ASAN_OPTIONS": "detect_stack_use_after_return=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
        "PATH": f"{SOURCE}/build/node/node_modules/.bin:{os.environ['PATH']}",
    }
    if (shared := SOURCE.parent / "shared").is_dir():
        environment["DOGSHORE_SHARED"] = str(shared)
    return environment


# ---- reading TAP

POINT = re.compile(r"^(not )?ok\b(?: +(\d+))?(?: *-)? *(.*?)(?: # (SKIP|TODO)\b:? *(.*))?$", re.I)
PLAN = re.compile(r"^1\.\.(\d+)(?: # SKIP:? *(.*))?$", re.I)


def read_tap(text, status):
    """What the test says, and what its exit status and plan say about that."""
    outcome, points, planned = Outcome(), 0, None
    for line in text.splitlines():
        if plan := PLAN.match(line):
            planned = int(plan.group(1))
            if planned == 0:
                outcome.skipped.append(plan.group(2) or "no reason given")
        elif line.startswith(LEFT_BEHIND):
            outcome.left_behind.append(line.removeprefix(LEFT_BEHIND))
        elif line.startswith(TIMED_OUT):
            outcome.failed.append(line.removeprefix("# run.py: "))
            outcome.unexplained = True
        elif point := POINT.match(line):
            points += 1
            failed, _, what, directive, why = point.groups()
            if directive and directive.upper() == "SKIP":
                outcome.skipped.append(f"{what}: {why or 'no reason given'}")
            elif failed:
                outcome.failed.append(what)
            else:
                outcome.passed += 1
    told = len(outcome.failed)
    if planned is None:
        outcome.failed.append(f"printed no plan (1..N), exit status {status}")
    elif planned != points:
        outcome.failed.append(f"planned {planned} tests and ran {points}, exit status {status}")
    elif status != 0 and not outcome.failed:
        outcome.failed.append(f"exit status {status}")
    outcome.unexplained |= len(outcome.failed) > told
    return outcome


def is_failure(line):
    point = POINT.match(line)
    return bool(point and point.group(1) and (point.group(4) or "").upper() != "SKIP")


def explanation(text, outcome):
    """Of a failed test's output: its failing points with the lines around them, as far as the points before and
    behind; its end, when that is where the cause must stand. None stands where lines were left out."""
    lines = text.splitlines()
    points = [number for number, line in enumerate(lines) if POINT.match(line)]
    failures = [number for number in points if is_failure(lines[number])]
    shown = set()
    for number in failures[:POINTS_SHOWN]:
        before = max((p for p in points if p < number), default=-1)
        behind = min((p for p in points if p > number), default=len(lines))
        shown.update(range(max(before + 1, number - LINES_BEFORE), min(behind, number + 1 + LINES_AFTER)))
    if outcome.unexplained or not failures:
        shown.update(range(max(0, len(lines) - LINES_AT_THE_END), len(lines)))
    last = -1
    for number in sorted(shown):
        if number != last + 1:
            yield None
        line, last = lines[number], number
        yield line if len(line) <= COLUMNS else f"{line[:COLUMNS]}... ({len(line)} characters)"
    if last != len(lines) - 1:
        yield None
    if len(failures) > POINTS_SHOWN:
        yield f"# run.py: {len(failures) - POINTS_SHOWN} more failed"


# ---- running them all


def private_folder(parent, prefix=""):
    """A new folder of this user's. Its name has none of the underscores that mkdtemp may choose: where
    an image lies becomes its name in podman and buildah, and names must not end with one."""
    folder = os.path.join(parent, prefix + secrets.token_hex(4))
    os.mkdir(folder, 0o700)
    return folder


class Running:
    def __init__(self, test, scratch):
        self.test, self.began = test, time.monotonic()
        self.folder = private_folder(scratch)
        self.output = tempfile.TemporaryFile(dir=scratch)
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            supervise(test, environment_of(test, self.folder), self.folder, self.output.fileno())
        self.handle = os.pidfd_open(self.pid)

    def fileno(self):
        return self.handle

    def finish(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.handle)
        self.output.seek(0)
        text = self.output.read().decode(errors="replace")
        remove(self.folder)
        return text, read_tap(text, status), time.monotonic() - self.began


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.exists(folder):
        print(f"# could not remove {folder}", flush=True)


def keep_log(test, text, outcome):
    """Keeps the whole output of a failure, and nothing of an earlier one after a success. Says where it lies."""
    log = LOGS / f"{test.name.replace('/', '-')}.log"
    try:
        log.unlink(missing_ok=True)
        if outcome.failed:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(text, encoding="utf-8")
        return os.path.relpath(log, SOURCE) if log.is_relative_to(SOURCE) else str(log)
    except OSError as error:
        return f"could not be kept: {error}"


def report(test, text, outcome, seconds):
    verdict = "FAILED" if outcome.failed else "ok"
    counts = f"{outcome.passed} passed"
    if outcome.failed:
        counts += f", {len(outcome.failed)} failed"
    if outcome.skipped:
        counts += f", {len(outcome.skipped)} skipped"
    print(f"{verdict:7}{test.name:44} {counts}, {seconds:.1f} s", flush=True)
    where = keep_log(test, text, outcome)
    if outcome.failed:
        for line in explanation(text, outcome):
            print("    ..." if line is None else f"    | {line}")
        print(f"    whole output: {where}", flush=True)
    for name in outcome.left_behind:
        print(f"    left a process behind: {name}", flush=True)


def run_all(tests, jobs, scratch):
    """Those that may run side by side first, then the others one by one."""
    outcomes = {}
    waiting = sorted(tests, key=lambda test: not test.parallel)
    running = []
    try:
        while waiting or running:
            while waiting and (not running or (
                    len(running) < jobs and waiting[0].parallel
                    and all(r.test.parallel for r in running))):
                running.append(Running(waiting.pop(0), scratch))
            for ended in select.select(running, [], [])[0]:
                running.remove(ended)
                text, outcome, seconds = ended.finish()
                outcomes[ended.test.name] = outcome
                report(ended.test, text, outcome, seconds)
    finally:
        for one in running:
            os.kill(one.pid, signal.SIGTERM)
            one.finish()
    return outcomes


def summary(outcomes):
    """Prints what was skipped and what failed, then the line that scripts read."""
    passed = sum(outcome.passed for outcome in outcomes.values())
    for title, field in (("Skipped", "skipped"), ("Failed", "failed")):
        rows = [f"  {name}: {line}" for name, o in outcomes.items() for line in getattr(o, field)]
        if rows:
            print(f"\n{title}:\n" + "\n".join(rows))
    failed = sum(len(outcome.failed) for outcome in outcomes.values())
    skipped = sum(len(outcome.skipped) for outcome in outcomes.values())
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed else 0


def main():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--unit", action="append", default=[], metavar="PRESET")
    options.add_argument("--scripts", metavar="PRESET")
    options.add_argument("--only", action="append", default=[], metavar="PATTERN")
    options.add_argument("--without", action="append", default=[], metavar="PATTERN")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--list", action="store_true")
    options = options.parse_args()

    tests = [test for preset in options.unit for test in programs(preset)]
    tests += scripts(options.scripts) if options.scripts else []
    tests = [t for t in tests if wanted(t.name, options.only)]
    tests = [t for t in tests if not options.without or not wanted(t.name, options.without)]
    if options.list:
        print("\n".join(test.name for test in tests))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scratch = private_folder(tempfile.gettempdir(), "dogshore-test-")
    try:
        os.chmod(scratch, 0o711)  # a test may do something as another user
        return summary(run_all(tests, max(1, options.jobs), scratch))
    finally:
        remove(scratch)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
