# timeout: 300
"""What the deployer sends and what the local cloud answers has the shapes that AWS publishes for both."""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.parse
from pathlib import Path

from tap import check, note, run_tests, skip_all

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from aws_model import Model  # noqa: E402
from scene import need_root, wait_until  # noqa: E402

SHARED = os.environ.get("DOGSHORE_SHARED")
MODELS = Path(SHARED or "/none") / "aws-models"
need_root()
if not MODELS.is_dir():
    skip_all("there are no ../shared/aws-models")

SERVICES = ("ecs", "ecr", "elbv2", "logs", "sts")
VARIABLES = {"ecs": "ECS", "ecr": "ECR", "elbv2": "ELASTIC_LOAD_BALANCING_V2", "logs": "CLOUDWATCH_LOGS", "sts": "STS"}
models = {name: Model(MODELS / name) for name in SERVICES}
stage = shop.Shop()
calls = []  # of class Call


class Call:
    """One that went by."""

    def __init__(self, headers, body, status, answer):
        target = headers.get("X-Amz-Target", "")
        prefix, _, self.operation = target.partition(".")
        self.body, self.status, self.answer, self.ours = body.decode(), status, answer.decode(), recording["ours"]
        if target:
            self.service = next(s for s in SERVICES if models[s].metadata.get("targetPrefix") == prefix)
        else:
            form = dict(urllib.parse.parse_qsl(self.body))
            self.operation = form["Action"]
            self.service = next(s for s in SERVICES if models[s].query and models[s].metadata["apiVersion"] == form["Version"])

    def __str__(self):
        return f"{self.service} {self.operation}"


recording = {"ours": True}


class Recorder(http.server.BaseHTTPRequestHandler):
    """Hands requests on to the local cloud as they are, signature and all."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(stage.endpoint_address, timeout=60)
        connection.request("POST", self.path, body, dict(self.headers))
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        calls.append(Call(self.headers, body, response.status, answer))
        self.send_response(response.status)
        for name in ("Content-Type", "x-amzn-RequestId"):
            if response.getheader(name):
                self.send_header(name, response.getheader(name))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def ready():
    stage.make_repository()
    stage.start_cloud()
    stage.recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=stage.recorder.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{stage.recorder.server_port}"
    stage.environment |= {f"AWS_ENDPOINT_URL_{name}": url for name in VARIABLES.values()}


def findings(chosen, ask):
    """Each finding once, with one example of where."""
    found = {}
    for call in chosen:
        for text in ask(call):
            found.setdefault(f"{call.service} " + re.sub(r"\[\d+\]", "[]", text), None)
    return sorted(found)


def request_findings(call):
    return models[call.service].check_request(call.operation, call.body)


def answer_findings(call):
    return models[call.service].check_answer(call.operation, call.status, call.answer)


def what_dogshore_sends():
    stage.dogshore("run", "--env", "local", expect=0)
    stage.edit("svc/svc.c", '"v0"', '"v1"')
    stage.put("svc/service.json", json.dumps(shop.SERVICE | {
        "deploymentConfiguration": shop.SERVICE["deploymentConfiguration"] | {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
        "enableECSManagedTags": True, "propagateTags": "SERVICE", "tags": [{"key": "team", "value": "shop"}]}))
    stage.task_with(
        environment=[{"name": "A", "value": "b"}], ulimits=[{"name": "nofile", "softLimit": 1024, "hardLimit": 2048}],
        healthCheck={"command": ["CMD", "/app/out", "true"], "interval": 5, "retries": 2, "startPeriod": 1, "timeout": 2},
        dockerLabels={"x": "y"}, linuxParameters={"initProcessEnabled": False}, user="65532:65532")
    stage.commit("v1, blue/green")
    stage.dogshore("run", "--env", "local", expect=0)
    for words in (["status", "svc"], ["status"], ["wait", "svc"], ["logs", "svc"]):
        stage.dogshore(*words, "--env", "local", expect=0)
    stage.dogshore("rollback", "svc", "--env", "local", expect=0)
    stage.task_with(command=["eat", "1"])
    stage.commit("ends at once")
    stage.dogshore("run", "--env", "local", expect=4)
    stage.back()
    operations = sorted({str(call) for call in calls})
    note("sent: " + ", ".join(operations))
    check("calls of four services were seen", {call.service for call in calls} >= {"ecs", "ecr", "elbv2", "logs"})
    check("every request has the shape of the model", findings(calls, request_findings), [])


def what_dogshore_is_answered():
    check("every answer has the shape of the model", findings(calls, answer_findings), [])


# ---- every operation that the local cloud knows


def signed(service, headers, body):
    """SigV4 as AWS describes it, over the headers given."""
    keys = json.loads((stage.state / "local/credentials.json").read_text())
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{when[:8]}/{keys['region']}/{service}/aws4_request"
    headers = {name.lower(): value for name, value in headers.items()} | {"x-amz-date": when}
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", "/", "", *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names, hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + keys["secret_access_key"].encode()
    for part in (when[:8], keys["region"], service, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return headers | {"authorization": f"AWS4-HMAC-SHA256 Credential={keys['access_key_id']}/{scope}, "
                                       f"SignedHeaders={names}, Signature={key.hex()}"}


def flat(value, name=""):
    """The query protocol's names for a document."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in flat(item, f"{name}.{key}" if name else key)]
    if isinstance(value, list):
        return [pair for i, item in enumerate(value) for pair in flat(item, f"{name}.member.{i + 1}")]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def ask(service, operation, /, refused=False, **members):
    """Calls through the recorder; the answer as a document (JSON protocols) or as text."""
    model = models[service]
    host = f"127.0.0.1:{stage.recorder.server_port}"
    if model.query:
        body = urllib.parse.urlencode([("Action", operation), ("Version", model.metadata["apiVersion"]), *flat(members)]).encode()
        headers = {"Host": host, "Content-Type": "application/x-www-form-urlencoded"}
    else:
        body = json.dumps(members).encode()
        headers = {"Host": host, "Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}",
                   "X-Amz-Target": f"{model.metadata['targetPrefix']}.{operation}"}
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", "/", body, signed(model.signing_name, headers, body))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if (response.status >= 300) != refused:
        raise AssertionError(f"{service} {operation}: {response.status} {text}")
    return text if model.query else json.loads(text or "{}")


