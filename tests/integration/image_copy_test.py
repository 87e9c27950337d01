# parallel: yes
"""`dogshore image copy` between registries: streamed, mounted, whole or not at all, with all that belongs to the image."""
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tap  # noqa: E402
from layouts import INDEX, MIB, Layout  # noqa: E402
from registry import CUT, DockerRegistry, Partly, ScriptedRegistry  # noqa: E402
from tap import check, check_contains  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
# Where temporary files would go there is no place for any.
NOWHERE = WORK / "nowhere"


class Result:
    def __init__(self, *words, **environment):
        process = subprocess.run([PROGRAM, "image", *[str(w) for w in words], "--json"], capture_output=True, text=True, check=False,
                                 env=os.environ | environment)
        self.status, self.said = process.returncode, process.stdout + process.stderr
        self.document = json.loads(process.stdout)
        self.error = self.document.get("error", {})


def filled(layout, tag="1", script=None, **more):
    """A registry that has the image as a/b:1."""
    registry = ScriptedRegistry(**more)
    done = Result("push", f"{layout.path}:{tag}", f"{registry.host}/a/b:{tag}")
    if done.status != 0:
        tap.note(done.said)
    registry.requests.clear()
    registry.times.clear()
    registry.script = script
    return registry


def copy(source, target, tag="1", **environment):
    return Result("copy", f"{source.host}/a/b:{tag}", f"{target.host}/c/d:{tag}", **environment)


def same(what, result, layout, target, tag="1"):
    if not check(f"{what}: done", result.status, 0):
        tap.note(result.said)
    check(f"{what}: the digest is kept", (result.document.get("digest"), tag in target.manifests), (layout.digest(tag), True))


def blobs_stream_without_a_file_between():
    layout = Layout(40 * MIB, 300, 1, 20 * MIB)
    source, target = filled(layout), ScriptedRegistry()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result = copy(source, target, TMPDIR=str(NOWHERE))
    same("streamed", result, layout, target)
    check("streamed: each blob once", (len(source.seen("GET", "blob")), len(target.seen("PUT", "upload"))), (5, 5))
    check("streamed: byte for byte", {d: target.blobs[d] == source.blobs[d] for d in source.blobs}, {d: True for d in source.blobs})
    check("streamed: with its length, not in pieces", [r for r in target.seen("PUT") if "Transfer-Encoding" in r.headers], [])
    if before < 64 * 1024:  # the sanitizers need more
        check("streamed: in less than 40 MB", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 40 * 1024)
    again = copy(source, target)
    check("streamed: nothing is sent again", (again.status, again.document["uploaded"]), (0, 0))
    source.stop()
    target.stop()


def real_registries_stream():
    missing = DockerRegistry.missing()
    if missing:
        tap.skip("between two docker-registries", f"{missing} is not installed")
        return
    layout = Layout(*[8 * MIB] * 6)
    source, target = DockerRegistry(), DockerRegistry()
    Result("push", f"{layout.path}:1", f"{source.host}/a/b:1")
    result = copy(source, target, TMPDIR=str(NOWHERE))
    check("between two docker-registries", (result.status, result.document.get("digest"), result.document.get("uploaded")), (0, layout.digest(), 7))
    mounted = Result("copy", f"{target.host}/c/d:1", f"{target.host}/e/f:1", TMPDIR=str(NOWHERE))
    check("within a docker-registry nothing is moved", (mounted.status, mounted.document["mounted"], mounted.document["uploaded"]), (0, 7, 0))
    source.stop()
    target.stop()


