#!/usr/bin/env python3
# timeout: 300
"""kill -9 at every change that the local registry makes on disk: what was acknowledged is there, nothing is there by half."""
# parallel: yes
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from local_cloud import Cloud, Program, check, run_tests, test, wait_for

SHIM = Path(os.environ["TMPDIR"]) / "kill_at_write.so"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DAYS = 3 * 24 * 3600
REPOSITORIES = ("app/a", "app/b")

# Under the address sanitizer the shim comes before its runtime, which does no harm here.
PRELOADED = {"LD_PRELOAD": str(SHIM), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def compile_shim():
    source = Path(__file__).parents[1] / "helpers/kill_at_write.c"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", SHIM, source, "-lpthread"], check=True)


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class CrashingCloud(Cloud):
    """A cloud that may kill itself."""

    def __init__(self, **variables):
        self.variables = variables
        super().__init__()
        self.token = None

    def start(self, port=0):
        old = {name: os.environ.get(name) for name in self.variables}
        os.environ.update(self.variables)
        try:
            self.program = Program("local_api_server", self.state, port)
        finally:
            for name, value in old.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        self.credentials = json.loads((self.state / "credentials.json").read_text())

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": "Basic " + self.token} | {
                name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def use(self):
        ecr = self.client("ecr")
        self.token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        return ecr


class Killed(Exception):
    pass


class Push:
    """Pushes, promotes and deletes; remembers what was acknowledged, until the registry dies."""

    def __init__(self, cloud, number):
        self.cloud, self.number = cloud, number
        self.blobs, self.manifests, self.gone, self.upload = {}, {}, [], None
        self.tried = {}  # blobs that were sent, whole or not

    def ask(self, status, *arguments, **headers):
        try:
            answer = self.cloud.ask(*arguments, **headers)
        except (http.client.HTTPException, OSError) as problem:
            raise Killed from problem
        check(answer[0] == status, f"{arguments[:2]}: {answer[0]} {answer[2][:200]}")
        return answer[1]

    def content(self, name, size):
        return hashlib.sha256(f"{self.number} {name}".encode()).digest() * (size // 32)

    def acknowledged(self, repository, content):
        self.blobs[repository, sha256(content)] = content

    def in_two(self, content):
        self.tried["app/a", sha256(content)] = content
        location = self.ask(202, "POST", "/v2/app/a/blobs/uploads/")["Location"]
        self.ask(201, "PUT", f"{location}?digest={sha256(content)}", content)
        self.acknowledged("app/a", content)

    def in_one(self, content):
        self.tried["app/a", sha256(content)] = content
        self.ask(201, "POST", f"/v2/app/a/blobs/uploads/?digest={sha256(content)}", content)
        self.acknowledged("app/a", content)

    def in_chunks(self, content, size):
        self.tried["app/a", sha256(content)] = content
        location = self.ask(202, "POST", "/v2/app/a/blobs/uploads/")["Location"]
        self.upload = [location, content, 0]
        for start in range(0, len(content), size):
            end = min(start + size, len(content))
            self.ask(202, "PATCH", location, content[start:end], Content_Range=f"{start}-{end - 1}")
            self.upload[2] = end
        self.upload = None
        self.ask(201, "PUT", f"{location}?digest={sha256(content)}")
        self.acknowledged("app/a", content)

    def mount(self, content):
        self.ask(201, "POST", f"/v2/app/b/blobs/uploads/?mount={sha256(content)}&from=app/a")
        self.acknowledged("app/b", content)

    def put(self, repository, tag, manifest):
        self.ask(201, "PUT", f"/v2/{repository}/manifests/{tag}", manifest, Content_Type=MANIFEST)
        self.manifests[repository, tag] = manifest

    def run(self):
        large, small, chunked = self.content("large", 700_000), self.content("small", 3200), self.content("chunked", 400_000)
        stray = self.content("stray", 320)
        config = json.dumps({"n": self.number}).encode()
        self.in_two(large)
        for content in (small, config, stray):
            self.in_one(content)
        self.in_chunks(chunked, 150_000)
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(config), "size": len(config)}, "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(c), "size": len(c)}
                for c in (large, small, chunked)]}).encode()
        tag = f"v{self.number}"
        self.put("app/a", tag, manifest)
        for content in (large, small, chunked, config):
            self.mount(content)
        self.put("app/b", tag, manifest)
        del self.manifests["app/a", tag]  # from here on it may be there or not
        self.ask(202, "DELETE", f"/v2/app/a/manifests/{tag}")
        self.gone.append(f"/v2/app/a/manifests/{tag}")
        del self.blobs["app/a", sha256(stray)]
        self.ask(202, "DELETE", f"/v2/app/a/blobs/{sha256(stray)}")
        self.gone.append(f"/v2/app/a/blobs/{sha256(stray)}")


def check_files(cloud, known):
    """Every file under a digest's name has that digest; known ones were looked at before."""
    for path in (cloud.state / "content/blobs/sha256").iterdir():
        if path.name not in known:
            check(hashlib.sha256(path.read_bytes()).hexdigest() == path.name, f"half a blob: {path.name}")
            known.add(path.name)


