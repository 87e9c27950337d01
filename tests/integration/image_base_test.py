#!/usr/bin/env python3
"""`dogshore image build --base` and `image rebase`: on docker-registry, the local registry and one that counts requests."""
# timeout: 600
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
from registry import DockerRegistry, ScriptedRegistry, digest_of  # noqa: E402

os.environ.update(DOGSHORE_STATE=str(WORK / "state"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
for name in ("REGISTRY_AUTH_FILE", "SOURCE_DATE_EPOCH"):
    os.environ.pop(name, None)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
FOREIGN = {"amd64": "arm64", "arm64": "amd64"}[NATIVE]
BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
app = None
servers = []


def ready():
    """Two bases (busybox with a file of its own) and a program."""
    global app
    if not shutil.which("busybox"):
        tap.skip_all("busybox is not installed")
    app = images.compile_program("app", "hello from the app", "-static")
    for number in ("1", "2"):
        (WORK / f"base-{number}").write_text(f"base {number}\n")
        dogshore("image", "build", "--binary", shutil.which("busybox"), "--file", f"{WORK}/base-{number}:/etc/base", "--env", "FROM_BASE=" + number,
                 "--env", "KEPT=base", "--label", "base=" + number, "--user", "1234", "--compression", "gzip", "--output", f"{WORK}/bases:{number}")


def tidy():
    for server in servers:
        server.stop()


def started(server):
    servers.append(server)
    return server


def layers_of(document):
    return [e["digest"] for e in document["layers"]]


def base_layers(number):
    return layers_of(tagged(WORK / "bases", number)[1])


def config_of(layout, tag):
    return images.read_blob(layout, tagged(layout, tag)[1]["config"]["digest"])


def build(base, output, *more):
    return dogshore("image", "build", "--binary", app, "--base", base, "--output", output, *more)


def only_manifest_and_configuration_of_the_base_are_fetched():
    registry = started(ScriptedRegistry())
    base = f"{registry.host}/base/box:1"
    pushed = dogshore("image", "push", f"{WORK}/bases:1", base)
    registry.requests.clear()
    out = build(base, WORK / "thin:1", "--env", "KEPT=app", "--env", "OWN=1", "--port", "8080", "--label", "team=rooms")
    tap.check("two requests: manifest and configuration", [(r.method, r.kind) for r in registry.requests], [("GET", "manifest"), ("GET", "blob")])
    tap.check("the result names the base", out["base"], {"name": base, "digest": pushed["digest"], "layers": len(base_layers("1"))})
    manifest, config = tagged(WORK / "thin", "1")[1], config_of(WORK / "thin", "1")
    tap.check("our layers stand on the base's", layers_of(manifest), base_layers("1") + [e["digest"] for e in out["layers"]])
    tap.check("the base is recorded", manifest["annotations"], {BASE_DIGEST: pushed["digest"], BASE_NAME: base})
    tap.check("its layers are not in the layout", [images.blob(WORK / "thin", d).exists() for d in base_layers("1")], [False] * len(base_layers("1")))
    tap.check("settings are laid over the base's", config["config"],
              {"User": "1234", "ExposedPorts": {"8080/tcp": {}}, "Env": ["FROM_BASE=1", "KEPT=app", "OWN=1"], "Entrypoint": ["/app/app"],
               "WorkingDir": "/", "Labels": {"base": "1", "team": "rooms"}})
    tap.check("a history line for each layer", len(config["history"]), len(manifest["layers"]))
    for name, document in (("image-manifest-schema.json", manifest), ("config-schema.json", config)):
        problems = images.schema_problems(name, document)
        if problems is not None:
            tap.check(f"it satisfies {name}", problems, [])
    again = build(base, WORK / "again:1", "--env", "KEPT=app", "--env", "OWN=1", "--port", "8080", "--label", "team=rooms")
    tap.check("again it is the same image", again["digest"], out["digest"])

    registry.requests.clear()
    shutil.rmtree(WORK / "state" / "registry", ignore_errors=True)  # what earlier pushes taught is not needed
    result = dogshore("image", "push", f"{WORK}/thin:1", f"{registry.host}/apps/app:own")  # its tags are of all repositories
    mounts = [r.query for r in registry.seen("POST", "upload") if "from=base%2Fbox" in r.query or "from=base/box" in r.query]
    tap.check("pushed to the same registry, the base's layers are mounted from its repository",
              (result["mounted"], len(mounts)), (len(base_layers("1")), len(base_layers("1"))))
    tap.check("no layer of the base is read", registry.seen("GET", "blob"), [])
    own = sum(e["size"] for e in tagged(WORK / "thin", "1")[1]["layers"][len(base_layers("1")):])
    tap.check("only what is ours is sent", result["bytes_sent"] < own + 16384, True)


def to_another_registry_the_layers_are_fetched_and_sent():
    missing = DockerRegistry.missing("skopeo")
    if missing:
        return tap.skip("pushing to another registry", f"{missing} is not installed")
    one, two = started(DockerRegistry()), started(DockerRegistry())
    base = f"{one.host}/base/box:1"
    dogshore("image", "push", f"{WORK}/bases:1", base)
    dogshore("image", "push", f"{WORK}/bases:2", f"{one.host}/base/box:2")
    out = build(base, WORK / "thin2:1")
    same = dogshore("image", "push", f"{WORK}/thin2:1", f"{one.host}/apps/app:1")
    tap.check("docker-registry mounts the base's layers", same["mounted"], len(base_layers("1")))
    other = dogshore("image", "push", f"{WORK}/thin2:1", f"{two.host}/apps/app:1")
    tap.check("another registry gets all of them", (other["mounted"], other["uploaded"]), (0, len(base_layers("1")) + len(out["layers"]) + 1))
    for host in (one.host, two.host):
        seen = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{host}/apps/app:1").stdout)
        tap.check(f"skopeo reads it ({host})", (seen["Digest"], seen["Layers"][:len(base_layers("1"))]), (out["digest"], base_layers("1")))
        run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{host}/apps/app:1", f"dir:{WORK}/dir-{host.split(':')[1]}")
    copied = dogshore("image", "copy", f"oci:{WORK}/thin2:1", f"{two.host}/copied/app:1")
    tap.check("image copy completes such a layout too", copied["digest"], out["digest"])
    if shutil.which("podman") and os.geteuid() == 0:
        podman = images.Podman(two.host)
        podman("pull", "--quiet", f"{two.host}/apps/app:1")
        tap.check("podman runs the program", podman.run(f"{two.host}/apps/app:1").stdout, "hello from the app\n")
    one.stop()
    servers.remove(one)
    status, error = refused("image", "push", f"{WORK}/thin2:1", f"{two.host}/apps/third:1")
    tap.check("what the registry has need not be fetched", status, 0) if status == 0 else tap.check(
        "without the base's registry the error names the base", (status, base in json.dumps(error)), (3, True))


def with_its_base_fetched_a_layout_is_whole():
    registry = started(DockerRegistry())
    base = f"{registry.host}/base/box:1"
    dogshore("image", "push", f"{WORK}/bases:1", base)
    build(base, WORK / "whole:1", "--fetch-base", "--compression", "gzip")
    run("skopeo", "copy", "--insecure-policy", f"oci:{WORK}/whole:1", f"dir:{WORK}/whole-dir")
    tap.check("skopeo reads the layout alone", (WORK / "whole-dir" / "manifest.json").exists())
    run("umoci", "unpack", "--image", f"{WORK}/whole:1", WORK / "bundle")
    ran = images.run_root(WORK / "bundle" / "rootfs", ["/app/busybox", "cat", "/etc/base"], uid=1234)
    tap.check("crun runs what is in the base", ran.stdout + ran.stderr, "base 1\n")
    ran = images.run_root(WORK / "bundle" / "rootfs", ["/app/app"], uid=1234)
    tap.check("and what is ours", ran.stdout + ran.stderr, "hello from the app\n")


def a_base_in_a_layout():
    out = build(f"{WORK}/bases:1", WORK / "local:1", "--compression", "gzip")
    manifest = tagged(WORK / "local", "1")[1]
    tap.check("its layers come along", all(images.blob(WORK / "local", d).exists() for d in layers_of(manifest)))
    tap.check("only its digest is recorded: the folder means nothing elsewhere", manifest["annotations"], {BASE_DIGEST: tagged(WORK / "bases", "1")[0]["digest"]})
    other = build(f"oci:{WORK}/bases:1", WORK / "local:2", "--compression", "gzip")
    tap.check("oci:FOLDER:TAG is another spelling", other["digest"], out["digest"])
    dynamic = images.compile_program("dynamic", "hello, dynamic")
    dogshore("image", "build", "--binary", dynamic, "--base", f"{WORK}/bases:1", "--output", f"{WORK}/dynamic-layout:1", "--compression", "gzip")
    run("umoci", "unpack", "--image", f"{WORK}/dynamic-layout:1", WORK / "dynamic-bundle")
    ran = images.run_root(WORK / "dynamic-bundle" / "rootfs", ["/app/dynamic"], uid=1234)
    tap.check("a dynamic program brings its libraries along", ran.stdout + ran.stderr, "hello, dynamic\n")
    tap.check("the base's users stay", "nonroot" in (WORK / "dynamic-bundle" / "rootfs" / "etc" / "passwd").read_text())


def an_index_of_images_whose_bases_stay_in_the_registry():
    compiler = "aarch64-linux-gnu-gcc"
    if NATIVE != "amd64" or not shutil.which(compiler):
        return tap.skip("an index of such images", f"this needs an amd64 machine with {compiler}")
    one, two = started(DockerRegistry()), started(DockerRegistry())
    other = images.compile_program("arm/app", "hello from arm64", "-static", compiler=compiler)
    dogshore("image", "build", "--binary", other, "--platform", "linux/arm64", "--env", "ARM=1", "--output", f"{WORK}/armbase:1")
    dogshore("image", "push", f"{WORK}/bases:1", f"{one.host}/base/box:1")
    dogshore("image", "push", f"{WORK}/armbase:1", f"{one.host}/base/arm:1")
    build(f"{one.host}/base/box:1", WORK / "multi:amd64")
    (WORK / "own").write_text("ours\n")
    dogshore("image", "build", "--binary", other, "--platform", "linux/arm64", "--base", f"{one.host}/base/arm:1", "--file", f"{WORK}/own:/etc/own",
             "--output", f"{WORK}/multi:arm64")
    index = dogshore("image", "index", f"{WORK}/multi:arm64", f"{WORK}/multi:amd64", "--output", f"{WORK}/multi-all:1")
    for host in (one.host, two.host):
        pushed = dogshore("image", "push", f"{WORK}/multi-all:1", f"{host}/apps/multi:1")
        tap.check("an index of images whose bases stay in the registry is pushed", pushed["digest"], index["digest"])
        run("skopeo", "copy", "--all", "--insecure-policy", "--src-tls-verify=false", f"docker://{host}/apps/multi:1",
            f"dir:{WORK}/multi-{host.split(':')[1]}")
    tap.check("and is whole on both registries", (WORK / f"multi-{two.host.split(':')[1]}" / "manifest.json").exists())


def rebased_the_base_is_newer_and_ours_is_the_same():
    registry = started(DockerRegistry())
    name, base = f"{registry.host}/apps/app:1", f"{registry.host}/base/box"
    for number in ("1", "2"):
        dogshore("image", "push", f"{WORK}/bases:{number}", f"{base}:{number}")
    os.environ["SOURCE_DATE_EPOCH"] = "86400"
    out = build(f"{base}:1", WORK / "torebase:1", "--env", "KEPT=app", "--env", "OWN=1", "--label", "team=rooms", "--compression", "gzip")
    del os.environ["SOURCE_DATE_EPOCH"]
    pushed = dogshore("image", "push", f"{WORK}/torebase:1", name)
    shutil.rmtree(WORK / "state" / "registry", ignore_errors=True)
    result = dogshore("image", "rebase", name, "--onto", f"{base}:2")
    new, old = base_layers("2"), base_layers("1")
    tap.check("it says what it was and what it is", (result["was"], result["from"]["layers"], result["onto"]["name"], result["own_layers"]),
              (pushed["digest"], len(old), f"{base}:2", len(out["layers"])))
    tap.check("the new base's layers are mounted, but those both have", result["mounted"], len(set(new) - set(old)))
    tap.check("only documents are sent", result["bytes_sent"] < 8192)
    run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{name}", f"oci:{WORK}/rebased:1")
    manifest, config = tagged(WORK / "rebased", "1")[1], config_of(WORK / "rebased", "1")
    tap.check("the tag names it", tagged(WORK / "rebased", "1")[0]["digest"], result["digest"])
    tap.check("the layers are the new base's and ours", layers_of(manifest), new + [e["digest"] for e in out["layers"]])
    tap.check("the annotations name the new base", manifest["annotations"], {BASE_DIGEST: tagged(WORK / "bases", "2")[0]["digest"], BASE_NAME: f"{base}:2"})
    tap.check("the base's settings are the new one's, ours stay", config["config"],
              {"User": "1234", "Env": ["FROM_BASE=2", "KEPT=app", "OWN=1"], "Entrypoint": ["/app/app"], "WorkingDir": "/",
               "Labels": {"base": "2", "team": "rooms"}})
    tap.check("it was created when ours was", config["created"], "1970-01-02T00:00:00Z")
    tap.check("a history line for each layer", len(config["history"]), len(manifest["layers"]))
    for kind, document in (("image-manifest-schema.json", manifest), ("config-schema.json", config)):
        problems = images.schema_problems(kind, document)
        if problems is not None:
            tap.check(f"it satisfies {kind}", problems, [])
    run("umoci", "unpack", "--image", f"{WORK}/rebased:1", WORK / "rebased-bundle")
    ran = images.run_root(WORK / "rebased-bundle" / "rootfs", ["/app/busybox", "cat", "/etc/base"], uid=1234)
    tap.check("crun finds the new base in it", ran.stdout + ran.stderr, "base 2\n")
    ran = images.run_root(WORK / "rebased-bundle" / "rootfs", ["/app/app"], uid=1234)
    tap.check("and our program", ran.stdout + ran.stderr, "hello from the app\n")
    os.environ["SOURCE_DATE_EPOCH"] = "86400"
    build(f"{base}:2", WORK / "fresh:1", "--env", "KEPT=app", "--env", "OWN=1", "--label", "team=rooms", "--compression", "gzip")
    del os.environ["SOURCE_DATE_EPOCH"]
    tap.check("its layers are those of a build on the new base", layers_of(tagged(WORK / "fresh", "1")[1]), layers_of(manifest))
    again = dogshore("image", "rebase", name, "--onto", f"{base}:2")
    tap.check("again nothing changes", (again["unchanged"], again["digest"], again["uploaded"]), (True, result["digest"], 0))
    back = dogshore("image", "rebase", name, "--onto", f"{base}:1", "--from", f"{base}:2")
    tap.check("and back it is the image it was", back["digest"], pushed["digest"])
    other = started(DockerRegistry())
    dogshore("image", "push", f"{WORK}/bases:2", f"{other.host}/base/box:2")
    moved = dogshore("image", "rebase", name, "--onto", f"{other.host}/base/box:2")
    tap.check("a base on another registry is fetched and sent", (moved["mounted"] + moved["uploaded"] + moved["existing"] >= len(new), moved["digest"] != pushed["digest"]),
              (True, True))
    run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{name}", f"dir:{WORK}/moved")
    tap.check("and the image is whole", (WORK / "moved" / "manifest.json").exists())
    status, error = refused("image", "rebase", name, "--onto", f"{base}:1", "--from", f"{base}:1")
    tap.check("a base that it does not stand on", (status, "does not stand on" in error["message"]), (2, True))
    dogshore("image", "push", f"{WORK}/bases:1", f"{registry.host}/apps/plain:1")
    status, error = refused("image", "rebase", f"{registry.host}/apps/plain:1", "--onto", f"{base}:2")
    tap.check("an image that does not say what it stands on", (status, error["message"], error["next"]),
              (2, f'the image "{registry.host}/apps/plain:1" does not say what it stands on', "name its base with --from"))
    dogshore("image", "index", f"{WORK}/bases:1", "--output", f"{WORK}/index:1")
    dogshore("image", "push", f"{WORK}/index:1", f"{registry.host}/apps/index:1")
    status, error = refused("image", "rebase", f"{registry.host}/apps/index:1", "--onto", f"{base}:2")
    tap.check("an index is rebased image by image", (status, error["message"]), (2, f'"{registry.host}/apps/index:1" is an index'))
    tap.check("without --onto", refused("image", "rebase", name)[0], 2)


def the_local_registry_mounts_too():
    """dogshore local's registry, which is ECR: repositories must exist, and who pushes needs a token."""
    try:
        import botocore.session  # noqa: F401
    except ImportError:
        return tap.skip("the local registry", "python3-botocore is not installed")
    from local_cloud import Cloud
    cloud = Cloud()
    try:
        ecr = cloud.client("ecr")
        for repository in ("base/box", "apps/app"):
            ecr.create_repository(repositoryName=repository)
        host = f"127.0.0.1:{cloud.program.port}"
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        (WORK / "docker").mkdir(exist_ok=True)
        (WORK / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": token}}}))
        os.environ["DOCKER_CONFIG"] = str(WORK / "docker")
        for number in ("1", "2"):
            dogshore("image", "push", f"{WORK}/bases:{number}", f"{host}/base/box:{number}")
        shutil.rmtree(WORK / "state" / "registry", ignore_errors=True)
        build(f"{host}/base/box:1", WORK / "ecr:1")
        pushed = dogshore("image", "push", f"{WORK}/ecr:1", f"{host}/apps/app:1")
        tap.check("the base's layers are mounted", pushed["mounted"], len(base_layers("1")))
        shutil.rmtree(WORK / "state" / "registry", ignore_errors=True)
        rebased = dogshore("image", "rebase", f"{host}/apps/app:1", "--onto", f"{host}/base/box:2")
        tap.check("and those of a newer one", (rebased["mounted"], rebased["bytes_sent"] < 8192),
                  (len(set(base_layers("2")) - set(base_layers("1"))), True))
        seen = ecr.describe_images(repositoryName="apps/app", imageIds=[{"imageTag": "1"}])["imageDetails"][0]["imageDigest"]
        tap.check("the ECR API names the new image", seen, rebased["digest"])
        dogshore("image", "copy", f"{host}/apps/app:1", f"oci:{WORK}/from-ecr:1")
        tap.check("it can be pulled whole", len(layers_of(tagged(WORK / "from-ecr", "1")[1])), len(base_layers("2")) + rebased["own_layers"])
    finally:
        os.environ.pop("DOCKER_CONFIG", None)
        cloud.close()


def put_image(registry, tag, layers, architecture=NATIVE, media_type=LAYER, kind=MANIFEST, **more):
    """An image of empty blobs in the counting registry; only documents are ever asked for."""
    digests = ["sha256:" + f"{i:064x}" for i in range(layers)]
    config = json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}}).encode()
    registry.blobs[digest_of(config)] = config
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
                           "layers": [{"mediaType": media_type, "digest": d, "size": 1} for d in digests], **more}).encode()
    registry.manifests[tag] = registry.manifests[digest_of(manifest)] = (kind, manifest)
    return {"mediaType": kind, "digest": digest_of(manifest), "size": len(manifest), "platform": {"os": "linux", "architecture": architecture}}


