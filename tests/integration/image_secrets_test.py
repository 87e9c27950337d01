# parallel: yes
"""Secrets stay out of images: `dogshore image build` stops, says where and of which kind, never the secret."""
import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shop  # noqa: E402
from commits import Repository  # noqa: E402
from registry import ScriptedRegistry  # noqa: E402
from scene import PROGRAM, Result  # noqa: E402
from scripted_aws import Aws  # noqa: E402
from shop import check_error  # noqa: E402
from tap import check, check_contains, note, run_tests, skip_all  # noqa: E402

WORK = Path(os.environ["TMPDIR"])
STATE = WORK / "state"
os.environ["DOGSHORE_STATE"] = str(STATE)
for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"):
    os.environ.pop(name, None)
GIVEN = "correct-horse-battery-42"  # a secret of the run
TOKEN = "ghp" + "_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"  # made up
AWS_SECRET = "q8Zr3+TnL0vB" + "x/7yHk2MwPd9sJf4GcA1uE6iRoWn"  # made up
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")


def build(*words, output=None, **environment):
    output = output or WORK / "out"
    shutil.rmtree(output, ignore_errors=True)
    return Result(subprocess.run([PROGRAM, "image", "build", "--binary", WORK / "main", "--output", f"{output}:1", "--json", *map(str, words)],
                                 capture_output=True, text=True, check=False, env=os.environ | environment))


def holds(path, content, *words, **environment):
    """An image with one file /etc/app/NAME of that content."""
    file = WORK / "files" / path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return build("--file", f"{file}:/etc/app/{path}", *words, **environment)


def refused(what, result, where, kind, *secrets):
    check_error(what, result, 1, "a secret would be in the image", f"{where} has {kind}", "--allow-secret")
    for secret in secrets:
        check(f"{what}: the secret is not shown", secret in result.text + result.said, False)
    check(f"{what}: no image has the tag", (WORK / "out/index.json").exists(), False)


def nothing_of_it_is_left(what, secret):
    left = []
    for folder in (WORK / "out", STATE):
        for path in folder.rglob("*"):
            if path.is_file() and secret in subprocess.run(["zstd", "-dcf", path], capture_output=True, check=False).stdout:
                left.append(path.name)
    check(f"{what}: neither layout nor cache has it", left, [])