def a_pull_gets_blobs_side_by_side():
    layout, together = Layout(*[1000 + n for n in range(6)], 1000), threading.Barrier(4)
    waiting = [4]

    def on_answer(request, _):
        if request.kind == "blob" and waiting[0] > 0:
            waiting[0] -= 1
            registry.lock.release()  # the others may come in meanwhile
            try:
                together.wait(60)
            finally:
                registry.lock.acquire()
        return None

    registry = filled(layout, script=on_answer)
    result = Result("copy", f"{registry.host}/a/b:1", f"oci:{WORK}/beside:1")
    check("a pull: four at once", (result.status, together.broken, result.document.get("uploaded")), (0, False, 8))
    registry.stop()
    registry = filled(layout)
    whole = dict(registry.blobs)
    bad = sorted(whole)[3]
    registry.blobs[bad] = whole[bad][:-1]
    broken = Result("copy", f"{registry.host}/a/b:1", f"oci:{WORK}/partly:1")
    check("a pull with one bad blob: an error, no tag", (broken.status, (WORK / "partly/index.json").exists()), (3, False))
    registry.blobs[bad] = whole[bad]
    registry.requests.clear()
    again = Result("copy", f"{registry.host}/a/b:1", f"oci:{WORK}/partly:1")
    check("the next one gets what is missing only", (again.status, len(registry.seen("GET", "blob"))), (0, 1))
    registry.stop()


def a_source_that_lies_makes_no_blob():
    layout = Layout(3 * MIB)
    for what, change in (("changed", lambda b: b[:-1] + bytes([b[-1] ^ 1])), ("too short", lambda b: b[:-5]), ("too long", lambda b: b + b"xx")):
        source = filled(layout)
        name, content = max(source.blobs.items(), key=lambda item: len(item[1]))
        source.blobs[name] = change(content)
        target = ScriptedRegistry()
        result = copy(source, target)
        check(f"a {what} blob: refused", (result.status, result.error.get("kind")), (3, "protocol"))
        check_contains(f"a {what} blob: it says whose", " ".join(result.error["while"]), f"{source.host}/a/b")
        check(f"a {what} blob: the last byte was never sent", [len(r.body) for r in target.seen("PUT", "upload") if len(r.body) > MIB], [])
        check(f"a {what} blob: no tag", target.manifests, {})
        source.stop()
        target.stop()


def a_source_that_lies_leaves_nothing_of_it_in_a_layout():
    """Not under a name that the next pull would take for what is there already."""
    layout = Layout(3 * MIB, 100)
    source = filled(layout)
    name, content = max(source.blobs.items(), key=lambda item: len(item[1]))
    source.blobs[name] = content[:-1] + bytes([content[-1] ^ 1])
    target = WORK / "lied-to"
    result = Result("copy", f"{source.host}/a/b:1", f"oci:{target}:1")
    check("a pull of a changed blob: refused", (result.status, result.error.get("kind")), (3, "protocol"))
    check("a pull of a changed blob: it is not kept, nor a tag", ((target / "blobs/sha256" / name[7:]).exists(), (target / "index.json").exists()), (False, False))
    source.blobs[name] = content
    check("then from an honest source: done", Result("copy", f"{source.host}/a/b:1", f"oci:{target}:1").status, 0)
    check("and right", (target / "blobs/sha256" / name[7:]).read_bytes() == content)
    source.stop()


def an_endless_blob_ends_where_its_manifest_says():
    """Nothing beyond is taken: it would fill the disk."""
    def pour():
        taker, _ = endless.accept()
        taker.recv(65536)
        try:
            taker.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
            while sum(poured) < 256 * MIB:
                poured.append(taker.send(bytes(65536)))
        except OSError:
            pass
        endless.close()
        taker.close()

    poured = []
    layout = Layout(3000)
    registry = filled(layout)
    layer = max(registry.blobs, key=lambda name: len(registry.blobs[name]))
    endless = socket.create_server(("127.0.0.1", 0))
    registry.script = lambda r, _: (307, {"Location": f"http://127.0.0.1:{endless.getsockname()[1]}/x"}, b"") if r.path.endswith(layer) else None
    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    result = Result("copy", f"{registry.host}/a/b:1", f"oci:{WORK}/endless:1")
    thread.join()
    check("an endless blob: exit 3", (result.status, result.error["kind"]), (3, "protocol"))
    check("an endless blob: it is not read on", sum(poured) < 64 * MIB) or tap.note(f"{sum(poured)} bytes")
    registry.stop()


