# parallel: yes
"""plan, why, run, runs, show, cancel, rerun, check, init, serve and its HTTP API on a repository of builds alone."""
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests, skip, wait_until  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
WORK, ORIGIN = HERE / "work", HERE / "origin.git"
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(HERE / "state"), "NO_COLOR": "1"}

PROJECT = """\
app: demo
source: {branches: [main, "release/*"]}
services:
  one: {path: one, uses: [shared]}
  two: {path: two, uses: [shared]}
"""


def buildspec(*commands):
    return "version: 0.2\nphases:\n  build:\n    commands:\n" + "".join(f"      - {c}\n" for c in commands)


repository = Repository(WORK)
git, put, commit = repository.git, repository.put, repository.commit


def dogshore(*words, folder=WORK):
    return subprocess.run([PROGRAM, *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def dogshore_json(*words, status=0):
    process = dogshore(*words, "--json")
    if process.returncode != status:
        note(process.stderr)
    check(f"{' '.join(words)}: exit status", process.returncode, status)
    return json.loads(process.stdout)


def ready():
    WORK.mkdir()
    git("init", "-q", "-b", "main")
    put("dogshore.yml", PROJECT)
    for service in ("one", "two"):
        put(f"{service}/buildspec.yml", buildspec('"true"'))
    put("shared/x", "1")
    commit("first")


def actions(document):
    return {s["name"]: s["action"] for s in document["services"]}


def steps(document):
    return {f"{s['service']}/{s['name']}": s["status"] for s in document["steps"]}


def a_commit_is_planned_run_and_explained():
    check("plan: all are new", actions(dogshore_json("plan")), {"one": "build", "two": "build"})
    run = dogshore_json("run")
    check("run: passed", run["status"], "passed")
    check("run: both were built", steps(run), {"one/build": "passed", "two/build": "passed"})
    check("plan: nothing to do", actions(dogshore_json("plan")), {"one": "skip", "two": "skip"})
    put("one/main.c", "int x;")
    commit("one")
    plan = dogshore_json("plan")
    check("plan: one is built", actions(plan), {"one": "build", "two": "skip"})
    check("plan: because of its file", plan["services"][0]["changed"], ["one/main.c"])
    check("plan --since compares commits alone", actions(dogshore_json("plan", "--since", "HEAD~1")),
          {"one": "build", "two": "skip"})
    run = dogshore_json("run")
    check("run: two was skipped", steps(run), {"one/build": "passed", "two/build": "skipped"})
    why = dogshore_json("why", "one")
    check("why: the part that moved", [(m["part"], m["changed"]) for m in why["moved"]], [("path one", ["one/main.c"])])
    check("why: the run that saw it", why["run"], run["run"])
    git("reset", "-q", "--hard", "HEAD~1")
    run = dogshore_json("run")
    check_contains("going back builds nothing", run["steps"][0]["reason"], "restored from run 1, commit ")


def a_plan_without_a_ledger_loads_no_database():
    """Loading a library is most of what a small command takes."""
    if "libsqlite3" in subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout:
        skip("no database for nothing", "this build loads everything at its start")
        return
    environment = {**ENVIRONMENT, "DOGSHORE_STATE": str(HERE / "empty"), "LD_DEBUG": "libs"}
    said = subprocess.run([PROGRAM, "plan"], cwd=WORK, env=environment, capture_output=True, text=True, check=True).stderr
    check_contains("Git's library is loaded", said, "libgit2")
    check("the database's is not", "libsqlite3" in said, False)


def a_failing_build_is_told_and_tried_again():
    put("two/buildspec.yml", buildspec("echo this is the reason >&2", "'false'"))
    commit("breaks two")
    process = dogshore("run")
    check("exit status 1", process.returncode, 1)
    check_contains("the error names the step", process.stderr, "error: build of two: ")
    check_contains("and shows the end of its log", process.stderr, "this is the reason")
    put("shared/x", "2")
    commit("and changes what both use")
    run = dogshore_json("run", status=1)
    check("one was built all the same", steps(run), {"one/build": "passed", "two/build": "failed"})
    again = dogshore_json("rerun", str(run["run"]), status=1)
    check("rerun does what failed and nothing else", steps(again), {"two/build": "failed", "one/build": "skipped"})
    put("two/buildspec.yml", buildspec('"true"'))
    commit("repairs two")
    check("and then it passes", dogshore_json("run")["status"], "passed")
    shown = dogshore_json("show", str(run["run"]))
    check("show: the same run", (shown["run"], shown["status"]), (run["run"], "failed"))
    check("runs: the newest first", [r["status"] for r in dogshore_json("runs", "--limit", "2")["runs"]],
          ["passed", "failed"])
    forced = dogshore_json("rerun", str(run["run"]), "--step", "one/build", status=1)
    check("rerun --step builds what had passed", steps(forced)["one/build"], "passed")


def wrong_words_have_an_answer():
    for words, status, piece in [
            (["show", "999"], 3, "there is no run 999"),
            (["show", "x"], 2, "is no number of a run"),
            (["rerun", "1", "--step", "biuld"], 2, 'did you mean "build"?'),
            (["run", "--env", "nowhere"], 2, 'no environment "nowhere"'),
            (["run", "nothing"], 3, 'there is no commit "nothing"'),
            (["why", "noe"], 2, 'did you mean "one"?'),
            (["plan", "--since", "zzz"], 3, 'there is no commit "zzz"'),
            (["run", "--ledger", "postgresql://x/y"], 2, "PostgreSQL"),
            (["cancel", "1"], 3, "has ended already"),
            (["serve", "--listen", "nowhere"], 2, "HOST:PORT"),
            (["rnu"], 2, 'did you mean "dogshore run"?')]:
        process = dogshore(*words)
        check(f"{' '.join(words)}: exit status", process.returncode, status)
        check_contains(f"{' '.join(words)}: what and what next", process.stderr, piece)


def check_finds_everything_in_one_go():
    put("dogshore.yml", PROJECT.replace("uses", "usess").replace("two, ", "twoo, "))
    process = dogshore("check")
    check("exit status 2", process.returncode, 2)
    check("both findings", process.stdout,
          'dogshore.yml:4:20: unknown key "usess" in service; did you mean "uses"?\n'
          'dogshore.yml:5:21: unknown key "usess" in service; did you mean "uses"?\n')
    put("dogshore.yml", PROJECT.replace("two, ", "twoo, "))
    check_contains("a path that is not there", dogshore("check").stdout,
                   'dogshore.yml:5:15: there is no "twoo" in the repository')
    put("dogshore.yml", PROJECT)
    put("one/buildspec.yml", "version: 0.2\nphases:\n  build:\n    comands: [x]\n")
    check_contains("what is wrong in a buildspec", dogshore("check").stdout, "one/buildspec.yml:4")
    git("checkout", "-q", ".")
    check("a valid one", dogshore("check").returncode, 0)
    check("the schema is JSON", json.loads(dogshore("check", "--schema").stdout)["title"], "dogshore.yml")
    empty = HERE / "empty"
    (empty / "services/rooms").mkdir(parents=True)
    (empty / "services/rooms/buildspec.yml").write_text(buildspec('"true"'))
    check("init writes a file", dogshore("init", folder=empty).returncode, 0)
    check("that check accepts", dogshore("check", folder=empty).stdout + dogshore("check", folder=empty).stderr,
          "./dogshore.yml and all files it names are valid\n")
    check("and does not overwrite it", dogshore("init", folder=empty).returncode, 3)


# ---- serve


class Server:
    """`dogshore serve` on a free port; its messages are in serve.log."""

    def __init__(self, *flags):
        self.log = HERE / "serve.log"
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", *flags], cwd=HERE, env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log.open("w"))
        found = wait_until("serve listens", lambda: re.search(r"http://127.0.0.1:(\d+)", self.log.read_text()))
        self.port = int(found[1])

    def ask(self, method, path, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def runs(self, query=""):
        return json.loads(self.ask("GET", f"/api/v1/runs?limit=100{query}")[1])["runs"]

    def wait_for(self, commit_id, *statuses):
        def ended():
            return next((r for r in self.runs() if r["commit"] == commit_id and r["status"] in statuses), None)
        return wait_until(f"a run of {commit_id} is one of {statuses}", ended)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)


def push(*refs):
    git("push", "-q", "origin", *refs)


def a_push_is_seen_and_run():
    git("clone", "-q", "--bare", WORK, ORIGIN)
    git("remote", "add", "origin", ORIGIN)
    server = Server("--repository", ORIGIN)
    try:
        server.wait_for(git("rev-parse", "HEAD"), "passed")
        events = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        events.request("GET", "/api/v1/events")
        stream = events.getresponse()
        check("events are a stream", stream.getheader("Content-Type"), "text/event-stream")
        put("one/main.c", "int pushed;")
        new = commit("pushed")
        push("main")
        run = server.wait_for(new, "passed")
        seen = []
        while "run.ended" not in seen:
            line = stream.readline().decode()
            seen += [line.split(": ")[1].strip()] if line.startswith("event: ") else []
        events.close()
        check("live events tell it", seen, ["run.waiting", "run.started", "step.started", "step.ended", "run.ended"])
        status, text = server.ask("GET", f"/api/v1/runs/{run['run']}")
        check("the run by its number", (status, steps(json.loads(text))),
              (200, {"one/build": "passed", "two/build": "skipped"}))
        status, text = server.ask("GET", f"/api/v1/runs/{run['run']}/log?service=one&step=build")
        check("the log of a step", status, 200)
        git("branch", "release/1")
        push("release/1")
        server.wait_for(new, "passed")
        wait_until("the branch that a pattern names has a run", lambda: server.runs("&branch=release/1"))
        git("branch", "other")
        push("other")
        put("dogshore.yml", "app: demo\nservices: 3\n")
        bad = commit("bad file")
        push("main")
        check_contains("a bad file ends its run with the place", server.wait_for(bad, "error")["reason"],
                       "dogshore.yml:2:11")
        check("a branch that is not followed has none", server.runs("&branch=other"), [])
        put("dogshore.yml", PROJECT)
        good = commit("good file")
        push("main")
        server.wait_for(good, "passed")
        other_engine_on_the_same_port(server)
    finally:
        check("SIGTERM ends it well", server.stop(), 0)


def other_engine_on_the_same_port(server):
    process = dogshore("serve", "--repository", str(ORIGIN), "--listen", f"127.0.0.1:{server.port}")
    check("a port in use: exit status", process.returncode, 3)
    check_contains("a port in use: what next", process.stderr, "choose another port")


def the_api_refuses_what_makes_no_sense():
    server = Server("--repository", ORIGIN)
    try:
        for method, path, headers, expected in [
                ("GET", "/healthz", {}, 200), ("GET", "/readyz", {}, 200), ("GET", "/", {}, 200),
                ("GET", "/nothing", {}, 404), ("POST", "/healthz", {}, 405), ("GET", "/api/v1/runs/999", {}, 404),
                ("GET", "/api/v1/runs/x", {}, 404), ("GET", "/api/v1/runs?limit=0", {}, 400),
                ("GET", "/api/v1/runs?limit=x", {}, 400), ("GET", "/api/v1/events?after=x", {}, 400),
                ("GET", "/api/v1/runs/1/log?service=..&step=..%2Fledger", {}, 404),
                ("GET", "/api/v1/runs/1/cancel", {}, 405), ("POST", "/api/v1/runs/1/cancel", {}, 409),
                ("POST", "/api/v1/runs/1/cancel", {"Origin": "http://evil.example"}, 403)]:
            check(f"{method} {path} {headers or ''}", server.ask(method, path, headers)[0], expected)
        metrics = server.ask("GET", "/metrics")[1]
        check_contains("metrics count runs", metrics, 'dogshore_runs_total{status="passed"} ')
        caught_up = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        caught_up.request("GET", "/api/v1/events", headers={"Last-Event-ID": "0"})
        stream = caught_up.getresponse()
        lines = [stream.readline().decode() for _ in range(4)]
        check("a listener catches up from the ledger", [line.strip() for line in lines if line.startswith("id:")],
              ["id: 1"])
        caught_up.close()
    finally:
        server.stop()


def slow_commit(name):
    """A commit whose build waits until there is a file; the sandbox sees only what is in the repository."""
    put("one/buildspec.yml", buildspec(f"echo {name}", "sleep 300"))
    return commit(name)


def a_run_is_cancelled_superseded_and_taken_over():
    server = Server("--repository", ORIGIN)
    try:
        slow = slow_commit("slow")
        push("main")
        run = server.wait_for(slow, "running")
        waiting = slow_commit("waiting")
        push("main")
        server.wait_for(waiting, "waiting")
        put("one/buildspec.yml", buildspec('"true"'))
        last = commit("last")
        push("main")
        check_contains("the one that waited is superseded", server.wait_for(waiting, "superseded")["reason"], last[:12])
        wait_until("the build has begun", lambda: any((HERE / "state/runs").glob(f"{run['run']}-*/one/build.lock")))
        check("kill -9", server.stop(signal.SIGKILL), -signal.SIGKILL)
        check("somebody else sees that nobody works on it",
              dogshore_json("show", str(run["run"]))["status"], "interrupted")
        server = Server("--repository", ORIGIN)
        check("the next engine takes it over", server.wait_for(slow, "running")["run"], run["run"])
        check("cancel asks the engine", dogshore("cancel", str(run["run"])).returncode, 0)
        server.wait_for(slow, "cancelled")
        check("and the last commit goes on", server.wait_for(last, "passed")["status"], "passed")
        slow = slow_commit("slow again")
        push("main")
        run = server.wait_for(slow, "running")
        check("cancel over HTTP", server.ask("POST", f"/api/v1/runs/{run['run']}/cancel")[0], 202)
        server.wait_for(slow, "cancelled")
        put("one/buildspec.yml", buildspec('"true"'))
        commit("the end")
        push("main")
        server.wait_for(git("rev-parse", "HEAD"), "passed")
    finally:
        server.stop()


def children_of(pid):
    """Process ids and command lines of the children."""
    found = {}
    for line in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found[int(line)] = Path(f"/proc/{line}/cmdline").read_bytes().decode().split("\0")[1:2]
    return found


def a_spare_process_that_dies_is_not_missed():
    server = Server("--repository", ORIGIN)
    try:
        server.wait_for(git("rev-parse", "HEAD"), "passed")
        spares = [pid for pid, words in children_of(server.process.pid).items() if words == ["spare"]]
        check("one process waits for the next stage", len(spares), 1)
        os.kill(spares[0], signal.SIGKILL)
        put("two/main.c", "int spare;")
        new = commit("without a spare")
        push("main")
        check("a stage starts without it", server.wait_for(new, "passed")["status"], "passed")
        wait_until("there is a new one", lambda: ["spare"] in children_of(server.process.pid).values())
        put("two/main.c", "int spare_again;")
        new = commit("with a spare")
        push("main")
        check("and with it", server.wait_for(new, "passed")["status"], "passed")
    finally:
        pid = server.process.pid
        spares = list(children_of(pid))
        server.stop()
        check("it ends with the engine", [p for p in spares if Path(f"/proc/{p}").exists()], [])


def a_remote_is_asked_at_intervals():
    server = Server("--remote", f"file://{ORIGIN}", "--interval", "50ms")
    try:
        put("two/main.c", "int remote;")
        new = commit("remote")
        push("main")
        check("what is pushed elsewhere is run", server.wait_for(new, "passed")["status"], "passed")
    finally:
        server.stop()


def two_runs_at_once_do_not_disturb_each_other():
    put("shared/x", "3")
    commit("both")
    processes = [subprocess.Popen([PROGRAM, "run", "--json"], cwd=WORK, env=ENVIRONMENT, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    results = [process.communicate(timeout=120) for process in processes]
    for process, (_, said) in zip(processes, results):
        if process.returncode != 0:
            note(said)
    check("all pass", [process.returncode for process in processes], [0, 0, 0, 0])
    check("each is a run of its own", len({json.loads(out)["run"] for out, _ in results}), 4)


def a_signal_cancels_a_run_in_the_foreground():
    slow_commit("foreground")
    process = subprocess.Popen([PROGRAM, "run"], cwd=WORK, env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    number = re.match(r"run (\d+)", line)[1]
    wait_until("the build has begun", lambda: any((HERE / "state/runs").glob(f"{number}-*/one/build.lock")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    check("exit status 5", process.returncode, 5)
    check("the ledger says so", dogshore_json("show", number)["status"], "cancelled")
    put("one/buildspec.yml", buildspec('"true"'))
    commit("quick again")


def a_damaged_or_locked_ledger_is_named():
    bad = HERE / "bad.db"
    bad.write_text("this is no database, whatever it is called; it is long enough to be looked at as one\n" * 20)
    before = bad.read_bytes()
    process = dogshore("run", "--ledger", f"sqlite:{bad}")
    check("damaged: exit status", process.returncode, 2)
    check_contains("damaged: its name", process.stderr, str(bad))
    check_contains("damaged: what next", process.stderr, "next:")
    check("damaged: left as it was", bad.read_bytes(), before)
    ledger = HERE / "locked.db"
    check("a ledger of its own", dogshore("run", "--ledger", f"sqlite:{ledger}").returncode, 0)
    other = sqlite3.connect(ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    process = dogshore("run", "--ledger", f"sqlite:{ledger}")
    other.execute("ROLLBACK")
    other.close()
    check("locked: exit status", process.returncode, 3)
    check_contains("locked: what next", process.stderr, "another process is writing to it")
    check("and afterwards it is as before", dogshore("run", "--ledger", f"sqlite:{ledger}").returncode, 0)


def a_full_disk_leaves_nothing_half_done():
    small = HERE / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", small], capture_output=True, check=False)
    if mounted.returncode != 0:
        skip("a full disk", "mounting a small file system needs root")
        return
    try:
        put("two/main.c", "int full;")
        commit("full")
        filler = small / "filler"
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(descriptor, b"x" * 4096):
                pass
        except OSError:
            os.close(descriptor)
        process = dogshore("run", "--state", str(small))
        check("it could not be done", process.returncode, 3)
        check_contains("and says why", process.stderr.lower(), "full" if "full" in process.stderr else "no space")
        check_contains("and what next", process.stderr, "free some space")
        filler.unlink()
        check("with space it is done", dogshore("run", "--state", str(small)).returncode, 0)
        runs = json.loads(dogshore("runs", "--state", str(small), "--json").stdout)["runs"]
        check("and nothing is left open", [run["status"] for run in runs if run["status"] != "passed"], [])
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def completions_name_commands_and_flags():
    script = dogshore("completion", "bash").stdout
    asked = """
_complete() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dogshore; printf '%s ' "${COMPREPLY[@]}"; echo; }
_complete dogshore ru
_complete dogshore image in
_complete dogshore run --j
"""
    answer = subprocess.run(["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=True).stdout
    lines = answer.splitlines()
    check("a command", sorted(lines[0].split()), ["run", "runs"])
    check("the second word", lines[1].split(), ["index", "inspect"])
    check("a flag", sorted(lines[2].split()), ["--jobs", "--json"])
    check("an unknown shell", dogshore("completion", "tcsh").returncode, 2)


run_tests(
    a_commit_is_planned_run_and_explained,
    a_plan_without_a_ledger_loads_no_database,
    a_failing_build_is_told_and_tried_again,
    wrong_words_have_an_answer,
    check_finds_everything_in_one_go,
    a_push_is_seen_and_run,
    the_api_refuses_what_makes_no_sense,
    a_run_is_cancelled_superseded_and_taken_over,
    a_spare_process_that_dies_is_not_missed,
    a_remote_is_asked_at_intervals,
    two_runs_at_once_do_not_disturb_each_other,
    a_signal_cancels_a_run_in_the_foreground,
    a_damaged_or_locked_ledger_is_named,
    a_full_disk_leaves_nothing_half_done,
    completions_name_commands_and_flags,
    ready=ready)
