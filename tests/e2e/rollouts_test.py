# timeout: 1500
"""Under load rooms is deployed ten times each way, and once more with the endpoint killed in the middle: no request fails."""
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
    known = stage.aws("ecr", "describe-images", "--repository-name", "booking/rooms")["imageDetails"]
    images.extend(f"{stage.endpoint_address}/booking/rooms@{image['imageDigest']}" for image in known)


def deploy(number, strategy):
    result = stage.dogshore("deploy", "rooms", "--env", "local", "--image", images[number % 2], "--strategy", strategy)
    verdict = (result.document or {}).get("verdict")
    if verdict != "deployed":
        note(f"deployment {number}, {strategy}:\n{result.text}\n{result.said}")
    return verdict


def ten_times(strategy):
    with stage.load("/rooms", "/bookings") as load:
        verdicts = [deploy(number, strategy) for number in range(TIMES)]
    check(f"{strategy}: {TIMES} deployments", verdicts, ["deployed"] * TIMES)
    check(f"{strategy}: no request failed", load.failed, [])
    check(f"{strategy}: requests were made all the time", load.answered > 50 * TIMES)
    note(f"{strategy}: {load.answered} requests answered")


def with_the_endpoint_killed(strategy):
    verdicts = []
    before = set(stage.tasks("rooms"))
    with stage.load("/rooms", "/bookings") as load:
        deployment = threading.Thread(target=lambda: verdicts.append(deploy(0, strategy)))
        deployment.start()
        scene.wait_until("a new task", lambda: set(stage.tasks("rooms")) - before)
        stage.kill_endpoint()
        stage.start_cloud()
        deployment.join()
        verdicts.append(deploy(1, strategy))
    check(f"{strategy}, endpoint killed: the deployment ends, and the next one", verdicts, ["deployed"] * 2)
    check(f"{strategy}, endpoint killed: no request failed", load.failed, [])
    note(f"{strategy}: {load.answered} requests answered")


def rolling():
    ten_times("rolling")


def blue_green():
    ten_times("blue_green")


def rolling_with_the_endpoint_killed():
    with_the_endpoint_killed("rolling")


def blue_green_with_the_endpoint_killed():
    with_the_endpoint_killed("blue_green")


run_tests(
    rolling,
    blue_green,
    rolling_with_the_endpoint_killed,
    blue_green_with_the_endpoint_killed,
    ready=ready, tidy=stage.stop_cloud)
