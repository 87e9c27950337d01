# parallel: yes
"""A service that is built as a batch: its tasks are steps of the run, each with log, artifacts and place in the order."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests, wait_until  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
WORK = HERE / "work"
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(HERE / "state"), "NO_COLOR": "1"}
repository = Repository(WORK)
git, put = repository.git, repository.put


def project(buildspec, files=None, name="one"):
    """Commits one service with this buildspec."""
    if not WORK.exists():
        WORK.mkdir()
        git("init", "-q", "-b", "main")
    subprocess.run(["rm", "-rf", *(p for p in WORK.iterdir() if p.name != ".git")], check=True)
    put("dogshore.yml", f"app: demo\nservices:\n  {name}: {{path: {name}, build: {{batch: true}}}}\n")
    put(f"{name}/buildspec.yml", buildspec)
    for path, text in (files or {}).items():
        put(path, text)
    repository.commit()


def dogshore(*words):
    return subprocess.run([PROGRAM, *words], cwd=WORK, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def dogshore_json(*words, status=0):
    process = dogshore(*words, "--json")
    if process.returncode != status:
        note(process.stderr)
    check(f"{' '.join(words)}: exit status", process.returncode, status)
    return json.loads(process.stdout)


def statuses(document):
    return {s["name"]: s["status"] for s in document["steps"]}


def reasons(document):
    return {s["name"]: s["reason"] for s in document["steps"]}


def folder(document, step):
    return Path(next(s["log"] for s in document["steps"] if s["name"] == step)).parent / step


def logs(document, step):
    return dogshore("logs", str(document["run"]), "one", step).stdout


LIST = """\
version: 0.2
batch:
  build-list:
    - identifier: gcc
      env: {variables: {COMPILER: gcc}}
    - identifier: clang
      env: {variables: {COMPILER: clang}}
phases:
  build:
    commands:
      - echo "$CODEBUILD_BATCH_BUILD_IDENTIFIER compiles with $COMPILER"
      - mkdir out; echo $COMPILER > out/$COMPILER; echo same > out/both
artifacts: {files: ["**/*"], base-directory: out}
"""


def list_and_its_artifacts():
    project(LIST)
    run = dogshore_json("run")
    check("each task is a step, then comes the build", statuses(run),
          {"build:gcc": "passed", "build:clang": "passed", "build": "passed"})
    for task in ("gcc", "clang"):
        check_contains(f"the log of {task}", logs(run, f"build:{task}"), f"{task} compiles with {task}")
        check(f"{task} has artifacts of its own", sorted(p.name for p in (folder(run, f"build:{task}") / "artifacts").iterdir()),
              sorted(["both", task]))
    merged = folder(run, "build") / "artifacts"
    check("the build has those of both", {p.name: p.read_text() for p in merged.iterdir()},
          {"both": "same\n", "gcc": "gcc\n", "clang": "clang\n"})
    check_contains("show names the tasks", dogshore("show", str(run["run"])).stdout, "build:clang  passed")
    again = dogshore_json("rerun", str(run["run"]), "--step", "build:gcc")
    check("a rerun restores each task", [r[:17] for n, r in sorted(reasons(again).items()) if ":" in n],
          ["restored from run"] * 2)
    wrong = dogshore("rerun", str(run["run"]), "--step", "build:icc")
    check("a task that is not there", (wrong.returncode, "has no step \"build:icc\"" in wrong.stderr), (2, True))


def a_revert_restores_all_tasks():
    def contents(document):
        found = {}
        for name in ("build:gcc", "build:clang", "build"):
            for path in folder(document, name).rglob("*"):
                found[f"{name}/{path.relative_to(folder(document, name))}"] = path.read_bytes() if path.is_file() else None
        return found

    random = LIST.replace("echo same > out/both", "head -c 32 /dev/urandom > out/$COMPILER")
    project(random)
    first = dogshore_json("run")
    project(random.replace("compiles", "builds"))
    dogshore_json("run")
    project(random)
    service = dogshore_json("plan")["services"][0]
    check("plan: restore", service["action"], "restore")
    check_contains("and from where", service["reason"], f"restored from run {first['run']}")
    back = dogshore_json("run")
    check("each task was restored", [r[:17] for n, r in sorted(reasons(back).items()) if ":" in n], ["restored from run"] * 2)
    was, now = contents(first), contents(back)
    # What merged them was this run, and says so.
    check("what each left, and what was merged, is the first's", [n for n in {*was, *now} if was.get(n) != now.get(n)],
          ["build/result.json"])


def one_task_by_hand():
    project(LIST)
    out = HERE / "by-hand"
    process = dogshore("build", "one", "--task", "clang", "--output", str(out), "--no-restore")
    check("build --task", process.returncode, 0)
    check("only that one", sorted(p.name for p in (out / "artifacts").iterdir()), ["both", "clang"])
    wrong = dogshore("build", "one", "--task", "clan")
    check("a task that is not there: exit status", wrong.returncode, 2)
    check_contains("its error", wrong.stderr, "did you mean \"clang\"?")
    whole = dogshore("build", "one")
    check("without a task: exit status", whole.returncode, 2)
    check_contains("its advice", whole.stderr, "--task ID")


def two_tasks_leave_the_same_path():
    project(LIST.replace("echo same", "echo $COMPILER"))
    run = dogshore_json("run", status=1)
    check("both were built", [statuses(run)[n] for n in ("build:gcc", "build:clang", "build")], ["passed", "passed", "failed"])
    check("the reason names both and the path", reasons(run)["build"],
          'the tasks "gcc" and "clang" left different artifacts with the name "both"')


def image_of_two_tasks():
    project("""\
