#!/usr/bin/env python3
"""The distribution specification 1.1, case by case, against the registry of the local cloud. Each row of a table and each
function is one test; the comment behind a row is the end point of the specification that it is about."""
# parallel: yes
import hashlib
import http.client
import json
import os
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from local_cloud import Cloud, check, run_tests, test

cloud = Cloud()
ecr = cloud.client("ecr")
REPOSITORIES = ("spec/a", "spec/b", "spec/lists", "spec/referrers")
for each in REPOSITORIES:
    ecr.create_repository(repositoryName=each)
token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
A = "/v2/spec/a/"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
LIMIT = 4 << 20


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def sha512(content):
    return "sha512:" + hashlib.sha512(content).hexdigest()


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def codes(self):
        return [error["code"] for error in json.loads(self.body)["errors"]]

    def expect(self, status, **headers):
        check(self.status == status, f"{self.status}, not {status}: {self.body[:300]}")
        for name, value in headers.items():
            name = name.replace("_", "-")
            check(self.headers[name] == value, f"{name}: {self.headers[name]}, not {value}")
        return self


def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", cloud.program.port, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": "Basic " + token}
    connection.request(method, path, body, headers, encode_chunked=headers.get("Transfer-Encoding") == "chunked")
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def session(repository="spec/a", query=""):
    return ask("POST", f"/v2/{repository}/blobs/uploads/{query}").expect(202).headers["Location"]


def push(content, repository="spec/a", name=None):
    name = name or sha256(content)
    ask("POST", f"/v2/{repository}/blobs/uploads/?digest={name}", content).expect(201)
    return name


def descriptor(content, kind=LAYER, **more):
    return {"mediaType": kind, "digest": push(content), "size": len(content), **more}


def image(layers, config=b"{}", **more):
    """The bytes of an image manifest; layers are descriptors."""
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG), "layers": layers,
                       **more}).encode()


def index(manifests, **more):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, **more}).encode()


def put(content, reference=None, kind=MANIFEST, repository="spec/a"):
    return ask("PUT", f"/v2/{repository}/manifests/{reference or sha256(content)}", content, Content_Type=kind)


def naming(content, kind=MANIFEST):
    return {"mediaType": kind, "digest": sha256(content), "size": len(content)}


# ---- uploads

def post_then_put(content, name):
    return ask("PUT", f"{session()}?digest={name}", content, Content_Type="application/octet-stream")


def single_post(content, name):
    return ask("POST", f"{A}blobs/uploads/?digest={name}", content)


