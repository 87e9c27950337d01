#!/usr/bin/env python3
"""Signatures, provenance and policies: checked by hand with OpenSSL, tampered with, and asked of registries."""
# timeout: 300
# parallel: yes
import base64
import gzip
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests" / "integration")]
import tap  # noqa: E402
from registry import DockerRegistry, ScriptedRegistry, digest_of  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
for name in list(os.environ):
    if name.startswith(("AWS_", "DOGSHORE_KEY", "DOGSHORE_SIGNING", "DOGSHORE_BUILDER")):
        del os.environ[name]
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
SLSA = "https://slsa.dev/provenance/v1"
FACTS = {"repository": "https://git.example.com/shop/booking", "commit": "01" * 20, "service": "rooms",
         "buildspec": {"path": "services/rooms/buildspec.yml", "sha256": "ab" * 32}, "key": "cd" * 32, "toolchain": "debian 12"}
images = {}


class Result:
    def __init__(self, *words, **environment):
        process = subprocess.run([PROGRAM, *map(str, words), "--json"], capture_output=True, text=True,
                                 env={**os.environ, **environment})
        self.status, self.said = process.returncode, process.stdout + process.stderr
        self.document = json.loads(process.stdout)
        self.error = self.document.get("error", {})

    def checks(self):
        return {c["name"]: c["status"] for c in self.document["checks"]}

    def wrong(self):
        return "; ".join(c["detail"] for c in self.document.get("checks", []) if c["status"] == "failed")


def openssl(*words, **more):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=True, **more).stdout


def new_key(name, curve="P-256"):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", WORK / f"{name}.key")
    openssl("pkey", "-in", WORK / f"{name}.key", "-pubout", "-out", WORK / f"{name}.pem")


def build(layout, *more, text="one", **environment):
    (WORK / "main.c").write_text(f'#include <stdio.h>\nint main(void) {{ puts("{text}"); return 0; }}\n')
    subprocess.run(["cc", "-o", WORK / "program", WORK / "main.c"], check=True)
    return Result("image", "build", "--binary", WORK / "program", "--output", f"{WORK / layout}:1", *more, **environment)


def ready():
    for name in ("release", "other"):
        new_key(name)
    new_key("wide", "P-384")
    (WORK / "facts.json").write_text(json.dumps(FACTS))
    (WORK / "policy.yml").write_text("keys: {release: release.pem}\nrequire: [signature, provenance]\n"
                                     'builders: ["urn:dogshore:*"]\nrepositories: ["https://git.example.com/shop/*"]\n')
    (WORK / "signed.yml").write_text("keys: {release: release.pem}\n")
    (WORK / "sbom.yml").write_text("keys: {release: release.pem}\nrequire: [sbom]\n")
    built = build("whole", "--provenance", WORK / "facts.json", "--key", WORK / "release.key")
    images["plain"] = build("plain").document["digest"]
    images["whole"] = built.document["digest"]
    tap.check("an image is built with evidence", built.status, 0)


# ---- reading a layout as any tool would


def blob(layout, digest):
    return (WORK / layout / "blobs" / "sha256" / digest[7:]).read_bytes()


def manifests(layout):
    return json.loads((WORK / layout / "index.json").read_text())["manifests"]


def referrers(layout, kind):
    return [m for m in manifests(layout) if m.get("artifactType") == kind]


def document_of(layout, descriptor):
    manifest = json.loads(blob(layout, descriptor["digest"]))
    return json.loads(blob(layout, manifest["layers"][0]["digest"])), manifest


def tagged(layout, tag):
    return next(m for m in manifests(layout) if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag)


def openssl_accepts(key, content, signature):
    (WORK / "content").write_bytes(content)
    (WORK / "signature").write_bytes(signature)
    done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", WORK / f"{key}.pem", "-signature", WORK / "signature",
                           WORK / "content"], capture_output=True, text=True)
    return done.stdout.strip() == "Verified OK"


