# timeout: 300
# parallel: yes
"""Secrets stay where they were given: not in logs, errors, the ledger, results, images, containers, command lines."""
import base64
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from registry import ScriptedRegistry  # noqa: E402
from scene import PROGRAM, need_root  # noqa: E402
from tap import check, check_contains, note, run_tests  # noqa: E402

need_root()
stage = shop.Shop()
END = os.urandom(4).hex()  # so that the same test, run beside this one, does not look like a leak
GIVEN = f"correct-horse-battery-staple-{END}"  # a secret of a build, of a registry
ALL_OF_THEM = [GIVEN]


class Watch:
    """Looks at every command line of the machine, and at environments in containers, until the block ends."""

    def __enter__(self):
        self.seen, self.ending = [], threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def look(self):
        while not self.ending.is_set():
            for process in Path("/proc").iterdir():
                if not process.name.isdigit():
                    continue
                try:
                    line = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                self.seen += [line for secret in ALL_OF_THEM if secret.encode() in line and line not in self.seen]
            time.sleep(0.002)


def shown(text):
    """Which of our secrets a text has, in clear or as base64."""
    data = text if isinstance(text, bytes) else text.encode()
    found = [s for s in ALL_OF_THEM if s.encode() in data]
    return found + [s for s in ALL_OF_THEM if base64.b64encode(s.encode()).rstrip(b"=")[:-1] in data]


def content(path):
    """What was written: logs of builds are stored compressed."""
    return subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout if path.suffix == ".zst" else path.read_bytes()


def files_with_secrets(folder, *allowed):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")
                  if path.is_file() and path.name not in allowed and shown(content(path)))


def run_logs():
    return [p for p in stage.state.glob("runs/*/svc/**/*") if p.name.endswith((".log", ".log.zst"))]


def ready():
    stage.make_repository()
    stage.start_cloud()
    ALL_OF_THEM.append(stage.environment["AWS_SECRET_ACCESS_KEY"])
    # the compiler in the background must not be the only thing that a build does
    stage.build_with(shop.COMPILE, "env", "cat /proc/*/environ | tr '\\\\0' '\\\\n' || true", "cat /proc/*/cmdline | tr '\\\\0' ' ' || true",
                     "ls -la / /codebuild /root /tmp || true")
    stage.commit("a curious build")


def a_run_shows_no_key():
    with Watch() as watch:
        result = stage.dogshore("run", "--env", "local", "--trace", "all", expect=0)
    check("nothing of it in what the run says", shown(result.text + result.said), [])
    logs = "".join(content(p).decode() for p in run_logs())
    check_contains("the build looked around", logs, "CODEBUILD_SRC_DIR=")
    check("and saw no key", shown(logs), [])
    check("and no variable of ours", [line for line in logs.splitlines() if line.startswith(("AWS_SECRET", "DOGSHORE_STATE=", "DOGSHORE_LEDGER="))], [])
    check("no command line has it", watch.seen, [])
    for words in (["show", "1"], ["runs"], ["plan"], ["why", "svc"], ["status", "svc", "--env", "local"], ["logs", "svc", "--env", "local"]):
        result = stage.dogshore(*words, "--trace", "all")
        check(f"nothing of it in {' '.join(words)}", shown(result.text + result.said), [])


def no_file_has_a_key():
    check("only the file made for it has it, and the cloud's own store",
          files_with_secrets(stage.state, "credentials.json", "store.db", "store.db-wal"), [])
    for name in ("ledger.db", "local/credentials.json", "local/store.db", "local/store.db-wal", "local/endpoint.log"):
        mode = stat.S_IMODE((stage.state / name).stat().st_mode)
        check(f"{name} is its owner's alone", mode & 0o077, 0)
    open_logs = [str(p) for p in run_logs() if p.stat().st_mode & 0o077 and not closed(p)]
    check("logs are their owner's alone", open_logs, [])


def closed(path):
    """A folder above it keeps others out."""
    return any(not parent.stat().st_mode & 0o005 for parent in path.parents if stage.folder in parent.parents)


def no_container_has_a_key():
    seen = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if "/app/out" in (process / "cmdline").read_text():
                seen.append((process / "environ").read_bytes())
        except OSError:
            continue
    check("there is a container", len(seen) > 0)
    check("no container was given a key", [s for s in seen if b"AWS_SECRET" in s or shown(s)], [])


def no_image_has_a_key():
    unpacked = stage.folder / "unpacked"
    for blob in stage.state.glob("images/shop/svc/blobs/sha256/*"):
        unpacked.mkdir(exist_ok=True)
        out = subprocess.run(["zstd", "-dc", blob], capture_output=True, check=False).stdout or blob.read_bytes()
        check(f"blob {blob.name[:8]} has none", shown(out), [])


