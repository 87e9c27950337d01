#!/usr/bin/env python3
"""`image build --package`: Debian packages by name, from Debian's mirror, judged by what apt and dpkg-deb say and by
running what is in them."""
# timeout: 600
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests"))
import tap  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ["DOGSHORE_STATE"] = str(WORK / "state")


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def attempt(output, *more, **options):
    result = run(PROGRAM, "image", "build", "--binary", WORK / "program", "--output", output, "--compression", "gzip", "--json", *more, check=False, **options)
    return result.returncode, json.loads(result.stdout)


def build(output, *more, **options):
    status, out = attempt(output, *more, **options)
    if status != 0:
        raise RuntimeError(json.dumps(out))
    return out


def unpack(out, folder):
    """The image's files, laid out as a runtime does."""
    folder.mkdir()
    for layer in out["layers"]:
        with tarfile.open(Path(out["layout"]) / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:"), "r:gz") as archive:
            archive.extractall(folder)
    return folder


def fetched(name):
    """The package as apt-get itself fetches it, unpacked."""
    folder = WORK / f"deb-{name}"
    folder.mkdir()
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", name, cwd=folder)
    deb = next(folder.glob("*.deb"))
    run("dpkg-deb", "--extract", deb, folder / "root")
    return folder / "root", run("dpkg-deb", "--field", deb, "Version").stdout.strip()


def dpkg_state():
    return hashlib.sha256(Path("/var/lib/dpkg/status").read_bytes()).hexdigest(), sorted(os.listdir("/var/cache/apt/archives"))


OUT = {}


def a_package_is_in_the_image_as_debian_ships_it():
    before = dpkg_state()
    out = OUT["zones"] = build(WORK / "zones:1", "--package", "tzdata")
    root, version = fetched("tzdata")
    image = unpack(out, WORK / "zones-image")
    shipped = {p.relative_to(root): p for p in root.rglob("*") if not p.relative_to(root).as_posix().startswith(("usr/share/doc", "usr/share/lintian"))}
    wrong = [str(r) for r, p in shipped.items() if p.is_file() and not p.is_symlink() and (image / r).read_bytes() != p.read_bytes()]
    wrong += [str(r) for r, p in shipped.items() if p.is_symlink() and os.readlink(image / r) != os.readlink(p)]
    tap.check("every file and link of tzdata is in it", (wrong, len(shipped) > 500), ([], True))
    tap.check("its version is recorded", [p for p in out["packages"] if p["name"] == "tzdata"], [{"name": "tzdata", "version": version, "architecture": "all"}])
    tap.check("it is a layer of its own", [layer["kind"] for layer in out["layers"] if layer["packages"] == ["tzdata"]], ["libraries"])
    tap.check("its copyright file is there", (image / "usr/share/doc/tzdata/copyright").read_bytes(), (root / "usr/share/doc/tzdata/copyright").read_bytes())
    tap.check("its scripts did not run", (image / "etc/timezone").exists() or (image / "etc/localtime").exists(), False)
    tap.check("debconf, which only its scripts use, did not come along", [p["name"] for p in out["packages"] if p["name"].startswith(("debconf", "perl"))], [])
    tap.check("nothing changed on this machine", dpkg_state(), before)


def the_same_versions_give_the_same_image():
    again = build(WORK / "again:1", "--package", "tzdata", env={**os.environ, "DOGSHORE_STATE": str(WORK / "second-state"), "TZ": "Asia/Tokyo"}, umask=0o077)
    tap.check("fetched again elsewhere", again["digest"], OUT["zones"]["digest"])
    version = next(p["version"] for p in again["packages"] if p["name"] == "tzdata")
    pinned = build(WORK / "pinned:1", "--package", f"tzdata={version}")
    tap.check("asked for by version", pinned["digest"], OUT["zones"]["digest"])
    fake = WORK / "fake"
    fake.mkdir()
    (fake / "apt-get").write_text("#!/bin/sh\nexit 1\n")
    (fake / "apt-get").chmod(0o755)
    kept = build(WORK / "kept:1", "--package", "tzdata", env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"})
    tap.check("the second time apt is not asked, and nothing packed", (kept["digest"], [layer["reused"] for layer in kept["layers"]]),
              (OUT["zones"]["digest"], [True] * len(kept["layers"])))


def programs_of_packages_bring_their_libraries_and_run():
    out = build(WORK / "maxmind:1", "--package", "mmdb-bin")
    names = {p["name"] for p in out["packages"]}
    tap.check("what it depends on came along", {"mmdb-bin", "libmaxminddb0", "libc6"} <= names, True)
    if os.geteuid() != 0:
        return tap.skip("it runs in nothing but its image", "needs root for chroot")
    image = unpack(out, WORK / "maxmind-image")
    ran = run("chroot", image, "/usr/bin/mmdblookup", "--version", check=False)
    tap.check_contains("it runs in nothing but its image", ran.stdout + ran.stderr, "mmdblookup version")
    return None


def no_root_is_needed():
    if os.geteuid() != 0:
        return tap.skip("another user gets the same image", "this is another user already")
    folder = WORK / "nobody"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    os.chmod(WORK, 0o755)
    shutil.copy(WORK / "program", folder / "program")
    program = shutil.copy(PROGRAM, folder)
    result = run(program, "image", "build", "--binary", folder / "program", "--output", folder / "out:1", "--compression", "gzip", "--package", "tzdata", "--json",
                 check=False, user=65534, group=65534, extra_groups=[], cwd=folder, env={**os.environ, "DOGSHORE_STATE": str(folder / "state"), "TMPDIR": str(folder)})
    tap.check("another user gets the same image", json.loads(result.stdout).get("digest", result.stdout), OUT["zones"]["digest"])
    return None


def what_makes_no_sense_is_refused():
    def refused(*packages):
        status, out = attempt(WORK / "refused:1", *[w for p in packages for w in ("--package", p)])
        return status, out["error"]

    for name in ("-oAPT::Install=1", "tzdata-", "tzdata+", "Tzdata", "../x", "tz*", "a", "", "tzdata="):
        status, error = refused(name)
        tap.check(f"\"{name}\" is no name", (status, error["kind"]), (2, "usage"))
    status, error = refused("no-such-package-anywhere")
    tap.check("an unknown package", (status, error["kind"]), (3, "not_found"))
    tap.check_contains("it is named", error["message"], "no-such-package-anywhere")
    status, error = refused("tzdata=1")
    tap.check("a version that is not to be had", (status, error["kind"]), (3, "not_found"))
    status, error = refused("mount")
    tap.check("a package with a setuid file", (status, error["kind"]), (2, "invalid"))
    tap.check_contains("the file is named", error["message"], "bin/mount")
    tap.check("no work folder is left", [p.name for p in (WORK / "state" / "packages").iterdir() if p.name.startswith("new-")], [])
    status, out = attempt(WORK / "refused:1", "--package", "tzdata", "--platform", "linux/arm64")
    tap.check("packages for another machine", (status, out["error"]["kind"]), (2, "usage"))


def a_run_packs_what_dogshore_yml_names():
    repository = WORK / "repository"
    (repository / "svc").mkdir(parents=True)
    (repository / "dogshore.yml").write_text("app: demo\nservices:\n  svc: {path: svc, image: {binary: out, packages: [tzdata], sbom: true}}\n")
    (repository / "svc" / "main.c").write_text("int main(void) { return 0; }\n")
    (repository / "svc" / "buildspec.yml").write_text(
        "version: 0.2\nphases: {build: {commands: ['cc -static -o out svc/main.c']}}\nartifacts: {files: [out]}\n")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "one"]):
        run("git", "-C", repository, *words)
    result = json.loads(run(PROGRAM, "run", "--json", cwd=repository).stdout)
    tap.check("the run is done", [(s["name"], s["status"]) for s in result["steps"]], [("build", "passed"), ("image", "passed")])
    layout = WORK / "state" / "images" / "demo" / "svc"
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    tag = next(e["annotations"]["org.opencontainers.image.ref.name"] for e in entries if "annotations" in e)
    seen = json.loads(run(PROGRAM, "image", "inspect", f"{layout}:{tag}", "--why", "/usr/share/zoneinfo/Europe/Berlin", "--json").stdout)
    tap.check("a zone of tzdata is in the image, and the package says why", ["tzdata" in json.dumps(seen)], [True])


if not shutil.which("cc") or not shutil.which("apt-get"):
    tap.skip_all("there is no C compiler, or no apt-get")
(WORK / "program.c").write_text("int main(void) { return 0; }\n")
run("cc", "-static", "-o", WORK / "program", WORK / "program.c")
status, out = attempt(WORK / "probe:1", "--package", "tzdata")
if status == 3 and out["error"]["kind"] == "unavailable":
    tap.skip_all(f"apt cannot fetch here: {out['error']['message']}")
tap.run_tests(a_package_is_in_the_image_as_debian_ships_it, the_same_versions_give_the_same_image,
              programs_of_packages_bring_their_libraries_and_run, no_root_is_needed, what_makes_no_sense_is_refused,
              a_run_packs_what_dogshore_yml_names)
