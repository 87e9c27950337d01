# parallel: yes
"""No byte of an image is hashed twice: counted below the program, by an auditor of the dynamic linker."""
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tap  # noqa: E402
from byte_counter import counted, missing, ready  # noqa: E402
from layouts import MIB, Layout  # noqa: E402
from registry import ScriptedRegistry  # noqa: E402
from tap import check  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
SMALL = 64 * 1024  # manifests, configurations, keys of caches
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))


def hashed(*words):
    """How many bytes the command hashed, and its document."""
    done, got, _ = counted(PROGRAM, "image", *words, "--json")
    if done.returncode != 0:
        tap.note(done.stdout + done.stderr)
    return got, json.loads(done.stdout)


def once(what, got, size):
    if not check(what, size <= got <= size + SMALL):
        tap.note(f"{got} bytes were hashed, {size} are there")


def the_counter_counts():
    (WORK / "million").write_bytes(os.urandom(1_000_000))
    check("openssl dgst of a million bytes", counted("openssl", "dgst", "-sha256", WORK / "million")[1:], (1_000_000, 0))


def a_build_hashes_what_goes_into_the_compressor_and_what_comes_out():
    (WORK / "data").write_bytes(os.urandom(12 * MIB) + bytes(8 * MIB))
    (WORK / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-o", WORK / "main", WORK / "main.c"], check=True)
    command = ("build", "--binary", WORK / "main", "--file", f"{WORK}/data:/data", "--output")
    got, document = hashed(*command, f"{WORK}/zstd:1", "--no-cache")
    blobs = [WORK / "zstd/blobs/sha256" / layer["digest"][7:] for layer in document["layers"]]
    plain = sum(len(subprocess.run(["zstd", "-d", "-c", blob], capture_output=True, check=True).stdout) for blob in blobs)
    once("zstd: a byte in and a byte out once each", got, plain + sum(blob.stat().st_size for blob in blobs))
    got, document = hashed(*command, f"{WORK}/none:1", "--no-cache", "--compression", "none")
    once("uncompressed: digest and diff_id are one hash", got, sum(layer["size"] for layer in document["layers"]))
    hashed(*command, f"{WORK}/cached:1")
    got, _ = hashed(*command, f"{WORK}/cached:1")
    once("unchanged: nothing", got, 0)


def carrying_an_image_hashes_it_once_where_it_is_received():
    layout = Layout(9 * MIB, 5 * MIB, 100)
    size = 14 * MIB + 100
    source, target = ScriptedRegistry(), ScriptedRegistry()
    got, _ = hashed("push", f"{layout.path}:1", f"{source.host}/a/b:1")
    once("a push: nothing, the registry does that", got, 0)
    got, _ = hashed("push", f"{layout.path}:1", f"{source.host}/a/b:1")
    once("a push of nothing new: nothing", got, 0)
    got, _ = hashed("copy", f"{source.host}/a/b:1", f"{target.host}/c/d:1")
    once("a copy between registries: once", got, size)
    got, _ = hashed("copy", f"{source.host}/a/b:1", f"oci:{WORK}/pulled:1")
    once("a pull: once", got, size)
    source.stop()
    target.stop()


if missing():
    tap.skip_all(missing())
tap.run_tests(the_counter_counts, a_build_hashes_what_goes_into_the_compressor_and_what_comes_out, carrying_an_image_hashes_it_once_where_it_is_received, ready=ready)
