# parallel: yes
"""A push on bad days of the registry: told with place and advice, tried again where that can help, never half a tag."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from registry import CUT, ScriptedRegistry, free_port  # noqa: E402
from scene import PROGRAM, Result  # noqa: E402
from shop import check_error  # noqa: E402
from tap import check, run_tests, skip_all  # noqa: E402

WORK = Path(os.environ["TMPDIR"])
LAYOUT = WORK / "layout"
NOW = {"Retry-After": "0"}
os.environ |= {"DOGSHORE_STATE": str(WORK / "state"), "DOCKER_CONFIG": str(WORK / "docker"), "XDG_RUNTIME_DIR": str(WORK)}


def dogshore(*words):
    return Result(subprocess.run([PROGRAM, *map(str, words), "--json"], capture_output=True, text=True, check=False))


def ready():
    (WORK / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-o", WORK / "main", WORK / "main.c"], check=True)
    built = dogshore("image", "build", "--binary", WORK / "main", "--output", f"{LAYOUT}:1")
    check("there is an image", built.status, 0)


def bad(what, status, *pieces, script=None, on_head=None, kind=None):
    """A push to a registry that answers so: the error, and that no tag was made."""
    registry = ScriptedRegistry(script, on_head=on_head)
    result = dogshore("image", "push", f"{LAYOUT}:1", f"{registry.host}/shop/svc:1")
    registry.stop()
    check_error(what, result, status, registry.host, *pieces)
    check(f"{what}: the document says so too", (result.document["status"], result.document["error"]["kind"]), ("failed", kind))
    check(f"{what}: no tag was made", registry.manifests, {})
    return registry


def always(status, method="POST", headers=NOW, body=b"nothing to see"):
    return lambda r, _: (status, headers, body) if r.method == method else None


def it_answers_500():
    seen = bad("500", 3, "answered 500", "trouble of its own", "trying 5 times", script=always(500), kind="unavailable")
    check("500: each of the four blobs at most five times", len(seen.seen("POST")) <= 20)


def it_answers_429():
    bad("429", 3, "answered 429", "limits how often", "trying 5 times", script=always(429), kind="unavailable")


def it_answers_401():
    challenge = {"WWW-Authenticate": 'Basic realm="shop"'}
    bad("401", 3, "docker login", script=lambda r, _: (401, challenge, b"{}"), kind="denied")


def it_answers_403():
    refusal = json.dumps({"errors": [{"code": "DENIED", "message": "read only"}]}).encode()
    bad("403", 3, "answered 403", "DENIED: read only", "shop/svc", script=always(403, body=refusal), kind="denied")


def its_disk_is_full():
    seen = bad("507", 3, "answered 507", "free some space", script=always(507, "PUT"), kind="limit")
    check("507: it is not asked again", len(seen.seen("PUT")) <= 4)


def it_closes_in_every_upload():
    bad("closing in uploads", 3, "trying", on_head=lambda h: CUT if "/blobs/uploads/" in h.path else None, kind="unavailable")


def it_closes_before_the_manifest():
    seen = bad("closing at the manifest", 3, "trying", "/manifests/1", kind="unavailable",
               script=lambda r, _: CUT if r.method == "PUT" and r.kind == "manifest" else None)
    check("closing at the manifest: the blobs are there for the next try", len(seen.blobs) > 0)


def a_tag_appears_only_when_all_it_names_is_there():
    """At registries that would take a manifest with holes, too."""
    lacking = []

    def lax(request, _):
        if request.method != "PUT" or request.kind != "manifest":
            return None
        named = json.loads(request.body)
        if not request.path.rpartition("/")[2].startswith("sha256:"):
            lacking.append([d["digest"] for d in [named["config"], *named["layers"]] if d["digest"] not in registry.blobs])
        return 201, {}, b""

    registry = ScriptedRegistry(lax)
    check("whole: pushed", dogshore("image", "push", f"{LAYOUT}:1", f"{registry.host}/shop/svc:1").status, 0)
    check("whole: the tag was put once, and lacked nothing then", lacking, [[]])
    registry.stop()
    for number in range(3):  # whichever blob it is that does not arrive
        lacking.clear()
        digests = []

        def refusing(request, times):
            if request.method == "PUT" and request.kind == "upload":
                digest = request.query.partition("digest=")[2].replace("%3A", ":")
                if digest not in digests:
                    digests.append(digest)
                if digests.index(digest) == number:
                    return ScriptedRegistry.refuse(400, "BLOB_UPLOAD_INVALID", "no")
            return lax(request, times)

        registry = ScriptedRegistry(refusing)
        result = dogshore("image", "push", f"{LAYOUT}:1", f"{registry.host}/shop/svc:1")
        check(f"without blob {number + 1}: it fails", result.status in (2, 3) and "BLOB_UPLOAD_INVALID" in result.said)
        check(f"without blob {number + 1}: no tag was put", lacking, [])
        registry.stop()


def it_answers_nonsense():
    bad("nonsense", 3, "Location", script=lambda r, _: (202, {}, b"") if r.method == "POST" else None, kind="protocol")


def nobody_listens():
    host = f"127.0.0.1:{free_port()}"
    check_error("nobody there", dogshore("image", "push", f"{LAYOUT}:1", f"{host}/shop/svc:1"), 3, host, "listening")


def a_signal_in_an_upload():
    for number in (signal.SIGTERM, signal.SIGINT):
        reached, over = threading.Event(), threading.Event()

        def stall(_):
            reached.set()
            over.wait(60)
            return CUT

        registry = ScriptedRegistry(on_head=stall)
        process = subprocess.Popen([PROGRAM, "image", "push", f"{LAYOUT}:1", f"{registry.host}/shop/svc:1", "--json"],
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        reached.wait(60)
        process.send_signal(number)
        text, said = process.communicate()
        over.set()
        registry.stop()
        result = Result(subprocess.CompletedProcess([], process.returncode, text, said))
        what = signal.Signals(number).name
        check_error(what, result, 5, "interrupted", "run it again")
        check(f"{what}: the document says so too", result.document["status"], "cancelled")
        check(f"{what}: no tag was made", registry.manifests, {})


def a_signal_while_an_image_is_made():
    (WORK / "much").mkdir()
    with open(WORK / "much/zeros", "wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    output = WORK / "slow"
    process = subprocess.Popen([PROGRAM, "image", "build", "--binary", WORK / "main", "--file", f"{WORK}/much:/much",
                                "--compression", "gzip", "--output", f"{output}:1", "--no-cache"],
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shop.scene.wait_until("the layout", (output / "blobs").exists)
    process.terminate()
    text, said = process.communicate()
    check_error("SIGTERM", Result(subprocess.CompletedProcess([], process.returncode, text, said)), 5, "interrupted")
    check("SIGTERM: no image has the tag", (output / "index.json").exists(), False)
    check("SIGTERM: no half file is left", [p for p in output.rglob(".*") if p.is_file()], [])


if not shutil.which("cc"):
    skip_all("there is no C compiler")
run_tests(
    it_answers_500, it_answers_429, it_answers_401, it_answers_403, its_disk_is_full, it_closes_in_every_upload,
    it_closes_before_the_manifest, a_tag_appears_only_when_all_it_names_is_there, it_answers_nonsense, nobody_listens, a_signal_in_an_upload,
    a_signal_while_an_image_is_made, ready=ready)
