# parallel: yes
"""`dogshore buildspec run` with more than one source, and of batches."""
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
SOURCE = HERE / "source"
put = Repository(HERE).put


def dogshore(*words, command="run"):
    return subprocess.run([PROGRAM, "buildspec", command, *map(str, words)], cwd=HERE, capture_output=True, text=True, check=False,
                          env={**os.environ, "DOGSHORE_STATE": str(HERE / "state"), "NO_COLOR": "1"})


def batch(*words, status=0):
    ran = dogshore("--source", SOURCE, "--batch", *words, "--json")
    if ran.returncode != status:
        note(ran.stderr)
    check(f"{' '.join(map(str, words))}: exit status", ran.returncode, status)
    return json.loads(ran.stdout)


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


# ---- secondary sources

SOURCES = """\
version: 0.2
phases:
  build:
    commands:
      - echo "in $PWD, one in $CODEBUILD_SRC_DIR_one"
      - cat $CODEBUILD_SRC_DIR_one/what $CODEBUILD_SRC_DIR_two_2/what
      - cd $CODEBUILD_SRC_DIR_one; echo made > sub/made; rm what
      - test "$(cat $CODEBUILD_SRC_DIR_one/sub/made)" = made
      - echo "<testsuite><testcase name='t'/></testsuite>" > $CODEBUILD_SRC_DIR_one/r.xml
artifacts:
  files: ['**/*']
  secondary-artifacts:
    all: {base-directory: $CODEBUILD_SRC_DIR, files: [what]}
    one: {base-directory: $CODEBUILD_SRC_DIR_one/sub, files: ['**/*']}
reports:
  unit: {base-directory: $CODEBUILD_SRC_DIR_one, files: [r.xml]}
"""


def builds_find_secondary_sources():
    put("source/buildspec.yml", SOURCES)
    put("source/what", "the primary\n")
    put("one/what", "the first\n")
    put("one/sub/kept", "")
    put("two/what", "the second\n")
    for where, flags in (("/codebuild/secondary/one", []), ("/secondary/one", ["--no-sandbox"])):
        out = HERE / f"out{len(flags)}"
        ran = dogshore("--source", SOURCE, "--secondary-source", "one=one", "--secondary-source", f"two_2={HERE}/two",
                       "--artifacts", out, "--json", *flags)
        if ran.returncode:
            note(ran.stderr)
        check("the build is done", ran.returncode, 0)
        check_contains("commands read them", ran.stderr, "the first\nthe second\n")
        check("and start in the primary one", any(l.startswith("in /") and "secondary" not in l.split(",")[0] and l.endswith(where)
                                                  for l in ran.stderr.splitlines()))
        check("artifacts come from the primary one", files_of(out / "primary"), ["buildspec.yml", "what"])
        check("which may be named", files_of(out / "all"), ["what"])
        check("or from the one named", files_of(out / "one"), ["kept", "made"])
        check("so do reports", json.loads(ran.stdout)["reports"][0]["totals"]["passed"], 1)
        check("the folder itself stays as it is", files_of(HERE / "one"), ["sub/kept", "what"])


def a_secondary_source_is_explained():
    put("source/buildspec.yml", SOURCES)
    told = json.loads(dogshore("--source", SOURCE, "--secondary-source", "one=one", "--json", command="explain").stdout)
    check("with its place", [(v["value"], v["origin"]) for v in told["environment"] if v["name"] == "CODEBUILD_SRC_DIR_one"],
          [("/codebuild/secondary/one", "built-in")])


def secondary_sources_that_are_wrong():
    put("source/buildspec.yml", SOURCES)
    put("one/what", "")
    one_too_many = [w for i in range(13) for w in ("--secondary-source", f"s{i}=one")]
    for words, status, message in (
            (["--secondary-source", "one"], 2, 'the secondary source "one" is not ID=DIR'),
            (["--secondary-source", "o-n-e=one"], 2, "letters, digits"),
            (["--secondary-source", "one=one", "--secondary-source", "one=two"], 2, 'the secondary source "one" is given twice'),
            (one_too_many, 2, 'at most 12 secondary sources, and "s12" is one more'),
            (["--secondary-source", "one=nowhere"], 3, 'there is no folder "nowhere"'),
            (["--secondary-source", "one=one/what"], 3, 'there is no folder "one/what"')):
        ran = dogshore("--source", SOURCE, *words)
        check(f"{' '.join(words[:4])}: exit status", ran.returncode, status)
        check_contains("and why", ran.stderr, message)
        check("nothing has run", "Entering phase" in ran.stderr, False)


