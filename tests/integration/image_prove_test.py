#!/usr/bin/env python3
"""Images of a run say where they come from, and `image prove` builds them again: the same bytes under other conditions."""
# timeout: 300
# parallel: yes
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests")]
from commits import Repository  # noqa: E402
import tap  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
REPOSITORY = WORK / "repository"
for name in list(os.environ):
    if name.startswith(("AWS_", "DOGSHORE_KEY", "DOGSHORE_SIGNING", "DOGSHORE_BUILDER", "SOURCE_DATE")):
        del os.environ[name]
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), HOME=str(WORK), NO_COLOR="1")
PROJECT = """\
app: demo
services:
  rooms:
    path: rooms
    image: {binary: rooms, port: 8080, files: {config/rooms.json: /etc/rooms.json}}
"""
BUILDSPEC = """\
version: 0.2
phases: {build: {commands: [cc -O1 -o rooms/rooms rooms/rooms.c]}}
artifacts: {files: [rooms], base-directory: rooms}
"""
found = {}
repository = Repository(REPOSITORY)
git = repository.git


class Result:
    def __init__(self, *words, before=(), folder=WORK, **environment):
        process = subprocess.run([*before, PROGRAM, *map(str, words), "--json"], capture_output=True, text=True, cwd=folder,
                                 env={**os.environ, **environment}, check=False)
        self.status, self.said = process.returncode, process.stdout + process.stderr
        self.document = json.loads(process.stdout) if process.stdout.startswith("{") else {}
        self.error = self.document.get("error", {})

    def difference(self):
        wrong = self.document.get("difference") or {}
        return f"{wrong.get('where')}: {wrong.get('what')}"


def commit(text, message="x"):
    (REPOSITORY / "rooms" / "rooms.c").write_text(f'#include <stdio.h>\nint main(void) {{ puts("{text}"); return 0; }}\n')
    return repository.commit(message)


def image_of_run(**environment):
    """Runs HEAD and returns the layout's place of the image."""
    ran = Result("run", folder=REPOSITORY, **environment)
    layout = WORK / "state" / "images" / "demo" / "rooms"
    tags = [m["annotations"].get("org.opencontainers.image.ref.name", "") for m in json.loads((layout / "index.json").read_text())["manifests"]]
    return ran, f"{layout}:{[t for t in tags if t.startswith('k-')][-1]}"


def ready():
    (REPOSITORY / "rooms" / "config").mkdir(parents=True)
    (REPOSITORY / "dogshore.yml").write_text(PROJECT)
    (REPOSITORY / "rooms" / "buildspec.yml").write_text(BUILDSPEC)
    (REPOSITORY / "rooms" / "config" / "rooms.json").write_text('{"rooms": 12}\n')
    git("init", "-q", "-b", "main", folder=REPOSITORY)
    git("remote", "add", "origin", "https://user:hunter2@git.example.com/shop/demo.git")
    found["commit"] = commit("one")
    ran, found["image"] = image_of_run()
    if ran.status:
        tap.note(ran.said)
    tap.check("a run makes an image", ran.status, 0)
    found["digest"] = Result("image", "inspect", f"oci:{found['image']}").document["digest"]


def attest(place):
    """The provenance of an image in a layout, as a document."""
    folder, _, _ = place.rpartition(":")
    index = json.loads(Path(folder, "index.json").read_text())
    import base64
    blob = lambda digest: Path(folder, "blobs/sha256", digest[7:]).read_bytes()  # noqa: E731
    for entry in index["manifests"]:
        if entry.get("artifactType") == "application/vnd.in-toto+json":
            envelope = json.loads(blob(json.loads(blob(entry["digest"]))["layers"][0]["digest"]))
            return json.loads(base64.b64decode(envelope["payload"])), envelope
    return None, None


def an_image_of_a_run_says_where_it_comes_from():
    statement, envelope = attest(found["image"])
    given = statement["predicate"]["buildDefinition"]["externalParameters"]
    tap.check("of which image it speaks", statement["subject"][0]["digest"]["sha256"], found["digest"][7:])
    tap.check("repository without a password, commit and service", (given["repository"], given["commit"], given["service"]),
              ("https://git.example.com/shop/demo.git", found["commit"], "rooms"))
    spec = subprocess.run(["sha256sum", REPOSITORY / "rooms" / "buildspec.yml"], capture_output=True, text=True).stdout.split()[0]
    tap.check("the buildspec and its digest", given["buildspec"], {"path": "rooms/buildspec.yml", "digest": {"sha256": spec}})
    tap.check("the step key", found["image"].endswith(given["stepKey"][:16]))
    tap.check("the run", statement["predicate"]["runDetails"]["metadata"]["invocationId"], "run 1")
    tap.check("nobody signed it", envelope["signatures"], [])


