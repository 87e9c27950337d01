#!/usr/bin/env python3
"""`dogshore image build --dockerfile`: built by buildah, normalised by us, run by crun and podman."""
# timeout: 600
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "integration")]
import images  # noqa: E402
import tap  # noqa: E402
from images import PROGRAM, WORK, dogshore, refused, run, tagged  # noqa: E402
from registry import DockerRegistry  # noqa: E402

os.environ.update(DOGSHORE_STATE=str(WORK / "state"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
for name in ("REGISTRY_AUTH_FILE", "BUILDAH_ISOLATION", "SOURCE_DATE_EPOCH"):
    os.environ.pop(name, None)
BUSYBOX = "/bin/busybox"
DOCKERFILE = """\
FROM scratch
ARG GREETING=hello
COPY root /
RUN ["/app/busybox", "mkdir", "/bin"]
RUN ["/app/busybox", "ln", "/app/busybox", "/bin/busybox"]
RUN ["/app/busybox", "ln", "/app/busybox", "/bin/sh"]
RUN echo "$GREETING" > /greeting && busybox date > /dev/null && busybox mkdir -p /var/cache/junk && echo junk > /var/cache/junk/file
RUN busybox rm -r /var/cache/junk && busybox chown 7:8 /greeting && busybox chmod 0600 /greeting
COPY data /data
ENV NAME=image
USER 7:8
CMD ["/bin/sh", "-c", "busybox cat /greeting /data/file; echo $NAME"]
"""


def store(name):
    """buildah and podman keep their images here from now on."""
    conf = WORK / f"{name}.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{WORK}/{name}/graph"\nrunroot = "{WORK}/{name}/run"\n')
    os.environ["CONTAINERS_STORAGE_CONF"] = str(conf)


def context(name, dockerfile=DOCKERFILE):
    folder = WORK / "contexts" / name
    (folder / "data").mkdir(parents=True)
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "data" / "file").write_text("data\n")
    shutil.copytree(WORK / "busybox-bundle" / "rootfs", folder / "root", symlinks=True)
    os.chmod(folder / "data", 0o755)
    os.chmod(folder / "data" / "file", 0o644)
    return folder


def build(folder, output, *more):
    return dogshore("image", "build", "--dockerfile", folder / "Dockerfile", "--output", output, *more)


def config_of(layout, tag):
    return images.read_blob(layout, tagged(layout, tag)[1]["config"]["digest"])


def ready():
    if not shutil.which("buildah") or not Path(BUSYBOX).exists():
        tap.skip_all("buildah or busybox is not installed")
    if os.geteuid() != 0:
        tap.skip_all("buildah needs user namespaces of its own when it is not started by root")
    # A shell with all it needs, whether Debian's busybox is static or not.
    dogshore("image", "build", "--binary", BUSYBOX, "--output", WORK / "busybox:1", "--compression", "gzip")
    run("umoci", "unpack", "--image", f"{WORK}/busybox:1", WORK / "busybox-bundle")


def two_builds_at_two_times_give_one_digest():
    store("one")
    first = build(context("first"), WORK / "out:1")
    time.sleep(1.1)  # so that times differ which are kept in whole seconds: there is no event to wait for
    store("two")  # nothing of the first build is known here
    folder = context("elsewhere/second")
    os.utime(folder / "data" / "file", (1, 1))
    second = build(folder, WORK / "again:1")
    tap.check("another folder, another time, another store: one digest", second["digest"], first["digest"])
    cached = build(folder, WORK / "out:cached")
    tap.check("steps from buildah's cache change nothing", cached["digest"], first["digest"])
    fresh = build(folder, WORK / "out:fresh", "--no-cache")
    tap.check("nor does running all of them again", fresh["digest"], first["digest"])
    tap.check("it says that commands were run", first["reproducible"], False)
    other = build(folder, WORK / "out:other", "--build-arg", "GREETING=bye")
    tap.check("another --build-arg gives another digest", other["digest"] != first["digest"])


def layers_and_configuration_are_normal():
    manifest = tagged(WORK / "out", "1")[1]
    config = config_of(WORK / "out", "1")
    problems = images.schema_problems("image-manifest-schema.json", manifest), images.schema_problems("config-schema.json", config)
    if problems[0] is not None:
        tap.check("manifest and configuration satisfy the schemas", problems, ([], []))
    tap.check("created is the epoch, the history has no times", (config["created"], [h for h in config["history"] if "created" in h]),
              ("1970-01-01T00:00:00Z", []))
    tap.check("the history has a layer for each layer", sum(not h.get("empty_layer") for h in config["history"]), len(manifest["layers"]))
    tap.check("the digests of copied files are gone from it", any("COPY dir in / " in h["created_by"] for h in config["history"]))
    build(WORK / "contexts" / "first", WORK / "plain:1", "--compression", "none")
    members = []
    for layer in tagged(WORK / "plain", "1")[1]["layers"]:
        with tarfile.open(images.blob(WORK / "plain", layer["digest"])) as archive:
            members += archive.getmembers()
    tap.check("all times are 0, all owners numbers", {(m.mtime, m.uname, m.gname) for m in members}, {(0, "", "")})
    greeting = [m for m in members if m.name == "greeting"][-1]
    tap.check("owners and modes are kept", (greeting.uid, greeting.gid, greeting.mode), (7, 8, 0o600))
    tap.check("what a step removed is a whiteout", "var/cache/.wh.junk" in [m.name for m in members])


def it_runs_under_crun_and_podman():
    run("umoci", "unpack", "--image", f"{WORK}/plain:1", WORK / "bundle")
    ran = images.run_root(WORK / "bundle" / "rootfs", ["/bin/sh", "-c", "busybox cat /greeting /data/file"], uid=7)
    tap.check("crun runs what umoci unpacks", ran.stdout + ran.stderr, "hello\ndata\n")
    if not shutil.which("podman"):
        return tap.skip("podman runs it", "podman is not installed")
    podman = images.Podman("127.0.0.1:1")
    podman("pull", "--quiet", f"oci:{WORK}/out:1")
    name = podman("images", "--quiet").stdout.split()[0]
    tap.check("podman runs its command with its environment", podman.run(name).stdout, "hello\ndata\nimage\n")


def squashed_it_is_one_layer_without_what_was_removed():
    out = build(WORK / "contexts" / "first", WORK / "squashed:1", "--squash", "--compression", "none")
    tap.check("there is one layer", len(out["layers"]), 1)
    with tarfile.open(images.blob(WORK / "squashed", out["layers"][0]["digest"])) as archive:
        members = archive.getmembers()
    names = [m.name for m in members]
    tap.check("each path once, nothing hidden", (len(set(names)), [n for n in names if ".wh." in n or "junk" in n]), (len(names), []))
    links = [(m.name, m.linkname) for m in members if m.islnk()]
    # Whether a link across steps is one depends on buildah's storage driver.
    tap.check("hard links name what is there", [n for _, n in links if n not in names], [])
    tap.check("its history has one layer", sum(not h.get("empty_layer") for h in config_of(WORK / "squashed", "1")["history"]), 1)
    run("umoci", "unpack", "--image", f"{WORK}/squashed:1", WORK / "squashed-bundle")
    ran = images.run_root(WORK / "squashed-bundle" / "rootfs", ["/bin/sh", "-c", "busybox cat /greeting /data/file"], uid=7)
    tap.check("it does the same", ran.stdout + ran.stderr, "hello\ndata\n")


def flags_are_laid_over_the_dockerfile():
    build(WORK / "contexts" / "first", WORK / "laid:1", "--user", "9", "--env", "NAME=flag", "--env", "MORE=1", "--label", "team=rooms",
          "--port", "8080", "--arg", "/bin/sh")
    config = config_of(WORK / "laid", "1")["config"]
    path = next(e for e in config["Env"] if e.startswith("PATH="))
    tap.check("user, environment, labels, port and arguments", config,
              {"User": "9", "ExposedPorts": {"8080/tcp": {}}, "Env": [path, "NAME=flag", "MORE=1"], "Cmd": ["/bin/sh"],
               "Labels": {"team": "rooms"}, **({"WorkingDir": config["WorkingDir"]} if "WorkingDir" in config else {})})
    os.environ["SOURCE_DATE_EPOCH"] = "86400"
    build(WORK / "contexts" / "first", WORK / "laid:2")
    del os.environ["SOURCE_DATE_EPOCH"]
    tap.check("SOURCE_DATE_EPOCH is the time of creation", config_of(WORK / "laid", "2")["created"], "1970-01-02T00:00:00Z")
    folder = context("stages", "FROM scratch AS tool\nCOPY data/file /tool\nFROM scratch\nCOPY --from=tool /tool /copied\n")
    shutil.move(folder / "Dockerfile", WORK / "apart")
    dogshore("image", "build", "--dockerfile", WORK / "apart", "--context", folder, "--target", "tool", "--output", WORK / "stages:tool",
             "--compression", "none")
    with tarfile.open(images.blob(WORK / "stages", tagged(WORK / "stages", "tool")[1]["layers"][0]["digest"])) as archive:
        tap.check("--target and --context are heeded", archive.getnames(), ["tool"])
    out = dogshore("image", "build", "--dockerfile", WORK / "apart", "--context", folder, "--output", WORK / "stages:all")
    tap.check("without RUN it says that it is reproducible", out["reproducible"], True)


def a_base_from_a_registry():
    missing = DockerRegistry.missing()
    if missing:
        return tap.skip("FROM an image of a registry", f"{missing} is not installed")
    registry = DockerRegistry()
    try:
        (WORK / "base.conf").write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        os.environ["CONTAINERS_REGISTRIES_CONF"] = str(WORK / "base.conf")
        dogshore("image", "push", f"{WORK}/out:1", f"{registry.host}/base/box:1")
        folder = context("derived", f"FROM {registry.host}/base/box:1\nUSER 0\nRUN echo more > /more\n")
        out = build(folder, WORK / "derived:1")
        base = config_of(WORK / "out", "1")["rootfs"]["diff_ids"]
        tap.check("a base that is normal already stays as it is", [e["diff_id"] for e in out["layers"]][:len(base)], base)
        pushed = dogshore("image", "push", f"{WORK}/derived:1", f"{registry.host}/base/derived:1")
        run("skopeo", "inspect", "--tls-verify=false", f"docker://{registry.host}/base/derived@{pushed['digest']}")
        tap.check("skopeo reads it", True)
    finally:
        del os.environ["CONTAINERS_REGISTRIES_CONF"]
        registry.stop()


def a_run_builds_it_from_the_commit_and_the_artifacts():
    repository = WORK / "repository"
    service = repository / "svc"
    service.mkdir(parents=True)
    (repository / "dogshore.yml").write_text("app: demo\nservices:\n  svc:\n    path: svc\n    image: {dockerfile: Dockerfile, port: 8080}\n")
    (service / "buildspec.yml").write_text("version: 0.2\nphases: {build: {commands: ['mkdir build && echo made > build/made && echo over > both']}}\n"
                                           "artifacts: {files: [build/made, both]}\n")
    (service / "Dockerfile").write_text("FROM scratch\nCOPY build/made both given /data/\n")
    for name in ("given", "both"):
        (service / name).write_text("committed\n")

    def git(*words):
        return run("git", "-C", repository, "-c", "user.name=t", "-c", "user.email=t@t", *words)

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    (service / "given").write_text("only in the folder\n")
    result = dogshore("run", "--json", cwd=repository)
    tap.check("the run is done", [(s["name"], s["status"]) for s in result["steps"]], [("build", "passed"), ("image", "passed")])
    layout = WORK / "state" / "images" / "demo" / "svc"
    tag = json.loads((layout / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    manifest = tagged(layout, tag)[1]
    content = {}
    for layer in manifest["layers"]:
        plain = run("zstd", "-dc", images.blob(layout, layer["digest"]), encoding="latin-1").stdout.encode("latin-1")
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            content.update({m.name: archive.extractfile(m).read().decode() for m in archive if m.isreg()})
    tap.check("the commit's files, the artifacts over them", content,
              {"data/made": "made\n", "data/both": "over\n", "data/given": "committed\n"})
    tap.check("the port of dogshore.yml is exposed", config_of(layout, tag)["config"]["ExposedPorts"], {"8080/tcp": {}})
    (repository / "dogshore.yml").write_text("app: demo\nservices:\n  svc:\n    path: svc\n    image: {dockerfile: Dockerfile, files: {given: /x}}\n")
    checked = run(PROGRAM, "check", cwd=repository, check=False)
    tap.check("files beside a Dockerfile are a finding", (checked.returncode, '"files" goes with "binary"' in checked.stdout + checked.stderr), (2, True))


def secrets_stop_the_build():
    secret = "correct-horse-battery-staple"
    values = WORK / "secrets.json"
    values.write_text(json.dumps({"parameter-store": {"/app/token": secret}}))
    folder = context("secret", "FROM scratch\nCOPY data /data\n")
    (folder / "data" / "credentials").write_text(f"token={secret}\n")
    process = run(PROGRAM, "image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "secret:1", "--json",
                  "--secrets-file", values, check=False)
    tap.check("a secret in a layer is status 1", process.returncode, 1)
    tap.check_contains("the file is named", process.stdout, "data/credentials")
    tap.check("the secret is not", secret in process.stdout + process.stderr, False)
    tap.check("and there is no tag", (WORK / "secret" / "index.json").exists(), False)
    folder = context("argument", 'FROM scratch\nARG TOKEN\nCOPY root /\nRUN ["/app/busybox", "true"]\n')
    status, error = refused("image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "secret:2",
                            "--secrets-file", values, "--build-arg", f"TOKEN={secret}")
    tap.check("a secret as build argument would stand in the history", (status, "history:" in json.dumps(error)), (1, True))


def what_steps_print_is_masked():
    token = "ghp" + "_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"  # made up
    values = WORK / "printed.json"
    values.write_text(json.dumps({"secrets-manager": {"db": "correct-horse-battery"}}))
    folder = context("prints", DOCKERFILE[:DOCKERFILE.index("RUN echo")] + "COPY data /data\nRUN busybox cat /data/said; printf 'horse-battery\\n'\n")
    (folder / "data" / "said").write_text(f"it is {token}\nand correct-")
    process = run(PROGRAM, "image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "prints:1", "--secrets-file", values,
                  "--allow-secret", "*=a test", check=False)
    tap.check_contains("a token and a secret in two pieces", process.stderr, "it is ***\nand ***\n")
    tap.check("neither is shown", [s for s in (token, "correct-horse") if s in process.stdout + process.stderr], [])


def what_a_killed_build_left_is_removed_by_the_next():
    folder = context("killed", 'FROM scratch\nCOPY root /\nRUN ["/app/busybox", "sleep", "600"]\n')
    read, write = os.pipe()
    process = subprocess.Popen([PROGRAM, "image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "killed:1"],
                               stdout=subprocess.DEVNULL, stderr=write, start_new_session=True)
    os.close(write)
    with os.fdopen(read) as said:
        for line in said:
            if "RUN" in line:
                break
        left = [p for p in WORK.iterdir() if p.name.startswith("dogshore-dockerfile-")]
        tap.check("a build works in a folder of its own", len(left), 1)
        build(WORK / "contexts" / "first", WORK / "meanwhile:1")
        tap.check("another build leaves it alone", left[0].exists())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said.read()  # ends when all that held the pipe are gone
    build(WORK / "contexts" / "first", WORK / "after:1")
    tap.check("the next one removes it", left[0].exists(), False)


def more_layers_than_runtimes_stack_are_refused():
    """A base of 127 layers made by hand, and one step."""
    layout, diff_ids, layers = WORK / "deep", [], []
    for number in range(127):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            member = tarfile.TarInfo(f"layer-{number}")
            archive.addfile(member, io.BytesIO())
        entry = images.put_blob(layout, stream.getvalue())
        diff_ids.append(entry["digest"])
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", **entry})
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    config = images.put_blob(layout, {"architecture": machine, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    images.write_layout(layout, "1", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": layers,
                                      "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}})
    folder = context("deep", f"FROM oci:{layout}:1\nCOPY data /data\n")
    status, error = refused("image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "bad:1")
    tap.check("128 layers are refused", (status, error["message"]), (3, "it has 128 layers, one for each step, over the 127 that runtimes stack"))
    out = build(folder, WORK / "flat:1", "--squash", "--compression", "none")
    with tarfile.open(images.blob(WORK / "flat", out["layers"][0]["digest"])) as archive:
        tap.check("squashed it has all files", len([n for n in archive.getnames() if n.startswith("layer-")]), 127)


def failures_say_what_to_do():
    folder = context("broken", "FROM scratch\nCOPY nothing /\n")
    process = run(PROGRAM, "image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "bad:1", check=False)
    tap.check("a step that fails is status 1", process.returncode, 1)
    tap.check_contains("buildah's own words are shown", process.stderr, "no such file or directory")
    status, error = refused("image", "build", "--dockerfile", WORK / "nowhere", "--output", WORK / "bad:1")
    tap.check("no Dockerfile is status 3", (status, "there is no Dockerfile" in error["message"]), (3, True))
    status, error = refused("image", "build", "--dockerfile", folder, "--output", WORK / "bad:1")
    tap.check("a folder is no Dockerfile", (status, error["next"]), (3, "--dockerfile names the file itself, not its folder"))
    for flags, message in ((["--dockerfile", "x", "--binary", "y"], "--binary makes no sense with --dockerfile"),
                           (["--binary", "y", "--squash"], "--squash makes no sense without --dockerfile")):
        status, error = refused("image", "build", *flags, "--output", WORK / "bad:1")
        tap.check(message, (status, error["message"]), (2, message))
    empty = WORK / "empty"
    empty.mkdir()
    status, error = refused("image", "build", "--dockerfile", WORK / "contexts" / "first" / "Dockerfile", "--output", WORK / "bad:1",
                            env={**os.environ, "PATH": str(empty)})
    tap.check("without buildah it is status 3 and says how to get it",
              (status, error["message"], error["next"].startswith("apt-get install buildah")),
              (3, "buildah, which builds Dockerfiles, is not installed", True))
    folder = context("device", 'FROM scratch\nCOPY root /\nRUN ["/app/busybox", "mknod", "/null", "c", "1", "3"]\n')
    status, error = refused("image", "build", "--dockerfile", folder / "Dockerfile", "--output", WORK / "bad:1")
    if status == 1:
        tap.skip("a device in a layer is refused", "no right to make one here")
    else:
        tap.check("a device in a layer is refused", (status, error["message"]),
                  (2, "it is a character device; only files, folders and links are accepted"))
    left = [p.name for p in WORK.iterdir() if p.name.startswith("dogshore-dockerfile-")]
    tap.check("no temporary folder stays", left, [])


tap.run_tests(two_builds_at_two_times_give_one_digest, layers_and_configuration_are_normal, it_runs_under_crun_and_podman,
              squashed_it_is_one_layer_without_what_was_removed, flags_are_laid_over_the_dockerfile, a_base_from_a_registry,
              a_run_builds_it_from_the_commit_and_the_artifacts, what_a_killed_build_left_is_removed_by_the_next,
              more_layers_than_runtimes_stack_are_refused, secrets_stop_the_build, what_steps_print_is_masked, failures_say_what_to_do, ready=ready)
