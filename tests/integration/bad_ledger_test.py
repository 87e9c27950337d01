# parallel: yes
"""A ledger that is locked, damaged or no ledger; two runs on one ledger; runs that are interrupted or killed."""
import os
import shutil
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from scene import Result, wait_until  # noqa: E402,F401
from shop import check_error  # noqa: E402
from tap import check, check_contains, run_tests  # noqa: E402

stage = shop.Shop()
LEDGER = stage.state / "ledger.db"
BUILDS_ONLY = """\
app: shop
services:
  one: {path: one, image: {binary: out}}
  two: {path: two, image: {binary: out}}
"""
SLOW = "while [ ! -e go ]; do sleep 0.01; done"


def ready():
    stage.repository.mkdir()
    stage.put("dogshore.yml", BUILDS_ONLY)
    for service in ("one", "two"):
        (stage.repository / service).mkdir()
        stage.put(f"{service}/main.c", "int main(void) { return 0; }\n")
        stage.put(f"{service}/buildspec.yml", (shop.BUILDSPEC % "cc -static -o svc/out svc/main.c").replace("svc", service))
    stage.git("init", "-q", "-b", "main")
    stage.commit("two programs")
    stage.dogshore("run", expect=0)


def change(service, text, spec=None):
    stage.put(f"{service}/main.c", f"int main(void) {{ return 0; }} /* {text} */\n")
    if spec:
        stage.put(f"{service}/buildspec.yml", (shop.BUILDSPEC % spec).replace("svc", service))
    return stage.commit(text)


