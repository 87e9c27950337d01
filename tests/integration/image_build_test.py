#!/usr/bin/env python3
"""Images of `dogshore image build`, judged by programs that others wrote: skopeo, umoci, crun, tar, zstd, gzip,
ldd and the JSON schemas of the OCI."""
# timeout: 300
# parallel: yes
import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests"))
import tap  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ["DOGSHORE_STATE"] = str(WORK / "state")

# Does what a service does with its surroundings, and says so.
SERVICE = r"""
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
#include <netdb.h>
#include <math.h>
static void *wait_for_ever(void *unused) { for (;;) pause(); return unused; }
int main(int argc, char **argv)
{
	pthread_t thread; void *result;
	struct passwd *user = getpwuid(getuid());
	FILE *file = tmpfile();
	pthread_create(&thread, NULL, wait_for_ever, NULL);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("user=%s cancelled=%d tmp=%d arg=%s root=%.0f services=%d\n", user ? user->pw_name : "none",
		result == PTHREAD_CANCELED, file != NULL, argc > 1 ? argv[1] : "none", sqrt(argc * 8.0), getprotobyname("x") == NULL);
	return 0;
}
"""


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def build(binary, output, *more, program=PROGRAM, **options):
    return json.loads(run(program, "image", "build", "--binary", binary, "--output", output, "--json", *more, **options).stdout)


def refusal(binary, *more):
    result = run(PROGRAM, "image", "build", "--binary", binary, "--output", WORK / "refused:1", "--json", *more, check=False)
    return result.returncode, json.loads(result.stdout)["error"]


def blob(layout, digest):
    return Path(layout) / "blobs" / "sha256" / digest.removeprefix("sha256:")


def manifest_of(layout, tag):
    index = json.loads((Path(layout) / "index.json").read_text())
    entry = next(m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == tag)
    return json.loads(blob(layout, entry["digest"]).read_text())


def compile_service(name, *flags):
    source = WORK / "service.c"
    source.write_text(SERVICE)
    run("cc", "-O1", "-o", WORK / name, source, "-lm", *flags)
    return WORK / name


def one_digest_for_two_folders_users_times_locales():
    service = compile_service("service")
    digests = set()
    surroundings = [
        (0o022, {"TZ": "UTC", "LC_ALL": "C", "HOME": "/root"}, None),
        (0o077, {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "HOME": "/", "USER": "other"}, None),
    ]
    if os.geteuid() == 0:
        surroundings.append((0o027, {"LC_ALL": "C.UTF-8"}, 65534))
    program = PROGRAM
    for number, (mask, env, user) in enumerate(surroundings):
        folder = WORK / f"folder-{number}" / ("deep" * number)
        folder.mkdir(parents=True)
        shutil.copy(service, folder / "service")
        (folder / "grüße.json").write_text("{}")
        os.utime(folder / "service", (number + 1, number + 1))
        if user is not None:
            os.chmod(WORK, 0o755)  # so that the other user gets there at all
            os.chown(folder, user, user)
            program = shutil.copy(PROGRAM, WORK)  # the checkout may be in somebody's home
        out = build("service", "out:1", "--file", "grüße.json:/etc/service/grüße.json", "--port", "8080",
                    program=program, cwd=folder, umask=mask, env={**os.environ, **env, "DOGSHORE_STATE": str(folder / "state")},
                    **({"user": user, "group": user, "extra_groups": []} if user is not None else {}))
        digests.add(out["digest"])
    tap.check("one digest for two folders, umasks, time zones, locales and users", len(digests), 1)
    again = build(service, WORK / "reordered:1", "--file", f"{WORK}/folder-0/grüße.json:/etc/service/grüße.json", "--port", "8080", "--no-cache")
    tap.check("and without the layer cache", {again["digest"]}, digests)


