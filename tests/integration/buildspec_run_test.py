# parallel: yes
"""`dogshore buildspec run` with more than one source."""
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tap import check, check_contains, note, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
SOURCE = HERE / "source"


def put(name, text):
    path = HERE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def dogshore(*words, command="run"):
    return subprocess.run([PROGRAM, "buildspec", command, *map(str, words)], cwd=HERE, capture_output=True, text=True, check=False,
                          env={**os.environ, "DOGSHORE_STATE": str(HERE / "state"), "NO_COLOR": "1"})


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


run_tests(builds_find_secondary_sources, a_secondary_source_is_explained, secondary_sources_that_are_wrong)
