"""Registries for tests: Debian's docker-registry, and one of our own that misbehaves on demand."""
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

WORK = Path(os.environ["TMPDIR"])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class DockerRegistry:
    """docker-registry on a free port, with HTTP Basic when a user is given; or a mirror of another registry, where the user
    is for that one."""

    def __init__(self, user=None, password=None, mirror_of=None):
        self.host = f"127.0.0.1:{free_port()}"
        folder = WORK / f"registry-{self.host.split(':')[1]}"
        folder.mkdir()
        auth = ""
        if mirror_of:
            auth = f"proxy: {{remoteurl: {mirror_of}, username: {user}, password: '{password}'}}\n"
        elif user:
            pair = subprocess.run(["htpasswd", "-Bbn", "-C", "5", user, password], capture_output=True, text=True, check=True).stdout
            (folder / "htpasswd").write_text(pair)
            auth = f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
        (folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n{auth}"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\nhttp: {{addr: {self.host}}}\n")
        # It would read variables of others, as REGISTRY_AUTH_FILE, as settings of its own.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.host.split(":")[1]))).close()
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError((folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    @staticmethod
    def missing(*also):
        return next((p for p in ("docker-registry", *also) if not shutil.which(p)), None)


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Request:
    """What a script sees: method, path, query, headers, body; count is how often this method came before."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = re.sub("^http://[^/]*", "", target).partition("?")  # a proxy's have a host
        self.kind = ("upload" if "/blobs/uploads" in self.path else "blob" if "/blobs/" in self.path
                     else "manifest" if "/manifests/" in self.path else "other")

    def __repr__(self):
        return f"{self.method} {self.path}{'?' + self.query if self.query else ''}"


CUT = object()  # a script returns it to close the connection in the middle


class Partly:
    """An answer that a script returns to have it break off behind that many bytes of its body."""

    def __init__(self, answer, size):
        self.answer, self.size = answer, size


class ScriptedRegistry:
    """A registry in memory. script(request, times) may answer instead: (status, headers, body), Partly, CUT, or None to go
    on as usual; times counts earlier requests of the same method and kind."""

    def __init__(self, script=None, on_head=None):
        registry = self
        self.script, self.requests, self.blobs, self.manifests, self.times = script, [], {}, {}, {}
        self.sessions = {}  # path of an open upload: what it has
        self.on_head = on_head  # called with the headers of an upload before its body is read
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            registry = self

            def handle_any(self):
                if registry.on_head and self.command in ("PUT", "PATCH") and registry.on_head(self) is CUT:
                    self.rfile.read(10)
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if len(body) < int(self.headers.get("Content-Length") or 0):
                    self.close_connection = True
                    return  # the client is gone
                answer = registry.answer(Request(self.command, self.path, {name.title(): value for name, value in self.headers.items()}, body))
                if answer is CUT:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                broken = answer.size if isinstance(answer, Partly) else None
                status, headers, content = answer.answer if isinstance(answer, Partly) else answer
                self.send_response(status)
                for name, value in headers.items() if isinstance(headers, dict) else headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[:broken])
                if broken is not None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # connections that are cut on purpose

        self.server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def seen(self, method, kind=None):
        return [r for r in self.requests if r.method == method and kind in (None, r.kind)]

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
            key = (request.method, request.kind)
            times = self.times[key] = self.times.get(key, -1) + 1
            answer = self.script(request, times) if self.script else None
            return answer if answer is not None else self.serve(request)

    def serve(self, request):
        method, path = request.method, request.path
        query = dict(part.partition("=")[::2] for part in request.query.split("&") if part)
        query = {name: value.replace("%3A", ":").replace("%2F", "/") for name, value in query.items()}
        if request.kind == "manifest":
            key = re.sub(r".*/manifests/", "", path)
            if method == "PUT":
                named = json.loads(request.body)
                missing = [d["digest"] for d in [named.get("config"), *named.get("layers", [])] if d and d["digest"] not in self.blobs]
                if missing:
                    errors = [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": d} for d in missing]
                    return 400, {"Content-Type": "application/json"}, json.dumps({"errors": errors}).encode()
                stored = (request.headers["Content-Type"], request.body)
                self.manifests[key] = self.manifests[digest_of(request.body)] = stored
                return 201, {"Docker-Content-Digest": digest_of(request.body)}, b""
            if key not in self.manifests:
                return self.refuse(404, "MANIFEST_UNKNOWN", key)
            kind, content = self.manifests[key]
            return 200, {"Content-Type": kind, "Docker-Content-Digest": digest_of(content)}, content
        if request.kind == "upload" and method == "POST":
            if query.get("mount") in self.blobs:
                return 201, {"Docker-Content-Digest": query["mount"]}, b""
            self.sessions[f"{path}{len(self.requests)}"] = b""
            return 202, {"Location": f"{path}{len(self.requests)}?_state=a%2Bb"}, b""
        if request.kind == "upload":
            return self.serve_session(request, query)
        if request.kind == "blob" and method in ("GET", "HEAD"):
            content = self.blobs.get(re.sub(r".*/blobs/", "", path))
            return self.part_of(content, request) if content is not None else self.refuse(404, "BLOB_UNKNOWN", path)
        return self.refuse(404, "UNSUPPORTED", path)

    @staticmethod
    def part_of(content, request):
        """A blob, or the rest of it that "Range: bytes=N-" asks for (RFC 9110, 14)."""
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        if first >= len(content) > 0:
            return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
        if not asked:
            return 200, {}, content
        return 206, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}, content[first:]

    def serve_session(self, request, query):
        """An open upload, as the specification has it."""
        path, has = request.path, self.sessions.get(request.path)
        if has is None:
            return self.refuse(404, "BLOB_UPLOAD_UNKNOWN", path)
        where = {"Location": f"{path}?_state={len(self.requests)}", "Range": f"0-{max(len(has) - 1, 0)}"}
        if request.method == "DELETE":
            del self.sessions[path]
            return 204, {}, b""
        if request.method == "GET":
            return 204, where, b""
        first = request.headers.get("Content-Range", f"{len(has)}-").partition("-")[0]
        if first != str(len(has)):
            return 416, where, b""
        has = self.sessions[path] = has + request.body
        if request.method == "PATCH":
            return 202, where | {"Range": f"0-{len(has) - 1}"}, b""
        if digest_of(has) != query.get("digest"):
            return self.refuse(400, "DIGEST_INVALID", "provided digest did not match")
        del self.sessions[path]
        self.blobs[query["digest"]] = has
        return 201, {"Docker-Content-Digest": query["digest"]}, b""

    @staticmethod
    def refuse(status, code, message, **headers):
        return status, {"Content-Type": "application/json", **headers}, json.dumps({"errors": [{"code": code, "message": message}]}).encode()
