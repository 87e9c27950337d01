#!/usr/bin/env python3
"""Each way in which an image can lack what its program needs, with programs that a compiler made: what the build says,
and what the program does inside the image."""
# timeout: 300
# parallel: yes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["DOGSHORE_SOURCE"])
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "tests/integration")]
import shop  # noqa: E402
import tap  # noqa: E402
from image_programs import WORK, build, can_run, compile_c, crun, image_config, paths, refusal, run  # noqa: E402


def inside(what, name, expected, *args, **more):
    why_not = can_run("crun")
    if why_not:
        return tap.skip(what, why_not)
    result = crun(name, *args, **more)
    return tap.check(what, result.stdout + result.stderr, expected)


def library(folder, name, source, *flags):
    (WORK / folder).mkdir(parents=True, exist_ok=True)
    return compile_c(f"{folder}/{name}", source, "-shared", "-fPIC", f"-Wl,-soname,{name}", *flags)


NOTE = r"""
#define NOTE(priority, name) asm(".pushsection .note.dlopen,\"a\",%note\n.align 4\n.long 4,1f-0f,0x407c0c0a\n.asciz \"FDO\"\n" \
	"0: .asciz \"[{\\\"feature\\\":\\\"f\\\",\\\"description\\\":\\\"greeting\\\",\\\"priority\\\":\\\"" priority "\\\",\\\"soname\\\":[\\\"" name "\\\"]}]\"\n1:\n.align 4\n.popsection");
"""
OPENER = r"""
#include <dlfcn.h>
#include <stdio.h>
int main(void)
{
	void *library = dlopen("libgreet.so.1", RTLD_NOW);
	puts(library ? ((const char *(*)(void))dlsym(library, "greet"))() : "no library");
	return 0;
}
"""


def dlopen_plug_ins():
    library("plug", "libgreet.so.1", 'const char *greet(void) { return "hello"; }')
    plain = compile_c("plug/plain", OPENER, "-Wl,-rpath,$ORIGIN")
    out = build(plain, "dlopen-plain")
    tap.check("a program that calls dlopen is warned of, with a hint", [w for w in out["warnings"] if "plain opens libraries by name" in w and "libgreet.so.1" in w] != [])
    inside("its library is not there", "dlopen-plain", "no library\n")
    fixed = compile_c("plug/fixed", OPENER, "-no-pie")  # exports nothing: GNU ld's hash table is empty
    tap.check("so is one with fixed addresses", any("fixed opens libraries by name" in w for w in build(fixed, "dlopen-fixed")["warnings"]))
    build(plain, "dlopen-file", "--file", f"{WORK}/plug/libgreet.so.1:/app/")
    inside("unless --file names it", "dlopen-file", "hello\n")
    noted = compile_c("plug/noted", NOTE + 'NOTE("required", "libgreet.so.1")' + OPENER, "-Wl,-rpath,$ORIGIN")
    out = build(noted, "dlopen-noted")
    tap.check("what a dlopen note requires comes along", paths(out).get("/app/libgreet.so.1"), "noted opens it at run time for greeting (its dlopen note)")
    tap.check("and nobody is warned", [w for w in out["warnings"] if "dlopen" in w], [])
    inside("and is opened in the image", "dlopen-noted", "hello\n")
    gone = compile_c("plug/gone", NOTE + 'NOTE("required", "libgone.so.7")' + OPENER)
    status, error = refusal(gone)
    tap.check("required and not here: exit 3", (status, error["kind"]), (3, "not_found"))
    tap.check_contains("it names who opens what", error["message"], "gone opens libgone.so.7 at run time")
    suggested = compile_c("plug/suggested", NOTE + 'NOTE("suggested", "libgreet.so.1")' + OPENER, "-Wl,-rpath,$ORIGIN")
    out = build(suggested, "dlopen-suggested")
    tap.check("suggested: a warning", ("/app/libgreet.so.1" in paths(out), any("can open libgreet.so.1 for greeting" in w for w in out["warnings"])), (False, True))
    tap.check("or by request", "/app/libgreet.so.1" in paths(build(suggested, "dlopen-requested", "--with", "suggested")))