def in_chunks(content, name):
    location, step = session(), max(1, len(content) // 3)
    for start in range(0, len(content), step):
        chunk = content[start:start + step]
        answer = ask("PATCH", location, chunk, Content_Range=f"{start}-{start + len(chunk) - 1}")
        answer.expect(202, Range=f"0-{start + len(chunk) - 1}")
        location = answer.headers["Location"]
    return ask("PUT", f"{location}?digest={name}")


def last_chunk_in_put(content, name):
    half = len(content) // 2
    location = session()
    if half:
        location = ask("PATCH", location, content[:half], Content_Range=f"0-{half - 1}").expect(202).headers["Location"]
    return ask("PUT", f"{location}?digest={name}", content[half:], Content_Range=f"{half}-{len(content) - 1}")


def streamed(content, name):
    """One PATCH in chunks of the transfer, without a length or a range."""
    pieces = (content[i:i + 70_001] for i in range(0, len(content), 70_001))
    location = ask("PATCH", session(), pieces, Transfer_Encoding="chunked").expect(202).headers["Location"]
    return ask("PUT", f"{location}?digest={name}")


def sha512_said_first(content, name):
    location = session(query="?digest-algorithm=sha512")
    return ask("PUT", f"{ask('PATCH', location, content).expect(202).headers['Location']}?digest={name}")


WAYS = [  # name, function, content, digest
    ("post_put", post_then_put, b"post, put", sha256),  # end-4a, end-6
    ("post_put_large", post_then_put, os.urandom(3_000_001), sha256),
    ("single_post", single_post, b"single post", sha256),  # end-4b
    ("single_post_large", single_post, os.urandom(2_500_000), sha256),
    ("chunked", in_chunks, b"three chunks of it", sha256),  # end-5
    ("chunked_large", in_chunks, os.urandom(2_000_003), sha256),
    ("chunked_with_the_last_in_put", last_chunk_in_put, b"the last one in the put", sha256),
    ("streamed_patch", streamed, os.urandom(1_500_000), sha256),
    ("empty_blob_post_put", post_then_put, b"", sha256),
    ("empty_blob_single_post", single_post, b"", sha256),
    ("sha512_post_put", post_then_put, b"sha512: post, put", sha512),
    ("sha512_single_post", single_post, os.urandom(1_000_000), sha512),
    ("sha512_chunked_after_sha256_was_assumed", in_chunks, os.urandom(900_000), sha512),
    ("sha512_announced", sha512_said_first, os.urandom(700_000), sha512),
]


def upload_case(label, way, content, digest):
    def run():
        name = digest(content)
        answer = way(content, name).expect(201, Docker_Content_Digest=name)
        ask("HEAD", answer.headers["Location"]).expect(200, Content_Length=str(len(content)), Docker_Content_Digest=name)
        got = ask("GET", f"{A}blobs/{name}").expect(200, Docker_Content_Digest=name)
        check(got.body == content, "the same bytes")
    run.__name__ = "upload_" + label
    test(run)


for row in WAYS:
    upload_case(*row)


def chunk_refused_case(label, before, headers, body, status):
    def run():
        location = session()
        if before:
            location = ask("PATCH", location, before).expect(202).headers["Location"]
        answer = ask("PATCH", location, body, **headers).expect(status)
        check(answer.headers["Range"] == f"0-{max(0, len(before) - 1)}" and answer.headers["Location"], answer.headers["Range"])
        ask("GET", location).expect(204, Range=f"0-{max(0, len(before) - 1)}")
        rest = ask("PATCH", location, b"rest", Content_Range=f"{len(before)}-{len(before) + 3}").expect(202)
        ask("PUT", f"{rest.headers['Location']}?digest={sha256(before + b'rest')}").expect(201)
    run.__name__ = "chunk_refused_" + label
    test(run)


for row in [  # name, what is there, headers, body, status: 416 and the upload can go on
    ("out_of_order", b"", {"Content_Range": "4-7"}, b"late", 416),
    ("again", b"four", {"Content_Range": "0-3"}, b"four", 416),
    ("with_a_gap", b"four", {"Content_Range": "5-8"}, b"gap.", 416),
    ("overlapping", b"four", {"Content_Range": "3-6"}, b"rlap", 416),
    ("longer_than_it_says", b"four", {"Content_Range": "4-5"}, b"four", 416),
    ("shorter_than_it_says", b"four", {"Content_Range": "4-9"}, b"four", 416),
    ("without_a_number", b"four", {"Content_Range": "x-y"}, b"four", 416),
    ("without_an_end", b"four", {"Content_Range": "4"}, b"four", 416),
]:
    chunk_refused_case(*row)


@test
def chunk_out_of_order_in_the_closing_put_is_416():
    location = session()
    ask("PATCH", location, b"four").expect(202)
    ask("PUT", f"{location}?digest={sha256(b'fourmore')}", b"more", Content_Range="5-8").expect(416, Range="0-3")
    ask("PUT", f"{location}?digest={sha256(b'fourmore')}", b"more", Content_Range="4-7").expect(201)


@test
def upload_status_says_how_far_it_came():
    location = session()
    answer = ask("GET", location).expect(204, Range="0-0")
    check(answer.headers["Location"] == location and answer.headers["Docker-Upload-UUID"], "where to go on")
    ask("PATCH", location, b"12345").expect(202)
    ask("GET", location).expect(204, Range="0-4")


@test
def upload_cancelled_is_gone():
    location = session()
    ask("PATCH", location, b"x" * 300_000).expect(202)
    ask("DELETE", location).expect(204)
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = ask(method, location + f"?digest={sha256(b'')}").expect(404)
        check(answer.codes == ["BLOB_UPLOAD_UNKNOWN"], answer.codes)


@test
def upload_belongs_to_its_repository():
    location = session()
    ask("GET", location.replace("/spec/a/", "/spec/b/")).expect(404)
    ask("GET", location).expect(204)


@test
def upload_goes_on_after_a_restart():
    content = os.urandom(1_200_000)
    location = session()
    ask("PATCH", location, content[:700_000], Content_Range="0-699999").expect(202)
    cloud.kill_and_restart()
    ask("GET", location.replace("/spec/a/", "/spec/b/")).expect(404)
    ask("GET", location).expect(204, Range="0-699999")
    ask("PATCH", location, b"x", Content_Range="0-0").expect(416, Range="0-699999")
    ask("PATCH", location, content[700_000:], Content_Range="700000-1199999").expect(202, Range="0-1199999")
    ask("PUT", f"{location}?digest={sha256(content)}").expect(201)
    check(ask("GET", f"{A}blobs/{sha256(content)}").body == content, "whole")


@test
def upload_of_unknown_ids_is_404():
    for name in ("none", "../../x", "00000000-0000-0000-0000-000000000000", "%2e%2e"):
        ask("GET", f"{A}blobs/uploads/{name}").expect(404)


@test
def upload_with_a_wrong_digest_leaves_nothing():
    for algorithm in (sha256, sha512):
        wrong = algorithm(b"something else")
        for answer in (single_post(b"wrong", wrong), post_then_put(b"wrong", wrong)):
            answer.expect(400)
            check(answer.codes == ["DIGEST_INVALID"], answer.codes)
        ask("HEAD", f"{A}blobs/{wrong}").expect(404)
        ask("HEAD", f"{A}blobs/{algorithm(b'wrong')}").expect(404)


@test
def upload_with_a_digest_that_is_none_is_refused():
    for bad in ("sha256:1", "sha1:" + "0" * 40, "sha256:" + "G" * 64, "sha256:" + "A" * 64, "x"):
        check(single_post(b"x", bad).expect(400).codes == ["DIGEST_INVALID"], bad)
        ask("GET", f"{A}blobs/{bad}").expect(400)


# ---- mounts

@test
def mount_from_a_repository_sends_nothing():  # end-11
    name = push(b"to be mounted")
    ask("POST", f"/v2/spec/b/blobs/uploads/?mount={name}&from=spec/a").expect(201, Docker_Content_Digest=name)
    check(ask("GET", f"/v2/spec/b/blobs/{name}").expect(200).body == b"to be mounted", "there")


@test
def mount_without_from_finds_it_anywhere():
    name = push(b"mounted from anywhere")
    answer = ask("POST", f"/v2/spec/b/blobs/uploads/?mount={name}").expect(201, Docker_Content_Digest=name)
    ask("HEAD", answer.headers["Location"]).expect(200)


@test
def mount_that_cannot_be_becomes_an_upload():
    name = push(b"only in a")
    for query in (f"mount={sha256(b'nowhere')}&from=spec/a", f"mount={name}&from=spec/none", "mount=x&from=spec/a",
                  f"mount={sha256(b'nowhere')}", f"mount={name}&from=spec/lists"):
        location = ask("POST", f"/v2/spec/b/blobs/uploads/?{query}").expect(202).headers["Location"]
        ask("DELETE", location).expect(204)


@test
def mount_of_a_sha512_blob():
    name = push(b"mounted by sha512", name=sha512(b"mounted by sha512"))
    ask("POST", f"/v2/spec/b/blobs/uploads/?mount={name}&from=spec/a").expect(201, Docker_Content_Digest=name)


# ---- blobs

BYTES = os.urandom(100_000)


def range_case(asked, status, wanted, content_range):
    def run():
        name = push(BYTES)
        answer = ask("GET", f"{A}blobs/{name}", Range=asked).expect(
            status, Content_Range=content_range, Docker_Content_Digest=name)
        if wanted is not None:
            check(answer.body == wanted, f"{len(answer.body)} bytes")
        else:
            check(answer.codes == ["SIZE_INVALID"], answer.body)
    run.__name__ = "range_" + asked.replace("=", "_").replace(",", "_")
    test(run)


for row in [  # RFC 9110, section 14
    ("bytes=0-0", 206, BYTES[:1], "bytes 0-0/100000"),
    ("bytes=10-19", 206, BYTES[10:20], "bytes 10-19/100000"),
    ("bytes=99990-", 206, BYTES[99990:], "bytes 99990-99999/100000"),
    ("bytes=-10", 206, BYTES[-10:], "bytes 99990-99999/100000"),
    ("bytes=-200000", 206, BYTES, "bytes 0-99999/100000"),
    ("bytes=5-900000", 206, BYTES[5:], "bytes 5-99999/100000"),
    ("bytes=100000-", 416, None, "bytes */100000"),
    ("bytes=100000-100001", 416, None, "bytes */100000"),
    ("bytes=-0", 416, None, "bytes */100000"),
    ("bytes=9-5", 200, BYTES, None),  # no range at all: the whole
    ("bytes=a-b", 200, BYTES, None),
    ("bytes=0-1,5-6", 200, BYTES, None),
    ("lines=0-1", 200, BYTES, None),
]:
    range_case(*row)


@test
def range_of_the_empty_blob_is_never_satisfiable():
    name = push(b"")
    ask("GET", f"{A}blobs/{name}", Range="bytes=0-").expect(416, Content_Range="bytes */0")
    check(ask("GET", f"{A}blobs/{name}").expect(200, Content_Length="0").body == b"", "empty")


@test
def range_with_a_condition_we_cannot_judge_is_the_whole():
    name = push(BYTES)
    check(ask("GET", f"{A}blobs/{name}", Range="bytes=0-1", If_Range='"x"').expect(200).body == BYTES, "whole")


@test
def blob_that_is_not_there_is_404():  # end-2
    for method in ("GET", "HEAD", "DELETE"):
        answer = ask(method, f"{A}blobs/{sha256(b'not there')}").expect(404)
        check(method == "HEAD" or answer.codes == ["BLOB_UNKNOWN"], answer.body)


@test
def blob_deleted_is_gone_from_its_repository_only():  # end-10
    name = push(b"to be deleted")
    push(b"to be deleted", "spec/b")
    ask("DELETE", f"{A}blobs/{name}").expect(202)
    ask("GET", f"{A}blobs/{name}").expect(404)
    ask("GET", f"/v2/spec/b/blobs/{name}").expect(200)
    ask("DELETE", f"{A}blobs/{name}").expect(404)


@test
def blob_that_an_image_needs_is_not_deleted():
    content = image([descriptor(b"needed by an image")])
    put(content, "needs").expect(201)
    name = sha256(b"needed by an image")
    ask("DELETE", f"{A}blobs/{name}").expect(409)
    ask("DELETE", f"{A}manifests/{sha256(content)}").expect(202)
    ask("DELETE", f"{A}blobs/{name}").expect(202)


# ---- manifests: what a registry has to take as it is

def padded(size):
    """An image manifest of exactly that many bytes."""
    short = image([descriptor(b"padded")], annotations={"pad": ""})
    return image([descriptor(b"padded")], annotations={"pad": "x" * (size - len(short))})


def index_of_index():
    one = image([descriptor(b"in an index of an index")])
    put(one).expect(201)
    inner = index([naming(one)])
    put(inner, kind=INDEX).expect(201)
    return index([naming(inner, INDEX)])


def artifact():
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example+type",
                       "config": descriptor(b"{}", EMPTY), "layers": [descriptor(b"{}", EMPTY)]}).encode()


