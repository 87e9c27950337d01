"""What tests of images share: running programs, reading layouts, small programs to put into images."""
import hashlib
import json
import os
import subprocess
import warnings
from pathlib import Path

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def dogshore(*words, **more):
    """The JSON document of a command that must succeed."""
    return json.loads(run(PROGRAM, *words, "--json", **more).stdout)


def refused(*words, **more):
    """Exit status and error of a command that must fail."""
    result = run(PROGRAM, *words, "--json", check=False, **more)
    return result.returncode, json.loads(result.stdout).get("error")


def blob(layout, digest):
    return Path(layout) / "blobs" / "sha256" / digest.removeprefix("sha256:")


def read_blob(layout, digest):
    return json.loads(blob(layout, digest).read_text())


def tagged(layout, tag):
    """The descriptor of a tag and the document that it names."""
    index = json.loads((Path(layout) / "index.json").read_text())
    entry = next(m for m in index["manifests"] if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag)
    return entry, read_blob(layout, entry["digest"])


def put_blob(layout, content):
    """Writes a blob by hand and returns its descriptor's digest and size."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    folder = Path(layout) / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest[7:]).write_bytes(content)
    return {"digest": digest, "size": len(content)}


def write_layout(layout, tag, manifest, media_type="application/vnd.oci.image.manifest.v1+json"):
    """A layout whose only tag names the manifest, a document or its bytes."""
    Path(layout).mkdir(parents=True, exist_ok=True)
    entry = {"mediaType": media_type, **put_blob(layout, manifest),
             "annotations": {"org.opencontainers.image.ref.name": tag}}
    (Path(layout) / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (Path(layout) / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return entry


def schema_problems(name, document):
    """What a schema of the OCI has against a document; None when the schemas or the module are not here."""
    folder = Path(os.environ.get("DOGSHORE_SHARED", "/nonexistent")) / "oci-schemas"
    warnings.simplefilter("ignore")  # newer versions prefer another resolver, Debian's has only this one
    try:
        import jsonschema
    except ImportError:
        return None
    if not folder.is_dir():
        return None

    def without_ids(value):
        if isinstance(value, dict):
            return {k: without_ids(v) for k, v in value.items() if not (k == "id" and isinstance(v, str))}
        return [without_ids(v) for v in value] if isinstance(value, list) else value

    schemas = {p.name: without_ids(json.loads(p.read_text())) for p in folder.glob("*.json")}
    store = {f"http://localhost/{file}": schema for file, schema in schemas.items()}
    resolver = jsonschema.RefResolver(f"http://localhost/{name}", schemas[name], store=store)
    return [e.message for e in jsonschema.Draft4Validator(schemas[name], resolver=resolver).iter_errors(document)]


def compile_program(name, text, *flags, compiler="cc"):
    """A program that prints text."""
    path = WORK / name
    path.parent.mkdir(parents=True, exist_ok=True)
    run(compiler, "-O1", "-o", path, "-x", "c", "-", *flags, input=f'#include <stdio.h>\nint main(void) {{ puts("{text}"); return 0; }}\n')
    return path


def run_root(root, args, uid=65532):
    """Runs a program in an unpacked root file system under crun; the folder around it becomes the bundle."""
    bundle = Path(root).parent
    if not (bundle / "config.json").exists():
        run("crun", "spec", cwd=bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(terminal=False, args=args, user={"uid": uid, "gid": uid})
    config["process"].pop("rlimits", None)
    config["root"] = {"path": Path(root).name, "readonly": False}
    (bundle / "config.json").write_text(json.dumps(config))
    # On a host with both cgroup versions crun must not see the second.
    hide = "umount /sys/fs/cgroup/unified; " if os.path.ismount("/sys/fs/cgroup/unified") else ""
    return run("unshare", "-m", "--propagation", "private", "sh", "-c", f'{hide}exec crun --root "$1" run -b "$2" "$3" </dev/null',
               "sh", WORK / "crun", bundle, f"t-{os.getpid()}-{bundle.name}", check=False)


def podman_of_our_own():
    """podman's locks lie in memory that all of a user's share, whatever --root says, and a podman whose --runroot is new frees
    them all: ours are files, so that tests may run side by side."""
    conf = WORK / "containers.conf"
    conf.write_text(f'[engine]\nlock_type = "file"\ntmp_dir = "{WORK}/podman-tmp"\n')
    os.environ["CONTAINERS_CONF"] = str(conf)


class Podman:
    """podman with a store of its own below WORK; host is a registry without TLS."""

    def __init__(self, host):
        (WORK / "registries.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        os.environ["CONTAINERS_REGISTRIES_CONF"] = str(WORK / "registries.conf")
        podman_of_our_own()
        self.flags = ["--root", WORK / "podman", "--runroot", WORK / "podman-run", "--tmpdir", WORK / "podman-tmp", "--storage-driver", "vfs",
                      "--cgroup-manager", "cgroupfs"]

    def __call__(self, *words, **more):
        return run("podman", *self.flags, *words, **more)

    def run(self, image, *args):
        """What the image's program prints, under crun, without network or cgroups of its own."""
        hide = "umount /sys/fs/cgroup/unified; " if os.path.ismount("/sys/fs/cgroup/unified") else ""
        return run("unshare", "-m", "--propagation", "private", "sh", "-c", f'{hide}exec "$@" </dev/null', "sh", "podman", *self.flags, "run",
                   "--rm", "--cgroups=disabled", "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", image, *args, check=False)
