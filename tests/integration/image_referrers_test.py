#!/usr/bin/env python3
"""What a layout has about an image goes with it: over the referrers API, or the tag schema where there is none."""
# timeout: 300
# parallel: yes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "integration")]
import tap  # noqa: E402
from registry import DockerRegistry, ScriptedRegistry, digest_of  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))


def dogshore(*words, state=None):
    environment = {**os.environ, **({"DOGSHORE_STATE": str(state)} if state else {})}
    process = subprocess.run([PROGRAM, *map(str, words), "--json"], capture_output=True, text=True, env=environment)
    document = json.loads(process.stdout)
    document["exit"] = process.returncode
    return document


def new_layout(name, text="one"):
    """An image, and its digest."""
    (WORK / "main.c").write_text(f'#include <stdio.h>\nint main(void) {{ puts("{text}"); return 0; }}\n')
    subprocess.run(["cc", "-o", WORK / "program", WORK / "main.c"], check=True)
    return dogshore("image", "build", "--binary", WORK / "program", "--output", f"{WORK / name}:1")["digest"]


def put_blob(layout, content):
    (layout / "blobs" / "sha256" / hashlib.sha256(content).hexdigest()).write_bytes(content)
    return {"digest": digest_of(content), "size": len(content)}


def refer(layout, subject, kind, content, tag=None):
    """Adds a referrer to a layout as any tool would, and returns its digest."""
    layout = WORK / layout
    size = (layout / "blobs" / "sha256" / subject[7:]).stat().st_size
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", **put_blob(layout, b"{}")},
                "layers": [{"mediaType": kind, **put_blob(layout, content.encode())}],
                "subject": {"mediaType": MANIFEST, "digest": subject, "size": size},
                "annotations": {"org.example.word": content}}
    named = put_blob(layout, json.dumps(manifest).encode())
    index = json.loads((layout / "index.json").read_text())
    entry = {"mediaType": MANIFEST, **named}
    if tag:
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    index["manifests"].append(entry)
    (layout / "index.json").write_text(json.dumps(index))
    return named["digest"]


def fetch(host, path, accept=INDEX):
    request = urllib.request.Request(f"http://{host}/v2/{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def fallback_tag(digest):
    return digest.replace(":", "-")


def without_the_api_an_index_under_a_tag_is_the_list():
    if DockerRegistry.missing():
        return tap.skip("referrers on docker-registry", "docker-registry is not installed")
    digest = new_layout("a")
    first, second = refer("a", digest, "text/x-sbom", "bill"), refer("a", digest, "text/x-note", "note")
    registry = DockerRegistry()
    try:
        target = f"{registry.host}/booking/rooms"
        pushed = dogshore("image", "push", f"{WORK}/a:1", f"{target}:main")
        tap.check("both are pushed", (pushed["exit"], pushed["referrers"]), (0, 2))
        listed = fetch(registry.host, f"booking/rooms/manifests/{fallback_tag(digest)}")
        tap.check("the index names them with type and notes",
                  [(m["digest"], m["artifactType"], m["annotations"]) for m in listed["manifests"]],
                  [(first, "text/x-sbom", {"org.example.word": "bill"}), (second, "text/x-note", {"org.example.word": "note"})])
        stored = fetch(registry.host, f"booking/rooms/manifests/{first}", MANIFEST)
        tap.check("a referrer is there, with its subject", stored["subject"]["digest"], digest)
        again = dogshore("image", "push", f"{WORK}/a:1", f"{target}:main")
        tap.check("the same again is one request", (again["referrers"], again["requests"]), (0, {"GET": 1}))
        unnoted = dogshore("image", "push", f"{WORK}/a:1", f"{target}:main", state=WORK / "other")
        tap.check("another machine asks, and sends nothing", (unnoted["referrers"], unnoted["requests"]), (0, {"GET": 3}))
        third = refer("a", digest, "text/x-note", "later")
        later = dogshore("image", "push", f"{WORK}/a:1", f"{target}:main")
        tap.check("one added later is pushed although the tag is right", later["referrers"], 1)
        listed = fetch(registry.host, f"booking/rooms/manifests/{fallback_tag(digest)}")
        tap.check("and listed behind the others", [m["digest"] for m in listed["manifests"]], [first, second, third])
    finally:
        registry.stop()
    return None


def with_the_api_the_registry_keeps_the_list():
    digest = new_layout("b")
    known, fresh = refer("b", digest, "text/x-note", "known"), refer("b", digest, "text/x-note", "fresh")

    def script(request, _):
        if request.path == f"/v2/a/b/referrers/{digest}":
            entry = {"mediaType": MANIFEST, "digest": known, "size": 1}
            if "last=1" in request.query:
                return 200, {"Content-Type": INDEX}, json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
            headers = {"Content-Type": INDEX, "Link": f'</v2/a/b/referrers/{digest}?last=1>; rel="next"'}
            return 200, headers, json.dumps({"schemaVersion": 2, "manifests": []}).encode()
        return None

    registry = ScriptedRegistry(script)
    pushed = dogshore("image", "push", f"{WORK}/b:1", f"{registry.host}/a/b:1")
    registry.stop()
    tap.check("what the second page lists is not pushed again", pushed["referrers"], 1)
    tap.check("the new one is there", fresh in registry.manifests, True)
    tap.check("no tag is made of it", fallback_tag(digest) in registry.manifests, False)


def a_list_does_not_lead_elsewhere():
    digest = new_layout("c")
    refer("c", digest, "text/x-note", "one")

    def script(request, _):
        if "/referrers/" in request.path:
            return 200, {"Link": '<http://127.0.0.2:1/v2/a/b/referrers/x>; rel="next"'}, b'{"manifests":[]}'
        return None

    registry = ScriptedRegistry(script)
    pushed = dogshore("image", "push", f"{WORK}/c:1", f"{registry.host}/a/b:1")
    registry.stop()
    tap.check("a next page on another server is refused", (pushed["exit"], "another server" in pushed["error"]["message"]), (3, True))


def etag_of(content):
    return f'"{digest_of(content)}"'


def a_race_is_lost_and_tried_again(minds):
    """Somebody else writes the index between our read and our write. minds: does the registry mind If-Match?"""
    name = "minds" if minds else "ignores"
    digest = new_layout(name)
    ours = refer(name, digest, "text/x-note", "ours")
    theirs = {"mediaType": MANIFEST, "digest": "sha256:" + "ab" * 32, "size": 3, "artifactType": "text/x-theirs"}
    start = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    with_theirs = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [theirs]}).encode()
    tag, raced = fallback_tag(digest), []

    def script(request, _):
        if "/referrers/" in request.path:
            return ScriptedRegistry.refuse(404, "UNSUPPORTED", "no such thing")
        if not request.path.endswith(f"/manifests/{tag}"):
            return None
        current = registry.manifests.get(tag, (INDEX, start))[1]
        if request.method == "GET":
            return 200, {"Content-Type": INDEX, "ETag": etag_of(current)}, current
        if minds and not raced:
            raced.append("before")
            registry.manifests[tag] = (INDEX, with_theirs)
            current = with_theirs
        if minds and request.headers.get("If-Match") != etag_of(current):
            raced.append("refused")
            return 412, {}, b""
        registry.manifests[tag] = (INDEX, request.body)
        if not minds and not raced:
            raced.append("after")
            registry.manifests[tag] = (INDEX, with_theirs)
        return 201, {}, b""

    registry = ScriptedRegistry(script)
    pushed = dogshore("image", "push", f"{WORK}/{name}:1", f"{registry.host}/a/b:1")
    registry.stop()
    tap.check(f"{name} If-Match: it is pushed", (pushed["exit"], pushed.get("referrers")), (0, 1))
    tap.check(f"{name} If-Match: there was a race", raced, ["before", "refused"] if minds else ["after"])
    listed = [m["digest"] for m in json.loads(registry.manifests[tag][1])["manifests"]]
    tap.check(f"{name} If-Match: both are in the list", sorted(listed), sorted([theirs["digest"], ours]))