def pthread_cancel_and_unwinding():
    program = compile_c("cancel", r"""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *wait_for_ever(void *unused) { for (;;) pause(); return unused; }
int main(void)
{
	pthread_t thread; void *result;
	pthread_create(&thread, NULL, wait_for_ever, NULL);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	puts(result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
	return 0;
}""")
    out = build(program, "cancel")
    reasons = {os.path.basename(path): why for path, why in paths(out).items()}
    tap.check("libgcc_s comes along with libc", reasons.get("libgcc_s.so.1"), "libc loads it for pthread_cancel and backtraces")
    inside("a thread is cancelled", "cancel", "cancelled\n")


def name_services():
    program = compile_c("names", r"""
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
int main(void) { struct passwd *user = getpwuid(getuid()); puts(user ? user->pw_name : "nobody knows"); return 0; }""")
    build(program, "nss")
    inside("the user has a name", "nss", "nonroot\n")
    (WORK / "nsswitch.conf").write_text("passwd: compat\nhosts: files nowhere dns\n")
    out = build(program, "nss-compat", "--file", f"{WORK}/nsswitch.conf:/etc/nsswitch.conf")
    found = [why for path, why in paths(out).items() if path.endswith("libnss_compat.so.2")]
    tap.check("a source of the user's nsswitch.conf comes along", found, ["nsswitch.conf looks up passwd with it"])
    tap.check("one that is not here is warned of", any("libnss_nowhere.so.2 is not here" in w for w in out["warnings"]))
    inside("and it is asked", "nss-compat", "nonroot\n")


def static_glibc():
    names = "#include <netdb.h>\nint main(void) { return gethostbyname(\"localhost\") == 0; }\n"
    converts = "#include <iconv.h>\nint main(void) { return iconv_open(\"UTF-16\", \"UTF-8\") == 0; }\n"
    for name, source, what in (("static-names", names, "looks up hosts, users or groups"), ("static-iconv", converts, "converts character sets (iconv)")):
        try:
            program = compile_c(name, source, "-static", "-w")
        except RuntimeError:
            tap.skip(f"{name}: refused", "static libraries are not installed")
            continue
        status, error = refusal(program)
        tap.check(f"{name}: refused with exit 2", (status, error["kind"]), (2, "invalid"))
        tap.check_contains(f"{name}: why", error["message"], f"is linked statically with glibc and {what}")
        out = build(program, name, "--allow", "static-glibc")
        tap.check(f"{name}: built with a warning when allowed", [what in w for w in out["warnings"]], [True])
    harmless = compile_c("static-plain", "int main(void) { return 0; }\n", "-static")
    tap.check("a static program that asks for nothing is fine", build(harmless, "static-plain")["warnings"], [])


def character_sets():
    program = compile_c("convert", r"""
#include <iconv.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char in[] = "\xc3\xa4", out[16] = {0}, *from = in, *to = out;
		size_t left = 2, room = sizeof(out);
		iconv_t converter = iconv_open(argv[i], "UTF-8");
		if (converter == (iconv_t)-1 || iconv(converter, &from, &left, &to, &room) == (size_t)-1)
			printf("%s no\n", argv[i]);
		else
			printf("%s %zu\n", argv[i], sizeof(out) - room);
	}
	return 0;
}""")
    out = build(program, "iconv-bare")
    tap.check("who calls iconv_open is told of --with gconv", any("convert may convert character sets" in w and "--with gconv" in w for w in out["warnings"]))
    # Bytes of U+00E4: two and its byte order mark, one, one by another name, one.
    expected = {"UTF-16": 4, "ISO-8859-1": 1, "LATIN1": 1, "CP1252": 1}
    inside("without, only libc's own are there", "iconv-bare", "".join(f"{name} no\n" for name in expected) + "UCS-2 2\n", *expected, "UCS-2")
    out = build(program, "iconv-set", "--with", "gconv")
    tap.check("with, nobody is warned", [w for w in out["warnings"] if "character sets" in w], [])
    inside("and the common ones are there", "iconv-set", "".join(f"{name} {size}\n" for name, size in expected.items()) + "KOI8-R no\n", *expected, "KOI8-R")
    build(program, "iconv-all", "--with", "gconv-all")
    inside("--with gconv-all: all are", "iconv-all", "ISO-8859-2 1\nISO-8859-4 1\nEUC-JP 3\nUTF-16 4\n", "ISO-8859-2", "ISO-8859-4", "EUC-JP", "UTF-16")


