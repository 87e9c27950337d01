"""A small shop of one service, for tests of bad days: a repository, its ledger, and what a command left behind."""
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "e2e")]
import scene  # noqa: E402
from tap import check, check_contains, note  # noqa: E402

# run.py ignores it for us; what we start and interrupt must not inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in [n for n in os.environ if n.startswith("AWS_")]:
    del os.environ[name]

PROJECT = """\
app: shop
services:
  svc:
    path: svc
    image: {binary: out, port: 8080}
    deploy:
      task: task.json
      service: service.json
      route: {path: "/*", health: /, port: %d}
environments:
  local: {target: local}
"""
TASK = {
    "family": "svc", "cpu": "256", "memory": "64", "networkMode": "awsvpc",
    "containerDefinitions": [{"name": "svc", "image": "${image}", "essential": True, "stopTimeout": 1,
                              "portMappings": [{"containerPort": 8080}],
                              "logConfiguration": {"logDriver": "awslogs", "options": {
                                  "awslogs-group": "/shop/svc", "awslogs-region": "us-east-1",
                                  "awslogs-stream-prefix": "svc", "awslogs-create-group": "true"}}}],
}
SERVICE = {
    "serviceName": "svc", "cluster": "shop", "desiredCount": 1, "launchType": "FARGATE",
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 200,
                                "deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    "loadBalancers": [{"targetGroupArn": "${target_group:svc}", "containerName": "svc", "containerPort": 8080}],
}
BUILDSPEC = """\
version: 0.2
phases:
  build:
    commands:
      - %s
artifacts: {files: [out], base-directory: svc}
"""
COMPILE = "cc -static -O1 -o svc/out svc/svc.c"


class Shop(scene.Scene):
    def __init__(self):
        super().__init__()
        self.work = self.folder / "work"
        self.work.mkdir()
        self.environment |= {"DOGSHORE_WORK": str(self.work)}

    def make_repository(self):
        self.repository.mkdir()
        (self.repository / "svc").mkdir()
        (self.repository / "svc/svc.c").write_bytes((SOURCE / "tests/bench/svc.c").read_bytes())
        self.put("dogshore.yml", PROJECT % self.port)
        self.put("svc/buildspec.yml", BUILDSPEC % COMPILE)
        self.put("svc/task.json", json.dumps(TASK))
        self.put("svc/service.json", json.dumps(SERVICE))
        self.git("init", "-q", "-b", "main")
        return self.commit("the shop")

    def pretend_cloud(self, endpoint="http://127.0.0.1:9"):
        """A local cloud as far as `run` looks at it before it pushes: nothing answers."""
        (self.state / "local").mkdir(parents=True, exist_ok=True)
        (self.state / "local/credentials.json").write_text(json.dumps({
            "endpoint": endpoint, "region": "us-east-1", "access_key_id": "AKIA", "secret_access_key": "secret"}))

    def put(self, name, text):
        (self.repository / name).write_text(text)

    def build_with(self, *commands):
        self.put("svc/buildspec.yml", BUILDSPEC % "\n      - ".join(commands))

    def task_with(self, **container):
        self.put("svc/task.json", json.dumps(
            TASK | {"containerDefinitions": [TASK["containerDefinitions"][0] | container]}))

    def back(self):
        """Forgets the last commit and everything after it."""
        self.git("reset", "-q", "--hard", "HEAD~1")

    def run_commit(self, message):
        """The way of a new commit, which is forgotten again."""
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        try:
            return self.dogshore("run", "--env", "local")
        finally:
            self.back()

    def start(self, *words, **more):
        """Starts a command in the repository and does not wait for it."""
        return subprocess.Popen([scene.PROGRAM, *words], cwd=self.repository, env=self.environment | more, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def start_deploying(self):
        """Starts a run and waits until its deployment is under way."""
        before = set(self.state.glob("runs/*"))
        process = self.start("run", "--env", "local", "--json")

        def look():
            logs = [f / "svc/deploy.log" for f in set(self.state.glob("runs/*")) - before]
            return any(log.exists() and "deploying" in log.read_text() for log in logs)
        scene.wait_until("the deployment", look)
        return process

    def interrupt(self, process, number=signal.SIGINT):
        """Sends the signal and gives how it ended."""
        process.send_signal(number)
        process.stdout, text = None, process.stdout.read()
        process.stderr, said = None, process.stderr.read()
        process.wait(60)
        ended = scene.Result(subprocess.CompletedProcess(process.args, process.returncode, text, said))
        return ended

    # ---- what is left behind

    def rows(self, question):
        with contextlib.closing(sqlite3.connect(self.state / "ledger.db", timeout=30)) as ledger:
            return ledger.execute(question).fetchall()

    def open_rows(self):
        """What the ledger says is still going on."""
        found = []
        for table, column in (("runs", "status"), ("steps", "status")):
            found += [(table, *row) for row in
                      self.rows(f"SELECT id, {column} FROM {table} WHERE {column} IN ('running', 'waiting')")]
        return found + [("acts", *row) for row in self.rows("SELECT id, subject FROM acts WHERE outcome = ''")]

    def partial_files(self):
        """Files that were to get another name and did not, and the work folders of builds."""
        # os.walk passes over folders that vanish meanwhile: the local cloud works on
        hidden = [os.path.join(folder, name) for folder, _, names in os.walk(self.state) for name in names if re.fullmatch(r"\..*\..{6}", name)]
        return sorted(hidden) + sorted(map(str, self.work.iterdir()))

    def processes(self):
        """Ours that still run, but for the local cloud and what it runs."""
        found = []
        for process in Path("/proc").iterdir():
            if not process.name.isdigit() or int(process.name) == os.getpid():
                continue
            try:
                variables = (process / "environ").read_bytes()
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            ours = f"DOGSHORE_STATE={self.state}\0".encode() in variables or str(self.work) in line
            if ours and line and not re.search("local endpoint|dogshore-monitor|haproxy|local serve", line):
                found.append(line)
        return found

    def mounts(self):
        return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
                if str(self.state) in line]

    def check_nothing_half_done(self, what, ledger=True):
        if ledger:
            check(f"{what}: nothing in the ledger is left open", self.open_rows(), [])
        check(f"{what}: no partial file is left", self.partial_files(), [])
        # a container that was being started when the verdict came is stopped a moment later
        self.settles(f"{what}: no process is left", self.processes, [])

    @staticmethod
    def settles(what, question, expected):
        """Checks that the answer becomes what is expected: the last one given, as a second look could see other things."""
        answers = [None]

        def settled():
            answers[0] = question()
            return answers[0] == expected

        try:
            scene.wait_until("things to settle", settled, 30)
        except TimeoutError:
            pass
        return check(what, answers[0], expected)

    # ---- images

    def layout(self):
        return self.state / "images/shop/svc"

    def tags(self):
        """Of the layout in the state folder."""
        index = self.layout() / "index.json"
        if not index.exists():
            return []
        return [tag for m in json.loads(index.read_text())["manifests"] if (tag := m["annotations"].get("org.opencontainers.image.ref.name"))]


def check_error(what, result, status, *pieces):
    """It ended with this status, and its error names these things and says what to do next."""
    said = result.said
    if not check(f"{what}: exit status", result.status, status):
        note(said)
    error = said[said.rfind("\nerror: ") + 1 if "\nerror: " in said else 0:]
    if not check(f"{what}: it ends with an error", error.startswith("error: ")):
        note(said)
    for piece in pieces:
        check_contains(f"{what}: it names {piece}", error, piece)
    check_contains(f"{what}: it says what next", error, "\n  next:  ")
