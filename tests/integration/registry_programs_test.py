#!/usr/bin/env python3
"""The local registry serves other people's programs, push and pull: skopeo, umoci's layouts, buildah, podman, docker-registry as
a mirror of ours, and our own client."""
# timeout: 300
# parallel: yes
import base64
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "integration")]
import images  # noqa: E402
from images import dogshore, run, tagged  # noqa: E402
from local_cloud import Cloud, check, run_tests, test  # noqa: E402
from registry import DockerRegistry  # noqa: E402

WORK = Path(os.environ["TMPDIR"])
LAYOUT = WORK / "layout"
os.environ.update(HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK), DOCKER_CONFIG=str(WORK / "docker"), REGISTRY_AUTH_FILE=str(WORK / "auth.json"))
missing = next((p for p in ("skopeo", "umoci", "buildah", "podman", "docker-registry", "crun") if not shutil.which(p)), None)
if missing or os.geteuid() != 0:
    print(f"1..0 # SKIP {missing + ' is not installed' if missing else 'needs root'}")
    sys.exit(0)

cloud = Cloud()
ecr = cloud.client("ecr")
HOST = f"127.0.0.1:{cloud.program.port}"
for each in ("app/skopeo", "app/index", "app/buildah", "app/podman", "app/ours", "app/moved"):
    ecr.create_repository(repositoryName=each)