# ---- batches

GRAPH = """\
version: 0.2
batch:
  build-graph:
    - {identifier: last, depend-on: [left, right]}
    - {identifier: left, depend-on: [first]}
    - {identifier: right, depend-on: [first], env: {variables: {WHO: task}}}
    - {identifier: first}
env: {variables: {WHO: file}, exported-variables: [WHO]}
phases:
  build:
    commands:
      - echo "$CODEBUILD_BATCH_BUILD_IDENTIFIER of $WHO" > what
      - test -e untouched && rm untouched
      - echo "<testsuite><testcase name='t'/></testsuite>" > r.xml
      - test $CODEBUILD_BATCH_BUILD_IDENTIFIER != "$BAD"
artifacts: {files: [what], secondary-artifacts: {second: {files: [r.xml]}}}
reports: {unit: {files: [r.xml]}}
"""


def told(document):
    return {t["identifier"]: t["status"] for t in document["tasks"]}


def tasks_run_in_order():
    put("source/buildspec.yml", GRAPH)
    put("source/untouched", "")
    out, reports = HERE / "graph", HERE / "reports"
    document = batch("--artifacts", out, "--reports", reports)
    check("all of them", (document["status"], told(document)), ("SUCCEEDED", dict.fromkeys(("first", "left", "right", "last"), "SUCCEEDED")))
    check("in the order of the graph", list(told(document)), ["first", "left", "right", "last"])
    check("its kind", (document["kind"], document["fast_fail"]), ("build-graph", False))
    check("each has artifacts of its own", {p: (out / p).read_text() for p in files_of(out) if p.endswith("what")},
          {f"{t}/primary/what": f"{t} of {'task' if t == 'right' else 'file'}\n" for t in told(document)})
    check("secondary ones, too", files_of(out / "left"), ["primary/what", "second/r.xml"])
    check("and reports", files_of(reports / "left"), ["reports.jsonl", "reports/unit/r.xml"])
    alone = json.loads(dogshore("--source", SOURCE, "--json").stdout)
    check("and what is told of a build alone", sorted(set(alone) - set(document["tasks"][0])), [])
    check("with places from the artifact folder", [a["dir"] for a in document["tasks"][2]["artifacts"]], ["right/primary", "right/second"])
    check("and its variables", [t["exported_variables"]["WHO"] for t in document["tasks"]], ["file", "file", "task", "file"])


def tasks_that_fail():
    put("source/buildspec.yml", GRAPH)
    put("source/untouched", "")
    document = batch("--env", "BAD=left", status=1)
    check("what depends on it is skipped", (document["status"], told(document)),
          ("FAILED", {"first": "SUCCEEDED", "left": "FAILED", "right": "SUCCEEDED", "last": "SKIPPED"}))
    check("why", document["tasks"][3]["reason"], "left did not end well")
    check("with the phase", [p["name"] for p in document["tasks"][1]["phases"] if p["status"] == "FAILED"], ["BUILD"])
    ran = dogshore("--source", SOURCE, "--batch", "--env", "BAD=left")
    check_contains("the error names it", ran.stderr, 'error: task "left" failed: ')
    check_contains("for reading", ran.stdout, "last: skipped\n  left did not end well\nbatch failed in ")
    put("source/buildspec.yml", GRAPH.replace("depend-on: [first]}", "depend-on: [first], ignore-failure: true}"))
    document = batch("--env", "BAD=left")
    check("a failure that may be", (document["status"], told(document)["left"], told(document)["last"]), ("SUCCEEDED", "FAILED", "SUCCEEDED"))
    check_contains("is told", document["tasks"][1]["reason"], "ignored: ")