def a_source_that_breaks_is_asked_again():
    layout = Layout(3 * MIB)
    for what, answer in (("closes", CUT), ("answers 503", (503, {"Retry-After": "0"}, b""))):
        source = filled(layout, script=lambda r, t, a=answer: a if r.kind == "blob" and t < 2 else None)
        target = ScriptedRegistry()
        same(f"a source that {what}", copy(source, target), layout, target)
        source.stop()
        target.stop()
    source = filled(layout, script=lambda r, _: (503, {"Retry-After": "0"}, b"away") if r.kind == "blob" else None)
    target = ScriptedRegistry()
    result = copy(source, target)
    check("a source that stays away: an error", (result.status, result.error["kind"]), (3, "unavailable"))
    check("a source that stays away: no tag", target.manifests, {})
    source.stop()
    target.stop()


# ---- a source that breaks in the middle of a blob: the target notices nothing of it


def breaking(registry, *sizes, then=None):
    """A script: the first answers for the one large blob break off behind so many bytes; then(request, answer, blob) makes the others."""
    left = list(sizes)

    def script(request, times):
        if request.method != "GET" or request.kind != "blob" or len(registry.blobs[request.path.rpartition("/")[2]]) < MIB:
            return None
        answer = registry.serve(request)
        if left:
            return Partly(answer, left.pop(0))
        return then(request, answer, registry.blobs[request.path.rpartition("/")[2]]) if then else answer

    return script


def ranges(registry):
    """How the large blob was asked for."""
    return [r.headers.get("Range") for r in registry.seen("GET", "blob") if len(registry.blobs[r.path.rpartition("/")[2]]) >= MIB]


def goes_on(what, sizes, asked, size=30 * MIB, then=None):
    """The copy is done, the source was asked so, and the target got one body."""
    layout = Layout(size, 100)
    source, target = filled(layout), ScriptedRegistry()
    source.script = breaking(source, *sizes, then=then)
    result = copy(source, target, TMPDIR=str(NOWHERE))
    same(what, result, layout, target)
    check(f"{what}: it was asked so", ranges(source), asked)
    check(f"{what}: the target got each blob once", (len(target.seen("POST")), len(target.seen("PUT", "upload")), target.seen("DELETE")), (3, 3, []))
    check(f"{what}: each further request counts, as a retry too", (result.document.get("retries"), result.document["requests"]["GET"]),
          (len(asked) - 1, len(source.seen("GET")) + len(target.seen("GET"))))
    source.stop()
    target.stop()


def broken_blobs_go_on_where_they_stopped():
    goes_on("broken once", [10 * MIB], [None, f"bytes={10 * MIB}-"])
    goes_on("broken twice, without a step between", [10 * MIB, 0], [None, f"bytes={10 * MIB}-", f"bytes={10 * MIB}-"])
    steps = [2 * MIB] * 14
    goes_on("broken every 2 MiB", steps, [None] + [f"bytes={2 * MIB * (n + 1)}-" for n in range(14)])


def broken_blobs_of_a_source_without_ranges_come_again():
    goes_on("no ranges", [10 * MIB], [None, f"bytes={10 * MIB}-"], then=lambda request, answer, blob: (200, {}, blob))


def other_ranges_than_the_one_asked_for_are_not_taken():
    size = 30 * MIB

    def wrong(first, last, total, status=206):
        def then(request, answer, blob):
            if "Range" not in request.headers:
                return answer
            said = {"Content-Range": f"bytes {first}-{last}/{total}"} if first is not None else {}
            return status, said, blob[first or 0:last + 1]
        return then

    for what, then in (("from the start", wrong(0, size - 1, size)), ("one byte late", wrong(10 * MIB + 1, size - 1, size)), ("one byte early", wrong(10 * MIB - 1, size - 1, size)),
                       ("without a Content-Range", wrong(None, size - 1, size)), ("not to the end", wrong(10 * MIB, 20 * MIB, size)), ("no such byte", wrong(0, -1, size, 416))):
        goes_on(f"another range, {what}", [10 * MIB], [None, f"bytes={10 * MIB}-", None], then=then)