def locales():
    program = compile_c("locale", r"""
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
int main(void) { const char *set = setlocale(LC_ALL, ""); printf("%s %s\n", set ? set : "refused", nl_langinfo(CODESET)); return 0; }""")
    out = build(program, "locale-bare")
    tap.check("who calls setlocale is told of --with locale", any("locale may take a locale from the environment" in w for w in out["warnings"]))
    inside("without, C.UTF-8 is not there", "locale-bare", "refused ANSI_X3.4-1968\n", env=["LC_ALL=C.UTF-8"])
    build(program, "locale-set", "--with", "locale")
    inside("with, it is", "locale-set", "C.UTF-8 UTF-8\n", env=["LC_ALL=C.UTF-8"])
    out = build(program, "locale-env", "--env", "LANG=C.UTF-8")
    tap.check("a locale that the image's environment names comes along", paths(out).get("/usr/lib/locale/C.utf8/LC_CTYPE"), "LANG=C.UTF-8 asks for it")
    inside("and is set", "locale-env", "C.UTF-8 UTF-8\n")
    out = build(program, "locale-gone", "--env", "LANG=xx_YY.UTF-8")
    tap.check("one that is not here is warned of", any("LANG=xx_YY.UTF-8: the locale has no folder" in w for w in out["warnings"]))


def time_zones():
    if not os.path.exists("/usr/share/zoneinfo/Europe/Berlin"):
        return tap.skip("time zones", "tzdata is not installed")
    program = compile_c("zone", r"""
#include <stdio.h>
#include <time.h>
int main(void)
{
	char text[64]; time_t summer = 1720000000; /* 2024-07-03T09:46:40Z */
	strftime(text, sizeof(text), "%H:%M %Z", localtime(&summer)); puts(text); return 0;
}""")
    build(program, "zone-bare")
    inside("UTC needs no files", "zone-bare", "09:46 UTC\n")
    out = build(program, "zone-env", "--env", "TZ=Europe/Berlin")
    tap.check("the zone of the image's environment comes along", paths(out).get("/usr/share/zoneinfo/Europe/Berlin"), "TZ=Europe/Berlin asks for it")
    inside("and is used", "zone-env", "11:46 CEST\n")
    out = build(program, "zone-all", "--with", "tzdata")
    tap.check("all zones once, and nothing of this machine", ("/usr/share/zoneinfo/Asia/Tokyo" in paths(out), [p for p in paths(out) if "/posix" in p or "/right/" in p or p.endswith("/localtime")]), (True, []))
    inside("any of them can be asked for", "zone-all", "18:46 JST\n", env=["TZ=Asia/Tokyo"])
    out = build(program, "zone-gone", "--env", "TZ=Nowhere/Town")
    return tap.check("one that is not here is warned of", any("TZ=Nowhere/Town" in w for w in out["warnings"]))


def certificates_and_openssl():
    openssl = shutil.which("openssl")
    if not openssl or not os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
        return tap.skip("certificates", "openssl or ca-certificates is not installed")
    out = build(os.path.realpath(openssl), "tls")
    tap.check("libssl brings the certificate authorities", paths(out).get("/etc/ssl/certs/ca-certificates.crt"), "libssl.so.3 verifies peers with it")
    tap.check("and the variable that says where they are", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in image_config("tls")["Env"])
    if can_run("crun") is None:
        result = crun("tls", "list", "-providers", "-provider", "legacy")
        tap.check("OpenSSL has its own provider only", (result.returncode != 0, "legacy" in result.stdout), (True, False))
        build(os.path.realpath(openssl), "tls-legacy", "--with", "openssl-modules")
        result = crun("tls-legacy", "list", "-providers", "-provider", "legacy")
        tap.check("--with openssl-modules: the legacy one too", (result.returncode, "OpenSSL Legacy Provider" in result.stdout), (0, True))
    return None


