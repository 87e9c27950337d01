"""TAP for tests in Python: check(), check_contains(), wait_until(), skip_all(), and run_tests() at the end of the file.

    def the_first_thing():
        check("what a user would notice", got, expected)

    run_tests(the_first_thing, ...)
"""
import sys
import time
import traceback

_points = 0
_failures = 0


def _point(passed, what):
    global _points, _failures
    _points += 1
    _failures += not passed
    print(f"{'ok' if passed else 'not ok'} {_points} - {what}", flush=True)
    return passed


def _comment(text):
    print("".join(f"# {line}\n" for line in str(text).splitlines()), end="", flush=True)


def check(what, got, expected=True):
    """Compares; false when they differ, so that a test can stop."""
    if got != expected:
        _comment(f"got {got!r}, expected {expected!r}")
    return _point(got == expected, what)


def check_contains(what, text, piece):
    if piece not in text:
        _comment(f"got {text!r}, expected it to contain {piece!r}")
    return _point(piece in text, what)


def note(text):
    _comment(text)


def skip(what, why):
    global _points
    _points += 1
    print(f"ok {_points} - {what} # SKIP {why}", flush=True)


def skip_all(why):
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def wait_until(what, question, seconds=60, interval=0.01):
    """Asks until the answer is true; the limit only guards against hangs."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain: {what}")
        time.sleep(interval)


def run_tests(*tests, ready=None, tidy=None, chained=False):
    """Runs them in order; one that raises fails and the next goes on, or, chained, nothing does.

    tidy() runs in any case.
    """
    try:
        if ready is not None:
            ready()
        for test in tests:
            try:
                test()
            except Exception:  # noqa: BLE001 - a test may fail in any way
                _comment(traceback.format_exc())
                _point(False, test.__name__.replace("_", " "))
                if chained:
                    break
    except Exception:  # noqa: BLE001
        _comment(traceback.format_exc())
        _point(False, "getting ready")
    finally:
        if tidy is not None:
            tidy()
    print(f"1..{_points}", flush=True)
    sys.exit(1 if _failures else 0)
