#!/usr/bin/env python3
"""Debian's AWS CLI, unmodified, against the local cloud: sts, ecr (with the registry), elbv2, logs."""
# parallel: yes
# timeout: 300
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from local_cloud import Cloud, Program, check, free_port, run_tests, test, wait_for

if not Path("/usr/bin/aws").exists():
    print("1..0 # SKIP the AWS CLI (/usr/bin/aws) is not installed")
    sys.exit(0)
cloud = Cloud()


def run(*arguments, **environment):
    return subprocess.run(
        ["/usr/bin/aws", "--endpoint-url", cloud.credentials["endpoint"], "--output", "json", *arguments],
        capture_output=True, text=True, env={**cloud.environment(), **environment}, check=False)


def aws(*arguments, **environment):
    """The parsed answer."""
    done = run(*arguments, **environment)
    check(done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def refused(code, *arguments, **environment):
    done = run(*arguments, **environment)
    check(done.returncode != 0 and f"({code})" in done.stderr, f"wanted {code}, got {done.stdout}{done.stderr}")


@test
def sts_says_who_asks():
    answer = aws("sts", "get-caller-identity")
    check(answer["Account"] == "000000000000" and answer["UserId"] == cloud.credentials["access_key_id"], answer)


@test
def wrong_keys_are_refused_with_the_codes_of_aws():
    refused("SignatureDoesNotMatch", "sts", "get-caller-identity", AWS_SECRET_ACCESS_KEY="wrong")
    refused("InvalidClientTokenId", "sts", "get-caller-identity", AWS_ACCESS_KEY_ID="AKIAWRONG")
    refused("InvalidSignatureException", "ecr", "describe-repositories", AWS_SECRET_ACCESS_KEY="wrong")
    refused("UnrecognizedClientException", "ecr", "describe-repositories", AWS_ACCESS_KEY_ID="AKIAWRONG")
    refused("InvalidSignatureException", "logs", "describe-log-groups", AWS_DEFAULT_REGION="eu-west-1")


@test
def a_wrong_secret_is_http_403_with_a_request_id():
    for service, operation in (("sts", "get_caller_identity"), ("ecr", "describe_repositories")):
        client = cloud.client(service, aws_secret_access_key="wrong")
        try:
            getattr(client, operation)()
            raise AssertionError("was answered")
        except client.exceptions.ClientError as problem:
            meta = problem.response["ResponseMetadata"]
            check(meta["HTTPStatusCode"] == 403, meta)
            check(len(meta["HTTPHeaders"]["x-amzn-requestid"]) == 36, meta)


@test
def what_the_cloud_does_not_know_is_said_so():
    refused("UnknownOperationException", "ecr", "describe-registry")
    refused("InvalidAction", "elbv2", "describe-account-limits")


@test
def repositories_are_made_described_and_removed():
    made = aws("ecr", "create-repository", "--repository-name", "booking/rooms")["repository"]
    check(made["repositoryUri"] == f"127.0.0.1:{cloud.program.port}/booking/rooms", made)
    refused("RepositoryAlreadyExistsException", "ecr", "create-repository", "--repository-name", "booking/rooms")
    refused("InvalidParameterException", "ecr", "create-repository", "--repository-name", "Booking")
    aws("ecr", "create-repository", "--repository-name", "booking/fixed", "--image-tag-mutability", "IMMUTABLE")
    names = [r["repositoryName"] for r in aws("ecr", "describe-repositories")["repositories"]]
    check(names == ["booking/rooms", "booking/fixed"], names)
    page = aws("ecr", "describe-repositories", "--page-size", "1")["repositories"]
    check(len(page) == 2, "the CLI follows nextToken")
    refused("RepositoryNotFoundException", "ecr", "describe-repositories", "--repository-names", "none")
    aws("ecr", "delete-repository", "--repository-name", "booking/fixed")
    refused("RepositoryNotFoundException", "ecr", "delete-repository", "--repository-name", "booking/fixed")


def layout(folder):
    """An OCI image of one random layer, made by umoci."""
    def umoci(*arguments):
        subprocess.run(["umoci", *arguments], check=True, cwd=folder, capture_output=True)

    umoci("init", "--layout", "image")
    umoci("new", "--image", "image:v1")
    (Path(folder) / "file").write_bytes(os.urandom(3_000_000))
    umoci("insert", "--rootless", "--image", "image:v1", "file", "/file")
    return f"oci:{folder}/image:v1"


@test
def skopeo_pushes_and_pulls_through_the_registry_and_ecr_shows_it():
    for program in ("skopeo", "umoci"):
        if not shutil.which(program):
            return f"{program} is not installed"
    folder = cloud.folder.name
    source = layout(folder)
    host = f"127.0.0.1:{cloud.program.port}"
    password = run("ecr", "get-login-password").stdout.strip()

    def skopeo(*arguments, ok=True):
        done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, check=False)
        check((done.returncode == 0) == ok, f"skopeo {arguments}: {done.stderr}")
        return done.stdout + done.stderr

    credentials = f"AWS:{password}"
    skopeo("copy", "--dest-tls-verify=false", "--dest-creds", credentials, source, f"docker://{host}/booking/rooms:v1")
    out = skopeo("copy", "--dest-tls-verify=false", "--dest-creds", "AWS:wrong", source,
                 f"docker://{host}/booking/rooms:v2", ok=False)
    check("unauthorized" in out or "authentication" in out, out)
    out = skopeo("copy", "--dest-tls-verify=false", "--dest-creds", credentials, source,
                 f"docker://{host}/booking/none:v1", ok=False)
    check("does not exist" in out, out)
    skopeo("copy", "--src-tls-verify=false", "--src-creds", credentials, f"docker://{host}/booking/rooms:v1",
           f"oci:{folder}/back:v1")
    digest = json.loads((Path(folder) / "image/index.json").read_text())["manifests"][0]["digest"]
    back = json.loads((Path(folder) / "back/index.json").read_text())["manifests"][0]["digest"]
    check(digest == back, (digest, back))

    detail = aws("ecr", "describe-images", "--repository-name", "booking/rooms")["imageDetails"][0]
    check(detail["imageDigest"] == digest and detail["imageTags"] == ["v1"], detail)
    ids = aws("ecr", "list-images", "--repository-name", "booking/rooms")["imageIds"]
    check(ids == [{"imageDigest": digest, "imageTag": "v1"}], ids)
    got = aws("ecr", "batch-get-image", "--repository-name", "booking/rooms", "--image-ids", "imageTag=v1", "imageTag=v9")
    check(got["failures"][0]["failureCode"] == "ImageNotFound", got)
    manifest = got["images"][0]["imageManifest"]
    layer = json.loads(manifest)["layers"][0]["digest"]
    layers = aws("ecr", "batch-check-layer-availability", "--repository-name", "booking/rooms",
                 "--layer-digests", layer, "sha256:" + "0" * 64)["layers"]
    check([l["layerAvailability"] for l in layers] == ["AVAILABLE", "UNAVAILABLE"], layers)
    aws("ecr", "put-image", "--repository-name", "booking/rooms", "--image-tag", "release", "--image-manifest", manifest)
    refused("ImageAlreadyExistsException", "ecr", "put-image", "--repository-name", "booking/rooms",
            "--image-tag", "release", "--image-manifest", manifest)
    refused("RepositoryNotEmptyException", "ecr", "delete-repository", "--repository-name", "booking/rooms")
    gone = aws("ecr", "batch-delete-image", "--repository-name", "booking/rooms", "--image-ids", f"imageDigest={digest}")
    check(gone["failures"] == [] and aws("ecr", "list-images", "--repository-name", "booking/rooms")["imageIds"] == [], gone)


