# parallel: yes
"""dogshore has libcurl's archive in it; an update of the machine's libcurl must reach it all the same."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tap  # noqa: E402
from layouts import Layout  # noqa: E402
from registry import ScriptedRegistry  # noqa: E402
from tap import check, check_contains  # noqa: E402

PROGRAM = os.environ["DOGSHORE"]
WORK = Path(os.environ["TMPDIR"])
os.environ.update(DOGSHORE_STATE=str(WORK / "state"), DOCKER_CONFIG=str(WORK / "docker"), HOME=str(WORK), XDG_RUNTIME_DIR=str(WORK))


def libcurl():
    """The shared library that programs of this machine find."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    return Path(re.search(r"libcurl\.so\.4 \(libc6,x86-64\) => (.*)", known)[1]).resolve()


def pushed(layout, registry, *before, **environment):
    """A push's exit status, and the names of the libraries that were loaded for it."""
    done = subprocess.run([*before, PROGRAM, "image", "push", f"{layout.path}:1", f"{registry.host}/a:1"], capture_output=True, text=True, check=False,
                          env=os.environ | {"LD_DEBUG": "files"} | environment)
    return done.returncode, set(re.findall(r"calling init: .*/([^/]+)\.so", done.stderr)), done.stderr


def in_place_of(library, file):
    return ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(file), str(library)]


def as_it_was_built():
    status, libraries, _ = pushed(Layout(1000), ScriptedRegistry())
    check("a push succeeds", status, 0)
    check("of libcurl and what it needs, a request over plain HTTP loads what is used", libraries & UNUSED, set())


def build_id(library):
    notes = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True).stdout
    return bytes.fromhex(re.search(r"Build ID: ([0-9a-f]+)", notes)[1])


def after_an_update():
    """A correction may leave the library's size; its time says nothing where all files have one (SOURCE_DATE_EPOCH)."""
    update = WORK / "update.so"
    old = build_id(libcurl())
    shutil.copy2(libcurl(), update)
    update.write_bytes(update.read_bytes().replace(old, bytes([old[0] ^ 1]) + old[1:]))
    os.utime(update, ns=(libcurl().stat().st_atime_ns, libcurl().stat().st_mtime_ns))
    layout, registry = Layout(1000), ScriptedRegistry()
    status, libraries, _ = pushed(layout, registry, *in_place_of(libcurl(), update))
    check("a push succeeds after libcurl was updated", status, 0)
    check("it is the update that is used", "libcurl" in libraries)
    check("what was pushed is there", sorted(registry.blobs) != [])


def the_same_of_another_time():
    again = WORK / "again.so"
    shutil.copyfile(libcurl(), again)
    _, libraries, _ = pushed(Layout(1000), ScriptedRegistry(), *in_place_of(libcurl(), again))
    check("installed again it is the same", libraries & UNUSED, set())


def one_of_the_users_own():
    own = WORK / "own"
    own.mkdir()
    shutil.copyfile(libcurl(), own / "libcurl.so.4")
    status, _, said = pushed(Layout(1000), ScriptedRegistry(), LD_LIBRARY_PATH=str(own))
    check("a push succeeds with a libcurl of the user's own", status, 0)
    check("it is used", f"calling init: {own}/libcurl.so.4" in said)


def without_any():
    """As in a small image."""
    folder = libcurl().parent
    for name in ("upper", "work"):
        (WORK / name).mkdir()
    script = f'mount -t overlay none -o lowerdir={folder},upperdir={WORK}/upper,workdir={WORK}/work {folder} && rm -f {folder}/libcurl.so.4 && exec "$@"'
    without = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*without, "true"], capture_output=True, check=False).returncode != 0:
        tap.skip("a machine without libcurl", "file systems cannot be laid over others here")
        return
    layout, registry = Layout(1000), ScriptedRegistry()
    status, _, said = pushed(layout, registry, *without)
    if not check("a push succeeds on a machine without libcurl", status, 0):
        tap.note(said[-2000:])
    check("what was pushed is there without it", sorted(registry.blobs) != [])


def after_a_broken_update():
    broken = WORK / "broken.so"
    broken.write_text("not a library\n")
    status, _, said = pushed(Layout(1000), ScriptedRegistry(), *in_place_of(libcurl(), broken))
    check("a broken libcurl is not passed over", status, 3)
    check_contains("it is named", said, "error: load libcurl: ")
    check_contains("what to do", said, "apt-get install libcurl4")


UNUSED = {"libcurl", "libldap-2.5", "libgnutls", "librtmp", "libssh2", "libgssapi_krb5", "libpsl", "libnghttp2", "libidn2"}
if "libcurl" in pushed(Layout(1000), ScriptedRegistry())[1]:
    tap.skip_all("this build of dogshore has no archive of libcurl in it")
tap.run_tests(as_it_was_built, after_an_update, the_same_of_another_time, one_of_the_users_own, without_any, after_a_broken_update)