def non_root_user():
    program = compile_c("who", r"""
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
	struct passwd *user = getpwuid(getuid()), *nobody = getpwnam("nobody"); struct group *group = getgrgid(getgid());
	FILE *file = tmpfile();
	printf("%s %s %s %d %d\n", user ? user->pw_name : "?", user ? user->pw_dir : "?", group ? group->gr_name : "?", nobody ? (int)nobody->pw_uid : -1, file != NULL);
	return 0;
}""")
    out = build(program, "who")
    tap.check("the user is a number", image_config("who")["User"], "65532")
    tap.check("/tmp is there, and why", paths(out)["/tmp"], "programs put temporary files there")
    inside("it has a name, a group, a home and a folder for temporary files", "who", "nonroot /tmp nonroot 65534 1\n")


def the_loader_of_musl_agrees():
    if not shutil.which("musl-gcc"):
        return tap.skip("musl's loader agrees", "musl-gcc is not installed")
    (WORK / "musl.c").write_text('#include <stdio.h>\nint deep(void); int main(void) { printf("musl %d\\n", deep()); return 0; }\n')
    (WORK / "deep.c").write_text("int deep(void) { return 7; }\n")
    (WORK / "musl").mkdir()
    run("musl-gcc", "-shared", "-fPIC", "-Wl,-soname,libdeep.so", "-o", WORK / "musl" / "libdeep.so", WORK / "deep.c")
    run("musl-gcc", "-o", WORK / "musl" / "user", WORK / "musl.c", WORK / "musl" / "libdeep.so", "-Wl,-rpath,$ORIGIN")
    out = build(WORK / "musl" / "user", "musl")
    tap.check("musl's loader agrees", out["loader"], "agrees")
    return inside("and the program runs with its library", "musl", "musl 7\n")


def what_the_runtime_mounts_is_not_in_the_image():
    out = build(WORK / "cancel", "mounts")
    theirs = ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/proc", "/dev", "/sys")
    tap.check("no resolv.conf, hosts, /proc, /dev", [path for path in paths(out) if path in theirs or path.startswith(("/proc/", "/dev/", "/sys/"))], [])
    tap.check("but /tmp, passwd, group", {"/tmp", "/etc/passwd", "/etc/group"} <= set(paths(out)))


def wrong_interpreter():
    program = compile_c("interp", "int main(void) { return 0; }\n", "-Wl,--dynamic-linker=/lib64/ld-nowhere.so.9")
    status, error = refusal(program)
    tap.check("a loader that is not here: exit 3", (status, error["kind"]), (3, "not_found"))
    tap.check_contains("it is named", error["message"], 'the loader "/lib64/ld-nowhere.so.9", which interp asks for, is not here')
    out = build(WORK / "cancel", "interp")
    interpreter = next(line.split("interpreter: ")[1].rstrip("]") for line in run("readelf", "-l", WORK / "cancel").stdout.splitlines() if "interpreter: " in line)
    links = {f["path"]: f.get("target") for f in out["files"]}
    parent = os.path.dirname(interpreter)
    tap.check("the loader is where the program looks for it, links included", links.get(parent) is not None or interpreter in links)


def versions_that_a_library_lacks():
    script = WORK / "version.map"
    script.write_text("V_1 { global: one; };\nV_2 { global: two; } V_1;\n")
    both = "int one(void) { return 1; }\nint two(void) { return 2; }\n"
    library("versions", "libv.so.1", both, f"-Wl,--version-script={script}")
    program = compile_c("versions/user", "int two(void); int main(void) { return two() != 2; }\n", f"{WORK}/versions/libv.so.1", "-Wl,-rpath,$ORIGIN")
    tap.check("a library with the version needed is fine", build(program, "versions")["loader"], "agrees")
    script.write_text("V_1 { global: one; two; };\n")
    library("versions", "libv.so.1", both, f"-Wl,--version-script={script}")
    status, error = refusal(program)
    tap.check("one without it is refused: exit 2", (status, error["kind"]), (2, "invalid"))
    tap.check_contains("version, user and provider are named", error["message"], f'user needs the version V_2 of libv.so.1, and "{WORK}/versions/libv.so.1" does not define it: its newest is V_1')


