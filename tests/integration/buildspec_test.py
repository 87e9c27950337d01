# parallel: yes
"""`dogshore buildspec` beside the conformance cases: explain, secrets from AWS, odd files."""
import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]
from scripted_aws import Aws  # noqa: E402
from tap import check, check_contains, run_tests  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
HERE = Path(os.environ["TMPDIR"])
SOURCE = HERE / "source"


def write(text, name="buildspec.yml"):
    SOURCE.mkdir(exist_ok=True)
    (SOURCE / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def dogshore(*words, env=None, **options):
    return subprocess.run([PROGRAM, "buildspec", *words], capture_output=True, check=False, text=True,
                          env={**os.environ, "DOGSHORE_STATE": str(HERE / "state"), **(env or {})}, **options)


FULL = """version: 0.2
run-as: root
env:
  shell: bash
  variables: {MODE: release, BOTH: file}
  parameter-store: {URL: /app/url}
  secrets-manager: {KEY: "db:key"}
  exported-variables: [VERSION]
phases:
  install:
    runtime-versions: {nodejs: 18}
  build:
    on-failure: RETRY-2-timed.*out
    commands:
      - make
      - |
        one
        two
    finally:
      - clean
artifacts:
  files: [a, 'b/**/*']
  exclude-paths: [b/x]
  base-directory: out
  name: app-$VERSION
  secondary-artifacts:
    docs: {files: index.html, discard-paths: yes}
reports:
  unit: {files: 'out/*.xml', file-format: junitxml}
cache:
  key: k-$(codebuild-hash-files a)
  fallback-keys: [k-]
  paths: ['.cache/**/*']
batch:
  build-graph:
    - {identifier: second, depend-on: [first], buildspec: other.yml}
    - {identifier: first, env: {variables: {A: b}}}
"""


def what_would_run_is_explained():
    write(FULL + "unknwon: 1\n")
    ran = dogshore("explain", "--json", "--source", SOURCE, "--env", "BOTH=flag")
    told = json.loads(ran.stdout)
    variables = {v["name"]: (v["value"], v["origin"]) for v in told["environment"]}
    check("it is explained", ran.returncode, 0)
    check("variables come with their origin", [variables[n] for n in ("MODE", "BOTH", "URL", "KEY", "CODEBUILD_SRC_DIR")],
          [("release", "env.variables"), ("flag", "given"), ("***", "parameter-store /app/url"),
           ("***", "secrets-manager db:key"), ("/codebuild/src", "built-in")])
    phases = {p["name"]: p for p in told["phases"]}
    check("phases come in their order", list(phases), ["install", "pre_build", "build", "post_build"])
    check("commands stand as in the file", phases["build"]["commands"], ["make", "one\ntwo\n"])
    check("so do those of finally, and on-failure", (phases["build"]["finally"], phases["build"]["on_failure"]),
          (["clean"], "RETRY-2-timed.*out"))
    check("runtimes are told", phases["install"]["runtime_versions"], {"nodejs": "18"})
    check("artifacts are told", [(a["identifier"], a["name"], a["files"], a["discard_paths"]) for a in told["artifacts"]],
          [(None, "app-$VERSION", ["a", "b/**/*"], False), ("docs", None, ["index.html"], True)])
    check("reports are told", [(r["group"], r["format"], r["files"]) for r in told["reports"]], [("unit", "JUNITXML", ["out/*.xml"])])
    check("the cache is told", (told["cache"]["key"], told["cache"]["fallback_keys"], told["cache"]["save"]),
          ("k-$(codebuild-hash-files a)", ["k-"], True))
    check("a batch comes as a plan", [(t["identifier"], t["depend_on"], t["buildspec"]) for t in told["batch"]["tasks"]],
          [("first", [], None), ("second", ["first"], "other.yml")])
    check_contains("warnings have their place", ran.stderr, 'buildspec.yml:38:1: warning: unknwon: there is no key "unknwon" here')
    text = dogshore("explain", "--source", SOURCE).stdout
    for piece in ("\nphase build\n", "\n  on failure RETRY-2-timed.*out\n", "\n  $ one\n    two\n", "(secrets-manager db:key)",
                  "\nartifact docs\n", "\n  key k-$(codebuild-hash-files a)\n", "\nbatch build-graph\n", "    after first\n"):
        check_contains(f"the text says {piece.strip()}", text, piece)


def nothing_is_explained_of_a_wrong_file():
    write("version: 0.2\nphases: {biuld: {}}\n")
    ran = dogshore("explain", "--source", SOURCE)
    check("a wrong file has exit status 2", ran.returncode, 2)
    check_contains("and its place", ran.stderr, 'buildspec.yml:2:10: error: phases.biuld: ')


def findings_are_printed():
    write("version: 0.2\nphases:\n  build:\n    commands: [x]\n    on-failure: STOP\ncahce: {}\n")
    ran = dogshore("check", SOURCE / "buildspec.yml", SOURCE / "missing.yml")
    lines = ran.stdout.splitlines()
    check("a wrong file has exit status 2", ran.returncode, 2)
    check("every file's findings are printed", [line.split(": ")[0] for line in lines],
          [f"{SOURCE}/buildspec.yml:5:17", f"{SOURCE}/buildspec.yml:6:1", f"{SOURCE}/missing.yml:0:0"])
    check_contains("with the nearest known key", lines[1], 'did you mean "cache"?')
    told = json.loads(dogshore("check", "--json", SOURCE / "buildspec.yml").stdout)
    check("the same as JSON", [(f["severity"], f["line"], f["column"], f["path"]) for f in told["findings"]],
          [("error", 5, 17, "phases.build.on-failure"), ("warning", 6, 1, "cahce")])


def odd_files_are_refused_clearly():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i-1}'] * 10)}]\n" for i in range(1, 9))
    for what, content, message in (
            ("a NUL byte", b"version: 0.2\nphases: {\0}\n", "buildspec.yml:2:10: error: a NUL byte"),
            ("bytes that are no UTF-8", b"version: 0.2\nname: \xff\n", "buildspec.yml:2:7: error: "),
            ("an alias bomb", bomb, "200,000 values"),
            ("a binary", Path(PROGRAM).read_bytes()[:500000], "buildspec.yml:1:"),
            ("deep nesting", "[" * 100000, "64 levels")):
        write(content)
        ran = dogshore("check", SOURCE / "buildspec.yml")
        check(f"{what} has exit status 2", ran.returncode, 2)
        check_contains(f"{what} is named", ran.stdout, message)
    with open(SOURCE / "buildspec.yml", "wb") as file:
        file.truncate(100_000_000)
    ran = dogshore("check", SOURCE / "buildspec.yml")
    check("a file of 100 MB has exit status 2", ran.returncode, 2)
    check_contains("and is told to be too large", ran.stdout, "1048576 bytes")


