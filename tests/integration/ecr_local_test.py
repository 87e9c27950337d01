#!/usr/bin/env python3
"""ECR of the local cloud as botocore sees it: layer uploads, immutable tags, lifecycle policies, scans, referrers, tokens."""
# parallel: yes
import base64
import hashlib
import http.client
import json
import os
import sys
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from local_cloud import Cloud, check, run_tests, test

import botocore.exceptions

cloud = Cloud()
ecr = cloud.client("ecr")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
for each in ("app/a", "app/b", "app/policy", "app/scan"):
    ecr.create_repository(repositoryName=each)


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def ask(path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", cloud.program.port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def refused(code, operation, **members):
    try:
        operation(**members)
    except botocore.exceptions.ClientError as error:
        check(error.response["Error"]["Code"] == code, error.response["Error"])
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


def upload(content, repository="app/a", part=10 << 20):
    """By ECR's own layer upload."""
    started = ecr.initiate_layer_upload(repositoryName=repository)
    for start in range(0, len(content), part):
        piece = content[start:start + part]
        got = ecr.upload_layer_part(repositoryName=repository, uploadId=started["uploadId"], partFirstByte=start,
                                    partLastByte=start + len(piece) - 1, layerPartBlob=piece)
        check(got["lastByteReceived"] == start + len(piece) - 1, got)
    done = ecr.complete_layer_upload(repositoryName=repository, uploadId=started["uploadId"], layerDigests=[sha256(content)])
    check(done["layerDigest"] == sha256(content), done)
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(content), "size": len(content)}


def have(content, repository):
    available = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[sha256(content)])["layers"][0]
    return None if available["layerAvailability"] == "AVAILABLE" else upload(content, repository)


def put_image(tag, layer, repository="app/a", **more):
    have(b"{}", repository)
    have(layer, repository)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2}, "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(layer), "size": len(layer)}], **more})
    tags = {"imageTag": tag} if tag else {}
    ecr.put_image(repositoryName=repository, imageManifest=manifest, imageManifestMediaType=MANIFEST, **tags)
    return manifest


@test
def a_layer_is_uploaded_in_parts_and_downloaded_by_a_link():
    content = os.urandom(11_000_000)
    started = ecr.initiate_layer_upload(repositoryName="app/a")
    check(started["partSize"] == 10 << 20, started)
    upload(content)
    link = ecr.get_download_url_for_layer(repositoryName="app/a", layerDigest=sha256(content))
    check(link["layerDigest"] == sha256(content), link)
    with urllib.request.urlopen(link["downloadUrl"]) as answer:
        check(answer.read() == content, "the same bytes, without credentials")
    request = urllib.request.Request(link["downloadUrl"], headers={"Range": "bytes=5-9"})
    with urllib.request.urlopen(request) as answer:
        check(answer.status == 206 and answer.read() == content[5:10], "a part of it")


@test
def a_download_link_opens_nothing_else_and_not_for_ever():
    have(b"one", "app/a")
    have(b"two", "app/a")
    url = urllib.parse.urlsplit(ecr.get_download_url_for_layer(repositoryName="app/a", layerDigest=sha256(b"one"))["downloadUrl"])
    other = url.path.replace(sha256(b"one"), sha256(b"two"))
    expires = urllib.parse.parse_qs(url.query)["expires"][0]
    for method, target in (("GET", f"{other}?{url.query}"), ("DELETE", f"{url.path}?{url.query}"),
                           ("GET", f"{url.path}?{url.query.replace(expires, str(int(expires) + 1))}"),
                           ("GET", f"{url.path}?{url.query[:-1]}"), ("GET", f"/v2/?{url.query}"), ("GET", url.path)):
        connection = http.client.HTTPConnection(url.netloc, timeout=20)
        connection.request(method, target)
        check(connection.getresponse().status == 401, target)
        connection.close()