def libraries_for_newer_processors():
    if os.uname().machine != "x86_64":
        return tap.skip("glibc-hwcaps", "the levels are x86-64's")
    library("caps", "libcaps.so", 'const char *level(void) { return "any"; }')
    library("caps/glibc-hwcaps/x86-64-v2", "libcaps.so", 'const char *level(void) { return "v2"; }')
    program = compile_c("caps/user", '#include <stdio.h>\nconst char *level(void); int main(void) { puts(level()); return 0; }\n', f"{WORK}/caps/libcaps.so", "-Wl,-rpath,$ORIGIN")
    out = build(program, "caps")
    tap.check("the library for any processor is in, the other is not", ("/app/libcaps.so" in paths(out), [p for p in paths(out) if "hwcaps" in p]), (True, []))
    inside("and is used", "caps", "any\n")
    out = build(program, "caps-v2", "--hwcaps", "x86-64-v2")
    tap.check("--hwcaps adds the other", paths(out).get("/app/glibc-hwcaps/x86-64-v2/libcaps.so"), "it replaces libcaps.so on processors of level x86-64-v2")
    out = build(program, "caps-typo", "--hwcaps", "x86_64-v2")
    tap.check("a level that nothing is made for is told of", [w for w in out["warnings"] if "--hwcaps x86_64-v2: no library" in w] != [])
    status, error = refusal(program, "--hwcaps", "../x86-64-v2")
    tap.check("a level is no path", (status, error["message"]), (2, '--hwcaps "../x86-64-v2" is no level of processors'))
    flags = Path("/proc/cpuinfo").read_text()
    if "sse4_2" in flags and "popcnt" in flags and "ssse3" in flags:
        inside("and a processor of that level takes it", "caps-v2", "v2\n")
    (WORK / "caps" / "libcaps.so").unlink()
    status, error = refusal(program)
    tap.check("only for newer processors is not enough: exit 3", status, 3)
    return tap.check_contains("it says so", error["message"], "(for newer processors only)")


def no_default_folders():
    library("/".join(["nodef", "lib"]), "libnodef.so", "int nodef(void) { return 0; }\n")
    source = "int nodef(void); int main(void) { return nodef(); }\n"
    program = compile_c("nodef/user", source, f"{WORK}/nodef/lib/libnodef.so", "-Wl,-rpath,$ORIGIN/lib", "-Wl,-z,nodefaultlib")
    status, error = refusal(program)
    tap.check("DF_1_NODEFLIB: libc in a default folder does not count: exit 3", (status, error["kind"]), (3, "not_found"))
    tap.check_contains("the advice names the flag", error["next"], "-z nodefaultlib")


def lib_and_platform_in_paths():
    lib = subprocess.run(["/lib64/ld-linux-x86-64.so.2", "--list-diagnostics"], capture_output=True, text=True, check=False).stdout if os.path.exists("/lib64/ld-linux-x86-64.so.2") else ""
    name = next((line.split('"')[1] for line in lib.splitlines() if line.startswith("dl_dst_lib=")), None)
    if not name:
        return tap.skip("$LIB is what the loader says", "this loader does not tell its $LIB")
    library(f"tokens/{name}", "liblib.so", "int lib(void) { return 0; }\n")
    library("tokens/x86_64", "libplatform.so", "int platform(void) { return 0; }\n")
    program = compile_c("tokens/user", "int lib(void); int platform(void); int main(void) { return lib() + platform(); }\n",
                        f"{WORK}/tokens/{name}/liblib.so", f"{WORK}/tokens/x86_64/libplatform.so", "-Wl,-rpath,$ORIGIN/$LIB:$ORIGIN/$PLATFORM")
    out = build(program, "tokens")
    tap.check("$LIB is what the loader says", f"/app/{name}/liblib.so" in paths(out))
    tap.check("$PLATFORM is the oldest processor, with a warning", ("/app/x86_64/libplatform.so" in paths(out), any("through $PLATFORM" in w for w in out["warnings"])), (True, True))
    return None