KEYED = """version: 0.2
cache:
  key: deps-$(codebuild-hash-files lock)
  fallback-keys: [deps-]
  paths: ['deps/**/*', '/root/.home/**/*']
phases:
  build:
    commands:
      - cat deps/made /root/.home/made 2>/dev/null || echo nothing-there
      - mkdir -p deps /root/.home; cp lock deps/made; echo home >/root/.home/made
"""


def a_cache_with_a_key():
    write(KEYED)
    logs = []
    for lock in ("one", "one", "two"):
        write(lock + "\n", "lock")
        ran = dogshore("run", "--source", SOURCE, "--cache", HERE / "kept")
        check("a build with a keyed cache succeeds", ran.returncode, 0)
        logs.append(ran.stderr)
    name = hashlib.sha256
    entries = [name(f"{name(text).hexdigest()}  ./lock\n".encode()).hexdigest() for text in (b"one\n", b"two\n")]
    check_contains("the first finds nothing", logs[0], "\nnothing-there\n")
    check_contains("and keeps it under its key", logs[0], f"Kept 2 files as the cache entry deps-{entries[0]}")
    check_contains("the second finds that", logs[1], "\none\nhome\n")
    check_contains("the third falls back to it", logs[2], f"Restored 2 files from the cache entry deps-{entries[0]}")
    check_contains("and keeps its own", logs[2], f"Kept 2 files as the cache entry deps-{entries[1]}")
    write(KEYED + "      - false\n")
    write("three\n", "lock")
    ran = dogshore("run", "--source", SOURCE, "--cache", HERE / "kept")
    check("a failed build keeps nothing", ("Kept" in ran.stderr, ran.returncode), (False, 1))
    write(KEYED.replace("hash-files lock", "hash-files no*such") + "")
    ran = dogshore("run", "--source", SOURCE, "--cache", HERE / "kept")
    check_contains("a key that cannot be evaluated means no cache", ran.stderr, "key came out empty")
    check_contains("its reason is told", ran.stderr, "codebuild-hash-files: no file matches: no*such")


