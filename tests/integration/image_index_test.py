#!/usr/bin/env python3
"""`dogshore image index`: one tag for two architectures, read by skopeo and podman, pushed to docker-registry."""
# timeout: 300
# parallel: yes
import json
import os
import shutil
import sys
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "integration")]
import images  # noqa: E402
import tap  # noqa: E402
from images import WORK, dogshore, refused, run, tagged  # noqa: E402
from registry import DockerRegistry, ScriptedRegistry  # noqa: E402

os.environ.update(DOGSHORE_STATE=str(WORK / "state"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
os.environ.pop("REGISTRY_AUTH_FILE", None)
CROSS = "aarch64-linux-gnu-gcc"
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
INDEX = "application/vnd.oci.image.index.v1+json"
digests = {}


def build(binary, platform, output):
    return dogshore("image", "build", "--binary", binary, "--platform", platform, "--output", output)["digest"]


def ready():
    """amd64 in one layout, arm64 in another: as two machines would leave them."""
    if NATIVE != "amd64" or not shutil.which(CROSS):
        tap.skip_all(f"this needs an amd64 machine with {CROSS}")
    native = images.compile_program("amd64/hello", "hello from amd64", "-static")
    cross = images.compile_program("arm64/hello", "hello from arm64", "-static", compiler=CROSS)
    digests["amd64"] = build(native, "linux/amd64", WORK / "one:amd64")
    digests["arm64"] = build(cross, "linux/arm64", WORK / "two:arm64")


def an_index_of_two_architectures():
    out = dogshore("image", "index", f"{WORK}/two:arm64", f"{WORK}/one:amd64", "--output", f"{WORK}/all:1")
    tap.check("its parts stand sorted by platform", [(m["platform"], m["digest"]) for m in out["manifests"]],
              [("linux/amd64", digests["amd64"]), ("linux/arm64", digests["arm64"])])
    entry, index = tagged(WORK / "all", "1")
    tap.check("the tag names an index", (entry["mediaType"], entry["digest"]), (INDEX, out["digest"]))
    tap.check("the platforms are those of the configurations", [m["platform"] for m in index["manifests"]],
              [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"}])
    again = dogshore("image", "index", f"{WORK}/one:amd64", f"{WORK}/two:arm64", "--output", f"{WORK}/again:1")
    tap.check("another order gives the same digest", again["digest"], out["digest"])
    problems = images.schema_problems("image-index-schema.json", index)
    if problems is None:
        return tap.skip("it satisfies the OCI's schema", "the schemas or python3-jsonschema are missing")
    tap.check("it satisfies the OCI's schema", problems, [])


def an_arm64_program_is_in_the_arm64_part():
    manifest = images.read_blob(WORK / "all", digests["arm64"])
    config = images.read_blob(WORK / "all", manifest["config"]["digest"])
    tap.check("its configuration says arm64", config["architecture"], "arm64")
    shown = run(os.environ["DOGSHORE"], "image", "inspect", f"{WORK}/all:1").stdout.splitlines()
    tap.check("inspect says for which machine each part is", [line.rpartition(" ")[2] for line in shown if line.startswith("manifest")], ["linux/amd64", "linux/arm64"])
    if not shutil.which("skopeo"):
        return tap.skip("skopeo picks by architecture", "skopeo is not installed")
    for architecture in ("amd64", "arm64"):
        seen = json.loads(run("skopeo", "inspect", "--override-arch", architecture, f"oci:{WORK}/all:1").stdout)
        tap.check(f"skopeo finds {architecture}", seen["Architecture"], architecture)
    run("skopeo", "copy", "--insecure-policy", "--all", f"oci:{WORK}/all:1", f"dir:{WORK}/dir")
    tap.check("skopeo copies all of it", json.loads((WORK / "dir" / "manifest.json").read_text()), tagged(WORK / "all", "1")[1])


def parts_are_pushed_before_the_index():
    registry = ScriptedRegistry()
    try:
        dogshore("image", "push", f"{WORK}/all:1", f"{registry.host}/booking/hello:1")
        puts = [r.path.rpartition("/")[2] for r in registry.seen("PUT", "manifest")]
        tap.check("both parts by digest, then the tag", puts, [digests["amd64"], digests["arm64"], "1"])
    finally:
        registry.stop()


def podman_pulls_the_part_for_its_machine():
    missing = DockerRegistry.missing("podman")
    if missing or os.geteuid() != 0:
        return tap.skip("podman pulls from docker-registry", f"{missing} is not installed" if missing else "not root")
    registry = DockerRegistry()
    podman = images.Podman(registry.host)
    try:
        name = f"{registry.host}/booking/hello:1"
        pushed = dogshore("image", "push", f"{WORK}/all:1", name)
        again = dogshore("image", "push", f"{WORK}/all:1", name)
        tap.check("pushing again is one request", again["requests"], {"GET": 1})
        seen = json.loads(podman("manifest", "inspect", name).stdout)
        tap.check("podman reads the index", [m["platform"]["architecture"] for m in seen["manifests"]], ["amd64", "arm64"])
        podman("pull", "--quiet", name)
        tap.check("podman runs this machine's part", podman.run(name).stdout, "hello from amd64\n")
        podman("pull", "--quiet", "--arch", "arm64", name)
        tap.check("and pulls the other when told", podman("image", "inspect", "--format", "{{.Architecture}}", name).stdout, "arm64\n")
        copied = dogshore("image", "copy", name, f"{registry.host}/other/hello:1")
        tap.check("a copy takes the whole index along", copied["digest"], pushed["digest"])
    finally:
        registry.stop()


def what_makes_no_sense_is_refused():
    one, two = f"{WORK}/one:amd64", f"{WORK}/two:arm64"
    shutil.copytree(WORK / "one", WORK / "copy")
    status, error = refused("image", "index", one, two, f"{WORK}/copy:amd64", "--output", f"{WORK}/bad:1")
    tap.check("two images for one platform", status, 2)
    tap.check("the error names both and the platform", error["message"], f'both "{one}" and "{WORK}/copy:amd64" are for linux/amd64')
    status, error = refused("image", "index", f"{WORK}/all:1", "--output", f"{WORK}/bad:1")
    tap.check("an index of an index", (status, error["message"]), (2, f'"{WORK}/all:1" is an index itself'))
    status, error = refused("image", "index", f"{WORK}/one:none", "--output", f"{WORK}/bad:1")
    tap.check("a tag that is not there", (status, "it has: amd64" in error["next"]), (3, True))
    tap.check("without --output", refused("image", "index", one)[0], 2)
    tap.check("none of them left a tag", (WORK / "bad" / "index.json").exists(), False)


def damaged_layouts_are_refused():
    manifest = images.read_blob(WORK / "one", digests["amd64"])
    layer = images.blob(WORK / "copy", manifest["layers"][0]["digest"])
    content = layer.read_bytes()
    layer.unlink()
    layer.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    status, error = refused("image", "index", f"{WORK}/copy:amd64", "--output", f"{WORK}/damaged:1")
    tap.check("a layer with other content", (status, "has another digest than its name" in error["message"]), (2, True))
    layer.write_bytes(content[:-1])
    status, error = refused("image", "index", f"{WORK}/copy:amd64", "--output", f"{WORK}/damaged:1")
    tap.check("a truncated layer", (status, f"{len(content)} bytes" in error["message"]), (3, True))
    config = {**images.put_blob(WORK / "bare", {"rootfs": {"type": "layers", "diff_ids": []}}),
              "mediaType": "application/vnd.oci.image.config.v1+json"}
    images.write_layout(WORK / "bare", "1", {"schemaVersion": 2, "config": config, "layers": []})
    status, error = refused("image", "index", f"{WORK}/bare:1", "--output", f"{WORK}/damaged:1")
    tap.check("a configuration without platform", (status, error["message"]),
              (2, "its configuration does not say for which platform it is"))


tap.run_tests(an_index_of_two_architectures, an_arm64_program_is_in_the_arm64_part, parts_are_pushed_before_the_index,
              podman_pulls_the_part_for_its_machine, what_makes_no_sense_is_refused, damaged_layouts_are_refused, ready=ready)
