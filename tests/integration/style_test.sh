#!/bin/bash
# What CONTRIBUTING.md says of form and a machine can see: format, calls we do not use, headers that compile
# alone, scripts that shellcheck accepts, files that stay readable.
# parallel: yes
# shellcheck disable=SC2317
set -euo pipefail
cd "$DOGSHORE_SOURCE"

skip() { echo "1..0 # SKIP $1"; exit 0; }
git rev-parse --git-dir >/dev/null 2>&1 || skip "this is no checkout"

number=0 failed=0
check() { # PROGRAM NAME COMMAND...: what it prints explains a failure
	local program=$1 name=$2 said
	shift 2
	number=$((number + 1))
	if ! command -v "$program" >/dev/null; then
		echo "ok $number - $name # SKIP $program is not installed"
	elif said=$("$@" 2>&1) && [ -z "$said" ]; then
		echo "ok $number - $name"
	else
		failed=1
		head -n 40 <<<"$said" | sed 's/^/# /'
		echo "not ok $number - $name"
	fi
}

ours() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -f "$file" ] || echo "$file"; done; }

format() {
	ours '*.c' '*.h' | xargs -P 2 -n 40 clang-format --dry-run 2>&1 |
		sed -n 's/^\([^:]*\):.*code should be.*/\1: clang-format -i would change it/p' | sort -u
}
banned() { ours '*.c' '*.h' | xargs grep -nE '(^|[^_a-zA-Z>.])(strcpy|strcat|sprintf|strtok|atoi|atol|atoll|atof|gmtime|localtime|system|popen)\(' || :; }
upward() { # who may include whom: base <- buildspec <- builders <- deployers <- pipeline
	local rooms=(base buildspec builders deployers pipeline) i j
	for ((i = 0; i < ${#rooms[@]}; i++)); do
		for ((j = i + 1; j < ${#rooms[@]}; j++)); do
			ours "${rooms[i]}/*.[ch]" | xargs -r grep -n "^#include \"${rooms[j]}/" || :
		done
	done
	ours 'services/*.[ch]' | xargs -r grep -nE '^#include "(buildspec|builders|deployers|pipeline)/' || :
}
header_alone() { # a header needs nothing included before it
	ours '*.h' | xargs -P 2 -I{} sh -c 'printf "#include \"%s\"\n" {} |
		cc -std=c17 -D_GNU_SOURCE -DDOGSHORE_VERSION=\"0\" -I. -fsyntax-only -w -xc - || echo "{} does not compile alone"'
}
scripts() { ours | xargs grep -lE '^#!/bin/(ba)?sh' | xargs shellcheck --format=gcc; }
locks() { ours '*lock.json' | xargs -r grep -nE '"resolved": *"http' || :; }

check clang-format "C files are formatted" format
check grep "calls that we do not use" banned
check grep "includes point down the layers" upward
check cc "each header compiles alone" header_alone
check shellcheck "scripts pass shellcheck" scripts
check grep "lock files name no host" locks
echo "1..$number"
exit "$failed"
