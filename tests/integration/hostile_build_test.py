# parallel: yes
"""Builds that mean harm, under a real engine: what they try fails, they leave nothing, and the engine goes on."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests, skip, skip_all, wait_until  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
REPOSITORY, WORK, STATE, HOME = HERE / "repository", HERE / "work", HERE / "state", HERE / "home"
SECRET = f"s3cret-{os.getpid()}"
MARK = f"77{os.getpid()}"  # sleeps of this test sleep so long
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(STATE), "DOGSHORE_WORK": str(WORK), "HOME": str(HOME), "NO_COLOR": "1",
               "AWS_SECRET_ACCESS_KEY": SECRET, "ENGINE_SECRET": SECRET}
LANDLOCK_SCOPES = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 12)

# Each is a service: what its build may use, what it runs, how its step is to end.
FORK_BOMB = "f() { f & f & }; f 2>/dev/null; sleep 0.3; for i in 1 2 3 4 5; do sleep 0.05 & done; wait; exit 1"
ESCAPES = f"""\
        setsid sleep {MARK} </dev/null >/dev/null 2>&1 &
        (setsid sh -c 'trap "" TERM HUP; sleep {MARK}' & ) &
        nohup sleep {MARK} >/dev/null 2>&1 &
        setsid sh -c 'kill -STOP $$; sleep {MARK}' &
        sleep 0.2"""
BUILDS = {
    "spy": ("network: false", "sh spy/look.sh", "passed"),
    "offline": ("network: false", "python3 offline/connect.py", "passed"),
    "online": ("network: true", "python3 online/connect.py", "passed"),
    "daemon": ("cpus: 1", "|\n" + ESCAPES, "passed"),
    "filler": ("disk: 64MiB", "while head -c 1000000 /dev/zero >>fill.$((i=i+1)); do :; done", "failed"),
    "large": ("disk: 64MiB", "head -c 200000000 /dev/zero >one", "failed"),
    "killer": ("cpus: 1", "kill -9 -1; kill -9 1; kill -9 $PPID; kill -9 $$", "failed"),
    "printer": ("log: 1MiB", "yes it never ends", "timed_out"),
    "never": ("cpus: 1", "|\n        trap '' TERM INT HUP\n        while :; do sleep " + MARK + "; done", "timed_out"),
    "writer": ("cpus: 1", "sh writer/write.sh", "passed"),
    "maze": ("cpus: 1", "python3 maze/dig.py", "passed"),
}
GOOD = {"good": ("cpus: 1", "echo good", "passed")}
BOUNDED = {  # these need control groups
    "bomb": ("processes: 40", FORK_BOMB, "failed"),
    "hog": ("memory: 48MiB", "head -c 1000000000 /dev/zero | tail >/dev/null; exit 1", "failed"),
}
TIMEOUTS = {"printer": "2s", "never": "1s"}

LOOK = """\
for path in {paths} /root/.aws /root/.ssh /home /root/.docker /etc/shadow /etc/ssh /var/run/docker.sock /run/docker.sock /sys/fs/cgroup
do [ ! -e "$path" ] || echo "SEES $path"; done
cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a "{secret}" && echo SEES environment
env | grep "{secret}" && echo SEES variable
find / -xdev \\( -name ledger.db -o -name 'dogshore-build-*' -o -name credentials \\) 2>/dev/null | sed 's/^/SEES /'
ls /proc | grep -c '^[0-9]' | while read n; do [ "$n" -lt 12 ] || echo "SEES $n processes"; done
for fd in /proc/self/fd/*; do case $(readlink "$fd") in *{here}*) echo "SEES $fd";; esac; done
unshare -Ur true 2>/dev/null && echo SEES user namespaces
cat /proc/keys 2>/dev/null && echo SEES keys
cat /dev/vda /dev/sda /dev/mem /dev/kmsg 2>/dev/null | head -c 1 | grep -q . && echo SEES devices
echo looked
"""
CONNECT = """\
import socket
def can(name, family, address):
    s = socket.socket(family)
    s.settimeout(5)
    try:
        s.connect(address)
        print("REACHES", name)
    except OSError:
        pass
can("abstract socket", socket.AF_UNIX, "\\0{abstract}")
if {offline}:
    can("engine", socket.AF_INET, ("127.0.0.1", {port}))
    can("listener", socket.AF_INET, ("127.0.0.1", {listener}))
else:
    s = socket.create_connection(("127.0.0.1", {listener}), 5)
    print("online")
print("tried")
"""
WRITE = """\
for path in /usr/bin/x /usr/x /etc/x /opt/x {here}/x {state}/x {work}/x /lib/x /proc/sys/kernel/hostname /proc/sys/vm/oom_dump_tasks /proc/sysrq-trigger; do
	(echo x >"$path") 2>/dev/null && case $path in /opt/x) [ -d /opt ] ;; *) true ;; esac && echo "WRITES $path"
done
echo x >../../outside.{mark} 2>/dev/null; echo x >/outside.{mark}; echo x >/tmp/outside.{mark}
mount -t tmpfs none /mnt 2>/dev/null && echo WRITES mount
ln -s {home} home; ln -s / root; echo wrote
"""
# What its folder's removal has to come by: depth, links out of it, folders nobody may look into.
DIG = """\
import os
os.symlink("{home}", "out")
os.makedirs("closed/inner")
open("closed/inner/file", "w").close()
os.chmod("closed/inner", 0)
os.chmod("closed", 0)
for i in range(1200):
    os.mkdir("d" * 50)
    os.chdir("d" * 50)
print("dug")
"""


repository = Repository(REPOSITORY)
put = repository.put


def commit(builds):
    project = "app: hostile\nservices:\n"
    for name, (may, command, _) in builds.items():
        project += f"  {name}: {{path: {name}, build: {{{may}}}, timeout: {TIMEOUTS.get(name, '60s')}}}\n"
        put(f"{name}/buildspec.yml", f"version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n")
    put("dogshore.yml", project)
    return repository.commit()


class Engine:
    """`dogshore serve` on a free port."""

    def __init__(self):
        self.log = HERE / "serve.log"
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--jobs", "6", "--repository", REPOSITORY], cwd=HERE, env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log.open("w"))
        found = wait_until("serve listens", lambda: re.search(r"http://127.0.0.1:(\d+)", self.log.read_text()))
        self.port = int(found[1])

    def ask(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", f"/api/v1{path}")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def run_of(self, commit_id, *statuses):
        def found():
            runs = json.loads(self.ask("/runs?limit=100"))["runs"]
            return next((r for r in runs if r["commit"] == commit_id and r["status"] in statuses), None)
        return wait_until(f"a run of {commit_id} is one of {statuses}", found)

    def log_of(self, run, service):
        return self.ask(f"/runs/{run}/log?service={service}&step=build")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def processes_of(mark):
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def group_folders(pid):
    """The control groups made for the build that a process belongs to."""
    found = []
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        lines = []  # it has ended
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "dogshore-build-" in path:
            found += [f for f in (Path(f"/sys/fs/cgroup/{controllers}{path}"), Path(f"/sys/fs/cgroup{path}")) if f.exists()]
    return found


def mounts():
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(HERE) in line]


def has_groups():
    ran = subprocess.run([PROGRAM, "doctor", "--json"], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    return any(c["what"] == "build limits" and c["verdict"] == "ok" for c in json.loads(ran.stdout)["checks"])


def ready():
    if shutil.which("bwrap") is None:
        skip_all("bubblewrap is not installed")
    for folder in (REPOSITORY, WORK, HOME / ".aws"):
        folder.mkdir(parents=True)
    (HOME / ".aws/credentials").write_text(SECRET)
    subprocess.run(["git", "init", "-q", "-b", "main", REPOSITORY], check=True)
    put("good/x", "1")


listener, abstract = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
abstract.bind(f"\0dogshore-test-{os.getpid()}")
abstract.listen()


def put_scripts(engine):
    paths = " ".join(map(str, [STATE, HOME, WORK, REPOSITORY, HERE, f"/proc/{engine.process.pid}", f"/proc/{os.getpid()}"]))
    put("spy/look.sh", LOOK.format(paths=paths, secret=SECRET, here=HERE))
    for name in ("offline", "online"):
        put(f"{name}/connect.py", CONNECT.format(abstract=f"dogshore-test-{os.getpid()}", port=engine.port, offline=name == "offline",
                                                 listener=listener.getsockname()[1]))
    put("writer/write.sh", WRITE.format(here=HERE, state=STATE, work=WORK, home=HOME, mark=MARK))
    put("maze/dig.py", DIG.format(home=HOME))


def check_logs(engine, run, bounded):
    logs = {name: engine.log_of(run, name) for name in {**BUILDS, **bounded}}
    for name, done in (("spy", "looked"), ("offline", "tried"), ("online", "tried"), ("writer", "wrote"), ("maze", "dug")):
        check_contains(f"{name}: it tried everything", logs[name], f"\n{done}\n")
    check("spy: it sees nothing", re.findall("^SEES.*", logs["spy"], re.M), [])
    check("offline: it reaches nobody", re.findall("^REACHES.*", logs["offline"], re.M), [])
    check_contains("online: the network is there", logs["online"], "\nonline\n")
    if LANDLOCK_SCOPES:
        check("online: abstract sockets are not", re.findall("^REACHES.*", logs["online"], re.M), [])
    else:
        skip("online: abstract sockets are not", "this kernel has no scopes of Landlock")
    check("writer: it writes nowhere", re.findall("^WRITES.*", logs["writer"], re.M), [])
    check_contains("filler: the limit is named", logs["filler"], "64 MiB of disk")
    check("printer: its log is bounded", (1 << 20) <= len(logs["printer"]) < (1 << 20) + 10000)
    check_contains("printer: a line says so", logs["printer"][-2000:], "limit")
    for name, words in (("bomb", "40 processes"), ("hog", "48 MiB of memory")):
        if name in bounded:
            check_contains(f"{name}: the limit is named", logs[name], words)
        else:
            skip(f"{name}: the limit is named", "this machine has no control groups for us")


def what_they_try_fails():
    bounded = BOUNDED if has_groups() else {}
    commit(GOOD)
    engine = Engine()
    try:
        put_scripts(engine)
        bad = commit({**BUILDS, **bounded})
        run = engine.run_of(bad, "failed", "timed_out", "error", "passed")["run"]
        steps = {s["service"]: s["status"] for s in json.loads(engine.ask(f"/runs/{run}"))["steps"] if s["name"] == "build"}
        wanted = {name: status for name, (_, _, status) in {**BUILDS, **bounded}.items()}
        check("each ends as it must", steps, wanted)
        check_logs(engine, run, bounded)
        check("the engine lives", engine.process.poll(), None)
        check("no process is left", processes_of(MARK), [])
        check("no folder is left", [p.name for p in WORK.iterdir()], [])
        check("nothing was written beside them", [str(p) for p in (HERE, *HERE.iterdir()) for p in p.parent.glob(f"outside.{MARK}")], [])
        check("what a link led to is there", (HOME / ".aws/credentials").read_text(), SECRET)
        put("good/x", "2")
        after = commit(GOOD)
        check("the next build is built", engine.run_of(after, "passed", "failed", "error")["status"], "passed")
        check("SIGTERM ends the engine well", engine.stop(), 0)
    finally:
        engine.process.kill()
        note(engine.log.read_text()[-2000:])


def start_lasting():
    """A build that stays, with what it takes to see whether it has gone."""
    return commit({"never": ("cpus: 1", "|\n" + ESCAPES + f"\n        trap '' TERM; sleep {MARK}; sleep {MARK}", "")})


def watch_lasting(builds=1):
    """When all of them run, which groups they are in. Each has four sleeps: the last is the command itself."""
    pids = wait_until("the builds run", lambda: len(p := processes_of(f"sleep\0{MARK}")) >= 4 * builds and p)
    return {folder for pid in pids for folder in group_folders(pid)}


def check_gone(how, groups):
    wait_until(f"{how}: its processes end", lambda: not processes_of(MARK))
    wait_until(f"{how}: its folder goes", lambda: not list(WORK.iterdir()))
    wait_until(f"{how}: its control groups go", lambda: not any(g.exists() for g in groups))
    check(f"{how}: no process, folder, mount or control group is left",
          (processes_of(MARK), list(WORK.iterdir()), mounts(), [g for g in groups if g.exists()]), ([], [], [], []))


def stage(name, *flags):
    return subprocess.Popen([PROGRAM, "build", "never", "--repository", REPOSITORY, "--no-cache", "--output", HERE / name, *flags],
                            env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def nothing_is_left_of_a_stage():
    start_lasting()
    # All at once: their ends take two seconds each, in which deaf processes are asked.
    ends = (("timeout", lambda p: None, ["--timeout", "2s"], 6), ("SIGTERM", lambda p: p.terminate(), [], 5),
            ("kill -9 of the stage", lambda p: p.kill(), [], -9))
    for sandbox in ([], ["--no-sandbox"]):
        running = [(how, act, status, stage(how, *flags, *sandbox)) for how, act, flags, status in ends]
        groups = watch_lasting(len(running))
        for _, act, _, process in running:
            act(process)
        for how, _, status, process in running:
            check(f"{' '.join([how, *sandbox])}: exit status", process.wait(60), status)
        check_gone(" ".join(["timeout, SIGTERM and kill -9", *sandbox]), groups)


def nothing_is_left_before_it_has_begun():
    """Killed as soon as there is a folder: whatever the stage is just doing."""
    for _ in range(5):
        process = stage("early")
        wait_until("the folder is there", lambda: list(WORK.iterdir()))
        process.kill()
        process.wait(60)
        wait_until("the folder goes", lambda: not list(WORK.iterdir()))
    check_gone("kill -9 of a stage that has just begun", set())


def nothing_is_left_of_an_engine():
    engine = Engine()
    try:
        start_lasting()
        groups = watch_lasting()
        check("kill -9 of the engine", engine.stop(signal.SIGKILL), -signal.SIGKILL)
        check_gone("kill -9 of the engine", groups)
    finally:
        engine.process.kill()


def as_a_normal_user():
    """The same sandbox, without the rights to make control groups."""
    if os.geteuid() != 0:
        return skip("as a normal user", "this one is one already")
    folder = HERE / "user"
    folder.mkdir()
    (folder / "source").mkdir()
    (folder / "source/buildspec.yml").write_text(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - id -u; ulimit -p 2>/dev/null; cat /etc/shadow || echo no\n"
        f"      - |\n{ESCAPES}\n")
    shutil.copy(PROGRAM, folder / "dogshore")
    (folder / "work").mkdir(mode=0o777)
    for path in (HERE, folder, folder / "work"):
        path.chmod(0o777)
    ran = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", folder / "dogshore", "buildspec", "run", "--source", folder / "source",
         "--no-network", "--memory", "256MiB"],
        capture_output=True, text=True, check=False, cwd=folder,
        env={"PATH": os.environ["PATH"], "DOGSHORE_WORK": str(folder / "work"), "HOME": str(folder)})
    if "the sandbox does not work here" in ran.stderr:
        check_contains("where a normal user has no namespaces, the error says what to change", ran.stderr, "next:  ")
        return None
    check("it works", ran.returncode, 0)
    check_contains("as that user", ran.stderr, "\n65534\n")
    check_contains("what cannot be limited is said", ran.stderr, "this machine does not limit memory")
    check("nothing is left", (processes_of(MARK), list((folder / "work").iterdir())), ([], []))
    return refused_namespaces(folder)


def refused_namespaces(folder):
    """A user namespace whose own setting refuses further ones, and a process without rights in it."""
    ran = subprocess.run(
        ["unshare", "-U", "--map-root-user", "sh", "-c",
         "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all --securebits=+noroot "
         f"{folder}/dogshore buildspec run --source {folder}/source"],
        capture_output=True, text=True, check=False, cwd=folder, env={"PATH": os.environ["PATH"], "DOGSHORE_WORK": str(folder / "work")})
    if "the sandbox does not work here" not in ran.stderr:
        return skip("a refusal names the setting", "this machine cannot play one: " + ran.stderr.strip().splitlines()[-1])
    check("a refusal has exit status 3", ran.returncode, 3)
    return check_contains("it names the setting", ran.stderr, "sysctl user.max_user_namespaces=")


run_tests(what_they_try_fails, nothing_is_left_of_a_stage, nothing_is_left_before_it_has_begun, nothing_is_left_of_an_engine,
          as_a_normal_user, ready=ready)
