#!/usr/bin/env python3
"""`dogshore image push`, `copy` and `inspect` against Debian's docker-registry and against registries that misbehave."""
# timeout: 300
# parallel: yes
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "integration")]
import tap  # noqa: E402
from registry import CUT, DockerRegistry, ScriptedRegistry, free_port  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
LAYOUT = WORK / "layout"
SECRET = "correct-horse-battery"
for name in list(os.environ):
    if name.startswith("AWS_"):
        del os.environ[name]
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
os.environ.pop("REGISTRY_AUTH_FILE", None)
digests = {}


class Result:
    def __init__(self, *words):
        process = subprocess.run([PROGRAM, *[str(w) for w in words], "--json"], capture_output=True, text=True)
        self.status, self.said = process.returncode, process.stdout + process.stderr
        self.document = json.loads(process.stdout)
        self.error = self.document.get("error", {})


def push(tag, target, *more):
    return Result("image", "push", f"{LAYOUT}:{tag}", target, *more)


def log_in(host, user, password):
    (WORK / "docker").mkdir(exist_ok=True)
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    (WORK / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": pair}}}))


def log_out():
    shutil.rmtree(WORK / "docker", ignore_errors=True)


def ready():
    """Two images that share all layers but the program's."""
    for tag, text in (("1", "one"), ("2", "two")):
        source = WORK / "main.c"
        source.write_text(f'#include <stdio.h>\nint main(void) {{ puts("{text}"); return 0; }}\n')
        subprocess.run(["cc", "-o", WORK / "program", source], check=True)
        (WORK / "config").write_text("settings")
        built = Result("image", "build", "--binary", WORK / "program", "--file", f"{WORK}/config:/etc/program.conf",
                       "--output", f"{LAYOUT}:{tag}")
        digests[tag] = built.document["digest"]


def with_script(script=None, **more):
    return ScriptedRegistry(script, **more)


# ---- Debian's docker-registry


def requests_are_as_few_as_they_can_be():
    missing = DockerRegistry.missing()
    if missing:
        return tap.skip("requests to docker-registry", f"{missing} is not installed")
    registry = DockerRegistry()
    try:
        target = f"{registry.host}/booking/rooms"
        first = push("1", f"{target}:main").document
        # base, configuration, program and the config: POST and PUT each; GET and PUT of the manifest
        tap.check("a first push", (first["uploaded"], first["requests"]), (4, {"GET": 1, "POST": 4, "PUT": 5}))
        tap.check("its digest", first["digest"], digests["1"])
        again = push("1", f"{target}:main").document
        tap.check("the same again is one request", (again["uploaded"], again["requests"]), (0, {"GET": 1}))
        changed = push("2", f"{target}:main").document
        tap.check("one changed layer is six requests", (changed["uploaded"], changed["existing"], changed["requests"]),
                  (2, 2, {"GET": 1, "POST": 2, "PUT": 3}))
        new_tag = push("2", f"{target}:other").document
        tap.check("a new tag sends no blob", (new_tag["uploaded"], new_tag["existing"]), (0, 4))
        tap.check("no HEAD is sent", [r for d in (first, again, changed, new_tag) for r in d["requests"] if r == "HEAD"], [])
        if shutil.which("skopeo"):
            seen = subprocess.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{target}:main"], capture_output=True, text=True)
            tap.check("skopeo sees the digest", json.loads(seen.stdout)["Digest"], digests["2"])
        shown = Result("image", "inspect", f"{target}:main").document
        tap.check("inspect shows it", (shown["digest"], shown["user"], shown["entrypoint"]), (digests["2"], "65532", ["/app/program"]))
        copy = Result("image", "copy", f"{target}:main", f"{registry.host}/booking/copy:1").document
        tap.check("a copy inside a registry moves no blob", (copy["uploaded"], copy["mounted"], copy["digest"]), (0, 4, digests["2"]))
        pulled = Result("image", "copy", f"{registry.host}/booking/copy:1", f"oci:{WORK}/pulled:1").document
        tap.check("a pull has the digest", (pulled["uploaded"], pulled["digest"]), (4, digests["2"]))
        other = DockerRegistry()
        try:
            moved = Result("image", "copy", f"{target}@{digests['2']}", f"{other.host}/x/y:1").document
            tap.check("a copy to another registry has the digest", (moved["uploaded"], moved["digest"]), (4, digests["2"]))
            back = Result("image", "copy", f"oci:{WORK}/pulled:1", f"{other.host}/x/y:1").document
            tap.check("a pulled image pushes as the same", back["requests"], {"GET": 1})
        finally:
            other.stop()
        gone = Result("image", "inspect", f"{target}:nowhere")
        tap.check("a tag that is not there: exit 3", (gone.status, gone.error["kind"]), (3, "not_found"))
    finally:
        registry.stop()
    return None


def an_index_goes_with_all_its_parts():
    missing = DockerRegistry.missing("skopeo")
    if missing:
        return tap.skip("an index is copied with its parts", f"{missing} is not installed")
    layout = json.loads((LAYOUT / "index.json").read_text())
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": [{k: m[k] for k in ("mediaType", "digest", "size")} for m in layout["manifests"]]}).encode()
    name = hashlib.sha256(index).hexdigest()
    (LAYOUT / "blobs" / "sha256" / name).write_bytes(index)
    layout["manifests"].append({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{name}", "size": len(index),
                                "annotations": {"org.opencontainers.image.ref.name": "all"}})
    (LAYOUT / "index.json").write_text(json.dumps(layout))
    registry = DockerRegistry()
    try:
        pushed = push("all", f"{registry.host}/a/b:all").document
        tap.check("an index is pushed after its parts", (pushed["digest"], pushed["uploaded"]), (f"sha256:{name}", 6))
        pulled = Result("image", "copy", f"{registry.host}/a/b:all", f"oci:{WORK}/index:all").document
        tap.check("and pulled with them", (pulled["digest"], pulled["uploaded"]), (f"sha256:{name}", 6))
        part = Result("image", "inspect", f"{registry.host}/a/b@{digests['1']}").document
        tap.check("a part can be asked for by its digest", part["digest"], digests["1"])
    finally:
        registry.stop()
    return None


def basic_credentials_go_with_the_first_request():
    missing = DockerRegistry.missing("htpasswd")
    if missing:
        return tap.skip("HTTP Basic with docker-registry", f"{missing} is not installed")
    registry = DockerRegistry("ann", SECRET)
    try:
        log_in(registry.host, "ann", SECRET)
        pushed = push("1", f"{registry.host}/a/b:1").document
        tap.check("no request is refused first", pushed["requests"], {"GET": 1, "POST": 4, "PUT": 5})
        log_in(registry.host, "ann", "wrong-" + SECRET)
        wrong = push("1", f"{registry.host}/a/b:1")
        tap.check("a wrong password: exit 3", (wrong.status, wrong.error["kind"]), (3, "denied"))
        tap.check_contains("it says whose", wrong.error["message"], "refuses our credentials (from docker config)")
        tap.check("and never shows it", SECRET in wrong.said, False)
        log_out()
        none = push("1", f"{registry.host}/a/b:1")
        tap.check("no credentials: exit 3", (none.status, none.error["kind"]), (3, "denied"))
        tap.check_contains("it says how to log in", none.error["next"], f"docker login {registry.host}")
    finally:
        registry.stop()
        log_out()
    return None


def the_local_cloud_is_an_ecr():
    if os.geteuid() != 0:
        return tap.skip("a push to the local cloud", "the local cloud needs root")
    host = f"127.0.0.1:{free_port()}"
    cloud = {**os.environ, "DOGSHORE_STATE": str(WORK / "cloud")}
    subprocess.run([PROGRAM, "local", "up", "--detach", "--endpoint", host], env=cloud, check=True, capture_output=True)
    try:
        keys = json.loads((WORK / "cloud" / "local" / "credentials.json").read_text())
        os.environ.update(AWS_ENDPOINT_URL=keys["endpoint"], AWS_REGION=keys["region"],
                          AWS_ACCESS_KEY_ID=keys["access_key_id"], AWS_SECRET_ACCESS_KEY=keys["secret_access_key"])
        target = f"{host}/booking/rooms"
        missing = push("1", f"{target}:1")
        tap.check("a repository that ECR lacks: exit 3", (missing.status, missing.error.get("kind")), (3, "not_found"))
        tap.check_contains("it says how to make it", missing.error["next"], "--create-repository")
        first = push("1", f"{target}:1", "--create-repository").document
        tap.check("it is made when asked for", (first["uploaded"], first["digest"]), (4, digests["1"]))
        kept = list((WORK / "state" / "registry").glob("*.token"))
        tap.check("ECR's token is kept for the next push, for its owner only", {oct(p.stat().st_mode & 0o777) for p in kept}, {"0o600"})
        tap.check("the AWS keys are not", [p for p in kept if keys["secret_access_key"] in p.read_text()], [])
        again = push("1", f"{target}:1", "--create-repository").document
        tap.check("the same again is one request", again["requests"], {"GET": 1})
        changed = push("2", f"{target}:2").document
        tap.check("a changed program under a new tag sends two blobs", (changed["uploaded"], changed["existing"]), (2, 2))
        promoted = Result("image", "copy", f"{target}:2", f"{host}/staging/rooms:2", "--create-repository").document
        tap.check("a promotion to another repository moves no blob", (promoted["uploaded"], promoted["mounted"]), (0, 4))
        os.environ["AWS_SECRET_ACCESS_KEY"] = "wrong"
        wrong = push("2", f"{target}:2")
        tap.check("wrong AWS keys: exit 3", (wrong.status, wrong.error.get("kind")), (3, "denied"))
        tap.check("no secret is shown", keys["secret_access_key"] in wrong.said, False)
        del os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        profile = WORK / "credentials"
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(profile)
        for secret, kind in ((keys["secret_access_key"], None), ("wrong" * 8, "denied")):
            profile.write_text(f"[default]\naws_access_key_id = {keys['access_key_id']}\naws_secret_access_key = {secret}\n")
            tap.check(f"a token is that of the file's keys ({kind or 'right'})", push("2", f"{target}:2").error.get("kind"), kind)
    finally:
        for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"):
            os.environ.pop(name, None)
        subprocess.run([PROGRAM, "local", "down"], env=cloud, check=True, capture_output=True)
    return None


# ---- registries that misbehave


def a_500_is_tried_again():
    registry = with_script(lambda r, times: (500, {"Retry-After": "0"}, b"<html>oops</html>") if r.kind == "upload" and r.method == "POST" and times < 2 else None)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("a 500 is tried again", (result.status, result.document.get("retries")), (0, 2))
    tap.check("the image is whole", "1" in registry.manifests)
    registry.stop()


def a_registry_that_stays_away_is_given_up_after_five_tries():
    registry = with_script(lambda r, times: (503, {"Retry-After": "0"}, b"maintenance") if r.kind == "manifest" and r.method == "GET" else None)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("five tries, then exit 3", (len(registry.requests), result.status, result.error.get("kind")), (5, 3, "unavailable"))
    tap.check_contains("the answer is in the error", result.error["message"], "answered 503")
    registry.stop()


def a_429_is_obeyed():
    registry = with_script(lambda r, times: (429, {"Retry-After": "0"}, b"slow down\n") if r.method == "PUT" and r.kind == "upload" and times == 0 else None)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("429 with Retry-After is tried again", (result.status, result.document.get("retries")), (0, 1))
    registry.stop()


def bearer_tokens_are_asked_for_once_with_push():
    tokens = []

    def script(request, _):
        if request.path == "/token":
            tokens.append((request.query, request.headers.get("Authorization")))
            if request.headers.get("Authorization") != "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode():
                return 401, {}, b'{"details": "no"}'
            return 200, {}, json.dumps({"access_token": "tok-1", "expires_in": 60}).encode()
        if request.headers.get("Authorization") != "Bearer tok-1":
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token",service="r",scope="repository:a/b:pull"'}, b""
        return None

    registry = with_script(script)
    log_in(registry.host, "ann", SECRET)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("a token is fetched once", (result.status, result.document.get("requests")), (0, {"GET": 2, "POST": 4, "PUT": 5, "TOKEN": 1}))
    tap.check("it is asked for with the right to push", "scope=repository%3Aa%2Fb%3Apull%2Cpush" in tokens[0][0] and "service=r" in tokens[0][0])
    log_in(registry.host, "ann", "wrong")
    refused = push("1", f"{registry.host}/a/b:1")
    tap.check("a token server that refuses: exit 3", (refused.status, refused.error.get("kind")), (3, "denied"))
    tap.check("no secret is shown", any(s in refused.said + result.said for s in (SECRET, "tok-1")), False)
    registry.stop()
    log_out()


def a_token_server_without_tls_gets_no_password():
    registry = with_script(lambda r, _: (401, {"WWW-Authenticate": 'Bearer realm="ftp://thief.example/token"'}, b""))
    log_in(registry.host, "ann", SECRET)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("an odd realm is refused", (result.status, result.error.get("kind")), (3, "denied"))
    registry.stop()
    log_out()


def a_connection_that_closes_in_an_upload_is_begun_anew():
    cuts = []

    def on_head(handler):
        if "/blobs/uploads/" in handler.path and len(cuts) < 2:
            cuts.append(handler.path)
            return CUT
        return None

    registry = with_script(on_head=on_head)
    result = push("1", f"{registry.host}/a/b:1")
    locations = [f"{r.path}" for r in registry.seen("PUT", "upload")]
    tap.check("the push succeeds", (result.status, len(cuts)), (0, 2))
    tap.check("each lost upload was begun anew", len(registry.seen("POST", "upload")), 6)
    tap.check("no upload was continued where it broke", set(locations) & {c.partition("?")[0] for c in cuts}, set())
    registry.stop()


def an_upload_that_never_ends_well_leaves_no_tag():
    registry = with_script(on_head=lambda handler: CUT if "/blobs/uploads/" in handler.path else None)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("it fails with exit 3", (result.status, result.error.get("kind")), (3, "unavailable"))
    tap.check("no manifest was sent", registry.seen("PUT", "manifest"), [])
    registry.stop()


def digests_that_lie_are_noticed():
    lie = "sha256:" + "0" * 64
    registry = with_script(lambda r, _: (201, {"Docker-Content-Digest": lie}, b"") if r.method == "PUT" and r.kind == "manifest" else None)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("another digest for the manifest: exit 3", (result.status, result.error.get("kind")), (3, "protocol"))
    tap.check_contains("both digests are named", result.error["message"], f"says the digest is {lie}, it is {digests['1']}")
    registry.stop()

    registry = with_script()
    push("1", f"{registry.host}/a/b:1")
    layer = max(registry.blobs.items(), key=lambda item: len(item[1]))
    registry.blobs[layer[0]] = bytes([layer[1][0] ^ 1]) + layer[1][1:]
    result = Result("image", "copy", f"{registry.host}/a/b:1", f"oci:{WORK}/lied:1")
    tap.check("a changed blob is not pulled", (result.status, result.error.get("kind")), (3, "protocol"))
    left = [p.name for p in (WORK / "lied" / "blobs" / "sha256").iterdir() if p.name == layer[0].removeprefix("sha256:") or p.name.startswith(".")]
    tap.check("and nothing of it is kept", (left, (WORK / "lied" / "index.json").exists()), ([], False))
    kind, content = registry.manifests[digests["1"]]
    registry.manifests[digests["1"]] = (kind, content + b" ")
    result = Result("image", "inspect", f"{registry.host}/a/b@{digests['1']}")
    tap.check("a changed manifest is refused", (result.status, result.error.get("kind")), (3, "protocol"))
    registry.stop()


def endless_and_short_blobs_are_noticed():
    for what, change in (("longer", lambda b: b + b"x" * 100_000), ("shorter", lambda b: b[:-5])):
        registry = with_script()
        push("1", f"{registry.host}/a/b:1")
        name, content = max(registry.blobs.items(), key=lambda item: len(item[1]))
        registry.blobs[name] = change(content)
        result = Result("image", "copy", f"{registry.host}/a/b:1", f"oci:{WORK}/{what}:1")
        tap.check(f"a blob {what} than announced is refused", (result.status, result.error.get("kind")), (3, "protocol"))
        registry.stop()


def uploads_elsewhere_get_no_credentials():
    elsewhere = with_script(lambda r, _: (201, {}, b""))

    def script(request, _):
        if request.method == "POST":
            return 202, {"Location": f"http://{elsewhere.host}/store/{len(registry.requests)}?sig=abc"}, b""
        if request.method == "PUT" and request.kind == "manifest":
            return 201, {}, b""
        return None

    registry = with_script(script)
    log_in(registry.host, "ann", SECRET)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("uploads go where the registry says", (result.status, len(elsewhere.requests)), (0, 4))
    tap.check("without our credentials", [r for r in elsewhere.requests if "Authorization" in r.headers], [])
    tap.check("the query of the Location is kept", all(r.query.startswith("sig=abc&digest=sha256%3A") for r in elsewhere.requests))
    tap.check("the registry itself gets them", all("Authorization" in r.headers for r in registry.requests))
    elsewhere.script = lambda r, _: (403, {}, b"signature expired")
    refused = push("2", f"{registry.host}/a/b:2")
    tap.check("a refusal there: exit 3", (refused.status, refused.error.get("kind")), (3, "denied"))
    tap.check("and the signature in the Location is not shown", "sig=abc" in refused.said, False)
    registry.stop()
    elsewhere.stop()
    log_out()


def a_refused_mount_falls_back_to_an_upload():
    for status in (400, 404, 405, 403):
        registry = with_script(lambda r, _, s=status: ScriptedRegistry.refuse(s, "UNSUPPORTED", "no mounts") if "mount=" in r.query else None)
        result = push("1", f"{registry.host}/a/b:1")
        tap.check(f"mount answered {status}", (result.status, result.document.get("uploaded")), (0, 4))
        registry.stop()


def proof_that_is_out_of_date_is_made_good():
    registry = with_script()
    push("1", f"{registry.host}/a/b:1")
    registry.blobs.clear()  # a careless garbage collector
    result = push("2", f"{registry.host}/a/b:1")
    tap.check("all blobs are there afterwards", (result.status, len(registry.blobs)), (0, 4))
    registry.stop()


def a_403_for_an_unknown_tag_means_unknown():
    registry = with_script(lambda r, _: ScriptedRegistry.refuse(403, "DENIED", "no such tag here") if r.method == "GET" and r.kind == "manifest" else None)
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("the push goes on", (result.status, "1" in registry.manifests), (0, True))
    registry.stop()


def a_missing_repository_says_how_to_make_it():
    registry = with_script(lambda r, _: ScriptedRegistry.refuse(404, "NAME_UNKNOWN", "repository name not known to registry"))
    result = push("1", f"{registry.host}/a/b:1")
    tap.check("exit 3", (result.status, result.error.get("kind")), (3, "not_found"))
    tap.check_contains("it names the repository", result.error["message"], 'no repository "a/b"')
    registry.stop()


def nobody_listening_is_said_plainly():
    host = f"127.0.0.1:{free_port()}"
    result = push("1", f"{host}/a/b:1")
    tap.check("exit 3", (result.status, result.error.get("kind")), (3, "unavailable"))
    tap.check_contains("with advice", result.error["next"], host)
    for address in ("[::1]", "[::1]:1", "localhost:1"):
        tap.check_contains(f"{address} is this machine, without TLS", push("1", f"{address}/a/b:1").error["message"], f"http://{address}/")


def bad_names_are_refused_before_anything_is_sent():
    for name in ("rooms:1", "localhost/Rooms:1", "localhost/a:-1"):
        result = push("1", name)
        tap.check(f"{name}: exit 2", (result.status, result.error.get("kind")), (2, "usage"))
    result = push("nowhere", "127.0.0.1:1/a:1")
    tap.check("an unknown tag of the layout: exit 3", (result.status, result.error.get("kind")), (3, "not_found"))
    tap.check_contains("it says which there are", result.error["next"], "1, 2")


if not shutil.which("cc"):
    tap.skip_all("there is no C compiler")
tap.run_tests(
    requests_are_as_few_as_they_can_be, bad_names_are_refused_before_anything_is_sent, an_index_goes_with_all_its_parts,
    basic_credentials_go_with_the_first_request, the_local_cloud_is_an_ecr, a_500_is_tried_again, a_registry_that_stays_away_is_given_up_after_five_tries,
    a_429_is_obeyed, bearer_tokens_are_asked_for_once_with_push, a_token_server_without_tls_gets_no_password,
    a_connection_that_closes_in_an_upload_is_begun_anew, an_upload_that_never_ends_well_leaves_no_tag, digests_that_lie_are_noticed,
    endless_and_short_blobs_are_noticed, uploads_elsewhere_get_no_credentials, a_refused_mount_falls_back_to_an_upload,
    proof_that_is_out_of_date_is_made_good, a_403_for_an_unknown_tag_means_unknown, a_missing_repository_says_how_to_make_it,
    nobody_listening_is_said_plainly, ready=ready)