version: 0.2
batch: {build-list: [{identifier: program}, {identifier: data}]}
phases:
  build:
    commands:
      - mkdir o
      - if [ $CODEBUILD_BATCH_BUILD_IDENTIFIER = data ]; then echo facts > o/facts.txt; else cp /bin/true o/one; fi
artifacts: {files: ["*"], base-directory: o}
""", {"dogshore.yml": "app: demo\nservices:\n  one: {path: one, build: {batch: true},"
                      " image: {binary: one, files: {facts.txt: /etc/facts.txt}}}\n"})
    run = dogshore_json("run")
    check("the image has the program of one and the file of the other", list(statuses(run).values()), ["passed"] * 4)
    again = dogshore_json("rerun", str(run["run"]))
    layout = HERE / "state" / "images" / "demo" / "one"
    tag = json.loads((layout / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    proof = dogshore("image", "prove", f"{layout}:{tag}", "--repository", str(WORK))
    check("and is made again, bit for bit", (proof.returncode, proof.stderr if proof.returncode else ""), (0, ""))
    check("what is there needs no tasks", set(statuses(again).values()) <= {"skipped"}, True)


GRAPH = """\
version: 0.2
batch:
  fast-fail: false
  build-graph:
    - {identifier: last, depend-on: [left, right]}
    - {identifier: left, depend-on: [first]}
    - {identifier: right, depend-on: [first]}
    - {identifier: first}
phases:
  build:
    commands:
      - %s
"""


def graph_goes_in_order():
    project(GRAPH % '"true"')
    run = dogshore_json("run", "--jobs", "2")
    check("all passed", set(statuses(run).values()), {"passed"})
    events = [(e["event"], e["step"]) for e in told(run)]
    check("first is over before left and right begin", events[:2], [("step.started", "build:first"), ("step.ended", "build:first")])
    check("both of them begin before one of them ends", sorted(events[2:4]),
          [("step.started", "build:left"), ("step.started", "build:right")])
    check("last begins when both are over", (sorted(events[4:6]), events[6:8]),
          ([("step.ended", "build:left"), ("step.ended", "build:right")],
           [("step.started", "build:last"), ("step.ended", "build:last")]))


def told(run):
    """The events of the run's steps, in the order in which the ledger has them."""
    with sqlite3.connect(HERE / "state" / "ledger.db") as ledger:
        rows = ledger.execute("SELECT name, fields FROM events WHERE run = ? ORDER BY id", (run["run"],)).fetchall()
    return [{"event": kind, **json.loads(fields)} for kind, fields in rows if kind.startswith("step.")]


