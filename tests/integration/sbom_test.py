#!/usr/bin/env python3
"""Bills of materials of `image build --sbom`, judged by the schema of CycloneDX, by rules of SPDX 2.3 read from its
specification, by dpkg, sha256sum and a parser of licence expressions that others wrote."""
# timeout: 300
# parallel: yes
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests"))
import shop  # noqa: E402
import tap  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ["DOGSHORE_STATE"] = str(WORK / "state")

# Uses OpenSSL as a shared library, zlib and an archive of its own as static ones.
SERVICE = r"""
#include <openssl/ssl.h>
#include <zlib.h>
int own(void);
int main(void) { return !SSL_CTX_new(TLS_method()) || !zlibVersion() || own(); }
"""


def run(*command, check=True, **more):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def build(binary, output, *more, **options):
    return json.loads(run(PROGRAM, "image", "build", "--binary", binary, "--output", output, "--json", *more, **options).stdout)


def compile_service(folder, *flags):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.c").write_text(SERVICE)
    (folder / "own.c").write_text("int own(void) { return 0; }\n")
    run("cc", "-c", "own.c", cwd=folder)
    run("ar", "rcsD", "libown.a", "own.o", cwd=folder)
    run("cc", "-O1", "-Wl,--build-id=none", "-Wl,-Map=service.map", *flags, "-o", "service", "service.c", "-L.", "-lown", "-lssl", "-lcrypto", "-l:libz.a", cwd=folder)
    return folder / "service"


