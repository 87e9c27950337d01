# timeout: 600
# parallel: yes
"""kill -9 of the engine after each write of a run, the real stages and the real local cloud: after the next
`dogshore run` everything is as it would have been, the image pushed once and the deployment made once."""
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import scene
from tap import check, note, run_tests

scene.need_root()
stage = scene.Scene()
seen = set()  # ids of deployments
effects = {}  # how many there were of each when we looked last

PROGRAM = r"""
#include <signal.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int number) { (void)number; _exit(0); }

int main(void)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n" VERSION;
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080)};
	int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	char request[4096];

	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 64))
		return 1;
	for (;;) {
		int client = accept(listener, 0, 0);
		if (client < 0)
			continue;
		if (read(client, request, sizeof(request)) > 0 && write(client, answer, strlen(answer)) < 0)
			return 1;
		shutdown(client, SHUT_WR);
		while (read(client, request, sizeof(request)) > 0)
			;
		close(client);
	}
}
"""

FILES = {
    "dogshore.yml": """\
app: crash
services:
  hello:
    path: hello
    image: {binary: hello, port: 8080}
    deploy:
      task: task.json
      service: service.json
      route: {port: PORT, path: "/*", health: /}
environments:
  local: {target: local}
""",
    "hello/buildspec.yml": """\
version: 0.2
phases:
  build:
    commands:
      - cc -O1 -o hello/hello hello/main.c
artifacts:
  files: [hello]
  base-directory: hello
""",
    "hello/task.json": """\
{"family": "hello", "networkMode": "awsvpc", "requiresCompatibilities": ["EC2"], "cpu": "128", "memory": "64",
 "containerDefinitions": [{"name": "hello", "image": "${image}", "essential": true, "stopTimeout": 2,
  "portMappings": [{"containerPort": 8080, "protocol": "tcp"}]}]}
""",
    "hello/service.json": """\
{"serviceName": "hello", "launchType": "EC2", "desiredCount": 1,
 "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 200},
 "loadBalancers": [{"targetGroupArn": "${target_group:hello}", "containerName": "hello", "containerPort": 8080}],
 "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-local"], "assignPublicIp": "DISABLED"}}}
""",
}


def commit_version(number):
    """Commits a program that answers with eight bytes of its own."""
    version = f"v{number:06d}\\n"
    (stage.repository / "hello/main.c").write_text(f'#define VERSION "{version}"\n{PROGRAM}')
    stage.commit(f"version {number}")
    return f"v{number:06d}\n"


def ready():
    stage.repository.mkdir()
    for name, text in FILES.items():
        path = stage.repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("PORT", str(stage.port)))
    stage.git("init", "-q", "-b", "main")
    commit_version(0)
    stage.start_cloud()
    stage.dogshore("run", expect=0)
    effects.update(count_effects())


def images(status):
    return len(stage.aws("ecr", "list_images", repositoryName="crash/hello", filter={"tagStatus": status})["imageIds"])


def deployments():
    """How many deployments of the service ever completed. Debian's botocore is older than ListServiceDeployments,
    but the service's events name each of them."""
    service = stage.aws("ecs", "describe_services", cluster="crash", services=["hello"])["services"][0]
    for event in service["events"]:
        seen.update(re.findall(r"\(deployment (ecs-svc/\d+)\) deployment completed", event["message"]))
    return len(seen)


def revisions():
    return len(stage.aws("ecs", "list_task_definitions", familyPrefix="hello")["taskDefinitionArns"])


def count_effects():
    # what has no tag is the provenance that refers to an image
    return {"images": images("TAGGED"), "provenances": images("UNTAGGED"), "deployments": deployments(), "task definitions": revisions()}


def check_once(what):
    """Since the last time one image came with its provenance, one task definition, one deployment."""
    expected = {name: count + 1 for name, count in effects.items()}
    effects.update(count_effects())
    check(f"{what}: pushed, registered and deployed once", effects, expected)


def run_and_crash(writes):
    """Runs until the engine kills itself after so many writes; returns its status."""
    environment = dict(stage.environment, DOGSHORE_CRASH_AFTER_WRITE=str(writes))
    return subprocess.run(
        [scene.PROGRAM, "run"], cwd=stage.repository, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=120).returncode


def a_crash_after_any_write_changes_nothing_in_the_end():
    for writes in range(1, 100):
        version = commit_version(writes)
        status = run_and_crash(writes)
        if status == 0:
            break
        check(f"write {writes}: the engine was killed", status, -signal.SIGKILL)
        result = stage.dogshore("run")
        if not check(f"write {writes}: the next run takes over and passes", result.status, 0):
            note(result.said)
            note(result.text)
        check_once(f"write {writes}")
        check(f"write {writes}: the new version answers", stage.get("/"), (200, version))
    check("writes that were crashed after", writes > 5)
    check("and then one gets through", status, 0)
    effects.update(count_effects())
    runs = stage.dogshore("runs", "--limit", "1000", expect=0).document["runs"]
    check("every run ended", [run["run"] for run in runs if run["status"] != "passed"], [])


def kill_during(step, delay):
    """Starts a run and kills its engine so long after the step's process was started; True when the step was under way."""
    known = set(stage.state.glob("runs/*"))
    process = subprocess.Popen(
        [scene.PROGRAM, "run"], cwd=stage.repository, env=stage.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def started():
        folders = set(stage.state.glob("runs/*")) - known
        return process.poll() is not None or any((f / "hello" / f"{step}.lock").exists() for f in folders)

    scene.wait_until(f"{step} begins", started, interval=0.001)
    time.sleep(delay)
    process.kill()
    killed = process.wait() == -signal.SIGKILL
    with closing(sqlite3.connect(stage.state / "ledger.db", timeout=30)) as ledger:
        last = ledger.execute("SELECT status FROM steps WHERE name = ? ORDER BY run DESC LIMIT 1", (step,)).fetchone()
    return killed and last == ("running",)


def a_crash_in_the_middle_of_a_stage_changes_nothing_in_the_end():
    number = 1000
    for step in ("build", "image", "push", "deploy"):
        in_the_middle = 0
        for delay in (0, 0.02, 0.1):
            number += 1
            version = commit_version(number)
            under_way = kill_during(step, delay)
            in_the_middle += under_way
            result = stage.dogshore("run")
            what = f"{step} + {delay * 1000:.0f} ms{'' if under_way else ' (it had ended)'}"
            if not check(f"{what}: the next run passes", result.status, 0):
                note(result.said)
                note(result.text)
            check_once(what)
            check(f"{what}: the new version answers", stage.get("/"), (200, version))
        check(f"{step}: a kill came in its middle", in_the_middle > 0)


run_tests(
    a_crash_after_any_write_changes_nothing_in_the_end,
    a_crash_in_the_middle_of_a_stage_changes_nothing_in_the_end,
    ready=ready, tidy=stage.stop_cloud)
