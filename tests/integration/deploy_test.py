# timeout: 600
# parallel: yes
"""`deploy` and its relatives on the real local cloud: every verdict with its exit status and its cause."""
import json
import os
import re
import subprocess
import threading
from pathlib import Path

import sys

sys.path.insert(0, str(Path(os.environ["DOGSHORE_SOURCE"]) / "tests" / "e2e"))
import scene  # noqa: E402
from tap import check, check_contains, run_tests  # noqa: E402

PROGRAM = r"""
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int signal_number) { (void)signal_number; _exit(0); }

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
	int on = 1, asked = 0, listener = socket(AF_INET, SOCK_STREAM, 0);

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	puts("version " VERSION);
	if (CRASHES) {
		puts("cannot open /etc/app/config.json");
		*(volatile int *)0 = 1;
	}
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 64))
		return 1;
	for (;;) {
		char request[4096], answer[256];
		int client = accept(listener, NULL, NULL);
		ssize_t size = client < 0 ? 0 : read(client, request, sizeof(request));

		int sour = SOURS && size > 0 && !strncmp(request, SOURS == 1 ? "GET /health" : "GET /ready ", 11) &&
			++asked > SOURS;

		snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
			sour ? "503 No" : STATUS, strlen(VERSION), VERSION);
		if (size > 0 && write(client, answer, strlen(answer)) < 0)
			puts("a client went away");
		close(client);
	}
}
"""
VERSIONS = {  # name: crashes at start, status it answers with, 1: /health turns 503 after one answer, 2: /ready after two
    "one": (0, "200 OK", 0),
    "two": (0, "200 OK", 0),
    "crash": (1, "200 OK", 0),
    "sick": (0, "500 No", 0),
    "sour": (0, "200 OK", 1),
    "tired": (0, "200 OK", 2),
}
TASK = {
    "family": "app", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
    "containerDefinitions": [{
        "name": "app", "image": "${image}", "portMappings": [{"containerPort": 8080}],
        "environment": [{"name": "GREETING", "value": "${env:GREETING}"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": "/demo/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}}}],
}
SERVICE = {"desiredCount": 2, "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-local"]}}}

scene.need_root()
stage = scene.Scene()
images = {}


def write(path, value):
    file = stage.repository / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value, indent=2))


def write_project(path="/*", checks="[]", far=None):
    write("dogshore.yml", f"""
app: demo
services:
  app:
    path: app
    image: {{binary: app}}
    deploy:
      task: deploy/task.json
      service: deploy/service.json
      route: {{path: "{path}", health: /ready, port: {stage.port}}}
environments:
  local:
    target: local
    checks: {checks}
""" + (f"""
  far:
    target: aws
    region: us-east-1
    cluster: demo
    checks: {far}
""" if far else ""))


def ready():
    stage.repository.mkdir()
    stage.environment["GREETING"] = "hello"
    write_project()
    write("app/deploy/task.json", TASK)
    write("app/deploy/service.json", SERVICE)
    write("app/buildspec.yml", "version: 0.2\n")
    stage.start_cloud()
    for name, (crashes, status, sours) in VERSIONS.items():
        program = stage.folder / name
        subprocess.run(["gcc", "-x", "c", "-", "-o", program, f'-DVERSION="{name}"', f"-DCRASHES={crashes}",
                        f"-DSOURS={sours}", f'-DSTATUS="{status}"'], input=PROGRAM, text=True, check=True)
        layout = f"{stage.folder}/layout:{name}"
        stage.dogshore("image", "build", "--binary", str(program), "--port", "8080", "--output", layout, expect=0)
        pushed = stage.dogshore("image", "push", layout, f"{stage.endpoint_address}/demo/app:{name}",
                                "--create-repository", expect=0)
        images[name] = f"{stage.endpoint_address}/demo/app@{pushed.document['digest']}"


def deploy(image, *flags, env="local"):
    return stage.dogshore("deploy", "app", "--env", env, "--image", images.get(image, image), *flags)


def serves(path="/"):
    """What the balancer answers: it is one program or the other, never anything else."""
    return stage.get(path)[1].strip()


def first_line(result):
    return result.said[result.said.index("error: "):].splitlines()[0]


def a_bad_first_version_is_a_failure():
    result = deploy("crash")
    check("exit status of a first version that crashes", result.status, 1)
    check("verdict", result.document["verdict"], "failed")
    check_contains("the first line names the cause", first_line(result),
                   "app: container app exited with 139 (SIGSEGV)")
    check_contains("with the last line of the log", first_line(result), "cannot open /etc/app/config.json")


def a_good_version_is_deployed():
    result = deploy("one")
    check("exit status", result.status, 0)
    check("verdict", result.document["verdict"], "deployed")
    check("the cause is null", result.document["cause"], None)
    check("both tasks run it", len(result.document["tasks"]), 2)
    check("it serves", serves(), "one")


