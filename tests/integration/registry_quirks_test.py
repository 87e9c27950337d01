# parallel: yes
"""What registries do differently, each as a server that answers like it: the image arrives whole or the error says why.

A test is named after the corner case of the protocol, or the vendor, that it is about; of the ten findings
2, 7 and 9 stand here, the others in findings_test.py. Harbor's GOAWAY and Quay's slow HTTP/2 need TLS: registry_tls_test.py. How
a list of referrers is kept, races included: image_referrers_test.py. ECR's missing repositories: image_push_test.py."""
import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tap  # noqa: E402
from layouts import CONFIG, INDEX, MANIFEST, MIB, Layout  # noqa: E402
from registry import CUT, DockerRegistry, ScriptedRegistry, digest_of, free_port  # noqa: E402
from tap import check, check_contains  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
SECRET = "correct-horse-battery"
for name in [n for n in os.environ if n.startswith("AWS_") or n.endswith("_proxy")]:
    del os.environ[name]
os.environ.update(DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
os.environ.pop("REGISTRY_AUTH_FILE", None)
states = 0


class Result:
    def __init__(self, *words, **environment):
        process = subprocess.run([PROGRAM, *[str(w) for w in words], "--json"], capture_output=True, text=True, check=False,
                                 env=os.environ | environment)
        self.status, self.said = process.returncode, process.stdout + process.stderr
        self.document = json.loads(process.stdout)
        self.error = self.document.get("error", {})
        self.next = self.error.get("next") or ""
        self.requests = self.document.get("requests")


def fresh():
    """Nothing is known of earlier runs."""
    global states
    states += 1
    os.environ["DOGSHORE_STATE"] = str(WORK / f"state-{states}")


def push(layout, registry, repository="a/b", tag="1", *more, target=None, **environment):
    return Result("image", "push", f"{layout.path}:{tag}", f"{target or registry.host}/{repository}:{tag}", *more, **environment)


def arrives(what, layout, script=None, on_head=None, prepare=None, tag="1"):
    """The image gets to a registry that answers so, whole."""
    fresh()
    registry = ScriptedRegistry(script, on_head=on_head)
    if prepare:
        prepare(registry)
    result = push(layout, registry, tag=tag)
    registry.stop()
    if not check(f"{what}: the push is done", result.status, 0):
        tap.note(result.said)
    names = json.loads((layout.path / "blobs/sha256" / layout.digest(tag)[7:]).read_bytes())
    held = [registry.blobs.get(d["digest"]) is not None for d in [names["config"], *names["layers"]]]
    check(f"{what}: all blobs are there, and the tag", (all(held), tag in registry.manifests), (True, True))
    return registry, result


def log_in(registry, user="ann", host=None):
    (WORK / "docker").mkdir(exist_ok=True)
    pair = base64.b64encode(f"{user}:{SECRET}".encode()).decode()
    (WORK / "docker/config.json").write_text(json.dumps({"auths": {host or registry.host: {"auth": pair}}}))


def log_out():
    (WORK / "docker/config.json").unlink(missing_ok=True)


def refuse(status, code, message="", **headers):
    return ScriptedRegistry.refuse(status, code, message, **headers)


def is_mount(request):
    return request.method == "POST" and "mount=" in request.query


class Bearer:
    """A registry with a token server. give(scopes) decides what a token is good for."""

    def __init__(self, key="token", life=300, give=lambda scopes: scopes, needs=None):
        self.key, self.life, self.give, self.needs, self.asked = key, life, give, needs or self.usual, []

    def usual(self, request):
        repository = request.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        return f"repository:{repository}:{'pull' if request.method in ('GET', 'HEAD') else 'pull,push'}"

    def __call__(self, request, times):
        if request.path == "/token":
            scopes = [v.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",") for n, _, v in
                      (part.partition("=") for part in request.query.split("&")) if n == "scope"]
            self.asked.append(scopes)
            granted = self.give(scopes)
            if granted is None:
                return 403, {}, b'{"details": "no"}'
            token = f"t{len(self.asked)}." + base64.urlsafe_b64encode(json.dumps(granted).encode()).decode()
            return 200, {"Content-Type": "application/json"}, json.dumps({self.key: token, "expires_in": self.life}).encode()
        needed = self.needs(request)
        value = request.headers.get("Authorization", "")
        granted = json.loads(base64.urlsafe_b64decode(value.partition(".")[2])) if value.startswith("Bearer t") else []
        repository, _, rights = needed.rpartition(":")
        for scope in granted:
            if scope == needed or scope.rpartition(":")[0] == repository and set(rights.split(",")) <= set(scope.rpartition(":")[2].split(",")):
                return None
        realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="r",scope="{needed}"'
        return 401, [("WWW-Authenticate", 'Negotiate'), ("WWW-Authenticate", realm), ("WWW-Authenticate", 'Basic realm="r"')], b""


# ---- the ten findings of which a client can be at fault


def finding_2_a_push_of_nothing_new_is_one_request():
    layout = Layout(1000, 2000, 3000)
    registry, _ = arrives("finding 2", layout)
    again = ScriptedRegistry()
    again.blobs, again.manifests = registry.blobs, registry.manifests
    check("finding 2: nothing new is one GET", push(layout, again).requests, {"GET": 1})
    again.stop()


def finding_7_ecr_is_sent_whole_blobs():
    registry, result = arrives("finding 7", Layout(9 * MIB, 100))
    check("finding 7: POST and PUT, no PATCH", result.requests, {"GET": 1, "POST": 3, "PUT": 4})
    check("finding 7: each PUT has its length", all(r.headers.get("Content-Length") and "Transfer-Encoding" not in r.headers
                                                   for r in registry.seen("PUT")))


def finding_9_many_blobs_are_asked_for_with_the_manifest_by_digest():
    missing = DockerRegistry.missing()
    layout = Layout(*[100 + i for i in range(8)])
    layers = [(layout.path / "blobs/sha256" / d["digest"][7:]).read_bytes()
              for d in json.loads((layout.path / "blobs/sha256" / layout.digest()[7:]).read_bytes())["layers"]]
    layout.add("2", layers[:-1] + [b"another program"])
    for kind in ("docker-registry", "a strict registry"):
        if kind == "docker-registry" and missing:
            tap.skip("finding 9: docker-registry", f"{missing} is not installed")
            continue
        fresh()
        registry = DockerRegistry() if kind == "docker-registry" else ScriptedRegistry()
        first = push(layout, registry)
        check(f"finding 9: {kind}: a first push asks for nothing at once", first.requests, {"GET": 1, "POST": 9, "PUT": 10})
        second = push(layout, registry, tag="2")
        check(f"finding 9: {kind}: a new tag sends two blobs", (second.status, second.document.get("uploaded")), (0, 2))
        check(f"finding 9: {kind}: in seven requests for nine blobs", second.requests, {"GET": 1, "POST": 2, "PUT": 4})
        registry.stop()


def finding_9_a_registry_that_takes_manifests_with_holes_gets_none():
    layout = Layout(*[100 + i for i in range(20)])

    def lax(request, _):
        if request.kind == "manifest" and request.method == "PUT":
            registry.manifests[request.path.rpartition("/")[2]] = (request.headers["Content-Type"], request.body)
            return 201, {}, b""
        return None

    fresh()
    registry = ScriptedRegistry(lax)
    result = push(layout, registry)
    puts = [r.path.rpartition("/")[2] for r in registry.seen("PUT", "manifest")]
    check("finding 9: it is asked by digest, never by tag", puts, [layout.digest(), "1"])
    check("finding 9: a 201 proves nothing, all blobs are sent", (result.status, len(registry.blobs)), (0, 21))
    last = [r.method + r.kind for r in registry.requests][-1]
    check("finding 9: the tag comes last", last, "PUTmanifest")
    registry.stop()


# ---- corner cases: Location


def location_is_resolved_and_its_query_is_kept():
    for what, location in (("absolute", "http://{host}/v2/a/b/blobs/uploads/{n}?_state=a%2Bb"), ("relative", "{n}?_state=a%2Bb"),
                           ("a path", "/v2/a/b/blobs/uploads/{n}?_state=a%2Bb"), ("without a scheme", "//{host}/v2/a/b/blobs/uploads/{n}?_state=a%2Bb")):
        def script(request, times):
            if request.method == "POST":
                path = f"/v2/a/b/blobs/uploads/{times}"
                registry.sessions[path] = b""
                return 202, {"Location": location.format(host=registry.host, n=times)}, b""
            return None

        fresh()
        registry = ScriptedRegistry(script)
        result = push(Layout(100), registry)
        registry.stop()
        check(f"Location, {what}: the push is done", result.status, 0)
        check(f"Location, {what}: the digest is added to its query",
              all(r.query.startswith("_state=a%2Bb&digest=sha256") for r in registry.seen("PUT", "upload")))