def a_task_alone():
    put("source/buildspec.yml", GRAPH)
    put("source/untouched", "")
    out = HERE / "alone"
    ran = dogshore("--source", SOURCE, "--task", "right", "--artifacts", out, "--json")
    check("it is built", (ran.returncode, json.loads(ran.stdout)["status"]), (0, "SUCCEEDED"))
    check("as a build alone is", (out / "primary/what").read_text(), "right of task\n")
    ran = dogshore("--source", SOURCE, "--task", "right", "--env", "WHO=flag", "--artifacts", out)
    check("flags win over the task's variables", (ran.returncode, (out / "primary/what").read_text()), (0, "right of flag\n"))


def shards_share_the_work():
    put("source/buildspec.yml", """\
version: 0.2
batch: {build-fanout: {parallelism: 3}}
phases: {build: {commands: ["codebuild-tests-run --files-search 'seq 7' --test-command 'printf %s,' > o"]}}
artifacts: {files: [o]}
""")
    out = HERE / "shards"
    document = batch("--artifacts", out)
    check("three of them", list(told(document)), ["shard_1", "shard_2", "shard_3"])
    taken = ",".join((out / f"shard_{i}/primary/o").read_text().splitlines()[-1] for i in (1, 2, 3)).split(",")
    check("each file once", sorted(t for t in taken if t), list("1234567"))


def buildspecs_of_tasks():
    put("source/buildspec.yml", "version: 0.2\nbatch: {build-matrix: {dynamic: {buildspec: [one.yml, sub/two.yml]}}}\n")
    put("source/one.yml", "version: 0.2\nphases: {build: {commands: ['true']}}\n")
    put("source/sub/two.yml", "version: 0.2\nphases: {build: {commands: ['pwd; true']}}\n")
    document = batch()
    check("each has its own", [(t["identifier"], t["buildspec"]) for t in document["tasks"]], [("matrix_1", "one.yml"), ("matrix_2", "sub/two.yml")])
    put("source/sub/two.yml", "version: 0.2\nphasse: 1\n")
    document = batch(status=2)
    check("one that is wrong", (document["status"], told(document)), ("FAILED", {"matrix_1": "SUCCEEDED", "matrix_2": "FAILED"}))
    check("with its place", document["tasks"][1]["error"]["code"], "YAML_FILE_ERROR")
    put("source/buildspec.yml", "version: 0.2\nbatch: {build-list: [{identifier: a, buildspec: ../one.yml}]}\n")
    document = batch(status=2)
    check("one outside", (document["status"], told(document)), ("FAULT", {"a": "FAULT"}))
    check_contains("and why", document["tasks"][0]["reason"], 'the buildspec "../one.yml" of task "a" in buildspec.yml is outside of the source')


def only_a_batch_section():
    put("source/sub/two.yml", "version: 0.2\nphases: {build: {commands: ['true']}}\n")
    put("source/buildspec.yml", "version: 0.2\nbatch: {build-list: [{identifier: a, buildspec: sub/two.yml}]}\n")
    hint = "warning: only the tasks of the batch section would run something"
    check_contains("run as one build: the log says that nothing is run", dogshore("--source", SOURCE).stderr, hint)
    check("not for the batch", hint in dogshore("--source", SOURCE, "--batch").stderr, False)
    put("source/buildspec.yml", GRAPH)
    check("nor where there are commands", hint in dogshore("--source", SOURCE).stderr, False)


def batches_that_cannot_run():
    put("source/plain.yml", "version: 0.2\nphases: {build: {commands: ['true']}}\n")
    put("source/wrong.yml", "version: 0.2\nbatch: {build-list: [{identifier: a}, {identifier: a}]}\nphases: {}\n")
    put("source/buildspec.yml", GRAPH)
    for words, message in (
            (["--batch", "--buildspec", "plain.yml"], "plain.yml has no batch section"),
            (["--batch", "--buildspec", "wrong.yml"], "wrong.yml:2:"),
            (["--batch", "--buildspec", "none.yml"], "none.yml: YAML file does not exist"),
            (["--batch", "--task", "left"], "--batch and --task exclude each other"),
            (["--task", "lef"], 'did you mean "left"?')):
        ran = dogshore("--source", SOURCE, *words)
        check(f"{' '.join(words)}: exit status", ran.returncode, 2)
        check_contains("and why", ran.stderr, message)


