# parallel: yes
# timeout: 3600
"""A monorepo of 40 C services: what dogshore leaves alone after a commit is what a rebuild would not change.

After each random commit `plan` says what is affected and `run` builds it; then every service is really
compiled again, and each binary that dogshore has must be the one that comes out. NARROW_COMMITS says how many
commits (default 20), NARROW_SEED which ones:  NARROW_COMMITS=200 tests/run.py --scripts dev --only integration/narrow
"""
import concurrent.futures
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from commits import Repository  # noqa: E402
from tap import check, check_contains, note, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
WORK, STATE, PLAIN = HERE / "work", HERE / "state", HERE / "plain"
ENVIRONMENT = {**os.environ, "DOGSHORE_STATE": str(STATE), "NO_COLOR": "1"}
COMMITS = int(os.environ.get("NARROW_COMMITS", "20"))
RANDOM = random.Random(int(os.environ.get("NARROW_SEED", "1")))

FOLDERS = ["base", "net", "store", "proto"]
HEADERS = [(FOLDERS[i % 4], f"h{i:02}.h") for i in range(32)]
FUNCTIONS = [f"base/f{i}.c" for i in range(6)]
SERVICES = [f"s{i:02}" for i in range(40)]
# the order in which the folders are searched: what stands in an earlier one hides what is in a later one
BUILD = """\
set -e
cd services/$1
if [ -f before.sh ]; then . ./before.sh; fi
cc -O0 -pipe -MMD -I. -I../../base -I../../net -I../../store -I../../proto -c -o ${2:-program} ${3:-main}.c
"""
BUILDSPEC = """\
version: 0.2
phases: {build: {commands: [sh tools/build.sh %s]}}
artifacts: {base-directory: services/%s, files: [program]}
"""
# two programs, each of a task
BATCH = """\
version: 0.2
batch:
  build-list:
    - {identifier: program, env: {variables: {FROM: main}}}
    - {identifier: more, env: {variables: {FROM: more}}}
phases: {build: {commands: [sh tools/build.sh %s $CODEBUILD_BATCH_BUILD_IDENTIFIER $FROM]}}
artifacts: {base-directory: services/%s, files: [program, more]}
"""


repository = Repository(WORK)
git, put, commit = repository.git, repository.put, repository.commit


def get(name):
    return (WORK / name).read_text()


