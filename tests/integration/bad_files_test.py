# parallel: yes
"""Commits that cannot arrive because of what is in them: `dogshore run` says what, where and what next."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from shop import check_error  # noqa: E402
from tap import check, run_tests  # noqa: E402

stage = shop.Shop()


def ready():
    stage.make_repository()
    stage.pretend_cloud()


def bad(what, status, *pieces, runs=None):
    """A commit of what lies in the work tree."""
    before = stage.tags()
    check_error(what, stage.run_commit(what), status, *pieces)
    stage.check_nothing_half_done(what, ledger=(stage.state / "ledger.db").exists())
    check(f"{what}: no image has a tag that it did not have", stage.tags(), before)
    if runs is not None:
        check(f"{what}: runs in the ledger", len(stage.rows("SELECT id FROM runs")), runs)


def wrong_yaml():
    stage.put("dogshore.yml", "app: [shop\n")
    bad("wrong YAML", 2, "dogshore.yml:2:1", "did not find expected ',' or ']'", "dogshore check", runs=0)


def an_unknown_key():
    stage.edit("dogshore.yml", "image:", "imgae:")
    bad("an unknown key", 2, 'dogshore.yml:5:5: unknown key "imgae"', 'did you mean "image"?', runs=0)


def a_wrong_type():
    stage.edit("dogshore.yml", "port: 8080", "port: many")
    bad("a wrong type", 2, "dogshore.yml:5:32", '"many"', runs=0)


def no_project_file():
    (stage.repository / "dogshore.yml").unlink()
    bad("no dogshore.yml", 3, 'has no file "dogshore.yml"', "dogshore init", runs=0)


def a_cycle_in_after():
    text = (stage.repository / "dogshore.yml").read_text()
    block = text[text.index("  svc:"):text.index("environments:")]
    first = block.replace("    deploy:\n", "    deploy:\n      after: [other]\n").replace('"/*"', '"/a"')
    second = block.replace("  svc:\n", "  other:\n").replace("    deploy:\n", "    deploy:\n      after: [svc]\n")
    stage.put("dogshore.yml", text.replace(block, first + second))
    bad("a cycle in after", 2, "dogshore.yml:", "svc", "other", "after", runs=0)


def an_unknown_service_in_after():
    stage.edit("dogshore.yml", "    deploy:\n", "    deploy:\n      after: [svcs]\n")
    bad("an unknown service in after", 2, "svcs", 'did you mean "svc"?', runs=0)


def an_absent_commit():
    check_error("an absent commit", stage.dogshore("run", "0" * 39 + "1", "--env", "local"), 3,
                "0" * 39 + "1", str(stage.repository))
    check_error("an absent branch", stage.dogshore("plan", "nowhere"), 3, '"nowhere"')


def an_unknown_environment():
    check_error("an unknown environment", stage.dogshore("run", "--env", "lokal"), 2, '"lokal"', 'did you mean "local"?')


def a_folder_without_a_repository():
    here = stage.repository
    stage.repository = stage.folder / "empty"
    stage.repository.mkdir()
    check_error("no repository", stage.dogshore("run", "--env", "local"), 3, "no Git repository")
    stage.repository = here


def missing_files():
    for name in ("svc/buildspec.yml", "svc/task.json", "svc/service.json"):
        (stage.repository / name).unlink()
        bad(f"no {name}", 2, f'"{name}"', "dogshore check")
        check(f"no {name}: nothing was built", stage.rows("SELECT id FROM steps"), [])


def a_wrong_buildspec():
    stage.put("svc/buildspec.yml", "version: 0.2\nphases: [\n")
    bad("wrong YAML in the buildspec", 2, "svc/buildspec.yml:3", "dogshore logs")


def a_build_that_fails():
    stage.build_with("echo the compiler is sad; exit 7")
    bad("a build that fails", 1, "exit 7", "exit status 7", "dogshore logs")


def an_artifact_that_is_missing():
    stage.edit("dogshore.yml", "binary: out", "binary: bin/out")
    bad("a missing program", 2, '"bin/out"', "artifacts: out")


def a_program_for_another_machine():
    # e_machine of an ELF header: bytes 18 and 19; 183 is AArch64
    stage.build_with(shop.COMPILE, r"printf '\267\000' | dd of=svc/out bs=1 seek=18 conv=notrunc status=none")
    bad("a program for another machine", 2, "AArch64", "linux/amd64", "svc/build/artifacts/out")


def a_library_that_is_missing():
    stage.build_with(
        "echo 'int gone(void) { return 0; }' | cc -shared -fPIC -Wl,-soname,libgone.so.7 -o svc/libgone.so -xc -",
        "echo 'int gone(void); int main(void) { return gone(); }' | cc -o svc/out -xc - -xnone svc/libgone.so", "rm svc/libgone.so")
    bad("a missing library", 3, "libgone.so.7", "needed by out", "libgone7")


def a_registry_that_nobody_runs():
    # the last one: its image stays, as the next run of the commit needs it
    before = len(stage.tags())
    check_error("no registry", stage.run_commit("fine"), 3, "http://127.0.0.1:9/", "local up")
    stage.check_nothing_half_done("no registry")
    check("no registry: the image stays for the next try", len(stage.tags()), before + 1)
    steps = dict(stage.rows("SELECT name, status FROM steps WHERE run = (SELECT max(id) FROM runs)"))
    check("no registry: the steps say how far it came", steps,
          {"build": "passed", "image": "passed", "push": "error", "deploy": "skipped"})


run_tests(
    wrong_yaml, an_unknown_key, a_wrong_type, no_project_file, a_cycle_in_after, an_unknown_service_in_after,
    an_absent_commit, an_unknown_environment, a_folder_without_a_repository, missing_files, a_wrong_buildspec,
    a_build_that_fails, an_artifact_that_is_missing, a_program_for_another_machine, a_library_that_is_missing,
    a_registry_that_nobody_runs, ready=ready)