def tasks_that_take_too_long():
    put("source/buildspec.yml", """\
version: 0.2
batch: {build-list: [{identifier: a}, {identifier: b}]}
phases: {build: {commands: ['exec sleep 1000']}}
""")
    document = batch("--timeout", "500ms", status=6)
    check("each is ended", (document["status"], told(document)), ("TIMED_OUT", {"a": "TIMED_OUT", "b": "TIMED_OUT"}))


def a_batch_is_cancelled():
    put("source/buildspec.yml", """\
version: 0.2
batch: {build-list: [{identifier: a}, {identifier: b}]}
phases: {build: {commands: ['echo "at work"; exec sleep 1000']}}
""")
    process = subprocess.Popen([PROGRAM, "buildspec", "run", "--source", SOURCE, "--batch", "--json"], cwd=HERE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line == "at work\n":
            break
    process.send_signal(signal.SIGTERM)
    said, log = process.communicate()
    check("exit status", process.returncode, 5)
    document = json.loads(said)
    check("what ran and what did not", (document["status"], told(document)), ("STOPPED", {"a": "STOPPED", "b": "STOPPED"}))
    check("the second was not begun", "Running task b" in log, False)


# ---- the same as the engine

def random_batch(chance):
    """A graph of tasks, some of which fail, may fail, or wait for others; what comes of it is for two programs to say."""
    tasks = []
    for number in range(chance.randrange(2, 7)):
        words = [f"identifier: t{number}"]
        before = [f"t{i}" for i in range(number) if chance.random() < 0.3]
        words += [f"depend-on: [{', '.join(before)}]"] if before else []
        words += ["ignore-failure: true"] if chance.random() < 0.4 else []
        words += ["env: {variables: {STATUS: '1'}}"] if chance.random() < 0.4 else []
        tasks.append("{" + ", ".join(words) + "}")
    chance.shuffle(tasks)
    return (f"version: 0.2\nbatch:\n  fast-fail: {chance.choice(['true', 'false'])}\n  build-graph:\n" +
            "".join(f"    - {t}\n" for t in tasks) + "env: {variables: {STATUS: '0'}}\nphases: {build: {commands: [exit $STATUS]}}\n")


def the_engine_comes_to_the_same():
    words = {"passed": "SUCCEEDED", "failed": "FAILED", "skipped": "SKIPPED"}
    work = HERE / "work"
    put("work/dogshore.yml", "app: demo\nservices:\n  one: {path: ., build: {batch: true}}\n")
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    for seed in range(6):
        text = random_batch(random.Random(seed))
        put("work/buildspec.yml", text)
        put("source/buildspec.yml", text)
        subprocess.run(["git", "-C", work, "add", "-A"], check=True)
        subprocess.run(["git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "x"], check=True)
        ran = subprocess.run([PROGRAM, "run", "--jobs", "1", "--json"], cwd=work, capture_output=True, text=True, check=False,
                             env={**os.environ, "DOGSHORE_STATE": str(HERE / "state")})
        steps = {s["name"][6:]: words[s["status"]] for s in json.loads(ran.stdout)["steps"] if ":" in s["name"]}
        alone = dogshore("--source", SOURCE, "--batch", "--json")
        if not check(f"batch {seed}: as the engine runs it", (alone.returncode, told(json.loads(alone.stdout))), (ran.returncode, steps)):
            note(text)


run_tests(builds_find_secondary_sources, a_secondary_source_is_explained, secondary_sources_that_are_wrong, tasks_run_in_order,
          tasks_that_fail, a_task_alone, shards_share_the_work, buildspecs_of_tasks, only_a_batch_section, batches_that_cannot_run, tasks_that_take_too_long,
          a_batch_is_cancelled, the_engine_comes_to_the_same)