def location_without_a_query_gets_one():
    def script(request, times):
        if request.method == "POST":
            registry.sessions[f"/v2/a/b/blobs/uploads/{times}"] = b""
            return 202, {"Location": f"/v2/a/b/blobs/uploads/{times}"}, b""
        return None

    fresh()
    registry = ScriptedRegistry(script)
    check("Location without a query: the push is done", push(Layout(100), registry).status, 0)
    check("Location without a query: the digest is one", all(r.query.startswith("digest=sha256") for r in registry.seen("PUT", "upload")))
    registry.stop()


def location_keeps_the_port_that_it_names():
    """oras-go#177: 80 or 443 said or left out is the same server, which gets credentials, and is asked as it says."""
    for said, location in (("registry.example.com:80", "http://registry.example.com/up?n="), ("registry.example.com", "http://registry.example.com:80/up?n="),
                           ("registry.example.com", "http://registry.example.com:443/up?n=")):
        def script(request, times):
            if request.method == "POST":
                return 202, {"Location": f"{location}{times}"}, b""
            if request.path == "/up":
                proxy.blobs[digest_of(request.body)] = request.body
                return 201, {}, b""
            return None

        fresh()
        proxy = ScriptedRegistry(script)
        (WORK / "docker").mkdir(exist_ok=True)
        (WORK / "docker/config.json").write_text(json.dumps({"auths": {said: {"auth": base64.b64encode(f"ann:{SECRET}".encode()).decode()}}}))
        result = push(Layout(100), proxy, "a/b", "1", "--plain-http", target=said, http_proxy=f"http://{proxy.host}")
        sent = [r for r in proxy.requests if r.path == "/up"]
        same = ":443" not in location
        check(f"Location {location} of {said}: the blobs go there", (result.status, len(sent)), (0, 2)) or tap.note(result.said)
        check(f"Location {location} of {said}: {'with' if same else 'without'} credentials", ["Authorization" in r.headers for r in sent], [same] * 2)
        if not same:
            check(f"Location {location} of {said}: the port stays", {r.headers["Host"] for r in sent}, {"registry.example.com:443"})
        log_out()
        proxy.stop()


def location_of_every_answer_replaces_the_one_before():
    def script(request, _):
        # The state of an answer is good for one request.
        if request.kind == "upload" and request.method in ("PATCH", "PUT", "GET") and request.query.partition("&")[0] != states_of.get(request.path, request.query.partition("&")[0]):
            return refuse(404, "BLOB_UPLOAD_INVALID", "old state")
        if request.kind == "upload" and request.method == "PUT" and len(request.body) > 8 * MIB:
            return 413, {}, b"<html>too large</html>"
        if request.kind == "upload" and request.method == "PATCH":
            answer = registry.serve(request)
            states_of[request.path] = answer[1]["Location"].partition("?")[2]
            return answer
        return None

    states_of = {}
    fresh()
    registry = ScriptedRegistry(script)
    result = push(Layout(20 * MIB), registry)
    check("Location: each chunk goes to the one before's", (result.status, len(registry.seen("PATCH"))), (0, 3))
    registry.stop()


def location_on_another_host_gets_no_credentials():
    elsewhere = ScriptedRegistry(lambda r, _: (201, {}, b""))

    def script(request, times):
        if request.method == "POST":
            return 202, {"Location": f"http://{elsewhere.host}/store/{times}?sig=abc"}, b""
        return (201, {}, b"") if request.method == "PUT" else None

    fresh()
    registry = ScriptedRegistry(script)
    log_in(registry)
    result = push(Layout(100), registry)
    check("Location elsewhere: the blobs go there", (result.status, len(elsewhere.requests)), (0, 2))
    check("Location elsewhere: without credentials", [r for r in elsewhere.requests if "Authorization" in r.headers], [])
    check("Location elsewhere: the registry gets them", all("Authorization" in r.headers for r in registry.requests))
    log_out()
    registry.stop()
    elsewhere.stop()


def asks_for_credentials(host):
    """Another server that would like to have them: with Basic, or for a token."""
    return 401, [("WWW-Authenticate", f'Bearer realm="http://{host}/token",service="r"'), ("WWW-Authenticate", 'Basic realm="r"')], b""


def location_elsewhere_that_asks_for_credentials_gets_none():
    elsewhere = ScriptedRegistry(lambda r, _: asks_for_credentials(r.headers["Host"]))

    def script(request, times):
        return (202, {"Location": f"http://{elsewhere.host}/store/{times}"}, b"") if request.method == "POST" else None

    fresh()
    registry = ScriptedRegistry(script)
    log_in(registry)
    result = push(Layout(100), registry)
    check("Location elsewhere, 401: refused", (result.status, result.error["kind"]), (3, "denied"))
    check_contains("Location elsewhere, 401: it says by whom", result.error["message"], elsewhere.host)
    check("Location elsewhere, 401: no credentials, nobody asks it for a token", [r for r in elsewhere.requests if "Authorization" in r.headers or "token" in r.path], [])
    log_out()
    registry.stop()
    elsewhere.stop()


def location_at_a_private_address_is_refused():
    # The registry is a public one: it is reached through a proxy.
    for address in ("10.0.0.7", "192.168.1.1", "172.16.9.9", "169.254.169.254", "127.0.0.1:1", "[::1]", "[fe80::1]", "[fd00::1]",
                    "100.64.0.1", "[::ffff:10.0.0.1]", "0.0.0.0", "localhost"):
        def script(request, _):
            return (202, {"Location": f"http://{address}/steal?x=1"}, b"") if request.method == "POST" else None

        fresh()
        proxy = ScriptedRegistry(script)
        result = push(Layout(100), proxy, "a/b", "1", "--plain-http", target="registry.example.com", http_proxy=f"http://{proxy.host}")
        check(f"Location {address}: refused", (result.status, result.error.get("kind")), (3, "denied"))
        check_contains(f"Location {address}: it says why", result.error["message"], "private address")
        check(f"Location {address}: nothing is sent", proxy.seen("PUT"), [])
        proxy.stop()


# ---- corner cases: 201 and 202, Range, 416, out of order, chunks, cancel


def status_201_for_a_post_is_a_mount():
    registry, result = arrives("POST 201", LAYOUT, prepare=lambda r: r.blobs.update(held))
    check("POST 201: nothing is sent", (result.document["existing"], result.document["uploaded"]), (2, 0))
    check("POST 201: no body", registry.seen("PUT", "upload"), [])


def status_202_for_a_mount_goes_on_with_its_location():
    registry, _ = arrives("mount 202", Layout(100), lambda r, _: None)
    posted, put = registry.seen("POST"), registry.seen("PUT", "upload")
    check("mount 202: no second POST", len(posted), 2)
    check("mount 202: the session that it opened is used", len({r.path for r in put}), 2)


def status_202_and_204_for_a_put_are_fine():
    for status in (202, 204):
        def script(request, _):
            if request.kind == "upload" and request.method == "PUT":
                answer = registry_of[0].serve(request)
                return status, answer[1], b""
            return None

        registry_of = []
        fresh()
        registry = ScriptedRegistry(script)
        registry_of.append(registry)
        check(f"PUT {status}: the push is done", push(Layout(100), registry).status, 0)
        registry.stop()


def breaks_after(count, cuts=1, then=None):
    """The first uploads break when count bytes are in, and the registry keeps them."""
    left = [cuts]

    def on_head(handler):
        registry = handler.registry
        path, _, _ = handler.path.partition("?")
        if left[0] == 0 or "/blobs/uploads/" not in path or int(handler.headers["Content-Length"]) < MIB:
            return then(handler) if then else None
        left[0] -= 1
        got = handler.rfile.read(count)
        registry.sessions[path] = registry.sessions.get(path, b"") + got
        return CUT

    return on_head


def range_is_inclusive_and_the_rest_is_sent():
    registry, result = arrives("Range", Layout(40 * MIB), on_head=breaks_after(30 * MIB))
    rest = [r for r in registry.seen("PUT", "upload") if "Content-Range" in r.headers]
    size = 40 * MIB
    check("Range: the session is asked what it has", len([r for r in registry.seen("GET", "upload")]), 1)
    check("Range: the rest begins behind the last byte", [(r.headers["Content-Range"], len(r.body)) for r in rest],
          [(f"{30 * MIB}-{size - 1}", size - 30 * MIB)])
    check("Range: no second session", len(registry.seen("POST")), 2)
    check("Range: one retry", result.document["retries"], 1)