def a_locked_ledger():
    holder = sqlite3.connect(LEDGER, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    change("one", "while it is locked")
    before = stage.rows("SELECT count(*) FROM runs")
    check("reading goes on", stage.dogshore("runs").status, 0)
    check_error("a locked ledger", stage.dogshore("run"), 3, str(LEDGER), "locked", "fuser")
    holder.execute("ROLLBACK")
    holder.close()
    check("a locked ledger: no run was begun", stage.rows("SELECT count(*) FROM runs"), before)
    stage.check_nothing_half_done("a locked ledger")
    check("later it works", stage.dogshore("run").status, 0)


def a_server_whose_ledger_is_locked():
    """What could not be written is done when it can be, by the same server."""
    change("one", "served", f"{SLOW}; cc -static -o svc/out svc/main.c")
    said = stage.folder / "served"
    with open(said, "w", encoding="utf-8") as out:
        process = shop.scene.subprocess.Popen(
            [shop.scene.PROGRAM, "serve", "--listen", "127.0.0.1:0"], cwd=stage.repository, env=stage.environment,
            stdin=shop.scene.subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        run = wait_until("the build", lambda: stage.rows(
            "SELECT run FROM steps WHERE name = 'build' AND status = 'running'"))[0][0]
        source = wait_until("its folder", lambda: list(stage.work.glob("dogshore-build-*/src")))[0]
        holder = sqlite3.connect(LEDGER, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        (source / "go").touch()
        wait_until("the run to be given up", lambda: "was given up" in said.read_text(), 60)
        check("it is told as interrupted", stage.dogshore("show", str(run), expect=0).document["status"], "interrupted")
        change("one", "while the server cannot write", "cc -static -o svc/out svc/main.c")
        wait_until("the branch to be looked at in vain", lambda: "look at the repository" in said.read_text(), 60)
        holder.execute("ROLLBACK")
        holder.close()
        source = wait_until("the build again", lambda: list(stage.work.glob("dogshore-build-*/src")), 60)[0]
        (source / "go").touch()
        wait_until("both to end", lambda: len(stage.rows(
            f"SELECT 1 FROM runs WHERE id >= {run} AND ended_ms > 0")) == 2, 60)
        check("each went on once", stage.rows(f"SELECT subject, status FROM runs JOIN commits c ON c.id = commit_id "
                                              f"WHERE runs.id >= {run} ORDER BY runs.id"),
              [("served", "passed"), ("while the server cannot write", "passed")])
    finally:
        process.terminate()
        process.wait(30)
    stage.check_nothing_half_done("a server whose ledger is locked")


def damaged(what, damage, command="run"):
    """A copy of the ledger with this damage: told, left alone."""
    bad = stage.folder / "bad.db"
    for name in stage.folder.glob("bad.db*"):
        name.unlink()
    with closing(sqlite3.connect(LEDGER)) as good, closing(sqlite3.connect(bad)) as copy:
        good.backup(copy)
    content = damage(bytearray(bad.read_bytes()))
    bad.write_bytes(content)
    check_error(what, stage.dogshore(command, "--ledger", f"sqlite:{bad}"), 2, str(bad), "left as it is")
    check(f"{what}: the file is as it was", bad.read_bytes() == content)


def a_damaged_ledger():
    for command in ("run", "runs", "plan"):
        damaged(f"no database ({command})", lambda _: b"this has never been a ledger, it is a letter to a friend" * 9, command)
    damaged("a cut-off file", lambda content: content[:len(content) // 2 // 4096 * 4096])
    damaged("pages of noise", lambda content: content[:4096] + b"\xff" * (len(content) - 4096))


def a_ledger_that_cannot_be_opened():
    check_error("a folder", stage.dogshore("run", "--ledger", f"sqlite:{stage.folder}"), 3, str(stage.folder))
    check_error("no URL", stage.dogshore("runs", "--ledger", "ledger.db"), 2, '"ledger.db"', "sqlite:PATH")
    check_error("no ledger yet", stage.dogshore("runs", "--ledger", f"sqlite:{stage.folder}/none.db"), 3, "none.db", "dogshore run")
    check("asking made none", (stage.folder / "none.db").exists(), False)
    if os.geteuid() == 0:
        closed = stage.folder / "closed"
        closed.mkdir(mode=0o700)
        (closed / "ledger.db").touch()
        os.chmod(stage.folder, 0o755)
        # a copy: the checkout may lie in a home folder that is closed to others, as root's is
        program = shutil.copy(shop.scene.PROGRAM, stage.folder / "dogshore")
        process = shop.scene.subprocess.run(
            [program, "runs", "--ledger", f"sqlite:{closed}/ledger.db"], user=65534, group=65534,
            extra_groups=[], text=True, capture_output=True, check=False, cwd="/")
        check_error("somebody else's", Result(process), 3, f"{closed}/ledger.db")


def two_runs_at_once():
    change("one", "left", "cc -static -o svc/out svc/main.c")
    left = stage.git("rev-parse", "HEAD")
    stage.git("checkout", "-q", "-b", "other", "HEAD~1")
    change("two", "right")
    right = stage.git("rev-parse", "HEAD")
    stage.git("checkout", "-q", "main")
    ended = {}

    def bring(commit):
        ended[commit] = stage.dogshore("run", commit)

    threads = [threading.Thread(target=bring, args=(commit,)) for commit in (left, right)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("both runs pass", [ended[c].status for c in (left, right)], [0, 0])
    check("each is a run of its own", len({ended[c].document["run"] for c in (left, right)}), 2)
    for commit, service, other in ((left, "one", "two"), (right, "two", "one")):
        check(f"the run of {service} built {service}", ended[commit].step(service, "build").get("status"), "passed")
        check(f"and not {other}", ended[commit].step(other, "build").get("status") != "passed")
    stage.check_nothing_half_done("two runs at once")


def the_same_commit_twice_at_once():
    change("one", "twice")
    ended = []
    threads = [threading.Thread(target=lambda: ended.append(stage.dogshore("run"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("all three pass", [e.status for e in ended], [0, 0, 0])
    stage.check_nothing_half_done("one commit three times at once")


def begun(process):
    """The run whose build of one is under way."""
    def look():
        rows = stage.rows("SELECT run FROM steps WHERE name = 'build' AND status = 'running'")
        if process.poll() is not None:
            raise AssertionError(process.stderr.read())
        return rows and any("while" in line for line in stage.processes()) and rows[0][0]
    return wait_until("the build to run", look)


def a_signal_in_a_build():
    for number in (signal.SIGINT, signal.SIGTERM):
        what = f"{signal.Signals(number).name} in a build"
        change("one", what, SLOW)
        tags = len(list((stage.state / "images").rglob("index.json")))
        process = stage.start("run", "--json")
        run = begun(process)
        ended = stage.interrupt(process, number)
        check_error(what, ended, 5, "interrupted", f"run {run}")
        check(f"{what}: the document says so", ended.document["status"], "cancelled")
        shown = stage.dogshore("show", str(run), expect=0).document
        check(f"{what}: the ledger says so", (shown["status"], {s["status"] for s in shown["steps"] if s["service"] == "one"}),
              ("cancelled", {"cancelled"}))
        stage.check_nothing_half_done(what)
        check(f"{what}: no image was made", len(list((stage.state / "images").rglob("index.json"))), tags)
        stage.back()


def an_engine_that_is_killed():
    change("one", "killed", SLOW)
    process = stage.start("run")
    run = begun(process)
    process.kill()
    process.communicate()
    wait_until("its children to end with it", lambda: not stage.processes(), 20)
    shown = stage.dogshore("show", str(run), expect=0).document
    check("the run is told as interrupted", shown["status"], "interrupted")
    process = stage.start("run", "--json")
    check("the next run takes it over", begun(process), run)
    ended = stage.interrupt(process)
    check_contains("and says so", ended.said, "taken over")
    check("and can be ended in its turn", ended.status, 5)
    # the killed build's folder is removed by a build that comes a minute later
    check("nothing in the ledger is left open", stage.open_rows(), [])
    check("no process is left", stage.processes(), [])
    stage.back()


def a_power_cut():
    """What the file system had not written yet is gone: the log ends somewhere, even in the middle of a record."""
    with closing(sqlite3.connect(LEDGER)) as ledger:
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    known = stage.rows("SELECT max(id) FROM runs")[0][0]
    change("one", "before the cut", "cc -static -o svc/out svc/main.c")
    stage.dogshore("run", expect=0)
    log = LEDGER.with_name("ledger.db-wal")
    whole = log.read_bytes()
    check("the newest records are in the log alone", len(whole) > 4096)
    for share in (0, 0.3, 0.999):
        part = int(len(whole) * share)
        what = f"{part} of {len(whole)} bytes of the log"
        log.write_bytes(whole[:part])
        LEDGER.with_name("ledger.db-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(LEDGER)) as ledger:
            check(f"{what}: the database is whole", ledger.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        check(f"{what}: older runs are known", stage.rows("SELECT max(id) FROM runs")[0][0] >= known)
        ended = stage.dogshore("run")
        check(f"{what}: the commit is brought again", (ended.status, ended.document["status"]), (0, "passed"))
        stage.check_nothing_half_done(what)
        # as it was before the next cut
        with closing(sqlite3.connect(LEDGER)) as ledger:
            ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        change("one", what)
        stage.dogshore("run", expect=0)
        whole = log.read_bytes()


run_tests(
    a_locked_ledger, a_server_whose_ledger_is_locked, a_damaged_ledger, a_ledger_that_cannot_be_opened, two_runs_at_once, the_same_commit_twice_at_once,
    a_signal_in_a_build, a_power_cut, an_engine_that_is_killed, ready=ready)
