# parallel: yes
"""SIGTERM loses no request: /ready fails first while everything is still served, then the port closes,
then what is in flight is finished, then the process ends with status 0."""
import json
import socket
import tempfile
import urllib.error
import urllib.request

from service_process import Service
from tap import check, check_contains, run_tests


def status_of(port, path):
    """The status of a GET; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except (urllib.error.URLError, ConnectionError):
        return 0


def connect(port):
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(60)
    return client


def read_all(client):
    text = b""
    while piece := client.recv(65536):
        text += piece
    return text.decode()


def a_service_that_leaves():
    with tempfile.TemporaryDirectory() as folder:
        service = Service("rooms", folder, DRAIN_DELAY="1s")
        body = json.dumps({"name": "Oak", "capacity": 4}).encode()
        busy, idle = connect(service.port), connect(service.port)
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        check_contains("an idle connection was served before", idle.recv(4096).decode(), " 200 OK")
        busy.sendall(b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                     % (len(body), body[:5]))
        check("ready before", status_of(service.port, "/ready"), 200)
        service.ask_to_end()
        while status_of(service.port, "/ready") == 200:
            pass
        check("/ready fails first", status_of(service.port, "/ready"), 503)
        check("/health stays green", status_of(service.port, "/health"), 200)
        check("requests are served", status_of(service.port, "/rooms"), 200)
        while status_of(service.port, "/health"):
            pass
        check("then nobody listens, but the process lives", service.process.poll(), None)
        busy.sendall(body[5:])
        answer = read_all(busy)
        check_contains("what was in flight is answered", answer, "HTTP/1.1 201 ")
        check_contains("and its connection closed", answer, "Connection: close")
        check("the process ends well", service.wait(), 0)
        check("the idle connection is closed", idle.recv(10), b"")


def a_request_that_never_ends():
    with tempfile.TemporaryDirectory() as folder:
        service = Service("rooms", folder, DRAIN_TIMEOUT="100ms")
        stuck = connect(service.port)
        stuck.sendall(b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        check("it serves others", status_of(service.port, "/health"), 200)
        check("the process does not wait for ever", service.end(), 0)


run_tests(a_service_that_leaves, a_request_that_never_ends)
