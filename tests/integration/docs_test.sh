#!/bin/bash
# Every command has a manual page that lints clean, names each of its flags, and is listed where users look.
# parallel: yes
# shellcheck disable=SC2001,SC2086,SC2317
set -euo pipefail
cd "$DOGSHORE_SOURCE"

number=0 failed=0
check() { # NAME COMMAND...: what it prints explains a failure
	local name=$1 said
	shift
	number=$((number + 1))
	if said=$("$@" 2>&1) && [ -z "$said" ]; then
		echo "ok $number - $name"
	else
		failed=1
		sed 's/^/# /' <<<"$said"
		echo "not ok $number - $name"
	fi
}

commands() { "$DOGSHORE" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]\{1,\}\( [a-z]\{1,\}\)*\)  .*/\1/p'; }
page() { echo "docs/man/dogshore-${1// /-}.1"; } # "image build" -> docs/man/dogshore-image-build.1

has_page() { [ -f "$(page "$1")" ] || echo "$(page "$1") is missing"; }
flags_are_explained() {
	local flag
	for flag in $("$DOGSHORE" ${1:?} --help | sed -n 's/^ *--\([a-z][a-z-]*\).*/\1/p'); do
		case $flag in help | json | ledger | state | trace) continue ;; esac # in dogshore(1)
		grep -Eq "^\.(It )?.*Fl -$flag( |\$)" "$(page "$1")" || echo "--$flag is not in $(page "$1")"
	done
}
is_listed() { grep -q "Xr dogshore-${1// /-} 1" docs/man/dogshore.1 || echo "docs/man/dogshore.1 does not mention it"; }
command_exists() {
	local name
	name=$(sed -n 's/^\.Nm dogshore \([a-z ]*\)$/\1/p' "$1" | tail -n 1)
	[ "$(basename "$1")" = dogshore.1 ] || grep -qx "$name" <<<"$(commands)" || echo "$1 describes \"$name\", which is no command"
}
is_in_the_guide() { [ "$1" = docs/index.md ] || grep -q "($(basename "$1"))" docs/index.md || echo "docs/index.md does not mention it"; }
links_lead_somewhere() {
	local target
	{ grep -o ']([^)#]*)' "$1" || :; } | sed 's/^](//; s/)$//' | while read -r target; do
		case $target in http*) continue ;; esac
		[ -e "$(dirname "$1")/$target" ] || echo "$1 links to $target, which is not there"
	done
}

[ "$(commands | wc -l)" -gt 0 ] || { echo "1..0 # SKIP the program has no commands"; exit; }
while read -r name; do
	check "dogshore $name has a manual page" has_page "$name"
	[ -f "$(page "$name")" ] || continue
	check "dogshore $name: its flags are in its page" flags_are_explained "$name"
	check "dogshore $name is listed in dogshore(1)" is_listed "$name"
done < <(commands)
for file in docs/man/*.1; do
	check "$file is about a command that exists" command_exists "$file"
	if command -v mandoc >/dev/null; then
		check "$file lints clean" mandoc -Tlint -Wwarning "$file"
	else
		number=$((number + 1))
		echo "ok $number - $file lints clean # SKIP mandoc is not installed"
	fi
done
for file in docs/*.md; do
	check "$file is in the guide's index" is_in_the_guide "$file"
done
for file in ./*.md docs/*.md; do
	check "links of $file lead somewhere" links_lead_somewhere "$file"
done
echo "1..$number"
exit "$failed"
