"""How many bytes a command gave to SHA-256 and to a compressor: counted below it, by an auditor of the dynamic linker."""
import os
import shutil
import struct
import subprocess
from pathlib import Path

WORK = Path(os.environ["TMPDIR"])
COUNTER = WORK / "byte_counter.so"


def missing():
    """None, or why nothing can be counted here."""
    if not shutil.which("cc"):
        return "there is no C compiler"
    if os.uname().machine != "x86_64" or Path(os.environ["DOGSHORE_BUILD"]).name in ("asan", "tsan"):
        return "the sanitizers have a linker's auditor of their own"
    return None


def ready():
    helper = Path(__file__).resolve().parent.parent / "helpers/byte_counter.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", COUNTER, helper], check=True)


def counted(*command, **more):
    """What subprocess.run() gives, bytes hashed, bytes compressed."""
    count = WORK / "count"
    count.unlink(missing_ok=True)
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          env=os.environ | {"LD_AUDIT": str(COUNTER), "BYTE_COUNT": str(count)}, **more)
    return done, *struct.unpack("QQ", count.read_bytes())
