# parallel: yes
"""The same build is made once: a revert, a rerun and another branch restore what it made, byte by byte.

Every build here leaves random bytes, so that one that was made again would show.
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
WORK, STATE = HERE / "work", HERE / "state"
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(STATE), "NO_COLOR": "1"}

PROJECT = """\
app: demo
services:
  one: {path: one, uses: [shared]}
  web:
    path: web
    image: {binary: web, port: %d}
"""
BUILDSPEC = """\
version: 0.2
phases:
  build:
    commands:
      - head -c 32 /dev/urandom | od -An -tx1 | tee one/out/random
      - echo "built $FLAVOUR"
      - chmod 0750 one/out/tool
artifacts:
  base-directory: one/out
  files: ["**/*"]
  secondary-artifacts:
    notes: {base-directory: one, files: [notes.txt], name: notes}
"""
WEB = """\
version: 0.2
phases:
  build:
    commands:
      - head -c 16 /dev/urandom >web/salt
      - cp web/main web/web; cat web/salt >>web/web
      - printf '<testsuite name="web"><testcase name="salt" time="0.25"/></testsuite>' >web/report.xml
      - od -An -tx1 web/salt
reports: {unit: {base-directory: web, files: [report.xml]}}
artifacts: {base-directory: web, files: [web]}
"""


repository = Repository(WORK)
git, put, commit = repository.git, repository.put, repository.commit


def dogshore(*words, status=0, **environment):
    process = subprocess.run([PROGRAM, *words, "--json"], cwd=WORK, env=ENVIRONMENT | environment,
                             capture_output=True, text=True, check=False)
    if not check(f"{' '.join(words)}: exit status", process.returncode, status):
        note(process.stdout + process.stderr)
    return json.loads(process.stdout or "{}"), process.stderr


def run(*words):
    return dogshore(*(words or ("run",)))[0]


def plan():
    return {s["name"]: (s["action"], s["reason"]) for s in dogshore("plan")[0]["services"]}


def step(document, service, name="build"):
    return next(s for s in document["steps"] if (s["service"], s["name"]) == (service, name))


def printed(document, service):
    """What `logs` shows of what the build's commands printed."""
    return subprocess.run([PROGRAM, "logs", str(document["run"]), service, "build"], cwd=WORK, env=ENVIRONMENT,
                          capture_output=True, text=True, check=True).stdout