@test
def images_survive_kill_9():
    if not shutil.which("skopeo") or not (Path(cloud.folder.name) / "image").exists():
        return "skopeo or umoci is not installed"
    host = f"127.0.0.1:{cloud.program.port}"
    password = run("ecr", "get-login-password").stdout.strip()
    subprocess.run(["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", f"AWS:{password}",
                    f"oci:{cloud.folder.name}/image:v1", f"docker://{host}/booking/rooms:kept"],
                   check=True, capture_output=True)
    cloud.kill_and_restart()
    subprocess.run(["skopeo", "inspect", "--tls-verify=false", "--creds", f"AWS:{password}",
                    f"docker://{host}/booking/rooms:kept"], check=True, capture_output=True)


@test
def log_events_are_put_got_and_filtered():
    group = "/ecs/rooms"
    aws("logs", "create-log-group", "--log-group-name", group)
    refused("ResourceAlreadyExistsException", "logs", "create-log-group", "--log-group-name", group)
    for stream in ("rooms/app/1", "rooms/app/2"):
        aws("logs", "create-log-stream", "--log-group-name", group, "--log-stream-name", stream)
    now = 1_795_000_000_000
    for stream, first in (("rooms/app/1", 0), ("rooms/app/2", 1)):
        events = [{"timestamp": now + 2 * i + first, "message": f"line {2 * i + first}\n of \\ {stream}"} for i in range(5)]
        aws("logs", "put-log-events", "--log-group-name", group, "--log-stream-name", stream,
            "--log-events", json.dumps(events))
    got = aws("logs", "get-log-events", "--log-group-name", group, "--log-stream-name", "rooms/app/1", "--limit", "2")
    check([e["message"] for e in got["events"]] == [f"line {n}\n of \\ rooms/app/1" for n in (6, 8)], got)
    before = aws("logs", "get-log-events", "--log-group-name", group, "--log-stream-name", "rooms/app/1",
                 "--limit", "2", "--next-token", got["nextBackwardToken"])
    check([e["timestamp"] - now for e in before["events"]] == [2, 4], before)
    end = aws("logs", "get-log-events", "--log-group-name", group, "--log-stream-name", "rooms/app/1",
              "--next-token", got["nextForwardToken"])
    check(end["events"] == [] and end["nextForwardToken"] == got["nextForwardToken"], end)
    found = aws("logs", "filter-log-events", "--log-group-name", group, "--start-time", str(now + 2))["events"]
    check([e["timestamp"] - now for e in found] == list(range(2, 10)), "both streams in order of time")
    found = aws("logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", '"line 3"')["events"]
    check([e["logStreamName"] for e in found] == ["rooms/app/2"], found)
    streams = aws("logs", "describe-log-streams", "--log-group-name", group, "--order-by", "LastEventTime",
                  "--descending")["logStreams"]
    check([s["logStreamName"] for s in streams] == ["rooms/app/2", "rooms/app/1"], streams)
    aws("logs", "put-retention-policy", "--log-group-name", group, "--retention-in-days", "1")
    check(aws("logs", "describe-log-groups", "--log-group-name-prefix", "/ecs")["logGroups"][0]["retentionInDays"] == 1, "kept")
    aws("logs", "delete-log-group", "--log-group-name", group)
    refused("ResourceNotFoundException", "logs", "get-log-events", "--log-group-name", group, "--log-stream-name", "x")


