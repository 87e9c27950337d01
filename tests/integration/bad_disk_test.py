# parallel: yes
"""Full disks: small file systems for the state of a run, for images, for the local cloud; each goes on afterwards."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from scene import PROGRAM, Result, need_root, wait_until  # noqa: E402
from shop import check_error  # noqa: E402
from tap import check, check_contains, run_tests  # noqa: E402

need_root()
if not os.environ.get("BAD_DISK_NAMESPACE"):
    # mounts of our own that end with us, whatever happens
    os.environ["BAD_DISK_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])

FULL = "No space left on device"
stage = shop.Shop()
cloud = stage.folder / "cloud"  # the local cloud's state folder


def mount(folder, size):
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)


def resize(folder, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def unmount(folder):
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    """Leaves nothing."""
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass


def ready():
    stage.make_repository()


def run():
    return stage.dogshore("run", "--env", "local")


def no_room_for_the_ledger():
    mount(stage.state, "60k")
    stage.pretend_cloud()
    check_error("no room for the ledger", run(), 3, str(stage.state / "ledger.db"), "full", "free some space")
    unmount(stage.state)


def no_room_for_what_a_build_makes():
    mount(stage.state, "600k")
    stage.pretend_cloud()
    check_error("no room for the artifacts", run(), 3, str(stage.state), FULL, "free some space")
    stage.check_nothing_half_done("no room for the artifacts")
    check("no artifact is there", list(stage.state.rglob("artifacts/out")), [])
    unmount(stage.state)


def no_room_for_an_image():
    size = build_size()
    mount(stage.state, f"{(size + 400_000) // 1024}k")
    stage.pretend_cloud()
    check_error("no room for the image", run(), 3, "image of svc", str(stage.state), FULL, "free some space")
    stage.check_nothing_half_done("no room for the image")
    check("no tag", stage.tags(), [])
    unmount(stage.state)


def build_size():
    subprocess.run(["cc", "-static", "-O1", "-o", stage.folder / "size", stage.repository / "svc/svc.c"], check=True)
    return (stage.folder / "size").stat().st_size


def no_room_in_the_middle_of_a_run():
    """What the ledger cannot take any more is taken up where it stood."""
    mount(stage.state, "8m")
    stage.pretend_cloud()
    stage.build_with("touch here; while [ ! -e go ]; do sleep 0.01; done")
    stage.commit("waits")
    process = stage.start("run", "--env", "local", "--json")
    source = wait_until("the build", lambda: list(stage.work.glob("dogshore-build-*/src/here")))[0].parent
    fill(stage.state)
    (source / "go").touch()
    text, said = process.communicate()
    check_error("no room in the middle", Result(subprocess.CompletedProcess([], process.returncode, text, said)), 3, str(stage.state),
                "free some space")
    check("no room in the middle: no process is left", stage.processes(), [])
    (stage.state / "filler").unlink()
    stage.back()
    stage.build_with(shop.COMPILE)
    check("no room in the middle: reading goes on", stage.dogshore("runs").status, 0)
    unmount(stage.state)


def the_local_cloud_has_no_room_for_a_push():
    mount(cloud, "300k")
    up()
    check_error("no room for a push", run(), 3, "push of svc", stage.endpoint_address, FULL, "free some space")
    stage.check_nothing_half_done("no room for a push")
    check("no room for a push: no upload is left", list((cloud / "content/uploads").iterdir()), [])
    resize(cloud, "64m")  # without room it may say just that, if its own records met the full disk as well
    shown = stage.aws("ecr", "list_images", repositoryName="shop/svc")
    check("no room for a push: no image is shown", shown["imageIds"], [])
    check("with room it arrives", run().status, 0)
    check("and answers", stage.get("/")[0], 200)


def the_local_cloud_has_no_room_to_deploy():
    fill(cloud)
    stage.edit("svc/svc.c", '"v0"', '"v1"')
    stage.commit("v1")
    # whatever it cannot write first: an upload, the image's row, a task definition
    result = run()
    check("no room to deploy: exit status", result.status in (3, 7), True)
    check_contains("no room to deploy: it says so", result.said, "full")
    check_contains("no room to deploy: and what next", result.said, "\n  next:  ")
    check("no room to deploy: the old version answers", stage.get("/")[1].strip(), "v0")
    (cloud / "filler").unlink()
    check("with room it arrives", run().status, 0)
    check("and answers", stage.get("/")[1].strip(), "v1")


def a_deployment_meets_a_full_disk():
    """The scheduler cannot write down what it wants to do: the deployer is told, not left waiting."""
    stage.task_with(command=["spin", "1"])
    stage.commit("ends at once")
    process = stage.start_deploying()
    fill(cloud)
    _, said = process.communicate(timeout=120)
    check("a full disk while deploying: it ends", process.returncode in (3, 4, 7), True)
    check_contains("a full disk while deploying: with advice", said, "\n  next:  ")
    check("a full disk while deploying: the old version answers", stage.get("/")[1].strip(), "v1")
    (cloud / "filler").unlink(missing_ok=True)
    wait_until("the cloud to go on", lambda: stage.dogshore("status", "svc", "--env", "local").status == 0)
    check("a full disk while deploying: the endpoint survived", stage.dogshore("local", "status", "--state", str(cloud)).status, 0)


def up():
    stage.dogshore("local", "up", "--detach", "--state", str(cloud), "--endpoint", stage.endpoint_address, expect=0)
    keys = shop.json.loads((cloud / "credentials.json").read_text())
    (stage.state / "local").mkdir(parents=True, exist_ok=True)
    shutil.copy(cloud / "credentials.json", stage.state / "local/credentials.json")
    stage.environment |= {"AWS_ENDPOINT_URL": keys["endpoint"], "AWS_REGION": keys["region"],
                          "AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"]}


def tidy():
    if cloud.exists():
        (cloud / "filler").unlink(missing_ok=True)
        stage.dogshore("local", "down", "--state", str(cloud))


run_tests(
    no_room_for_the_ledger, no_room_for_what_a_build_makes, no_room_for_an_image, no_room_in_the_middle_of_a_run,
    the_local_cloud_has_no_room_for_a_push, the_local_cloud_has_no_room_to_deploy, a_deployment_meets_a_full_disk,
    ready=ready, tidy=tidy)