def refuses(registry, tag):
    return refused("image", "build", "--binary", app, "--base", f"{registry.host}/bad:{tag}", "--output", f"{WORK}/bad:1")


def bases_that_make_no_sense_are_refused():
    registry = started(ScriptedRegistry())
    put_image(registry, "arm", 1, FOREIGN)
    status, error = refuses(registry, "arm")
    tap.check("another architecture", (status, error["message"]),
              (2, f'the base "{registry.host}/bad:arm" is for linux/{FOREIGN}, the image for linux/{NATIVE}'))
    put_image(registry, "deep", 127)
    status, error = refuses(registry, "deep")
    tap.check("127 layers", (status, "has 127 layers; with" in error["message"], "--squash" in error["next"]), (3, True, True))
    put_image(registry, "foreign", 2, media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    status, error = refuses(registry, "foreign")
    tap.check("layers that may not be distributed", (status, error["message"].startswith("its layer 1 of 2 may not be distributed")), (2, True))
    put_image(registry, "windows", 2, media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    tap.check("Docker's name of them", "may not be distributed" in refuses(registry, "windows")[1]["message"])
    put_image(registry, "odd", 1, media_type="application/x-odd")
    status, error = refuses(registry, "odd")
    tap.check("layers of an unknown kind", (status, error["message"]), (2, 'its layer 1 of 1 is of the unknown kind "application/x-odd"'))
    old = json.dumps({"schemaVersion": 1, "name": "bad", "tag": "old", "architecture": NATIVE, "fsLayers": [], "history": []}).encode()
    registry.manifests["old"] = ("application/vnd.docker.distribution.manifest.v1+prettyjws", old)
    status, error = refuses(registry, "old")
    tap.check("a manifest of schema version 1", (status, "is of schema version 1" in error["message"]), (3, True))
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        put_image(registry, "x", 1, FOREIGN), {**put_image(registry, "y", 1, "s390x")},
        {**put_image(registry, "z", 1), "platform": {"os": "unknown", "architecture": "unknown"}}]}).encode()
    registry.manifests["index"] = (INDEX, index)
    status, error = refuses(registry, "index")
    tap.check("an index without our platform", (status, error["message"], error["next"]),
              (3, f"it is an index without an image for linux/{NATIVE}", f"it has: linux/{FOREIGN}, linux/s390x"))
    config = json.dumps({"architecture": NATIVE, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    registry.blobs[digest_of(config)] = config
    lying = json.dumps({"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
                        "layers": [{"mediaType": LAYER, "digest": "sha256:" + "0" * 64, "size": 1}]}).encode()
    registry.manifests["lying"] = (MANIFEST, lying)
    status, error = refuses(registry, "lying")
    tap.check("a configuration of another image", (status, error["message"]), (2, "its manifest names 1 layers, its configuration 0"))
    status, error = refuses(registry, "nowhere")
    tap.check("no such base", (status, "there is no image" in error["message"]), (3, True))
    tap.check("none of them left a tag", (WORK / "bad" / "index.json").exists(), False)
    good = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [put_image(registry, "a", 1, FOREIGN), put_image(registry, "b", 3)]}).encode()
    registry.manifests["good"] = (INDEX, good)
    out = build(f"{registry.host}/bad:good", WORK / "picked:1")
    tap.check("of an index the image for the platform is taken", (out["base"]["layers"], out["base"]["digest"]), (3, digest_of(registry.manifests["b"][1])))


tap.run_tests(only_manifest_and_configuration_of_the_base_are_fetched, to_another_registry_the_layers_are_fetched_and_sent,
              an_index_of_images_whose_bases_stay_in_the_registry, rebased_the_base_is_newer_and_ours_is_the_same, the_local_registry_mounts_too,
              with_its_base_fetched_a_layout_is_whole, a_base_in_a_layout, bases_that_make_no_sense_are_refused, ready=ready, tidy=tidy)
