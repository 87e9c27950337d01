# parallel: yes
"""Registries over TLS: small requests share one HTTP/2 connection, bodies go over HTTP/1.1, sessions are resumed by the next run.

HAProxy ends TLS before a registry and tells what it saw."""
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tap  # noqa: E402
from layouts import MIB, Layout  # noqa: E402
from registry import ScriptedRegistry, free_port  # noqa: E402
from tap import check, check_contains  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
STATE = WORK / "state"
for name in [n for n in os.environ if n.endswith("_proxy")]:
    del os.environ[name]
os.environ.update(DOGSHORE_STATE=str(STATE), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK),
                  SSL_CERT_FILE=str(WORK / "ca.pem"))


class Result:
    def __init__(self, *words, **environment):
        process = subprocess.run([PROGRAM, "image", *map(str, words), "--json"], capture_output=True, text=True, check=False, env=os.environ | environment)
        self.status, self.said = process.returncode, process.stdout + process.stderr
        self.document = json.loads(process.stdout)
        self.error = self.document.get("error", {})


def certificates():
    """Two authorities, and a server that the first vouches for."""
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", WORK / f"{name}.key", "-out", WORK / f"{name}.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={NAME}", "-keyout", WORK / "server.key", "-out", WORK / "server.csr")
    (WORK / "names").write_text(f"subjectAltName=DNS:{NAME}\n")
    openssl("x509", "-req", "-in", WORK / "server.csr", "-CA", WORK / "ca.pem", "-CAkey", WORK / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", WORK / "names", "-out", WORK / "server.pem")
    (WORK / "server.both").write_text((WORK / "server.pem").read_text() + (WORK / "server.key").read_text())


NAME = ""  # leads to this machine, and is not localhost, which is spoken to without TLS


class Front:
    """HAProxy before a registry."""

    def __init__(self, registry):
        self.host, self.log = f"{NAME}:{free_port()}", WORK / f"haproxy-{free_port()}.log"
        (WORK / "haproxy.cfg").write_text(f"""global
 log stdout format raw local0
defaults
 mode http
 timeout client 30s
 timeout server 30s
 timeout connect 5s
frontend f
 bind :{self.host.partition(":")[2]} ssl crt {WORK}/server.both alpn h2,http/1.1
 log global
 log-format "%HM %HV %[ssl_fc_is_resumed] %cp %HU"
 default_backend b
backend b
 server s {registry.host}
""")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", WORK / "haproxy.cfg"], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((NAME, int(self.host.partition(":")[2]))).close()
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(self.log.read_text()) from None
                time.sleep(0.02)

    def seen(self, count):
        """The requests since the last call: method, version, resumed, port, path."""
        deadline = time.monotonic() + 60
        while True:
            rows = [line.split() for line in self.log.read_text().splitlines() if " HTTP/" in line]
            if len(rows) >= count or time.monotonic() > deadline:
                return rows
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def quay_and_others_get_bodies_over_http_1_beside_small_requests_that_share_a_connection():
    """Uploads over HTTP/2 crawl at Quay."""
    registry = ScriptedRegistry()
    front = Front(registry)
    layout = Layout(3 * MIB, 2 * MIB, 2 * MIB + 1)
    result = Result("push", f"{layout.path}:1", f"{front.host}/a/b:1")
    if not check("over TLS: done", result.status, 0):
        tap.note(result.said)
    rows = front.seen(10)
    small = [r for r in rows if r[0] in ("GET", "HEAD", "POST")]
    bodies = [r for r in rows if r[0] == "PUT" and "/blobs/" in r[4]]
    check("small requests go over HTTP/2", {r[1] for r in small}, {"HTTP/2.0"})
    check("all over one connection", len({r[3] for r in small}), 1)
    check("bodies go over HTTP/1.1", {r[1] for r in bodies}, {"HTTP/1.1"})
    check("side by side, a connection each", len({r[3] for r in bodies}) >= 3)
    front.stop()
    registry.stop()


def the_next_run_resumes_the_session():
    registry = ScriptedRegistry()
    front = Front(registry)
    layout = Layout(100)
    os.environ["DOGSHORE_STATE"] = str(WORK / "state-resumed")
    Result("push", f"{layout.path}:1", f"{front.host}/a/b:1")
    first = len(front.seen(6))
    kept = list((WORK / "state-resumed/registry").glob("*.tls"))
    check("a session is kept, for its owner only", [oct(p.stat().st_mode & 0o777) for p in kept], ["0o600"])
    check("its folder too", oct(kept[0].parent.stat().st_mode & 0o777), "0o700")
    for round_ in range(2):
        again = Result("push", f"{layout.path}:1", f"{front.host}/a/b:1")
        check(f"run {round_ + 2}: one request", (again.status, again.document["requests"]), (0, {"GET": 1}))
        rows = front.seen(first + 1 + round_)
        check(f"run {round_ + 2}: on a resumed session", [r[2] for r in rows[first + round_:]], ["1"])
    kept = list((WORK / "state-resumed/registry").glob("*.tls"))
    kept[0].chmod(0o644)
    Result("push", f"{layout.path}:1", f"{front.host}/a/b:1")
    check("one that others may have read is not used", [r[2] for r in front.seen(first + 3)[first + 2:]], ["0"])
    kept[0].write_bytes(b"\x30\x82nonsense")
    check("a damaged one is passed over", Result("push", f"{layout.path}:1", f"{front.host}/a/b:1").status, 0)
    refused = Result("push", f"{layout.path}:1", f"{front.host}/a/b:1", SSL_CERT_FILE=str(WORK / "other.pem"))
    check("one that other authorities vouched for is not used", (refused.status, refused.error["kind"]), (3, "denied"))
    own = WORK / "own.pem"
    shutil.copy(WORK / "ca.pem", own)
    check("with authorities in a file of one's own: done", Result("push", f"{layout.path}:1", f"{front.host}/a/b:1", SSL_CERT_FILE=str(own)).status, 0)
    shutil.copy(WORK / "other.pem", own)
    refused = Result("push", f"{layout.path}:1", f"{front.host}/a/b:1", SSL_CERT_FILE=str(own))
    check("after its authority was taken out of the file: refused", (refused.status, refused.error["kind"]), (3, "denied"))
    front.stop()
    registry.stop()


def a_certificate_that_nobody_vouches_for_is_refused():
    registry = ScriptedRegistry()
    front = Front(registry)
    layout = Layout(100)
    refused = Result("push", f"{layout.path}:1", f"{front.host}/a/b:1", SSL_CERT_FILE=str(WORK / "other.pem"))
    check("an unknown authority: exit 3", (refused.status, refused.error["kind"]), (3, "denied"))
    check_contains("an unknown authority: it says why", refused.error["message"], "certificate")
    check_contains("an unknown authority: and what helps", refused.error["next"], "SSL_CERT_FILE")
    check("an unknown authority: no request was made", registry.requests, [])
    refused = Result("push", f"{layout.path}:1", f"{front.host}/a/b:1", SSL_CERT_FILE=str(WORK / "nowhere.pem"))
    check("no authorities: exit 3", (refused.status, refused.error["kind"]), (3, "denied"))
    check_contains("no authorities: it says what is missing", refused.error["next"], "ca-certificates")
    front.stop()
    registry.stop()


def a_token_server_without_tls_gets_no_password():
    """The registry has TLS, so the password leaves this machine in it or not at all."""
    token = ScriptedRegistry(lambda *_: (200, {"Content-Type": "application/json"}, b'{"token": "t"}'))
    realm = f"http://{NAME}:{token.host.partition(':')[2]}/token"
    registry = ScriptedRegistry(lambda *_: (401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="r"'}, b""))
    front = Front(registry)
    (WORK / "docker").mkdir(exist_ok=True)
    (WORK / "docker/config.json").write_text(json.dumps({"auths": {front.host: {"username": "ann", "password": "secret"}}}))
    result = Result("push", f"{Layout(100).path}:1", f"{front.host}/a/b:1")
    (WORK / "docker/config.json").unlink()
    check("a token server without TLS: exit 3", (result.status, result.error["kind"]), (3, "denied"))
    check_contains("a token server without TLS: it is named", result.error["message"], realm)
    check("a token server without TLS: not asked", token.requests, [])
    front.stop()
    registry.stop()
    token.stop()


def harbor_asks_to_be_left_alone_for_a_while():
    """GOAWAY ENHANCE_YOUR_CALM to the first request over HTTP/2; the second connection is served."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    layout = Layout(100)
    manifest = (layout.path / "blobs/sha256" / layout.digest()[7:]).read_bytes()
    turns, listener = [], socket.create_server(("", 0))

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(WORK / "server.both")
            context.set_alpn_protocols(["http/1.1"] if turns else ["h2"])
            turns.append(1)
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    if len(turns) > 1:
                        connection.sendall(answer % (len(manifest), manifest))
                    else:
                        connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # SETTINGS
                        connection.recv(65536)
                        # GOAWAY, last stream 0, error 0xb
                        connection.sendall(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + struct.pack(">II", 0, 0xb))
                        connection.recv(65536)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    result = Result("push", f"{layout.path}:1", f"{NAME}:{listener.getsockname()[1]}/a/b:1", DOGSHORE_STATE=str(WORK / "state-calm"))
    if not check("Harbor's GOAWAY: tried again", result.status, 0):
        tap.note(result.said)
    check("Harbor's GOAWAY: on another connection", len(turns) >= 2)
    listener.close()


for program in ("haproxy", "openssl"):
    if not shutil.which(program):
        tap.skip_all(f"{program} is not installed")
try:
    NAME = next(n for n in (socket.gethostname(), socket.getfqdn()) if n.partition(".")[0] != "localhost" and socket.gethostbyname(n))
except (StopIteration, OSError):
    tap.skip_all("this machine's name leads nowhere")
tap.run_tests(quay_and_others_get_bodies_over_http_1_beside_small_requests_that_share_a_connection, the_next_run_resumes_the_session,
              a_certificate_that_nobody_vouches_for_is_refused, a_token_server_without_tls_gets_no_password, harbor_asks_to_be_left_alone_for_a_while, ready=certificates)