HASHES = """version: 0.2
phases:
  build:
    commands:
      - codebuild-hash-files '**/*.c' >all; codebuild-hash-files 'a/*.c' './top.?' >some; codebuild-hash-files 'a/**/*' >below
      - codebuild-hash-files "$CODEBUILD_SRC_DIR/top.c" >absolute; codebuild-hash-files 'x[1]+(y).c' >plain
      - test "$(codebuild-hash-files top.c)" = "$(cat absolute)"
      - |
        test "$(codebuild-hash-files top.h 2>&1; echo $?)" = "$(printf '%s\\n1' 'codebuild-hash-files: no file matches: top.h')"
artifacts: {files: [all, some, below, absolute, plain]}
"""


def files_are_hashed():
    sha = hashlib.sha256
    for name in ("a", "a/b"):
        (SOURCE / name).mkdir(parents=True, exist_ok=True)
    contents = {"a/b/deep.c": "1", "a/one.c": "2", "top.c": "3", "x[1]+(y).c": "4", "a/b/not.h": "5"}
    for name, content in contents.items():
        write(content, name)

    def expected(*names):
        lines = "".join(f"{sha(contents[n].encode()).hexdigest()}  ./{n}\n" for n in sorted(names))
        return sha(lines.encode()).hexdigest()

    write(HASHES)
    for flags in ([], ["--no-sandbox"]):
        ran = dogshore("run", "--source", SOURCE, "--artifacts", HERE / "hashes", *flags)
        check("hashes are made", ran.returncode, 0)
        got = {p.name: p.read_text().strip() for p in (HERE / "hashes/primary").iterdir()}
        check("they are those of names and contents", got, {
            "all": expected("a/b/deep.c", "a/one.c", "top.c", "x[1]+(y).c"), "some": expected("a/one.c", "top.c"),
            "below": expected("a/b/deep.c", "a/one.c", "a/b/not.h"), "absolute": expected("top.c"),
            "plain": expected("x[1]+(y).c")})


STOPS = """version: 0.2
env: {variables: {GIVEN: seen}}
phases:
  build:
    commands:
      - mkdir sub && cd sub
      - codebuild-breakpoint
      - echo "after $(cat ../typed)" >../result
artifacts: {files: [result]}
"""


TURNING = rb"\r\033\[K[-|/\\] BUILD [0-9]+\.[0-9] s"


