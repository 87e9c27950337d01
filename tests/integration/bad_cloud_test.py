# timeout: 600
# parallel: yes
"""Bad days of the local cloud: containers that do not serve, a lost balancer, ports in use, wrong keys, a signal."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from scene import free_port, need_root, wait_until  # noqa: E402
from shop import check_error  # noqa: E402
from tap import check, check_contains, note, run_tests  # noqa: E402

need_root()
stage = shop.Shop()
steady = {}  # what is there while one task serves


def what_is_there():
    """Traces of containers on this machine."""
    tasks = stage.state / "local/tasks"
    return {"mounts": len(stage.mounts()), "tasks": len(stage.tasks("svc", "shop")),
            "status": len(list((stage.state / "local/status").iterdir())),
            "overlays": len([p for p in tasks.glob("*/*/rootfs") if os.path.ismount(p)])}


def ready():
    stage.make_repository()
    stage.start_cloud()
    stage.dogshore("run", "--env", "local", expect=0)
    check("it answers", stage.get("/")[1].strip(), "v0")
    steady.update(what_is_there())


def bad(what, status, *pieces):
    """A commit whose containers do not serve."""
    began = time.monotonic()
    with stage.load("/") as load:
        result = stage.run_commit(what)
    note(f"{what}: {time.monotonic() - began:.1f} s")
    check_error(what, result, status, *pieces)
    check(f"{what}: the old version never stopped answering", load.failed[:3], [])
    check(f"{what}: and still is the one", stage.get("/")[1].strip(), "v0")
    stage.check_nothing_half_done(what)
    stage.settles(f"{what}: its containers and mounts are gone", what_is_there, steady)
    return result


def a_container_that_exits_at_once():
    stage.task_with(command=["eat", "1"])
    bad("exits at once", 4, "svc", "exited with 0", "ate it all", "dogshore logs svc --env local --task")


def a_container_that_crashes():
    stage.edit("svc/svc.c", r"(int main\(int c, char \*\*v\)\n\{\n)", r"\1\t__builtin_trap();\n")
    bad("crashes", 4, "svc", "SIGILL")


def a_program_that_is_not_there():
    stage.task_with(entryPoint=["/nowhere"])
    bad("no such program", 4, "svc", "/nowhere")


def a_container_that_never_becomes_healthy():
    stage.task_with(environment=[{"name": "PORT", "value": "9999"}])
    bad("never healthy", 4, "svc", "health check")


def a_container_that_eats_its_memory_limit():
    stage.task_with(command=["eat", "500"], memory=32)
    bad("eats its memory", 4, "svc", "out of memory")


def a_container_that_ignores_sigterm():
    stage.edit("svc/svc.c", r"signal\(SIGTERM, quit\);", "signal(SIGTERM, SIG_IGN);")
    stage.edit("svc/svc.c", '"v0"', '"deaf"')
    stage.commit("ignores SIGTERM")
    stage.dogshore("run", "--env", "local", expect=0)
    deaf = stage.tasks("svc", "shop")
    check("it serves", stage.get("/")[1].strip(), "deaf")
    stage.git("revert", "--no-edit", "HEAD")
    with stage.load("/") as load:
        stage.dogshore("run", "--env", "local", expect=0)
    check("it is replaced without a failed request", (load.failed[:3], stage.get("/")[1].strip()), ([], "v0"))
    ended = wait_until("its end", lambda: [t for t in stage.aws("ecs", "describe_tasks", cluster="shop", tasks=deaf)["tasks"]
                                           if t["lastStatus"] == "STOPPED"], 30)
    check("it was killed when its stopTimeout was over", ended[0]["containers"][0]["exitCode"], 137)
    stage.settles("its containers and mounts are gone", what_is_there, steady)


def balancer():
    folder = str(stage.state / "local/balancer")
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and cwd(p) == folder]


def cwd(process):
    try:
        return os.readlink(process / "cwd") if (process / "comm").read_text() == "haproxy\n" else ""
    except OSError:
        return ""


def answers():
    try:
        return stage.get("/")[0] == 200
    except OSError:
        return False


def a_lost_haproxy():
    for _ in range(5):
        for pid in balancer():
            os.kill(pid, signal.SIGKILL)
        wait_until("traffic to come back", answers, 20)
    check("traffic comes back each time", stage.get("/")[1].strip(), "v0")
    log = (stage.state / "local/endpoint.log").read_text()
    check_contains("the log says so", log, "the balancer was started again")
    stage.edit("svc/svc.c", '"v0"', '"v1"')
    stage.commit("v1")
    stage.dogshore("run", "--env", "local", expect=0)
    check("and deployments go on", stage.get("/")[1].strip(), "v1")
    stage.git("revert", "--no-edit", "HEAD")
    stage.dogshore("run", "--env", "local", expect=0)


def a_lost_haproxy_while_the_endpoint_is_away():
    stage.kill_endpoint()
    for pid in balancer():
        os.kill(pid, signal.SIGKILL)
    stage.dogshore("local", "up", "--detach", "--endpoint", stage.endpoint_address, expect=0)
    wait_until("traffic to come back", answers, 20)
    check("the next start brings it back", stage.get("/")[1].strip(), "v0")


def a_container_that_ends_while_the_endpoint_is_away():
    stage.settles("one container is there, as at the start", what_is_there, steady)
    (status,) = (stage.state / "local/status").iterdir()
    running = json.loads(status.read_text())
    stage.kill_endpoint()
    os.kill(running["pid"], signal.SIGKILL)
    wait_until("its end", lambda: json.loads(status.read_text())["state"] == "ended")
    stage.start_cloud()
    stage.settles("another one runs in its place, nothing is left of it", lambda: (what_is_there(), status.exists()), (steady, False))
    check("and answers", wait_until("an answer", lambda: stage.get("/")[1].strip() == "v0"), True)


def a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        other = stage.folder / "other"
        result = stage.dogshore("local", "up", "--detach", "--state", str(other), "--endpoint", address)
        check_error("the endpoint's port in use", result, 3, address.split(":")[1], "Address already in use", "ss -ltnp")
        check("no process is left", [p for p in stage.processes() if "other" in p], [])
        check("no keys were made", (other / "credentials.json").exists(), False)
        stage.edit("dogshore.yml", r"port: \d+\}", f"port: {address.split(':')[1]}}}")
        check_error("the balancer's port in use", stage.run_commit("port in use"), 3, address.split(":")[1], "in use", "ss -ltnp")
        stage.check_nothing_half_done("the balancer's port in use")
        ports = [listener["Port"] for balancer in stage.aws("elbv2", "describe_load_balancers")["LoadBalancers"] for listener in
                 stage.aws("elbv2", "describe_listeners", LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]]
        check("no listener was left for it", ports, [stage.port])
    check("the service still answers", stage.get("/")[1].strip(), "v0")


def wrong_keys():
    file = stage.state / "local/credentials.json"
    kept = file.read_text()
    secret = json.loads(kept)["secret_access_key"]
    for name, value, piece in (("secret_access_key", "A" * len(secret), "Check your AWS Secret Access Key"), ("access_key_id", "AKIANOBODY", "AKIANOBODY")):
        file.write_text(json.dumps(json.loads(kept) | {name: value}))
        stage.edit("svc/svc.c", '"v0"', '"keys"')
        result = stage.run_commit(f"wrong {name}")
        check_error(f"wrong {name}", result, 3, piece, "the key")
        check(f"wrong {name}: no secret is shown", secret in result.said + result.text or "A" * len(secret) in result.said, False)
        stage.check_nothing_half_done(f"wrong {name}")
    file.write_text(kept)


def a_signal_while_deploying():
    stage.task_with(environment=[{"name": "PORT", "value": "9999"}])
    stage.commit("never healthy")
    process = stage.start_deploying()
    result = stage.interrupt(process)
    check_error("SIGINT while deploying", result, 5, "interrupted", "dogshore rollback svc --env local")
    stage.check_nothing_half_done("SIGINT while deploying")
    check("the deployment is recorded as cancelled", stage.rows("SELECT verdict FROM deployments ORDER BY created_ms DESC LIMIT 1"), [("cancelled",)])
    check("the old version answers", stage.get("/")[1].strip(), "v0")
    stage.back()
    back = stage.dogshore("rollback", "svc", "--env", "local")
    check("what it advises works", back.status, 0)
    stage.settles("its containers and mounts are gone", what_is_there, steady)


def a_damaged_store():
    other, address = stage.folder / "damaged", f"127.0.0.1:{free_port()}"
    words = ["--detach", "--state", str(other), "--endpoint", address]
    stage.dogshore("local", "up", *words, expect=0)
    cloud = shop.Shop.__new__(shop.Shop)
    cloud.__dict__ |= stage.__dict__ | {"state": stage.folder / "damaged-state", "port": free_port()}
    cloud.environment = stage.environment | {"DOGSHORE_STATE": str(cloud.state)}
    (cloud.state / "local").mkdir(parents=True)
    (cloud.state / "local/credentials.json").write_bytes((other / "credentials.json").read_bytes())
    cloud.edit("dogshore.yml", r"port: \d+\}", f"port: {cloud.port}}}")
    check("a service runs", cloud.run_commit("damaged").status, 0)
    os.kill(int((other / "pid").read_text()), signal.SIGKILL)
    for name in ("store.db-wal", "store.db-shm"):
        (other / name).unlink()
    (other / "store.db").write_text("no database at all, but long enough to be looked at as one\n")
    check_error("a damaged store", stage.dogshore("local", "up", *words), 2, str(other / "store.db"), "not a database")
    check("what runs there goes on", cloud.get("/")[0], 200)
    check_error("down", stage.dogshore("local", "down", "--state", str(other)), 2, str(other / "store.db"), "local reset")
    check("reset gets rid of it", stage.dogshore("local", "reset", "--state", str(other)).status, 0)
    check("its state is gone", other.exists(), False)
    check("and so are its processes", [line for line in everything() if str(other) in line], [])
    check("the other cloud is untouched", stage.get("/")[1].strip(), "v0")


def everything():
    """Command lines and mounts of this machine."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    for process in Path("/proc").iterdir():
        try:
            lines.append(f"{cwd(process)} {(process / 'cmdline').read_text()}" if process.name.isdigit() and int(process.name) != os.getpid() else "")
        except OSError:
            continue
    return lines


def a_cloud_that_is_down():
    stage.stop_cloud()
    check("no mount is left", stage.mounts(), [])
    stage.edit("svc/svc.c", '"v0"', '"down"')
    check_error("a cloud that is down", stage.run_commit("down"), 3, stage.endpoint_address, "local up")
    check_error("status of it", stage.dogshore("status", "svc", "--env", "local"), 3, stage.endpoint_address, "local up")


run_tests(
    a_container_that_exits_at_once, a_container_that_crashes, a_program_that_is_not_there,
    a_container_that_never_becomes_healthy, a_container_that_eats_its_memory_limit, a_container_that_ignores_sigterm,
    a_lost_haproxy, a_lost_haproxy_while_the_endpoint_is_away, a_container_that_ends_while_the_endpoint_is_away,
    a_port_in_use, wrong_keys, a_signal_while_deploying,
    a_damaged_store, a_cloud_that_is_down, ready=ready, tidy=stage.stop_cloud)
