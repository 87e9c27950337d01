#include "buildspec/tools.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

/*
 * Makes $regex of the words: "**" and "/" is any number of folders, "*" and "?" stay within a name,
 * everything else stands for itself; find compares the whole path. \001 keeps a "**" from being taken for two "*".
 */
#define MAKE_REGEX                                                                                 \
	"regex=\n"                                                                                 \
	"for glob do\n"                                                                            \
	"	case $glob in \"$PWD\"/*) glob=${glob#\"$PWD\"/} ;; esac\n"                              \
	"	one=$(printf '%s\\n' \"${glob#./}\" | sed 's/[][\\.+(){}|^$]/\\\\&/g; "                  \
	"s/?/[^\\/]/g\n"                                                                           \
	"		s/\\*\\*\\//\001/g; s/\\*\\*/\002/g; s/\\*/[^\\/]*/g; "                                 \
	"s/\001/(.*\\/)?/g; s/\002/.*/g')\n"                                                       \
	"	regex=\"$regex${regex:+|}\\\\./$one\"\n"                                                 \
	"done\n"

static const char hash_files[] =
	"#!/bin/sh\n"
	"[ $# -gt 0 ] || { echo 'usage: codebuild-hash-files GLOB...' >&2; exit 2; }\n" MAKE_REGEX
	"list=$(mktemp) || exit 1\n"
	"trap 'rm -f \"$list\"' EXIT\n"
	"LC_ALL=C find . -regextype posix-extended -type f -regex \"($regex)\" -print0 |\n"
	"	LC_ALL=C sort -z | xargs -0r sha256sum >\"$list\"\n"
	"[ -s \"$list\" ] || { echo \"codebuild-hash-files: no file matches: $*\" >&2; exit 1; }\n"
	"sha256sum <\"$list\" | cut -c1-64\n";

static const char glob_search[] =
	"#!/bin/sh\n"
	"[ $# -gt 0 ] || { echo 'usage: codebuild-glob-search GLOB...' >&2; exit 2; }\n" MAKE_REGEX
	"LC_ALL=C find . -regextype posix-extended -type f -regex \"($regex)\" |\n"
	"	LC_ALL=C sort | sed 's/^\\.\\///'\n";

/*
 * Shards are counted by DOGSHORE_SHARD, "2/7"; without it there is one. Files are dealt out in the order
 * of their names, or by a hash of the name, so that one more file moves no other.
 */
static const char tests_run[] =
	"#!/bin/sh\n"
	"usage() {\n"
	"	echo 'usage: codebuild-tests-run --test-command COMMAND --files-search COMMAND' "
	">&2\n"
	"	echo '       [--sharding-strategy equal-distribution|stability]' >&2\n"
	"	exit 2\n"
	"}\n"
	"fail() { echo \"codebuild-tests-run: $1\" >&2; exit 1; }\n"
	"command= search= strategy=equal-distribution\n"
	"while [ $# -gt 0 ]; do\n"
	"	case $1 in\n"
	"	--*=*) name=${1%%=*} value=${1#*=}; shift ;;\n"
	"	*) [ $# -gt 1 ] || usage; name=$1 value=$2; shift 2 ;;\n"
	"	esac\n"
	"	case $name in\n"
	"	--test-command) command=$value ;;\n"
	"	--files-search) search=$value ;;\n"
	"	--sharding-strategy) strategy=$value ;;\n"
	"	*) usage ;;\n"
	"	esac\n"
	"done\n"
	"[ -n \"$command\" ] && [ -n \"$search\" ] || usage\n"
	"shard=${DOGSHORE_SHARD:-1/1}\n"
	"found=$(sh -c \"$search\") || fail 'the search for files failed'\n"
	"found=$(printf '%s\\n' \"$found\" | sed '/^$/d' | LC_ALL=C sort -u)\n"
	"[ -n \"$found\" ] || fail 'the search found no files'\n"
	"case $strategy in\n"
	"equal-distribution) files=$(printf '%s\\n' \"$found\" | sed -n "
	"\"${shard%/*}~${shard#*/}p\") "
	";;\n"
	"stability) files=$(printf '%s\\n' \"$found\" |\n"
	"	LC_ALL=C awk -v shard=\"${shard%/*}\" -v count=\"${shard#*/}\" '\n"
	"	BEGIN { known = \"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\" \\\n"
	"		\"0123456789/._-\" }\n"
	"	{ hash = 5381\n"
	"	  for (i = 1; i <= length($0); i++)\n"
	"		hash = (hash * 33 + index(known, substr($0, i, 1))) % 2147483647 }\n"
	"	hash % count == shard - 1') ;;\n"
	"*) usage ;;\n"
	"esac\n"
	"[ -n \"$files\" ] || { echo \"codebuild-tests-run: no files for shard $shard\"; exit 0; "
	"}\n"
	"export CODEBUILD_CURRENT_SHARD_FILES=\"$files\"\n"
	"case $command in *CODEBUILD_CURRENT_SHARD_FILES*) exec sh -c \"$command\" ;; esac\n"
	"exec sh -c \"$command $(printf '%s\\n' \"$files\" |\n"
	"	sed \"s/'/'\\\\\\\\''/g; s/.*/'&'/\" | tr '\\n' ' ')\"\n";

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
	       write_tool(folder, "codebuild-glob-search", glob_search, err) &&
	       write_tool(folder, "codebuild-tests-run", tests_run, err) &&
	       write_tool(folder, "codebuild-breakpoint", stop, err) &&
	       write_tool(folder, "codebuild-resume", break_fds[0] ? resume : nothing, err);
}