def pae(kind, payload):
    """DSSE v1, protocol.md: SP is one space, LEN a decimal number."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


# ---- what is written


def the_images_digest_is_not_changed_by_evidence():
    tap.check("the same digest with and without", images["whole"], images["plain"])


def openssl_verifies_the_signature_by_hand():
    tag = f"sha256-{images['whole'][7:]}.sig"
    manifest = json.loads(blob("whole", tagged("whole", tag)["digest"]))
    layer = manifest["layers"][0]
    payload = blob("whole", layer["digest"])
    signature = base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"])
    tap.check("the layer is a simple signing document", layer["mediaType"], SIMPLE)
    critical = json.loads(payload)["critical"]
    tap.check("it names the image", (critical["image"]["docker-manifest-digest"], critical["type"]),
              (images["whole"], "cosign container image signature"))
    tap.check("openssl accepts the signature", openssl_accepts("release", payload, signature))
    tap.check("and not for another key", openssl_accepts("other", payload, signature), False)
    config = json.loads(blob("whole", manifest["config"]["digest"]))
    tap.check("its configuration lists the document", config["rootfs"]["diff_ids"], [layer["digest"]])


def openssl_verifies_the_envelopes_by_hand():
    hint = base64.b64encode(hashlib.sha256(openssl("pkey", "-pubin", "-in", WORK / "release.pem", "-outform", "DER")).digest()).decode()
    predicates = []
    for descriptor in referrers("whole", BUNDLE):
        bundle, manifest = document_of("whole", descriptor)
        envelope = bundle["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"])
        statement = json.loads(payload)
        predicates.append(statement["predicateType"])
        tap.check("a bundle is of version 0.3", (bundle["mediaType"], manifest["layers"][0]["mediaType"]), (BUNDLE, BUNDLE))
        tap.check("its annotations say what it is", (descriptor["annotations"]["dev.sigstore.bundle.content"],
                                                     manifest["annotations"]["dev.sigstore.bundle.predicateType"]),
                  ("dsse-envelope", statement["predicateType"]))
        tap.check("its hint is the key's SHA-256", bundle["verificationMaterial"]["publicKey"]["hint"], hint)
        tap.check("openssl accepts the signature of its PAE", openssl_accepts(
            "release", pae(envelope["payloadType"], payload), base64.b64decode(envelope["signatures"][0]["sig"])))
        tap.check("the statement is about the image", (statement["_type"], statement["subject"][0]["digest"]),
                  ("https://in-toto.io/Statement/v1", {"sha256": images["whole"][7:]}))
        tap.check("the bundle refers to the image", manifest["subject"]["digest"], images["whole"])
    tap.check("there is one of the signature and one of the provenance", sorted(predicates),
              ["https://sigstore.dev/cosign/sign/v1", SLSA])


def the_provenance_says_where_it_comes_from():
    (descriptor,) = referrers("whole", IN_TOTO)
    envelope, manifest = document_of("whole", descriptor)
    payload = base64.b64decode(envelope["payload"])
    tap.check("the layer is an envelope", (manifest["layers"][0]["mediaType"], envelope["payloadType"]),
              ("application/vnd.dsse.envelope.v1+json", IN_TOTO))
    tap.check("openssl accepts it", openssl_accepts("release", pae(IN_TOTO, payload), base64.b64decode(envelope["signatures"][0]["sig"])))
    statement = json.loads(payload)
    predicate = statement["predicate"]
    definition = predicate["buildDefinition"]
    tap.check("the predicate is SLSA provenance 1", statement["predicateType"], SLSA)
    tap.check("external parameters", definition["externalParameters"], {
        "repository": FACTS["repository"], "commit": FACTS["commit"], "service": "rooms",
        "buildspec": {"path": FACTS["buildspec"]["path"], "digest": {"sha256": "ab" * 32}}, "stepKey": "cd" * 32})
    compressor = definition["internalParameters"]["compressor"]
    tap.check("the compressor with version and level", (compressor["name"], compressor["level"], compressor["version"][:2]), ("zstd", 1, "1."))
    dependencies = {d["name"]: d for d in definition["resolvedDependencies"]}
    tap.check("the commit is a dependency", (dependencies["source"]["uri"], dependencies["source"]["digest"]),
              (f"git+{FACTS['repository']}@{FACTS['commit']}", {"gitCommit": FACTS["commit"]}))
    tap.check("so is the toolchain", dependencies["toolchain"]["annotations"]["identity"], "debian 12")
    if shutil.which("dpkg-query"):
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libc6"], capture_output=True, text=True).stdout
        tap.check_contains("so is libc6, as a package URL", dependencies["libc6"]["uri"], f"/libc6@{version}?arch=")
    tap.check("the builder", predicate["runDetails"]["builder"]["id"], "urn:dogshore:builder")
    tap.check("it refers to the image", manifest["subject"]["digest"], images["whole"])


def doing_it_again_adds_nothing():
    before = sorted(p.name for p in (WORK / "whole" / "blobs" / "sha256").iterdir())
    index = (WORK / "whole" / "index.json").read_text()
    build("whole", "--provenance", WORK / "facts.json", "--key", WORK / "release.key")
    Result("image", "sign", f"oci:{WORK}/whole:1", "--key", WORK / "release.key")
    tap.check("no blob is new", sorted(p.name for p in (WORK / "whole" / "blobs" / "sha256").iterdir()), before)
    tap.check("the index names the same", sorted(m["digest"] for m in json.loads(index)["manifests"]),
              sorted(m["digest"] for m in manifests("whole")))


# ---- policies


def verify(layout, policy="policy.yml", *more):
    return Result("image", "verify", f"{WORK / layout}:1", "--policy", WORK / policy, *more)


def a_whole_image_passes():
    passed = verify("whole")
    tap.check("it passes", (passed.status, passed.document["status"]), (0, "passed"))
    tap.check("every check is named", passed.checks(), dict.fromkeys(
        ("manifest", "configuration", "layers", "evidence", "signature", "provenance"), "passed"))
    tap.check("oci: may stand before it", Result("image", "verify", f"oci:{WORK}/whole:1", "--key", WORK / "release.pem").status, 0)


def what_is_missing_is_named():
    for policy, word in (("signed.yml", "there is no signature"), ("policy.yml", "there is no provenance"), ("sbom.yml", "there is no SBOM")):
        refused = verify("plain", policy)
        tap.check(f"{policy}: exit 1", (refused.status, refused.document["status"]), (1, "failed"))
        tap.check_contains(f"{policy}: says so", refused.wrong(), word)


def strangers_are_not_trusted():
    build("theirs", "--provenance", WORK / "facts.json", "--key", WORK / "other.key")
    refused = verify("theirs")
    tap.check("another key: exit 1", refused.status, 1)
    tap.check_contains("it says why", refused.wrong(), "is by a key that the policy does not name")
    Result("image", "sign", f"oci:{WORK}/theirs:1", "--key", WORK / "release.key")
    tap.check("a second signature by ours is enough", verify("theirs", "signed.yml").status, 0)
    tap.check("the first one stays", Result("image", "verify", f"{WORK}/theirs:1", "--key", WORK / "other.pem").status, 0)


def builder_and_repository_are_compared():
    build("elsewhere", "--provenance", WORK / "facts.json", "--key", WORK / "release.key", DOGSHORE_BUILDER_ID="https://ci.example.net/x")
    tap.check_contains("another builder", verify("elsewhere").wrong(), 'the builder is "https://ci.example.net/x"')
    (WORK / "fork.json").write_text(json.dumps({**FACTS, "repository": "https://git.example.com/fork/booking"}))
    build("fork", "--provenance", WORK / "fork.json", "--key", WORK / "release.key")
    tap.check_contains("another repository", verify("fork").wrong(), 'the repository is "https://git.example.com/fork/booking"')
    build("signed-only", "--key", WORK / "release.key")
    for member in ('builders: ["*"]', 'repositories: ["*"]'):
        (WORK / "implied.yml").write_text(f"keys: {{release: release.pem}}\n{member}\n")
        tap.check_contains(f"{member} asks for provenance, too", verify("signed-only", "implied.yml").wrong(), "there is no provenance")
    build("unsigned", "--provenance", WORK / "facts.json")
    tap.check_contains("provenance that nobody signed", verify("unsigned").wrong(), "is not signed")


def refer(layout, subject, kind, content):
    folder = WORK / layout / "blobs" / "sha256"

    def put(text):
        (folder / hashlib.sha256(text).hexdigest()).write_bytes(text)
        return {"digest": digest_of(text), "size": len(text)}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": kind,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", **put(b"{}")},
                "layers": [{"mediaType": kind, **put(content)}],
                "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject,
                            "size": (folder / subject[7:]).stat().st_size}}
    entry = {"mediaType": manifest["mediaType"], **put(json.dumps(manifest).encode()), "artifactType": kind}
    index = json.loads((WORK / layout / "index.json").read_text())
    index["manifests"].append(entry)
    (WORK / layout / "index.json").write_text(json.dumps(index))
    return entry["digest"]


def an_sbom_counts_when_it_is_covered():
    digest = build("bill").document["digest"]
    refer("bill", digest, "application/spdx+json", b'{"spdxVersion":"SPDX-2.3"}')
    tap.check_contains("one that nobody signed is refused", verify("bill", "sbom.yml").wrong(), "is covered by no signature")
    Result("image", "sign", f"oci:{WORK}/bill:1", "--key", WORK / "release.key")
    tap.check("a signature covers it", verify("bill", "sbom.yml").status, 0)
    refer("bill", digest, "application/spdx+json", b'{"spdxVersion":"SPDX-2.3","name":"another"}')
    tap.check_contains("one that was added later is refused", verify("bill", "sbom.yml").wrong(), "is covered by no signature")
    digest = build("bill2").document["digest"]
    refer("bill2", digest, "application/vnd.cyclonedx+json", b'{"bomFormat":"CycloneDX"}')
    Result("image", "attest", f"oci:{WORK}/bill2:1", "--provenance", WORK / "facts.json", "--key", WORK / "release.key")
    tap.check("a signed provenance covers it too", verify("bill2", "sbom.yml").status, 0)
    build("bill3")
    (WORK / "doc.json").write_text('{"spdxVersion":"SPDX-2.3"}')
    attested = Result("image", "attest", f"oci:{WORK}/bill3:1", "--predicate", WORK / "doc.json", "--type", "spdx", "--key", WORK / "release.key")
    tap.check("and an attestation with an SBOM is one", (attested.status, verify("bill3", "sbom.yml").status), (0, 0))


def the_sbom_of_a_build_is_covered_and_refused_when_it_is_changed():
    built = build("with-bill", "--sbom", "--provenance", WORK / "facts.json", "--key", WORK / "release.key")
    (WORK / "all.yml").write_text("keys: {release: release.pem}\nrequire: [signature, provenance, sbom]\n")
    passed = verify("with-bill", "all.yml")
    tap.check("an image built with all of it passes", (built.status, passed.status), (0, 0))
    for kind in ("application/spdx+json", "application/vnd.cyclonedx+json"):
        (entry,) = referrers("with-bill", kind)
        copy_of("bill-changed", "with-bill")
        replace_blob("bill-changed", json.loads(blob("with-bill", entry["digest"]))["layers"][0]["digest"])
        refused = verify("bill-changed", "all.yml")
        tap.check(f"{kind}: a changed byte is refused", refused.status, 1)
        tap.check_contains(f"{kind}: by its name", refused.wrong(), "the SBOM was changed")
        copy_of("bill-forged", "with-bill")
        put_document("bill-forged", entry["digest"], lambda text: text.replace(b"libc6", b"libc7"))
        forged = verify("bill-forged", "all.yml")
        tap.check(f"{kind}: another one with fitting digests is refused", forged.status, 1)
        tap.check_contains(f"{kind}: it says why", forged.wrong(), f"({kind}) is covered by no signature")


# ---- tampering


def copy_of(name, layout="whole"):
    shutil.rmtree(WORK / name, ignore_errors=True)
    shutil.copytree(WORK / layout, WORK / name)
    return WORK / name


def replace_blob(layout, digest):
    path = WORK / layout / "blobs" / "sha256" / digest[7:]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def every_changed_byte_is_refused_by_its_name():
    image = json.loads(blob("whole", images["whole"]))
    sig = tagged("whole", f"sha256-{images['whole'][7:]}.sig")["digest"]
    (provenance,) = referrers("whole", IN_TOTO)
    bundle = next(m for m in referrers("whole", BUNDLE) if "sign/v1" in json.dumps(m))
    digest = build("with-sbom").document["digest"]
    sbom = refer("with-sbom", digest, "application/spdx+json", b'{"spdxVersion":"SPDX-2.3"}')
    Result("image", "sign", f"oci:{WORK}/with-sbom:1", "--key", WORK / "release.key")
    layer_of = lambda layout, name: json.loads(blob(layout, name))["layers"][0]["digest"]  # noqa: E731
    for what, layout, name, said in (
            ("a layer", "whole", image["layers"][0]["digest"], "layer 1 of 2 was changed"),
            ("the configuration", "whole", image["config"]["digest"], "the configuration was changed"),
            ("the manifest", "whole", images["whole"], "the manifest was changed"),
            ("the SBOM", "with-sbom", layer_of("with-sbom", sbom), "the SBOM was changed"),
            ("the SBOM's manifest", "with-sbom", sbom, "the SBOM was changed"),
            ("the provenance", "whole", layer_of("whole", provenance["digest"]), "the provenance was changed"),
            ("the signed document", "whole", layer_of("whole", sig), "the signature was changed"),
            ("the signatures' manifest", "whole", sig, "the signature was changed"),
            ("the bundle", "whole", layer_of("whole", bundle["digest"]), "the signature was changed")):
        copy_of("changed", layout)
        replace_blob("changed", name)
        refused = verify("changed", "policy.yml" if layout == "whole" else "sbom.yml")
        tap.check(f"{what}: exit 1", refused.status, 1)
        tap.check_contains(f"{what}: by its name", refused.wrong(), said)
        tap.check_contains(f"{what}: with the digest", refused.wrong(), name)


def put_document(layout, old_manifest, change):
    """Replaces a referrer's document as somebody would who can write into the registry: with digests that fit."""
    folder = WORK / layout / "blobs" / "sha256"
    manifest = json.loads(blob(layout, old_manifest))
    content = change(blob(layout, manifest["layers"][0]["digest"]))
    manifest["layers"][0].update(digest=digest_of(content), size=len(content))
    text = json.dumps(manifest).encode()
    for piece in (content, text):
        (folder / hashlib.sha256(piece).hexdigest()).write_bytes(piece)
    index = json.loads((WORK / layout / "index.json").read_text())
    for entry in index["manifests"]:
        if entry["digest"] == old_manifest:
            entry.update(digest=digest_of(text), size=len(text))
    (WORK / layout / "index.json").write_text(json.dumps(index))


