"""Writes an OCI layout with tags 1 and 2, which differ in the last layer only:   layout.py FOLDER LAYERS MIB random|text zstd|none

random cannot be compressed; text is what this machine's shared libraries consist of. The layers' files lie beside the layout, in FOLDER.files/."""
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

folder, count, mib, kind, compression = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:6]
blobs, files = folder / "blobs/sha256", Path(f"{folder}.files")
blobs.mkdir(parents=True)
files.mkdir()


def library_bytes():
    """Pieces of as many MiB as asked for, cut from one library after the other."""
    names = sorted(p for p in Path("/usr/lib").glob("*-linux-gnu/**/*.so*") if p.is_file() and not p.is_symlink())
    rest = b""
    for name in itertools.cycle(names):
        rest += name.read_bytes()
        while len(rest) >= mib << 20:
            yield rest[: mib << 20]
            rest = rest[mib << 20:]


pieces = library_bytes() if kind == "text" else iter(lambda: os.urandom(mib << 20), None)


def blob(content, media_type):
    name = hashlib.sha256(content).hexdigest()
    (blobs / name).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(content)}


def layer(number):
    content, packed = next(pieces), io.BytesIO()
    (files / f"{number}").write_bytes(content)
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo(f"data/{number}")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    content, media_type = packed.getvalue(), "application/vnd.oci.image.layer.v1.tar"
    diff_id = "sha256:" + hashlib.sha256(content).hexdigest()
    if compression == "zstd":
        content = subprocess.run(["zstd", "-q", "-3", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout
        media_type += "+zstd"
    return blob(content, media_type), diff_id


layers = [layer(n) for n in range(count)]
manifests = []
for tag, of_tag in (("1", layers), ("2", layers[:-1] + [layer(count)])):
    config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/x"]},
              "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in of_tag]}}
    config = blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [x for x, _ in of_tag]}
    entry = blob(json.dumps(document).encode(), document["mediaType"])
    manifests.append(entry | {"annotations": {"org.opencontainers.image.ref.name": tag}})
(files / f"{count}").unlink()
(folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
(folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