def dogshore(*words):
    process = subprocess.run([PROGRAM, *words, "--json"], cwd=WORK, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise AssertionError(f"dogshore {' '.join(words)}: {process.stderr[-2000:]}")
    return json.loads(process.stdout)


# ---- the monorepo


def header(name, includes, value):
    macro = name[:-2].upper()
    lines = "".join(f'#include "{other}"\n' for other in includes)
    return f"#ifndef {macro}_VALUE\n{lines}#define {macro}_VALUE {value}\n#endif\n"


def function(number, value):
    return f'#include "h{4 * number:02}.h"\nint f{number}(void)\n{{\n\treturn H{4 * number:02}_VALUE + {value};\n}}\n'


def main_of(headers, functions, value, hook):
    macros = "".join(f"\tsum += {h[:-2].upper()}_VALUE;\n" for h in headers)
    calls = "".join(f"\tsum += f{n}();\n" for n in functions)
    return ("".join(f"#include <{h}>\n" for h in headers) + "".join(f'#include "../../base/f{n}.c"\n' for n in functions) +
            hook + f"int sum = {value};\nvoid _start(void)\n{{\n{macros}{calls}\tfor (;;)\n\t\t;\n}}\n")


def make_monorepo():
    WORK.mkdir()
    git("init", "-q", "-b", "main")
    for number, (folder, name) in enumerate(HEADERS):
        below = [HEADERS[i][1] for i in RANDOM.sample(range(number), min(number, RANDOM.randrange(2)))]
        put(f"{folder}/{name}", header(name, below, number))
    for number, path in enumerate(FUNCTIONS):
        put(path, function(number, number))
    put("base/README", "of the base\n")
    put("tools/build.sh", BUILD)
    rows = []
    for number, service in enumerate(SERVICES):
        headers = [HEADERS[i][1] for i in RANDOM.sample(range(32), 2)]
        functions = RANDOM.sample(range(6), RANDOM.randrange(2))
        # some look for a header that may be there, some take whatever is in a folder, some read without a compiler
        hook = '#if __has_include("maybe.h")\n#include "maybe.h"\nint maybe = MAYBE_VALUE;\n#endif\n' if number % 10 == 3 else ""
        if number % 10 == 5:
            functions, hook = [], '#include "all.h"\n'
            put(f"services/{service}/before.sh", 'for f in ../../base/*.c; do echo "#include \\"$f\\""; done >all.h\n')
        if number % 10 == 7:
            hook = '#include "sum.h"\n'
            put(f"services/{service}/before.sh", "echo \"int lines = $(cat ../../net/*.h | cksum | cut -c1-6);\" >sum.h\n")
        put(f"services/{service}/main.c", main_of(headers, functions, number, hook))
        batch = number % 5 == 4
        if batch:
            put(f"services/{service}/more.c", main_of([HEADERS[i][1] for i in RANDOM.sample(range(32), 2)], [], number, ""))
        put(f"services/{service}/buildspec.yml", (BATCH if batch else BUILDSPEC) % (service, service))
        rows.append(f"  {service}: {{path: services/{service}, uses: [base, net, store, proto, tools]"
                    f"{', build: {batch: true}' if batch else ''}}}\n")
    put("dogshore.yml", "app: many\nservices:\n" + "".join(rows))
    commit("first")


# ---- random commits; each leaves a tree that compiles


def change_value(path):
    lines = get(path).splitlines()
    at = next(i for i, line in enumerate(lines) if "_VALUE " in line and line.startswith("#define"))
    lines[at] = " ".join(lines[at].split()[:2] + [str(RANDOM.randrange(10**6))])
    put(path, "\n".join(lines) + "\n")


def headers_there():
    return sorted(str(p.relative_to(WORK)) for f in FOLDERS for p in (WORK / f).glob("h*.h"))


def edit_header():
    path = RANDOM.choice(headers_there())
    change_value(path)
    return f"edits {path}"


def comment_header():
    path = RANDOM.choice(headers_there())
    put(path, get(path) + f"/* {RANDOM.random()} */\n")
    return f"comments {path}"


def include_header():
    folder, name = RANDOM.choice(HEADERS[1:])
    number = int(name[1:3])
    below = [HEADERS[i][1] for i in RANDOM.sample(range(number), 1)]
    put(f"{folder}/{name}", header(name, below, RANDOM.randrange(1000)))
    return f"{folder}/{name} includes {below}"


def edit_source():
    path = f"services/{RANDOM.choice(SERVICES)}/main.c"
    put(path, get(path).replace("int sum = ", f"int sum = {RANDOM.randrange(9)} + "))
    return f"edits {path}"


def edit_function():
    number = RANDOM.randrange(6)
    put(FUNCTIONS[number], function(number, RANDOM.randrange(10**6)))
    return f"edits {FUNCTIONS[number]}"


def move_function():
    a, b = RANDOM.sample(range(6), 2)
    first, second = get(FUNCTIONS[a]), get(FUNCTIONS[b])
    put(FUNCTIONS[a], second.replace(f"int f{b}(", f"int f{a}("))
    put(FUNCTIONS[b], first.replace(f"int f{a}(", f"int f{b}("))
    return f"swaps the bodies of f{a} and f{b}"


def shadow_header():
    """A header of the same name in a folder that is searched earlier, or its removal."""
    folder, name = RANDOM.choice([h for h in HEADERS if h[0] != "base"])
    earlier = RANDOM.choice(FOLDERS[:FOLDERS.index(folder)])
    path = f"{earlier}/{name}"
    if (WORK / path).exists():
        (WORK / path).unlink()
        return f"removes {path}, which hid {folder}/{name}"
    put(path, header(name, [], RANDOM.randrange(10**6)))
    return f"adds {path}, which hides {folder}/{name}"


def maybe_header():
    path = f"{RANDOM.choice(FOLDERS)}/maybe.h"
    if (WORK / path).exists():
        (WORK / path).unlink()
        return f"removes {path}"
    put(path, f"#ifndef MAYBE_VALUE\n#define MAYBE_VALUE {RANDOM.randrange(1000)}\n#endif\n")
    return f"adds {path}"


def add_source():
    path = "base/g0.c"
    if (WORK / path).exists():
        (WORK / path).unlink()
        return f"removes {path}"
    put(path, f"int g0 = {RANDOM.randrange(1000)};\n")
    return f"adds {path}"


def edit_script():
    put("tools/build.sh", BUILD.replace("-O0", RANDOM.choice(["-O0", "-O0 -fno-pie", "-O1"])))
    return "edits tools/build.sh"


def edit_data():
    put("base/README", f"{RANDOM.random()}\n")
    return "edits base/README"


def go_back():
    past = git("rev-list", "--max-count=8", "HEAD").split()
    git("checkout", "-q", past[-1], "--", ".")
    for path in git("diff", "--name-only", "--diff-filter=A", past[-1], "HEAD").splitlines():
        (WORK / path).unlink(missing_ok=True)
    return f"goes back to {past[-1][:12]}"


# what a day brings, by how often
EDITS = 6 * [edit_header] + 3 * [comment_header] + 2 * [include_header] + 3 * [edit_source] + 2 * [edit_function] + [
    move_function, shadow_header, maybe_header, add_source, edit_script, edit_data, go_back]


# ---- what is there, and what a rebuild gives


def digest(folder):
    return hashlib.sha256(b"".join((folder / n).read_bytes() for n in ("program", "more") if (folder / n).exists())).hexdigest()


def rebuild_all():
    """Compiles every service in a plain checkout of HEAD."""
    shutil.rmtree(PLAIN, ignore_errors=True)
    PLAIN.mkdir()
    subprocess.run(f"git -C {WORK} archive HEAD | tar -x -C {PLAIN}", shell=True, check=True)

    def compile_one(service):
        folder = PLAIN / "services" / service
        for words in (["program", "main"], ["more", "more"]) if (folder / "more.c").exists() else ([],):
            subprocess.run(["sh", "tools/build.sh", service, *words], cwd=PLAIN, check=True, capture_output=True)
        return service, digest(folder)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(compile_one, SERVICES))