FORMS = [  # name, manifest, media type
    ("image", lambda: image([descriptor(b"a layer")]), MANIFEST),  # end-7
    ("image_without_layers", lambda: image([]), MANIFEST),
    ("image_of_docker", lambda: image([descriptor(b"a layer")]).replace(
        MANIFEST.encode(), b"application/vnd.docker.distribution.manifest.v2+json"),
     "application/vnd.docker.distribution.manifest.v2+json"),
    ("image_with_one_layer_twice", lambda: image([descriptor(b"twice"), descriptor(b"twice")]), MANIFEST),
    ("empty_layer", lambda: image([descriptor(b"")]), MANIFEST),
    ("artifact", artifact, MANIFEST),
    ("subject_that_is_missing", lambda: image([], subject=naming(b"not there")), MANIFEST),
    ("data_field", lambda: image([descriptor(b"data!", data="ZGF0YSE=")]), MANIFEST),
    ("nondistributable_layer", lambda: image([{
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": sha256(b"elsewhere"),
        "size": 9}]), MANIFEST),
    ("foreign_layer_of_docker", lambda: image([{
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": sha256(b"elsewhere"),
        "size": 9, "urls": ["https://example.com/layer"]}]), MANIFEST),
    ("custom_fields", lambda: image([descriptor(b"custom", **{"org.example.x": [1, {"y": None}]})], **{
        "org.example.more": {"z": 1.5}}), MANIFEST),
    ("unknown_media_type_of_a_layer", lambda: image([descriptor(b"wasm", "application/wasm")]), MANIFEST),
    ("unknown_config_type", lambda: json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b"helm", "application/vnd.cncf.helm.config.v1+json"),
        "layers": []}).encode(), MANIFEST),
    ("whitespace_and_order_are_kept", lambda: b" \n" + json.dumps(json.loads(image([])), indent=3).encode() + b"\n\n", MANIFEST),
    ("media_type_with_parameters", lambda: image([descriptor(b"parameters")]), MANIFEST + "; charset=utf-8"),
    ("no_media_type_inside", lambda: image([]).replace(f'"mediaType": "{MANIFEST}", '.encode(), b"", 1), MANIFEST),
    ("index_without_manifests", lambda: index([]), INDEX),
    ("index_of_index", index_of_index, INDEX),
    ("sparse_index", lambda: index([naming(b"to come later")]), INDEX),
    ("index_with_a_subject", lambda: index([], subject=naming(b"not there"), artifactType="a/b"), INDEX),
    ("as_large_as_may_be", lambda: padded(LIMIT), MANIFEST),
]