def blob(layout, digest):
    return (Path(layout) / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()


def documents(layout, subject):
    """The referrers of a digest in a layout, by artifact type: their manifests and documents."""
    found = {}
    for entry in json.loads((Path(layout) / "index.json").read_text())["manifests"]:
        manifest = json.loads(blob(layout, entry["digest"]))
        if manifest.get("subject", {}).get("digest") == subject:
            layer = manifest["layers"][0]
            if not layer["mediaType"].endswith("+json"):
                continue
            found[manifest["artifactType"]] = (entry["digest"], layer, json.loads(blob(layout, layer["digest"])))
    return found


OUT = {}


def both_documents_are_referrers_of_the_image():
    service = compile_service(WORK / "a")
    OUT["json"] = build(service, WORK / "out:1", "--sbom", "--linker-map", WORK / "a" / "service.map", "--compression", "gzip")
    found = documents(WORK / "out", OUT["json"]["digest"])
    tap.check("there is an SPDX and a CycloneDX document", sorted(found), ["application/spdx+json", "application/vnd.cyclonedx+json"])
    tap.check("the result names the SPDX referrer", OUT["json"]["sbom"], found["application/spdx+json"][0])
    tap.check("each layer has the media type of its document", [layer["mediaType"] for _, layer, _ in found.values()], list(found))
    tap.check("without --sbom there is none", build(service, WORK / "plain:1")["sbom"], None)
    OUT["spdx"], OUT["cdx"] = (found[t][2] for t in ("application/spdx+json", "application/vnd.cyclonedx+json"))


def cyclonedx_satisfies_its_schema():
    folder = SOURCE / "build" / "schemas" / "package" / "res" / "schema"
    try:
        import jsonschema
    except ImportError:
        return tap.skip("the CycloneDX document satisfies its schema", "python3-jsonschema is not installed")
    if not folder.is_dir():
        return tap.skip("the CycloneDX document satisfies its schema", "build/schemas is not there (tools/setup --tests)")
    warnings.simplefilter("ignore", DeprecationWarning)
    store = {}
    for name in ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs"):
        schema = json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text())
        store[schema["$id"]] = store[f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json"] = schema
    schema = store["http://cyclonedx.org/schema/bom-1.6.SNAPSHOT.schema.json"]
    validator = jsonschema.Draft7Validator(schema, resolver=jsonschema.RefResolver(schema["$id"], schema, store=store))
    tap.check("the CycloneDX document satisfies its schema", [e.message for e in validator.iter_errors(OUT["cdx"])], [])
    OUT["cdx"]["components"][0]["type"] = "no such type"
    tap.check("and the schema would have found a mistake", bool(list(validator.iter_errors(OUT["cdx"]))), True)
    OUT["cdx"]["components"][0]["type"] = "library"
    return None


def components(document):
    """All of a CycloneDX document's, nested ones too."""
    left = [*document["components"], document["metadata"]["component"]]
    while left:
        one = left.pop()
        left += one.get("components", [])
        yield one


def cyclonedx_refers_to_what_is_there():
    refs = [c["bom-ref"] for c in components(OUT["cdx"])]
    tap.check("each bom-ref is there once", len(refs), len(set(refs)))
    dependencies = OUT["cdx"]["dependencies"]
    named = {d["ref"] for d in dependencies} | {r for d in dependencies for r in d["dependsOn"]}
    tap.check("dependencies are between components of the document", sorted(named - set(refs)), [])
    of_program = next(d["dependsOn"] for d in dependencies if d["ref"] == "file:/app/service")
    tap.check("the program depends on what it is linked with", {r.split("@")[0].split("/")[-1] for r in of_program} >=
              {"libssl.so.3", "libc.so.6", "zlib1g-dev", "archive:libown.a"}, True)


def spdx_keeps_its_rules():
    document = OUT["spdx"]
    tap.check("version, licence and id of the document", [document[k] for k in ("spdxVersion", "dataLicense", "SPDXID")],
              ["SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"])  # 6.1 to 6.3
    tap.check("the namespace is a URI without fragment", bool(re.fullmatch(r"[a-z]+:[^#\s]+", document["documentNamespace"])), True)  # 6.5
    tap.check("the time is 1970", document["creationInfo"]["created"], "1970-01-01T00:00:00Z")  # 6.9
    tap.check("the creator is a tool", document["creationInfo"]["creators"][0].startswith("Tool: dogshore-"), True)  # 6.8
    things = [*document["packages"], *document["files"]]
    ids = [t["SPDXID"] for t in things]
    tap.check("ids are unique and have allowed characters", (len(set(ids)), [i for i in ids if not re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i)]),
              (len(ids), []))  # 7.2, 8.2
    lacking = [p["name"] for p in document["packages"] if not p.get("downloadLocation") or not p.get("name")]
    lacking += [f["fileName"] for f in document["files"] if [c["algorithm"] for c in f["checksums"]] != ["SHA1", "SHA256"]]
    tap.check("what must be there is there", lacking, [])  # 7.7, 8.4
    known = {*ids, "SPDXRef-DOCUMENT"}
    tap.check("relationships are between things of the document",
              [r for r in document["relationships"] if {r["spdxElementId"], r["relatedSpdxElement"]} - known], [])
    tap.check("the document describes the image", [r["relatedSpdxElement"] for r in document["relationships"] if r["relationshipType"] == "DESCRIBES"],
              ["SPDXRef-Image"])
    image = next(p for p in document["packages"] if p["SPDXID"] == "SPDXRef-Image")
    sums = sorted(c["checksumValue"] for f in document["files"] for c in f["checksums"] if c["algorithm"] == "SHA1")
    tap.check("the verification code is that of the files", image["packageVerificationCode"]["packageVerificationCodeValue"],
              hashlib.sha1("".join(sums).encode()).hexdigest())  # 7.9
    tap.check("the image is named by its digest", (image["versionInfo"], image["externalRefs"][0]["referenceLocator"]),
              (OUT["json"]["digest"], f"pkg:oci/service@{OUT['json']['digest'].replace(':', '%3A')}?arch=amd64" if os.uname().machine == "x86_64" else
               image["externalRefs"][0]["referenceLocator"]))


