# parallel: yes
"""Two hundred clients book one room at one time: one wins, the others are told, nobody gets an error
of ours. With one task of bookings, and with two that share the database behind HAProxy. Real programs,
on ports that the system chooses."""
import json
import selectors
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from service_process import Service
from tap import check, run_tests, skip

CLIENTS = 200


class Balancer:
    """HAProxy, one server after the other, on a socket that it inherits."""

    def __init__(self, folder, ports):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = listener.getsockname()[1]
        servers = "".join(f" server s{port} 127.0.0.1:{port}\n" for port in ports)
        config = Path(folder, "haproxy.cfg")
        config.write_text(
            "global\n maxconn 1000\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n"
            f" timeout server 60s\nfrontend f\n bind fd@{listener.fileno()}\n default_backend b\n"
            f"backend b\n balance roundrobin\n option http-server-close\n{servers}")
        self.process = subprocess.Popen(["haproxy", "-db", "-q", "-f", config],
                                        pass_fds=[listener.fileno()])
        listener.close()

    def end(self):
        self.process.terminate()
        self.process.wait()


def ask(port, method, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method,
                                     data=json.dumps(body).encode() if body else None)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def ask_at_once(port, requests):
    """Sends all requests, each on a connection of its own, before any answer is read; the statuses."""
    selector = selectors.DefaultSelector()
    answers = {}
    for request in requests:
        client = socket.create_connection(("127.0.0.1", port))
        selector.register(client, selectors.EVENT_READ)
        answers[client] = b""
    for client, request in zip(answers, requests):
        client.sendall(request)
    left = len(answers)
    while left:
        for key, _ in selector.select():
            piece = key.fileobj.recv(65536)
            answers[key.fileobj] += piece
            if not piece:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1
    return [int(answer.split(b" ")[1]) if answer else 0 for answer in answers.values()]


def booking_of(room, hour, headers=""):
    body = json.dumps({"room_id": room, "starts": f"2099-01-01T{hour:02}:00:00Z",
                       "ends": f"2099-01-01T{hour + 1:02}:00:00Z"})
    return (f"POST /bookings HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def count(statuses):
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def contend(port, rooms_port, how):
    room = ask(rooms_port, "POST", "/rooms", {"name": f"Oak {how}", "capacity": 8})["id"]
    check(f"{how}: one of {CLIENTS} wins, the others get 409",
          count(ask_at_once(port, [booking_of(room, 9)] * CLIENTS)), {201: 1, 409: CLIENTS - 1})
    check(f"{how}: one booking stands",
          len(ask(port, "GET", f"/bookings?room_id={room}&limit=200")["bookings"]), 1)
    # Ten slots, twenty clients each, mixed.
    mixed = [booking_of(room, 10 + i % 10) for i in range(CLIENTS)]
    check(f"{how}: of ten slots each is won once", count(ask_at_once(port, mixed)),
          {201: 10, 409: CLIENTS - 10})
    # The same request made again and again with its key, at once: one booking, told to everybody.
    keyed = [booking_of(room, 21, "Idempotency-Key: once\r\n")] * 50
    check(f"{how}: a request made 50 times with one key books once",
          count(ask_at_once(port, keyed)), {201: 50})
    check(f"{how}: twelve bookings stand in the end",
          len(ask(port, "GET", f"/bookings?room_id={room}&limit=200")["bookings"]), 12)


def one_task():
    with tempfile.TemporaryDirectory() as folder:
        rooms = Service("rooms", folder)
        bookings = Service("bookings", folder, ROOMS_URL=f"http://127.0.0.1:{rooms.port}")
        contend(bookings.port, rooms.port, "one task")
        check("both end well", (bookings.end(), rooms.end()), (0, 0))


def two_tasks_behind_a_balancer():
    if not shutil.which("haproxy"):
        skip("two tasks behind a balancer", "haproxy is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        rooms = Service("rooms", folder)
        tasks = [Service("bookings", folder, ROOMS_URL=f"http://127.0.0.1:{rooms.port}")
                 for _ in range(2)]
        balancer = Balancer(folder, [task.port for task in tasks])
        contend(balancer.port, rooms.port, "two tasks")
        used = [ask(task.port, "GET", "/health")["status"] for task in tasks]
        check("both tasks live", used, ["ok", "ok"])
        balancer.end()
        check("all end well", [task.end() for task in tasks] + [rooms.end()], [0, 0, 0])


run_tests(one_task, two_tasks_behind_a_balancer)
