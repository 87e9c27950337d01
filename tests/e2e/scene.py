"""What the end-to-end tests share: the booking monorepo as a repository, a local cloud, a load generator.

Everything lies in TMPDIR; ports are free ones. Needs root, as the local cloud does.
"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import tap
from tap import wait_until  # noqa: F401

try:
    import botocore.session
except ImportError:
    tap.skip_all("botocore is not installed; it comes with the AWS CLI")

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
PROGRAM = os.environ["DOGSHORE"]
IN_THE_REPOSITORY = ["dogshore.yml", "services", "base", "tests/test.h"]


def need_root():
    if os.geteuid() != 0:
        tap.skip_all("the local cloud needs root for containers and network namespaces")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Result:
    """How a command ended: exit status, its JSON document (None without one), what it said."""

    def __init__(self, process):
        self.status, self.text, self.said = process.returncode, process.stdout, process.stderr
        try:
            self.document = json.loads(process.stdout)
        except ValueError:
            self.document = None

    def step(self, service, name):
        """The step of a `run` document, {} when there is none."""
        steps = (self.document or {}).get("steps", [])
        return next((s for s in steps if s["service"] == service and s["name"] == name), {})


class Scene:
    def __init__(self):
        self.folder = Path(os.environ["TMPDIR"])
        self.repository = self.folder / "booking"
        self.state = self.folder / "state"
        self.port = free_port()
        self.environment = dict(os.environ, DOGSHORE_STATE=str(self.state))
        self.clients = {}  # of botocore, by service and endpoint
        self.endpoint_address = f"127.0.0.1:{free_port()}"

    # ---- the program

    def dogshore(self, *words, expect=None, timeout=280):
        """Runs a command with --json in the repository. expect: the exit status it must end with."""
        process = subprocess.run(
            [PROGRAM, *words, "--json"], cwd=self.repository, env=self.environment, text=True,
            capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False)
        result = Result(process)
        if expect is not None and result.status != expect:
            raise AssertionError(
                f"dogshore {' '.join(words)} ended with {result.status}, expected {expect}\n"
                f"{result.text}\n{result.said}\n{self.endpoint_said()}")
        return result

    def start_cloud(self):
        self.dogshore("local", "up", "--detach", "--endpoint", self.endpoint_address, expect=0)
        keys = json.loads((self.state / "local" / "credentials.json").read_text())
        self.environment |= {
            "AWS_ENDPOINT_URL": keys["endpoint"], "AWS_REGION": keys["region"],
            "AWS_ACCESS_KEY_ID": keys["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        }

    def endpoint_said(self, lines=15):
        """The end of the endpoint's log, for failures."""
        log = self.state / "local" / "endpoint.log"
        if not log.exists():
            return "the endpoint has written nothing"
        return "the endpoint's last lines:\n" + "\n".join(log.read_text().splitlines()[-lines:])

    def kill_endpoint(self):
        os.kill(int((self.state / "local" / "pid").read_text()), signal.SIGKILL)

    def stop_cloud(self):
        if (self.state / "local").exists():
            self.dogshore("local", "down", expect=0)

    # ---- the repository

    def git(self, *words):
        return subprocess.run(
            ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *words],
            cwd=self.repository, check=True, text=True, capture_output=True).stdout.strip()

    def make_repository(self):
        """The booking services of this checkout; their route listens on a port of our own."""
        self.repository.mkdir()
        packed = subprocess.run(
            ["tar", "--exclude=build", "--exclude=.cache", "--create", "--file=-", *IN_THE_REPOSITORY],
            cwd=SOURCE, check=True, capture_output=True).stdout
        subprocess.run(["tar", "--no-same-owner", "--extract", "--file=-"], cwd=self.repository, input=packed, check=True)
        self.edit("dogshore.yml", r"(route: \{)", rf"\1port: {self.port}, ")
        self.git("init", "-q", "-b", "main")
        return self.commit("the booking services")

    def edit(self, path, pattern, replacement):
        """Replaces every match of a pattern; there must be one."""
        file = self.repository / path
        text, count = re.subn(pattern, replacement, file.read_text(), count=0, flags=re.M)
        if count == 0:
            raise AssertionError(f"{path} has nothing that matches {pattern}")
        file.write_text(text)

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    # ---- what serves

    def aws(self, service, operation, **given):
        """What AWS's own library gets as an answer: aws("ecs", "list_tasks", cluster="booking"). It is the one below Debian's
        AWS CLI, without the half second that the CLI takes to start."""
        key = (service, self.environment["AWS_ENDPOINT_URL"], self.environment["AWS_SECRET_ACCESS_KEY"])
        if key not in self.clients:
            self.clients[key] = botocore.session.get_session().create_client(
                service, endpoint_url=key[1], region_name=self.environment["AWS_REGION"],
                aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"], aws_secret_access_key=key[2])
        client = self.clients[key]
        if client.can_paginate(operation):
            return client.get_paginator(operation).paginate(**given).build_full_result()
        return getattr(client, operation)(**given)

    def tasks(self, service, cluster="booking"):
        """The ids of the running tasks of a service."""
        return sorted(self.aws("ecs", "list_tasks", cluster=cluster, serviceName=service)["taskArns"])

    def get(self, path):
        """Status and body of a GET through the balancer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def load(self, *paths):
        return Load(self.port, paths)


class Load:
    """Clients that ask through the balancer until the with-block ends; .failed lists what went wrong.

    Half of them open a connection per request, the others keep theirs. As browsers and proxies do, a
    kept connection that the balancer has closed while it was idle is opened anew; an answer that
    breaks off, or none on a fresh connection, is a failure.
    """

    def __init__(self, port, paths, clients=4):
        self.port, self.paths = port, paths
        self.failed, self.answered = [], 0
        self.ending = threading.Event()
        self.lock = threading.Lock()  # guards answered and failed
        self.threads = [threading.Thread(target=self.run, args=(i % 2 == 0,)) for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def run(self, keep):
        connection, fresh = None, True
        while not self.ending.is_set():
            for path in self.paths:
                if connection is None:
                    connection, fresh = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), True
                problem = self.ask(connection, path, fresh)
                if problem is None and keep:
                    fresh = False
                    continue
                connection.close()
                connection = None
                if problem:
                    with self.lock:
                        self.failed.append(problem)
            time.sleep(0.001)
        if connection is not None:
            connection.close()

    def ask(self, connection, path, fresh):
        """Asks once; what went wrong, or None, or "" when an idle connection had been closed."""
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except http.client.RemoteDisconnected as error:
            return f"{path}: {error}" if fresh else ""
        except (ConnectionResetError, BrokenPipeError) as error:
            return f"{path}: {error}" if fresh else ""
        except (OSError, http.client.HTTPException) as error:
            return f"{path}: {type(error).__name__} {error}"
        if answer.status != 200:
            return f"{path}: {answer.status}"
        with self.lock:
            self.answered += 1
        return None