def broken_blobs_are_checked_as_a_whole():
    """What comes after the break is of another blob, or of none."""
    layout = Layout(4 * MIB)
    for what, change in (("other bytes", lambda part: part[:-1] + bytes([part[-1] ^ 1])), ("too few", lambda part: part[:-5]), ("too many", lambda part: part + b"xx")):
        source, target = filled(layout), ScriptedRegistry()
        source.script = breaking(source, 2 * MIB, then=lambda request, answer, blob, c=change: (*answer[:2], c(answer[2])))
        result = copy(source, target)
        check(f"{what} behind the break: refused", (result.status, result.error.get("kind")), (3, "protocol"))
        check(f"{what} behind the break: no blob, no tag", ([r for r in target.seen("PUT", "upload") if len(r.body) > MIB], target.manifests), ([], {}))
        source.stop()
        target.stop()


def a_source_that_breaks_for_good_is_given_up():
    layout = Layout(4 * MIB)
    source, target = filled(layout), ScriptedRegistry()
    source.script = breaking(source, 2 * MIB, *[0] * 100)
    result = copy(source, target)
    check("broken for good: an error", (result.status, result.error.get("kind")), (3, "unavailable"))
    check("broken for good: five tries", ranges(source), [None] + [f"bytes={2 * MIB}-"] * 4)
    check("broken for good: no tag", target.manifests, {})
    source.stop()
    target.stop()


def a_token_that_ends_in_a_blob_begins_it_anew():
    tokens = []

    def guarded(request, _):
        if request.path == "/token":
            tokens.append(f"t{len(tokens)}")
            return 200, {}, json.dumps({"token": tokens[-1], "expires_in": 300}).encode()
        if tokens and request.headers.get("Authorization") == f"Bearer {tokens[-1]}" and not (tokens == ["t0"] and "Range" in request.headers):
            return unguarded(request, _)
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{request.headers["Host"]}/token",service="s"'}, b""

    layout = Layout(4 * MIB)
    source, target = filled(layout), ScriptedRegistry()
    unguarded = breaking(source, 2 * MIB)
    source.script = guarded
    same("a token that ends", copy(source, target, DOGSHORE_STATE=str(WORK / "state-ends")), layout, target)
    check("a token that ends: another one, and from the start", (tokens, ranges(source)[-2:]), (["t0", "t1"], [f"bytes={2 * MIB}-", None]))
    source.stop()
    target.stop()


def a_pull_goes_on_as_well():
    layout = Layout(8 * MIB)
    source = filled(layout)
    source.script = breaking(source, 3 * MIB, 2 * MIB)
    result = Result("copy", f"{source.host}/a/b:1", f"oci:{WORK}/went-on:1")
    check("a pull that breaks: it is there", (result.status, result.document.get("digest")), (0, layout.digest()))
    check("a pull that breaks: it went on", ranges(source), [None, f"bytes={3 * MIB}-", f"bytes={5 * MIB}-"])
    source.stop()


def a_target_that_breaks_gets_it_again():
    layout, cuts = Layout(30 * MIB), []

    def on_head(handler):
        if "/blobs/uploads/" in handler.path and int(handler.headers["Content-Length"]) > MIB and not cuts:
            cuts.append(handler.rfile.read(10 * MIB))
            return CUT
        return None

    source, target = filled(layout), ScriptedRegistry(on_head=on_head)
    same("a target that breaks", copy(source, target, TMPDIR=str(NOWHERE)), layout, target)
    check("a target that breaks: it did", len(cuts), 1)
    source.stop()
    target.stop()