def programs_of_32_bits():
    libc = Path("/usr/lib32/libc.so.6")
    if not libc.exists() or not shutil.which("ld"):
        return tap.skip("a program of 32 bits on a machine of 64", "libc6-i386 is not installed")
    source = WORK / "narrow.c"
    source.write_text('int puts(const char *); void exit(int); void _start(void) { puts("32 bits"); exit(0); }\n')
    run("cc", "-m32", "-fno-pic", "-fno-pie", "-ffreestanding", "-fno-stack-protector", "-c", "-o", WORK / "narrow.o", source)
    run("ld", "-m", "elf_i386", "-dynamic-linker", "/lib/ld-linux.so.2", "-o", WORK / "narrow", WORK / "narrow.o", libc)
    out = build(WORK / "narrow", "narrow", "--platform", "linux/386")
    tap.check("its libraries are those of 32 bits", [p for p in paths(out) if p.endswith("libc.so.6")], ["/usr/lib32/libc.so.6"])
    tap.check("and the loader agrees", out["loader"], "agrees")
    inside("it runs", "narrow", "32 bits\n")
    status, error = refusal(WORK / "narrow")
    tap.check("it is no program for linux/amd64: exit 2", status, 2)
    return tap.check_contains("the other platform is named", error["next"], "--platform linux/386")


def the_loader_agrees_or_the_build_fails():
    out = build(WORK / "cancel", "loader", "--no-cache")
    tap.check("the image's own loader agrees", out["loader"], "agrees")
    build(WORK / "cancel", "loader")
    tap.check("what it said is remembered", build(WORK / "cancel", "loader")["loader"], "unchanged")
    unasked = compile_c("unasked", "int main(void) { return 0; }\n", "-Wl,-rpath,/opt/unasked")
    without = run(os.environ["DOGSHORE"], "image", "build", "--binary", unasked, "--output", WORK / "images:unasked", "--json", env={**os.environ, "PATH": str(WORK)})
    tap.check("without bubblewrap it is not asked, and a note says so", (json.loads(without.stdout)["loader"], "note: the image's own loader" in without.stderr), ("skipped", True))
    tap.check("which is not remembered as its word", build(unasked, "unasked")["loader"], "agrees")
    library("real", "libhide.so", "int hide(void) { return 0; }\n")
    other = library("fake", "libhide.so", "int hide(void) { return 1; }\n")
    program = compile_c("real/user", "int hide(void); int main(void) { return hide(); }\n", f"{WORK}/real/libhide.so", "-Wl,-rpath,/opt/first:$ORIGIN")
    tap.check("an empty folder of the rpath hides nothing", build(program, "hide")["loader"], "agrees")
    status, error = refusal(program, "--file", f"{other}:/opt/first/libhide.so")
    tap.check("another library in it does: exit 3", (status, error["kind"]), (3, "conflict"))
    tap.check_contains("the difference is named", error["message"], "libhide.so is loaded from /opt/first/libhide.so")
    tap.check("and nothing is tagged", (WORK / "refused" / "index.json").exists(), False)


