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

static const struct {
	const char *name, *script;
} tools[] = {
	{"codebuild-hash-files", hash_files},
	{"codebuild-breakpoint", nothing},
	{"codebuild-resume", nothing},
};

bool tools_write(const char *control, struct error *err)
{
	scoped(text_free) char *folder = path_join(control, TOOLS_FOLDER);

	if (!folder_make(folder, 0755, err))
		return false;
	for (size_t i = 0; i < countof(tools); i++) {
		scoped(text_free) char *path = path_join(folder, tools[i].name);

		if (!file_write(path, str_of(tools[i].script), 0755, false, err))
			return false;
	}
	return true;
}
