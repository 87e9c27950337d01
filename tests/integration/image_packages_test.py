#!/usr/bin/env python3
"""Images whose libraries are from Debian packages: one layer a package, what the package brings along, and what
dpkg itself says about it."""
# timeout: 300
# parallel: yes
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

# Two services: both use OpenSSL and zlib, one SQLite as well.
SOURCES = {
    "one": ("#include <openssl/ssl.h>\n#include <zlib.h>\nint main(void) { return !SSL_CTX_new(TLS_method()) || !zlibVersion(); }\n",
            ["-lssl", "-lcrypto", "-lz"]),
    "two": ("#include <openssl/ssl.h>\n#include <zlib.h>\n#include <sqlite3.h>\n#include <math.h>\n"
            "int main(int c, char **v) { return !SSL_CTX_new(TLS_method()) || !zlibVersion() || !sqlite3_libversion() || sqrt(c) < 0; }\n",
            ["-lssl", "-lcrypto", "-lz", "-lsqlite3", "-lm"]),
}


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def build(binary, output, *more):
    return json.loads(run(PROGRAM, "image", "build", "--binary", binary, "--output", output, "--json", *more).stdout)


def compile_all():
    for name, (text, libraries) in SOURCES.items():
        (WORK / f"{name}.c").write_text(text)
        run("cc", "-O1", "-Wl,--no-as-needed", "-o", WORK / name, WORK / f"{name}.c", *libraries)


def members(layout, layer):
    """Paths and contents of a layer that was packed with gzip."""
    with tarfile.open(Path(layout) / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:"), "r:gz") as archive:
        return {m.name.rstrip("/"): archive.extractfile(m).read() if m.isreg() else None for m in archive}


def package_of(path):
    """What dpkg itself says: it knows one of the two spellings."""
    for spelling in (path, path.removeprefix("/usr")):
        found = run("dpkg-query", "--search", spelling, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    return None


def packages_share_blobs_between_services():
    one, two = build(WORK / "one", WORK / "one-out:1"), build(WORK / "two", WORK / "two-out:1")
    by_package = [{" ".join(layer["packages"]): layer["digest"] for layer in out["layers"] if layer["kind"] == "libraries"}
                  for out in (one, two)]
    for package in ("libssl3", "zlib1g"):
        tap.check(f"{package} is a layer of its own", [package in layers for layers in by_package], [True, True])
        tap.check(f"both services share the blob of {package}", by_package[0].get(package), by_package[1].get(package))
    tap.check("SQLite is a further layer", set(by_package[1]) - set(by_package[0]) >= {"libsqlite3-0"}, True)
    bases = [next(layer["digest"] for layer in out["layers"] if layer["kind"] == "base") for out in (one, two)]
    tap.check("the layer of libc and loader is the same, though one service needs more of libc", bases[0], bases[1])


def every_file_is_in_the_layer_of_the_package_that_dpkg_names():
    out = build(WORK / "two", WORK / "gzip:1", "--compression", "gzip")
    wrong, libraries = [], 0
    for layer in out["layers"]:
        for path, content in members(WORK / "gzip", layer).items():
            if content is None or not path.startswith("usr/lib/") or ".so" not in path:
                continue
            libraries += 1
            if package_of("/" + path) not in layer["packages"]:
                wrong.append((path, layer["packages"]))
    tap.check("each library lies in the layer of the package that dpkg names", wrong, [])
    tap.check("and there were libraries to look at", libraries > 5, True)


def a_package_brings_its_licence_and_its_entry_for_scanners():
    out = build(WORK / "two", WORK / "gzip:1", "--compression", "gzip")
    files = {}
    for layer in out["layers"]:
        files |= {path: content for path, content in members(WORK / "gzip", layer).items() if content is not None}
    packages = {package for layer in out["layers"] for package in layer["packages"]}
    lacking = [p for p in packages if files.get(f"usr/share/doc/{p}/copyright") != Path(f"/usr/share/doc/{p}/copyright").read_bytes()]
    tap.check("the copyright file of each package is in the image", lacking, [])
    wrong = []
    for package in sorted(packages):
        entry = files.get(f"var/lib/dpkg/status.d/{package}", b"").decode()
        # one line a field, as dpkg-query reads a status file
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and not line.startswith(" "))
        said = run("dpkg-query", "--showformat", "${Version} ${Architecture} ${Source}", "--show", package).stdout
        if said != f"{fields.get('Version')} {fields.get('Architecture')} {fields.get('Source', '')}" or fields.get("Package") != package:
            wrong.append((package, said, entry))
    tap.check("status.d says of each package what dpkg-query says", wrong, [])
    bad, sums = [], 0
    for path, content in files.items():
        if not path.endswith(".md5sums"):
            continue
        for line in content.decode().splitlines():
            digest, name = line.split("  ")
            spelled = name if name in files else f"usr/{name}"
            sums += 1
            if hashlib.md5(files.get(spelled, b"?")).hexdigest() != digest:
                bad.append(line)
    tap.check("the sums are those of files in the image", (bad, sums > 5), ([], True))
    tap.check("the release is named", files["usr/lib/os-release"], Path("/usr/lib/os-release").read_bytes())
    again = build(WORK / "two", WORK / "again:1", "--compression", "gzip", "--no-cache")
    tap.check("all of it is reproducible", again["digest"], out["digest"])


def a_static_program_brings_nothing_of_dpkg():
    (WORK / "static.c").write_text("int main(void) { return 0; }\n")
    run("cc", "-static", "-o", WORK / "static", WORK / "static.c")
    out = build(WORK / "static", WORK / "static-out:1", "--explain")
    tap.check("a static program brings no package along", [f["path"] for f in out["files"] if "dpkg" in f["path"] or "doc" in f["path"]], [])


if not shutil.which("cc") or not shutil.which("dpkg-query"):
    tap.skip_all("there is no C compiler, or no dpkg")
compile_all()
tap.run_tests(packages_share_blobs_between_services, every_file_is_in_the_layer_of_the_package_that_dpkg_names,
              a_package_brings_its_licence_and_its_entry_for_scanners, a_static_program_brings_nothing_of_dpkg)