def ready():
    (WORK / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-o", WORK / "main", WORK / "main.c"], check=True)


def a_private_key_in_a_file_stops_the_build():
    for kind in ("RSA", "EC", "ED25519"):
        key = WORK / "key.pem"
        options = {"RSA": ["-pkeyopt", "rsa_keygen_bits:2048"], "EC": ["-pkeyopt", "ec_paramgen_curve:P-256"], "ED25519": []}[kind]
        subprocess.run(["openssl", "genpkey", "-algorithm", kind, *options, "-out", key], check=True, capture_output=True)
        body = key.read_bytes().split(b"\n")[1]
        refused(kind, holds("key.pem", key.read_bytes()), "/etc/app/key.pem", "a private key", body.decode())
        nothing_of_it_is_left(kind, body)
    locked = subprocess.run(["openssl", "pkey", "-in", WORK / "key.pem", "-aes256", "-passout", "pass:x"], check=True, capture_output=True).stdout
    refused("an encrypted key", holds("locked.pem", locked), "/etc/app/locked.pem", "a private key")


def a_key_of_ssh_stops_the_build():
    if not shutil.which("ssh-keygen"):
        return note("there is no ssh-keygen")
    (WORK / "id").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", WORK / "id"], check=True)
    refused("ssh", holds("id", (WORK / "id").read_bytes()), "/etc/app/id", "a private key")
    check("ssh: the public key may be there", holds("id.pub", (WORK / "id.pub").read_bytes()).status, 0)
    return None


def credentials_in_files_stop_the_build():
    refused("AWS", holds("credentials", f"[default]\naws_access_key_id = AKIAQWERTY7UIOPASDF3\naws_secret_access_key = {AWS_SECRET}\n"),
            "/etc/app/credentials", "an AWS", AWS_SECRET)
    refused("GitHub", holds("hosts.yml", f"oauth_token: {TOKEN}\n"), "/etc/app/hosts.yml", "a GitHub token", TOKEN)
    auth = base64.b64encode(b"me:Tr0ub4dor").decode()
    refused("docker", holds("config.json", json.dumps({"auths": {"r.example": {"auth": auth}}})), "/etc/app/config.json", "the credentials", auth)
    refused("netrc", holds(".netrc", "machine r.example\nlogin me\npassword Tr0ub4dor\n"), "/etc/app/.netrc", "a password", "Tr0ub4dor")


def a_secret_is_found_where_blocks_meet():
    # the first block of a layer is of 512 KiB
    for offset in range(512 * 1024 - 1600, 512 * 1024 + 40, 97):
        content = os.urandom(1) * offset + b"\n" + TOKEN.encode() + b"\n" + bytes(300000)
        result = holds("blob", content, "--no-cache")
        if result.status != 1 or f"(byte {offset + 1})" not in result.said:
            check(f"at {offset}", result.said, f"(byte {offset + 1})")
            return
    check("wherever it stands", True)


def settings_are_looked_at():
    refused("env", build("--env", f"API={TOKEN}"), "env:API", "a GitHub token", TOKEN)
    refused("label", build("--label", f"note={TOKEN}"), "label:note", "a GitHub token", TOKEN)
    refused("arg", build("--arg", f"--token={TOKEN}"), "arg:1", "a GitHub token", TOKEN)


def a_secret_of_the_run_is_found_in_any_form_it_was_given():
    secrets = WORK / "secrets.json"
    secrets.write_text(json.dumps({"parameter-store": {"/app/key": GIVEN},
                                   "secrets-manager": {"db": json.dumps({"password": "Tr0ub4dor-and-3", "username": "bookings"})}}))
    with_file = ("--secrets-file", secrets)
    refused("a parameter", holds("a", f"key={GIVEN}\n", *with_file), "/etc/app/a", "a secret of this run", GIVEN)
    refused("base64", holds("a", base64.b64encode(GIVEN.encode()), *with_file), "/etc/app/a", "a secret of this run")
    refused("a member of a secret", holds("a", "pw=Tr0ub4dor-and-3", *with_file), "/etc/app/a", "a secret of this run", "Tr0ub4dor-and-3")
    check("a name beside it is none", holds("a", "user=bookings", *with_file).status, 0)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "NPM_TOKEN",
                 "DOGSHORE_GIT_PASSWORD"):
        refused(f"${name}", holds("a", f"key={GIVEN}\n", **{name: GIVEN}), "/etc/app/a", "a secret of this run", GIVEN)
    check("without it nobody can know", holds("a", f"key={GIVEN}\n").status, 0)


def a_cached_layer_is_searched_for_secrets_that_are_new():
    check("built, cached", holds("b", f"key={GIVEN}\n").status, 0)
    again = build("--file", f"{WORK}/files/b:/etc/app/b")
    check("taken from the cache", [layer["reused"] for layer in again.document["layers"]], [True] * len(again.document["layers"]))
    refused("a new secret", build("--file", f"{WORK}/files/b:/etc/app/b", GITHUB_TOKEN=GIVEN), "/etc/app/b", "a secret of this run", GIVEN)
    check("another secret", build("--file", f"{WORK}/files/b:/etc/app/b", GITHUB_TOKEN="not-" + GIVEN[1:]).status, 0)
    names = "".join(p.name + p.read_text(errors="replace") for p in (STATE / "layers/notes").iterdir())
    check("the cache does not tell which", GIVEN in names, False)


def a_layer_that_was_searched_is_not_searched_again():
    holds("c", "nothing secret")
    again = ("--file", f"{WORK}/files/c:/etc/app/c", "--trace", "image")
    tokens = (f"{GIVEN}-{number}" for number in range(10000))
    token = next(tokens)
    # a file must have been left alone for a while before the cache finds its layer without reading it
    while "searched for secrets" not in build(*again, GH_TOKEN=token).said:
        token = next(tokens)
    check("the same secret: they are not", "searched for secrets" in build(*again, GH_TOKEN=token).said, False)
    check("no secret: they are not", "searched for secrets" in build(*again).said, False)


