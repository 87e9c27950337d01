# parallel: yes
"""Images that somebody damaged and registries that lie: told with place and advice, never believed, never half a tag."""
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from shop import check_error  # noqa: E402
from registry import ScriptedRegistry, digest_of  # noqa: E402
from scene import PROGRAM, Result  # noqa: E402
from tap import check, run_tests, skip_all  # noqa: E402

WORK = Path(os.environ["TMPDIR"])
WHOLE, LAYOUT = WORK / "whole", WORK / "layout"
os.environ |= {"DOGSHORE_STATE": str(WORK / "state"), "DOCKER_CONFIG": str(WORK / "docker"), "XDG_RUNTIME_DIR": str(WORK)}
ZEROS = "sha256:" + "0" * 64


def dogshore(*words):
    return Result(subprocess.run([PROGRAM, *map(str, words), "--json"], capture_output=True, text=True, check=False))


def ready():
    (WORK / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-o", WORK / "main", WORK / "main.c"], check=True)
    check("there is an image", dogshore("image", "build", "--binary", WORK / "main", "--output", f"{WHOLE}:1").status, 0)


# ---- layouts


def index():
    return json.loads((LAYOUT / "index.json").read_text())


def blob(digest):
    return LAYOUT / "blobs/sha256" / digest.split(":")[1]


def manifest():
    return json.loads(blob(index()["manifests"][0]["digest"]).read_text())


def put(content):
    path = blob(digest_of(content))
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return digest_of(content)


def put_index(change):
    document = index()
    change(document["manifests"][0])
    (LAYOUT / "index.json").write_text(json.dumps(document))


def put_manifest(content):
    """As bytes, or as a document."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    digest = put(content)
    put_index(lambda entry: entry.update(digest=digest, size=len(content)))


def put_config(content):
    document = manifest()
    document["config"].update(digest=put(content), size=len(content))
    put_manifest(document)


def change_layer(**change):
    document = manifest()
    document["layers"][0].update(change)
    put_manifest(document)


def bad_layout(what, status, *pieces, damage, inspect=True, push=True):
    """The layout after the damage: neither shown nor pushed, and no tag made. (A push does not read configurations: those of
    artifacts may be anything; it does not matter to inspect what layers hold.)"""
    shutil.rmtree(LAYOUT, ignore_errors=True)
    shutil.copytree(WHOLE, LAYOUT)
    damage()
    if push:
        registry = ScriptedRegistry()
        check_error(f"{what}: push", dogshore("image", "push", f"{LAYOUT}:1", f"{registry.host}/shop/svc:1"), status, *pieces)
        check(f"{what}: no manifest was sent", registry.seen("PUT", "manifest"), [])
        registry.stop()
    if inspect:
        check_error(f"{what}: inspect", dogshore("image", "inspect", f"oci:{LAYOUT}:1"), status, *pieces)


def write_index(text):
    return lambda: (LAYOUT / "index.json").write_text(text)


def json_too_deep():
    deep = "[" * 100000 + "]" * 100000
    bad_layout("a deep index", 3, "index.json:1:65", "deeper than 64 levels", damage=write_index(deep))
    bad_layout("a deep manifest", 3, "deeper than 64 levels", damage=lambda: put_manifest(b'{"a":' + deep.encode() + b"}"))
    bad_layout("a deep configuration", 3, "deeper than 64 levels", push=False, damage=lambda: put_config(deep.encode()))


def json_too_large():
    much = json.dumps({"a": "x" * (5 << 20)})
    bad_layout("a large index", 3, "index.json", "larger than the 4194304 bytes", damage=write_index(much))
    bad_layout("a large manifest", 3, "larger than the 4194304 bytes", damage=lambda: put_manifest(much.encode()))
    bad_layout("a large configuration", 3, "larger than the 4194304 bytes", push=False, damage=lambda: put_config(much.encode()))


def json_with_a_key_twice():
    bad_layout("a tag list twice", 2, "index.json:1:", '"manifests"', "duplicate",
               damage=lambda: write_index(json.dumps(index())[:-1] + ',"manifests":[]}')())
    bad_layout("layers twice", 2, "duplicate", '"layers"', damage=lambda: put_manifest(json.dumps(manifest())[:-1].encode() + b',"layers":[]}'))


def json_that_is_cut_off():
    bad_layout("half an index", 2, "index.json:1:", damage=lambda: write_index((LAYOUT / "index.json").read_text()[:-20])())
    bad_layout("half a manifest", 2, "manifest:1:", damage=lambda: put_manifest(json.dumps(manifest())[:-20].encode()))
    bad_layout("an empty index", 2, "index.json", damage=write_index(""))


def digests_that_are_paths():
    path = "sha256:../../../../../../../../etc/passwd"
    bad_layout("a tag that is a path", 2, "no sha256 digest", damage=lambda: put_index(lambda entry: entry.update(digest=path)))
    bad_layout("a layer that is a path", 2, "layer 1 has no sha256 digest", path, damage=lambda: change_layer(digest=path))
    bad_layout("a digest in capitals", 2, "no sha256 digest", damage=lambda: put_index(lambda entry: entry.update(digest="sha256:" + "A" * 64)))


def sizes_that_lie():
    for size in (7, 0, -5, 1 << 62):
        bad_layout(f"a manifest of {size} bytes", 2, "index.json", f"has {size} bytes", damage=lambda s=size: put_index(lambda entry: entry.update(size=s)))
    for size in (-1, "12", None, 1.5):
        bad_layout(f"a layer of {size} bytes", 2, "layer 1 has no size", damage=lambda s=size: change_layer(size=s))
    for by in (1, -1):
        bad_layout(f"a layer {by} byte longer than its blob", 3, "has no blob", "damaged", inspect=False,
                   damage=lambda b=by: change_layer(size=manifest()["layers"][0]["size"] + b))


def content_that_is_not_what_its_name_says():
    def damage(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.unlink()  # it may share its bytes with others
        path.write_bytes(content)

    bad_layout("a changed manifest", 2, "another digest than its name", damage=lambda: damage(blob(index()["manifests"][0]["digest"])))
    bad_layout("a changed configuration", 2, "build the image again", inspect=False, damage=lambda: damage(blob(manifest()["config"]["digest"])))
    bad_layout("a changed layer", 2, "build the image again", inspect=False, damage=lambda: damage(blob(manifest()["layers"][0]["digest"])))


def blobs_that_are_no_files():
    def instead(make):
        path = blob(manifest()["layers"][0]["digest"])
        path.unlink()
        make(path)

    bad_layout("a layer that never ends", 3, "has no blob", inspect=False, damage=lambda: instead(lambda p: p.symlink_to("/dev/zero")))
    bad_layout("a layer that never begins", 3, "has no blob", inspect=False, damage=lambda: instead(os.mkfifo))
    bad_layout("a layer that is a folder", 3, "has no blob", inspect=False, damage=lambda: instead(lambda p: p.mkdir()))
    bad_layout("no configuration", 3, ZEROS[7:], inspect=False, damage=lambda: put_manifest(manifest() | {"config": manifest()["config"] | {"digest": ZEROS}}))


def settings_that_steer_a_terminal():
    shutil.rmtree(LAYOUT, ignore_errors=True)
    shutil.copytree(WHOLE, LAYOUT)
    document = json.loads(blob(manifest()["config"]["digest"]).read_text())
    document["config"]["Labels"] = {"a": "\x1b]0;title\x07\nuser       0"}
    put_config(json.dumps(document).encode())
    shown = subprocess.run([PROGRAM, "image", "inspect", f"oci:{LAYOUT}:1"], capture_output=True, text=True, check=True).stdout
    check("a label is shown in one line, spelled out", [line for line in shown.splitlines() if line.startswith(("labels", "user"))],
          ["user       65532", "labels     a=\\x1b]0;title\\x07\\x0auser       0"])


def more_layers_than_an_image_has():
    bad_layout("20,000 layers", 3, "20000 layers", damage=lambda: put_manifest(manifest() | {"layers": manifest()["layers"][:1] * 20000}))


# ---- registries, which answer with any bytes


class Liar:
    """Has the image, and answers lie(method, path) instead where that is not None: pieces of bytes, sent as they are."""

    def __init__(self, lie):
        self.lie, self.paths = lie, []
        self.content = {f"sha256:{p.name}": p.read_bytes() for p in (WHOLE / "blobs/sha256").iterdir()}
        self.tag = json.loads((WHOLE / "index.json").read_text())["manifests"][0]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                while (line := lines.readline().decode()):
                    while lines.readline().strip():
                        pass
                    method, path = line.split()[:2]
                    self.paths.append(path)
                    for piece in self.lie(self, method, path) or [self.truth(method, path)]:
                        connection.sendall(piece)
            except (OSError, ValueError):
                pass

    def truth(self, method, path):
        name = path.rpartition("/")[2]
        kind = self.tag["mediaType"] if "/manifests/" in path else "application/octet-stream"
        if "/manifests/" in path and name == "1":
            name = self.tag["digest"]
        if name not in self.content or "/referrers/" in path:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        body = self.content[name]
        return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + (b"" if method == "HEAD" else body)

    def is_layer(self, path):
        return path.endswith(json.loads(self.content[self.tag["digest"]])["layers"][0]["digest"])

    def stop(self):
        self.listener.close()


def lied(what, status, *pieces, lie):
    """A pull from such a registry: the error, and no tag."""
    registry = Liar(lie)
    folder = WORK / "pulled"
    shutil.rmtree(folder, ignore_errors=True)
    result = dogshore("image", "copy", f"{registry.host}/shop/svc:1", f"oci:{folder}:1")
    check_error(what, result, status, registry.host, *pieces)
    check(f"{what}: there is no tag", (folder / "index.json").exists(), False)
    check(f"{what}: nothing half is left", [p.name for p in folder.rglob("*") if p.is_file() and digest_of(p.read_bytes()) != f"sha256:{p.name}"
                                            and p.name != "oci-layout"], [])
    registry.stop()
    return registry


def on_layer(*pieces):
    return lambda registry, method, path: pieces if registry.is_layer(path) else None


def for_ever(head, piece, where):
    def lie(registry, method, path):
        if not where(registry, path):
            return None

        def pieces():
            yield head
            while True:
                yield piece
        return pieces()
    return lie


def a_truthful_one_is_believed():
    registry = Liar(lambda *_: None)
    check("pulled", dogshore("image", "copy", f"{registry.host}/shop/svc:1", f"oci:{WORK}/good:1").status, 0)
    registry.stop()


def bodies_that_never_end():
    layer = Liar.is_layer
    lied("an endless blob", 3, "longer than", lie=for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, layer))
    lied("an endless chunked blob", 3, "longer than",
         lie=for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n", layer))
    lied("an endless manifest", 3, "larger than the 4194304 bytes", lie=for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536, lambda _, path: "/manifests/" in path))
    lied("endless headers", 3, "64 KiB of headers", lie=for_ever(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 1000 + b"\r\n", lambda *_: True))


def lengths_that_lie():
    lied("a length far too large", 3, "longer than", lie=for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65536, Liar.is_layer))
    lied("a length too small", 3, "gave 10 bytes", "do not trust it", lie=on_layer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"))
    lied("a negative length", 3, "Content-Length", lie=on_layer(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"))
    lied("no content", 3, "gave 0 bytes", "do not trust it", lie=on_layer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))


def content_that_lies():
    def other(registry, method, path):
        if not registry.is_layer(path):
            return None
        return [registry.truth("HEAD", path), bytes(int(registry.truth("HEAD", path).split(b"Length: ")[1].split()[0]))]

    lied("another blob", 3, "with the digest", "do not trust it", lie=other)
    lied("a manifest that is none", 3, "manifest:1:5", lie=lambda r, m, p: [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"] if "/manifests/" in p else None)
    lied("no HTTP at all", 3, lie=lambda *_: [b"\x00\x01\x02\r\n\r\n"])


def lists_of_tags_that_lie():
    def listing(*tags, more=b""):
        body = json.dumps({"name": "shop/svc", "tags": tags}).encode()
        return lambda r, m, p: [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), more) + body] if "/tags/list" in p else None

    for what, lie, found in (("names that are none", listing(*["x" * 500] * 1000), []), ("no texts", listing(*[{}] * 1000), []),
                             ("nothing", listing(), [])):
        registry = Liar(lie)
        result = dogshore("image", "tags", f"{registry.host}/shop/svc")
        check(f"{what}: listed", (result.status, result.document.get("tags")), (0, found))
        registry.stop()
    registry = Liar(lambda r, m, p: listing("a", more=f"Link: <{p}>; rel=\"next\"\r\n".encode())(r, m, p))
    check_error("a list that leads to itself", dogshore("image", "tags", f"{registry.host}/shop/svc"), 3, "back to itself")
    registry.stop()


def redirects_that_lead_elsewhere():
    def to(location):
        return on_layer(f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    lied("to a file", 3, "file:///etc/passwd", lie=to("file:///etc/passwd"))
    lied("to another protocol", 3, "gopher://", lie=to("gopher://127.0.0.1:70/x"))
    for address in ("169.254.169.254", "fe80::1"):
        host = f"[{address}]" if ":" in address else address
        lied(f"to {address}", 3, f"private address {address}; refused", lie=to(f"http://{host}/latest/meta-data"))
    lied("to it as one number", 3, "private address 169.254.169.254; refused", lie=to("http://2852039166/latest/meta-data"))
    seen = lied("in a circle", 3, "307", lie=lambda r, m, p: on_layer(
        f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {p}\r\nContent-Length: 0\r\n\r\n".encode())(r, m, p))
    check("in a circle: not for ever", len(seen.paths) < 100)


if not shutil.which("cc"):
    skip_all("there is no C compiler")
run_tests(
    json_too_deep, json_too_large, json_with_a_key_twice, json_that_is_cut_off, digests_that_are_paths, sizes_that_lie,
    content_that_is_not_what_its_name_says, blobs_that_are_no_files, settings_that_steer_a_terminal, more_layers_than_an_image_has, a_truthful_one_is_believed,
    bodies_that_never_end, lengths_that_lie, content_that_lies, lists_of_tags_that_lie, redirects_that_lead_elsewhere, ready=ready)
