"""What the tests of the local cloud's APIs share: the cloud without containers, clients for it, TAP."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELPERS = Path(os.environ.get("DOGSHORE_BUILD", "build/dev")) / "test-helpers"
_tests = []
_number = 0


def test(function):
    _tests.append(function)
    return function


def run_tests():
    """Runs what @test marked, in order, and prints TAP; returns the exit status."""
    failed = 0
    for number, function in enumerate(_tests, 1):
        name = function.__name__
        try:
            skipped = function()
        except Exception as problem:  # a test may fail in any way
            failed += 1
            for line in f"{type(problem).__name__}: {problem}".splitlines():
                print("#", line)
            print(f"not ok {number} - {name}", flush=True)
        else:
            print(f"ok {number} - {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
    print(f"1..{len(_tests)}")
    return 1 if failed else 0


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def wait_for(what, seconds=20):
    """Calls what until it gives something true and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        check(time.monotonic() < deadline, f"waited {seconds} s for {what.__doc__ or what}")
        time.sleep(0.002)


class Program:
    """A helper program that says "listening on PORT" when it is ready."""

    def __init__(self, name, *arguments, trace=None):
        environment = dict(os.environ)
        if trace:
            environment["DOGSHORE_TRACE"] = trace
        self.process = subprocess.Popen(
            [HELPERS / name, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.process.wait()
            raise RuntimeError(f"{name} did not start: {line!r}")
        self.port = int(line.split()[-1])

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(20)
        self.process.stdout.close()


class Cloud:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="cloud")
        self.state = Path(self.folder.name) / "state"
        self.program = None
        self.start()

    def start(self, port=0):
        self.program = Program("local_api_server", self.state, port, trace=os.environ.get("DOGSHORE_TRACE"))
        self.credentials = json.loads((self.state / "credentials.json").read_text())

    def kill_and_restart(self):
        port = self.program.port
        self.program.end(signal.SIGKILL)
        self.start(port)

    def client(self, service, **changes):
        """A client of botocore, which comes with Debian's AWS CLI."""
        import botocore.config
        import botocore.session

        settings = dict(
            endpoint_url=self.credentials["endpoint"],
            region_name=self.credentials["region"],
            aws_access_key_id=self.credentials["access_key_id"],
            aws_secret_access_key=self.credentials["secret_access_key"],
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        settings.update(changes)
        return botocore.session.get_session().create_client(service, **settings)

    def environment(self):
        return dict(
            os.environ,
            AWS_ACCESS_KEY_ID=self.credentials["access_key_id"],
            AWS_SECRET_ACCESS_KEY=self.credentials["secret_access_key"],
            AWS_DEFAULT_REGION=self.credentials["region"],
            AWS_MAX_ATTEMPTS="1",
            AWS_PAGER="",
            AWS_CONFIG_FILE="/dev/null",
            AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        )

    def close(self):
        """Ends the cloud and its balancer."""
        self.program.end(signal.SIGUSR1)
        self.folder.cleanup()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    sys.exit(run_tests())