def a_build_may_use_its_secret_and_not_show_it():
    (stage.folder / "secrets.json").write_text(json.dumps({"secrets-manager": {"shop/key": GIVEN}}))
    os.chmod(stage.folder / "secrets.json", 0o600)
    stage.put("svc/buildspec.yml", """\
version: 0.2
env:
  secrets-manager: {KEY: shop/key}
  exported-variables: [KEY]
phases:
  build:
    commands:
      - test "$KEY" = "$(printf %s correct-horse-battery -staple-END)"
      - echo "it is $KEY"; echo "it is $KEY" >&2
      - printf %s "${KEY%battery*}"; sleep 0.05; printf 'battery-%s\\n' "${KEY##*battery-}"
      - printf %s "${KEY%battery*}"
      - printf 'battery-%s\\n' "${KEY##*battery-}"
      - set -x; true "$KEY"; set +x
      - cat /proc/*/cmdline | tr '\\0' ' '
      - sh -c "exit 3" "$KEY" correct-horse-battery-staple-END
artifacts: {files: [svc.c], base-directory: svc}
""".replace("END", END))
    stage.commit("uses a secret")
    with Watch() as watch:
        result = stage.dogshore("build", "svc", "--secrets-file", str(stage.folder / "secrets.json"), "--output", str(stage.folder / "out"))
    check("the build ends as its last command does", result.status, 1)
    if "it is ***" not in result.said:
        note(result.said)
    check_contains("what it prints is masked", result.said, "it is ***")
    check("nor is the half that another command printed", [line for line in result.said.splitlines() if line.endswith(f"battery-staple-{END}")], [])
    check("nothing of it in log and result", shown(result.said + result.text), [])
    check("nor in files", files_with_secrets(stage.folder / "out"), [])
    # `sh -c … "$KEY"` puts it there itself, inside the sandbox
    check("no command line of ours has it", [line for line in watch.seen if not line.startswith(b"sh\0-c\0exit 3")], [])
    stage.back()


def a_secret_that_nobody_has():
    stage.put("svc/buildspec.yml", "version: 0.2\nenv:\n  secrets-manager: {KEY: shop/none}\nphases: {build: {commands: [\"true\"]}}\n")
    stage.commit("wants a secret")
    result = stage.dogshore("build", "svc", "--secrets-file", str(stage.folder / "secrets.json"), "--output", str(stage.folder / "out"))
    check("it fails", result.status != 0)
    check_contains("it names the secret that is missing", result.said + result.text, "shop/none")
    check("and shows none of the others", shown(result.said + result.text), [])
    stage.back()


def a_registry_password():
    home = stage.folder / "docker"
    home.mkdir()
    registry = ScriptedRegistry(lambda r, _: (401, {"WWW-Authenticate": 'Basic realm="r"'}, b"") if r.method == "POST" else None)
    pair = base64.b64encode(f"ann:{GIVEN}".encode()).decode()
    (home / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))
    tag = stage.tags()[0]
    with Watch() as watch:
        process = subprocess.run(
            [PROGRAM, "image", "push", f"{stage.layout()}:{tag}", f"{registry.host}/a/b:1", "--json", "--trace", "all"],
            env=stage.environment | {"DOCKER_CONFIG": str(home)}, capture_output=True, text=True, check=False)
    check("it was used", any(r.headers.get("Authorization") == f"Basic {pair}" for r in registry.requests))
    check("it was refused", process.returncode, 3)
    check("nothing of it is said, in clear or as it is sent", (shown(process.stdout + process.stderr), pair in process.stdout + process.stderr), ([], False))
    check("no command line has it", watch.seen, [])
    registry.stop()


def a_repository_with_a_password():
    url = f"http://ann:{GIVEN}@127.0.0.1:9/shop.git"
    for words in (["run", "--env", "local"], ["plan"]):
        result = stage.dogshore(*words, "--repository", url, "--trace", "all")
        check(f"{words[0]}: it cannot be reached", result.status != 0)
        check(f"{words[0]}: nothing of it is said", shown(result.said + result.text), [])
    process = stage.start("serve", "--remote", url, "--env", "local", "--trace", "all")
    line = process.stderr.readline()
    while line and "127.0.0.1:9" not in line:
        line = process.stderr.readline()
    check("serve: it says what it cannot reach", bool(line))
    ended = stage.interrupt(process)
    check("serve: nothing of it is said", shown(line + ended.said + ended.text), [])
    check("nor kept", files_with_secrets(stage.state, "credentials.json", "store.db", "store.db-wal"), [])


run_tests(
    a_run_shows_no_key, no_file_has_a_key, no_container_has_a_key, no_image_has_a_key, a_build_may_use_its_secret_and_not_show_it,
    a_secret_that_nobody_has, a_registry_password, a_repository_with_a_password, ready=ready, tidy=stage.stop_cloud)
