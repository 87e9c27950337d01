"""Images for tests: built by `dogshore image build`, run by crun and by podman."""
import json
import os
import re
import resource
import shutil
import subprocess
from pathlib import Path

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ["DOGSHORE_STATE"] = str(WORK / "state")
HYBRID = os.path.ismount("/sys/fs/cgroup/unified")


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def build(binary, name, *more, program=PROGRAM, **options):
    """Into the layout WORK/images under the tag name; what --json --explain says."""
    command = (program, "image", "build", "--binary", binary, "--output", f"{WORK}/images:{name}", "--json", "--explain", *more)
    return json.loads(run(*command, **options).stdout)


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


_bundles = {}


def _bundle(name):
    if name not in _bundles:
        bundle = WORK / "bundles" / re.sub("[^a-z0-9]", "-", name)
        bundle.parent.mkdir(exist_ok=True)
        # umoci of Debian 12 reads gzip only.
        run("skopeo", "copy", "--insecure-policy", "--dest-compress-format", "gzip", f"oci:{WORK}/images:{name}", f"oci:{WORK}/gzip:{name}")
        run("umoci", "unpack", "--image", f"{WORK}/gzip:{name}", bundle)
        _bundles[name] = bundle
    return _bundles[name]


def image_config(name):
    return json.loads(run("skopeo", "inspect", "--config", f"oci:{WORK}/images:{name}").stdout)["config"]


def crun(name, *args, entrypoint=None, env=(), mounts=(), network="none", cwd="/"):
    """Runs the tag in a read-only root with a /tmp of its own; mounts are (host folder, path inside)."""
    bundle, settings = _bundle(name), image_config(name)
    spec = WORK / "spec"
    if not (spec / "config.json").exists():
        spec.mkdir(exist_ok=True)
        run("crun", "spec", cwd=spec)
    config = json.loads((spec / "config.json").read_text())
    uid = int(settings["User"].split(":")[0])
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
    identity = f"{os.getpid()}-{bundle.name}"
    return run(*without_cgroup2(["crun", "--root", WORK / "crun", "run", "-b", bundle, identity]), check=False, stdin=subprocess.DEVNULL)


PODMAN = ["podman", "--root", WORK / "podman", "--runroot", WORK / "podman-run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
          "--runtime", "crun", "--events-backend", "none"]
_pulled = {}


def podman(name, *args, entrypoint=None, env=(), mounts=(), network="none", cwd=None):
    if name not in _pulled:
        _pulled[name] = run(*PODMAN, "pull", "-q", f"oci:{WORK}/images:{name}").stdout.strip()
    command = [*PODMAN, "run", "--rm", f"--network={network}", "--cgroups=disabled", "--read-only", "--tmpfs", "/tmp:mode=1777"]
    for limit, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(kind)[1]
        command += ["--ulimit", f"{limit}={hard}:{hard}"]
    for setting in env:
        command += ["--env", setting]
    for host, inside in mounts:
        command += ["--volume", f"{host}:{inside}"]
    if cwd:
        command += ["--workdir", cwd]
    if entrypoint:
        command += ["--entrypoint", json.dumps(list(entrypoint))]
    return run(*without_cgroup2([*command, _pulled[name], *args]), check=False, stdin=subprocess.DEVNULL)


RUNTIMES = {"crun": crun, "podman": podman}


def tidy():
    if _pulled:
        run(*PODMAN, "system", "reset", "--force", check=False)
