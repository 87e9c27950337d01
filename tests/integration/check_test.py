# parallel: yes
"""`dogshore check` of services that are built as batches."""
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"]) / "work"
PLAIN = "version: 0.2\nphases: {build: {commands: ['true']}}\n"
put = Repository(WORK).put


def checked(*words):
    return subprocess.run([PROGRAM, "check", *words], cwd=WORK, capture_output=True, text=True, check=False)


def repository(buildspec, services="  one: {path: one, uses: [lib], build: {batch: true}}\n"):
    put("dogshore.yml", f"app: demo\nservices:\n{services}")
    put("one/buildspec.yml", buildspec)
    for name in ("one/good.yml", "lib/good.yml", "elsewhere/good.yml"):
        put(name, PLAIN)


def buildspecs_of_tasks():
    repository("""\
version: 0.2
batch:
  build-list:
    - identifier: own
    - {identifier: good, buildspec: one/good.yml}
    - {identifier: used, buildspec: ./lib/good.yml}
    - {identifier: bad, buildspec: one/bad.yml}
    - {identifier: bad_2, buildspec: one/bad.yml}
    - identifier: outside
      buildspec: ../good.yml
    - {identifier: missing, buildspec: one/none.yml}
    - {identifier: folder, buildspec: lib}
    - {identifier: elsewhere, buildspec: elsewhere/good.yml}
phases: {build: {commands: ['true']}}
""")
    put("one/bad.yml", "version: 0.2\nphases:\n  biuld: {commands: ['true']}\n")
    ran = checked()
    check("exit status", ran.returncode, 2)
    check("all that is wrong, each with its place", ran.stdout, """\
one/bad.yml:3:3: phases.biuld: Invalid buildspec phase name: biuld. Expecting: build,install,post_build,pre_build; did you mean "build"?
one/buildspec.yml:10:18: batch.build-list[5].buildspec: "../good.yml" is outside of the source
one/buildspec.yml:11:40: batch.build-list[6].buildspec: there is no "one/none.yml" in the repository
one/buildspec.yml:12:39: batch.build-list[7].buildspec: "lib" is a folder, but must be a file
one/buildspec.yml:13:42: batch.build-list[8].buildspec: "elsewhere/good.yml" lies neither in the path of "one" nor in what it uses: \
its builds do not have it
""")


def buildspecs_of_a_matrix():
    repository("""\
version: 0.2
batch:
  build-matrix:
    dynamic:
      buildspec:
        - one/good.yml
        - ~
        - one/none.yml
""")
    check("each in its place", checked().stdout,
          'one/buildspec.yml:8:11: batch.build-matrix.dynamic.buildspec[2]: there is no "one/none.yml" in the repository\n')
    put("one/buildspec.yml", "version: 0.2\nbatch: {build-matrix: {dynamic: {buildspec: none.yml}}}\n")
    check("one alone", checked().stdout,
          'one/buildspec.yml:2:45: batch.build-matrix.dynamic.buildspec: there is no "none.yml" in the repository\n')


def no_batch_section():
    repository(PLAIN, "  one:\n    path: one\n    build:\n      cpus: 1\n      batch: true\n")
    ran = checked()
    check("is told where it is asked for", (ran.returncode, ran.stdout), (2, 'dogshore.yml:7:14: "one/buildspec.yml" has no batch section\n'))
    repository(PLAIN, "  one: {path: one, build: {batch: false}}\n")
    check("and only there", checked().returncode, 0)


def a_build_of_nothing():
    repository("version: 0.2\nbatch: {build-list: [{identifier: a, buildspec: one/good.yml}]}\n", "  one: {path: one}\n")
    ran = checked()
    check("is a warning", (ran.returncode, ran.stdout), (0, 'dogshore.yml:3:3: warning: "one/buildspec.yml" has no commands but a batch section, '
          'and "one" is not built as a batch (build: {batch: true})\n'))


def mistakes_of_the_section():
    repository("version: 0.2\nbatch:\n  build-graph:\n    - {identifier: a, depend-on: [b]}\nphases: {}\n")
    check("have line and column", checked().stdout,
          'one/buildspec.yml:4:35: batch.build-graph[0].depend-on[0]: There is no task "b"\n')
    told = json.loads(checked("--json").stdout)["findings"]
    check("in JSON, too", [(f["file"], f["line"], f["column"]) for f in told], [("one/buildspec.yml", 4, 35)])


def services_that_share_a_buildspec():
    repository("version: 0.2\nbatch: {build-list: [{identifier: a, buildspec: none.yml}]}\n",
               "  one: {path: one, build: {batch: true}}\n  two: {path: one, build: {batch: true}}\n")
    check("a mistake is told once", checked().stdout,
          'one/buildspec.yml:2:49: batch.build-list[0].buildspec: there is no "none.yml" in the repository\n')


run_tests(buildspecs_of_tasks, buildspecs_of_a_matrix, no_batch_section, a_build_of_nothing, mistakes_of_the_section, services_that_share_a_buildspec)