def check_images(cloud):
    """Whatever a tag leads to is complete."""
    for repository in REPOSITORIES:
        for tag in json.loads(cloud.ask("GET", f"/v2/{repository}/tags/list")[2])["tags"]:
            status, _, manifest = cloud.ask("GET", f"/v2/{repository}/manifests/{tag}")
            check(status == 200, f"{repository}:{tag} {status}")
            named = json.loads(manifest)
            for blob in (named["config"], *named["layers"]):
                status, headers, _ = cloud.ask("HEAD", f"/v2/{repository}/blobs/{blob['digest']}")
                check((status, headers["Content-Length"]) == (200, str(blob["size"])), f"{repository}:{tag} lacks {blob}")


def check_push(cloud, push):
    for (repository, name), content in push.blobs.items():
        status, _, body = cloud.ask("GET", f"/v2/{repository}/blobs/{name}")
        check(status == 200 and body == content, f"acknowledged blob {repository} {name}: {status}")
    for (repository, name), content in push.tried.items():
        status, _, body = cloud.ask("GET", f"/v2/{repository}/blobs/{name}")
        check(status == 404 or body == content, f"blob {repository} {name}: {status}, {len(body)} bytes")
    for (repository, tag), content in push.manifests.items():
        status, _, body = cloud.ask("GET", f"/v2/{repository}/manifests/{tag}")
        check(status == 200 and body == content, f"acknowledged {repository}:{tag}: {status}")
    for path in push.gone:
        check(cloud.ask("GET", path)[0] == 404, f"acknowledged as deleted: {path}")
    if push.upload:
        location, content, sent = push.upload
        status, headers, _ = cloud.ask("GET", location)
        check(status == 204, f"the upload is lost: {status}")
        there = int(headers["Range"].split("-")[1]) + 1 if headers["Range"] != "0-0" else 0
        check(there >= sent, f"acknowledged {sent} bytes, {there} are there")
        check(cloud.ask("PATCH", location, content[there:], Content_Range=f"{there}-{len(content) - 1}")[0] == 202, "goes on")
        check(cloud.ask("PUT", f"{location}?digest={sha256(content)}")[0] == 201, "and is whole")


@test
def killed_at_every_write_of_a_push():
    compile_shim()
    cloud = CrashingCloud()
    ecr = cloud.use()
    for repository in REPOSITORIES:
        ecr.create_repository(repositoryName=repository)
    known, kills, counted = set(), 0, None
    for number in range(1, 1000):
        torn = number % 2 == 0
        counting = Path(cloud.folder.name) / f"counting{number}"
        cloud.program.end(signal.SIGKILL)
        cloud.variables = PRELOADED | {"KILL_AT": str((number + 1) // 2), "KILL_STATE": str(counting)}
        if torn:
            cloud.variables["KILL_TORN"] = "1"
        cloud.start()
        os.kill(cloud.program.process.pid, signal.SIGUSR2)
        wait_for(counting.exists)
        push = Push(cloud, number)
        try:
            push.run()
        except Killed:
            check(cloud.program.process.wait(20) == -signal.SIGKILL, "killed, not crashed")
            kills += 1
            cloud.variables = {}
            cloud.start()
            check_push(cloud, push)
            check_files(cloud, known)
        else:
            counted = int(counting.read_text())
            check_push(cloud, push)
            break
    check(counted is not None and kills > 80, f"{kills} kills")
    check_images(cloud)
    check_files(cloud, set())
    print(f"# killed {kills} times; a push changes files {counted} times")
    cloud.close()


@test
def killed_at_every_write_of_the_collection():
    cloud = CrashingCloud()
    ecr = cloud.use()
    for repository in REPOSITORIES:
        ecr.create_repository(repositoryName=repository)
    push = Push(cloud, 0)
    push.run()
    strays = [push.content(f"stray {n}", 320) for n in range(8)]
    for stray in strays:
        push.in_one(stray)
    cloud.ask("POST", "/v2/app/a/blobs/uploads/")
    cloud.program.end()
    template, state = Path(cloud.folder.name) / "template", cloud.state
    shutil.copytree(state, template)
    for number in range(1, 500):
        shutil.rmtree(state)
        shutil.copytree(template, state)
        cloud.variables = PRELOADED | {"KILL_AT": str(number), "KILL_ARMED": "1", "KILL_CLOCK": str(DAYS)}
        try:
            cloud.start()
        except RuntimeError:  # it did not get as far as listening
            survived = False
        else:
            survived = True
            cloud.program.end()
        cloud.variables = {}
        cloud.start()
        cloud.use()
        for (repository, tag), content in push.manifests.items():
            check(cloud.ask("GET", f"/v2/{repository}/manifests/{tag}")[2] == content, f"kill {number}: the image is there")
        check_images(cloud)
        check_files(cloud, set())
        cloud.program.end()
        if survived:
            break
    left = {path.name for path in (state / "content/blobs/sha256").iterdir()}
    check(not left & {sha256(stray)[7:] for stray in strays}, "what nothing needs is gone")
    check(not list((state / "content/uploads").iterdir()), "stale uploads are gone")
    check(number > 20, f"{number} kills")
    print(f"# killed {number - 1} times")
    cloud.folder.cleanup()


sys.exit(run_tests())