TOKEN = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
PASSWORD = base64.b64decode(TOKEN).decode().split(":", 1)[1]
(WORK / "auth.json").write_text(json.dumps({"auths": {HOST: {"auth": TOKEN}}}))
(WORK / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
POLICY = ["--policy", WORK / "policy.json"]
IN, OUT = "--src-tls-verify=false", "--dest-tls-verify=false"
os.environ["STORAGE_DRIVER"] = "vfs"
podman = images.Podman(HOST)
PROGRAM = images.compile_program("program", "it runs", "-static")
BUILDAH = ["buildah", "--root", WORK / "podman", "--runroot", WORK / "podman-run", "--storage-driver", "vfs"]


def skopeo(command, *words):
    return run("skopeo", *POLICY, command, *words).stdout


def digest_at(repository, tag):
    return ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"][0]["imageDigest"]


def same_layout(one, tag, other, other_tag):
    """Both tags name one manifest, and every blob it names is there with the digest it has."""
    entry, manifest = tagged(one, tag)
    check(tagged(other, other_tag)[0]["digest"] == entry["digest"], "the same manifest")
    for part in (manifest["config"], *manifest["layers"]):
        content = images.blob(other, part["digest"]).read_bytes()
        check("sha256:" + hashlib.sha256(content).hexdigest() == part["digest"], part)


@test
def umoci_makes_a_layout_and_skopeo_pushes_and_pulls_it():
    run("umoci", "init", "--layout", LAYOUT)
    run("umoci", "new", "--image", f"{LAYOUT}:1")
    run("umoci", "insert", "--image", f"{LAYOUT}:1", PROGRAM, "/bin/program")
    run("umoci", "insert", "--image", f"{LAYOUT}:1", SOURCE / "README.md", "/README.md")
    (WORK / "large").write_bytes(os.urandom(10 << 20))  # a layer that the registry sends from threads of its own
    run("umoci", "insert", "--image", f"{LAYOUT}:1", WORK / "large", "/large")
    run("umoci", "config", "--image", f"{LAYOUT}:1", "--config.cmd", "/bin/program")
    skopeo("copy", OUT, f"oci:{LAYOUT}:1", f"docker://{HOST}/app/skopeo:1")
    check(digest_at("app/skopeo", "1") == tagged(LAYOUT, "1")[0]["digest"], "byte for byte")
    skopeo("copy", IN, f"docker://{HOST}/app/skopeo:1", f"oci:{WORK}/back:1")
    same_layout(LAYOUT, "1", WORK / "back", "1")
    run("umoci", "unpack", "--image", f"{WORK}/back:1", WORK / "bundle")
    check((WORK / "bundle/rootfs/bin/program").read_bytes() == PROGRAM.read_bytes(), "umoci unpacks what came back")


@test
def skopeo_inspects_lists_and_deletes():
    skopeo("copy", OUT, f"oci:{LAYOUT}:1", f"docker://{HOST}/app/skopeo:two")
    told = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{HOST}/app/skopeo:two"))
    check(told["Digest"] == tagged(LAYOUT, "1")[0]["digest"] and sorted(told["RepoTags"]) == ["1", "two"], told)
    check(sorted(json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{HOST}/app/skopeo"))["Tags"]) == ["1", "two"], "tags")
    skopeo("copy", OUT, "--format", "v2s2", f"oci:{LAYOUT}:1", f"docker://{HOST}/app/skopeo:docker")
    skopeo("delete", "--tls-verify=false", f"docker://{HOST}/app/skopeo:docker")
    check(sorted(json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{HOST}/app/skopeo"))["Tags"]) == ["1", "two"], "deleted")


@test
def skopeo_pushes_and_pulls_an_index():
    entry, _ = tagged(LAYOUT, "1")
    document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {**{k: entry[k] for k in ("mediaType", "digest", "size")}, "platform": {"os": "linux", "architecture": a}} for a in ("amd64", "arm64")]}
    shutil.copytree(LAYOUT / "blobs", WORK / "index/blobs")
    images.write_layout(WORK / "index", "all", document, document["mediaType"])
    skopeo("copy", "--all", OUT, f"oci:{WORK}/index:all", f"docker://{HOST}/app/index:all")
    skopeo("copy", "--all", IN, f"docker://{HOST}/app/index:all", f"oci:{WORK}/index-back:all")
    check(tagged(WORK / "index-back", "all")[0]["digest"] == tagged(WORK / "index", "all")[0]["digest"], "the same index")


@test
def buildah_commits_pushes_and_pulls():
    container = run(*BUILDAH, "from", "scratch").stdout.strip()
    run(*BUILDAH, "copy", container, PROGRAM, "/bin/program")
    run(*BUILDAH, "config", "--cmd", '["/bin/program", "x"]', container)
    run(*BUILDAH, "commit", container, "localhost/built:1")
    run(*BUILDAH, "push", "-q", "--signature-policy", WORK / "policy.json", "--tls-verify=false", "localhost/built:1",
        f"docker://{HOST}/app/buildah:1")
    run(*BUILDAH, "rmi", "-a", "-f")
    run(*BUILDAH, "pull", "-q", "--signature-policy", WORK / "policy.json", "--tls-verify=false", f"{HOST}/app/buildah:1")
    told = json.loads(run(*BUILDAH, "inspect", "--type", "image", f"{HOST}/app/buildah:1").stdout)
    check(told["OCIv1"]["config"]["Cmd"] == ["/bin/program", "x"], told["OCIv1"]["config"])


@test
def podman_pulls_runs_and_pushes():
    podman("pull", "-q", "--signature-policy", WORK / "policy.json", "--tls-verify=false", f"{HOST}/app/skopeo:1")
    ran = podman.run(f"{HOST}/app/skopeo:1")
    check(ran.stdout == "it runs\n", ran.stdout + ran.stderr)
    podman("push", "-q", "--signature-policy", WORK / "policy.json", "--tls-verify=false", f"{HOST}/app/skopeo:1", f"{HOST}/app/podman:1")
    podman("rmi", "-a", "-f")
    podman("pull", "-q", "--signature-policy", WORK / "policy.json", "--tls-verify=false", f"{HOST}/app/podman:1")
    check(podman.run(f"{HOST}/app/podman:1").stdout == "it runs\n", "what podman pushed runs")


@test
def our_client_pushes_pulls_and_copies():
    environment = cloud.environment() | {"AWS_ENDPOINT_URL": cloud.credentials["endpoint"], "AWS_REGION": "us-east-1"}
    environment.pop("REGISTRY_AUTH_FILE", None)
    pushed = dogshore("image", "push", f"{LAYOUT}:1", f"{HOST}/app/ours:1", env=environment)
    check(pushed["digest"] == tagged(LAYOUT, "1")[0]["digest"] == digest_at("app/ours", "1"), pushed)
    dogshore("image", "copy", f"{HOST}/app/ours:1", f"{HOST}/app/moved:1", env=environment)
    check(digest_at("app/moved", "1") == pushed["digest"], "promoted")
    skopeo("copy", IN, f"docker://{HOST}/app/moved:1", f"oci:{WORK}/moved:1")
    same_layout(LAYOUT, "1", WORK / "moved", "1")


def promotion_in_files():
    return {p.name: p.stat().st_ino for p in (cloud.state / "content/blobs/sha256").iterdir()}


@test
def skopeo_promotes_without_moving_bytes():
    ecr.create_repository(repositoryName="app/promoted")
    before = promotion_in_files()
    skopeo("copy", IN, OUT, f"docker://{HOST}/app/skopeo:1", f"docker://{HOST}/app/promoted:1")
    check(promotion_in_files() == before, "no file came, none changed")
    check(digest_at("app/promoted", "1") == tagged(LAYOUT, "1")[0]["digest"], "promoted")


@test
def docker_registry_mirrors_it():
    mirror = DockerRegistry(mirror_of=f"http://{HOST}", user="AWS", password=PASSWORD)
    try:
        for times in range(2):
            skopeo("copy", IN, f"docker://{mirror.host}/app/skopeo:1", f"oci:{WORK}/mirrored{times}:1")
            same_layout(LAYOUT, "1", WORK / f"mirrored{times}", "1")
        skopeo("copy", "--all", IN, f"docker://{mirror.host}/app/index:all", f"oci:{WORK}/mirrored-index:all")
        check(tagged(WORK / "mirrored-index", "all")[0]["digest"] == digest_at("app/index", "all"), "an index, too")
    finally:
        mirror.stop()


@test
def images_go_to_docker_registry_and_come_back():
    other = DockerRegistry()
    try:
        skopeo("copy", IN, OUT, f"docker://{HOST}/app/skopeo:1", f"docker://{other.host}/t:1")
        skopeo("copy", IN, OUT, f"docker://{other.host}/t:1", f"docker://{HOST}/app/moved:back")
        check(digest_at("app/moved", "back") == tagged(LAYOUT, "1")[0]["digest"], "the same manifest")
    finally:
        other.stop()


status = run_tests()
cloud.close()
sys.exit(status)
