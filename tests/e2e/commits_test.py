# timeout: 900
"""The way of commits through `dogshore run`: what is touched is built and deployed, what is broken is not."""
import scene
from tap import check, check_contains, note, run_tests

scene.need_root()
stage = scene.Scene()
before = {}  # task ids before a commit, by service


def ready():
    stage.make_repository()
    stage.start_cloud()


def run(expect=0):
    """The whole way of HEAD; remembers the tasks that served before."""
    for service in before:
        before[service] = stage.tasks(service)
    result = stage.dogshore("run", "--env", "local")
    if result.status != expect:
        note(result.said)
        note(result.text)
    check("the run's exit status", result.status, expect)
    return result


def status(result, service, step):
    return result.step(service, step).get("status", "no such step")


def check_untouched(service):
    check(f"{service}: the same tasks run", stage.tasks(service), before[service])


def check_replaced(service):
    now = stage.tasks(service)
    check(f"{service}: new tasks run", bool(now) and not set(now) & set(before[service]))


def a_first_commit_becomes_two_services():
    result = run()
    check("the run passed", result.document["status"], "passed")
    for service in ("rooms", "bookings"):
        for step in ("build", "image", "deploy"):
            check(f"{service}: {step}", status(result, service, step), "passed")
        before[service] = []  # from now on it has tasks
    check("rooms answers through the balancer", stage.get("/rooms")[0], 200)
    check("bookings answers through the balancer", stage.get("/bookings")[0], 200)


def nothing_to_do():
    result = run()
    check("the run passed", result.document["status"], "passed")
    check_untouched("rooms")
    check_untouched("bookings")


def a_commit_that_touches_only_rooms():
    stage.edit("services/rooms/api.c", "there is no room %s", "no such room: %s")
    stage.commit("rooms: another message")
    result = run()
    check("rooms: build", status(result, "rooms", "build"), "passed")
    check("rooms: deploy", status(result, "rooms", "deploy"), "passed")
    check("bookings is not built", status(result, "bookings", "build") != "passed")
    check_replaced("rooms")
    check_untouched("bookings")
    check_contains("the new version answers", stage.get("/rooms/nowhere")[1], "no such room: nowhere")


def a_commit_that_rewords_a_comment():
    stage.edit("services/rooms/api.c", r"/\* A taken name is", "/* A name that is taken is")
    stage.commit("rooms: a comment")
    result = run()
    check("rooms: build", status(result, "rooms", "build"), "passed")
    check("rooms is not deployed", status(result, "rooms", "deploy"), "skipped")
    check_untouched("rooms")
    check_untouched("bookings")
    why = stage.dogshore("why", "rooms", expect=0)
    check_contains("why names the path that moved", why.text, "services/rooms")
    check_contains("and that the image is deployed already", why.text, "that is deployed (sha256:")


def a_commit_that_touches_the_kit():
    stage.edit("services/kit/route.c", r"\Z", "/* The end. */\n")
    stage.commit("kit: a comment")
    result = run()
    for service in ("rooms", "bookings"):
        check(f"{service}: build", status(result, service, "build"), "passed")


def a_commit_that_breaks_a_unit_test():
    stage.edit("services/rooms/api.c", '"room_not_found"', '"room_is_gone"')
    stage.commit("rooms: breaks its clients")
    result = run(expect=1)
    check("rooms: build", status(result, "rooms", "build"), "failed")
    check("no image is made", status(result, "rooms", "image") != "passed")
    check_untouched("rooms")
    check_untouched("bookings")
    stage.git("revert", "--no-edit", "HEAD")
    run()


def a_commit_whose_program_crashes_at_start():
    stage.edit("services/rooms/main.c", r"(int main\(void\)\n\{\n)", r"\1\t__builtin_trap();\n")
    stage.commit("rooms: crashes")
    with stage.load("/rooms", "/bookings") as load:
        result = run(expect=4)
    check("rooms: deploy", status(result, "rooms", "deploy"), "rolled_back")
    check_contains("the first thing it says is the cause", result.document["reason"], "SIGILL")
    check("the old version never stopped answering", load.failed, [])
    check("and was asked all the time", load.answered > 100)
    check_untouched("bookings")
    check("rooms answers", stage.get("/rooms")[0], 200)
    check_contains("with the old version", stage.get("/rooms/nowhere")[1], "no such room")


run_tests(
    a_first_commit_becomes_two_services,
    nothing_to_do,
    a_commit_that_touches_only_rooms,
    a_commit_that_rewords_a_comment,
    a_commit_that_touches_the_kit,
    a_commit_that_breaks_a_unit_test,
    a_commit_whose_program_crashes_at_start,
    ready=ready, tidy=stage.stop_cloud, chained=True)