class Shop:
    """What dogshore has of each service, and how much it did for it."""

    def __init__(self):
        self.has = {}
        self.made = {}  # by service and key
        self.affected = self.declared = self.differing = 0

    def run(self, plan):
        """Brings HEAD to where dogshore keeps it, as planned."""
        keys = {s["name"]: s.get("built_key", s["key"]) for s in plan}
        for step in dogshore("run")["steps"]:
            service = step["service"]
            if step["status"] == "passed":
                program = digest(Path(step["log"]).parent / "build/artifacts")
                self.made.setdefault((service, keys[service]), program)
                self.has[service] = program
            elif (service, keys[service]) in self.made:
                self.has[service] = self.made[service, keys[service]]

    def follow(self, what):
        plan = dogshore("plan")["services"]
        affected = {s["name"] for s in plan if s["action"] != "skip"}
        narrowed = {s["name"] for s in plan if s["action"] == "skip" and s.get("unread")}
        before = dict(self.has)
        self.run(plan)
        rebuilt = rebuild_all()
        differing = {s for s in SERVICES if rebuilt[s] != before[s]}
        check(f"{what}: what differs was affected", sorted(differing - affected), [])
        check(f"{what}: what is there is what a rebuild gives", [s for s in SERVICES if rebuilt[s] != self.has[s]], [])
        self.affected += len(affected)
        self.declared += len(affected | narrowed)
        self.differing += len(differing)