def what_others_pushed_stays_in_the_list():
    if DockerRegistry.missing():
        return tap.skip("what others pushed", "docker-registry is not installed")
    digest = new_layout("x")
    new_layout("y")
    named = [refer(layout, digest, "text/x-note", f"from {layout} {i}") for layout in "xy" for i in range(5)]
    registry = DockerRegistry()
    try:
        for layout in "xy":
            dogshore("image", "push", f"{WORK}/{layout}:1", f"{registry.host}/a/b:{layout}", state=WORK / layout)
        listed = fetch(registry.host, f"a/b/manifests/{fallback_tag(digest)}")
        tap.check("all ten are in the list, once each", [m["digest"] for m in listed["manifests"]], named)
    finally:
        registry.stop()
    return None


def a_failed_push_of_referrers_is_not_forgotten():
    digest = new_layout("f")
    refer("f", digest, "text/x-note", "one")
    broken = [True]

    def script(request, _):
        if broken and request.method == "PUT" and request.path.endswith(fallback_tag(digest)):
            return 403, {}, b""
        return None

    registry = ScriptedRegistry(script)
    first = dogshore("image", "push", f"{WORK}/f:1", f"{registry.host}/a/b:1")
    broken.clear()
    second = dogshore("image", "push", f"{WORK}/f:1", f"{registry.host}/a/b:1")
    registry.stop()
    tap.check("the push says that it failed", (first["exit"], first["status"]), (3, "failed"))
    tap.check("the next one completes it", (second["exit"], fallback_tag(digest) in registry.manifests), (0, True))


def a_registry_that_minds_if_match():
    a_race_is_lost_and_tried_again(True)


def a_registry_that_ignores_if_match():
    a_race_is_lost_and_tried_again(False)


if not shutil.which("cc"):
    tap.skip_all("there is no C compiler")
tap.run_tests(without_the_api_an_index_under_a_tag_is_the_list, with_the_api_the_registry_keeps_the_list, a_list_does_not_lead_elsewhere,
              a_registry_that_minds_if_match, a_registry_that_ignores_if_match, what_others_pushed_stays_in_the_list,
              a_failed_push_of_referrers_is_not_forgotten)