def forgeries_with_fitting_digests_are_refused():
    def other_commit(text):
        document = json.loads(text)
        envelope = document.get("dsseEnvelope", document)
        payload = base64.b64decode(envelope["payload"]).replace(b"01" * 20, b"99" * 20)
        envelope["payload"] = base64.b64encode(payload).decode()
        return json.dumps(document).encode()

    copy_of("forged")
    for kind in (IN_TOTO, BUNDLE):
        for entry in referrers("forged", kind):
            if SLSA in json.dumps(entry):
                put_document("forged", entry["digest"], other_commit)
    refused = verify("forged")
    tap.check("another commit in the provenance: exit 1", (refused.status, refused.checks()["provenance"]), (1, "failed"))
    tap.check_contains("it says what was forged", refused.wrong(), "claims the key release, which did not make it")

    copy_of("swapped")
    build("second", "--provenance", WORK / "facts.json", "--key", WORK / "release.key", text="two")
    (theirs,) = [m for m in referrers("second", BUNDLE) if "sign/v1" in json.dumps(m)]
    document = json.dumps(document_of("second", theirs)[0]).encode()
    ours = next(m for m in referrers("swapped", BUNDLE) if "sign/v1" in json.dumps(m))
    put_document("swapped", ours["digest"], lambda _: document)
    tap.check_contains("a signature of another image", verify("swapped").wrong(), "speaks of another image: sha256:")

    copy_of("none")
    index = json.loads((WORK / "none" / "index.json").read_text())
    index["manifests"] = [m for m in index["manifests"] if not ("sign/v1" in json.dumps(m) or ".sig" in json.dumps(m))]
    (WORK / "none" / "index.json").write_text(json.dumps(index))
    tap.check_contains("signatures that were taken away", verify("none").wrong(), "there is no signature")