def random_commits():
    make_monorepo()
    shop = Shop()
    shop.run(dogshore("plan")["services"])
    check("all were built", len(shop.has), len(SERVICES))
    check("as a rebuild gives them", shop.has, rebuild_all())
    for number in range(COMMITS):
        message = f"{number}: {RANDOM.choice(EDITS)()}"
        commit(message)
        shop.follow(message)
    note(f"{COMMITS} commits, {len(SERVICES)} services: {shop.declared} affected as declared, {shop.affected} with what was "
         f"read, {shop.differing} binaries differed")
    check("fewer than declared", shop.affected < shop.declared)


def the_plan_says_why():
    unread = []
    for folder, name in HEADERS:
        put(f"{folder}/{name}", get(f"{folder}/{name}") + "/* once more */\n")
        commit("comments one")
        plan = dogshore("plan")["services"]
        unread = [s for s in plan if s["action"] == "skip" and s.get("unread")]
        if unread:
            break
    check("somebody does not read it", len(unread) > 0)
    paths = unread[0]["unread"]
    check("by its name", f"{folder}/{name}" in paths)
    said = (f"narrowed: {paths[0]} changed, the last build did not read it" if len(paths) == 1 else
            f"narrowed: {paths[0]} and {len(paths) - 1} more changed, the last build did not read them")
    check_contains("plan says so", unread[0]["reason"], said)
    check("why says so", dogshore("why", unread[0]["name"])["narrowed"], said)


def an_image_is_taken_for_what_its_build_did_not_read():
    """Also when it is not the one that is there: going back with a header edited that it never read."""
    put("one/main.c", '#include "read.h"\nint main(void) { return READ; }\n')
    put("lib/read.h", "#define READ 1\n")
    put("lib/unread.h", "#define UNREAD 1\n")
    put("one/buildspec.yml", "version: 0.2\nphases: {build: {commands: [cc -static -MMD -Ilib -o one/out one/main.c]}}\n"
        "artifacts: {base-directory: one, files: [out]}\n")
    put("dogshore.yml", "app: many\nservices:\n  one: {path: one, uses: [lib], image: {binary: out}}\n")
    commit("a service with an image")
    first = dogshore("run")
    image = next(s for s in first["steps"] if s["name"] == "image")["result"]["digest"]
    put("lib/read.h", "#define READ 2\n")
    commit("it reads this")
    dogshore("run")
    put("lib/read.h", "#define READ 1\n")
    put("lib/unread.h", "#define UNREAD 2\n")
    commit("as before, as far as it reads")
    row = dogshore("plan")["services"][0]
    check("plan: its first image is taken", (row["action"], row["built_key"]), ("reuse", dogshore("why", "one", first["commit"])["key"]))
    check_contains("and why", row["reason"], "narrowed: lib/unread.h changed, the last build did not read it")
    check("nothing is built", {s["name"]: s["status"] for s in dogshore("run")["steps"]}, {"build": "skipped", "image": "skipped"})
    check("plan: that is what is there now", dogshore("plan")["services"][0]["action"], "skip")
    put("lib/unread.h", "#define UNREAD 3\n")
    commit("once more")
    check("and stays there", dogshore("plan")["services"][0]["action"], "skip")
    put("lib/read.h", "#define READ 3\n")
    commit("it reads this")
    again = dogshore("run")
    check("what it reads is built", [s["status"] for s in again["steps"]], ["passed", "passed"])
    check("into another image", next(s for s in again["steps"] if s["name"] == "image")["result"]["digest"] != image)


run_tests(random_commits, the_plan_says_why, an_image_is_taken_for_what_its_build_did_not_read)