def range_0_0_of_a_fresh_session_says_nothing():
    registry, _ = arrives("Range 0-0", Layout(40 * MIB), on_head=breaks_after(0))
    check("Range 0-0: the blob goes whole again", [r for r in registry.seen("PUT", "upload") if "Content-Range" in r.headers], [])


def range_content_range_has_no_unit_and_no_total():
    registry, _ = arrives("Content-Range", Layout(20 * MIB), lambda r, _: (413, {}, b"") if r.kind == "upload" and r.method == "PUT" and len(r.body) > 8 * MIB else None)
    check("Content-Range: a-b, as the specification and ACR have it", [r.headers["Content-Range"] for r in registry.seen("PATCH")],
          [f"0-{8 * MIB - 1}", f"{8 * MIB}-{16 * MIB - 1}", f"{16 * MIB}-{20 * MIB - 1}"])


def too_large(limit):
    """A proxy in front that takes no larger bodies."""
    return lambda r, _: (413, {}, b"<html>413</html>") if r.kind == "upload" and len(r.body) > limit else None


def status_416_is_followed_by_the_question_where_to_go_on():
    once = [1]

    def script(request, _):
        answer = too_large(8 * MIB)(request, 0)
        if answer is None and request.method == "PATCH" and not request.headers["Content-Range"].startswith("0-") and once[0]:
            registry_of[0].sessions[request.path] = registry_of[0].sessions[request.path][:3 * MIB]  # it lost some
            once[0] = 0
            return 416, {"Range": f"0-{3 * MIB - 1}"}, b""
        return answer

    registry_of = []
    registry, _ = arrives("416", Layout(20 * MIB), script, prepare=registry_of.append)
    check("416: the session is asked", len(registry.seen("GET", "upload")), 1)
    check("416: it goes on at the byte that is missing", [r.headers["Content-Range"].partition("-")[0] for r in registry.seen("PATCH")],
          ["0", str(8 * MIB), str(3 * MIB), str(11 * MIB), str(19 * MIB)])


def out_of_order_pieces_are_found_out_by_the_digest():
    def script(request, _):
        if "Content-Range" in request.headers and request.method == "PUT":
            return refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        return None

    registry, _ = arrives("put together wrongly", Layout(40 * MIB), script, on_head=breaks_after(30 * MIB))
    check("put together wrongly: the whole goes again", len([r for r in registry.seen("PUT", "upload") if len(r.body) == 40 * MIB]), 1)