def a_second_commit_with_the_same_image_changes_nothing():
    git("commit", "-q", "--allow-empty", "-m", "nothing")
    (REPOSITORY / "rooms" / "NOTES").write_text("words\n")
    commit("one", "a file that is not in the program")
    _, place = image_of_run()
    tap.check("another key, the same digest", (place != found["image"], Result("image", "inspect", f"oci:{place}").document["digest"]),
              (True, found["digest"]))
    git("checkout", "-q", found["commit"])


def a_key_of_the_engine_signs_what_a_run_makes():
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", WORK / "key"], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", WORK / "key", "-pubout", "-out", WORK / "key.pem"], check=True)
    git("checkout", "-q", "main")
    commit("signed")
    ran, place = image_of_run(DOGSHORE_SIGNING_KEY=str(WORK / "key"))
    (WORK / "policy.yml").write_text('keys: {engine: key.pem}\nrequire: [signature, provenance]\nrepositories: ["https://git.example.com/shop/*"]\n')
    checked = Result("image", "verify", place, "--policy", WORK / "policy.yml")
    tap.check("it passes a policy", (ran.status, checked.status), (0, 0))
    proven = Result("image", "prove", place, "--repository", REPOSITORY)
    tap.check("and is proven", (proven.status, proven.document.get("status")), (0, "passed"))


def prove(what, before=(), folder=WORK, repository=REPOSITORY, expected=0, image=None, **environment):
    proven = Result("image", "prove", image or found["image"], "--repository", repository, before=before, folder=folder, **environment)
    if proven.status != expected:
        tap.note(proven.said)
    tap.check(what, (proven.status, proven.document.get("rebuilt")), (expected, found["digest"]))
    return proven


def it_is_proven_under_other_conditions():
    first = prove("here")
    tap.check("it says what was proven", (first.document["digest"], first.document["commit"], first.document["service"], first.document["difference"]),
              (found["digest"], found["commit"], "rooms", None))
    (WORK / "a" / "longer way").mkdir(parents=True)
    subprocess.run(["git", "clone", "-q", REPOSITORY, WORK / "a" / "longer way" / "clone"], check=True, capture_output=True)
    prove("in another folder, from a clone", folder=WORK / "a", repository=WORK / "a" / "longer way" / "clone")
    (WORK / "other tmp").mkdir()
    prove("with another folder for temporary files", TMPDIR=str(WORK / "other tmp"))
    prove("under umask 077", before=("sh", "-c", 'umask 077 && exec "$@"', "-"))
    prove("in another time zone", TZ="Pacific/Chatham")
    prove("in another locale", LC_ALL="de_DE.UTF-8", LANGUAGE="de")
    prove("for one processor", before=("taskset", "-c", "0")) if shutil.which("taskset") else tap.skip("one processor", "no taskset")
    moved = ("faketime", "2031-05-05 05:05:05")
    if not shutil.which("faketime"):
        tap.skip("at another time", "faketime is not installed")
    elif Path(os.environ["DOGSHORE_BUILD"]).name == "tsan":
        tap.skip("at another time", "faketime waits for conditions behind the sanitizer's back")
    elif subprocess.run([*moved, PROGRAM, "--help"], capture_output=True, check=False).returncode:
        tap.skip("at another time", "this build does not start under faketime")
    else:
        prove("at another time", before=moved)


def it_is_proven_for_another_user():
    if os.geteuid() != 0:
        return tap.skip("another user", "only root can become one")
    home = Path("/tmp") / f"dogshore-prove-{os.getpid()}"
    home.mkdir(mode=0o755)
    try:
        subprocess.run(["git", "clone", "-q", REPOSITORY, home / "clone"], check=True, capture_output=True)
        place, _, tag = found["image"].rpartition(":")
        shutil.copytree(place, home / "layout")
        shutil.copy(PROGRAM, home / "dogshore")
        for path in (home, *home.rglob("*")):
            os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        process = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", home / "dogshore", "image", "prove", f"{home}/layout:{tag}",
                                  "--repository", home / "clone", "--no-sandbox", "--json"], capture_output=True, text=True, cwd=home, check=False,
                                 env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "USER": "nobody"})
        document = json.loads(process.stdout)
        if process.returncode:
            tap.note(process.stdout + process.stderr)
        tap.check("another user", (process.returncode, document.get("rebuilt")), (0, found["digest"]))
    finally:
        shutil.rmtree(home)
    return None


def claim(layout, *words, source=None):
    """An image that claims to be of the commit, built by other means."""
    facts = WORK / "facts.json"
    facts.write_text(json.dumps({"repository": "https://git.example.com/shop/demo.git", "commit": found["commit"], "service": "rooms"}))
    program = WORK / "rooms"
    if source is None:
        source = (REPOSITORY / "rooms" / "rooms.c").read_text()
    (WORK / "rooms.c").write_text(source)
    (WORK / "rooms.json").write_text('{"rooms": 12}\n')
    built = Result("image", "build", "--binary", program, "--file", f"{WORK}/rooms.json:/etc/rooms.json", "--port", "8080",
                   "--output", f"{WORK / layout}:1", "--provenance", facts, *words)
    tap.check(f"{layout}: there is an image", built.status, 0)
    return f"{WORK / layout}:1"