def signature_of(key, content):
    return base64.b64encode(openssl("dgst", "-sha256", "-sign", WORK / f"{key}.key", input=content)).decode()


def a_bundle(key, **content):
    """By the key, as cosign writes it."""
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": key}}, **content}).encode()


def message_of(content):
    return {"messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": base64.b64encode(hashlib.sha256(content).digest()).decode()},
                                 "signature": signature_of("release", content)}}


def statement_as(kind, digest):
    payload = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": digest[7:]}}],
                          "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}}).encode()
    return {"dsseEnvelope": {"payload": base64.b64encode(payload).decode(), "payloadType": kind,
                             "signatures": [{"sig": signature_of("release", pae(kind, payload))}]}}


def what_our_key_signed_counts_for_what_it_says_only():
    ours = blob("plain", images["plain"])
    theirs = blob("second", tagged("second", "1")["digest"])
    for what, content, status, said in (
            ("the manifest itself", message_of(ours), 0, ""),
            ("another manifest", message_of(theirs), 1, "is of another image"),
            ("a statement", statement_as(IN_TOTO, images["plain"]), 0, ""),
            ("the same as something else", statement_as("text/plain", images["plain"]), 1, "holds no in-toto statement")):
        copy_of("signed", "plain")
        refer("signed", images["plain"], BUNDLE, a_bundle("k", **content))
        result = verify("signed", "signed.yml")
        tap.check(f"{what}: status", result.status, status)
        tap.check_contains(f"{what}: why", result.wrong(), said)


def signatures_under_a_wrong_name_are_refused():
    folder = copy_of("borrowed", "plain")
    theirs = tagged("second", f"sha256-{tagged('second', '1')['digest'][7:]}.sig")
    shutil.copytree(WORK / "second" / "blobs", folder / "blobs", dirs_exist_ok=True)
    index = json.loads((folder / "index.json").read_text())
    name = f"sha256-{images['plain'][7:]}.sig"
    index["manifests"].append({**theirs, "annotations": {"org.opencontainers.image.ref.name": name}})
    (folder / "index.json").write_text(json.dumps(index))
    refused = verify("borrowed", "signed.yml")
    tap.check("the signatures of another image under our tag", (refused.status, refused.checks()["signature"]), (1, "failed"))
    tap.check_contains("it says so", refused.wrong(), "is of another image")

    folder = copy_of("claimed", "plain")
    stranger = tagged("second", "1")["digest"]
    shutil.copytree(WORK / "second" / "blobs", folder / "blobs", dirs_exist_ok=True)
    refer("claimed", stranger, BUNDLE, a_bundle("k", **message_of(blob("plain", images["plain"]))))
    index = json.loads((folder / "index.json").read_text())
    index["manifests"][-1]["annotations"] = {"dev.dogshore.subject": images["plain"]}
    (folder / "index.json").write_text(json.dumps(index))
    refused = verify("claimed", "signed.yml")
    tap.check_contains("a referrer of another image, listed as ours", refused.wrong(), "refers to another image")


def sizes_and_holes_are_refused():
    folder = copy_of("sized", "plain")
    image = json.loads(blob("sized", images["plain"]))
    image["layers"][1]["size"] += 1
    text = json.dumps(image).encode()
    (folder / "blobs" / "sha256" / hashlib.sha256(text).hexdigest()).write_bytes(text)
    index = json.loads((folder / "index.json").read_text())
    index["manifests"][0].update(digest=digest_of(text), size=len(text))
    (folder / "index.json").write_text(json.dumps(index))
    Result("image", "sign", f"oci:{folder}:1", "--key", WORK / "release.key")
    refused = verify("sized", "signed.yml")
    tap.check("a layer of another size than its manifest says: exit 1", refused.status, 1)
    tap.check_contains("it says which", refused.wrong(), "layer 2 of 2 was changed")
    folder = copy_of("hole")
    (folder / "blobs" / "sha256" / json.loads(blob("hole", images["whole"]))["layers"][0]["digest"][7:]).unlink()
    refused = verify("hole")
    tap.check("a layer that is not there, and has no base to lie with: exit 1", refused.status, 1)
    tap.check_contains("it says which", refused.wrong(), "layer 1 of 2")