@test
def a_load_balancer_goes_through_its_life():
    port = free_port()
    lb = aws("elbv2", "create-load-balancer", "--name", "cli", "--subnets", "subnet-1", "--tags",
             "Key=team,Value=booking")["LoadBalancers"][0]
    check(lb["State"]["Code"] == "active" and lb["DNSName"] == "127.0.0.1", lb)
    arn = lb["LoadBalancerArn"]
    refused("DuplicateLoadBalancerName", "elbv2", "create-load-balancer", "--name", "cli", "--subnets", "subnet-1")
    refused("LoadBalancerNotFound", "elbv2", "describe-load-balancers", "--names", "none")
    tags = aws("elbv2", "describe-tags", "--resource-arns", arn)["TagDescriptions"][0]["Tags"]
    check(tags == [{"Key": "team", "Value": "booking"}], tags)
    aws("elbv2", "add-tags", "--resource-arns", arn, "--tags", "Key=team,Value=other", "Key=b,Value=")
    tags = aws("elbv2", "describe-tags", "--resource-arns", arn)["TagDescriptions"][0]["Tags"]
    check(tags == [{"Key": "team", "Value": "other"}, {"Key": "b", "Value": ""}], tags)

    groups = {}
    for name in ("cli-blue", "cli-green"):
        made = aws("elbv2", "create-target-group", "--name", name, "--protocol", "HTTP", "--port", "80", "--vpc-id",
                   "vpc-1", "--target-type", "ip", "--health-check-path", "/health",
                   "--matcher", "HttpCode=200-299")["TargetGroups"][0]
        check(made["HealthCheckIntervalSeconds"] == 30 and made["Matcher"]["HttpCode"] == "200-299", made)
        groups[name] = made["TargetGroupArn"]
    blue, green = groups.values()
    refused("DuplicateTargetGroupName", "elbv2", "create-target-group", "--name", "cli-blue", "--protocol", "HTTP",
            "--port", "80", "--vpc-id", "vpc-1", "--target-type", "ip")
    changed = aws("elbv2", "modify-target-group", "--target-group-arn", blue, "--health-check-interval-seconds", "5")
    check(changed["TargetGroups"][0]["HealthCheckPath"] == "/health", "what was not named stays")
    aws("elbv2", "modify-target-group-attributes", "--target-group-arn", blue, "--attributes",
        "Key=deregistration_delay.timeout_seconds,Value=5")
    attributes = aws("elbv2", "describe-target-group-attributes", "--target-group-arn", blue)["Attributes"]
    check({"Key": "deregistration_delay.timeout_seconds", "Value": "5"} in attributes, attributes)

    listener = aws("elbv2", "create-listener", "--load-balancer-arn", arn, "--protocol", "HTTP", "--port", str(port),
                   "--default-actions", f"Type=forward,TargetGroupArn={blue}")["Listeners"][0]
    check(listener["DefaultActions"][0]["TargetGroupArn"] == blue and listener["Port"] == port, listener)
    refused("DuplicateListener", "elbv2", "create-listener", "--load-balancer-arn", arn, "--protocol", "HTTP",
            "--port", str(port), "--default-actions", f"Type=forward,TargetGroupArn={blue}")
    refused("UnsupportedProtocol", "elbv2", "create-listener", "--load-balancer-arn", arn, "--protocol", "HTTPS",
            "--port", "443", "--default-actions", f"Type=forward,TargetGroupArn={blue}")
    refused("TargetGroupNotFound", "elbv2", "create-listener", "--load-balancer-arn", arn, "--protocol", "HTTP",
            "--port", str(free_port()), "--default-actions", f"Type=forward,TargetGroupArn={blue}x")
    rule = aws("elbv2", "create-rule", "--listener-arn", listener["ListenerArn"], "--priority", "10",
               "--conditions", "Field=path-pattern,Values=/a*", "--actions", json.dumps([{
                   "Type": "forward", "ForwardConfig": {"TargetGroups": [
                       {"TargetGroupArn": blue, "Weight": 100}, {"TargetGroupArn": green, "Weight": 0}]}}]))["Rules"][0]
    refused("PriorityInUse", "elbv2", "create-rule", "--listener-arn", listener["ListenerArn"], "--priority", "10",
            "--conditions", "Field=path-pattern,Values=/b", "--actions", f"Type=forward,TargetGroupArn={blue}")
    rules = aws("elbv2", "describe-rules", "--listener-arn", listener["ListenerArn"])["Rules"]
    check([r["Priority"] for r in rules] == ["10", "default"] and rules[1]["IsDefault"] is True, rules)
    check(rules[0]["Conditions"][0]["PathPatternConfig"]["Values"] == ["/a*"], rules)
    refused("OperationNotPermitted", "elbv2", "modify-rule", "--rule-arn", rules[1]["RuleArn"], "--actions",
            f"Type=forward,TargetGroupArn={green}")
    refused("ResourceInUse", "elbv2", "delete-target-group", "--target-group-arn", green)

    server = Program("echo_server", "one")
    try:
        aws("elbv2", "register-targets", "--target-group-arn", blue, "--targets", f"Id=127.0.0.1,Port={server.port}")

        def healthy():
            """the target to be healthy"""
            health = aws("elbv2", "describe-target-health", "--target-group-arn", blue)["TargetHealthDescriptions"]
            return health[0]["TargetHealth"]["State"] == "healthy"

        wait_for(healthy)
        done = run("elbv2", "wait", "target-in-service", "--target-group-arn", blue)
        check(done.returncode == 0, done.stderr)
        aws("elbv2", "deregister-targets", "--target-group-arn", blue, "--targets", f"Id=127.0.0.1,Port={server.port}")
        done = run("elbv2", "wait", "target-deregistered", "--target-group-arn", blue, "--targets",
                   f"Id=127.0.0.1,Port={server.port}")
        check(done.returncode == 0, done.stderr)
    finally:
        server.end()
    aws("elbv2", "modify-rule", "--rule-arn", rule["RuleArn"], "--actions", f"Type=forward,TargetGroupArn={blue}")
    aws("elbv2", "delete-target-group", "--target-group-arn", green)
    aws("elbv2", "delete-rule", "--rule-arn", rule["RuleArn"])
    aws("elbv2", "modify-load-balancer-attributes", "--load-balancer-arn", arn, "--attributes",
        "Key=deletion_protection.enabled,Value=true")
    refused("OperationNotPermitted", "elbv2", "delete-load-balancer", "--load-balancer-arn", arn)
    aws("elbv2", "modify-load-balancer-attributes", "--load-balancer-arn", arn, "--attributes",
        "Key=deletion_protection.enabled,Value=false")
    aws("elbv2", "delete-load-balancer", "--load-balancer-arn", arn)
    aws("elbv2", "delete-target-group", "--target-group-arn", blue)
    check(aws("elbv2", "describe-target-groups")["TargetGroups"] == [], "all gone")


status = run_tests()
cloud.close()
sys.exit(status)