def graph_with_a_failure():
    project(GRAPH % 'test $CODEBUILD_BATCH_BUILD_IDENTIFIER != left')
    run = dogshore_json("run", status=1)
    check("what depends on it is skipped, the other goes on", statuses(run),
          {"build:first": "passed", "build:left": "failed", "build:right": "passed", "build:last": "skipped", "build": "skipped"})
    check("with the reason", reasons(run)["build:last"], "build:left of one did not end well")
    check_contains("the run's reason", run["reason"], "build:left of one")


def failures_that_are_ignored():
    project(LIST.replace("    - identifier: gcc\n", "    - identifier: gcc\n      ignore-failure: true\n")
            .replace("    commands:\n", "    commands:\n      - test $COMPILER = clang\n"))
    run = dogshore_json("run")
    check("the build passes", statuses(run), {"build:gcc": "failed", "build:clang": "passed", "build": "passed"})
    check_contains("the failure is told", reasons(run)["build:gcc"], "ignored: ")
    check("its artifacts are left out", sorted(p.name for p in (folder(run, "build") / "artifacts").iterdir()), ["both", "clang"])


def fast_fail_ends_the_others():
    project("""\
version: 0.2
batch:
  fast-fail: true
  build-list: [{identifier: slow}, {identifier: bad}, {identifier: never}]
phases:
  build:
    commands:
      - if [ $CODEBUILD_BATCH_BUILD_IDENTIFIER = bad ]; then exit 3; else exec sleep 1000; fi
""")
    run = dogshore_json("run", "--jobs", "2", status=1)
    check("the one that runs is ended, the others do not start", statuses(run),
          {"build:slow": "cancelled", "build:bad": "failed", "build:never": "skipped", "build": "skipped"})
    check("why it was ended", reasons(run)["build:slow"], "build:bad failed, and fast-fail ends the others")
    check_contains("the run tells of the failure", run["reason"], "build:bad of one")


def matrix_of_variables():
    project("""\
version: 0.2
batch:
  build-matrix:
    dynamic:
      env:
        variables: {A: ["1", "2"], B: [x, y]}
phases: {build: {commands: ['mkdir o; echo > "o/$A$B"']}}
artifacts: {files: ["*"], base-directory: o}
""")
    run = dogshore_json("run")
    check("one task a combination", sorted(p.name for p in (folder(run, "build") / "artifacts").iterdir()), ["1x", "1y", "2x", "2y"])


FANOUT = """\
version: 0.2
batch: {build-fanout: {parallelism: %d}}
phases:
  build:
    commands:
      - mkdir o
      - >-
        codebuild-tests-run --files-search "codebuild-glob-search 'one/**/*_test.txt'"
        --test-command "printf '%%s\\\\n'" --sharding-strategy %s > o/$CODEBUILD_BATCH_BUILD_IDENTIFIER
artifacts: {files: ["*"], base-directory: o}
"""

FILES = {f"one/{d}/{n} '$x_test.txt" if n == "odd" else f"one/{d}/{n}_test.txt": "" for d in "abc" for n in ("q", "r", "odd")}


def fanout_takes_each_file_once():
    for parallelism, strategy in ((1, "equal-distribution"), (2, "equal-distribution"), (7, "equal-distribution"),
                                  (1, "stability"), (2, "stability"), (7, "stability")):
        project(FANOUT % (parallelism, strategy), {**FILES, "one/a/no_text.c": ""})
        run = dogshore_json("run")
        shards = [p.read_text().splitlines() for p in (folder(run, "build") / "artifacts").iterdir()]
        shards = [[line for line in shard if not line.startswith("codebuild-tests-run:")] for shard in shards]
        check(f"{parallelism} shards by {strategy}: each file once", sorted(line for shard in shards for line in shard), sorted(FILES))
        check("as many shards", len(shards), parallelism)
        if strategy == "equal-distribution":
            check("of the same size, by one", max(map(len, shards)) - min(map(len, shards)) <= 1, True)


