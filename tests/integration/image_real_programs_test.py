#!/usr/bin/env python3
"""Ten programs as Debian packages them become images by their closure, and do a real job inside them, under crun and under
podman."""
# timeout: 600
import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests/integration")]
import tap  # noqa: E402
from image_programs import RUNTIMES, WORK, Service, build, can_run, free_port, run  # noqa: E402

NOBODY = 65534


def program(name, *more):
    """Its path, not followed: busybox and redis-server look at the name they are called by."""
    found = next((p for p in (*more, f"/usr/sbin/{name}", f"/usr/bin/{name}") if os.path.exists(p)), None)
    if not found:
        tap.skip(f"{name} does its job", f"{name} is not installed")
    return found


def runtimes():
    for runtime in RUNTIMES:
        why_not = can_run(runtime)
        if why_not:
            tap.skip(f"under {runtime}", why_not)
        else:
            yield runtime


def made(name, out):
    tap.check(f"{name}: the image's own loader agrees", out["loader"] in ("agrees", "unchanged"))


def job(runtime, name, *args, **more):
    """Runs to the end; status and output."""
    result = subprocess.run(RUNTIMES[runtime](name, *args, **more), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return result.returncode, result.stdout + result.stderr


def get(port, path="/"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.read().decode()


def folder_for_nonroot(name):
    folder = WORK / "data" / name
    folder.mkdir(parents=True)
    os.chown(folder, 65532, 65532)
    for parent in (WORK, WORK / "data"):
        os.chmod(parent, 0o755)
    return folder


def nginx_serves_a_page():
    binary = program("nginx")
    if not binary:
        return
    port = free_port()
    (WORK / "nginx.conf").write_text(f"""
daemon off; pid /tmp/nginx.pid; events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
  gzip on; server {{ listen 127.0.0.1:{port}; root /srv; }} }}
""")
    (WORK / "site").mkdir()
    (WORK / "site" / "hello.txt").write_text("hello from nginx\n")
    made("nginx", build(binary, "nginx", "--file", f"{WORK}/nginx.conf:/etc/nginx/nginx.conf", "--file", f"{WORK}/site:/srv",
                        "--arg", "-e", "--arg", "stderr", "--arg", "-c", "--arg", "/etc/nginx/nginx.conf"))
    for runtime in runtimes():
        words = ["-e", "stderr", "-c", "/etc/nginx/nginx.conf"]
        with Service(runtime, "nginx", *words, port=port):
            tap.check(f"nginx serves a page under {runtime}", get(port, "/hello.txt"), "hello from nginx\n")


def redis_keeps_a_value():
    binary = program("redis-server")
    if not binary:
        return
    made("redis-server", build(binary, "redis"))
    for runtime in runtimes():
        port = free_port()
        with Service(runtime, "redis", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", "/tmp", port=port):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(b"SET room 42\r\nINCR room\r\nEVAL \"return redis.call('GET','room')\" 0\r\n")
                answer = b""
                while not answer.endswith(b"$2\r\n43\r\n") and len(answer) < 1000:
                    answer += client.recv(1000) or b"(closed)" * 200
            tap.check(f"redis-server keeps a value and runs a script under {runtime}", answer, b"+OK\r\n:43\r\n$2\r\n43\r\n")


def haproxy_answers():
    binary = program("haproxy")
    if not binary:
        return
    port = free_port()
    (WORK / "haproxy.cfg").write_text(f"""
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend hello
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "hello from haproxy\\n"
""")
    made("haproxy", build(binary, "haproxy", "--file", f"{WORK}/haproxy.cfg:/etc/haproxy/haproxy.cfg"))
    for runtime in runtimes():
        with Service(runtime, "haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg", port=port):
            tap.check(f"haproxy answers under {runtime}", get(port), "hello from haproxy\n")


def postgres_answers_a_query():
    home = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)
    if not home or not (home.parent / "psql").exists():
        tap.skip("postgres answers a query", "postgresql is not installed")
        return
    folder, version = home.parent, home.parent.parent.name
    library = folder.parent / "lib"
    data = WORK / "data" / "postgres"
    data.mkdir(parents=True)
    os.chown(data, NOBODY, NOBODY)
    for parent in (WORK, WORK / "data"):
        os.chmod(parent, 0o755)
    # initdb starts shells; so the data folder is made outside, by the user that the image runs as.
    run(folder / "initdb", "-D", data, "-U", "rooms", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync", user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    made("postgres", build(home, "postgres", "--user", str(NOBODY), "--with", "tzdata", "--file", f"/usr/share/postgresql/{version}:/usr/share/postgresql/{version}",
                           "--file", f"{library}/plpgsql.so:{library}/plpgsql.so", "--file", f"{library}/dict_snowball.so:{library}/dict_snowball.so"))
    for runtime in runtimes():
        port = free_port()
        words = ["-D", "/data", "-h", "127.0.0.1", "-p", str(port), "-k", "/tmp"]
        with Service(runtime, "postgres", *words, port=port, mounts=[(data, "/data")]):
            query = "select 6*7; do $$ begin perform 1; end $$; select to_tsvector('english', 'booked rooms'); select '2024-07-03 09:46+00'::timestamptz at time zone 'Europe/Berlin'"
            # It listens a while before it lets anybody in.
            result = run(folder / "psql", "-h", "127.0.0.1", "-p", port, "-U", "rooms", "-At", "-c", query, "postgres", check=False)
            while "the database system is" in result.stderr:
                result = run(folder / "psql", "-h", "127.0.0.1", "-p", port, "-U", "rooms", "-At", "-c", query, "postgres", check=False)
            tap.check(f"postgres answers a query, with PL/pgSQL, text search and a time zone under {runtime}", result.stdout + result.stderr,
                      "42\nDO\n'book':1 'room':2\n2024-07-03 11:46:00\n")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello to curl\n")

    def log_message(self, *_):
        pass