def what_must_be_there_is_allowed_with_a_reason():
    key = ("--allow-secret", "/etc/app/*.pem=a key for tests")
    result = holds("key.pem", (WORK / "key.pem").read_bytes(), *key)
    check("allowed", result.status, 0)
    check_contains("and said", result.said, "/etc/app/key.pem has a private key, which is allowed: a key for tests")
    again = build("--file", f"{WORK}/files/key.pem:/etc/app/key.pem", *key)
    check("from the cache, too", [w for w in again.document["warnings"] if "allowed" in w][:1],
          ["/etc/app/key.pem has a private key, which is allowed: a key for tests"])
    refused("cached, but not allowed any more", build("--file", f"{WORK}/files/key.pem:/etc/app/key.pem"), "/etc/app/key.pem", "a private key")
    refused("another file", holds("other.key", (WORK / "key.pem").read_bytes(), *key), "/etc/app/other.key", "a private key")
    check_error("without a reason", build("--allow-secret", "/etc/app/key.pem"), 2, "needs a reason", "PATH=REASON")


def libraries_and_certificates_of_debian_have_none():
    files = [p for p in LIBRARIES.rglob("*") if p.is_file() and not p.is_symlink() and ".so" in p.name]
    folder = WORK / "libraries"
    folder.mkdir()
    for path in files:
        # without its first byte it is data, of which no libraries are looked for
        (folder / str(path.relative_to(LIBRARIES)).replace("/", "_")).write_bytes(path.read_bytes()[1:])
    result = build("--file", f"{folder}:/lib-copies", "--file", "/etc/ssl/certs/ca-certificates.crt:/etc/certs.crt", "--compression", "none", "--no-cache")
    if result.status:
        note(result.said)
    check(f"{len(files)} libraries", result.status, 0)
    shutil.rmtree(folder)


def images_of_other_tools_are_searched_on_request():
    """Made by umoci, or ours with the secret allowed when it was built."""
    made = WORK / "umoci"
    subprocess.run(["tar", "-C", WORK, "--transform", "s,^,etc/app/,", "-cf", WORK / "layer.tar", "key.pem"], check=True)
    for words in (["init", "--layout", made], ["new", "--image", f"{made}:1"],
                  ["raw", "add-layer", "--image", f"{made}:1", WORK / "layer.tar"],
                  ["config", "--image", f"{made}:1", "--config.env", f"API={TOKEN}"]):
        subprocess.run(["umoci", *words], check=True, capture_output=True)
    for compression in ("zstd", "gzip", "none"):
        result = build("--file", f"{WORK}/key.pem:/etc/app/key.pem", "--allow-secret", "*=a test", "--env", f"API={TOKEN}",
                       "--compression", compression, output=WORK / compression)
        check(f"{compression}: there is an image", result.status, 0)
    for what in ("umoci", "zstd", "gzip", "none"):
        registry = ScriptedRegistry()
        push = [PROGRAM, "image", "push", f"{WORK}/{what}:1", f"{registry.host}/shop/svc:1", "--json"]
        found = Result(subprocess.run([*push, "--scan"], capture_output=True, text=True, check=False))
        check_error(what, found, 1, "/etc/app/key.pem has a private key", "env:API has a GitHub token")
        check(f"{what}: nothing was sent", registry.requests, [])
        allowed = Result(subprocess.run([*push, "--scan", "--allow-secret", "/etc/app/*=known", "--allow-secret", "env:API=known"],
                                        capture_output=True, text=True, check=False))
        check(f"{what}: allowed, it is pushed", (allowed.status, "1" in registry.manifests), (0, True))
        registry.stop()


def the_project_file_allows_with_a_reason():
    stage = shop.Shop()
    stage.make_repository()
    stage.pretend_cloud()
    stage.put("svc/key.pem", (WORK / "key.pem").read_text())
    stage.edit("dogshore.yml", "binary: out", "binary: out, files: {key.pem: /etc/key.pem}")
    result = stage.run_commit("a key in the image")
    check_error("a run", result, 1, "/etc/key.pem has a private key")
    check("a run: no image", stage.tags(), [])
    stage.put("svc/key.pem", (WORK / "key.pem").read_text())
    stage.edit("dogshore.yml", "binary: out",
               "binary: out, files: {key.pem: /etc/key.pem}, allow_secrets: {/etc/key.pem: everybody has it}")
    stage.run_commit("an allowed key")
    check("allowed: there is an image", len(stage.tags()), 1)