def an_index_is_refused_for_what_is_below_it():
    folder = copy_of("many", "plain")
    index = json.loads((folder / "index.json").read_text())
    child = {k: v for k, v in tagged("many", "1").items() if k != "annotations"}
    text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [child]}).encode()
    (folder / "blobs" / "sha256" / hashlib.sha256(text).hexdigest()).write_bytes(text)
    index["manifests"] = [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest_of(text), "size": len(text),
                           "annotations": {"org.opencontainers.image.ref.name": "1"}}]
    (folder / "index.json").write_text(json.dumps(index))
    Result("image", "sign", f"oci:{folder}:1", "--key", WORK / "release.key")
    tap.check("it is signed as a whole", verify("many", "signed.yml").status, 0)
    image = json.loads(blob("many", child["digest"]))
    for what, digest in (("manifest", child["digest"]), ("configuration", image["config"]["digest"]), ("layer", image["layers"][1]["digest"])):
        copy_of("many-changed", "many")
        replace_blob("many-changed", digest)
        refused = verify("many-changed", "signed.yml")
        tap.check(f"a changed {what} below it: exit 1", refused.status, 1)
        tap.check_contains(f"a changed {what} below it: which", refused.wrong(), digest)


def hostile_documents_end_in_a_refusal():
    for name, text in (("empty", b""), ("no json", b"{"), ("deep", b"[" * 10000), ("numbers", b'{"payload":1}'),
                       ("no base64", b'{"payload":"*","payloadType":"x","signatures":[]}'),
                       ("no signatures", b'{"payload":"e30=","payloadType":"x"}'),
                       ("a bomb", gzip.compress(b"0" * 1000))):
        copy_of("hostile")
        (entry,) = referrers("hostile", IN_TOTO)
        put_document("hostile", entry["digest"], lambda _, text=text: text)
        refused = verify("hostile")
        tap.check(f"{name}: refused with a reason", (refused.status, bool(refused.wrong())), (1, True))


# ---- keys


def keys_come_from_files_variables_and_need_their_passphrase():
    openssl("pkcs8", "-topk8", "-in", WORK / "release.key", "-out", WORK / "locked.key", "-passout", "pass:open sesame", "-v2", "aes-256-cbc")
    build("keys", text="keys")
    place = f"oci:{WORK}/keys:1"
    check = lambda: Result("image", "verify", place, "--key", WORK / "release.pem").status  # noqa: E731
    refused = Result("image", "sign", place, "--key", WORK / "locked.key")
    tap.check("locked, without a passphrase", (refused.status, refused.error["kind"]), (3, "denied"))
    tap.check_contains("it says where to put it", refused.error["next"], "DOGSHORE_KEY_PASSPHRASE")
    wrong = Result("image", "sign", place, "--key", WORK / "locked.key", DOGSHORE_KEY_PASSPHRASE="abracadabra")
    tap.check("with a wrong one", (wrong.status, wrong.error["kind"], "abracadabra" in wrong.said), (3, "denied", False))
    tap.check("nothing was signed", check(), 1)
    right = Result("image", "sign", place, "--key", WORK / "locked.key", DOGSHORE_KEY_PASSPHRASE="open sesame")
    tap.check("with the right one", (right.status, check()), (0, 0))
    build("keys2", text="keys2")
    pem = (WORK / "release.key").read_text()
    by_name = Result("image", "sign", f"oci:{WORK}/keys2:1", "--key", "env:MY_KEY", MY_KEY=pem)
    tap.check("from a variable", by_name.status, 0)
    by_default = build("keys3", DOGSHORE_SIGNING_KEY=str(WORK / "release.key"), text="keys3")
    tap.check("named by DOGSHORE_SIGNING_KEY", (by_default.status, Result("image", "verify", f"{WORK}/keys3:1", "--key",
                                                                           WORK / "release.pem").status), (0, 0))
    broken = Result("image", "sign", place, "--key", "env:MY_KEY", MY_KEY=pem.replace("-----END", "AAAA-----END"))
    secret = "".join(pem.splitlines()[1:-1])[10:40]
    tap.check("a damaged key is not shown", (broken.status, secret in broken.said), (2, False))
    for name, words in (("a key on another curve", ("--key", WORK / "wide.key")), ("a public key", ("--key", WORK / "release.pem"))):
        tap.check(f"{name} is refused", Result("image", "sign", place, *words).status, 2)
    private = Result("image", "verify", place, "--key", WORK / "release.key")
    tap.check_contains("a private key is none to verify with", private.error["message"], "is a private key")
    tap.check("a missing key: exit 3", Result("image", "sign", place, "--key", WORK / "nowhere").status, 3)
    tap.check("a missing variable: exit 3", Result("image", "sign", place, "--key", "env:NOWHERE").status, 3)


class Kms(http.server.BaseHTTPRequestHandler):
    """Answers as AWS's model says, and signs with a real key."""
    requests, model, lie = [], None, False

    def do_POST(self):
        operation = self.headers["X-Amz-Target"].split(".")[1]
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append((self.headers["X-Amz-Target"], given, self.headers.get("Authorization", "")))
        answer, status = {}, 200
        if given["KeyId"] != "alias/release":
            status, answer = 400, {"__type": "NotFoundException", "message": f"Alias {given['KeyId']} is not found."}
        elif operation == "GetPublicKey":
            der = openssl("pkey", "-in", WORK / "release.key", "-pubout", "-outform", "DER")
            answer = {"KeyId": "arn:aws:kms:eu-central-1:111122223333:key/1", "PublicKey": base64.b64encode(der).decode(),
                      "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": ["ECDSA_SHA_256"]}
        else:
            key = "other" if Kms.lie else "release"
            signature = openssl("pkeyutl", "-sign", "-inkey", WORK / f"{key}.key", input=base64.b64decode(given["Message"]))
            answer = {"KeyId": given["KeyId"], "Signature": base64.b64encode(signature).decode(), "SigningAlgorithm": given["SigningAlgorithm"]}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def check_against_the_model(operation, given):
    try:
        import botocore.session
        import botocore.validate
    except ImportError:
        return tap.skip(f"{operation} has the shape of AWS's model", "python3-botocore is not installed")
    shape = botocore.session.get_session().get_service_model("kms").operation_model(operation).input_shape
    values = {**given, **({"Message": base64.b64decode(given["Message"])} if "Message" in given else {})}
    report = botocore.validate.ParamValidator().validate(values, shape)
    tap.check(f"{operation} has the shape of AWS's model", report.generate_report(), "")
    for name, member in shape.members.items():
        if name in given and getattr(member, "enum", None):
            tap.check(f"{operation}: {name} is one of AWS's words", given[name] in member.enum)
    return None