def the_same_again_changes_nothing():
    before = stage.aws("ecs", "list_task_definitions")["taskDefinitionArns"]
    result = deploy("one")
    check("exit status", result.status, 0)
    check("nothing changed", result.document["changed"], False)
    check("nothing was registered", stage.aws("ecs", "list_task_definitions")["taskDefinitionArns"], before)


def what_runs_already_is_asked_for_its_policy_too():
    subprocess.run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.key && "
                   "openssl pkey -in release.key -pubout -out release.pem", shell=True, cwd=stage.folder, capture_output=True, check=True)
    write("deploy/policy.yml", json.dumps({"keys": {"release": (stage.folder / "release.pem").read_text()}}))
    project = (stage.repository / "dogshore.yml").read_text()
    write("dogshore.yml", project.replace("target: local\n", "target: local\n    verify: deploy/policy.yml\n"))
    for what, words in (("named", ["--image", images["one"]]), ("none named: that of the service", [])):
        refused = stage.dogshore("deploy", "app", "--env", "local", *words)
        check(f"an image that nobody signed, {what}: exit status", refused.status, 1)
        check_contains(f"an image that nobody signed, {what}: said", refused.said, "refuses the image: signature: there is no signature")
    stage.dogshore("image", "sign", images["one"], "--key", str(stage.folder / "release.key"), expect=0)
    taken = stage.dogshore("deploy", "app", "--env", "local")
    check("once it is signed", (taken.status, taken.document["changed"]), (0, False))
    write("dogshore.yml", project)


def what_fails_its_checks_is_rolled_back():
    """SUCCESSFUL for ECS, healthy for the balancer, and yet /health turns 503 a little later."""
    for route, path, asked in (("/*", "/", f"http://127.0.0.1:{stage.port}/health"), ("/app*", "/app", ":8080/health")):
        where = "asked of the balancer" if route == "/*" else "asked of the tasks"
        write_project(route, "[{http: /health, expect: 200, for: 2s}]")
        good = deploy("two", "--client-token", f"two{len(path)}")
        check(f"{where}: what holds is deployed", good.status, 0)
        made = [(row["http"], row["status"], row["cause"]) for row in good.document["checks"]]
        check(f"{where}: the check is in the result", made, [("/health", "passed", None)])
        with stage.load(path) as load:
            result = deploy("sour", "--client-token", f"sour{len(path)}")
        check(f"{where}: exit status", result.status, 4)
        check(f"{where}: verdict", result.document["verdict"], "rolled_back")
        check_contains(f"{where}: the first line names what was asked", first_line(result), asked)
        check_contains(f"{where}: and what was answered", first_line(result), "answered 503, expected 200 (")
        check(f"{where}: the check is told as failed", result.document["checks"][0]["status"], "failed")
        check(f"{where}: no request failed", load.failed, [])
        check(f"{where}: the version before serves", serves(path), "two")
        again = deploy("sour", "--client-token", f"sour{len(path)}")
        check(f"{where}: the same try again has the same end",
              (again.status, again.document["cause"]), (4, result.document["cause"]))
        same = deploy("two")
        check(f"{where}: with nothing to deploy nothing is checked",
              (same.document["changed"], same.document["checks"]), (False, []))
        write_project()
        check(f"{where}: on with the next", deploy("one").status, 0)


def the_health_path_is_checked_by_the_load_balancer():
    """As on AWS: tasks are out of reach, and the route leads elsewhere."""
    write_project("/app*", far="[{http: /health, for: 1s}]")
    result = deploy("two", env="far")
    check("another path that the route does not cover is refused", result.status, 2)
    write_project("/app*", far="[{http: /ready, expect: 201, for: 1s}]")
    result = deploy("two", env="far")
    check("so is another status", result.status, 2)
    check_contains("which is said", result.said, "takes the status 200, not just 201")
    write_project("/app*", far="[{http: /ready, for: 1s}]")
    result = deploy("two", env="far")
    check("what the load balancer finds healthy is deployed", result.status, 0)
    check("and its check passed", [row["status"] for row in result.document["checks"]], ["passed"])
    write_project("/app*", far="[{http: /ready, for: 2m}]")
    result = deploy("tired", env="far")
    check("what it finds unhealthy is rolled back", (result.status, result.document["verdict"]), (4, "rolled_back"))
    check("the check failed", [row["status"] for row in result.document["checks"]], ["failed"])
    check("which is the cause", result.document["cause"], "app: " + result.document["checks"][0]["cause"])
    # The local cloud may stop an unhealthy task before anybody sees its target.
    check("it names the target or the task", bool(re.fullmatch(
        r"app: (target [0-9.]+:8080 is unhealthy: .+|task \w+ stopped: .*health checks.*)", result.document["cause"])), True)
    write_project()
    check("on with the next", deploy("one").status, 0)


