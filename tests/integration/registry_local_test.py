#!/usr/bin/env python3
"""The local registry on the wire: what the distribution specification 1.1 asks of uploads, blobs, manifests."""
# parallel: yes
import base64
import hashlib
import http.client
import json
import os
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from local_cloud import Cloud, check, run_tests, test, wait_for

cloud = Cloud()
ecr = cloud.client("ecr")
for repository in ("app/rooms", "app/other"):
    ecr.create_repository(repositoryName=repository)
token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", cloud.program.port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if headers.get("Authorization", "") is not None:
        headers.setdefault("Authorization", "Basic " + token)
    else:
        del headers["Authorization"]
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def code(content):
    return json.loads(content)["errors"][0]["code"]


def push(content, repository="app/rooms"):
    status, headers, _ = call("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(content)}", content)
    check(status == 201, status)
    return digest_of(content)


def manifest(layer, **more):
    config = push(b"{}")
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}, "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": push(layer), "size": len(layer)}],
        **more}).encode()


@test
def who_may_not_is_asked_for_basic_credentials():
    for bad in (None, "Basic AAAA", "Bearer x", "Basic " + base64.b64encode(b"AWS:x").decode()):
        status, headers, content = call("GET", "/v2/", Authorization=bad)
        check(status == 401 and headers["WWW-Authenticate"].startswith("Basic ") and code(content) == "UNAUTHORIZED",
              (bad, status, content))
    status, headers, _ = call("GET", "/v2/")
    check(status == 200 and headers["Docker-Distribution-Api-Version"] == "registry/2.0", status)
    check(call("GET", "/v2/", Authorization=None)[1]["x-amzn-RequestId"], "every answer has a request id")


@test
def a_repository_must_exist_and_be_well_named():
    for method, path in (("POST", "blobs/uploads/"), ("GET", "tags/list"), ("HEAD", "manifests/x")):
        status, _, content = call(method, f"/v2/app/none/{path}")
        check(status == 404 and (method == "HEAD" or code(content) == "NAME_UNKNOWN"), (path, status))
    status, _, content = call("GET", "/v2/App/tags/list")
    check(status == 400 and code(content) == "NAME_INVALID", status)
    check(call("GET", "/v2/app/rooms")[0] == 404, "no route")
    check(call("DELETE", "/v2/app/rooms/tags/list")[0] == 405, "no method")


@test
def a_blob_comes_in_one_request_in_two_or_in_chunks():
    one = push(b"in one request")
    status, headers, _ = call("POST", "/v2/app/rooms/blobs/uploads/")
    check(status == 202, status)
    status, headers, _ = call("PUT", headers["Location"] + "?digest=" + digest_of(b"in two"), b"in two")
    check(status == 201 and headers["Docker-Content-Digest"] == digest_of(b"in two"), status)
    check(call("GET", headers["Location"])[2] == b"in two", "readable where Location says")

    location = call("POST", "/v2/app/rooms/blobs/uploads/")[1]["Location"]
    status, headers, _ = call("PATCH", location, b"chunk", Content_Range="0-4")
    check(status == 202 and headers["Range"] == "0-4", (status, headers["Range"]))
    status, headers, _ = call("PATCH", location, b"chunk", Content_Range="0-4")
    check(status == 416, "out of order")
    status, headers, _ = call("GET", location)
    check(status == 204 and headers["Range"] == "0-4", status)
    check(call("PATCH", location, b"ed", Content_Range="5-6")[1]["Range"] == "0-6", "second chunk")
    status, _, _ = call("PUT", location + "?digest=" + digest_of(b"chunked"))
    check(status == 201, status)
    check(call("GET", location)[0] == 404, "the upload is over")
    for content, digest in ((b"in one request", one), (b"chunked", digest_of(b"chunked"))):
        check(call("GET", f"/v2/app/rooms/blobs/{digest}")[2] == content, digest)


@test
def a_wrong_or_missing_digest_is_refused_and_leaves_nothing():
    wrong = digest_of(b"something else")
    for path in (f"?digest={wrong}", "?digest=sha256:1", "?digest="):
        status, _, content = call("POST", "/v2/app/rooms/blobs/uploads/" + path, b"content")
        check(status == 400 and code(content) == "DIGEST_INVALID", (path, status))
    location = call("POST", "/v2/app/rooms/blobs/uploads/")[1]["Location"]
    check(call("PUT", location, b"x")[0] == 400, "no digest")
    for digest in (wrong, digest_of(b"content")):
        check(call("HEAD", f"/v2/app/rooms/blobs/{digest}")[0] == 404, digest)
    location = call("POST", "/v2/app/rooms/blobs/uploads/")[1]["Location"]
    check(call("DELETE", location)[0] == 204 and call("GET", location)[0] == 404, "cancelled")
    check(not list((cloud.state / "content/uploads").iterdir()), "no file is left")