def shard_files_as_a_variable():
    project("""\
version: 0.2
batch: {build-fanout: {parallelism: 1}}
phases:
  build:
    commands:
      - codebuild-tests-run --test-command='echo "$CODEBUILD_CURRENT_SHARD_FILES" | sed s/one/ONE/' --files-search='printf "one/b\\none/a\\n\\n"'
      - codebuild-tests-run --test-command 'exit 3' --files-search 'echo x' || echo "status $?"
      - codebuild-tests-run --test-command 'true' --files-search 'true' || echo "nothing $?"
      - codebuild-tests-run --test-command 'true' || echo "usage $?"
""")
    run = dogshore_json("run")
    said = logs(run, "build:shard_1")
    check_contains("one a line, sorted", said, "ONE/a\nONE/b\n")
    check_contains("the command's exit status", said, "status 3")
    check_contains("no files at all is an error", said, "nothing 1")
    check_contains("wrong use", said, "usage 2")


def batches_that_are_wrong():
    project(GRAPH.replace("{identifier: first}", "{identifier: first, depend-on: [last]}") % '"true"')
    run = dogshore("run")
    check("a cycle: exit status", run.returncode, 2)
    check_contains("with its place", run.stderr, "one/buildspec.yml:5:7: batch.build-graph[0].depend-on: The task \"last\" waits for itself")
    project("version: 0.2\nphases: {build: {commands: ['true']}}\n")
    check_contains("no batch section", dogshore("run").stderr, "has no batch section")
    project(LIST.replace("identifier: gcc\n", "identifier: gcc\n      buildspec: ../out.yml\n"))
    run = dogshore_json("run", status=2)
    check_contains("a buildspec outside of the source", reasons(run)["build:gcc"], "outside of the source")