def bad_versions_are_rolled_back():
    for strategy in ("rolling", "blue_green"):
        with stage.load("/") as load:
            result = deploy("crash", "--strategy", strategy)
        check(f"{strategy}: exit status", result.status, 4)
        check(f"{strategy}: verdict", result.document["verdict"], "rolled_back")
        check_contains(f"{strategy}: cause", result.document["cause"], "exited with 139 (SIGSEGV)")
        check(f"{strategy}: the log is kept",
              any("cannot open /etc/app/config.json" in line for task in result.document["tasks"]
                  for line in task.get("log", [])))
        check(f"{strategy}: the old version never stopped answering", load.failed, [])
        check(f"{strategy}: it still serves", serves(), "one")


def a_missing_image_ends_it_early():
    result = deploy(f"{stage.endpoint_address}/demo/app@sha256:{'1' * 64}")
    check("exit status", result.status, 4)
    check_contains("cause", result.document["cause"], "CannotPullContainerError")
    check("the old version serves", serves(), "one")


def one_that_never_gets_healthy_times_out():
    result = deploy("sick", "--timeout", "3s")
    check("exit status", result.status in (4, 6))
    check("verdict", result.document["verdict"] in ("timed_out", "rolled_back"))
    check("the old version serves", serves(), "one")


def a_newer_deployment_supersedes():
    results = []
    first = threading.Thread(target=lambda: results.append(deploy("sick", "--timeout", "60s")))
    before = set(stage.tasks("app", "demo"))
    first.start()
    scene.wait_until("its tasks", lambda: set(stage.tasks("app", "demo")) - before)
    second = deploy("two")
    first.join()
    check("the newer one", second.status, 0)
    check("exit status of the older one", results[0].status, 5)
    check("its verdict", results[0].document["verdict"], "superseded")
    check("the newer one serves", serves(), "two")


def rollback_wait_status_and_logs():
    back = stage.dogshore("rollback", "app", "--env", "local")
    check("rollback: exit status", back.status, 0)
    check("the version before serves", serves(), "one")
    check("wait judges the last deployment", stage.dogshore("wait", "app").document["verdict"], "deployed")
    status = stage.dogshore("status", "app").document
    check("status shows the image", status["images"], [images["one"]])
    check("and two running tasks", [task["status"] for task in status["tasks"]], ["RUNNING"] * 2)
    lines = stage.dogshore("logs", "app", "--task", status["tasks"][0]["task"]).document["lines"]
    check("logs of one task", [line["message"] for line in lines], ["version one"])


def wrong_files_and_keys_change_nothing():
    cases = [
        ("an unresolved placeholder", {"GREETING": None}, [], 2, "${env:GREETING}"),
        ("a tag is no digest", {}, ["--image", f"{stage.endpoint_address}/demo/app:one"], 2, "digest"),
        ("an unknown environment", {}, ["--env", "locl"], 2, "local"),
    ]
    for what, changes, flags, expected, piece in cases:
        kept = dict(stage.environment)
        for name, value in changes.items():
            stage.environment.pop(name) if value is None else stage.environment.update({name: value})
        result = stage.dogshore("deploy", "app", "--image", images["two"], *flags)
        stage.environment = kept
        check(f"{what}: exit status", result.status, expected)
        check_contains(f"{what}: said", result.said, piece)
    keys = stage.state / "local" / "credentials.json"
    kept = keys.read_text()
    keys.write_text(json.dumps(json.loads(kept) | {"secret_access_key": "wrong" * 8}))
    result = stage.dogshore("deploy", "app", "--image", images["two"])
    keys.write_text(kept)
    check("a wrong secret: exit status", result.status, 3)
    check_contains("a wrong secret: said", result.said, "InvalidSignatureException")
    check("the secret is not told", "wrongwrong" in result.said + result.text, False)
    check("the old version serves", serves(), "one")


def a_dead_endpoint_is_told():
    stage.kill_endpoint()
    result = stage.dogshore("status", "app")
    check("exit status", result.status, 3)
    check_contains("said", result.said, stage.endpoint_address)
    check("the service goes on", serves(), "one")
    stage.start_cloud()


run_tests(
    a_bad_first_version_is_a_failure,
    a_good_version_is_deployed,
    the_same_again_changes_nothing,
    what_runs_already_is_asked_for_its_policy_too,
    what_fails_its_checks_is_rolled_back,
    the_health_path_is_checked_by_the_load_balancer,
    bad_versions_are_rolled_back,
    a_missing_image_ends_it_early,
    one_that_never_gets_healthy_times_out,
    a_newer_deployment_supersedes,
    rollback_wait_status_and_logs,
    wrong_files_and_keys_change_nothing,
    a_dead_endpoint_is_told,
    ready=ready,
    tidy=stage.stop_cloud,
)
