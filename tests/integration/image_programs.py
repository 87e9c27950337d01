"""Programs in images: built by `dogshore image build`, run by crun and by podman."""
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path

from images import podman_of_our_own

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ["DOGSHORE_STATE"] = str(WORK / "state")
HYBRID = os.path.ismount("/sys/fs/cgroup/unified")


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def build(binary, name, *more, compression="gzip"):
    """Into the layout WORK/images under the tag name; what --json --explain says. umoci of Debian 12 reads gzip only."""
    command = (PROGRAM, "image", "build", "--binary", binary, "--output", f"{WORK}/images:{name}", "--compression", compression, "--json", "--explain")
    return json.loads(run(*command, *more).stdout)


def refusal(binary, *more):
    """Exit status and error of a build that must fail."""
    result = run(PROGRAM, "image", "build", "--binary", binary, "--output", WORK / "refused:1", "--json", *more, check=False)
    return result.returncode, json.loads(result.stdout).get("error")


def paths(out):
    return {f["path"]: f["why"] for f in out["files"]}


def compile_c(name, source, *flags):
    path = WORK / f"{name}.c"
    path.write_text(source)
    run("cc", "-O1", "-o", WORK / name, path, *flags)
    return WORK / name


def without_cgroup2(command):
    """crun of Debian 12 refuses a host that has both cgroup versions: it must not see the second."""
    hide = "umount /sys/fs/cgroup/unified; " if HYBRID else ""
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{hide}exec "$@"', "sh", *[str(c) for c in command]]


def can_run(runtime):
    """None, or why not."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("umoci", "crun") if runtime == "crun" else ("podman", "crun"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


_bundles, _runs = {}, []


def _bundle(name):
    if name not in _bundles:
        bundle = WORK / "bundles" / re.sub("[^a-z0-9]", "-", name)
        bundle.parent.mkdir(exist_ok=True)
        run("umoci", "unpack", "--image", f"{WORK}/images:{name}", bundle)
        _bundles[name] = bundle
    return _bundles[name]


def image_config(name):
    layout = WORK / "images"
    index = json.loads((layout / "index.json").read_text())
    digest = next(m["digest"] for m in index["manifests"] if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == name)
    manifest = json.loads((layout / "blobs/sha256" / digest[7:]).read_text())
    return json.loads((layout / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())["config"]


def crun_command(name, *args, entrypoint=None, env=(), mounts=(), network="none", cwd="/", identity=None):
    """Runs the tag in a read-only root with a /tmp of its own; mounts are (host folder, path inside)."""
    bundle, settings = _bundle(name), image_config(name)
    spec = WORK / "spec"
    if not (spec / "config.json").exists():
        spec.mkdir(exist_ok=True)
        run("crun", "spec", cwd=spec)
    config = json.loads((spec / "config.json").read_text())
    uid = int(settings["User"].split(":")[0])
    _runs.append(None)
    config["process"].update(terminal=False, args=[*(entrypoint or settings["Entrypoint"]), *[str(a) for a in args]], cwd=cwd,
                             user={"uid": uid, "gid": uid}, env=[*settings.get("Env", []), *env])
    config["process"].pop("rlimits", None)
    config["root"] = {"path": "rootfs", "readonly": True}
    config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]})
    for host, inside in mounts:
        config["mounts"].append({"destination": inside, "type": "bind", "source": str(host), "options": ["bind", "rw"]})
    if network == "host":
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "network"]
    (bundle / "config.json").write_text(json.dumps(config))
    return without_cgroup2(["crun", "--root", WORK / "crun", "run", "-b", bundle, identity or f"{os.getpid()}-{len(_runs)}"])


def crun(*words, **more):
    return run(*crun_command(*words, **more), check=False, stdin=subprocess.DEVNULL)


podman_of_our_own()
PODMAN = ["podman", "--root", WORK / "podman", "--runroot", WORK / "podman-run", "--tmpdir", WORK / "podman-tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
          "--runtime", "crun", "--events-backend", "none"]
_pulled = {}


def podman_command(name, *args, entrypoint=None, env=(), mounts=(), network="none", cwd=None, identity=None):
    if name not in _pulled:
        _pulled[name] = run(*PODMAN, "pull", "-q", f"oci:{WORK}/images:{name}").stdout.strip()
    command = [*PODMAN, "run", "--rm", f"--network={network}", "--cgroups=disabled", "--read-only", "--tmpfs", "/tmp:mode=1777"]
    for limit, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(kind)[1]
        most = 1024 if hard == resource.RLIM_INFINITY else min(hard, 1024)  # podman would ask for more than this host may have
        command += ["--ulimit", f"{limit}={most}:{most}"]
    for setting in env:
        command += ["--env", setting]
    for host, inside in mounts:
        command += ["--volume", f"{host}:{inside}"]
    if identity:
        command += ["--name", identity]
    if cwd:
        command += ["--workdir", cwd]
    if entrypoint:
        command += ["--entrypoint", json.dumps(list(entrypoint))]
    return without_cgroup2([*command, _pulled[name], *args])


RUNTIMES = {"crun": crun_command, "podman": podman_command}
KILL = {"crun": ["crun", "--root", WORK / "crun", "kill"], "podman": [*PODMAN, "kill", "--signal"]}


class Service:
    """A program that serves, until the block ends."""

    def __init__(self, runtime, name, *args, port, **more):
        self.port, self.log = port, open(WORK / f"{runtime}-{re.sub('[^a-z0-9]', '-', name)}.log", "w+", encoding="utf-8")
        self.runtime, self.identity = runtime, f"{os.getpid()}-{name}-{port}"
        self.process = subprocess.Popen(RUNTIMES[runtime](name, *args, network="host", identity=self.identity, **more), stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def __enter__(self):
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
                return self
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"it ended: {self.output()}") from None
                time.sleep(0.02)

    def __exit__(self, *_):
        # SIGTERM may come before the program handles it, and process 1 of a container then ignores it.
        words = [self.identity, "KILL"] if self.runtime == "crun" else ["KILL", self.identity]
        run(*without_cgroup2([*KILL[self.runtime], *words]), check=False)
        self.process.wait()
        self.log.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