def what_aws_gave_the_build_of_a_run_is_a_secret_of_the_run():
    repository, aws = Repository(WORK / "repository"), Aws()
    (WORK / "repository/svc").mkdir(parents=True)
    repository.git("init", "-q", "-b", "main", folder=WORK / "repository")

    def run(command, image="", batch=""):
        (WORK / "repository/dogshore.yml").write_text(
            f"app: demo\nservices: {{svc: {{path: svc, {'build: {batch: true}, ' if batch else ''}image: {{binary: out{image}}}}}}}\n")
        (WORK / "repository/svc/buildspec.yml").write_text(
            "version: 0.2\nenv: {parameter-store: {URL: /app/url, KEY: /app/key}, secrets-manager: {PASSWORD: 'db:conn'}}\n"
            f"{batch}phases: {{build: {{commands: [{json.dumps(command)}]}}}}\nartifacts: {{files: [out]}}\n")
        repository.commit("x")
        return Result(subprocess.run([PROGRAM, "run", "--json"], capture_output=True, text=True, check=False, cwd=WORK / "repository",
                                     env=os.environ | aws.environment()))

    def images():
        return [m for f in STATE.glob("images/demo/svc/index.json") for m in json.loads(f.read_text())["manifests"] if "subject" not in m]

    aws.answers = {"GetParameters": (200, {"Parameters": [{"Name": "/app/url", "Value": "http://db.example.com", "Type": "String"},
                                                          {"Name": "/app/key", "Value": "trombone-of-the-west", "Type": "SecureString"}]}),
                   "GetSecretValue": (200, {"Name": "db", "SecretString": json.dumps({"conn": GIVEN})})}
    put = f"cp {shutil.which('true')} out; printf %s \"$PASSWORD\" >>out"
    result = run(put)
    check_error("a secret of Secrets Manager", result, 1, "a secret would be in the image", "/app/out has a secret of this run")
    check("it is not shown", GIVEN in result.text + result.said, False)
    check_error("the program that the store has", run(put, ", user: '1'"), 1, "/app/out has a secret of this run")
    check_error("a parameter that is encrypted", run(put.replace("PASSWORD", "KEY")), 1, "/app/out has a secret of this run")
    tasks = "batch: {build-list: [{identifier: one}]}\n"
    check_error("in a batch", run(put + "; true", batch=tasks), 1, "/app/out has a secret of this run")
    check("no image was made", images(), [])
    check_error("AWS does not say it again", (aws.answers.update(GetSecretValue=(400, {"__type": "AccessDeniedException", "message": "no"})),
                                              run(put, ", user: '2'"))[1], 3, "AccessDenied")
    aws.answers["GetSecretValue"] = (200, {"Name": "db", "SecretString": json.dumps({"conn": GIVEN})})
    taken = run(put.replace("PASSWORD", "URL"))
    check("one in clear is no secret", (taken.status, len(images()) > 0), (0, True)) or note(taken.said)
    aws.stop()


if not shutil.which("cc") or not shutil.which("openssl"):
    skip_all("there is no C compiler or no openssl")
run_tests(
    a_private_key_in_a_file_stops_the_build, a_key_of_ssh_stops_the_build, credentials_in_files_stop_the_build,
    a_secret_is_found_where_blocks_meet, settings_are_looked_at, a_secret_of_the_run_is_found_in_any_form_it_was_given,
    a_cached_layer_is_searched_for_secrets_that_are_new, a_layer_that_was_searched_is_not_searched_again,
    what_must_be_there_is_allowed_with_a_reason, libraries_and_certificates_of_debian_have_none,
    images_of_other_tools_are_searched_on_request, the_project_file_allows_with_a_reason,
    what_aws_gave_the_build_of_a_run_is_a_secret_of_the_run, ready=ready)