def a_key_in_kms_signs_without_leaving_it():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kms)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    aws = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
           "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
    build("kms", text="kms")
    place = f"oci:{WORK}/kms:1"
    signed = Result("image", "sign", place, "--key", "kms:alias/release", **aws)
    tap.check("it is signed", (signed.status, Result("image", "verify", place, "--key", WORK / "release.pem").status), (0, 0))
    tap.check("one key is asked for, two things are signed", [r[0] for r in Kms.requests],
              ["TrentService.GetPublicKey", "TrentService.Sign", "TrentService.Sign"])
    sign = Kms.requests[1][1]
    tap.check("a digest is sent, not the message", (sign["MessageType"], sign["SigningAlgorithm"], len(base64.b64decode(sign["Message"]))),
              ("DIGEST", "ECDSA_SHA_256", 32))
    for target, given, _ in Kms.requests[:2]:
        check_against_the_model(target.split(".")[1], given)
    tap.check("requests are signed for kms", all("/eu-central-1/kms/aws4_request" in r[2] for r in Kms.requests))
    again = Result("image", "sign", place, "--key", "awskms:///alias/release", **aws)
    tap.check("cosign's spelling; signing again asks for no signature", (again.status, len(Kms.requests)), (0, 4))
    gone = Result("image", "sign", place, "--key", "kms:alias/nobody", **aws)
    tap.check("an unknown key: exit 3", (gone.status, gone.error["kind"]), (3, "not_found"))
    Kms.lie = True
    build("lied", text="lied")
    lied = Result("image", "sign", f"oci:{WORK}/lied:1", "--key", "kms:alias/release", **aws)
    tap.check("a signature that does not fit is noticed", (lied.status, lied.error["kind"]), (3, "protocol"))
    server.shutdown()


# ---- registries



def cosign_accepts_it(ref):
    cosign = SOURCE / "build" / "cosign" / "usr" / "bin" / "cosign"  # of tools/setup
    cosign = cosign if cosign.exists() else shutil.which("cosign")
    if not cosign:
        tap.skip("cosign accepts it", "cosign is not installed, and Debian 13's could not be fetched")
        return
    # nobody but our key is asked: without a root of its own cosign would fetch the public one for bundles
    (WORK / "root.json").write_text('{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    bundle = ["--new-bundle-format", "--trusted-root", WORK / "root.json"]
    for name, words in (("the signature", ["verify"]), ("the signature as a bundle", ["verify", *bundle]),
                        ("the provenance", ["verify-attestation", *bundle, "--type", "slsaprovenance1"])):
        for key, accepted in (("release", True), ("other", False)):
            done = subprocess.run([cosign, *words, "--key", WORK / f"{key}.pem", "--insecure-ignore-tlog", "--private-infrastructure",
                                   "--allow-http-registry", ref], capture_output=True, text=True)
            tap.check(f"cosign {'accepts' if accepted else 'refuses'} {name} with {key}'s key", done.returncode == 0, accepted)
            if (done.returncode == 0) != accepted:
                tap.note(done.stderr)


def an_image_in_a_registry_is_signed_and_verified_there():
    if DockerRegistry.missing():
        return tap.skip("signing in a registry", "docker-registry is not installed")
    registry = DockerRegistry()
    try:
        ref = f"{registry.host}/booking/rooms:1"
        Result("image", "push", f"{WORK}/plain:1", ref)
        tap.check("not yet signed", Result("image", "verify", ref, "--key", WORK / "release.pem").status, 1)
        signed = Result("image", "sign", ref, "--key", WORK / "release.key")
        tap.check("signed there", (signed.status, signed.document.get("referrers")), (0, 2))
        tap.check("and verified", Result("image", "verify", ref, "--key", WORK / "release.pem").status, 0)
        Result("image", "sign", ref, "--key", WORK / "other.key")
        tap.check("a second signer replaces nobody", [Result("image", "verify", ref, "--key", WORK / f"{k}.pem").status for k in ("release", "other")], [0, 0])
        tap.check("not by a third", Result("image", "verify", ref, "--key", WORK / "wide.pem").status, 2)
        attested = Result("image", "attest", ref, "--provenance", WORK / "facts.json", "--key", WORK / "release.key")
        tap.check("attested there", (attested.status, Result("image", "verify", ref, "--policy", WORK / "policy.yml", "--no-layers").status), (0, 0))
        pushed = Result("image", "push", f"{WORK}/whole:1", f"{registry.host}/booking/whole:1")
        tap.check("a layout's evidence goes with the push", (pushed.document["referrers"],
                                                             Result("image", "verify", f"{registry.host}/booking/whole:1", "--policy",
                                                                    WORK / "policy.yml").status), (4, 0))
        Result("image", "push", f"{WORK}/whole:1", ref)
        tap.check("what others signed stays when a layout with signatures is pushed",
                  [Result("image", "verify", ref, "--key", WORK / f"{k}.pem").status for k in ("release", "other")], [0, 0])
        if shutil.which("skopeo"):
            tag = f"sha256-{images['plain'][7:]}.sig"
            seen = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/booking/rooms:{tag}"],
                                  capture_output=True, text=True)
            tap.check("skopeo reads the signatures: ours for the repository, the other one, ours of the layout", len(json.loads(seen.stdout)["layers"]), 3)
        cosign_accepts_it(f"{registry.host}/booking/whole:1")
    finally:
        registry.stop()
    return None