def every_file_is_there_with_its_sum():
    files = {}
    for layer in OUT["json"]["layers"]:
        with tarfile.open(WORK / "out" / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:"), "r:gz") as archive:
            files |= {f"./{m.name}": hashlib.sha256(archive.extractfile(m).read()).hexdigest() for m in archive if m.isreg()}
    said = {f["fileName"]: f["checksums"][1]["checksumValue"] for f in OUT["spdx"]["files"]}
    tap.check("SPDX has each file of the layers with its SHA-256", said, files)
    said = {"." + c["name"]: c["hashes"][0]["content"] for c in components(OUT["cdx"]) if c["type"] == "file"}
    tap.check("and so has CycloneDX", said, files)


def packages_are_what_dpkg_says():
    wrong = []
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    distro = f"{release['ID']}-{release['VERSION_ID']}".replace('"', "")
    packages = [p for p in OUT["spdx"]["packages"] if p["SPDXID"].startswith("SPDXRef-Package-")]
    for package in packages:
        name = package["name"]
        version, architecture, source, source_version = run(
            "dpkg-query", "--showformat", "${Version} ${Architecture} ${source:Package} ${source:Version}", "--show", name).stdout.split()
        url = package["externalRefs"][0]["referenceLocator"]
        expected = f"pkg:deb/debian/{name}@{version}?arch={architecture}&distro={distro}".replace("+", "%2B")
        upstream = source if source != name else ""
        if source_version != version:
            upstream = f"{source}%40{source_version}".replace("+", "%2B")
        if upstream:
            expected += f"&upstream={upstream}"
        if package["versionInfo"] != version or url != expected or package["sourceInfo"] != f"built from the source package {source} {source_version}":
            wrong.append((package, expected))
    tap.check("versions, sources and package URLs are those of dpkg", (wrong, len(packages) > 4), ([], True))
    names = {c["purl"] for c in components(OUT["cdx"]) if c["type"] == "library" and "purl" in c}
    tap.check("CycloneDX has the same packages", names, {p["externalRefs"][0]["referenceLocator"] for p in packages})


def relations(kind, of=None):
    names = {t["SPDXID"]: t.get("name") or t["fileName"] for t in [*OUT["spdx"]["packages"], *OUT["spdx"]["files"]]}
    return {(names[r["spdxElementId"]], names[r["relatedSpdxElement"]]) for r in OUT["spdx"]["relationships"]
            if r["relationshipType"] == kind and (of is None or names[r["spdxElementId"]] == of)}


def static_libraries_come_from_the_linkers_map():
    static = {to for _, to in relations("STATIC_LINK", "./app/service")}
    tap.check("zlib's archive is of its package", "zlib1g-dev" in static, True)
    tap.check("an archive of our own is named without this machine's path", "libown.a" in static, True)
    tap.check("what the compiler adds is of its packages", {n for n in static if re.fullmatch(r"libgcc-\d+-dev|libc6-dev", n)} != set(), True)
    tap.check("what was only looked at is not there", [n for n in static if "ssl" in n], [])
    linked = {to for _, to in relations("DYNAMIC_LINK", "./app/service")}
    needed = set(re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", WORK / "a" / "service").stdout))
    tap.check("the shared libraries are those that objdump sees", {Path(f).name for f in linked}, needed)
    tap.check("zlib is not in the image itself", [p for p in relations("CONTAINS") if "zlib1g" in p[1]], [])
    for linker in ("gold", "lld"):
        if not shutil.which(f"ld.{linker}"):
            tap.skip(f"the map of {linker} is understood", "it is not installed")
            continue
        compile_service(WORK / linker, f"-fuse-ld={linker}")
        out = build(WORK / linker / "service", WORK / f"{linker}-out:1", "--sbom", "--linker-map", WORK / linker / "service.map")
        document = documents(WORK / f"{linker}-out", out["digest"])["application/spdx+json"][2]
        tap.check(f"the map of {linker} is understood", {"zlib1g-dev", "libown.a"} - {p["name"] for p in document["packages"]}, set())


def licences_are_expressions():
    declared = {p["name"]: p["licenseDeclared"] for p in OUT["spdx"]["packages"]}
    # Read by hand in /usr/share/doc/zlib1g-dev/copyright and /usr/share/doc/libssl3/copyright
    tap.check("zlib's licence", declared["zlib1g-dev"], "Zlib")
    tap.check("a file in free text says nothing", declared["libc6"], "NOASSERTION")
    comment = next(p["licenseComments"] for p in OUT["spdx"]["packages"] if p["name"] == "libc6")
    tap.check_contains("but its digest is there", comment, hashlib.sha256(Path("/usr/share/doc/libc6/copyright").read_bytes()).hexdigest())
    used = {w for e in declared.values() for w in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", e)}
    texts = {i["licenseId"]: i["extractedText"] for i in OUT["spdx"].get("hasExtractedLicensingInfos", [])}
    tap.check("each reference has its text", (used ^ set(texts), [i for i, t in texts.items() if not t.strip()]), (set(), []))
    if not shutil.which("node") or not Path("/usr/share/nodejs/spdx-expression-parse").is_dir():
        return tap.skip("all are expressions of SPDX", "node-spdx-expression-parse is not installed")
    script = 'const p = require("spdx-expression-parse"); for (const e of JSON.parse(process.argv[1])) p(e)'
    # Our licences, and those of every package that is installed here.
    out = build(WORK / "a" / "service", WORK / "all:1", "--sbom", *[w for c in sorted(Path("/usr/share/doc").glob("lib*/copyright"))[:200]
                for w in ("--file", f"{c}:/doc/{c.parent.name}")])
    document = documents(WORK / "all", out["digest"])["application/spdx+json"][2]
    expressions = sorted({p["licenseDeclared"] for p in document["packages"]} - {"NOASSERTION"})
    result = run("node", "-e", script, json.dumps(expressions), check=False, env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})
    tap.check("all are expressions of SPDX", (result.returncode, result.stderr, len(expressions) > 20), (0, "", True))
    return None


def equal_images_have_equal_documents():
    again = build(WORK / "a" / "service", WORK / "again:1", "--sbom", "--linker-map", WORK / "a" / "service.map", "--compression", "gzip", "--no-cache")
    tap.check("again, without any cache", again["sbom"], OUT["json"]["sbom"])
    other = compile_service(WORK / "some" / "where" / "else")
    there = build(other, WORK / "other:1", "--sbom", "--linker-map", other.parent / "service.map", "--compression", "gzip",
                  env={**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "DOGSHORE_STATE": str(WORK / "other-state")}, umask=0o077)
    tap.check("compiled in another folder", (there["digest"], there["sbom"]), (again["digest"], again["sbom"]))
    dated = build(WORK / "a" / "service", WORK / "dated:1", "--sbom", env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    document = documents(WORK / "dated", dated["digest"])["application/spdx+json"][2]
    tap.check("SOURCE_DATE_EPOCH is its time", document["creationInfo"]["created"], "2023-11-14T22:13:20Z")  # date -u -d @1700000000
    plain = documents(WORK / "again", again["digest"])["application/spdx+json"][2]
    tap.check("other documents have other namespaces", plain["documentNamespace"] != document["documentNamespace"], True)


def a_static_program_has_a_bill_too():
    (WORK / "static.c").write_text("#include <zlib.h>\nint main(void) { return !zlibVersion(); }\n")
    run("cc", "-static", f"-Wl,-Map={WORK}/static.map", "-o", WORK / "static", WORK / "static.c", "-lz")
    out = build(WORK / "static", WORK / "static-out:1", "--sbom", "--linker-map", WORK / "static.map")
    document = documents(WORK / "static-out", out["digest"])["application/spdx+json"][2]
    names = {p["name"] for p in document["packages"]}
    tap.check("glibc and zlib inside it are named", {"libc6-dev", "zlib1g-dev"} <= names, True)


def an_image_on_a_base_names_it():
    base = build(WORK / "static", WORK / "base:1")
    out = build(WORK / "a" / "service", WORK / "on-base:1", "--base", f"{WORK}/base:1", "--sbom")
    found = documents(WORK / "on-base", out["digest"])
    spdx, cdx = (found[t][2] for t in ("application/spdx+json", "application/vnd.cyclonedx+json"))
    of_base = next(p for p in spdx["packages"] if p["SPDXID"] == "SPDXRef-Base")
    tap.check("SPDX: the base is an ancestor, by digest", (of_base["versionInfo"], [(r["spdxElementId"], r["relatedSpdxElement"]) for r in spdx["relationships"]
              if r["relationshipType"] == "DESCENDANT_OF"]), (base["digest"], [("SPDXRef-Image", "SPDXRef-Base")]))
    image = next(p for p in spdx["packages"] if p["SPDXID"] == "SPDXRef-Image")
    tap.check("SPDX: no code claims to be of all files", (image["filesAnalyzed"], "packageVerificationCode" in image), (False, False))
    tap.check("CycloneDX: so is it", [a["version"] for a in cdx["metadata"]["component"]["pedigree"]["ancestors"]], [base["digest"]])
    OUT["cdx"] = cdx
    cyclonedx_satisfies_its_schema()


def the_project_file_asks_for_it():
    stage = shop.Shop()
    stage.make_repository()
    stage.pretend_cloud()
    stage.put("svc/buildspec.yml", shop.BUILDSPEC.replace("[out]", "[out, out.map]") % "cc -static -g -O1 -Wl,--build-id,-Map=svc/out.map -o svc/out svc/svc.c")
    stage.edit("dogshore.yml", "binary: out", "binary: out, sbom: true, linker_map: out.map, debug: true")
    stage.run_commit("with all that belongs to it")
    layout = stage.layout()
    subjects = [m["digest"] for m in json.loads((layout / "index.json").read_text())["manifests"] if "ref.name" in " ".join(m.get("annotations", {}))]
    types = sorted(json.loads(blob(layout, m["digest"])).get("artifactType", "") for m in json.loads((layout / "index.json").read_text())["manifests"]
                   if m["digest"] not in subjects)
    tap.check("an image of `run` has what its keys ask for", [t for t in types if "provenance" not in t and "in-toto" not in t],
              ["application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.dogshore.debug.v1"])
    spdx = documents(layout, subjects[0])["application/spdx+json"][2]
    tap.check("the map of the build was read", "libc6-dev" in {p["name"] for p in spdx["packages"]}, True)


def mistakes_are_named():
    def refused(*more):
        result = run(PROGRAM, "image", "build", "--binary", WORK / "a" / "service", "--output", WORK / "refused:1", "--json", *more, check=False)
        return result.returncode, json.loads(result.stdout)["error"]

    status, error = refused("--sbom", "--linker-map", WORK / "a" / "service.c")
    tap.check("a file that is no map", (status, error["kind"]), (2, "invalid"))
    tap.check_contains("it is told how to make one", error["next"], "-Wl,-Map=FILE")
    status, error = refused("--linker-map", WORK / "a" / "service.map")
    tap.check("a map without --sbom", (status, error["kind"]), (2, "usage"))
    status, error = refused("--sbom", "--linker-map", WORK / "nothing.map")
    tap.check("a map that is not there", (status, error["kind"]), (3, "not_found"))


if not shutil.which("cc") or not shutil.which("dpkg-query"):
    tap.skip_all("there is no C compiler, or no dpkg")
tap.run_tests(both_documents_are_referrers_of_the_image, cyclonedx_satisfies_its_schema, cyclonedx_refers_to_what_is_there,
              spdx_keeps_its_rules, every_file_is_there_with_its_sum, packages_are_what_dpkg_says,
              static_libraries_come_from_the_linkers_map, licences_are_expressions, equal_images_have_equal_documents,
              a_static_program_has_a_bill_too, an_image_on_a_base_names_it, the_project_file_asks_for_it, mistakes_are_named)