@test
def blobs_are_shown_by_range_and_only_where_they_were_pushed():
    content = os.urandom(300_000)
    digest = push(content)
    status, headers, body = call("HEAD", f"/v2/app/rooms/blobs/{digest}")
    check((status, headers["Content-Length"], body) == (200, "300000", b""), headers)
    for asked, wanted in (("bytes=0-9", content[:10]), ("bytes=299990-", content[-10:]), ("bytes=-5", content[-5:]),
                          ("bytes=100-400000", content[100:])):
        status, headers, body = call("GET", f"/v2/app/rooms/blobs/{digest}", Range=asked)
        check(status == 206 and body == wanted, asked)
    check(call("GET", f"/v2/app/rooms/blobs/{digest}", Range="bytes=300000-")[0] == 416, "beyond the end")
    status, _, answer = call("GET", f"/v2/app/other/blobs/{digest}")
    check(status == 404 and code(answer) == "BLOB_UNKNOWN", status)
    status, headers, _ = call("POST", f"/v2/app/other/blobs/uploads/?mount={digest}&from=app/rooms")
    check(status == 201, status)
    check(call("GET", headers["Location"])[2] == content, "mounted")
    check(call("POST", f"/v2/app/other/blobs/uploads/?mount={digest_of(b'none')}&from=app/rooms")[0] == 202, "upload it")


@test
def a_large_blob_is_sent_whole_and_by_range_with_one_length():
    content = os.urandom(9_000_000)  # from 4 MiB on threads send it
    path = f"/v2/app/rooms/blobs/{push(content)}"
    for asked, status, first, last in ((None, 200, 0, 8_999_999), ("bytes=1000000-", 206, 1_000_000, 8_999_999),
                                       ("bytes=7-5000006", 206, 7, 5_000_006)):
        got, headers, body = call("GET", path, **({"Range": asked} if asked else {}))
        check(got == status and body == content[first:last + 1], asked)
        check(headers.get_all("Content-Length") == [str(last + 1 - first)], headers.items())
        check(headers["Connection"] == "close", "it ends with the blob, and says so")
    check(call("GET", path, Range="bytes=-100")[1]["Connection"] is None, "a small piece does not")
    readers = [threading.Thread(target=lambda: bodies.append(call("GET", path)[2])) for _ in range(8)]
    bodies = []
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    check(len(bodies) == 8 and all(body == content for body in bodies), "eight at once")


@test
def a_manifest_needs_everything_it_names():
    missing = json.dumps({"schemaVersion": 2, "config": {"digest": digest_of(b"?"), "size": 1}, "layers": []}).encode()
    status, _, content = call("PUT", "/v2/app/rooms/manifests/v1", missing, Content_Type=MANIFEST)
    check(status == 404 and code(content) == "MANIFEST_BLOB_UNKNOWN", (status, content))
    for bad in (b"", b"{", b"[]", b'{"schemaVersion":2}'):
        status, _, content = call("PUT", "/v2/app/rooms/manifests/v1", bad, Content_Type=MANIFEST)
        check(status == 400 and code(content) == "MANIFEST_INVALID", (bad, status))
    status, _, content = call("PUT", "/v2/app/rooms/manifests/v1", b" " * (4 << 20) + b"{}", Content_Type=MANIFEST)
    check(status == 413, status)
    check(call("GET", "/v2/app/rooms/manifests/v1")[0] == 404, "nothing was tagged")


@test
def manifests_are_kept_byte_for_byte_by_tag_and_digest():
    one = manifest(b"layer one")
    status, headers, _ = call("PUT", "/v2/app/rooms/manifests/v1", one, Content_Type=MANIFEST)
    check(status == 201 and headers["Docker-Content-Digest"] == digest_of(one), status)
    for reference in ("v1", digest_of(one)):
        status, headers, content = call("GET", f"/v2/app/rooms/manifests/{reference}")
        check((status, content, headers["Content-Type"]) == (200, one, MANIFEST), reference)
    status, headers, content = call("HEAD", "/v2/app/rooms/manifests/v1")
    check((headers["Content-Length"], headers["Docker-Content-Digest"]) == (str(len(one)), digest_of(one)), headers)
    status, _, content = call("PUT", f"/v2/app/rooms/manifests/{digest_of(b'x')}", one, Content_Type=MANIFEST)
    check(status == 400 and code(content) == "DIGEST_INVALID", status)
    two = manifest(b"layer two")
    call("PUT", "/v2/app/rooms/manifests/v1", two, Content_Type=MANIFEST)
    check(call("GET", "/v2/app/rooms/manifests/v1")[2] == two, "the tag moved")
    check(call("GET", f"/v2/app/rooms/manifests/{digest_of(one)}")[2] == one, "the old image stays")