def a_target_that_takes_no_large_bodies_gets_pieces():
    layout = Layout(20 * MIB)
    source = filled(layout)
    target = ScriptedRegistry(lambda r, _: (413, {}, b"") if r.kind == "upload" and len(r.body) > 8 * MIB else None)
    same("pieces", copy(source, target), layout, target)
    check("pieces: of 8 MiB", [len(r.body) // MIB for r in target.seen("PATCH")], [8, 8, 4])
    source.stop()
    target.stop()


def tokens_of_both_sides_are_used_where_they_belong():
    def guarded(name):
        def script(request, _):
            if request.path == "/token":
                return 200, {}, json.dumps({"token": f"{name}-{request.query.count('push')}", "expires_in": 300}).encode()
            if request.headers.get("Authorization", "").partition("-")[0] != f"Bearer {name}":
                return 401, {"WWW-Authenticate": f'Bearer realm="http://{request.headers["Host"]}/token",service="{name}"'}, b""
            return None
        return script

    layout = Layout(2 * MIB, 100)
    source, target = filled(layout, script=guarded("source")), ScriptedRegistry(guarded("target"))
    same("tokens", copy(source, target, DOGSHORE_STATE=str(WORK / "state-tokens")), layout, target)
    check("tokens: each its own", [r for r in source.requests if "target" in r.headers.get("Authorization", "")]
          + [r for r in target.requests if "source" in r.headers.get("Authorization", "")], [])
    source.stop()
    target.stop()


def an_index_and_what_is_known_about_it_come_along():
    layout = Layout(100)
    layout.add("2", [b"other"])
    layout.put("all", INDEX, {"manifests": [layout.tags[t] for t in ("1", "2")]})
    layout.add("bill", [b"bill of materials"], artifactType="application/x.bill", subject=layout.tags["all"])
    bill = layout.digest("bill")
    index = json.loads((layout.path / "index.json").read_text())
    for entry in index["manifests"]:
        if entry["digest"] == bill:
            del entry["annotations"]
    (layout.path / "index.json").write_text(json.dumps(index))
    source, target, third = filled(layout, "all"), ScriptedRegistry(), ScriptedRegistry()
    check("an index: the source has the bill", bill in source.manifests)
    result = copy(source, target, "all")
    same("an index", result, layout, target, "all")
    check("an index: with its parts and the bill", [d in target.manifests for d in (layout.digest("1"), layout.digest("2"), bill)], [True] * 3)
    fallback = "sha256-" + layout.digest("all")[7:]
    check("an index: the bill is listed", [m["digest"] for m in json.loads(target.manifests[fallback][1])["manifests"]], [bill])
    order = [r.path.rpartition("/")[2] for r in target.seen("PUT", "manifest")]
    check("an index: parts, index, bill, list", order, [layout.digest("1"), layout.digest("2"), "all", bill, fallback])
    pulled = Result("copy", f"{target.host}/c/d:all", f"oci:{WORK}/pulled:all")
    check("pulled into a layout: the bill too", (pulled.status, (WORK / "pulled/blobs/sha256" / bill[7:]).exists()), (0, True))
    Result("copy", f"oci:{WORK}/pulled:all", f"{third.host}/e/f:all")
    check("and pushed from there: the bill too", bill in third.manifests)
    for registry in (source, target, third):
        registry.stop()


tap.run_tests(
    blobs_stream_without_a_file_between, real_registries_stream, a_pull_gets_blobs_side_by_side, a_source_that_lies_makes_no_blob,
    a_source_that_lies_leaves_nothing_of_it_in_a_layout, an_endless_blob_ends_where_its_manifest_says, a_source_that_breaks_is_asked_again,
    broken_blobs_go_on_where_they_stopped, broken_blobs_of_a_source_without_ranges_come_again, other_ranges_than_the_one_asked_for_are_not_taken,
    broken_blobs_are_checked_as_a_whole, a_source_that_breaks_for_good_is_given_up, a_token_that_ends_in_a_blob_begins_it_anew, a_pull_goes_on_as_well,
    a_target_that_breaks_gets_it_again, a_target_that_takes_no_large_bodies_gets_pieces, tokens_of_both_sides_are_used_where_they_belong,
    an_index_and_what_is_known_about_it_come_along)