def curl_fetches_a_page():
    binary = program("curl")
    if not binary:
        return
    made("curl", build(binary, "curl"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for runtime in runtimes():
        # A name, so that it is looked up, and a body that is compressed when the server can.
        got = job(runtime, "curl", "-sS", "--compressed", f"http://localhost:{server.server_port}/", network="host", env=["http_proxy=", "NO_PROXY=*"])
        tap.check(f"curl fetches a page under {runtime}", got, (0, "hello to curl\n"))
    server.shutdown()


def git_commits():
    binary = program("git")
    if not binary:
        return
    made("git", build(binary, "git", "--file", "/usr/lib/git-core:/usr/lib/git-core", "--file", "/usr/share/git-core/templates:/usr/share/git-core/templates"))
    env = ["HOME=/tmp", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
           "GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000"]
    for runtime in runtimes():
        work = folder_for_nonroot(f"git-{runtime}")
        (work / "file").write_text("content\n")
        outputs = [job(runtime, "git", *words, env=env, mounts=[(work, "/work")], cwd="/work")
                   for words in (["init", "-q", "-b", "main"], ["add", "file"], ["commit", "-q", "-m", "first"], ["log", "--format=%s %an"])]
        tap.check(f"git makes a repository and commits under {runtime}", outputs, [(0, ""), (0, ""), (0, ""), (0, "first A\n")])
        seen = run(binary, "-c", f"safe.directory={work}", "-C", work, "show", "--format=%s", "--name-only", "HEAD").stdout.split()
        tap.check(f"and git outside reads it ({runtime})", seen, ["first", "file"])


def python_computes():
    binary = program("python3", "/usr/bin/python3.13", "/usr/bin/python3.11")
    if not binary:
        return
    library = f"/usr/lib/{os.path.basename(os.path.realpath(binary))}"
    made("python3", build(binary, "python3", "--file", f"{library}:{library}", "--env", "PYTHONDONTWRITEBYTECODE=1"))
    text = "import json, re, struct, hashlib, os; print(json.dumps({'sum': sum(range(10)), 'digest': hashlib.sha256(b'x').hexdigest()[:8], 'uid': os.getuid()}))"
    for runtime in runtimes():
        tap.check(f"python3 computes under {runtime}", job(runtime, "python3", "-c", text), (0, f'{{"sum": 45, "digest": "{hashlib.sha256(b"x").hexdigest()[:8]}", "uid": 65532}}\n'))


def node_serves_and_asks_itself():
    binary = program("node")
    if not binary:
        return
    # Debian's node reads a part of itself from files, which its package depends on; others have it inside
    parts = [f"/usr/share/nodejs/{name}" for name in ("acorn", "acorn-walk", "cjs-module-lexer", "undici")]
    made("node", build(os.path.realpath(binary), "node", *[word for part in parts if os.path.isdir(part) for word in ("--file", f"{part}:{part}")]))
    text = """
const http = require('http'), zlib = require('zlib');
const server = http.createServer((request, response) => response.end(zlib.gzipSync('hello from node')));
server.listen(0, '127.0.0.1', () => http.get({host: '127.0.0.1', port: server.address().port}, answer => {
  const pieces = []; answer.on('data', piece => pieces.push(piece));
  answer.on('end', () => { console.log(zlib.gunzipSync(Buffer.concat(pieces)).toString(), new Intl.NumberFormat('de').format(1234.5)); server.close(); });
}));
"""
    for runtime in runtimes():
        tap.check(f"node serves and asks itself under {runtime}", job(runtime, "node", "-e", text, network="host"), (0, "hello from node 1.234,5\n"))


def sqlite_keeps_a_table():
    binary = program("sqlite3")
    if not binary:
        return
    made("sqlite3", build(binary, "crun-sqlite3"))
    build(binary, "podman-sqlite3", compression="zstd")
    for runtime in runtimes():
        work = folder_for_nonroot(f"sqlite-{runtime}")
        make = job(runtime, f"{runtime}-sqlite3", "/data/rooms.db", "create table room(name text, seats int); insert into room values('a', 3), ('b', 4); select sum(seats) from room;", mounts=[(work, "/data")])
        tap.check(f"sqlite3 makes a table under {runtime}", make, (0, "7\n"))
        tap.check(f"and sqlite3 outside reads it ({runtime})", run(binary, work / "rooms.db", "select name from room order by 1").stdout, "a\nb\n")


def busybox_runs_a_script():
    binary = program("busybox")
    if not binary:
        return
    made("busybox", build(binary, "busybox"))
    script = "b=/app/busybox; for i in 3 1 2; do echo $i; done | $b sort | $b tr '\\n' , >/tmp/list; $b cat /tmp/list; $b sha256sum /tmp/list | $b cut -c1-8; $b id -un"
    expected = f"1,2,3,{hashlib.sha256(b'1,2,3,').hexdigest()[:8]}\nnonroot\n"
    for runtime in runtimes():
        tap.check(f"busybox runs a script under {runtime}", job(runtime, "busybox", "sh", "-c", script), (0, expected))


def all_ten_were_there():
    here = {name: bool(shutil.which(name, path="/usr/sbin:/usr/bin")) for name in ("nginx", "redis-server", "haproxy", "curl", "git", "python3", "node", "sqlite3", "busybox")}
    tap.note(f"not installed: {[name for name, there in here.items() if not there] or 'none'}")


if not shutil.which("umoci") and not shutil.which("podman"):
    tap.skip_all("neither umoci nor podman is installed")
tap.run_tests(all_ten_were_there, nginx_serves_a_page, redis_keeps_a_value, haproxy_answers, postgres_answers_a_query, curl_fetches_a_page,
              git_commits, python_computes, node_serves_and_asks_itself, sqlite_keeps_a_table, busybox_runs_a_script)