@test
def indexes_name_manifests_and_referrers_name_their_subject():
    image = manifest(b"layer three")
    call("PUT", "/v2/app/rooms/manifests/v3", image, Content_Type=MANIFEST)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": digest_of(image), "size": len(image)}]}).encode()
    check(call("PUT", "/v2/app/rooms/manifests/all", index, Content_Type=INDEX)[0] == 201, "index")
    check(call("DELETE", f"/v2/app/rooms/manifests/{digest_of(image)}")[0] == 409, "still named by the index")
    subject = {"mediaType": MANIFEST, "digest": digest_of(image), "size": len(image)}
    bill = manifest(b"sbom", artifactType="application/spdx+json", subject=subject, annotations={"a": "b"})
    status, headers, _ = call("PUT", f"/v2/app/rooms/manifests/{digest_of(bill)}", bill, Content_Type=MANIFEST)
    check(status == 201 and headers["OCI-Subject"] == digest_of(image), headers)
    status, headers, content = call("GET", f"/v2/app/rooms/referrers/{digest_of(image)}")
    listed = json.loads(content)
    check(headers["Content-Type"] == INDEX and listed["manifests"] == [{
        "mediaType": MANIFEST, "digest": digest_of(bill), "size": len(bill), "artifactType": "application/spdx+json",
        "annotations": {"a": "b"}}], listed)
    none = json.loads(call("GET", f"/v2/app/rooms/referrers/{digest_of(image)}?artifactType=x/y")[2])
    check(none["manifests"] == [], none)


@test
def tags_are_listed_in_pages():
    tags = json.loads(call("GET", "/v2/app/rooms/tags/list")[2])["tags"]
    check(tags == ["all", "v1", "v3"], tags)
    status, headers, content = call("GET", "/v2/app/rooms/tags/list?n=2")
    check(json.loads(content)["tags"] == ["all", "v1"] and "last=v1" in headers["Link"], headers["Link"])
    check(json.loads(call("GET", "/v2/app/rooms/tags/list?n=2&last=v1")[2])["tags"] == ["v3"], "the rest")
    check(call("DELETE", "/v2/app/rooms/manifests/all")[0] == 202, "a tag can go")
    check(json.loads(call("GET", "/v2/app/rooms/tags/list")[2])["tags"] == ["v1", "v3"], "and is gone")


@test
def an_upload_that_is_cut_off_can_go_on_and_nobody_interferes_before():
    content = os.urandom(1_000_000)
    location = call("POST", "/v2/app/rooms/blobs/uploads/")[1]["Location"]
    raw = socket.create_connection(("127.0.0.1", cloud.program.port))
    raw.sendall(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n"
                f"Content-Length: {len(content)}\r\n\r\n".encode() + content[:400_000])

    def length():
        """the first bytes to arrive"""
        status, headers, _ = call("GET", location)
        check(status == 204, status)
        return 0 if headers["Range"] == "0-0" else int(headers["Range"].split("-")[1]) + 1

    wait_for(length)
    check(call("DELETE", location)[0] == 409, "in use")
    check(call("PATCH", location, b"x")[0] == 409, "in use")
    check(call("PUT", location + "?digest=" + digest_of(b"x"), b"")[0] == 409, "in use")
    raw.close()
    chunk = {}

    def goes_on():
        """the upload to be free again"""
        chunk["from"] = length()
        return call("PATCH", location, content[chunk["from"]:],
                    Content_Range=f"{chunk['from']}-{len(content) - 1}")[0] == 202

    wait_for(goes_on)
    check(0 < chunk["from"] <= 400_000, chunk)
    check(call("PUT", location + "?digest=" + digest_of(content))[0] == 201, "whole after all")


@test
def eight_uploads_side_by_side_arrive():
    blobs = [os.urandom(2_000_000 + n) for n in range(8)]
    threads = [threading.Thread(target=push, args=(blob,)) for blob in blobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for blob in blobs:
        check(hashlib.sha256(call("GET", f"/v2/app/rooms/blobs/{digest_of(blob)}")[2]).hexdigest() ==
              digest_of(blob)[7:], "the same bytes")


status = run_tests()
cloud.close()
sys.exit(status)
