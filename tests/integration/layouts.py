"""Image layouts for tests of what carries images about; nothing in them can be run."""
import hashlib
import json
import os
from pathlib import Path

from registry import digest_of

WORK = Path(os.environ["TMPDIR"])
MIB = 1 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


class Layout:
    """An image layout with layers of random bytes, or of those given."""

    def __init__(self, *sizes, tag="1"):
        self.path, self.blobs, self.tags = WORK / f"layout-{os.urandom(4).hex()}", [], {}
        (self.path / "blobs/sha256").mkdir(parents=True)
        (self.path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.add(tag, [os.urandom(size) for size in sizes])

    def blob(self, content):
        (self.path / "blobs/sha256" / hashlib.sha256(content).hexdigest()).write_bytes(content)
        return {"digest": digest_of(content), "size": len(content)}

    def add(self, tag, layers, **more):
        layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar"} | self.blob(c) for c in layers]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [x["digest"] for x in layers]}}
        config = {"mediaType": CONFIG} | self.blob(json.dumps(config).encode())
        return self.put(tag, MANIFEST, {"config": config, "layers": layers} | more)

    def put(self, tag, kind, document):
        body = json.dumps({"schemaVersion": 2, "mediaType": kind} | document).encode()
        self.tags[tag] = {"mediaType": kind} | self.blob(body)
        entries = [t | {"annotations": {"org.opencontainers.image.ref.name": name}} for name, t in self.tags.items()]
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
        return body

    def digest(self, tag="1"):
        return self.tags[tag]["digest"]
