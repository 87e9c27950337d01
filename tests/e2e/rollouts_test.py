# timeout: 1500
"""Under load rooms is deployed ten times each way, and ten times more with the endpoint killed in the middle of each: no request fails."""
import os
import threading

import scene
from tap import check, note, run_tests

TIMES = 10

scene.need_root()
stage = scene.Scene()
images = []  # two versions of rooms, by digest


def ready():
    """Both services run, and there are two images of rooms to go back and forth between."""
    stage.make_repository()
    stage.start_cloud()
    stage.dogshore("run", "--env", "local", expect=0)
    stage.edit("services/rooms/api.c", "there is no room %s", "no such room: %s")
    stage.commit("rooms: another message")
    stage.dogshore("run", "--env", "local", expect=0)
    known = stage.aws("ecr", "describe_images", repositoryName="booking/rooms")["imageDetails"]
    images.extend(f"{stage.endpoint_address}/booking/rooms@{image['imageDigest']}" for image in known if image.get("imageTags"))


def deploy(number, strategy):
    result = stage.dogshore("deploy", "rooms", "--env", "local", "--image", images[number % 2], "--strategy", strategy)
    verdict = (result.document or {}).get("verdict")
    if verdict != "deployed":
        note(f"deployment {number}, {strategy}:\n{result.text}\n{result.said}")
    return verdict


def known(folder):
    """What the endpoint keeps a folder of: "tasks" from the decision to start one, "runtime" while its containers run."""
    return set(os.listdir(stage.state / "local" / folder))


# The moments at which the endpoint is killed, in turn. A deployment takes about a quarter of a second,
# less than one call of the AWS CLI, so it is the endpoint's folders that are watched.
MOMENTS = [
    ("a new task", lambda before: known("tasks") - before["tasks"]),
    ("a new container", lambda before: known("runtime") - before["runtime"]),
]


def deploy_with_the_endpoint_killed(number, strategy):
    """Deploys; in the middle the endpoint is killed with -9 and started again."""
    verdicts = []
    before = {"tasks": known("tasks"), "runtime": known("runtime")}
    deployment = threading.Thread(target=lambda: verdicts.append(deploy(number, strategy)))
    deployment.start()
    try:
        what, has_come = MOMENTS[number % len(MOMENTS)]
        scene.wait_until(what, lambda: has_come(before), interval=0.001)
        in_the_middle = deployment.is_alive()
        stage.kill_endpoint()
        stage.start_cloud()
    finally:
        deployment.join()
    return verdicts[0] if in_the_middle else f"{verdicts[0]} before {what} was seen"


def ten_times(strategy, how, name):
    with stage.load("/rooms", "/bookings") as load:
        verdicts = [how(number, strategy) for number in range(TIMES)]
    check(f"{name}: {TIMES} deployments", verdicts, ["deployed"] * TIMES)
    check(f"{name}: no request failed", load.failed, [])
    check(f"{name}: requests were made all the time", load.answered > 50 * TIMES)
    note(f"{name}: {load.answered} requests answered")


def rolling():
    ten_times("rolling", deploy, "rolling")


def blue_green():
    ten_times("blue_green", deploy, "blue_green")


def rolling_with_the_endpoint_killed():
    ten_times("rolling", deploy_with_the_endpoint_killed, "rolling, endpoint killed each time")


def blue_green_with_the_endpoint_killed():
    ten_times("blue_green", deploy_with_the_endpoint_killed, "blue_green, endpoint killed each time")


run_tests(
    rolling,
    blue_green,
    rolling_with_the_endpoint_killed,
    blue_green_with_the_endpoint_killed,
    ready=ready, tidy=stage.stop_cloud)