def form_case(label, make, kind):
    def run():
        content = make()
        for reference in ("form", sha256(content)):
            answer = put(content, reference, kind).expect(201, Docker_Content_Digest=sha256(content))
            subject = json.loads(content).get("subject")
            check(answer.headers["OCI-Subject"] == (subject["digest"] if subject else None), answer.headers["OCI-Subject"])
            ask("HEAD", answer.headers["Location"]).expect(200)
            for at in (reference, sha256(content)):
                got = ask("GET", f"{A}manifests/{at}").expect(
                    200, Docker_Content_Digest=sha256(content), Content_Type=kind.split(";")[0])
                check(got.body == content, "byte for byte")
                ask("HEAD", f"{A}manifests/{at}").expect(
                    200, Docker_Content_Digest=sha256(content), Content_Length=str(len(content)))
    run.__name__ = "manifest_" + label
    test(run)


for row in FORMS:
    form_case(*row)


@test
def manifest_by_sha512():
    content = image([descriptor(b"by sha512")])
    answer = put(content, sha512(content)).expect(201, Docker_Content_Digest=sha512(content))
    got = ask("GET", answer.headers["Location"]).expect(200, Docker_Content_Digest=sha512(content))
    check(got.body == content, "byte for byte")
    ask("DELETE", f"{A}manifests/{sha512(content)}").expect(202)
    ask("GET", f"{A}manifests/{sha512(content)}").expect(404)