def tree(folder):
    """Paths with kind, permission bits and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[name] = (oct(path.lstat().st_mode), content)
    return found


def output(document, service="one"):
    """The folder that the build of a run left."""
    return Path(step(document, service)["log"]).parent / "build"


def the_first_build_is_made():
    global FIRST, FIRST_COMMIT
    WORK.mkdir()
    git("init", "-q", "-b", "main")
    put("dogshore.yml", PROJECT % 8080)
    put("one/buildspec.yml", BUILDSPEC)
    put("one/out/tool", "a tool")
    put("one/notes.txt", "notes")
    put("web/buildspec.yml", WEB)
    put("shared/x.h", "#define X 1\n")
    (WORK / "one/out/link").symlink_to("tool")
    source = HERE / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-static", "-o", WORK / "web/main", source], check=True)
    FIRST_COMMIT = commit("first")
    check("plan: nothing is known", {n: a for n, (a, _) in plan().items()}, {"one": "build", "web": "build"})
    FIRST = run()
    check("it was built", step(FIRST, "one")["reason"], "")
    check("its result does not speak of restoring", "restored" in step(FIRST, "one")["result"], False)


def a_revert_restores():
    put("shared/x.h", "#define X 2\n")
    commit("second")
    second = run()
    check("another header, another build", tree(output(second)) != tree(output(FIRST)))
    put("shared/x.h", "#define X 1\n")
    reverted = commit("revert")
    said = f"restored from run {FIRST['run']}, commit {FIRST_COMMIT[:12]}"
    action, reason = plan()["one"]
    check("plan: restore", action, "restore")
    check_contains("and from where", reason, said)
    third = run()
    build = step(third, "one")
    check("the step passed", build["status"], "passed")
    check("and says where it comes from", build["reason"], said)
    check("artifacts, secondary artifacts, log and result are the first's", tree(output(third)), tree(output(FIRST)))
    check("the result is this commit's, restored from the first",
          (build["result"]["commit"], build["result"]["restored"]["commit"], build["result"]["restored"]["run"]),
          (reverted, FIRST_COMMIT, FIRST["run"]))
    shown = dogshore("show", str(third["run"]))[0]
    check("show says so", step(shown, "one")["reason"], said)
    log = Path(build["log"]).read_text()
    check("the step's log begins with it", log.splitlines()[0].startswith(said))
    check("what was printed is the first's", Path(build["output"]).read_bytes(),
          Path(step(FIRST, "one")["output"]).read_bytes())


def a_rerun_restores():
    again = dogshore("rerun", str(FIRST["run"]), "--step", "one/build")[0]
    check_contains("it says so", step(again, "one")["reason"], "restored from run")
    check("the same bytes", tree(output(again)), tree(output(FIRST)))


def another_branch_with_the_same_trees_restores():
    put("shared/x.h", "#define X 3\n")
    put("web/README", "y")
    commit("third")
    run()
    git("checkout", "-q", "-b", "other", FIRST_COMMIT)
    put("README", "of no service")
    commit("other")
    branch = run()
    for service in ("one", "web"):
        check_contains(f"{service}: its run restores", step(branch, service)["reason"], f"restored from run {FIRST['run']}, commit")
        check(f"{service}: artifacts, reports, log and result are the first's", tree(output(branch, service)), tree(output(FIRST, service)))
    check("no image is made again", step(branch, "web", "image")["status"], "skipped")
    out = HERE / "other"
    document, said = dogshore("build", "one", "--output", str(out))
    check("build by hand restores", document["restored"]["commit"], FIRST_COMMIT)
    files = tree(out)
    # A person gets the log as plain text, too.
    _, plain = files.pop("build.log")
    check("the same bytes", files, tree(output(FIRST)))
    check("and the log as text", plain, subprocess.run(
        ["zstd", "-dc", out / "build.log.zst"], capture_output=True, check=True).stdout)
    check_contains("and says so", said, "restored from run")
    git("checkout", "-q", "main")
    git("revert", "--no-edit", "HEAD")
    run()


def what_a_build_is_given_counts():
    document, _ = dogshore("build", "one", "--output", str(HERE / "flavoured"), "--env", "FLAVOUR=x")
    check("another variable, another build", "restored" in document, False)
    document, _ = dogshore("build", "one", "--output", str(HERE / "flavoured"), "--env", "FLAVOUR=x")
    check("the same one again", "restored" in document)
    (HERE / "secrets.json").write_text("{}")
    for _ in range(2):
        document, _ = dogshore("build", "one", "--output", str(HERE / "secret"), "--secrets-file", str(HERE / "secrets.json"))
        check("with secrets nothing is kept", "restored" in document, False)


def building_anew_can_be_asked_for():
    again = dogshore("rerun", str(FIRST["run"]), "--step", "one/build", "--no-restore")[0]
    check("it was built", step(again, "one")["reason"], "")
    check("its bytes are new", tree(output(again)) != tree(output(FIRST)))
    document, _ = dogshore("build", "one", "--output", str(HERE / "anew"), "--no-restore")
    check("build --no-restore builds", "restored" in document, False)
    restored, _ = dogshore("build", "one", "--output", str(HERE / "newest"))
    check("and what it made is what is kept now", restored["restored"]["commit"], document["commit"])
    check("byte by byte", tree(HERE / "newest"), tree(HERE / "anew"))


def an_image_that_is_there_is_taken_with_what_its_build_made():
    put("web/README", "x")
    commit("web")
    second = run()
    check("another file, another build", tree(output(second, "web")) != tree(output(FIRST, "web")))
    (WORK / "web/README").unlink()
    commit("web: revert")
    action, reason = plan()["web"]
    check("plan: restore", action, "restore")
    check_contains("and that the image is there", reason, f"restored from run {FIRST['run']}, commit {FIRST_COMMIT[:12]}, with its image")
    back = run()
    check("artifacts, reports, log and result are the first's", tree(output(back, "web")), tree(output(FIRST, "web")))
    check_contains("the build says so", step(back, "web")["reason"], "restored from run")
    check("no image was made", (step(back, "web", "image")["status"], step(back, "web", "image")["reason"]),
          ("skipped", "it was made before, of the same build"))
    tests, = dogshore("tests", str(back["run"]))[0]["services"]
    check("the run has its tests", (tests["service"], tests["tests"]["passed"]), ("web", 1))
    check_contains("and its log", printed(back, "web"), printed(FIRST, "web").strip())
    (STATE / "store").rename(STATE / "away")
    put("web/README", "x")
    commit("web again")
    action, reason = plan()["web"]
    check("an image whose build is not kept is reused", action, "reuse")
    check_contains("for it is the same", reason, "built before with the same inputs")
    check("nothing is restored", step(run(), "web")["status"], "skipped")
    (STATE / "away").rename(STATE / "store")
    (WORK / "web/README").unlink()
    commit("web: back")
    run()


def an_image_that_is_lost_is_packed_again():
    image = step(FIRST, "web", "image")["result"]["digest"]
    shutil.rmtree(STATE / "images")
    put("web/README", "x")
    commit("web")
    run()
    (WORK / "web/README").unlink()
    commit("back")
    shutil.rmtree(STATE / "images")
    check("plan: restore, for there is no image", plan()["web"][0], "restore")
    back = run()
    check_contains("the build was restored", step(back, "web")["reason"], "restored from run")
    check("the image came out the same", step(back, "web", "image")["result"]["digest"], image)
    put("dogshore.yml", PROJECT % 9090)
    commit("another port")
    ported = run()
    check_contains("a setting of the image alone does not build", step(ported, "web")["reason"], "restored from run")
    check("it packs", step(ported, "web", "image")["status"], "passed")


def what_is_broken_is_built_again():
    kept, said = dogshore("build", "one", "--output", str(HERE / "kept"))
    check("it is kept", "restored" in kept)
    for blob in (STATE / "store/blobs").glob("*/*"):
        if blob.read_bytes() == (HERE / "kept/artifacts/random").read_bytes():
            blob.chmod(0o600)
            blob.write_bytes(b"something else")
    built, said = dogshore("build", "one", "--output", str(HERE / "built"))
    check("a changed blob is a miss", "restored" in built, False)
    check_contains("that is told", said, "artifacts/random")
    restored, _ = dogshore("build", "one", "--output", str(HERE / "restored"))
    check("and healed", "restored" in restored)


def the_store_has_a_limit():
    dogshore("build", "one", "--output", str(HERE / "x"), status=2, DOGSHORE_STORE_LIMIT="much")
    document, _ = dogshore("build", "one", "--output", str(HERE / "x"), "--no-restore", DOGSHORE_STORE_LIMIT="0")
    check("0 keeps nothing", "restored" in document, False)
    _, said = dogshore("build", "one", "--output", str(HERE / "x"), "--no-restore", "--env", "A=1", DOGSHORE_STORE_LIMIT="10")
    check_contains("a build larger than the store is told", said, "larger than the store")
    document, _ = dogshore("build", "one", "--output", str(HERE / "x"), "--env", "A=1")
    check("and not kept", "restored" in document, False)


def a_failing_build_is_not_kept():
    put("one/buildspec.yml", BUILDSPEC.replace("chmod", "exit 1; chmod"))
    commit("fails")
    for _ in range(2):
        document, _ = dogshore("build", "one", "--output", str(HERE / "failed"), status=1)
        check("it was tried", document["status"], "failed")


run_tests(the_first_build_is_made, a_revert_restores, a_rerun_restores, another_branch_with_the_same_trees_restores,
          what_a_build_is_given_counts, building_anew_can_be_asked_for,
          an_image_that_is_there_is_taken_with_what_its_build_made, an_image_that_is_lost_is_packed_again,
          what_is_broken_is_built_again, the_store_has_a_limit, a_failing_build_is_not_kept)