def on_a_terminal(words, when=rb"goes on\.\s+.*[#$] $", then=None, **variables):
    """Runs it on a terminal of its own; then(terminal) when that has been shown. Exit status, what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        os.execve(PROGRAM, [PROGRAM, "buildspec", *map(str, words)], {**environment, "TERM": "xterm", **variables})
    shown, answered = b"", then is None
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how a terminal says that nobody is at its other end
            break
        if not piece:
            break
        shown += piece
        if not answered and re.search(when, shown, re.S):
            then(terminal)
            answered = True
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return status, shown.decode(errors="replace")


def a_breakpoint_opens_a_shell():
    write(STOPS)
    words = ["run", "--source", SOURCE, "--artifacts", HERE / "stopped"]
    result = HERE / "stopped/primary/result"
    for flags in ([], ["--no-sandbox"]):
        for ends in ("codebuild-resume", "exit"):
            typed = f'echo "typed $GIVEN ${{PWD##*/}} $((6*7))" >../typed; {ends}\r'
            status, shown = on_a_terminal([*words, "--break", *flags], then=lambda t, what=typed: os.write(t, what.encode()))
            check(f"the build goes on behind {ends}", status, 0)
            check("the shell had the build's variables and directory", result.read_text(), "after typed seen sub 42\n")
            check_contains("the rest of the build is shown", shown, "Phase complete: BUILD State: SUCCEEDED")
    write("0\n", "typed")
    check("without a terminal breakpoints do nothing", dogshore(*words, "--break", stdin=subprocess.DEVNULL).returncode, 0)
    check("and the build runs through", result.read_text(), "after 0\n")
    status, shown = on_a_terminal(words)
    check("so do they without the flag", (status, "goes on." in shown), (0, False))


LIVE = """version: 0.2
phases:
  build:
    commands:
      - until [ -e "$GATE" ]; do sleep 0.05; done
      - printf unfinished
      - "false"
"""


def a_terminal_shows_what_happens():
    write(LIVE)
    gate = HERE / "gate"
    words = ["run", "--source", SOURCE, "--no-sandbox", "--env", f"GATE={gate}"]
    status, shown = on_a_terminal(words, when=TURNING, then=lambda _: gate.touch())
    check("the exit status is the build's", status, 1)
    check_contains("phases are headings", shown, "\033[1m[build] Entering phase BUILD\033[0m\r\n")
    check("what a phase took stands behind it",
          bool(re.search(r"\033\[31m\[build\] Phase complete: BUILD State: FAILED\033\[0m  [0-9.]+ ?m?s\r\n", shown)), True)
    check("a line turns and counts meanwhile", bool(re.search(TURNING.decode() + r"\r\033\[K", shown)), True)
    check_contains("output stays as it is", shown, "\r\nunfinished\r\n[build] Running command false")
    _, plain = on_a_terminal(words, NO_COLOR="1")
    check("with NO_COLOR it is lines alone", "\033" in plain, False)
    ran = dogshore(*words)
    check("elsewhere, too", "\033" in ran.stderr, False)


WANTS = """version: 0.2
env:
  parameter-store: {URL: /app/url}
  secrets-manager: {PASSWORD: "db:password"}
phases:
  build:
    commands:
      - test "$URL" = http://x/secret-url && test "$PASSWORD" = "p w'd"
      - echo "got $PASSWORD" && tr '\\0' '\\n' </proc/1/cmdline
