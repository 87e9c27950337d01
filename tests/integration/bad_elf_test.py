# parallel: yes
"""ELF files that are cut off or lie: `image build` says what is wrong with which file, and never crashes or hangs."""
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from shop import check_error  # noqa: E402
from scene import PROGRAM, Result  # noqa: E402
from tap import check, note, run_tests, skip_all  # noqa: E402

WORK = Path(os.environ["TMPDIR"])
os.environ["DOGSHORE_STATE"] = str(WORK / "state")
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RUNPATH = 1, 5, 10, 29
GOOD = bytearray()


def build(content):
    path = WORK / "bad"
    path.write_bytes(content)
    path.chmod(0o755)
    shutil.rmtree(WORK / "out", ignore_errors=True)
    return Result(subprocess.run([PROGRAM, "image", "build", "--binary", path, "--output", f"{WORK}/out:1", "--json", "--no-cache"],
                                 capture_output=True, text=True, check=False, timeout=60))


def ready():
    (WORK / "main.c").write_text("#include <math.h>\n#include <stdio.h>\nint main(int n, char **v) { return printf(\"%s %f\", v[0], sqrt(n)); }\n")
    subprocess.run(["cc", "-Wl,-rpath,/opt/none", "-o", WORK / "main", WORK / "main.c", "-lm"], check=True)
    GOOD.extend((WORK / "main").read_bytes())
    check("the good one is built", build(GOOD).status, 0)


# Elf64_Ehdr and Elf64_Phdr, little endian: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html


def headers():
    offset, size, count = struct.unpack_from("<Q", GOOD, 32)[0], *struct.unpack_from("<HH", GOOD, 54)
    return [(offset + i * size, struct.unpack_from("<I", GOOD, offset + i * size)[0]) for i in range(count)]


def header(kind):
    return next(at for at, found in headers() if found == kind)


def entry(tag):
    """Where the value of a dynamic entry lies."""
    start, size = struct.unpack_from("<Q", GOOD, header(PT_DYNAMIC) + 8)[0], struct.unpack_from("<Q", GOOD, header(PT_DYNAMIC) + 32)[0]
    return next(at + 8 for at in range(start, start + size, 16) if struct.unpack_from("<q", GOOD, at)[0] == tag)


def patched(*changes):
    content = bytearray(GOOD)
    for form, at, value in changes:
        struct.pack_into(form, content, at, value)
    return bytes(content)


def bad(what, content, *pieces, status=2):
    check_error(what, build(content), status, *pieces)
    check(f"{what}: no image has the tag", (WORK / "out/index.json").exists(), False)


def told(what, content):
    """Any answer but a crash will do: what is damaged may not matter to the closure."""
    result = build(content)
    if not check(f"{what}: it ends in order", result.status in (0, 1, 2, 3) and (result.status == 0 or "next:" in result.said)):
        note(f"{result.status}: {result.said}")


def files_that_are_cut_off():
    for size in (0, 1, 3, 4, 15, 16, 63):
        bad(f"{size} bytes", bytes(GOOD[:size]), "bad")
    for size in (64, 100, header(PT_DYNAMIC), header(PT_DYNAMIC) + 20, struct.unpack_from("<Q", GOOD, header(PT_DYNAMIC) + 8)[0] + 8):
        bad(f"{size} bytes", bytes(GOOD[:size]), "bad")
    for size in range(128, len(GOOD), max(1, len(GOOD) // 40)):
        told(f"cut at {size}", bytes(GOOD[:size]))


def headers_that_point_nowhere():
    for value in (len(GOOD) + 1, 1 << 32, 1 << 62, (1 << 64) - 1, (1 << 64) - 56):
        bad(f"program headers at {value}", patched(("<Q", 32, value)), "bad")
    bad("65,535 program headers", patched(("<H", 56, 65535)), "bad")
    bad("program headers of one byte", patched(("<H", 54, 1)), "bad")
    for kind, name in ((PT_DYNAMIC, "the dynamic section"), (PT_INTERP, "the interpreter")):
        for value in (len(GOOD) + 1, 1 << 62, (1 << 64) - 8):
            bad(f"{name} at {value}", patched(("<Q", header(kind) + 8, value)), "bad")
        bad(f"{name} of {1 << 62} bytes", patched(("<Q", header(kind) + 32, 1 << 62)), "bad")
    told("two dynamic sections", patched(("<I", header(PT_NOTE), PT_DYNAMIC)))


def texts_that_lie_outside():
    for value in (1 << 20, 1 << 40, (1 << 64) - 1):
        bad(f"a library's name at {value}", patched(("<Q", entry(DT_NEEDED), value)), "bad")
        told(f"a search path at {value}", patched(("<Q", entry(DT_RUNPATH), value)))
        bad(f"texts at {value}", patched(("<Q", entry(DT_STRTAB), value)), "bad")
    bad("no texts", patched(("<Q", entry(DT_STRSZ), 0)), "bad")
    told("texts without an end", patched(("<Q", entry(DT_STRSZ), (1 << 64) - 1)))


def an_interpreter_that_is_none():
    at, size = (struct.unpack_from("<Q", GOOD, header(PT_INTERP) + skip)[0] for skip in (8, 32))
    bad("an interpreter that is not there", bytes(GOOD[:at]) + b"/no/such/loader.so".ljust(size, b"\0") + bytes(GOOD[at + size:]), "/no/such/loader.so", status=3)
    told("an interpreter without an end", bytes(GOOD[:at]) + b"/" * size + bytes(GOOD[at + size:]))
    told("an interpreter that is a folder", bytes(GOOD[:at]) + b"/usr".ljust(size, b"\0") + bytes(GOOD[at + size:]))
    told("an interpreter that never ends", bytes(GOOD[:at]) + b"/dev/zero".ljust(size, b"\0") + bytes(GOOD[at + size:]))


def names_that_are_no_names():
    name = GOOD.index(b"libm.so.6\0")
    for text in (b"/dev/zero", b"../x.so", b"\xff\xfe.so", b"a\nb.so", b"/"):
        told(f"a library called {text!r}", bytes(GOOD[:name]) + text.ljust(9, b"\0") + bytes(GOOD[name + 9:]))
    bad("a library that is not there", bytes(GOOD[:name]) + b"libq.so.6" + bytes(GOOD[name + 9:]), "libq.so.6", status=3)


def every_byte_of_the_headers():
    """Each byte of the headers, turned around: nothing crashes."""
    crashed = []
    for at in [*range(4, 64), *range(header(PT_DYNAMIC), header(PT_DYNAMIC) + 56), *range(entry(DT_STRTAB) - 8, entry(DT_STRTAB) + 8)]:
        content = bytearray(GOOD)
        content[at] ^= 0xff
        result = build(content)
        if result.status not in (0, 1, 2, 3):
            crashed.append((at, result.status, result.said[-200:]))
    check("no byte makes it crash", crashed, [])


if not shutil.which("cc") or os.uname().machine != "x86_64":
    skip_all("there is no C compiler, or this is no x86-64")
run_tests(
    files_that_are_cut_off, headers_that_point_nowhere, texts_that_lie_outside, an_interpreter_that_is_none,
    names_that_are_no_names, every_byte_of_the_headers, ready=ready)