def the_image_tells_why_a_file_is_in_it():
    library("why", "libdeep.so", "int deep(void) { return 0; }\n")
    library("why", "libmiddle.so", "int deep(void); int middle(void) { return deep(); }\n", f"{WORK}/why/libdeep.so", "-Wl,-rpath,$ORIGIN")
    program = compile_c("why/user", "int middle(void); int main(void) { return middle(); }\n", f"{WORK}/why/libmiddle.so", "-Wl,-rpath,$ORIGIN", "-Wl,-rpath-link,$ORIGIN")
    build(program, "why")
    for path in (WORK / "why").iterdir():
        path.unlink()  # the image alone answers

    def why(path, *more):
        return run(os.environ["DOGSHORE"], "image", "inspect", f"{WORK}/images:why", "--why", path, *more, check=False)

    expected = [("/app/libdeep.so", "libmiddle.so needs it"), ("/app/libmiddle.so", "user needs it"), ("/app/user", "it is the program")]
    tap.check("the way from a library to the program", [(s["path"], s["why"]) for s in json.loads(why("/app/libdeep.so", "--json").stdout)["steps"]], expected)
    tap.check("for people too, and by its name", why("libdeep.so").stdout, "/app/libdeep.so\n  libmiddle.so needs it\n  layer: libraries\n/app/libmiddle.so\n  user needs it\n/app/user\n  it is the program\n")
    tap.check("a generated file has its reason", why("/etc/nsswitch.conf").stdout.splitlines()[1], "  glibc learns there to look up names in files and by DNS only")
    missing = why("libdeep.so.1")
    tap.check("what is not there: exit 3", missing.returncode, 3)
    tap.check_contains("and what is near", missing.stderr, "is it libdeep.so?")
    if shutil.which("skopeo"):
        run("skopeo", "copy", "--insecure-policy", f"oci:{WORK}/images:why", f"oci:{WORK}/copied:why")
        copied = run(os.environ["DOGSHORE"], "image", "inspect", f"{WORK}/copied:why", "--why", "libdeep.so", check=False)
        tap.check_contains("a copy that lost the list says so", copied.stderr, "has no list of reasons with it")


def the_project_file_asks_for_it():
    stage = shop.Shop()
    stage.make_repository()
    stage.pretend_cloud()
    source = '#include <netdb.h>\nint main(void) { return gethostbyname("localhost") == 0; }\n'
    stage.put("svc/svc.c", source)
    refused = stage.run_commit("static, and looks up hosts")
    tap.check_contains("a run refuses it too", refused.text + refused.said, "is linked statically with glibc and looks up hosts")
    stage.put("svc/svc.c", source)
    stage.edit("dogshore.yml", "binary: out", "binary: out, allow: static-glibc, with: [tzdata]")
    stage.run_commit("allowed, and with time zones")
    layout = stage.layout()
    tag = json.loads((layout / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    told = run(os.environ["DOGSHORE"], "image", "inspect", f"{layout}:{tag}", "--why", "/usr/share/zoneinfo/Asia/Tokyo", check=False)
    tap.check_contains("with and allow of dogshore.yml reach the image", told.stdout + told.stderr, "time zones; --with tzdata")


def a_normal_user_asks_the_loader_too():
    if os.geteuid() != 0:
        return tap.skip("the loader is asked without root", "all of this runs without root")
    home = WORK / "user"
    home.mkdir()
    os.chmod(WORK, 0o755)
    os.chown(home, 65534, 65534)
    program = shutil.copy(os.environ["DOGSHORE"], home)
    shutil.copy(WORK / "cancel", home)
    result = run(program, "image", "build", "--binary", home / "cancel", "--output", home / "out:1", "--json", user=65534, group=65534,
                 extra_groups=[], env={**os.environ, "DOGSHORE_STATE": str(home / "state")}, cwd=home)
    if '"skipped"' in result.stdout:
        return tap.check_contains("where normal users have no sandbox, a note says so", result.stderr, "note: the image's own loader did not list its libraries")
    return tap.check_contains("the loader is asked without root", result.stdout, '"loader":"agrees"')


if not shutil.which("cc"):
    tap.skip_all("there is no C compiler")
tap.run_tests(dlopen_plug_ins, pthread_cancel_and_unwinding, name_services, static_glibc, character_sets, locales, time_zones,
              certificates_and_openssl, non_root_user, the_loader_of_musl_agrees, what_the_runtime_mounts_is_not_in_the_image, wrong_interpreter, versions_that_a_library_lacks,
              libraries_for_newer_processors, no_default_folders, lib_and_platform_in_paths, programs_of_32_bits,
              the_loader_agrees_or_the_build_fails, the_image_tells_why_a_file_is_in_it, the_project_file_asks_for_it,
              a_normal_user_asks_the_loader_too)