def a_run_that_sleeps():
    """A run whose two tasks are at work; the second has not begun until the first has."""
    project("""\
version: 0.2
batch: {build-list: [{identifier: a}, {identifier: b}]}
phases: {build: {commands: ['echo "at work"', 'test -e one/quick || exec sleep 1000']}}
""")
    process = subprocess.Popen([PROGRAM, "run", "--jobs", "2", "--json"], cwd=WORK, env=ENVIRONMENT,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def at_work():
        newest = dogshore_newest()
        return newest if newest and list(statuses(newest).values())[:2] == ["running"] * 2 and all(
            "at work" in logs(newest, f"build:{t}") for t in "ab") else None
    return process, wait_until("both tasks run", at_work)


def dogshore_newest():
    runs = json.loads(dogshore("runs", "--json").stdout or "{}")
    rows = runs.get("runs", []) if isinstance(runs, dict) else runs
    if not rows:
        return None
    return json.loads(dogshore("show", str(rows[0]["run"]), "--json").stdout)


def tests_of_tasks():
    project("""\
version: 0.2
batch: {build-list: [{identifier: a}, {identifier: b}]}
phases:
  build:
    commands:
      - echo "<testsuite><testcase name='$CODEBUILD_BATCH_BUILD_IDENTIFIER'/><testcase name='both'/></testsuite>" > r.xml
reports: {unit: {files: [r.xml]}}
""")
    run = dogshore_json("run")
    told_of = dogshore_json("tests", str(run["run"]))
    check("the tests of each task", [(s["step"], s["tests"]["passed"]) for s in told_of["services"]], [("build:a", 2), ("build:b", 2)])
    check("and of all", told_of["tests"]["passed"], 4)
    check_contains("with their names", dogshore("tests", str(run["run"])).stdout, "one:b: tests: 2 passed")


READERS = """\
version: 0.2
batch:
  build-list:
    - {identifier: a}
    - {identifier: b}
phases:
  build:
    commands:
      - t=$CODEBUILD_BATCH_BUILD_IDENTIFIER; mkdir one/o
      - cc -MMD -Ilib -c -o one/o/$t one/$t.c
artifacts: {base-directory: one/o, files: [a, b]}
"""


def compile_with(buildspec):
    project(buildspec, {
        "dogshore.yml": "app: demo\nservices:\n  one: {path: one, uses: [lib], build: {batch: true}}\n",
        "one/a.c": '#include "both.h"\n#include "a.h"\nint one = A + BOTH;\n', "one/b.c": '#include "both.h"\n#include "b.h"\nint one = B + BOTH;\n',
        **{f"lib/{n}.h": f"#define {n.upper()} 1\n" for n in ("a", "b", "both", "unread")}})
    return dogshore_json("run")


def planned(header=None):
    if header:
        put(header, (WORK / header).read_text() + "/* edited */\n")
        git("add", "-A")
        git("commit", "-q", "-m", header)
    return next(s for s in dogshore_json("plan")["services"] if s["name"] == "one")


def read_by(run, step):
    return json.loads((folder(run, step) / "reads.json").read_text())


def what_no_task_read_is_no_change():
    run = compile_with(READERS)
    check("each task has what it read", [read_by(run, f"build:{t}") for t in "ab"], [{"files": ["lib/a.h", "lib/both.h"]}, {"files": ["lib/b.h", "lib/both.h"]}])
    check("the build all of it, once", read_by(run, "build"), {"files": ["lib/a.h", "lib/b.h", "lib/both.h"]})
    row = planned("lib/unread.h")
    check("what nobody read is narrowed", (row["action"], row["unread"]), ("skip", ["lib/unread.h"]))
    for header in ("lib/a.h", "lib/b.h", "lib/both.h"):
        check(f"{header} is not", planned(header)["action"], "build")
        run = dogshore_json("run")
        check("what is built reads the same", read_by(run, "build"), {"files": ["lib/a.h", "lib/b.h", "lib/both.h"]})
    check("and narrows again", planned("lib/unread.h")["action"], "skip")


def tasks_that_are_restored_have_read_the_same():
    run = compile_with(READERS + "# to be restored\n")
    again = dogshore_json("rerun", str(run["run"]), "--step", "one/build:a")
    check("both are restored", [reasons(again)[f"build:{t}"][:13] for t in "ab"], ["restored from"] * 2)
    check("with what they read", read_by(again, "build"), {"files": ["lib/a.h", "lib/b.h", "lib/both.h"]})
    check("which narrows", planned("lib/unread.h")["action"], "skip")


def what_a_task_read_is_unknown():
    """Then that of the whole is: one task without dependency files, one that failed and may."""
    for change, why in (
            (("cc -MMD", "cc $(test $t = b || echo -MMD)"), 'of task "b": it left no dependency files of a compiler'),
            (("{identifier: b}", "{identifier: b, ignore-failure: true}"), 'of task "b": it did not pass')):
        buildspec = READERS.replace(*change)
        if "ignore" in change[1]:
            buildspec = buildspec.replace("artifacts:", "      - test $t = a\nartifacts:")
        run = compile_with(buildspec)
        check(f"{why}: told", read_by(run, "build"), {"unknown": why})
        check("what is there is there", planned()["action"], "skip")
        check("any change builds", planned("lib/unread.h")["action"], "build")


def cancelled():
    process, run = a_run_that_sleeps()
    dogshore("cancel", str(run["run"]))
    process.communicate()
    check("exit status", process.returncode, 5)
    run = dogshore_newest()
    check("all steps are cancelled", set(statuses(run).values()), {"cancelled"})


def taken_over():
    process, run = a_run_that_sleeps()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    follower = subprocess.Popen([PROGRAM, "run", "--jobs", "2", "--json"], cwd=WORK, env=ENVIRONMENT,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def again():
        show = json.loads(dogshore("show", str(run["run"]), "--json").stdout)
        tasks = [s for s in show["steps"] if ":" in s["name"]]
        return all(s["attempts"] == 2 and s["status"] == "running" for s in tasks)
    wait_until("the tasks run again", again)
    dogshore("cancel", str(run["run"]))
    follower.communicate()
    check("the run was taken over and could be cancelled", follower.returncode, 5)


run_tests(list_and_its_artifacts, a_revert_restores_all_tasks, one_task_by_hand, two_tasks_leave_the_same_path, image_of_two_tasks, graph_goes_in_order, graph_with_a_failure,
           failures_that_are_ignored, fast_fail_ends_the_others, matrix_of_variables, fanout_takes_each_file_once,
           shard_files_as_a_variable, batches_that_are_wrong, tests_of_tasks,
          what_no_task_read_is_no_change, tasks_that_are_restored_have_read_the_same, what_a_task_read_is_unknown,
          cancelled, taken_over)
