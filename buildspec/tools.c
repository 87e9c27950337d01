#include "buildspec/tools.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

/*
 * "**" and "/" is any number of folders, "*" and "?" stay within a name, everything else stands for
 * itself; find compares the whole path. \001 keeps a "**" from being taken for two "*".
 */
static const char hash_files[] =
	"#!/bin/sh\n"
	"[ $# -gt 0 ] || { echo 'usage: codebuild-hash-files GLOB...' >&2; exit 2; }\n"
	"regex=\n"
	"for glob do\n"
	"	case $glob in \"$PWD\"/*) glob=${glob#\"$PWD\"/} ;; esac\n"
	"	one=$(printf '%s\\n' \"${glob#./}\" | sed 's/[][\\.+(){}|^$]/\\\\&/g; "
	"s/?/[^\\/]/g\n"
	"		s/\\*\\*\\//\001/g; s/\\*\\*/\002/g; s/\\*/[^\\/]*/g; "
	"s/\001/(.*\\/)?/g; s/\002/.*/g')\n"
	"	regex=\"$regex${regex:+|}\\\\./$one\"\n"
	"done\n"
	"list=$(mktemp) || exit 1\n"
	"trap 'rm -f \"$list\"' EXIT\n"
	"LC_ALL=C find . -regextype posix-extended -type f -regex \"($regex)\" -print0 |\n"
	"	LC_ALL=C sort -z | xargs -0r sha256sum >\"$list\"\n"
	"[ -s \"$list\" ] || { echo \"codebuild-hash-files: no file matches: $*\" >&2; exit 1; }\n"
	"sha256sum <\"$list\" | cut -c1-64\n";

static const char nothing[] = "#!/bin/sh\nexit 0\n";

/* %d: the pipe, the terminal. dash redirects to one digit only, so /proc names them. The shell's own
 * number is what codebuild-resume ends. */
static const char breakpoint[] =
	"#!/bin/sh\n"
	"[ -z \"$CODEBUILD_BREAKPOINT\" ] || exit 0\n"
	"notify=/proc/$$/fd/%d terminal=/proc/$$/fd/%d\n"
	"printf b >$notify\n"
	"printf '\\nThe build stops here. codebuild-resume, or exit, goes on.\\n' "
	">$terminal\n"
	"CODEBUILD_BREAKPOINT=${0%%/*}/resume setsid -cw sh -c '\n"
	"	echo $$ >\"$CODEBUILD_BREAKPOINT\" && exec sh -i' <$terminal >$terminal 2>&1\n"
	"printf e >$notify\n"
	"exit 0\n";

static const char resume[] =
	"#!/bin/sh\n"
	"[ -z \"$CODEBUILD_BREAKPOINT\" ] || kill -HUP \"$(cat \"$CODEBUILD_BREAKPOINT\")\"\n";

static bool write_tool(const char *folder, const char *name, const char *script, struct error *err)
{
	scoped(text_free) char *path = path_join(folder, name);

	return file_write(path, str_of(script), 0755, false, err);
}

bool tools_write(const char *control, const int break_fds[2], struct error *err)
{
	scoped(text_free) char *folder = path_join(control, TOOLS_FOLDER);
	scoped(text_free) char *stop =
		break_fds[0] ? memory_format(breakpoint, break_fds[1], break_fds[0])
			     : memory_copy_text(nothing);

	return folder_make(folder, 0755, err) &&
	       write_tool(folder, "codebuild-hash-files", hash_files, err) &&
	       write_tool(folder, "codebuild-breakpoint", stop, err) &&
	       write_tool(folder, "codebuild-resume", break_fds[0] ? resume : nothing, err);
}