"""


def secrets_come_from_aws():
    aws = Aws()
    aws.answers = {"GetParameters": (200, {"Parameters": [{"Name": "/app/url", "Value": "http://x/secret-url"}]}),
                   "GetSecretValue": (200, {"Name": "db", "SecretString": json.dumps({"password": "p w'd"})})}
    write(WANTS)
    ran = dogshore("run", "--json", "--source", SOURCE, env=aws.environment())
    check("a build gets its parameters and secrets from AWS", (ran.returncode, json.loads(ran.stdout)["status"]), (0, "SUCCEEDED"))
    check("they are asked for as the models say", aws.asked,
          [("GetParameters", {"Names": ["/app/url"], "WithDecryption": True}), ("GetSecretValue", {"SecretId": "db"})])
    check_contains("they are masked", ran.stderr, "got ***")
    check("no value stands in log, result or arguments", "p w'd" in ran.stderr + ran.stdout, False)
    aws.asked.clear()
    dogshore("explain", "--source", SOURCE, env=aws.environment())
    check("explain asks for nothing", aws.asked, [])


def aws_refuses():
    aws = Aws()
    write(WANTS)
    good = (200, {"Name": "db", "SecretString": "{}"})
    for what, parameters, secret, status, message in (
            ("a parameter that is not there", (200, {"Parameters": [], "InvalidParameters": ["/app/url"]}), good, 1,
             'there is no parameter "/app/url"'),
            ("a key that is not there", (200, {"Parameters": [{"Name": "/app/url", "Value": "x"}]}), good, 1,
             'has no key "password"'),
            ("access denied", (400, {"__type": "AccessDeniedException", "Message": "User is not authorized"}), good, 1,
             "User is not authorized"),
            ("a service that stays busy", (400, {"__type": "ThrottlingException", "message": "Rate exceeded"}), good, 3,
             "Rate exceeded")):
        aws.answers = {"GetParameters": parameters, "GetSecretValue": secret}
        ran = dogshore("run", "--source", SOURCE, env=aws.environment())
        check(f"{what}: exit status {status}", ran.returncode, status)
        check_contains(f"{what} is told", ran.stderr, message)
        check(f"{what}: no command runs", "Entering phase INSTALL" in ran.stderr, False)


def without_credentials():
    write(WANTS)
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
    environment = {**{k: v for k, v in Aws().environment().items() if k not in keys}, "AWS_EC2_METADATA_DISABLED": "true"}
    ran = dogshore("run", "--source", SOURCE, env=environment)
    check("without credentials the build fails", ran.returncode, 1)
    check_contains("the reason is told", ran.stderr, "no AWS credentials")
    check_contains("and what helps", ran.stderr, "--secrets-file")


AS_USERS = """version: 0.2
phases:
  install:
    commands: ['mkdir sub; cd sub', KEPT=yes, 'echo first > file', 'touch /tmp/gone']
  pre_build:
    run-as: daemon
    commands:
      - echo "$(id -un) $(id -u) $(id -g) in $PWD, $KEPT, $(stat -c %U file)"
      - echo second >> file
      - chown 0 file || echo "no right to give files away"
    finally: ['echo "finally $(id -un)"']
  build:
    commands: ['echo "then $(id -un), $(cat file | tr "\\n" " ")$(ls /tmp)"']
artifacts: {files: [sub/file]}
"""


def commands_run_as_another_user():
    """Section 5.6 of the reference: for root. The ids are those of Debian's base-passwd."""
    write(AS_USERS)
    out = HERE / "as-users"
    out.mkdir()
    ran = dogshore("run", "--source", SOURCE, "--artifacts", out)
    if os.geteuid() != 0:
        check_contains("another user is root's to choose", ran.stderr, "run-as: daemon: without root")
        return
    lines = ran.stderr.splitlines()
    check("the build is done", ran.returncode, 0)
    check("a phase runs as its user, with what was there before", "daemon 1 1 in /codebuild/src/sub, yes, daemon" in lines)
    check("without any right more", "no right to give files away" in lines)
    check("finally, too", "finally daemon" in lines)
    check("the next phase is root's again, in a sandbox of its own", "then root, first second " in lines)
    check("what it made is an artifact", (out / "primary" / "sub" / "file").read_text(), "first\nsecond\n")
    check("of whoever runs dogshore", (out / "primary" / "sub" / "file").stat().st_uid, 0)
    ran = dogshore("run", "--source", SOURCE, "--artifacts", out, "--no-sandbox")
    check("without the sandbox it is refused", ran.returncode, 1)
    check_contains("and why", ran.stderr, "run-as: daemon: without the sandbox")


run_tests(what_would_run_is_explained, nothing_is_explained_of_a_wrong_file, findings_are_printed,
          odd_files_are_refused_clearly, a_cache_with_a_key, files_are_hashed, a_breakpoint_opens_a_shell,
          a_terminal_shows_what_happens, secrets_come_from_aws, aws_refuses, without_credentials,
          commands_run_as_another_user)