def arn(text, kind):
    """The first of a kind in XML."""
    return re.search(rf"<{kind}>([^<]+)</{kind}>", text).group(1)


def every_ecr_operation():
    ask("ecr", "CreateRepository", repositoryName="x/y", tags=[{"Key": "a", "Value": "b"}], imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True})
    ask("ecr", "CreateRepository", refused=True, repositoryName="x/y")
    ask("ecr", "DescribeRepositories")
    ask("ecr", "DescribeRepositories", refused=True, repositoryNames=["no/where"])
    ask("ecr", "GetAuthorizationToken")
    listed = ask("ecr", "ListImages", repositoryName="shop/svc")["imageIds"]
    ask("ecr", "ListImages", repositoryName="shop/svc", maxResults=1)
    ask("ecr", "DescribeImages", repositoryName="shop/svc")
    ask("ecr", "DescribeImages", refused=True, repositoryName="shop/svc", imageIds=[{"imageTag": "none"}])
    digest = [{"imageDigest": listed[0]["imageDigest"]}]
    manifest = ask("ecr", "BatchGetImage", repositoryName="shop/svc", imageIds=digest + [{"imageTag": "none"}])["images"][0]
    ask("ecr", "PutImage", repositoryName="shop/svc", imageManifest=manifest["imageManifest"],
        imageManifestMediaType=manifest["imageManifestMediaType"], imageTag="again")
    layers = [layer["digest"] for layer in json.loads(manifest["imageManifest"])["layers"]]
    ask("ecr", "BatchCheckLayerAvailability", repositoryName="shop/svc", layerDigests=layers + ["sha256:" + "0" * 64])
    svc = {"repositoryName": "shop/svc"}
    url = ask("ecr", "GetDownloadUrlForLayer", **svc, layerDigest=layers[0])
    check("a link to the layer", url["layerDigest"], layers[0])
    ask("ecr", "GetDownloadUrlForLayer", refused=True, **svc, layerDigest="sha256:" + "0" * 64)
    upload = {**svc, "uploadId": ask("ecr", "InitiateLayerUpload", **svc)["uploadId"]}
    ask("ecr", "UploadLayerPart", **upload, partFirstByte=0, partLastByte=1, layerPartBlob="aGk=")
    ask("ecr", "UploadLayerPart", refused=True, **upload, partFirstByte=0, partLastByte=1, layerPartBlob="aGk=")
    ask("ecr", "CompleteLayerUpload", **upload, layerDigests=["sha256:" + hashlib.sha256(b"hi").hexdigest()])
    ask("ecr", "CompleteLayerUpload", refused=True, **upload, layerDigests=["sha256:" + hashlib.sha256(b"hi").hexdigest()])
    policy = json.dumps({"rules": [{"rulePriority": 1, "description": "all but the newest", "selection": {
        "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]})
    ask("ecr", "GetLifecyclePolicy", refused=True, **svc)
    ask("ecr", "PutLifecyclePolicy", **svc, lifecyclePolicyText=policy)
    ask("ecr", "PutLifecyclePolicy", refused=True, **svc, lifecyclePolicyText=policy.replace("any", "all"))
    ask("ecr", "StartLifecyclePolicyPreview", **svc)
    ask("ecr", "GetLifecyclePolicyPreview", **svc)
    ask("ecr", "GetLifecyclePolicy", **svc)
    ask("ecr", "DeleteLifecyclePolicy", **svc)
    ask("ecr", "DescribeImageScanFindings", refused=True, **svc, imageId=digest[0])
    (stage.state / "local/scan-findings.json").write_text(json.dumps({"shop/svc": [
        {"name": "CVE-2026-1", "severity": "LOW", "description": "d", "uri": "https://example.com", "attributes": [{"key": "k", "value": "v"}]}]}))
    ask("ecr", "StartImageScan", **svc, imageId=digest[0])
    ask("ecr", "DescribeImageScanFindings", **svc, imageId=digest[0])
    ask("ecr", "DescribeImages", **svc, imageIds=digest)
    ask("ecr", "PutImageScanningConfiguration", **svc, imageScanningConfiguration={"scanOnPush": True})
    ask("ecr", "PutImageTagMutability", **svc, imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}])
    ask("ecr", "PutImageTagMutability", refused=True, **svc, imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
    ask("ecr", "DescribeRepositories")
    ask("ecr", "PutImageTagMutability", **svc, imageTagMutability="MUTABLE")
    subject = json.loads(manifest["imageManifest"]) | {"artifactType": "application/x", "annotations": {"a": "b"}, "subject": {
        "mediaType": manifest["imageManifestMediaType"], "size": len(manifest["imageManifest"]), **{"digest": digest[0]["imageDigest"]}}}
    ask("ecr", "PutImage", **svc, imageManifest=json.dumps(subject), imageManifestMediaType=manifest["imageManifestMediaType"])
    referrers = ask("ecr", "ListImageReferrers", **svc, subjectId=digest[0], filter={"artifactTypes": ["application/x"]})["referrers"]
    check("the referrer is listed", [r["artifactType"] for r in referrers], ["application/x"])
    check("and none of another type", ask("ecr", "ListImageReferrers", **svc, subjectId=digest[0], filter={
        "artifactTypes": ["application/y"]})["referrers"], [])
    ask("ecr", "BatchDeleteImage", repositoryName="shop/svc", imageIds=[{"imageTag": "again"}, {"imageTag": "none"}])
    ask("ecr", "DeleteRepository", repositoryName="x/y", force=True)
    ask("ecr", "DeleteRepository", refused=True, repositoryName="x/y")


def every_elbv2_operation():
    made = ask("elbv2", "CreateLoadBalancer", Name="lb", Subnets=["subnet-1", "subnet-2"], Tags=[{"Key": "a", "Value": "b"}])
    balancer = arn(made, "LoadBalancerArn")
    group = arn(ask("elbv2", "CreateTargetGroup", Name="tg", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip"), "TargetGroupArn")
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    port = shop.scene.free_port()
    listener = arn(ask("elbv2", "CreateListener", LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=forward), "ListenerArn")
    ask("elbv2", "CreateListener", refused=True, LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=forward)
    rules = ask("elbv2", "CreateRule", ListenerArn=listener, Priority=5, Conditions=[
        {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a*"]}}, {"Field": "host-header", "Values": ["x.y"]},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "Values": ["1"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2"}]}}], Actions=[
        {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 7}]}}])
    rule = arn(rules, "RuleArn")
    ask("elbv2", "CreateRule", refused=True, ListenerArn=listener, Priority=5, Actions=forward,
        Conditions=[{"Field": "path-pattern", "Values": ["/b"]}])
    ask("elbv2", "ModifyRule", RuleArn=rule, Actions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/c"}}])
    ask("elbv2", "SetRulePriorities", RulePriorities=[{"RuleArn": rule, "Priority": 9}])
    ask("elbv2", "DescribeRules", ListenerArn=listener)
    ask("elbv2", "ModifyListener", ListenerArn=listener, DefaultActions=[
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "no"}}])
    ask("elbv2", "DescribeListeners", LoadBalancerArn=balancer)
    ask("elbv2", "ModifyTargetGroup", TargetGroupArn=group, HealthCheckPath="/h", Matcher={"HttpCode": "200-299"})
    ask("elbv2", "ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "3"}])
    ask("elbv2", "DescribeTargetGroupAttributes", TargetGroupArn=group)
    ask("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=balancer, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "60"}])
    ask("elbv2", "DescribeLoadBalancerAttributes", LoadBalancerArn=balancer)
    ask("elbv2", "RegisterTargets", TargetGroupArn=group, Targets=[{"Id": "127.0.0.9", "Port": 9}])
    ask("elbv2", "DescribeTargetHealth", TargetGroupArn=group)
    ask("elbv2", "DescribeTargetHealth", TargetGroupArn=group, Targets=[{"Id": "127.0.0.8", "Port": 9}])
    ask("elbv2", "DeregisterTargets", TargetGroupArn=group, Targets=[{"Id": "127.0.0.9", "Port": 9}])
    for operation in ("DescribeLoadBalancers", "DescribeTargetGroups"):
        ask("elbv2", operation)
    ask("elbv2", "AddTags", ResourceArns=[group], Tags=[{"Key": "k", "Value": "v"}])
    ask("elbv2", "DescribeTags", ResourceArns=[group, balancer])
    ask("elbv2", "RemoveTags", ResourceArns=[group], TagKeys=["k"])
    ask("elbv2", "DescribeLoadBalancers", refused=True, Names=["nobody"])
    ask("elbv2", "DescribeTargetGroups", refused=True, Names=["nobody"])
    ask("elbv2", "DeleteRule", RuleArn=rule)
    ask("elbv2", "DeleteRule", refused=True, RuleArn=rule)
    ask("elbv2", "DeleteListener", ListenerArn=listener)
    ask("elbv2", "DeleteLoadBalancer", LoadBalancerArn=balancer)
    ask("elbv2", "DeleteTargetGroup", TargetGroupArn=group)


def every_logs_operation():
    ask("logs", "CreateLogGroup", logGroupName="/g")
    ask("logs", "CreateLogGroup", refused=True, logGroupName="/g")
    ask("logs", "CreateLogStream", logGroupName="/g", logStreamName="s")
    now = int(time.time() * 1000)
    ask("logs", "PutLogEvents", logGroupName="/g", logStreamName="s", logEvents=[{"timestamp": now, "message": "hello"}])
    ask("logs", "PutRetentionPolicy", logGroupName="/g", retentionInDays=7)
    ask("logs", "DescribeLogGroups")
    ask("logs", "DescribeLogStreams", logGroupName="/g")
    ask("logs", "DescribeLogStreams", refused=True, logGroupName="/none")
    ask("logs", "GetLogEvents", logGroupName="/g", logStreamName="s", startFromHead=True)
    ask("logs", "FilterLogEvents", logGroupName="/g", filterPattern="hello")
    ask("logs", "FilterLogEvents", logGroupName="/shop/svc", limit=1)
    ask("logs", "DeleteLogGroup", logGroupName="/g")
    ask("sts", "GetCallerIdentity")


def every_ecs_operation():
    image = json.loads(next(c.body for c in calls if c.operation == "RegisterTaskDefinition"))["containerDefinitions"][0]["image"]
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "DISABLED"}}
    ask("ecs", "CreateCluster", clusterName="c", tags=[{"key": "a", "value": "b"}], settings=[{"name": "containerInsights", "value": "disabled"}])
    ask("ecs", "ListClusters")
    ask("ecs", "DescribeClusters", clusters=["c", "none"], include=["TAGS", "SETTINGS", "STATISTICS"])
    definition = ask("ecs", "RegisterTaskDefinition", family="f", networkMode="awsvpc", cpu="256", memory="512",
                     requiresCompatibilities=["FARGATE"], tags=[{"key": "a", "value": "b"}], volumes=[{"name": "v"}], containerDefinitions=[{
                         "name": "m", "image": image, "portMappings": [{"containerPort": 8080, "protocol": "tcp", "name": "http"}],
                         "mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": False}], "stopTimeout": 2,
                         "environment": [{"name": "A", "value": "b"}]}])["taskDefinition"]["taskDefinitionArn"]
    ask("ecs", "RegisterTaskDefinition", refused=True, family="f", containerDefinitions=[])
    ask("ecs", "DescribeTaskDefinition", taskDefinition="f", include=["TAGS"])
    ask("ecs", "DescribeTaskDefinition", refused=True, taskDefinition="none")
    ask("ecs", "ListTaskDefinitions")
    ask("ecs", "ListTaskDefinitionFamilies")
    service = ask("ecs", "CreateService", cluster="c", serviceName="s", taskDefinition="f", desiredCount=1, launchType="FARGATE",
                  networkConfiguration=network, enableECSManagedTags=True, propagateTags="SERVICE", tags=[{"key": "a", "value": "b"}],
                  deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}})["service"]
    wait_until("the service", lambda: ask("ecs", "DescribeServices", cluster="c", services=["s", "none"], include=["TAGS"])["services"][0]["runningCount"] == 1)
    ask("ecs", "ListServices", cluster="c")
    ask("ecs", "ListServices", refused=True, cluster="none")
    deployments = ask("ecs", "ListServiceDeployments", cluster="c", service="s")["serviceDeployments"]
    first = ask("ecs", "DescribeServiceDeployments", serviceDeploymentArns=[deployments[0]["serviceDeploymentArn"]])["serviceDeployments"][0]
    ask("ecs", "DescribeServiceRevisions", serviceRevisionArns=[first["targetServiceRevision"]["arn"], first["targetServiceRevision"]["arn"] + "0"])
    second = ask("ecs", "UpdateService", cluster="c", service="s", forceNewDeployment=True)["service"]["currentServiceDeployment"]
    ask("ecs", "StopServiceDeployment", serviceDeploymentArn=second, stopType="ROLLBACK")
    ask("ecs", "DescribeServiceDeployments", serviceDeploymentArns=[second])
    ask("ecs", "UpdateService", refused=True, cluster="c", service="none")
    for operation, more in (("TagResource", {"tags": [{"key": "k", "value": "v"}]}), ("ListTagsForResource", {}), ("UntagResource", {"tagKeys": ["k"]})):
        ask("ecs", operation, resourceArn=service["serviceArn"], **more)
    task = ask("ecs", "RunTask", cluster="c", taskDefinition="f", count=1, launchType="FARGATE", networkConfiguration=network, startedBy="me",
               overrides={"containerOverrides": [{"name": "m", "environment": [{"name": "X", "value": "1"}]}]})["tasks"][0]["taskArn"]
    wait_until("the task", lambda: ask("ecs", "DescribeTasks", cluster="c", tasks=[task, "0" * 32], include=["TAGS"])["tasks"][0]["lastStatus"] == "RUNNING")
    ask("ecs", "ListTasks", cluster="c")
    ask("ecs", "StopTask", cluster="c", task=task, reason="enough")
    wait_until("its end", lambda: ask("ecs", "DescribeTasks", cluster="c", tasks=[task])["tasks"][0]["lastStatus"] == "STOPPED")
    ask("ecs", "DeleteCluster", refused=True, cluster="c")
    ask("ecs", "DeleteService", cluster="c", service="s", force=True)
    wait_until("the service's end", lambda: ask("ecs", "DescribeServices", cluster="c", services=["s"])["services"][0]["status"] == "INACTIVE")
    ask("ecs", "DeregisterTaskDefinition", taskDefinition=definition)
    ask("ecs", "DeleteTaskDefinitions", taskDefinitions=[definition, definition + "0"])
    ask("ecs", "DeleteCluster", cluster="c")


