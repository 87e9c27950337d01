# timeout: 600
"""Two hundred clients book the same room and time at once, through the balancer, from two tasks: one wins."""
import datetime
import http.client
import json
import threading

import scene
from tap import check, note, run_tests

CLIENTS = 200

scene.need_root()
stage = scene.Scene()


def ready():
    stage.make_repository()
    stage.start_cloud()
    stage.dogshore("run", "--env", "local", expect=0)


def post(path, body):
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def one_of_two_hundred_wins():
    check("two tasks of bookings serve", len(stage.tasks("bookings")), 2)
    status, room = post("/rooms", {"name": "Oak", "capacity": 8})
    check("there is a room", status, 201)
    day = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).strftime("%Y-%m-%d")
    wish = {"room_id": room["id"], "starts": f"{day}T09:00:00Z", "ends": f"{day}T10:00:00Z"}
    together, answers = threading.Barrier(CLIENTS), []

    def book():
        together.wait()
        answers.append(post("/bookings", wish))

    clients = [threading.Thread(target=book) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    statuses = [status for status, _ in answers]
    check("one client wins", statuses.count(201), 1)
    check("the others are told that the room is taken", statuses.count(409), CLIENTS - 1)
    for status, body in answers:
        if status not in (201, 409):
            note(f"{status}: {body}")
    _, listed = stage.get(f"/bookings?room_id={room['id']}")
    check("one booking is in the list", len(json.loads(listed)["bookings"]), 1)


run_tests(one_of_two_hundred_wins, ready=ready, tidy=stage.stop_cloud)
