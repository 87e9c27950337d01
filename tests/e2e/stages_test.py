# timeout: 600
"""Single stages, each a command by itself, as somebody else's pipeline runs them (docs/single-stages.md)."""
import scene
from tap import check, check_contains, run_tests

scene.need_root()
stage = scene.Scene()
out = stage.folder / "out"


def ready():
    stage.make_repository()
    stage.start_cloud()


def from_plan_to_deployed():
    first = stage.git("rev-parse", "HEAD")
    stage.edit("services/rooms/api.c", "there is no room %s", "no such room: %s")
    commit = stage.commit("rooms: another message")

    plan = stage.dogshore("plan", commit, "--since", first, expect=0).document
    actions = {service["name"]: service["action"] for service in plan["services"]}
    check("only rooms is to be built", actions, {"rooms": "build", "bookings": "skip"})

    build = stage.dogshore("build", "rooms", "--commit", commit, "--repository", str(stage.repository),
                           "--output", str(out), expect=0).document
    check("the build's artifacts", [artifact["path"] for artifact in build["artifacts"]], ["build/rooms"])

    image = stage.dogshore("image", "build", "--binary", str(out / "artifacts/build/rooms"), "--port", "8080",
                           "--output", f"{out}/image:1", expect=0).document
    repository = f"{stage.endpoint_address}/booking/rooms"
    pushed = stage.dogshore("image", "push", f"{out}/image:1", f"{repository}:{commit}", "--create-repository",
                            expect=0).document
    check("the pushed image is the built one", pushed["digest"], image["digest"])
    again = stage.dogshore("image", "push", f"{out}/image:1", f"{repository}:{commit}", expect=0).document
    check("pushed again, no blob is sent", (again["digest"], again["uploaded"]), (image["digest"], 0))

    deployed = stage.dogshore("deploy", "rooms", "--env", "local", "--image", f"{repository}@{image['digest']}",
                              expect=0).document
    check("it is deployed", (deployed["verdict"], deployed["environment"]), ("deployed", "local"))
    check_contains("and answers", stage.get("/rooms/x")[1], "no such room: x")


run_tests(from_plan_to_deployed, ready=ready, tidy=stage.stop_cloud)