def skopeo_and_umoci_read_it():
    out = build(WORK / "service", WORK / "layout:1", "--label", "team=rooms")
    packed = build(WORK / "service", WORK / "gzip:1", "--compression", "gzip", "--label", "team=rooms")
    tap.check("the config is the same whatever the compression", out["config_digest"], packed["config_digest"])
    if shutil.which("skopeo"):
        seen = json.loads(run("skopeo", "inspect", f"oci:{WORK}/layout:1").stdout)
        tap.check("skopeo computes the same digest", seen["Digest"], out["digest"])
        tap.check("skopeo sees the label", seen["Labels"], {"team": "rooms"})
        run("skopeo", "copy", "--insecure-policy", f"oci:{WORK}/layout:1", f"dir:{WORK}/dir")
        tap.check("skopeo copies it", json.loads((WORK / "dir" / "manifest.json").read_text()), manifest_of(WORK / "layout", "1"))
    else:
        tap.skip("skopeo reads it", "skopeo is not installed")
    if shutil.which("umoci") and os.geteuid() == 0:
        run("umoci", "unpack", "--image", f"{WORK}/gzip:1", WORK / "bundle")
        root = WORK / "bundle" / "rootfs"
        tap.check("umoci unpacks the program", (root / "app" / "service").read_bytes(), (WORK / "service").read_bytes())
        tap.check("/tmp may be written by all", (root / "tmp").stat().st_mode & 0o7777, 0o1777)
        tap.check("the passwd file has the user", "nonroot:x:65532:65532" in (root / "etc" / "passwd").read_text())
    else:
        tap.skip("umoci unpacks it", "umoci is not installed, or not root")


def crun(bundle, args, uid):
    """Runs a root file system; on a host with both cgroup versions crun must not see the second."""
    spec = WORK / "spec"
    spec.mkdir(exist_ok=True)
    if not (spec / "config.json").exists():
        run("crun", "spec", cwd=spec)
    config = json.loads((spec / "config.json").read_text())
    config["process"].update(terminal=False, args=args, user={"uid": uid, "gid": uid})
    config["process"].pop("rlimits", None)
    config["root"] = {"path": "rootfs", "readonly": False}
    (bundle / "config.json").write_text(json.dumps(config))
    hybrid = os.path.ismount("/sys/fs/cgroup/unified")
    hide = "umount /sys/fs/cgroup/unified; " if hybrid else ""
    return run("unshare", "-m", "--propagation", "private", "sh", "-c",
               f'{hide}exec crun --root "$1" run -b "$2" "$3" </dev/null', "sh", WORK / "crun", bundle, f"image-{os.getpid()}", check=False)


def crun_runs_it():
    bundle = WORK / "bundle"
    if not shutil.which("crun") or not (bundle / "rootfs").exists():
        tap.skip("crun runs it", "crun or the unpacked image is missing")
        return
    result = crun(bundle, ["/app/service", "hello"], 65532)
    tap.check("crun runs the program: its user, thread cancelling, /tmp, libm", result.stdout + result.stderr,
              "user=nonroot cancelled=1 tmp=1 arg=hello root=4 services=1\n")