def what_others_are_answered():
    recording["ours"] = False
    for every in (every_ecr_operation, every_elbv2_operation, every_logs_operation, every_ecs_operation):
        every()
    theirs = [call for call in calls if not call.ours]
    # so that the test itself asks as AWS's clients do
    check("the requests were as the models say", findings([c for c in theirs if c.status < 300], request_findings), [])
    check("every answer has the shape of the model", findings(theirs, answer_findings), [])
    known = {(service, operation) for service in SERVICES for operation in re.findall(
        r'^\t\{"(\w+)"', (shop.SOURCE / f"deployers/local/{service}_operations.c").read_text(), re.M)}
    check("every operation of the tables was asked", sorted(known - {(c.service, c.operation) for c in calls if c.status < 300}), [])


def the_models_refuse_what_is_wrong():
    """Of documents that are wrong in one place each, that place is found."""
    ecs, elb = models["ecs"], models["elbv2"]
    form = "Version=2015-12-01&Action=CreateRule&"
    check("in requests", [
        ecs.check_request("ListTasks", '{"clusters": "c"}'), ecs.check_request("ListTasks", '{"cluster": 1}'),
        ecs.check_request("DeleteCluster", "{}"), ecs.check_request("ListTasks", '{"launchType": "MOON"}')[0][:30],
        elb.check_request("DeleteRule", "Version=2015-12-01&Action=DeleteRule&RuleArn.member.1=x"),
        [f for f in elb.check_request("CreateRule", form + "Priority=x&Conditions.member.1.Field=a&ListenerArn=l&Actions.member.2.Type=forward")],
    ], [
        ["ListTasks.clusters: no such member"], ["ListTasks.cluster: 1 is no string"], ["DeleteCluster.cluster: is required"],
        "ListTasks.launchType: 'MOON' i", ["DeleteRule.RuleArn: has members ['member.1']"],
        ["CreateRule.Priority: 'x' is no integer", "CreateRule.Actions: its numbers are ['2']"],
    ])
    space = elb.metadata["xmlNamespace"]

    def answer(inside):
        return (f'<DescribeTagsResponse xmlns="{space}"><DescribeTagsResult>{inside}</DescribeTagsResult>'
                "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeTagsResponse>")
    check("in answers", [
        ecs.check_answer("ListTasks", 200, '{"taskArns": "x"}'),
        ecs.check_answer("DescribeTasks", 200, '{"tasks": [{"createdAt": "2026-01-01T00:00:00Z"}]}'),
        ecs.check_answer("ListTasks", 400, '{"__type": "NoSuchTask"}')[0][:37],
        elb.check_answer("DescribeTags", 200, answer("<TagDescriptions><member><Tag/></member></TagDescriptions>")),
        elb.check_answer("DescribeTags", 200, answer("<TagDescriptions><item/></TagDescriptions>")),
    ], [
        ["ListTasks.taskArns: 'x' is no list"], ["DescribeTasks.tasks[0].createdAt: '2026-01-01T00:00:00Z' is no number"],
        "ListTasks: the error NoSuchTask is no", ["DescribeTags.TagDescriptions[0].Tag: no such member"],
        ["DescribeTags.TagDescriptions: a list has item"],
    ])


def decoded():
    token = base64.b64decode(json.loads(next(c.answer for c in calls if c.operation == "GetAuthorizationToken"))["authorizationData"][0]["authorizationToken"])
    check("a token for the registry is AWS:password", token.startswith(b"AWS:"))


run_tests(the_models_refuse_what_is_wrong, what_dogshore_sends, what_dogshore_is_answered, what_others_are_answered, decoded, ready=ready, tidy=stage.stop_cloud)