@test
def a_layer_upload_that_goes_wrong_is_refused_as_aws_does():
    of = {"repositoryName": "app/a"}
    upload_id = ecr.initiate_layer_upload(**of)["uploadId"]
    part = {**of, "uploadId": upload_id}
    refused("EmptyUploadException", ecr.complete_layer_upload, **part, layerDigests=[sha256(b"")])
    message = refused("InvalidLayerPartException", ecr.upload_layer_part, **part, partFirstByte=5, partLastByte=6, layerPartBlob=b"ab")
    check(message == "First byte of the layer part is 5 instead of 0", message)
    refused("InvalidLayerPartException", ecr.upload_layer_part, **part, partFirstByte=0, partLastByte=9, layerPartBlob=b"ab")
    large = bytes((10 << 20) + 1)
    refused("InvalidLayerPartException", ecr.upload_layer_part, **part, partFirstByte=0, partLastByte=len(large) - 1, layerPartBlob=large)
    ecr.upload_layer_part(**part, partFirstByte=0, partLastByte=1, layerPartBlob=b"ab")
    message = refused("InvalidLayerPartException", ecr.upload_layer_part, **part, partFirstByte=0, partLastByte=1, layerPartBlob=b"ab")
    check(message == "First byte of the layer part is 0 instead of 2", message)
    refused("UploadNotFoundException", ecr.upload_layer_part, **of, uploadId=f"./{upload_id}", partFirstByte=2, partLastByte=2, layerPartBlob=b"c")
    refused("InvalidLayerException", ecr.complete_layer_upload, **part, layerDigests=[sha256(b"xy")])
    refused("UploadNotFoundException", ecr.complete_layer_upload, **part, layerDigests=[sha256(b"ab")])
    upload(b"already")
    again = ecr.initiate_layer_upload(**of)["uploadId"]
    ecr.upload_layer_part(**of, uploadId=again, partFirstByte=0, partLastByte=6, layerPartBlob=b"already")
    refused("LayerAlreadyExistsException", ecr.complete_layer_upload, **of, uploadId=again, layerDigests=[sha256(b"already")])
    refused("RepositoryNotFoundException", ecr.initiate_layer_upload, repositoryName="app/none")
    refused("LayersNotFoundException", ecr.get_download_url_for_layer, **of, layerDigest=sha256(b"nowhere"))


@test
def a_layer_upload_goes_on_after_a_restart():
    global ecr
    of = {"repositoryName": "app/a"}
    content = os.urandom(300_000)
    upload_id = ecr.initiate_layer_upload(**of)["uploadId"]
    ecr.upload_layer_part(**of, uploadId=upload_id, partFirstByte=0, partLastByte=199_999, layerPartBlob=content[:200_000])
    cloud.kill_and_restart()
    ecr = cloud.client("ecr")
    ecr.upload_layer_part(**of, uploadId=upload_id, partFirstByte=200_000, partLastByte=299_999, layerPartBlob=content[200_000:])
    ecr.complete_layer_upload(**of, uploadId=upload_id, layerDigests=[sha256(content)])
    check(have(content, "app/a") is None, "available")


@test
def immutable_tags_stay_where_they_are():
    put_image("v1", b"one", "app/b")
    ecr.put_image_tag_mutability(repositoryName="app/b", imageTagMutability="IMMUTABLE")
    refused("ImageTagAlreadyExistsException", put_image, tag="v1", layer=b"two", repository="app/b")
    refused("ImageAlreadyExistsException", put_image, tag="v1", layer=b"one", repository="app/b")
    put_image("v2", b"two", "app/b")
    one, two = (ecr.batch_get_image(repositoryName="app/b", imageIds=[{"imageTag": tag}])["images"][0]["imageManifest"] for tag in ("v1", "v2"))
    for manifest in (two, one):  # /v2/ refuses the same image, too, as AWS does
        answer, body = ask("/v2/app/b/manifests/v1", "PUT", manifest, Authorization="Basic " + ecr.get_authorization_token()[
            "authorizationData"][0]["authorizationToken"], **{"Content-Type": MANIFEST})
        error = json.loads(body)["errors"][0]
        check((answer.status, error["code"]) == (400, "TAG_INVALID") and "immutable" in error["message"], body)
    ecr.put_image_tag_mutability(repositoryName="app/b", imageTagMutability="MUTABLE")
    manifest = put_image("v1", b"two, later", "app/b")
    image = ecr.batch_get_image(repositoryName="app/b", imageIds=[{"imageTag": "v1"}])["images"][0]
    check(image["imageManifest"] == manifest, "moved")
    described = ecr.describe_repositories(repositoryNames=["app/b"])["repositories"][0]
    check(described["imageTagMutability"] == "MUTABLE", described)


