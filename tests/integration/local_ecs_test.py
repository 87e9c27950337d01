# timeout: 900
"""ECS of the local cloud on real containers: services that serve, updates under load, and bad days."""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from tap import check, check_contains, note, run_tests, skip, skip_all

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests" / "e2e"))
import scene  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
FOLDER = Path(os.environ["TMPDIR"])
STATE = FOLDER / "cloud"

scene.need_root()
try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    import botocore.session
except ImportError:
    skip_all("botocore is not installed")

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
address = f"127.0.0.1:{scene.free_port()}"
production = scene.free_port()
images = {}  # version -> reference by digest
made = {}  # ARNs


def dogshore(*words, expect=0):
    ended = subprocess.run([PROGRAM, *words], text=True, capture_output=True, check=False)
    if expect is not None and ended.returncode != expect:
        raise AssertionError(f"dogshore {' '.join(words)}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended


def up():
    return dogshore("local", "up", "--detach", "--state", str(STATE), "--endpoint", address)


def keys():
    return json.loads((STATE / "credentials.json").read_text())


class Refused(Exception):
    pass


MODEL = SOURCE.parent / "shared" / "aws-models" / "ecs" / "service-2.json"
model = json.loads(MODEL.read_text()) if MODEL.exists() else None
misshapen = set()  # what answers have that the published model has not
KINDS = {"string": str, "timestamp": (int, float), "integer": int, "long": int, "double": (int, float), "boolean": bool}


def compare(value, name, path):
    shape = model["shapes"][name]
    kind = shape["type"]
    if kind == "structure":
        for key, member in value.items():
            if key in shape["members"]:
                compare(member, shape["members"][key]["shape"], f"{path}.{key}")
            else:
                misshapen.add(f"{path}.{key} is not in the model")
    elif kind == "list":
        for member in value:
            compare(member, shape["member"]["shape"], f"{path}[]")
    elif kind == "map":
        for member in value.values():
            compare(member, shape["value"]["shape"], f"{path}{{}}")
    elif not isinstance(value, KINDS[kind]) or (kind != "boolean" and isinstance(value, bool)):
        misshapen.add(f"{path} is {value!r}, not a {kind}")
    elif "enum" in shape and value not in shape["enum"]:
        misshapen.add(f"{path} is {value!r}, none of {shape['enum']}")


def shaped(operation, answer):
    if model and "output" in model["operations"][operation]:
        compare(answer, model["operations"][operation]["output"]["shape"], operation)
    return answer


def ecs(operation, **members):
    """One call, signed by botocore, with members that an old botocore need not know."""
    key = keys()
    request = botocore.awsrequest.AWSRequest(
        method="POST", url=key["endpoint"] + "/", data=json.dumps(members).encode(),
        headers={"Content-Type": "application/x-amz-json-1.1",
                 "X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}"})
    pair = botocore.credentials.Credentials(key["access_key_id"], key["secret_access_key"])
    botocore.auth.SigV4Auth(pair, "ecs", key["region"]).add_auth(request)
    sent = urllib.request.Request(request.url, request.data, dict(request.headers.items()))
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:
            return shaped(operation, json.load(answer))
    except urllib.error.HTTPError as error:
        raise Refused(json.load(error)["__type"]) from error


def refused(operation, **members):
    try:
        ecs(operation, **members)
    except Refused as why:
        return str(why).rsplit("#", 1)[-1]
    return "nothing"


def elb():
    key = keys()
    return botocore.session.get_session().create_client(
        "elbv2", endpoint_url=key["endpoint"], region_name=key["region"],
        aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"])


def define(family, version="v1", **container):
    container = {"name": "web", "image": images[version], "portMappings": [{"containerPort": 8080}],
                 "stopTimeout": 2} | container
    answer = ecs("RegisterTaskDefinition", family=family, networkMode="awsvpc",
                 requiresCompatibilities=["FARGATE"], cpu="256", memory="512", containerDefinitions=[container])
    return answer["taskDefinition"]["taskDefinitionArn"]


def service(name="web"):
    return ecs("DescribeServices", cluster="c", services=[name])["services"][0]


def deployment(arn):
    return ecs("DescribeServiceDeployments", serviceDeploymentArns=[arn])["serviceDeployments"][0]


def ended(arn, seconds=90):
    def over():
        found = deployment(arn)
        return found["status"] not in ("PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS") and found
    return scene.wait_until("the end of a deployment", over, seconds)


def update(name="web", **members):
    return ecs("UpdateService", cluster="c", service=name, **members)["service"]["currentServiceDeployment"]


def tasks(name="web", status="RUNNING"):
    arns = ecs("ListTasks", cluster="c", serviceName=name, desiredStatus=status)["taskArns"]
    return ecs("DescribeTasks", cluster="c", tasks=arns)["tasks"] if arns else []


def run_task(definition, **members):
    arn = ecs("RunTask", cluster="c", taskDefinition=definition, networkConfiguration=NETWORK, **members)["tasks"][0]["taskArn"]
    return arn


def task(arn):
    return ecs("DescribeTasks", cluster="c", tasks=[arn])["tasks"][0]


def stopped(arn, seconds=60):
    def over():
        found = task(arn)
        return found["lastStatus"] == "STOPPED" and found
    return scene.wait_until("a task's end", over, seconds)


def get(port=None):
    connection = http.client.HTTPConnection("127.0.0.1", port or production, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except OSError as error:
        return str(error)
    finally:
        connection.close()


def kill_endpoint():
    os.kill(int((STATE / "pid").read_text()), signal.SIGKILL)


def build(version):
    binary = FOLDER / f"svc-{version}"
    subprocess.run(["cc", "-static", "-O2", f'-DVERSION="{version}"', "-o", binary, SOURCE / "tests/bench/svc.c"], check=True)
    dogshore("image", "build", "--binary", str(binary), "--port", "8080", "--output", f"{FOLDER}/layout:{version}")
    key = keys()
    environment = dict(os.environ, AWS_ENDPOINT_URL=key["endpoint"], AWS_REGION=key["region"],
                       AWS_ACCESS_KEY_ID=key["access_key_id"], AWS_SECRET_ACCESS_KEY=key["secret_access_key"])
    pushed = subprocess.run(
        [PROGRAM, "image", "push", f"{FOLDER}/layout:{version}", f"{address}/test/svc:{version}", "--create-repository", "--json"],
        env=environment, check=True, text=True, capture_output=True)
    images[version] = f"{address}/test/svc@{json.loads(pushed.stdout)['digest']}"


def group(name):
    return elb().create_target_group(
        Name=name, Protocol="HTTP", Port=8080, TargetType="ip", VpcId="vpc-1", HealthCheckPath="/",
        HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2,
        UnhealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]


def ready():
    up()
    for version in ("v1", "v2", "v3"):
        build(version)
    ecs("CreateCluster", clusterName="c")
    made["balancer"] = elb().create_load_balancer(Name="b", Subnets=["s-1", "s-2"])["LoadBalancers"][0]["LoadBalancerArn"]
    made["blue"], made["green"] = group("blue"), group("green")
    made["listener"] = elb().create_listener(
        LoadBalancerArn=made["balancer"], Protocol="HTTP", Port=production, DefaultActions=[{
            "Type": "forward", "ForwardConfig": {"TargetGroups": [
                {"TargetGroupArn": made["blue"], "Weight": 100}, {"TargetGroupArn": made["green"], "Weight": 0}]}}],
    )["Listeners"][0]["ListenerArn"]
    made["rule"] = elb().describe_rules(ListenerArn=made["listener"])["Rules"][0]["RuleArn"]
    made["v1"], made["v2"], made["v3"] = (define("web", version) for version in ("v1", "v2", "v3"))


def a_service_answers_through_the_balancer():
    answer = ecs("CreateService", cluster="c", serviceName="web", taskDefinition=made["v1"], desiredCount=2,
                 networkConfiguration=NETWORK, clientToken="once", launchType="FARGATE",
                 deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
                 loadBalancers=[{"targetGroupArn": made["blue"], "containerName": "web", "containerPort": 8080,
                                 "advancedConfiguration": {"alternateTargetGroupArn": made["green"],
                                                           "productionListenerRule": made["rule"], "roleArn": "arn:aws:iam::000000000000:role/r"}}])
    first = answer["service"]["currentServiceDeployment"]
    again = ecs("CreateService", cluster="c", serviceName="web", taskDefinition=made["v1"], clientToken="once")
    check("the same client token makes no second service", again["service"]["serviceArn"], answer["service"]["serviceArn"])
    check("another does not either", refused("CreateService", cluster="c", serviceName="web", taskDefinition=made["v1"],
                                             networkConfiguration=NETWORK), "InvalidParameterException")
    check("the first deployment", ended(first)["status"], "SUCCESSFUL")
    check("it answers", get(), "v1")
    check("two tasks run", service()["runningCount"], 2)
    check("they run our digest", {t["containers"][0]["imageDigest"] for t in tasks()}, {images["v1"].split("@")[1]})
    check("its revision names the image", ecs("DescribeServiceRevisions", serviceRevisionArns=[
        deployment(first)["targetServiceRevision"]["arn"]])["serviceRevisions"][0]["containerImages"][0]["imageDigest"],
        images["v1"].split("@")[1])


def updates(strategy, versions, disturb=None, **more):
    configuration = more | {"strategy": strategy, "bakeTimeInMinutes": 0, "deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    results = []
    with scene.Load(production, ["/"]) as load:
        for version in versions:
            arn = update(taskDefinition=made[version], deploymentConfiguration=configuration)
            if disturb:
                disturb()
            results.append((ended(arn)["status"], get()))
    check(f"{strategy}: every deployment ends well and is what answers", results, [("SUCCESSFUL", v) for v in versions])
    check(f"{strategy}: no request failed", load.failed[:5], [])
    note(f"{strategy}: {load.answered} requests answered")


def rolling_under_load():
    updates("ROLLING", ["v2", "v3", "v1"])


def blue_green_under_load():
    updates("BLUE_GREEN", ["v2", "v3", "v1"])


def shares_of_traffic_under_load():
    updates("CANARY", ["v2"], canaryConfiguration={"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 0})
    updates("LINEAR", ["v1"], linearConfiguration={"stepPercent": 25.0, "stepBakeTimeInMinutes": 0})


def killed_at(delay):
    def disturb():
        time.sleep(delay)  # into the middle of the deployment: wherever that is, it must go on
        kill_endpoint()
        up()
    return disturb


def rolling_with_the_endpoint_killed():
    before = {t["taskArn"] for t in tasks()}
    kill_endpoint()
    check("traffic goes on without the endpoint", get(), "v1")
    up()
    check("tasks were adopted, not replaced", {t["taskArn"] for t in tasks()}, before)
    for number, delay in enumerate((0, 0.05, 0.15)):
        updates("ROLLING", [("v2", "v1")[number % 2]], killed_at(delay))


def blue_green_with_the_endpoint_killed():
    for number, delay in enumerate((0, 0.05, 0.15)):
        updates("BLUE_GREEN", [("v1", "v2")[number % 2]], killed_at(delay))
    updates("ROLLING", ["v1"])


def a_version_that_crashes_at_start_is_rolled_back():
    crash = define("web", "v2", command=["eat", "0"])
    with scene.Load(production, ["/"]) as load:
        found = ended(update(taskDefinition=crash))
    check("the verdict", found["status"], "ROLLBACK_SUCCESSFUL")
    check("who found out, after how many", found["deploymentCircuitBreaker"], {"status": "TRIGGERED", "failureCount": 3, "threshold": 3})
    check("the old version never stopped answering", (load.failed[:5], get()), ([], "v1"))
    failed = [t for t in tasks(status="STOPPED") if t["taskDefinitionArn"] == crash]
    crashed = [t for t in failed if t["stopCode"] == "EssentialContainerExited"]
    check("its tasks say how they ended", {t["containers"][0]["exitCode"] for t in crashed}, {0})
    check("three tries", len(crashed) >= 3)
    check("the service is back on the old definition", service()["taskDefinition"], made["v1"])
    check_contains("and its events tell", " ".join(e["message"] for e in service()["events"]), "rolling back to deployment")


def a_blue_green_version_that_crashes_is_rolled_back():
    crash = define("web", "v2", command=["eat", "0"])
    with scene.Load(production, ["/"]) as load:
        found = ended(update(taskDefinition=crash, deploymentConfiguration={"strategy": "BLUE_GREEN"}))
    check("the verdict", found["status"], "ROLLBACK_SUCCESSFUL")
    check("the old version never stopped answering", (load.failed[:5], get()), ([], "v1"))


def a_version_that_is_never_healthy_is_rolled_back():
    deaf = define("web", "v2", environment=[{"name": "PORT", "value": "9999"}])
    found = ended(update(taskDefinition=deaf, deploymentConfiguration={"strategy": "ROLLING"}), 200)
    check("the verdict", found["status"], "ROLLBACK_SUCCESSFUL")
    reasons = {t["stoppedReason"] for t in tasks(status="STOPPED") if t["taskDefinitionArn"] == deaf}
    check_contains("the reason", " ".join(reasons), "Task failed ELB health checks in (target-group")
    check("the old version answers", get(), "v1")


def a_rollback_on_request_returns_the_traffic():
    arn = update(taskDefinition=made["v2"], deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5})
    scene.wait_until("the bake time", lambda: deployment(arn).get("lifecycleStage") == "BAKE_TIME")
    check("the new version serves while baking", get(), "v2")
    ecs("StopServiceDeployment", serviceDeploymentArn=arn, stopType="ROLLBACK")
    check("the verdict", ended(arn)["status"], "ROLLBACK_SUCCESSFUL")
    check("the old version serves again", get(), "v1")
    check("what has ended cannot be stopped", refused("StopServiceDeployment", serviceDeploymentArn=arn), "ConflictException")


def a_newer_deployment_supersedes():
    first = update(taskDefinition=made["v2"], deploymentConfiguration={"strategy": "ROLLING", "bakeTimeInMinutes": 0})
    second = update(taskDefinition=made["v3"])
    check("the second ends well", ended(second)["status"], "SUCCESSFUL")
    check("the first was stopped", deployment(first)["status"], "STOPPED")
    check("the second answers", get(), "v3")


def without_a_circuit_breaker_tries_go_on_with_pauses():
    made["loop"] = define("loop", command=["eat", "0"])
    ecs("CreateService", cluster="c", serviceName="loop", taskDefinition=made["loop"], desiredCount=1, networkConfiguration=NETWORK)
    told = scene.wait_until("the event", lambda: [e["message"] for e in service("loop")["events"] if "unable to consistently start" in e["message"]])
    check("the service says so", told, ["(service loop) is unable to consistently start tasks successfully."])
    check("it goes on trying", service("loop")["deployments"][0]["rolloutState"], "IN_PROGRESS")
    ecs("DeleteService", cluster="c", service="loop", force=True)


def a_container_that_dies_is_replaced():
    victim = tasks()[0]
    status = json.loads((STATE / "status" / victim["containers"][0]["runtimeId"]).read_text())
    os.kill(status["pid"], signal.SIGKILL)
    check("its end is told", stopped(victim["taskArn"])["containers"][0]["exitCode"], 137)
    scene.wait_until("its successor", lambda: service()["runningCount"] == 2)
    victim = tasks()[0]
    monitor = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and victim["containers"][0]["runtimeId"] in command_line(p)]
    os.kill(monitor[0], signal.SIGKILL)
    check("so is a killed monitor's", stopped(victim["taskArn"])["containers"][0]["exitCode"], 137)
    scene.wait_until("its successor", lambda: service()["runningCount"] == 2)


def command_line(process):
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def a_task_ends_as_its_program_does():
    arn = run_task(define("one", command=["eat", "1"]))
    found = stopped(arn)
    check("exit code and stop code", (found["containers"][0]["exitCode"], found["stopCode"]), (0, "EssentialContainerExited"))


def a_task_that_eats_its_memory_is_ended():
    found = stopped(run_task(define("eats", command=["eat", "900"], memory=64)))
    check("exit code", found["containers"][0]["exitCode"], 137)
    check("the reason", found["containers"][0]["reason"], "OutOfMemoryError: Container killed due to memory usage")


def a_task_that_ignores_sigterm_is_killed():
    arn = run_task(define("deaf", command=["spin", "100000000"], stopTimeout=1))
    scene.wait_until("the task to run", lambda: task(arn)["lastStatus"] == "RUNNING")
    ecs("StopTask", cluster="c", task=arn, reason="enough")
    found = stopped(arn)
    check("exit code and reason", (found["containers"][0]["exitCode"], found["stoppedReason"], found["stopCode"]),
          (137, "enough", "UserInitiated"))


def what_cannot_start_says_why():
    found = stopped(run_task(define("gone", image=f"{address}/test/none:v1")))
    check("a missing image", found["stopCode"], "TaskFailedToStart")
    check_contains("its reason", found["stoppedReason"], "CannotPullContainerError")
    found = stopped(run_task(define("program", entryPoint=["/none"])))
    check_contains("a missing program", found["stoppedReason"], "CannotStartContainerError")
    found = stopped(run_task(define("logs", logConfiguration={"logDriver": "awslogs", "options": {
        "awslogs-group": "/none", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "x"}})))
    check_contains("a missing log group", found["stoppedReason"], "/none")


def a_health_check_inside_decides():
    arn = run_task(define("checked", healthCheck={"command": ["CMD", "/app/svc-v1", "true"], "interval": 5}))
    scene.wait_until("the check", lambda: task(arn)["healthStatus"] == "HEALTHY")
    ecs("StopTask", cluster="c", task=arn)
    stopped(arn)
    check("a task with a good check is healthy", True)


def bad_input_is_refused_as_aws_does():
    check("an unknown cluster", refused("ListTasks", cluster="none"), "ClusterNotFoundException")
    check("an unknown service", refused("UpdateService", cluster="c", service="none"), "ServiceNotFoundException")
    check("an unknown definition", refused("RunTask", cluster="c", taskDefinition="none"), "ClientException")
    check("no containers", refused("RegisterTaskDefinition", family="x", containerDefinitions=[]), "ClientException")
    check("a size that Fargate has not", refused(
        "RegisterTaskDefinition", family="x", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256",
        memory="9999", containerDefinitions=[{"name": "a", "image": "i"}]), "ClientException")
    check("a port that the container has not", refused(
        "CreateService", cluster="c", serviceName="x", taskDefinition=made["v1"], networkConfiguration=NETWORK,
        loadBalancers=[{"targetGroupArn": made["blue"], "containerName": "web", "containerPort": 1}]), "InvalidParameterException")
    check("a share that is none", refused("UpdateService", cluster="c", service="web", deploymentConfiguration={
        "strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 200}}), "InvalidParameterException")
    check("a service that still has tasks", refused("DeleteService", cluster="c", service="web"), "InvalidParameterException")
    check("missing things are failures, not errors",
          ecs("DescribeServices", cluster="c", services=["none"])["failures"][0]["reason"], "MISSING")


def traces():
    """What is on this machine because of our cloud."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(STATE) in line:
            found.append(line)
    for folder, inside, files in os.walk("/sys/fs/cgroup"):  # those of others may vanish meanwhile
        if Path(folder).name.startswith("dogshore-") and any(
                t["taskArn"].rsplit("/", 1)[1][:8] in f"{folder}/{name}" for t in made["last"] for name in (*inside, *files)):
            found.append(folder)
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid() and str(STATE) in command_line(process):
            found.append(command_line(process))
    links = subprocess.run(["ip", "-brief", "address"], text=True, capture_output=True, check=True).stdout
    gateway = made["gateway"]
    found += [line for line in links.splitlines() if gateway in line]
    return found


def down_leaves_nothing_and_up_brings_it_back():
    made["last"] = tasks()
    made["gateway"] = made["last"][0]["containers"][0]["networkInterfaces"][0]["privateIpv4Address"].rsplit(".", 1)[0] + ".1/"
    kill_endpoint()
    check("status of a killed endpoint", dogshore("local", "status", "--state", str(STATE), expect=None).returncode, 1)
    dogshore("local", "down", "--state", str(STATE))
    check("nothing is left", traces(), [])
    check_contains("again is fine", dogshore("local", "down", "--state", str(STATE)).stdout, "nothing was running")
    up()
    check_contains("a second up says where", up().stdout, f"already running at http://{address}")
    scene.wait_until("the service to be back", lambda: get() == "v3")
    check("the service is back", get(), "v3")


def layers_that_no_task_uses_go():
    """Beyond a hundred, the one used longest ago first; an endpoint that did not start the tasks knows what they stand on."""
    folder = STATE / "layers"
    ids = {t["taskArn"].rsplit("/", 1)[1] for t in tasks()}
    used = {name for file in STATE.glob("tasks/*/*/layers") if file.parts[-3] in ids for name in file.read_text().split(":")}
    check("what a task stands on is noted", used and all((folder / name).is_dir() for name in used), True)
    for name in os.listdir(folder):
        os.utime(folder / name, (1, 1))
    for number in range(1, 121):
        (folder / f"{number:032x}").mkdir()
        os.utime(folder / f"{number:032x}", (number + 1, number + 1))
    kill_endpoint()
    up()
    scene.wait_until("the layers to go", lambda: len(os.listdir(folder)) == 100)
    check("those of tasks stay", used <= set(os.listdir(folder)), True)
    check("and so do those used last", all((folder / f"{number:032x}").is_dir() for number in range(40, 121)), True)
    check("the service answers", get(), "v3")
    victim = tasks()[0]["taskArn"]
    ecs("StopTask", cluster="c", task=victim, reason="another shall come")
    scene.wait_until("another task", lambda: victim not in {t["taskArn"] for t in tasks()} and service()["runningCount"] == 2)
    check("another task stands on them too", get(), "v3")


def processes():
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and str(STATE) in command_line(p) and int(p.name) != os.getpid()]


def after_everything_was_killed_up_brings_it_back():
    """As after a power cut: endpoint, monitors, containers and whatever else names our folder."""
    before = {t["taskArn"] for t in tasks()}
    containers = [json.loads(f.read_text())["pid"] for f in (STATE / "status").iterdir()]
    kill_endpoint()
    for pid in processes() + containers:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    up()
    scene.wait_until("the service to be back", lambda: get() == "v3" and service()["runningCount"] == 2)
    check("with new tasks", before & {t["taskArn"] for t in tasks()}, set())


def a_full_disk_refuses_and_room_ends_that():
    folder = FOLDER / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    try:
        state, place = folder / "cloud", f"127.0.0.1:{scene.free_port()}"
        dogshore("local", "up", "--detach", "--state", str(state), "--endpoint", place)
        global STATE
        usual, STATE = STATE, state
        try:
            ecs("CreateCluster", clusterName="c")
            fill = os.open(folder / "fill", os.O_WRONLY | os.O_CREAT)
            try:
                while True:
                    os.write(fill, b"x" * 4096)
            except OSError:
                os.close(fill)
            check("a full disk", refused("CreateCluster", clusterName="x" * 200), "InsufficientStorage")
            (folder / "fill").unlink()
            scene.wait_until("the cloud to go on", lambda: refused("CreateCluster", clusterName="d") == "nothing")
            check("with room it works again", len(ecs("ListClusters")["clusterArns"]), 2)
        finally:
            STATE = usual
            dogshore("local", "reset", "--state", str(state))
    finally:
        subprocess.run(["umount", folder], check=True)


def a_port_in_use_is_an_error_that_leaves_nothing():
    other = FOLDER / "other"
    said = dogshore("local", "up", "--detach", "--state", str(other), "--endpoint", address, expect=None)
    check("exit status", said.returncode, 3)
    check_contains("what", said.stderr, address.rsplit(":", 1)[1])
    dogshore("local", "reset", "--state", str(other))


def tags_and_lists():
    arn = service()["serviceArn"]
    ecs("TagResource", resourceArn=arn, tags=[{"key": "team", "value": "a"}, {"key": "x", "value": "y"}])
    ecs("UntagResource", resourceArn=arn, tagKeys=["x"])
    check("tags", ecs("ListTagsForResource", resourceArn=arn)["tags"], [{"key": "team", "value": "a"}])
    check("they are shown when asked for", [s.get("tags") for include in (["TAGS"], [])
                                            for s in ecs("DescribeServices", cluster="c", services=["web"], include=include)["services"]],
          [[{"key": "team", "value": "a"}], None])
    check("families", "web" in ecs("ListTaskDefinitionFamilies", status="ACTIVE")["families"])
    check("pages", len(ecs("ListTaskDefinitions", familyPrefix="web", maxResults=2)["taskDefinitionArns"]), 2)
    check("clusters", [c["activeServicesCount"] for c in ecs("DescribeClusters", clusters=["c"])["clusters"]], [1])
    check("services", ecs("ListServices", cluster="c")["serviceArns"], [arn])
    check("deployments, newest first", ecs("ListServiceDeployments", cluster="c", service="web", maxResults=1)["serviceDeployments"][0]
          ["serviceDeploymentArn"], service()["currentServiceDeployment"])
    gone = define("short")
    check("an active definition is not deleted", ecs("DeleteTaskDefinitions", taskDefinitions=[gone])["failures"][0]["reason"], "INVALID")
    ecs("DeregisterTaskDefinition", taskDefinition=gone)
    check("an inactive one runs no more", refused("RunTask", cluster="c", taskDefinition=gone), "ClientException")
    check("and is deleted", ecs("DeleteTaskDefinitions", taskDefinitions=[gone])["taskDefinitions"][0]["status"], "DELETE_IN_PROGRESS")


def answers_have_the_published_shapes():
    if model is None:
        skip("answers have the published shapes", "../shared/aws-models is not there")
        return
    check("answers have the published shapes", sorted(misshapen), [])


def a_deleted_service_goes():
    ecs("DeleteService", cluster="c", service="web", force=True)
    scene.wait_until("the service's end", lambda: service()["status"] == "INACTIVE")
    check("no task is left", tasks(), [])
    check("an inactive service cannot be updated", refused("UpdateService", cluster="c", service="web"), "ServiceNotActiveException")


def tidy():
    dogshore("local", "reset", "--state", str(STATE))
    check("reset removes the state", STATE.exists(), False)


run_tests(
    a_service_answers_through_the_balancer,
    rolling_under_load,
    blue_green_under_load,
    shares_of_traffic_under_load,
    rolling_with_the_endpoint_killed,
    blue_green_with_the_endpoint_killed,
    a_version_that_crashes_at_start_is_rolled_back,
    a_blue_green_version_that_crashes_is_rolled_back,
    a_version_that_is_never_healthy_is_rolled_back,
    a_rollback_on_request_returns_the_traffic,
    a_newer_deployment_supersedes,
    without_a_circuit_breaker_tries_go_on_with_pauses,
    a_container_that_dies_is_replaced,
    a_task_ends_as_its_program_does,
    a_task_that_eats_its_memory_is_ended,
    a_task_that_ignores_sigterm_is_killed,
    what_cannot_start_says_why,
    a_health_check_inside_decides,
    bad_input_is_refused_as_aws_does,
    tags_and_lists,
    down_leaves_nothing_and_up_brings_it_back,
    layers_that_no_task_uses_go,
    after_everything_was_killed_up_brings_it_back,
    a_port_in_use_is_an_error_that_leaves_nothing,
    a_full_disk_refuses_and_room_ends_that,
    a_deleted_service_goes,
    answers_have_the_published_shapes,
    ready=ready, tidy=tidy)