def a_registry_that_takes_only_images_keeps_evidence_too():
    """As ECR does with some artifacts; signature and provenance name the SBOM's own digest, which the registry never saw."""
    def script(request, _):
        manifest = json.loads(request.body) if request.method == "PUT" and request.kind == "manifest" else {}
        return ScriptedRegistry.refuse(405, "UNSUPPORTED", "Invalid JSON syntax") if "artifactType" in manifest else None

    built = build("for-ecr", "--sbom", "--provenance", WORK / "facts.json", "--key", WORK / "release.key")
    (WORK / "all.yml").write_text("keys: {release: release.pem}\nrequire: [signature, provenance, sbom]\n")
    registry = ScriptedRegistry(script)
    ref = f"{registry.host}/a/b:1"
    pushed = Result("image", "push", f"{WORK}/for-ecr:1", ref)
    tap.check("it goes there", (built.status, pushed.status, pushed.document.get("plain_referrers", 0) > 3), (0, 0, True)) or tap.note(pushed.said)
    passed = Result("image", "verify", ref, "--policy", WORK / "all.yml")
    tap.check("and passes: signature, provenance and SBOM", passed.status, 0) or tap.note(passed.said)
    signed = Result("image", "sign", ref, "--key", WORK / "other.key")
    tap.check("it can be signed there", (signed.status, Result("image", "verify", ref, "--key", WORK / "other.pem").status), (0, 0)) or tap.note(signed.said)
    tag = next(t for t in registry.manifests if t.startswith("sha256-") and "." not in t)
    kind, index = registry.manifests[tag]
    registry.manifests[tag] = kind, index.replace(rb'{\"schemaVersion\":2,', rb'{\"schemaVersion\": 2,')
    changed = Result("image", "verify", ref, "--policy", WORK / "all.yml")
    tap.check("one space more in what it keeps of the SBOM is refused", changed.status, 1)
    tap.check_contains("because nobody signed that", changed.wrong(), "(application/spdx+json) is covered by no signature")
    registry.stop()


def a_registry_that_changes_bytes_is_refused():
    image = json.loads(blob("whole", images["whole"]))
    layer, config = image["layers"][1]["digest"], image["config"]["digest"]
    (provenance,) = referrers("whole", IN_TOTO)
    document = json.loads(blob("whole", provenance["digest"]))["layers"][0]["digest"]
    for what, digest, said in (("a layer", layer, "layer 2 of 2"), ("the configuration", config, "the configuration"),
                               ("the provenance", document, IN_TOTO)):
        registry = ScriptedRegistry()
        Result("image", "push", f"{WORK}/whole:1", f"{registry.host}/a/b:1")
        content = bytearray(registry.blobs[digest])
        content[0] ^= 1
        registry.blobs[digest] = bytes(content)
        refused = Result("image", "verify", f"{registry.host}/a/b:1", "--policy", WORK / "policy.yml")
        registry.stop()
        tap.check(f"{what}: exit 1", refused.status, 1)
        tap.check_contains(f"{what}: by its name", json.dumps(refused.error), said)


def an_environment_takes_only_what_passes_its_policy():
    if DockerRegistry.missing("git"):
        return tap.skip("deploying with a policy", "docker-registry or git is not installed")
    registry = DockerRegistry()
    shop = WORK / "shop"
    shutil.rmtree(shop, ignore_errors=True)
    (shop / "svc").mkdir(parents=True)
    (shop / "deploy").mkdir()
    container = {"name": "svc", "image": "${image}", "essential": True}
    (shop / "svc" / "task.json").write_text(json.dumps({"family": "svc", "containerDefinitions": [container]}))
    (shop / "svc" / "service.json").write_text(json.dumps({"serviceName": "svc", "cluster": "shop", "desiredCount": 1}))
    (shop / "svc" / "buildspec.yml").write_text("version: 0.2\nphases: {build: {commands: [\"true\"]}}\n")
    project = ("app: shop\nservices:\n  svc: {path: svc, image: {binary: x}, deploy: {task: task.json, service: service.json}}\n"
               "environments:\n  production: {target: aws, region: eu-central-1, verify: %s}\n")
    (shop / "dogshore.yml").write_text(project % "deploy/policy.yml")
    (shop / "deploy" / "policy.yml").write_text("keys: {release: release.pem}\n")
    shutil.copy(WORK / "release.pem", shop / "deploy")
    git = lambda *words: subprocess.run(["git", "-C", shop, "-c", "user.name=t", "-c", "user.email=t@t", *words], check=True, capture_output=True)  # noqa: E731
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "x")
    # Nothing answers there: what is refused is refused before anything is asked of AWS, what is taken goes on to it.
    aws = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
           "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}

    def deploy(image, *more):
        return Result("deploy", "svc", "--env", "production", "--project", shop, "--image", image, *more, **aws)

    try:
        plain = f"{registry.host}/shop/plain@{images['plain']}"
        Result("image", "push", f"{WORK}/plain:1", f"{registry.host}/shop/plain:1")
        Result("image", "push", f"{WORK}/whole:1", f"{registry.host}/shop/whole:1")
        signed = f"{registry.host}/shop/whole@{images['whole']}"
        refused = deploy(plain)
        tap.check("one that nobody signed: exit 1", (refused.status, refused.error["kind"]), (1, "failed"))
        tap.check_contains("it says why", refused.error["message"], "deploy/policy.yml\" refuses the image: signature: there is no signature")
        tap.check_contains("and how to see more", refused.error["next"], "dogshore image verify")
        for what, more in (("of the work folder", ()), ("of the commit", ("--commit", "HEAD"))):
            taken = deploy(signed, *more)
            tap.check(f"a signed one passes a policy {what} and goes on to AWS", (taken.status, taken.error["kind"]), (3, "unavailable"))
            tap.check_contains(f"{what}: to AWS", taken.said, "127.0.0.1:9")
        (shop / "deploy" / "policy.yml").write_text("keys: {release: release.pem}\nrequire: [sbom]\n")
        tap.check("the commit's policy counts, not the folder's", (deploy(signed).status, deploy(signed, "--commit", "HEAD").status), (1, 3))
        (WORK / "machine.yml").write_text("keys: {other: other.pem}\n")
        (shop / "dogshore.yml").write_text(project % (WORK / "machine.yml"))
        git("commit", "-q", "-a", "-m", "y")
        tap.check("a policy of the machine by an absolute path", deploy(signed, "--commit", "HEAD").status, 1)
        (shop / "dogshore.yml").write_text(project % "deploy/nowhere.yml")
        checked = subprocess.run([PROGRAM, "check", shop], capture_output=True, text=True, cwd=shop, check=False)
        tap.check("check finds a policy that is not there", (checked.returncode, 'there is no "deploy/nowhere.yml"' in checked.stdout + checked.stderr),
                  (2, True))
        schema = json.loads(subprocess.run([PROGRAM, "check", "--schema"], capture_output=True, text=True, check=True).stdout)
        tap.check("the schema knows the key", '"verify"' in json.dumps(schema))
    finally:
        registry.stop()
    return None