def chunk_min_length_is_the_floor_of_all_chunks_but_the_last():
    def script(request, times):
        if request.method == "POST":
            status, headers, body = registry_of[0].serve(request)
            return status, headers | {"OCI-Chunk-Min-Length": str(12 * MIB)}, body
        return too_large(16 * MIB)(request, times)

    registry_of = []
    registry, _ = arrives("OCI-Chunk-Min-Length", Layout(30 * MIB), script, prepare=registry_of.append)
    check("OCI-Chunk-Min-Length: 12, 12 and what is left", [len(r.body) // MIB for r in registry.seen("PATCH")], [12, 12, 6])


def cancel_of_an_upload_that_is_given_up():
    def script(request, _):
        return refuse(400, "DIGEST_INVALID", "no") if request.method == "PUT" and request.kind == "upload" else None

    for answer in (204, 405):
        fresh()
        registry = ScriptedRegistry(lambda r, t: ((answer, {}, b"") if r.method == "DELETE" else script(r, t)))
        result = push(Layout(100), registry)
        check(f"cancel: the push fails, DELETE answers {answer}", (result.status, result.error["kind"]), (2, "invalid"))
        opened = {r.path for r in registry.seen("PUT", "upload")}
        check("cancel: every session that was opened is ended", {r.path for r in registry.seen("DELETE")}, opened)
        registry.stop()


# ---- corner cases: 401 and scopes


def unauthorized_asks_for_push_before_the_first_byte():
    bearer = Bearer()
    registry, result = arrives("401", Layout(3 * MIB), bearer)
    check("401: one token with both rights", bearer.asked, [["repository:a/b:pull,push"]])
    check("401: found among three challenges", result.requests["TOKEN"], 1)
    check("401: no body is sent twice", len(registry.seen("PUT")), 3)


def unauthorized_tokens_have_two_names():
    for key in ("token", "access_token"):
        arrives(f"401, {key}", Layout(100), Bearer(key=key))


def unauthorized_tokens_are_kept_between_runs():
    bearer = Bearer()
    fresh()
    registry = ScriptedRegistry(bearer)
    log_in(registry)
    layout = Layout(100)
    check("a kept token: the first push asks for one", push(layout, registry).requests.get("TOKEN"), 1)
    again = push(layout, registry)
    check("a kept token: the next is one request", again.requests, {"GET": 1})
    kept = list((Path(os.environ["DOGSHORE_STATE"]) / "registry").glob("*.token"))
    check("a kept token: nobody else can read it", [oct(p.stat().st_mode & 0o777) for p in kept], ["0o600"])
    check("a kept token: the password is not in it", any(SECRET in p.read_text() or base64.b64encode(f"ann:{SECRET}".encode()).decode() in p.read_text() for p in kept), False)
    check("a kept token: neither is it in what is said", "t1." in again.said, False)
    registry.script = lambda r, t: Bearer.__call__(other, r, t)
    other = Bearer(give=lambda scopes: scopes)
    other.needs = lambda request: "repository:a/b:pull,push" if request.headers.get("Authorization", "").startswith("Bearer t1.") and not other.asked else bearer.usual(request)
    check("a kept token that another user's config names is not used", push(layout, registry, DOCKER_CONFIG=str(WORK / "nobody")).requests.get("TOKEN"), 1)
    log_out()
    registry.stop()


def unauthorized_tokens_are_kept_for_a_day_at_most():
    fresh()
    registry = ScriptedRegistry(Bearer(life=9 * 10**17))
    log_in(registry)
    result = push(LAYOUT, registry)
    ends = [json.loads(p.read_text())["expires_ms"] for p in (Path(os.environ["DOGSHORE_STATE"]) / "registry").glob("*.token")]
    check("a token for ever: done", result.status, 0)
    check("a token for ever: for a day", [0 < e / 1000 - time.time() <= 86400 for e in ends], [True])
    log_out()
    registry.stop()


def unauthorized_with_a_kept_token_asks_for_a_new_one():
    tokens = []

    def script(request, times):
        if request.path == "/token":
            tokens.append(f"n{len(tokens)}")
            return 200, {}, json.dumps({"token": tokens[-1], "expires_in": 3600}).encode()
        if request.headers.get("Authorization") != f"Bearer {valid[0]}":
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token",service="r"'}, b""
        return None

    valid = ["n0"]
    fresh()
    registry = ScriptedRegistry(script)
    layout = Layout(100)
    check("revoked: the first push", push(layout, registry).status, 0)
    valid[0] = "n1"
    again = push(layout, registry)
    check("revoked: a new token, then it goes on", (again.status, again.requests), (0, {"GET": 2, "TOKEN": 1}))
    registry.stop()


def unauthorized_token_servers_inside_are_not_asked():
    """A realm is what the registry says it is; a public one has no business in our network."""
    log_in(None, host="registry.example.com")
    for inside in ("169.254.169.254", "10.0.0.5", "127.0.0.1:1"):
        fresh()
        proxy = ScriptedRegistry(lambda r, _, realm=f"http://{inside}/token": (401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="r"'}, b""))
        result = push(LAYOUT, proxy, "a/b", "1", "--plain-http", target="registry.example.com", http_proxy=f"http://{proxy.host}")
        check(f"401, realm {inside}: refused", (result.status, result.error["kind"]), (3, "denied"))
        check_contains(f"401, realm {inside}: it says why", result.error["message"], inside.partition(":")[0])
        check(f"401, realm {inside}: not asked", [r for r in proxy.requests if "token" in r.path], [])
        proxy.stop()
    log_out()


def held_from(layout):
    document = json.loads((layout.path / "blobs/sha256" / layout.digest()[7:]).read_bytes())
    return {d["digest"]: (layout.path / "blobs/sha256" / d["digest"][7:]).read_bytes() for d in [document["config"], *document["layers"]]}


def neighbours(what, script, layout=None):
    """A push to repository a/b whose layers the repository x/y was seen to have."""
    layout = layout or Layout(100, 200, 300)
    fresh()
    registry = ScriptedRegistry()
    check(f"{what}: the neighbour has it", push(layout, registry, "x/y").status, 0)
    registry.manifests.clear()
    registry.requests.clear()
    registry.times.clear()
    registry.script = script
    result = push(layout, registry)
    if not check(f"{what}: the push is done", result.status, 0):
        tap.note(result.said)
    check(f"{what}: the tag is there", "1" in registry.manifests)
    registry.stop()
    return registry, result


def scopes_name_the_source_of_a_mount_behind_our_own():
    bearer = Bearer(needs=lambda r: "repository:x/y:pull" if is_mount(r) else Bearer().usual(r))
    registry, result = neighbours("scopes", bearer)
    check("scopes: both are asked for, ours first", bearer.asked[-1], ["repository:a/b:pull,push", "repository:x/y:pull"])
    check("scopes: all blobs are mounted", (result.document["mounted"], result.document["uploaded"]), (4, 0))


def scopes_that_a_token_server_refuses_are_asked_without_the_mount():
    bearer = Bearer(give=lambda scopes: scopes if len(scopes) == 1 else None)
    _, result = neighbours("a second scope refused", bearer)
    check("a second scope refused: it is left out", bearer.asked[-1], ["repository:a/b:pull,push"])
    check("a second scope refused: blobs are there or sent", result.document["uploaded"] + result.document["existing"] + result.document["mounted"], 4)


def gitlab_gives_the_last_scope_only():
    bearer = Bearer(give=lambda scopes: scopes[-1:])
    neighbours("GitLab", bearer)
    check("GitLab: the token for our own repository is used again", bearer.asked, [["repository:a/b:pull,push"], ["repository:a/b:pull,push", "repository:x/y:pull"]])


def docker_hub_wants_the_right_to_read_the_source_of_a_mount():
    def needs(request):
        return "repository:x/y:pull" if is_mount(request) and "from=x%2Fy" in request.query else Bearer().usual(request)

    bearer = Bearer(needs=needs)
    _, result = neighbours("Docker Hub", bearer)
    check("Docker Hub: a token for both, and the blobs are mounted", (bearer.asked[-1][-1], result.document["mounted"]), ("repository:x/y:pull", 4))


# ---- corner cases: mounts that fail


def mounts_that_are_refused_become_uploads():
    for what, answer in (("401", (401, {"WWW-Authenticate": 'Basic realm="r"'}, b"")), ("403", refuse(403, "DENIED")), ("404", refuse(404, "NAME_UNKNOWN")),
                         ("400", refuse(400, "UNSUPPORTED")), ("405", (405, {}, b"")), ("a connection reset", CUT)):
        registry, result = arrives(f"mount answered by {what}", Layout(100, 200), lambda r, _, a=answer: a if is_mount(r) else None)
        check(f"mount answered by {what}: each blob is sent once", len(registry.seen("PUT", "upload")), 3)


def harbor_refuses_mounts_from_projects_that_are_not_there():
    for status, code in ((401, "UNAUTHORIZED"), (404, "NOT_FOUND"), (400, "BAD_REQUEST")):
        _, result = neighbours(f"Harbor {status}", lambda r, _, s=status, c=code: refuse(s, c, "project x not found") if is_mount(r) else None)
        check(f"Harbor {status}: the blobs are sent", result.document["uploaded"], 4)


def ecr_mounts_only_what_a_manifest_names():
    def script(request, times):
        return (202, {"Location": f"/v2/a/b/blobs/uploads/{times}"}, b"") if is_mount(request) else None if request.kind != "upload" else (201, {}, b"")

    registry, result = neighbours("ECR mounts", script)
    check("ECR mounts: the 202's session is used, no other is opened", (len(registry.seen("POST")), result.document["uploaded"]), (4, 4))


def quay_is_never_asked_to_mount_without_a_source():
    registry, _ = arrives("Quay", Layout(100, 200), lambda r, _: refuse(400, "INVALID_REQUEST") if is_mount(r) and "from=" not in r.query else None)
    check("Quay: every mount names its source", all("from=" in r.query for r in registry.seen("POST") if is_mount(r)))
    check("Quay: and is asked for once", len(registry.seen("POST")), 3)


# ---- corner cases: redirects


def pull(registry, name, **environment):
    return Result("image", "copy", f"{registry.host}/a/b:1", f"oci:{WORK}/{name}-{os.urandom(3).hex()}:1", **environment)


def redirects_to_storage_get_no_authorization():
    def storage_script(request, _):
        if "Authorization" in request.headers:
            return 400, {}, b"Only one auth mechanism allowed"
        where, digest = request.path.split("/")[1:]
        return (307, {"Location": f"/zone/{digest}"}, b"") if where == "s3" else (200, {}, held[digest])

    storage = ScriptedRegistry(storage_script)
    registry, _ = arrives("redirect", LAYOUT)
    served = ScriptedRegistry(lambda r, _: (307, {"Location": f"http://{storage.host}/s3/{r.path.rpartition('/')[2]}?X-Amz-Signature=1"}, b"")
                              if r.kind == "blob" else None)
    served.blobs, served.manifests = registry.blobs, registry.manifests
    log_in(served)
    result = pull(served, "redirected")
    check("redirect: the blobs come from the storage, which redirects within itself", (result.status, len(storage.requests)), (0, 4))
    check("redirect: without credentials", [r for r in storage.requests if "Authorization" in r.headers], [])
    check("redirect: the registry gets them", all("Authorization" in r.headers for r in served.requests))
    log_out()
    served.stop()
    storage.stop()


def redirects_to_storage_that_asks_for_credentials_get_none():
    storage = ScriptedRegistry(lambda r, _: asks_for_credentials(r.headers["Host"]))
    registry, _ = arrives("redirect, 401", LAYOUT)
    served = ScriptedRegistry(lambda r, _: (307, {"Location": f"http://{storage.host}/s3/x"}, b"") if r.kind == "blob" else None)
    served.blobs, served.manifests = registry.blobs, registry.manifests
    target = ScriptedRegistry()
    log_in(served)
    for what, result in (("a pull", pull(served, "asked")), ("a copy", Result("image", "copy", f"{served.host}/a/b:1", f"{target.host}/c/d:2"))):
        check(f"redirect, 401, {what}: refused", (result.status, result.error["kind"]), (3, "denied"))
        check_contains(f"redirect, 401, {what}: it says by whom", result.error["message"], storage.host)
    check("redirect, 401: no credentials, nobody asks it for a token", [(r, r.headers.get("Authorization")) for r in storage.requests if "Authorization" in r.headers or "token" in r.path], [])
    log_out()
    for server in (served, storage, target):
        server.stop()


def redirects_that_have_expired_are_asked_for_again():
    def storage_script(request, times):
        if times == 0:
            return CUT  # broken on the way
        digest = request.path.removeprefix("/s3/")
        return (200, {}, held[digest]) if request.query == f"sig={asked[digest]}" else (503, {"Retry-After": "0"}, b"expired")

    def script(request, _):
        if request.kind != "blob":
            return None
        digest = request.path.rpartition("/")[2]
        asked[digest] = asked.get(digest, 0) + 1
        return 307, {"Location": f"http://{storage.host}/s3/{digest}?sig={asked[digest]}"}, b""

    asked = {}  # a signature counts until the next one for the same blob: they are asked for side by side
    storage = ScriptedRegistry(storage_script)
    registry, _ = arrives("expired", LAYOUT)
    served = ScriptedRegistry(script)
    served.blobs, served.manifests = registry.blobs, registry.manifests
    result = pull(served, "expired")
    check("expired: the blob's own address is asked again", (result.status, sorted(asked.values())), (0, [1, 2]))
    served.stop()
    storage.stop()


def redirects_to_private_addresses_are_refused():
    registry, _ = arrives("redirect inside", LAYOUT)
    inside = ScriptedRegistry(lambda r, _: (200, {}, b"secrets of the inside"))
    proxy = ScriptedRegistry(lambda r, _: (307, {"Location": f"http://{inside.host}/latest/meta-data"}, b"") if r.kind == "blob" else None)
    proxy.blobs, proxy.manifests = registry.blobs, registry.manifests
    result = Result("image", "copy", "registry.example.com/a/b:1", f"oci:{WORK}/inside:1", "--plain-http", http_proxy=f"http://{proxy.host}")
    check("redirect inside: refused", (result.status, result.error.get("kind")), (3, "denied"))
    check("redirect inside: not asked", inside.requests, [])
    proxy.stop()
    inside.stop()


# ---- corner cases: digests


def digests_in_headers_are_advice():
    def without(request, _):
        if request.method in ("GET", "PUT"):
            status, headers, body = registry_of[0].serve(request)
            return status, {k: v for k, v in headers.items() if k != "Docker-Content-Digest"} | more, body
        return None

    for what, more in (("absent", {}), ("of another algorithm", {"Docker-Content-Digest": "sha512:" + "0" * 128}), ("nonsense", {"Docker-Content-Digest": "x"})):
        registry_of = []
        registry, _ = arrives(f"a digest header {what}", LAYOUT, without, prepare=registry_of.append)
        served = ScriptedRegistry(without)
        registry_of[0] = served
        served.blobs, served.manifests = registry.blobs, registry.manifests
        check(f"a digest header {what}: nothing new is one GET", push(LAYOUT, served).requests, {"GET": 1})
        check(f"a digest header {what}: it is pulled", pull(served, "advice").status, 0)
        served.stop()


def digests_of_every_body_are_checked():
    registry, _ = arrives("a lie", LAYOUT)
    served = ScriptedRegistry(lambda r, _: (200, {"Docker-Content-Digest": r.path.rpartition("/")[2]}, held[r.path.rpartition("/")[2]][:-1] + b"!") if r.kind == "blob" else None)
    served.blobs, served.manifests = registry.blobs, registry.manifests
    result = pull(served, "lie")
    check("a lie: it is found out though the header agrees", (result.status, result.error.get("kind")), (3, "protocol"))
    served.stop()


def digests_in_headers_that_differ_are_a_lie():
    """A sha256 of another content than the one that came, or was sent."""
    other = digest_of(b"another")
    for what, method in (("what it gives", "GET"), ("what it got", "PUT")):
        def script(request, _):
            if (request.method, request.kind) != (method, "manifest"):
                return None
            status, headers, body = registry.serve(request)
            return status, headers | ({"Docker-Content-Digest": other} if status < 300 else {}), body

        fresh()
        registry = ScriptedRegistry()
        if method == "GET":
            push(LAYOUT, registry)
        registry.script = script
        result = pull(registry, "other") if method == "GET" else push(LAYOUT, registry)
        check(f"a digest header that names another content, of {what}: refused", (result.status, result.error.get("kind")), (3, "protocol"))
        check_contains(f"a digest header that names another content, of {what}: both are told", result.error["message"], other)
        registry.stop()


def digests_of_manifests_are_checked():
    """Of an image that is asked for by digest, and of what an index names."""
    layout = Layout(100)
    layout.add("2", [b"other"])
    layout.put("all", INDEX, {"manifests": [layout.tags[t] for t in ("1", "2")]})
    fresh()
    registry = ScriptedRegistry()
    push(layout, registry, tag="all")
    registry.manifests[layout.digest("2")] = registry.manifests[layout.digest("1")]
    for what, source in (("by digest", f"@{layout.digest('2')}"), ("in an index", ":all")):
        result = Result("image", "copy", f"{registry.host}/a/b{source}", f"oci:{WORK}/other-{os.urandom(3).hex()}:1")
        check(f"another manifest {what}: found out", (result.status, result.error.get("kind")), (3, "protocol"))
    registry.stop()


def digests_may_fit_where_sizes_do_not():
    layout = Layout(100)
    manifest = json.loads((layout.path / "blobs/sha256" / layout.digest()[7:]).read_bytes())
    manifest["layers"][0]["size"] += 1
    registry, _ = arrives("a size", layout)
    served = ScriptedRegistry()
    served.blobs, served.manifests = registry.blobs, {"1": (MANIFEST, json.dumps(manifest).encode())}
    result = pull(served, "size")
    check("a blob shorter than its manifest says: refused", (result.status, result.error.get("kind")), (3, "protocol"))
    served.stop()


# ---- corner cases: 429 and 5xx


def retry_after_in_seconds_and_as_a_date():
    for what, value in (("seconds", "1"), ("a date that has passed", formatdate(0, usegmt=True)), ("nonsense", "soon")):
        registry, result = arrives(f"Retry-After, {what}", Layout(100), lambda r, t, v=value: (429, {"Retry-After": v}, b"toomanyrequests") if r.method == "GET" and t == 0 else None)
        check(f"Retry-After, {what}: one retry", (result.document["retries"], result.requests["GET"]), (1, 2))


def retry_after_one_429_holds_all_requests_to_the_host():
    when = []

    def script(request, times):
        if request.kind == "upload":
            when.append(request.method)
        return (429, {"Retry-After": "1"}, b"") if request.method == "POST" and times == 0 else None

    arrives("429", Layout(100, 200, 300), script)
    check("429: nobody sends a body before the time is over", when.index("PUT"), 5)


def status_429_of_docker_hub_has_bare_line_feeds_and_no_json():
    class Raw(threading.Thread):
        """A port that answers the first request in Docker Hub's way and hands the others on."""

        def __init__(self, behind):
            super().__init__(daemon=True)
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.host, self.behind, self.turns = f"127.0.0.1:{self.listener.getsockname()[1]}", behind, 0
            self.start()

        def run(self):
            while True:
                try:
                    client, _ = self.listener.accept()
                except OSError:
                    return
                self.turns += 1
                if self.turns == 1:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 429 Too Many Requests\nRetry-After: 0\nConnection: close\nContent-Type: text/html\n\nYou have reached your limit\n")
                    client.close()
                else:
                    threading.Thread(target=self.carry, args=(client,), daemon=True).start()

        def carry(self, client):
            host, _, port = self.behind.host.partition(":")
            server = socket.create_connection((host, int(port)))

            def pump(a, b):
                while data := a.recv(65536):
                    b.sendall(data)
                b.shutdown(socket.SHUT_WR)
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)

    fresh()
    registry = ScriptedRegistry()
    raw = Raw(registry)
    result = push(Layout(100), registry, target=raw.host)
    check("Docker Hub's 429: tried again", (result.status, result.document.get("retries")), (0, 1))
    raw.listener.close()
    registry.stop()


# ---- corner cases: manifests, indexes, subject, tags, warnings


def manifests_of_4_mib_are_sent_as_they_are():
    layout = Layout(100)
    body = layout.add("big", [b"layer"], annotations={f"k{i}": "v" * 1000 for i in range(4050)})
    check("a manifest of 4 MiB: it is one", 3.9 * MIB < len(body) <= 4 * MIB)
    registry, _ = arrives("a manifest of 4 MiB", layout, tag="big")
    check("a manifest of 4 MiB: its exact bytes", registry.manifests["big"], (MANIFEST, body))
    check("a manifest of 4 MiB: no tags in a query that could become too long", [r for r in registry.requests if "tag=" in r.query], [])
    again = ScriptedRegistry()
    again.blobs, again.manifests = registry.blobs, registry.manifests
    check("a manifest of 4 MiB: nothing new is one request", push(layout, again, tag="big").requests, {"GET": 1})
    again.stop()


def manifests_that_are_too_large_are_told():
    layout = Layout(100)
    layout.add("huge", [b"layer"], annotations={f"k{i}": "v" * 1000 for i in range(4300)})
    fresh()
    registry = ScriptedRegistry()
    result = push(layout, registry, tag="huge")
    check("a manifest over 4 MiB: an error", (result.status, result.error["kind"]), (3, "limit"))
    registry.stop()
    registry = ScriptedRegistry(lambda r, _: refuse(413, "MANIFEST_INVALID", "too big") if r.kind == "manifest" and r.method == "PUT" else None)
    result = push(layout, registry)
    check("413 for a manifest: an error with advice", (result.status != 0, bool(result.next)), (True, True))
    registry.stop()


def manifests_over_4_mib_are_not_read():
    registry, _ = arrives("manifest over 4 MiB", LAYOUT)
    kind, body = registry.manifests["1"]
    served = ScriptedRegistry()
    served.blobs = registry.blobs
    for more, status in ((0, 0), (1, 3)):
        served.manifests["1"] = kind, body[:-1] + b" " * (4 * MIB + more - len(body)) + body[-1:]
        result = pull(served, "large")
        if not check(f"manifest of 4 MiB and {more}: exit {status}", result.status, status):
            tap.note(result.said[-500:])
    check("manifest over 4 MiB: refused for its size", result.error["kind"], "limit")
    served.stop()


def manifests_that_are_none_are_no_mistake_of_the_user():
    """Not exit 2, that of a wrong command line: a proxy that answers with a page of its own, or a registry that is hostile."""
    kind, body = arrives("no manifest", LAYOUT)[0].manifests["1"]
    registry, target = ScriptedRegistry(), ScriptedRegistry()
    layer = json.loads(body)["layers"][0]["digest"]
    for what, sent in (("a page", b"<html>sign in</html>"), ("two of one key", body.replace(b'"layers"', b'"config": 1, "layers"')),
                       ("a path for a digest", body.replace(layer.encode(), b"sha256:../../../../etc/passwd")), ("nothing", b"")):
        registry.manifests["1"] = kind, sent
        for how, result in (("a pull", pull(registry, "none")), ("a copy", Result("image", "copy", f"{registry.host}/a/b:1", f"{target.host}/c/d:2")),
                            ("inspect", Result("image", "inspect", f"{registry.host}/a/b:1"))):
            if not check(f"no manifest but {what}, {how}: exit 3", (result.status, result.error["kind"]), (3, "protocol")):
                tap.note(result.said[-500:])
    check("no manifest: no tag", target.manifests, {})
    registry.stop()
    target.stop()


def manifests_of_an_index_are_there_before_it():
    layout = Layout(100)
    layout.add("2", [b"other"])
    layout.put("all", INDEX, {"manifests": [layout.tags[t] for t in ("1", "2")]})
    fresh()
    registry = ScriptedRegistry()
    result = push(layout, registry, tag="all")
    puts = [r.path.rpartition("/")[2] for r in registry.seen("PUT", "manifest")]
    check("an index: its parts come first", (result.status, puts), (0, [layout.digest("1"), layout.digest("2"), "all"]))
    registry.stop()


def subject_that_is_missing_is_no_reason_to_fail():
    layout = Layout(100)
    layout.add("1", [b"evidence"], artifactType="application/x.test", subject={"mediaType": MANIFEST, "digest": "sha256:" + "ab" * 32, "size": 5})
    arrives("a subject that is not there", layout)


def warnings_are_shown_once():
    def script(request, _):
        status, headers, body = registry_of[0].serve(request)
        return status, headers | {"Warning": f'299 - "{text[0]}"'}, body

    registry_of, text = [], ["this repository is going away"]
    _, result = arrives("Warning", Layout(100, 200), script, prepare=registry_of.append)
    check("Warning: in the document, once", result.document.get("warnings"), ["this repository is going away"])
    check("Warning: and on the terminal, once", result.said.count("warning: the registry says: this repository is going away"), 1)
    text[0] = "a\xc2\x9b31m"
    said = arrives("Warning that steers", Layout(100), script, prepare=lambda registry: registry_of.insert(0, registry))[1].said
    check("Warning: a control sequence is spelled out", ("registry says: a" in said, "says: a\u009b" in said), (True, False)) or tap.note(said)


def tags_list_follows_the_link_before_its_own_last():
    """ECR refuses n > 1000; the Link's own marker is not the last tag."""
    asked = []

    def script(request, _):
        if not request.path.endswith("/tags/list"):
            return None
        asked.append(request.query)
        if "n=1000" not in request.query and "mark" not in request.query:
            return refuse(400, "PAGINATION_NUMBER_INVALID", "n must be at most 1000")
        page = request.query.partition("mark=")[2]
        if page == "2":
            return 200, {}, json.dumps({"name": "a/b", "tags": ["z", "b"]}).encode()
        return 200, {"Link": f'</v2/a/b/tags/list?n=2&mark={int(page or 0) + 1}>; rel="next"'}, json.dumps({"tags": [f"c{page}", "b"]}).encode()

    fresh()
    registry = ScriptedRegistry(script)
    check("tags, Link: all pages, sorted, each once", Result("image", "tags", f"{registry.host}/a/b").document["tags"], ["b", "c", "c1", "z"])
    check("tags, Link: as it says", asked, ["n=1000", "n=2&mark=1", "n=2&mark=2"])
    registry.stop()


def tags_list_without_a_link_goes_on_behind_the_last():
    tags = [f"t{i:04}" for i in range(2500)]

    def script(request, _):
        if not request.path.endswith("/tags/list"):
            return None
        last = request.query.partition("last=")[2]
        first = tags.index(last) + 1 if last else 0
        return 200, {}, json.dumps({"tags": tags[first:first + 1000]}).encode()

    fresh()
    registry = ScriptedRegistry(script)
    check("tags without Link: all", Result("image", "tags", f"{registry.host}/a/b").document["tags"] == tags)
    check("tags without Link: in three pages", len(registry.requests), 3)
    registry.stop()


def tags_lists_that_lead_astray_are_left():
    elsewhere = ScriptedRegistry()
    for what, link, kind in (("another server", f"<http://{elsewhere.host}/v2/a/b/tags/list>; rel=next", "protocol"),
                             ("itself", '</v2/a/b/tags/list?n=1000>; rel="next"', "protocol")):
        fresh()
        registry = ScriptedRegistry(lambda r, _, at=link: (200, {"Link": at}, b'{"tags":["x"]}'))
        result = Result("image", "tags", f"{registry.host}/a/b")
        check(f"tags that lead to {what}: an error", (result.status, result.error["kind"]), (3, kind))
        registry.stop()
    check("tags that lead to another server: it is not asked", elsewhere.requests, [])
    elsewhere.stop()
    registry = ScriptedRegistry(lambda r, _: refuse(404, "NAME_UNKNOWN", "no such repository"))
    gone = Result("image", "tags", f"{registry.host}/a/b")
    check("tags of nothing: not found", (gone.status, gone.error["kind"]), (3, "not_found"))
    registry.script = lambda r, _: (200, {}, b'{"tags":null}')
    check("tags: null is none", Result("image", "tags", f"{registry.host}/a/b").document["tags"], [])
    registry.script = lambda r, _: (200, {}, b"<html>")
    check("tags: a page that is none", Result("image", "tags", f"{registry.host}/a/b").error.get("kind"), "protocol")
    registry.script = lambda r, _: (200, {}, json.dumps({"tags": ["v1", "\x1b[2Jv2", "v\u009b3m", "a b", "-x", "v" * 129, "", None, 4]}).encode())
    check("tags: what is none is not shown", Result("image", "tags", f"{registry.host}/a/b").document["tags"], ["v1"])
    pages = [json.dumps({"tags": [f"{page}{tag:05}" for tag in range(100_000)]}).encode() for page in "abcdefghijk"]
    registry.requests.clear()
    registry.script = lambda r, _: (200, {"Link": f'</v2/a/b/tags/list?p={len(registry.requests)}>; rel="next"'}, pages[len(registry.requests) % 11])
    endless = Result("image", "tags", f"{registry.host}/a/b")
    check("tags without an end: no more than a million is read", (endless.status, endless.error["kind"], len(registry.requests)), (3, "limit", 11))
    registry.stop()


# ---- vendors


def ecr_keeps_chunks_and_answers_the_first_range():
    def script(request, _):
        answer = too_large(10 * MIB)(request, 0)
        if answer is None and request.method == "PATCH":
            path = request.path
            registry_of[0].sessions[path] += request.body
            return 201, {"Location": f"{path}?n=1", "Range": f"0-{8 * MIB - 1}"}, b""
        return answer

    registry_of = []
    registry, _ = arrives("ECR chunks", Layout(30 * MIB), script, prepare=registry_of.append)
    check("ECR chunks: parts of 5 to 10 MiB, none twice", [len(r.body) // MIB for r in registry.seen("PATCH")], [8, 8, 8, 6])


def ecr_begins_a_broken_upload_in_a_new_session():
    def script(request, _):
        if request.method == "PUT" and "Content-Range" in request.headers:
            return refuse(400, "BLOB_UPLOAD_INVALID", "The first byte of the layer part is 0 instead of 31457280")
        return None

    registry, _ = arrives("ECR resumed", Layout(40 * MIB), script, on_head=breaks_after(30 * MIB))
    check("ECR resumed: a new session", len(registry.seen("POST")), 3)


def ecr_says_that_an_immutable_tag_is_there_though_it_is_the_same():
    layout = Layout(100)

    def script(request, times):
        if request.kind == "manifest" and request.method == "PUT" and request.path.endswith("/1"):
            registry_of[0].manifests["1"] = (MANIFEST, request.body)  # somebody else was first
            return refuse(400, "TAG_INVALID", "The image tag '1' already exists in the 'a/b' repository and cannot be overwritten because the repository is immutable.")
        return None

    registry_of = []
    _, result = arrives("immutable, the same", layout, script, prepare=registry_of.append)
    check("immutable, the same: a success", result.document["digest"], layout.digest())


def ecr_keeps_another_image_under_an_immutable_tag():
    layout, other = Layout(100), Layout(200)
    fresh()
    registry = ScriptedRegistry()
    push(other, registry)
    registry.script = lambda r, _: refuse(400, "TAG_INVALID", "tag already exists and is immutable") if r.kind == "manifest" and r.method == "PUT" else None
    result = push(layout, registry)
    check("immutable, another: an error", (result.status != 0, result.error["kind"]), (True, "conflict"))
    check_contains("immutable, another: with advice", result.next, "new tag")
    registry.stop()


def ecr_refuses_media_types_with_parameters():
    registry, _ = arrives("media types", Layout(100), lambda r, _: refuse(400, "MANIFEST_INVALID", "Invalid media type") if ";" in (r.headers.get("Content-Type") or "") else None)
    check("media types: none has a semicolon", [r for r in registry.requests if ";" in (r.headers.get("Content-Type") or "")], [])


ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def at_ecr(layout, registry, *more):
    """A push to a registry that is ECR by its name, from a machine without AWS credentials."""
    fresh()
    return push(layout, registry, "a/b", "1", "--plain-http", *more, target=ECR, http_proxy=f"http://{registry.host}", AWS_EC2_METADATA_DISABLED="true")


def ecr_takes_what_a_docker_login_left():
    """Of "aws ecr get-login-password | docker login", by someone who may not leave the credentials for it."""
    basic = "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()
    registry = ScriptedRegistry(lambda r, _: None if r.headers.get("Authorization") == basic else (401, {"WWW-Authenticate": 'Basic realm="ecr"'}, b""))
    log_in(registry, host=ECR)
    result = at_ecr(LAYOUT, registry)
    if not check("ECR, docker login: done", (result.status, "1" in registry.manifests), (0, True)):
        tap.note(result.said)
    check("ECR, docker login: no request in vain", {r.headers.get("Authorization") for r in registry.requests}, {basic})
    log_out()
    result = at_ecr(LAYOUT, registry)
    check("ECR, no login: exit 3", result.status, 3)
    check_contains("ECR, no login: it says what is missing", result.error["message"], "no AWS credentials")
    registry.stop()


def ecr_makes_repositories_by_templates():
    """Since 2025 the first push may make one."""
    def until_pushed(request, _):
        return None if registry.seen("POST") else refuse(404, "NAME_UNKNOWN", "The repository with name 'a/b' does not exist")

    registry = ScriptedRegistry(until_pushed)
    log_in(registry, host=ECR)
    result = at_ecr(LAYOUT, registry)
    if not check("ECR, creation template: done", (result.status, "1" in registry.manifests), (0, True)):
        tap.note(result.said)
    registry.stop()
    registry = ScriptedRegistry(lambda *_: refuse(404, "NAME_UNKNOWN", "The repository with name 'a/b' does not exist"))
    result = at_ecr(LAYOUT, registry)
    check("ECR, none: exit 3", result.status, 3)
    check_contains("ECR, none: it says how to make it", result.error["next"], "--create-repository")
    check("ECR, none: nothing was sent", registry.seen("PUT"), [])
    registry.stop()
    log_out()


def ecr_public_wants_a_scope_of_its_own_and_mounts_nothing():
    bearer = Bearer(needs=lambda r: "aws")
    bearer.give = lambda scopes: scopes
    registry, _ = arrives("ECR Public", Layout(100, 200), lambda r, t: refuse(400, "UNSUPPORTED", "mount") if is_mount(r) and bearer(r, t) is None else bearer(r, t))
    check("ECR Public: the scope is the literal aws", bearer.asked, [["aws"]])


def ghcr_takes_4_mib_a_patch():
    def script(request, _):
        if request.method == "PUT" and len(request.body) > 4 * MIB:
            return 413, {}, b""
        if request.method == "PATCH" and len(request.body) > 4 * MIB:
            return refuse(416, "RANGE_INVALID", "request body is too large")
        return None

    registry, _ = arrives("GHCR", Layout(10 * MIB), script)
    check("GHCR: 4 MiB each", [len(r.body) // MIB for r in registry.seen("PATCH")], [8, 4, 4, 2])


def ghcr_answers_405_to_what_it_dislikes():
    fresh()
    registry = ScriptedRegistry(lambda r, _: (405, {}, b"") if r.kind == "manifest" and r.method == "PUT" else None)
    result = push(Layout(100), registry)
    check("405: it could not be done, and the error says so", (result.status, "answered 405" in result.error["message"]), (3, True))
    registry.stop()


def status_of_a_refusal_is_never_that_of_a_wrong_command_line():
    """Whatever a registry refuses with a 4xx, and whatever it is asked: it could not be done (3)."""
    for status, code in ((400, "UNSUPPORTED"), (400, "MANIFEST_INVALID"), (400, "NAME_INVALID"), (405, "UNSUPPORTED"), (406, ""), (415, ""), (422, "")):
        for what, at in (("the tag", lambda r: r.method == "GET"), ("an upload", lambda r: r.kind == "upload"), ("the manifest", lambda r: (r.method, r.kind) == ("PUT", "manifest"))):
            fresh()
            registry = ScriptedRegistry(lambda r, _, at=at, s=status, c=code: refuse(s, c, "no") if at(r) else None)
            result = push(Layout(100), registry)
            check(f"{status} {code} for {what}: exit status 3", (result.status, result.error.get("kind")), (3, "denied"))
            registry.stop()


def docker_hub_gets_bodies_in_one_piece():
    registry, _ = arrives("Docker Hub", Layout(20 * MIB))
    check("Docker Hub: one PUT with a length, nothing that dribbles", [len(r.body) for r in registry.seen("PUT", "upload") if len(r.body) > MIB], [20 * MIB])


def with_a_referrer():
    """An image with a bill of materials, and the bill's digest."""
    layout = Layout(100)
    image = layout.tags["1"]
    layout.add("bill", [b"bill of materials"], artifactType="application/x.bill", subject=image)
    index = json.loads((layout.path / "index.json").read_text())
    for entry in index["manifests"]:
        if entry["digest"] == layout.digest("bill"):
            del entry["annotations"]
    (layout.path / "index.json").write_text(json.dumps(index))
    return layout, layout.digest("bill")


def gitlab_gets_the_image_before_what_refers_to_it():
    """It refuses a manifest whose subject is not there."""
    def script(request, _):
        subject = json.loads(request.body).get("subject") if request.kind == "manifest" and request.method == "PUT" else None
        return refuse(404, "MANIFEST_UNKNOWN", "subject unknown") if subject and subject["digest"] not in registry_of[0].manifests else None

    layout, bill = with_a_referrer()
    registry_of = []
    registry, result = arrives("GitLab order", layout, script, prepare=registry_of.append)
    order = [r.path.rpartition("/")[2] for r in registry.seen("PUT", "manifest")]
    check("GitLab order: the image, the bill, the list", order, ["1", bill, layout.digest().replace(":", "-")])


def referrers_are_listed_under_a_tag_where_there_is_no_api():
    """GHCR and Docker Hub have none and answer 404, some servers 400; cosign looks under the same tag."""
    for who, answer in (("GHCR", (404, {"Content-Type": "text/plain"}, b"404 page not found\n")), ("Docker Hub", (404, {"Content-Type": "text/html"}, b"<html>not found</html>")),
                        ("a server", refuse(400, "UNSUPPORTED", "bad request")), ("another", (405, {}, b""))):
        layout, bill = with_a_referrer()
        registry, _ = arrives(f"no referrers API, {who}", layout, lambda r, _, a=answer: a if "/referrers/" in r.path else None)
        kind, body = registry.manifests.get(layout.digest().replace(":", "-"), (None, b'{"manifests": []}'))
        check(f"no referrers API, {who}: the bill is listed, with its type", (kind, [(m["digest"], m["artifactType"]) for m in json.loads(body)["manifests"]]),
              (INDEX, [(bill, "application/x.bill")]))


def takes_images_only(request, _):
    """405 "Invalid JSON syntax" to a manifest with an artifactType, or whose configuration is none of an image."""
    if (request.method, request.kind) != ("PUT", "manifest") or request.headers["Content-Type"] == INDEX:
        return None
    manifest = json.loads(request.body)
    plain = "artifactType" not in manifest and manifest["config"]["mediaType"] == CONFIG
    return None if plain else refuse(405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")


def with_api(registry, script):
    """The registry lists referrers itself: type and annotations as the specification has them."""
    def listing(request, times):
        if "/referrers/" not in request.path:
            return script(request, times)
        found = {}
        for kind, body in registry.manifests.values():
            manifest = json.loads(body)
            if manifest.get("subject", {}).get("digest") == request.path.rpartition("/")[2]:
                found[digest_of(body)] = {"mediaType": kind, "digest": digest_of(body), "size": len(body), "annotations": manifest.get("annotations", {}),
                                          "artifactType": manifest.get("artifactType") or manifest["config"]["mediaType"]}
        return 200, {"Content-Type": INDEX}, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(found.values())}).encode()
    return listing


def ecr_is_given_referrers_as_plain_images():
    for api in (True, False):
        what = f"ECR, plain images, {'the API' if api else 'the tag'}"
        layout, bill = with_a_referrer()
        original = (layout.path / "blobs/sha256" / bill[7:]).read_bytes()
        fresh()
        registry = ScriptedRegistry()
        registry.script = with_api(registry, takes_images_only) if api else takes_images_only
        result = push(layout, registry)
        check(f"{what}: the push is done", (result.status, result.document.get("referrers"), result.document.get("plain_referrers")), (0, 1, 1)) or tap.note(result.said)
        tap.check_contains(f"{what}: the user is told", result.said, "warning: the registry takes no artifacts: 1 of the referrers went there as plain images")
        stored = {digest_of(body): json.loads(body) for kind, body in registry.manifests.values() if kind == MANIFEST}
        del stored[layout.digest()]
        (plain, manifest), = stored.items()
        wanted = json.loads(original)
        check(f"{what}: blobs and subject stay", [manifest[n] for n in ("layers", "subject")], [wanted[n] for n in ("layers", "subject")])
        check(f"{what}: the configuration keeps its bytes", manifest["config"], {n: wanted["config"][n] for n in ("digest", "size")} | {"mediaType": CONFIG})
        if not api:
            listed, = json.loads(registry.manifests[layout.digest().replace(":", "-")][1])["manifests"]
            check(f"{what}: the list names what is there", (listed["digest"], listed["artifactType"]), (plain, CONFIG))
        fresh()
        before = len(registry.requests)
        again = push(layout, registry)
        check(f"{what}: again, by somebody who knows nothing of it: nothing to do", (again.status, again.document.get("referrers"), [r for r in registry.requests[before:] if r.method != "GET"]),
              (0, 0, []))
        fetched = WORK / f"plain-{os.urandom(3).hex()}"
        check(f"{what}: it is pulled", Result("image", "copy", f"{registry.host}/a/b:1", f"oci:{fetched}:1").status, 0)
        check(f"{what}: as it was, byte for byte", (fetched / "blobs/sha256" / bill[7:]).exists() and (fetched / "blobs/sha256" / bill[7:]).read_bytes(), original)
        check(f"{what}: and listed by its type", [m["artifactType"] for m in json.loads((fetched / "index.json").read_text())["manifests"] if m["digest"] == bill], ["application/x.bill"])
        for where, rule, kept in (("that takes it", lambda r, _: None, bill), ("like this", takes_images_only, plain)):
            other = ScriptedRegistry(rule)
            copied = Result("image", "copy", f"{registry.host}/a/b:1", f"{other.host}/c/d:1")
            check(f"{what}: it goes on to a registry {where}", (copied.status, copied.document.get("referrers"), copied.document.get("plain_referrers"), kept in other.manifests),
                  (0, 1, 1 if kept == plain else None, True)) or tap.note(copied.said)
            check(f"{what}: which lists that form of it", [m["digest"] for m in json.loads(other.manifests[layout.digest().replace(":", "-")][1])["manifests"]], [kept])
            again = Result("image", "copy", f"{registry.host}/a/b:1", f"{other.host}/c/d:1")
            check(f"{what}: again, from one to the other: nothing to do", (again.status, again.document.get("referrers")), (0, 0))
            other.stop()
        registry.stop()


def ecr_is_not_given_another_image_than_was_asked_for():
    layout = Layout(100)
    layout.add("1", [b"no image"], artifactType="application/x.test")
    fresh()
    registry = ScriptedRegistry(takes_images_only)
    result = push(layout, registry)
    check("ECR, an artifact by itself: an error in the registry's words", (result.status, "Invalid JSON syntax" in result.error["message"]), (3, True))
    check("ECR, an artifact by itself: nothing has its tag", registry.manifests, {})
    registry.stop()


def ecr_refuses_some_artifacts():
    """405 "Invalid JSON syntax" in whatever form it comes: the image is there by then, and the error names what is not."""
    layout, bill = with_a_referrer()
    fresh()
    registry = ScriptedRegistry(lambda r, _: refuse(405, "UNSUPPORTED", "Invalid JSON syntax") if r.kind == "manifest" and r.method == "PUT" and b"artifactType" in r.body else None)
    result = push(layout, registry)
    registry.stop()
    check("ECR, artifacts: an error, not a usage one", (result.status, result.document["status"]), (3, "failed"))
    check_contains("ECR, artifacts: in the registry's words", result.error["message"], "Invalid JSON syntax")
    check_contains("ECR, artifacts: it names the one that was refused", json.dumps(result.error), bill[7:19])
    check("ECR, artifacts: the image is there, and whole", "1" in registry.manifests)


def acr_does_not_resume():
    registry, _ = arrives("ACR", Layout(40 * MIB), lambda r, _: refuse(404, "BLOB_UPLOAD_INVALID") if r.method == "GET" and r.kind == "upload" else None,
                          on_head=breaks_after(30 * MIB))
    check("ACR: asked once, then a new session", (len(registry.seen("GET", "upload")), len(registry.seen("POST"))), (1, 3))


def acr_tokens_end_sooner_than_uploads():
    bearer = Bearer(life=60)
    ended = []

    def script(request, times):
        # The token ends with the first body; the next request needs another.
        if request.kind == "upload" and request.method == "PUT" and not ended:
            ended.append(request.headers["Authorization"])
        if request.path != "/token" and ended and request.headers.get("Authorization") == ended[0] and request.kind == "manifest":
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{request.headers["Host"]}/token",service="r"'}, b""
        return bearer(request, times)

    registry, result = arrives("a token that ends", Layout(3 * MIB, 4 * MIB), script)
    check("a token that ends: another is fetched between requests", result.requests["TOKEN"], 2)
    check("a token that ends: no body goes twice", len([r for r in registry.seen("PUT", "upload")]), 3)


def artifactory_answers_403_for_tags_that_are_not_there():
    arrives("Artifactory", Layout(100), lambda r, _: refuse(403, "DENIED", "virtual repository") if r.kind == "manifest" and r.method == "GET" else None)


def artifactory_refuses_to_overwrite():
    fresh()
    registry = ScriptedRegistry(lambda r, _: refuse(403, "MANIFEST_INVALID", "manifest invalid: not enough permissions to overwrite") if r.kind == "manifest" and r.method == "PUT" else None)
    result = push(Layout(100), registry)
    check("Artifactory's overwrite: an error", (result.status, result.error["kind"]), (3, "denied"))
    check_contains("Artifactory's overwrite: with what it says", result.error["message"], "permissions to overwrite")
    registry.stop()


def docker_registry_begins_a_broken_upload_anew():
    """The connection breaks after 24 of 64 MiB. 2.8.2 keeps them and then refuses its own state: "resumed at wrong offset"."""
    missing = DockerRegistry.missing()
    if missing:
        tap.skip("docker-registry, broken", f"{missing} is not installed")
        return

    class Breaking(threading.Thread):
        def __init__(self, behind):
            super().__init__(daemon=True)
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.host, self.behind, self.broken = f"127.0.0.1:{self.listener.getsockname()[1]}", behind, False
            self.start()

        def run(self):
            while True:
                try:
                    client, _ = self.listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

        def carry(self, client):
            server = socket.create_connection(("127.0.0.1", int(self.behind.host.partition(":")[2])))
            done = threading.Event()

            def back():
                try:
                    while data := server.recv(65536):
                        client.sendall(data)
                except OSError:
                    pass
                done.set()
            threading.Thread(target=back, daemon=True).start()
            count = 0
            try:
                while data := client.recv(65536):
                    server.sendall(data)
                    count += len(data)
                    if count > 24 * MIB and not self.broken:
                        self.broken = True
                        break
            except OSError:
                pass
            for end in (server, client):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    fresh()
    registry = DockerRegistry()
    between = Breaking(registry)
    layout = Layout(64 * MIB)
    result = push(layout, registry, target=between.host)
    check("docker-registry, broken: the push is done", (result.status, between.broken), (0, True))
    check("docker-registry, broken: one session more", result.requests.get("POST"), 3)
    fetched = Result("image", "copy", f"{registry.host}/a/b:1", f"oci:{WORK}/resumed:1")
    check("docker-registry, broken: it is whole", fetched.document.get("digest"), layout.digest())
    between.listener.close()
    registry.stop()


LAYOUT = Layout(5000)
held = held_from(LAYOUT)


if __name__ == "__main__":
    names = sys.argv[1:]
    tests = [value for name, value in list(globals().items()) if callable(value) and getattr(value, "__module__", "") == "__main__"
             and name.split("_")[0] in ("finding", "location", "status", "range", "out", "chunk", "cancel", "unauthorized", "scopes", "mounts", "redirects",
                                        "digests", "retry", "manifests", "referrers", "subject", "tags", "warnings", "ecr", "ghcr", "docker", "gitlab", "harbor",
                                        "acr", "artifactory", "quay", "resumed") and (not names or name in names)]
    tap.run_tests(*tests, tidy=log_out)
