# parallel: yes
"""The services' own builds: the program's bytes depend on what the sources mean, not on the folder, the
time or the wording of a comment, and only declared inputs are read."""
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tap import check, run_tests, skip_all

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
INPUTS = ["base", "services/kit", "services/rooms", "tests/test.h"]


def copy_inputs(folder):
    """What dogshore.yml declares for rooms, and nothing else."""
    for path in INPUTS:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (SOURCE / path).is_dir():
            shutil.copytree(SOURCE / path, target, ignore=shutil.ignore_patterns("build"))
        else:
            shutil.copy(SOURCE / path, target)


def edit(path, old, new):
    text = path.read_text()
    if old not in text:
        raise RuntimeError(f"{path} no longer holds {old!r}")
    path.write_text(text.replace(old, new, 1))


def build(folder):
    # As the buildspec does, but without what an earlier build kept.
    subprocess.run(["make", "-s", "-j2", "-C", folder / "services/rooms", "build/rooms"], check=True,
                   env={**os.environ, "CCACHE_DISABLE": "1"})
    return hashlib.sha256((folder / "services/rooms/build/rooms").read_bytes()).hexdigest()


def what_the_bytes_depend_on():
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first, other = Path(one), Path(two, "a", "longer", "path")
        copy_inputs(first)
        copy_inputs(other)
        digest = build(first)
        check("another folder: the same bytes", build(other), digest)
        api = other / "services/rooms/api.c"
        edit(api, "/* A taken name is the client's business, anything else ours. */",
             "/* A name that is taken is the client's business; the rest is ours. */")
        check("another wording of a comment: the same bytes", build(other), digest)
        edit(api, '"there is no room %s"', '"no room is called %s"')
        check("another text: other bytes", build(other) != digest)
        check("the folder's name is not in the program",
              str(other).encode() in (other / "services/rooms/build/rooms").read_bytes(), False)


if not shutil.which("make"):
    skip_all("make is not installed")
run_tests(what_the_bytes_depend_on)