@test
def manifest_with_blobs_by_sha512():
    layer = b"a layer by sha512"
    push(layer, name=sha512(layer))
    content = image([{"mediaType": LAYER, "digest": sha512(layer), "size": len(layer)}])
    put(content, "mixed").expect(201)
    check(ask("GET", f"{A}manifests/mixed").body == content, "byte for byte")


def refused_case(label, make, reference, kind, status, code):
    def run():
        content = make()
        answer = put(content, reference, kind).expect(status)
        check(answer.codes == [code], answer.codes)
        if reference and ":" not in reference:
            ask("GET", f"{A}manifests/{reference}").expect(404)
    run.__name__ = "manifest_refused_" + label
    test(run)


for row in [  # name, manifest, reference, media type, status, code
    ("too_large", lambda: padded(LIMIT + 1), "large", MANIFEST, 413, "SIZE_INVALID"),
    ("much_too_large", lambda: b" " * (6 * LIMIT), "large", MANIFEST, 413, "SIZE_INVALID"),
    ("no_json", lambda: b"{", "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("empty", lambda: b"", "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("twice_the_same_key", lambda: b'{"schemaVersion":2,"schemaVersion":2,"layers":[]}', "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("schema_1", lambda: b'{"schemaVersion":1,"fsLayers":[]}', "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("no_config", lambda: b'{"schemaVersion":2,"layers":[]}', "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("subject_without_digest", lambda: image([], subject={"mediaType": MANIFEST, "size": 1}), "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("negative_size", lambda: image([descriptor(b"negative") | {"size": -1}]), "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("lying_size", lambda: image([descriptor(b"lying") | {"size": 6}]), "bad", MANIFEST, 400, "MANIFEST_INVALID"),
    ("other_media_type", lambda: image([]), "bad", INDEX, 400, "MANIFEST_INVALID"),
    ("other_digest", lambda: image([]), sha256(b"another"), MANIFEST, 400, "DIGEST_INVALID"),
    ("other_sha512", lambda: image([]), sha512(b"another"), MANIFEST, 400, "DIGEST_INVALID"),
    ("bad_tag", lambda: image([]), ".tag", MANIFEST, 400, "TAG_INVALID"),
    ("long_tag", lambda: image([]), "t" * 129, MANIFEST, 400, "TAG_INVALID"),
]:
    refused_case(*row)


@test
def manifest_that_misses_blobs_is_told_all_of_them():
    one, two = ({"mediaType": LAYER, "digest": sha256(c), "size": 1} for c in (b"missing 1", b"missing 2"))
    content = image([one, descriptor(b"not missing"), two])
    for reference in ("holes", sha256(content)):
        errors = json.loads(put(content, reference).expect(404).body)["errors"]
        check([(e["code"], e["detail"]["digest"]) for e in errors] == [
            ("MANIFEST_BLOB_UNKNOWN", one["digest"]), ("MANIFEST_BLOB_UNKNOWN", two["digest"])], errors)
        ask("HEAD", f"{A}manifests/{reference}").expect(404)


@test
def manifest_that_is_not_there_is_404():  # end-3
    for reference in ("none", sha256(b"none"), sha512(b"none"), "sha256:x"):
        for method in ("GET", "DELETE"):
            check(ask(method, f"{A}manifests/{reference}").expect(404).codes == ["MANIFEST_UNKNOWN"], reference)
        ask("HEAD", f"{A}manifests/{reference}").expect(404)


@test
def delete_of_a_tag_leaves_the_image():  # end-9
    content = image([descriptor(b"untagged later")])
    put(content, "gone").expect(201)
    ask("DELETE", f"{A}manifests/gone").expect(202)
    ask("GET", f"{A}manifests/gone").expect(404)
    check(ask("GET", f"{A}manifests/{sha256(content)}").expect(200).body == content, "still there by digest")


@test
def delete_of_an_image_takes_its_tags():
    content = image([descriptor(b"tagged twice")])
    for tag in ("twice1", "twice2"):
        put(content, tag).expect(201)
    ask("DELETE", f"{A}manifests/{sha256(content)}").expect(202)
    for reference in ("twice1", "twice2", sha256(content)):
        ask("GET", f"{A}manifests/{reference}").expect(404)
    check("twice1" not in json.loads(ask("GET", f"{A}tags/list").body)["tags"], "not listed")


@test
def delete_of_an_image_in_an_index_waits_for_the_index():
    one = image([descriptor(b"in an index")])
    put(one).expect(201)
    many = index([naming(one)])
    put(many, "many", INDEX).expect(201)
    ask("DELETE", f"{A}manifests/{sha256(one)}").expect(409)
    ask("DELETE", f"{A}manifests/{sha256(many)}").expect(202)
    ask("DELETE", f"{A}manifests/{sha256(one)}").expect(202)


# ---- lists

@test
def tags_are_sorted_and_come_in_pages():  # end-8
    content = image([])
    for blob in (b"{}",):
        push(blob, "spec/lists")
    tags = ["1", "10", "2", "A", "B", "a", "b.c", "v-1"]
    for tag in reversed(tags):
        put(content, tag, repository="spec/lists").expect(201)
    everything = json.loads(ask("GET", "/v2/spec/lists/tags/list").expect(200).body)
    check(everything == {"name": "spec/lists", "tags": sorted(tags)}, everything)
    seen, path = [], "/v2/spec/lists/tags/list?n=3"
    while path:
        answer = ask("GET", path).expect(200)
        page = json.loads(answer.body)["tags"]
        check(len(page) <= 3, page)
        seen += page
        link = answer.headers["Link"]
        path = link and link[link.index("<") + 1:link.index(">")]
        check(not link or link.endswith('rel="next"'), link)
    check(seen == sorted(tags), seen)


@test
def tags_pages_at_their_ends():
    def page(query):
        answer = ask("GET", "/v2/spec/lists/tags/list?" + query).expect(200)
        return json.loads(answer.body)["tags"], answer.headers["Link"]
    check(page("n=0") == ([], None), page("n=0"))
    check(page("n=8")[1] is None, "all of them: no next page")
    check(page("n=100000")[1] is None, "more than there are")
    check(page("last=b")[0] == ["b.c", "v-1"], page("last=b"))
    check(page("n=1&last=zzz") == ([], None), page("n=1&last=zzz"))
    for bad in ("x", "-1", "1.5"):
        check(ask("GET", f"/v2/spec/lists/tags/list?n={bad}").expect(400).codes == ["PAGINATION_NUMBER_INVALID"], bad)


def refer(subject, number, kind, **more):
    push(b"{}", "spec/referrers")
    content = image([], subject=subject, artifactType=kind, annotations={"n": str(number)}, **more)
    put(content, repository="spec/referrers").expect(201, OCI_Subject=subject["digest"])
    return {**naming(content), "artifactType": kind, "annotations": {"n": str(number)}}


def referrers(subject, query=""):
    answer = ask("GET", f"/v2/spec/referrers/referrers/{subject['digest']}{query}").expect(200, Content_Type=INDEX)
    document = json.loads(answer.body)
    check(document["schemaVersion"] == 2 and document["mediaType"] == INDEX, document)
    return document["manifests"], answer


@test
def referrers_of_what_nobody_knows_are_none():  # end-12a
    check(referrers(naming(b"unknown"))[0] == [], "an empty index, not 404")
    check(ask("GET", "/v2/spec/referrers/referrers/latest").expect(400).codes == ["DIGEST_INVALID"], "no digest")


@test
def referrers_are_listed_before_and_after_their_subject_comes():
    push(b"{}", "spec/referrers")
    target = image([], annotations={"the": "subject"})
    subject = naming(target)
    one = refer(subject, 1, "application/spdx+json")
    check(referrers(subject)[0] == [one], referrers(subject)[0])
    put(target, "target", repository="spec/referrers").expect(201)
    two = refer(subject, 2, "application/vnd.in-toto+json")
    check(referrers(subject)[0] == [one, two], referrers(subject)[0])


@test
def referrers_can_be_filtered_by_type():  # end-12b
    subject = naming(b"filtered")
    one = refer(subject, 1, "application/a")
    refer(subject, 2, "application/b+json")
    listed, answer = referrers(subject, "?artifactType=application/a")
    check(listed == [one] and answer.headers["OCI-Filters-Applied"] == "artifactType", listed)
    check(referrers(subject, "?artifactType=application/none")[0] == [], "none of that type")
    check(referrers(subject)[1].headers["OCI-Filters-Applied"] is None, "no filter, no header")


@test
def referrers_come_in_pages():
    subject = naming(b"paged")
    wanted = [refer(subject, n, "application/x+y") for n in range(7)]
    refer(subject, 9, "application/other")
    seen, query = [], "?n=3&artifactType=" + urllib.parse.quote("application/x+y", safe="")
    while query:
        listed, answer = referrers(subject, query)
        seen += listed
        link = answer.headers["Link"]
        query = link and link[link.index("?"):link.index(">")]
    check(seen == wanted, [d["annotations"] for d in seen])


@test
def referrers_without_artifact_type_are_listed_by_their_config():
    subject = naming(b"by config")
    push(b"{}", "spec/referrers")
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "subject": subject, "layers": [],
                          "config": {"mediaType": "application/vnd.example.config", "digest": sha256(b"{}"), "size": 2}}).encode()
    put(content, repository="spec/referrers").expect(201)
    check(referrers(subject)[0] == [{**naming(content), "artifactType": "application/vnd.example.config"}], referrers(subject)[0])


@test
def referrers_go_when_they_are_deleted():
    subject = naming(b"deleted later")
    one = refer(subject, 1, "application/a")
    ask("DELETE", f"/v2/spec/referrers/manifests/{one['digest']}").expect(202)
    check(referrers(subject)[0] == [], "gone")


@test
def version_check():  # end-1
    for method in ("GET", "HEAD"):
        ask(method, "/v2/").expect(200, Docker_Distribution_Api_Version="registry/2.0")


@test
def everything_survives_a_restart():
    content = image([descriptor(b"before the restart")])
    put(content, "kept").expect(201)
    cloud.kill_and_restart()
    check(ask("GET", f"{A}manifests/kept").expect(200).body == content, "the manifest")
    check(ask("GET", f"{A}blobs/{sha256(b'before the restart')}").expect(200).body == b"before the restart", "its layer")


@test
def one_blob_is_stored_once():
    name = push(b"in two repositories")
    push(b"in two repositories", "spec/b")
    check(len(list((cloud.state / "content/blobs").rglob(name[7:]))) == 1, "one file")


status = run_tests()
cloud.close()
sys.exit(status)
