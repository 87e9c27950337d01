#!/usr/bin/env python3
"""Starts tasks on the local cloud one after another and measures each: RunTask -> first HTTP 200.

    task.py CLUSTER TASK_DEFINITION PORT RUNS

Speaks ECS over one kept connection with the credentials of the environment, so that what is measured
is the cloud and not the start of a client. Prints one number of milliseconds a line.
"""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import socket
import sys
import time
import urllib.parse


class Ecs:
    def __init__(self):
        self.endpoint = urllib.parse.urlparse(os.environ["AWS_ENDPOINT_URL"])
        self.region = os.environ["AWS_REGION"]
        self.connection = http.client.HTTPConnection(self.endpoint.netloc)

    def headers(self, operation, body):
        """Signature version 4, as the AWS General Reference describes it."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.endpoint.netloc,
            "x-amz-date": now,
            "x-amz-target": f"AmazonEC2ContainerServiceV20141113.{operation}",
        }
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{now[:8]}/{self.region}/ecs/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}")
        return headers

    def call(self, operation, **arguments):
        body = json.dumps(arguments).encode()
        self.connection.request("POST", "/", body, self.headers(operation, body))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{operation} answered {answer.status}: {text.decode()}")
        return json.loads(text)


def answers(host, port):
    try:
        with socket.create_connection((host, port), timeout=0.2) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def address_of(task):
    for attachment in task.get("attachments", []):
        for detail in attachment["details"]:
            if detail["name"] == "privateIPv4Address":
                return detail["value"]
    return None


def measure(ecs, cluster, definition, port):
    began = time.monotonic()
    task = ecs.call("RunTask", cluster=cluster, taskDefinition=definition, launchType="FARGATE",
                    networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}})["tasks"][0]
    arn = task["taskArn"]
    # Asked before its interface is up, an address costs a second of ARP.
    while task["lastStatus"] != "RUNNING":
        task = ecs.call("DescribeTasks", cluster=cluster, tasks=[arn])["tasks"][0]
        if task["lastStatus"] == "STOPPED":
            raise SystemExit(f"the task stopped: {task.get('stoppedReason')}")
    host = address_of(task)
    while not answers(host, port):
        if time.monotonic() - began > 30:
            raise SystemExit(f"{arn} does not answer at {host}:{port}")
        time.sleep(0.0002)
    took = time.monotonic() - began
    ecs.call("StopTask", cluster=cluster, task=arn)
    while ecs.call("DescribeTasks", cluster=cluster, tasks=[arn])["tasks"][0]["lastStatus"] != "STOPPED":
        time.sleep(0.01)
    return took * 1000


def main():
    cluster, definition, port, runs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    ecs = Ecs()
    for _ in range(runs):
        print(f"{measure(ecs, cluster, definition, port):.1f}", flush=True)


if __name__ == "__main__":
    main()