def layers_that_a_layout_leaves_with_its_base_are_no_lack():
    if DockerRegistry.missing():
        return tap.skip("a layout with a base elsewhere", "docker-registry is not installed")
    registry = DockerRegistry()
    try:
        base = f"{registry.host}/shop/base:1"
        Result("image", "push", f"{WORK}/plain:1", base)
        built = build("based", "--base", base, "--key", WORK / "release.key", text="based")
        passed = Result("image", "verify", f"{WORK}/based:1", "--key", WORK / "release.pem")
        layers = next(c["detail"] for c in passed.document["checks"] if c["name"] == "layers")
        tap.check("it passes", (built.status, passed.status), (0, 0))
        tap.check_contains("and says what was not looked at", layers, "lie with the base image")
        image = json.loads(blob("based", built.document["digest"]))
        copy_of("based-changed", "based")
        replace_blob("based-changed", image["layers"][-1]["digest"])
        refused = Result("image", "verify", f"{WORK}/based-changed:1", "--key", WORK / "release.pem")
        tap.check_contains("a changed layer that is here is refused", refused.wrong(), "was changed")
    finally:
        registry.stop()
    return None


def wrong_use_is_explained():
    place = f"oci:{WORK}/whole:1"
    for what, words, said in (
            ("neither key nor policy", ("image", "verify", place), "--policy or --key"),
            ("both", ("image", "verify", place, "--policy", "x", "--key", "y"), "--policy or --key"),
            ("no key", ("image", "sign", place), "--key is missing"),
            ("nothing to attest", ("image", "attest", place), "--provenance or --predicate"),
            ("no type", ("image", "attest", place, "--predicate", WORK / "facts.json"), "--type is missing"),
            ("an unknown type", ("image", "attest", place, "--predicate", WORK / "facts.json", "--type", "sbomm"), "not known")):
        refused = Result(*words)
        tap.check(f"{what}: exit 2", refused.status, 2)
        tap.check_contains(f"{what}: says so", refused.error["message"], said)
    (WORK / "bad.json").write_text('{"comit": "x"}')
    bad = Result("image", "attest", place, "--provenance", WORK / "bad.json")
    tap.check("an unknown fact: exit 2", (bad.status, bad.error["kind"]), (2, "invalid"))


def a_bad_policy_says_where():
    for text, said in (
            ("keys: {release: release.pem}\nrequired: [sbom]\n", 'bad.yml:2:1: unknown member "required"'),
            ("keys: {release: release.pem}\nrequire: [sbom, signatur]\n", 'bad.yml:2:17: unknown evidence "signatur"'),
            ("keys: {release: nowhere.pem}\n", "nowhere.pem"),
            ("keys: {release: policy.yml}\n", "is no public key in PEM or DER"),
            ("keys: {release: wide.pem}\n", "is no key on the curve P-256"),
            ("require: [sbom]\n", 'the policy names no "keys"'),
            ("keys: []\n", '"keys" must name at least one key'),
            ("keys: {release: release.pem}\nbuilders: x\n", '"builders" must be a list'),
            ("- a\n", "this is no policy"),
            ("keys: {release: release.pem}\nkeys: {other: other.pem}\n", '"keys" stands here twice'),
            ("keys: {release: release.pem, release: other.pem}\n", 'the key "release" stands here twice'),
            ("keys: {", "bad.yml:")):
        (WORK / "bad.yml").write_text(text)
        refused = verify("whole", "bad.yml")
        tap.check(f"{said}: a policy is configuration", refused.status in (2, 3))
        tap.check_contains(f"{said}: says so", refused.said, json.dumps(said)[1:-1])
    (WORK / "good.json").write_text(json.dumps({"keys": {"release": (WORK / "release.pem").read_text()}, "require": ["signature"]}))
    tap.check("JSON with the key in it does as well", verify("whole", "good.json").status, 0)


if not shutil.which("cc") or not shutil.which("openssl"):
    tap.skip_all("there is no C compiler or no openssl")
tap.run_tests(
    the_images_digest_is_not_changed_by_evidence, openssl_verifies_the_signature_by_hand, openssl_verifies_the_envelopes_by_hand,
    the_provenance_says_where_it_comes_from, doing_it_again_adds_nothing, a_whole_image_passes, what_is_missing_is_named,
    strangers_are_not_trusted, builder_and_repository_are_compared, an_sbom_counts_when_it_is_covered, the_sbom_of_a_build_is_covered_and_refused_when_it_is_changed,
    every_changed_byte_is_refused_by_its_name, forgeries_with_fitting_digests_are_refused,
    what_our_key_signed_counts_for_what_it_says_only, signatures_under_a_wrong_name_are_refused, sizes_and_holes_are_refused,
    an_index_is_refused_for_what_is_below_it, hostile_documents_end_in_a_refusal,
    keys_come_from_files_variables_and_need_their_passphrase, a_key_in_kms_signs_without_leaving_it,
    an_image_in_a_registry_is_signed_and_verified_there, a_registry_that_takes_only_images_keeps_evidence_too, a_registry_that_changes_bytes_is_refused, an_environment_takes_only_what_passes_its_policy,
    layers_that_a_layout_leaves_with_its_base_are_no_lack, wrong_use_is_explained,
    a_bad_policy_says_where, ready=ready)