def one_changed_byte_is_named():
    git("checkout", "-q", found["commit"])
    kept = WORK / "kept"
    prove("kept for looking", image=found["image"])
    Result("image", "prove", found["image"], "--repository", REPOSITORY, "--output", f"{kept}:1")
    shutil.rmtree(WORK / "unpacked", ignore_errors=True)
    manifest = json.loads(Path(kept, "index.json").read_text())["manifests"][0]["digest"]
    layers = json.loads(Path(kept, "blobs/sha256", manifest[7:]).read_bytes())["layers"]
    (WORK / "unpacked").mkdir()
    subprocess.run(["sh", "-c", f"zstd -dcq '{kept}/blobs/sha256/{layers[-1]['digest'][7:]}' | tar -xf - -C '{WORK}/unpacked'"], check=True)
    content = bytearray((WORK / "unpacked" / "app" / "rooms").read_bytes())
    at = content.index(b"one\0")
    program = WORK / "rooms"
    program.write_bytes(content)
    program.chmod(0o755)
    place = claim("equal")
    same = Result("image", "prove", place, "--repository", REPOSITORY)
    tap.check("the same program by hand is proven", (same.status, same.document.get("status")), (0, "passed"))
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    place = claim("dated")
    del os.environ["SOURCE_DATE_EPOCH"]
    dated = Result("image", "prove", place, "--repository", REPOSITORY)
    tap.check("one of another time is built again for that time", (dated.status, dated.document.get("rebuilt") == found["digest"]), (0, False))
    content[at] ^= 0x20
    program.write_bytes(content)
    changed = Result("image", "prove", claim("changed"), "--repository", REPOSITORY)
    tap.check("one changed byte: exit 1", (changed.status, changed.document.get("status")), (1, "failed"))
    tap.check_contains("the layer and the path are named", changed.difference(), f"layer {len(layers)} of {len(layers)} (program): /app/rooms")
    tap.check_contains("and the byte", changed.difference(), f"content differs at byte {at}: 0x{content[at]:02x}, here 0x{ord('o'):02x}")
    content[at] ^= 0x20
    program.write_bytes(bytes(content) + b"x")
    longer = Result("image", "prove", claim("longer"), "--repository", REPOSITORY)
    tap.check_contains("a longer file", longer.difference(), f"/app/rooms: {len(content) + 1} bytes, here {len(content)}")
    program.write_bytes(content)
    for name, words, said in (
            ("label", ("--label", "a=b"), "configuration: config.Labels"),
            ("argument", ("--arg", "x"), "configuration: config.Cmd"),
            ("file", ("--file", f"{WORK}/facts.json:/etc/more.json"), "/etc/more.json: is not here"),
            ("compression", ("--compression", "gzip"), "the same content, compressed otherwise")):
        other = Result("image", "prove", claim(name, *words), "--repository", REPOSITORY)
        tap.check(f"another {name}: exit 1", other.status, 1)
        tap.check_contains(f"another {name}: is named", other.difference(), said)


def what_cannot_be_proven_says_why():
    program = WORK / "rooms"
    built = Result("image", "build", "--binary", program, "--output", f"{WORK}/bare:1")
    bare = Result("image", "prove", f"{WORK}/bare:1", "--repository", REPOSITORY)
    tap.check("without provenance", (built.status, bare.status, bare.error["kind"]), (0, 3, "not_found"))
    (WORK / "empty").mkdir()
    git("init", "-q", folder=WORK / "empty")
    git("commit", "-q", "--allow-empty", "-m", "x", folder=WORK / "empty")
    away = Result("image", "prove", found["image"], "--repository", WORK / "empty")
    tap.check("a repository without the commit", (away.status, away.error["kind"]), (3, "not_found"))
    tap.check_contains("it says where it is", away.error["next"], "https://git.example.com/shop/demo.git")
    (WORK / "facts.json").write_text(json.dumps({"commit": found["commit"], "service": "halls"}))
    Result("image", "attest", f"{WORK}/bare:1", "--provenance", WORK / "facts.json")
    halls = Result("image", "prove", f"{WORK}/bare:1", "--repository", REPOSITORY)
    tap.check_contains("a service that the commit has not", halls.error["message"], 'has no service "halls"')


missing = next((p for p in ("cc", "git", "openssl", "zstd", "bwrap") if not shutil.which(p)), None)
if missing:
    tap.skip_all(f"{missing} is not installed")
tap.run_tests(an_image_of_a_run_says_where_it_comes_from, a_second_commit_with_the_same_image_changes_nothing,
              it_is_proven_under_other_conditions, it_is_proven_for_another_user, one_changed_byte_is_named,
              a_key_of_the_engine_signs_what_a_run_makes, what_cannot_be_proven_says_why, ready=ready)