def layers_are_archives_as_the_specification_wants():
    tree = WORK / "tree"
    (tree / "a" / ("d" * 60) / ("e" * 60)).mkdir(parents=True)
    (tree / "a" / ("d" * 60) / ("e" * 60) / "long").write_text("x" * 1000)
    (tree / "a-b").write_text("")
    (tree / "grüße").write_text("hallo")
    (tree / "tool").write_text("#!/bin/sh\n")
    os.chmod(tree / "tool", 0o700)
    os.symlink("../tool", tree / "a" / "link")
    out = build(WORK / "service", WORK / "plain:1", "--file", f"{tree}:/srv", "--compression", "none")
    layer = next(entry for entry in out["layers"] if entry["kind"] == "configuration")
    tap.check("an uncompressed layer has one digest", layer["digest"], layer["diff_id"])
    path = blob(WORK / "plain", layer["digest"])
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    names = [m.name for m in members]
    tap.check("entries stand bytewise by path", names, sorted(names, key=lambda name: name.encode()))
    tap.check("parents stand first", all(os.path.dirname(name) in ("", *names[:i]) for i, name in enumerate(names)))
    tap.check("owner 0:0 without names, time 0", {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members}, {(0, 0, "", "", 0)})
    modes = {m.name: m.mode for m in members}
    tap.check("modes are 0755 and 0644", (modes["srv/tool"], modes["srv/grüße"], modes["srv/a"]), (0o755, 0o644, 0o755))
    tap.check("links stay links", next(m.linkname for m in members if m.name == "srv/a/link"), "../tool")
    for reader in ("tar", "bsdtar"):
        if not shutil.which(reader):
            tap.skip(f"{reader} reads the same names", f"{reader} is not installed")
            continue
        listed = run(reader, "-tf", path, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
        if reader == "tar":
            listed = listed.encode().decode("unicode_escape").encode("latin-1").decode() if "\\" in listed else listed
        tap.check(f"{reader} reads the same names", [line.rstrip("/") for line in listed.splitlines()], names)
    epoch = build(WORK / "service", WORK / "plain:2", "--file", f"{tree}:/srv", "--compression", "none", env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    layer = next(entry for entry in epoch["layers"] if entry["kind"] == "configuration")
    with tarfile.open(blob(WORK / "plain", layer["digest"])) as archive:
        tap.check("SOURCE_DATE_EPOCH is every file's time", {m.mtime for m in archive}, {1700000000})


def compressed_layers_satisfy_their_tools():
    for tool, layout in (("zstd", "layout"), ("gzip", "gzip")):
        if not shutil.which(tool):
            tap.skip(f"{tool} -t", f"{tool} is not installed")
            continue
        for layer in manifest_of(WORK / layout, "1")["layers"]:
            path = blob(WORK / layout, layer["digest"])
            with open(path, "rb") as source:
                tap.check(f"{tool} -t accepts a layer", subprocess.run([tool, "-t"], stdin=source, capture_output=True).returncode, 0)


def documents_satisfy_the_schemas():
    folder = Path(os.environ.get("DOGSHORE_SHARED", "/nonexistent")) / "oci-schemas"
    try:
        warnings.simplefilter("ignore")  # newer versions prefer another resolver, Debian's has only this one
        import jsonschema
    except ImportError:
        return tap.skip("manifest, config and index satisfy the schemas", "python3-jsonschema is not installed")
    if not folder.is_dir():
        return tap.skip("manifest, config and index satisfy the schemas", "shared/oci-schemas is not beside the checkout")

    def without_ids(value):
        if isinstance(value, dict):
            return {k: without_ids(v) for k, v in value.items() if not (k == "id" and isinstance(v, str))}
        return [without_ids(v) for v in value] if isinstance(value, list) else value

    schemas = {p.name: without_ids(json.loads(p.read_text())) for p in folder.glob("*.json")}
    store = {f"http://localhost/{name}": schema for name, schema in schemas.items()}

    def problems(name, document):
        resolver = jsonschema.RefResolver(f"http://localhost/{name}", schemas[name], store=store)
        return [e.message for e in jsonschema.Draft4Validator(schemas[name], resolver=resolver).iter_errors(document)]

    for layout in ("layout", "gzip", "plain"):
        manifest = manifest_of(WORK / layout, "1")
        config = json.loads(blob(WORK / layout, manifest["config"]["digest"]).read_text())
        index = json.loads((WORK / layout / "index.json").read_text())
        version = json.loads((WORK / layout / "oci-layout").read_text())
        tap.check(f"{layout}: manifest, config, index and layout satisfy the schemas",
                  problems("image-manifest-schema.json", manifest) + problems("config-schema.json", config)
                  + problems("image-index-schema.json", index) + problems("image-layout-schema.json", version), [])
    return None


def ldd_finds_the_same_libraries():
    for name in ("curl", "git", "python3", "haproxy", "sqlite3", "skopeo"):
        program = shutil.which(name, path="/usr/sbin:/usr/bin")
        if not program:
            tap.skip(f"the closure of {name} is what ldd says", f"{name} is not installed")
            continue
        program = os.path.realpath(program)
        out = build(program, f"{WORK}/closures:{name}", "--explain")
        ours = {os.path.realpath(f["path"]) for f in out["files"] if ".so" in os.path.basename(f["path"])}
        theirs = {os.path.realpath(word) for line in run("ldd", program).stdout.splitlines() for word in line.split() if word.startswith("/")}
        # libc loads libgcc_s by name, which ldd cannot see.
        extra = {path for path in ours - theirs if "libgcc_s" not in path}
        tap.check(f"the closure of {name} is what ldd says", (extra, theirs - ours), (set(), set()))


def programs_run_in_nothing_but_their_image():
    if os.geteuid() != 0 or not shutil.which("umoci") or not shutil.which("crun"):
        return tap.skip("programs run in their images", "needs root, umoci and crun")
    jobs = {"curl": ["--version"], "sqlite3": [":memory:", "select 6*7"], "git": ["--version"], "haproxy": ["-v"]}
    for name, args in jobs.items():
        program = shutil.which(name, path="/usr/sbin:/usr/bin")
        if not program:
            tap.skip(f"{name} runs in its image", f"{name} is not installed")
            continue
        program = os.path.realpath(program)
        build(program, f"{WORK}/run:{name}", "--compression", "gzip")
        bundle = WORK / f"run-{name}"
        run("umoci", "unpack", "--image", f"{WORK}/run:{name}", bundle)
        inside = crun(bundle, [f"/app/{os.path.basename(program)}", *args], 65532)
        outside = run(program, *args)
        tap.check(f"{name} runs in its image as outside", (inside.returncode, inside.stdout + inside.stderr), (outside.returncode, outside.stdout))
    return None


def programs_of_musl_bring_its_loader():
    if not shutil.which("musl-gcc") or os.geteuid() != 0 or not shutil.which("umoci") or not shutil.which("crun"):
        return tap.skip("a program linked with musl runs in its image", "needs root, musl-gcc, umoci and crun")
    source = WORK / "musl.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("musl"); return 0; }\n')
    run("musl-gcc", "-o", WORK / "musl", source)
    out = build(WORK / "musl", f"{WORK}/musl-image:1", "--compression", "gzip", "--explain")
    tap.check("nothing of glibc comes along", [f["path"] for f in out["files"] if "linux-gnu" in f["path"]], [])
    run("umoci", "unpack", "--image", f"{WORK}/musl-image:1", WORK / "musl-bundle")
    result = crun(WORK / "musl-bundle", ["/app/musl"], 65532)
    tap.check("a program linked with musl runs in its image", result.stdout + result.stderr, "musl\n")
    return None


def static_programs_that_look_up_names_are_refused_unless_allowed():
    source = WORK / "static.c"
    source.write_text("#include <netdb.h>\nint main(void) { return gethostbyname(\"localhost\") == 0; }\n")
    if run("cc", "-static", "-w", "-o", WORK / "static", source, check=False).returncode != 0:
        return tap.skip("a static program that looks up names is warned of", "static libraries are not installed")
    status, error = refusal(WORK / "static")
    tap.check("a static program that looks up names is refused: exit 2", (status, error["kind"]), (2, "invalid"))
    tap.check_contains("with advice", error["next"], "link it dynamically, or with musl; --allow static-glibc")
    out = build(WORK / "static", f"{WORK}/static-image:1", "--allow", "static-glibc")
    tap.check("when allowed it is warned of", ["linked statically with glibc" in w for w in out["warnings"]], [True])
    tap.check("its image has two layers", [layer["kind"] for layer in out["layers"]], ["base", "program"])
    return None


def bad_input_is_refused_with_advice():
    script = WORK / "script"
    script.write_text("#!/bin/sh\n")
    status, error = refusal(script)
    tap.check("a script is no program: exit 2", (status, error["kind"]), (2, "invalid"))
    cut = WORK / "cut"
    cut.write_bytes((WORK / "service").read_bytes()[:5000])
    status, error = refusal(cut)
    tap.check("a truncated program: exit 2", (status, "truncated" in error["message"]), (2, True))
    foreign = bytearray((WORK / "service").read_bytes())
    foreign[18:20] = (183).to_bytes(2, "little")  # EM_AARCH64
    (WORK / "foreign").write_bytes(foreign)
    status, error = refusal(WORK / "foreign")
    tap.check("a program for another machine: exit 2", status, 2)
    tap.check_contains("it names both machines", error["message"], "made for AArch64 (64-bit), the image is for linux/amd64")
    (WORK / "gone.c").write_text("int gone(void) { return 0; }")
    run("cc", "-shared", "-fPIC", "-Wl,-soname,libgone.so.7", "-o", WORK / "libgone.so", WORK / "gone.c")
    status, error = refusal(WORK / "libgone.so")
    tap.check("a shared library is no program: exit 2", (status, error["message"]), (2, f'"{WORK}/libgone.so" is a shared library, not a program'))
    run("cc", "-c", "-o", WORK / "gone.o", WORK / "gone.c")
    status, error = refusal(WORK / "gone.o")
    tap.check("nor is an object file", (status, error["next"]), (2, "name the program that the linker wrote"))
    status, error = refusal(WORK / "service", "--file", f"{WORK}/script:/etc")
    tap.check("a file in the place of a folder: exit 3", (status, error["kind"]), (3, "conflict"))
    tap.check_contains("it names both", error["message"], "/etc would be both a file and the folder of /etc/")
    (WORK / "needs.c").write_text("int gone(void); int main(void) { return gone(); }")
    run("cc", "-o", WORK / "needs", WORK / "needs.c", "-L", WORK, "-lgone")
    status, error = refusal(WORK / "needs")
    tap.check("a missing library: exit 3", (status, error["kind"]), (3, "not_found"))
    tap.check_contains("it names who needs it and where we searched", error["message"], "libgone.so.7, needed by needs, was not found; searched ld.so.cache, /lib/")
    tap.check_contains("and the likely package", error["next"], "libgone7")
    status, error = refusal(WORK / "service", "--file", f"{WORK}/nowhere:/etc/x")
    tap.check("a missing file: exit 3", (status, error["kind"]), (3, "not_found"))
    for words, message in ((("--port", "0"), "the port 0 is not between 1 and 65535"), (("--fetch-base",), "--fetch-base makes no sense without --base")):
        status, error = refusal(WORK / "service", *words)
        tap.check(f"{' '.join(words)}: exit 2", (status, error["message"]), (2, message))
    status, error = refusal(WORK / "nowhere")
    tap.check("a missing program: exit 3", (status, error["kind"]), (3, "not_found"))
    tap.check("nothing was left behind", (WORK / "refused").exists(), False)


def a_full_disk_leaves_the_old_image():
    if os.geteuid() != 0:
        return tap.skip("a full disk leaves the old image", "needs root to mount a small file system")
    small = WORK / "small"
    small.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=1m", "none", small, check=False).returncode != 0:
        return tap.skip("a full disk leaves the old image", "this machine does not let us mount")
    try:
        (small / "filler").write_bytes(b"x" * 900_000)
        result = run(PROGRAM, "image", "build", "--binary", WORK / "service", "--output", small / "out:1", "--no-cache", "--json", check=False)
        error = json.loads(result.stdout)["error"]
        tap.check("a full disk: exit 3", (result.returncode, error["kind"]), (3, "system"))
        tap.check_contains("it says so", error["message"], "No space left on device")
        left = [p.name for p in (small / "out" / "blobs" / "sha256").iterdir() if p.name.startswith(".")]
        tap.check("and leaves no half blob and no tag", (left, (small / "out" / "index.json").exists()), ([], False))
    finally:
        run("umount", "-l", small)
    return None


if not shutil.which("cc"):
    tap.skip_all("there is no C compiler")
tap.run_tests(one_digest_for_two_folders_users_times_locales, skopeo_and_umoci_read_it, crun_runs_it,
              layers_are_archives_as_the_specification_wants, compressed_layers_satisfy_their_tools,
              documents_satisfy_the_schemas, ldd_finds_the_same_libraries, programs_run_in_nothing_but_their_image,
              programs_of_musl_bring_its_loader, static_programs_that_look_up_names_are_refused_unless_allowed,
              bad_input_is_refused_with_advice, a_full_disk_leaves_the_old_image)