def rule_of_tags(mutability, pattern):
    """Debian 12's botocore does not know imageTagMutabilityExclusionFilters, so the member is put in before it signs."""
    def put_in(params, **_):
        params["body"] = json.dumps(json.loads(params["body"]) | {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": pattern}]}).encode()

    ecr.meta.events.register("before-call.ecr.PutImageTagMutability", put_in)
    ecr.put_image_tag_mutability(repositoryName="app/b", imageTagMutability=mutability)
    ecr.meta.events.unregister("before-call.ecr.PutImageTagMutability", put_in)


@test
def tags_may_be_left_out_of_the_rule():
    """IMMUTABLE_WITH_EXCLUSION and the other way round: what a filter matches is the opposite of the rule."""
    put_image("latest", b"first", "app/b")
    put_image("v9", b"first", "app/b")
    for mutability, moves, stays in (("IMMUTABLE_WITH_EXCLUSION", "latest", "v9"), ("MUTABLE_WITH_EXCLUSION", "v9", "latest")):
        rule_of_tags(mutability, "la*t")
        manifest = put_image(moves, f"{mutability} lets it".encode(), "app/b")
        image = ecr.batch_get_image(repositoryName="app/b", imageIds=[{"imageTag": moves}])["images"][0]
        check(image["imageManifest"] == manifest, (mutability, moves))
        refused("ImageTagAlreadyExistsException", put_image, tag=stays, layer=f"{mutability} does not".encode(), repository="app/b")
    ecr.put_image_tag_mutability(repositoryName="app/b", imageTagMutability="MUTABLE")


def policy(*rules):
    return json.dumps({"rules": [{"rulePriority": n + 1, "description": "x" * 60, "selection": rule, "action": {"type": "expire"}}
                                 for n, rule in enumerate(rules)]})


@test
def a_lifecycle_policy_is_previewed_and_kept():
    of = {"repositoryName": "app/policy"}
    for number in range(4):
        put_image(f"rel-{number}", b"release %d" % number, "app/policy")
    digests = {i["imageTags"][0]: i["imageDigest"] for i in ecr.describe_images(**of)["imageDetails"]}
    refused("LifecyclePolicyNotFoundException", ecr.get_lifecycle_policy, **of)
    refused("LifecyclePolicyNotFoundException", ecr.start_lifecycle_policy_preview, **of)
    refused("LifecyclePolicyPreviewNotFoundException", ecr.get_lifecycle_policy_preview, **of)
    refused("InvalidParameterException", ecr.put_lifecycle_policy, **of, lifecyclePolicyText=policy({"tagStatus": "some"}))
    text = policy({"tagStatus": "tagged", "tagPrefixList": ["rel"], "countType": "imageCountMoreThan", "countNumber": 3})
    check(ecr.put_lifecycle_policy(**of, lifecyclePolicyText=text)["lifecyclePolicyText"] == text, "byte for byte")
    check(ecr.start_lifecycle_policy_preview(**of)["status"] == "IN_PROGRESS", "started")
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(**of)
    preview = ecr.get_lifecycle_policy_preview(**of)
    check(preview["summary"] == {"expiringImageTotalCount": 1}, preview["summary"])
    check([(r["imageDigest"], r["imageTags"], r["action"]["type"], r["appliedRulePriority"]) for r in preview["previewResults"]] ==
          [(digests["rel-0"], ["rel-0"], "EXPIRE", 1)], preview["previewResults"])
    other = policy({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2})
    ecr.start_lifecycle_policy_preview(**of, lifecyclePolicyText=other)
    preview = ecr.get_lifecycle_policy_preview(**of)
    check(len(preview["previewResults"]) == 2 and preview["lifecyclePolicyText"] == other, preview)
    check(len(ecr.describe_images(**of)["imageDetails"]) == 4, "a preview removes nothing")
    check(ecr.get_lifecycle_policy(**of)["lifecyclePolicyText"] == text, "and changes no policy")


@test
def a_lifecycle_policy_is_applied_by_the_next_start():
    global ecr
    of = {"repositoryName": "app/policy"}
    cloud.kill_and_restart()
    ecr = cloud.client("ecr")
    tags = sorted(t for i in ecr.describe_images(**of)["imageDetails"] for t in i["imageTags"])
    check(tags == ["rel-1", "rel-2", "rel-3"], tags)
    check(ecr.get_lifecycle_policy(**of)["lastEvaluatedAt"].year >= 2020, "says when")
    ecr.delete_lifecycle_policy(**of)
    refused("LifecyclePolicyNotFoundException", ecr.get_lifecycle_policy, **of)


def set_findings(document):
    (cloud.state / "scan-findings.json").write_text(document if isinstance(document, str) else json.dumps(document))


@test
def a_scan_finds_what_the_test_set():
    of = {"repositoryName": "app/scan"}
    manifest = put_image("v1", b"scanned", "app/scan")
    image = {**of, "imageId": {"imageTag": "v1"}}
    refused("ScanNotFoundException", ecr.describe_image_scan_findings, **image)
    check(ecr.start_image_scan(**image)["imageScanStatus"]["status"] == "IN_PROGRESS", "started")
    ecr.get_waiter("image_scan_complete").wait(**image)
    check(ecr.describe_image_scan_findings(**image)["imageScanFindings"]["findings"] == [], "nothing without the file")
    high = {"name": "CVE-2026-1", "severity": "HIGH", "uri": "https://example.com/1", "description": "one",
            "attributes": [{"key": "package_name", "value": "openssl"}]}
    low, other = {"name": "CVE-2026-2", "severity": "LOW"}, {"name": "CVE-2026-3", "severity": "LOW"}
    set_findings({"app/scan": [low], "app/scan:v1": [high], "app/scan:v2": [other], sha256(manifest.encode()): [other]})
    ecr.start_image_scan(**image)
    found = ecr.describe_image_scan_findings(**image)
    check(found["imageScanStatus"]["status"] == "COMPLETE", found["imageScanStatus"])
    check(sorted(f["name"] for f in found["imageScanFindings"]["findings"]) == ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3"], found)
    check(high in found["imageScanFindings"]["findings"], "as it was set")
    check(found["imageScanFindings"]["findingSeverityCounts"] == {"HIGH": 1, "LOW": 2}, found)
    one = ecr.describe_image_scan_findings(**image, maxResults=2)
    check(len(one["imageScanFindings"]["findings"]) == 2, "a page")
    two = ecr.describe_image_scan_findings(**image, maxResults=2, nextToken=one["nextToken"])
    check(len(two["imageScanFindings"]["findings"]) == 1 and "nextToken" not in two, "and the rest")
    detail = ecr.describe_images(**of, imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
    check(detail["imageScanFindingsSummary"]["findingSeverityCounts"] == {"HIGH": 1, "LOW": 2}, detail)
    check(detail["imageScanStatus"]["status"] == "COMPLETE", detail)


@test
def a_push_is_scanned_when_the_repository_asks_for_it():
    of = {"repositoryName": "app/scan"}
    ecr.put_image_scanning_configuration(**of, imageScanningConfiguration={"scanOnPush": True})
    set_findings({"app/scan": [{"name": "CVE-2026-4", "severity": "CRITICAL"}]})
    put_image("v2", b"scanned by its push", "app/scan")
    found = ecr.describe_image_scan_findings(**of, imageId={"imageTag": "v2"})
    check([f["name"] for f in found["imageScanFindings"]["findings"]] == ["CVE-2026-4"], found)


@test
def findings_that_make_no_sense_fail_the_scan_and_say_why():
    image = {"repositoryName": "app/scan", "imageId": {"imageTag": "v1"}}
    for bad in ("{", "[]", {"app/scan": {}}, {"app/scan": [{"name": "x", "severity": "AWFUL"}]},
                {"app/scan": [{"severity": "LOW"}]}, {"app/scan": [{"name": "x", "severity": "LOW", "attributes": [1]}]}):
        set_findings(bad)
        ecr.start_image_scan(**image)
        found = ecr.describe_image_scan_findings(**image)
        check(found["imageScanStatus"]["status"] == "FAILED" and "imageScanFindings" not in found, found)
        check("scan-findings.json" in found["imageScanStatus"]["description"], found["imageScanStatus"])
    refused("ImageNotFoundException", ecr.start_image_scan, repositoryName="app/scan", imageId={"imageTag": "none"})


@test
def a_token_of_either_kind_lets_in():
    basic = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    answer, _ = ask("/v2/")
    asked = answer.headers.get_all("WWW-Authenticate")
    check(answer.status == 401 and asked[0].startswith("Basic ") and asked[1].startswith("Bearer "), asked)
    realm = urllib.parse.urlsplit(asked[1].split('realm="')[1].split('"')[0])
    scope = "?service=ecr&scope=repository:app/a:pull,push"
    check(ask(realm.path + scope)[0].status == 401, "no token for nobody")
    answer, body = ask(realm.path + scope, Authorization="Basic " + basic)
    token = json.loads(body)
    check(answer.status == 200 and token["expires_in"] > 0, body)
    check(ask("/v2/", Authorization="Bearer " + token["token"])[0].status == 200, "by the token")
    password = base64.b64decode(basic).decode().split(":")[1]
    for bad in ("Bearer x", "Bearer " + password[:-1], "Bearer ", "Basic " + base64.b64encode(b"root:" + password.encode()).decode()):
        check(ask("/v2/", Authorization=bad)[0].status == 401, bad)


status = run_tests()
cloud.close()
sys.exit(status)
