#!/bin/bash
# What the sandbox and the runner of buildspecs cost, each in turn with what it is compared with: a build of one command over
# the program's own start and a bare fork; each further command over sh running the same.
# PRIORITY="nice -n -20" keeps other work of the machine out.
. "$(dirname "$0")/lib.sh"

spec() { # COMMANDS FOLDER
	mkdir -p "$2"
	{
		printf 'version: 0.2\nphases:\n  build:\n    commands:\n'
		seq "$1" | sed 's|.*|      - /bin/true|'
	} >"$2/buildspec.yml"
	seq "$1" | sed 's|.*|/bin/true|' >"$2/script"
}
spec 1 "$W/one"
spec 20 "$W/twenty"
read -ra first <<<"${PRIORITY:-}"
run() { timed "$W/$1.ms" "${first[@]}" "${@:2}"; }
export DOGSHORE_WORK=/dev/shm

note "builds of one and of 20 commands \"/bin/true\", $((N * 6)) each"
for ((i = 0; i < N * 6; i++)); do
	run bare sh -c /bin/true
	run check "$DOGSHORE" buildspec check "$W/one/buildspec.yml"
	run one "$DOGSHORE" buildspec run --source "$W/one"
	run free "$DOGSHORE" buildspec run --source "$W/one" --no-sandbox
	run twenty "$DOGSHORE" buildspec run --source "$W/twenty"
	run script20 sh "$W/twenty/script"
	run script1 sh "$W/one/script"
done
# Of what is added up and taken away the least counts: it is what the machine can do.
least() { sort -n "$W/$1.ms" | head -n 1; }
difference() { # NAME LIMIT VALUE
	printf '%-58s %8.2f ms   limit %s %s\n' "$1" "$3" "$2" "$(awk -v m="$3" -v l="$2" 'BEGIN { print m <= l ? "ok" : "MISSED" }')"
	[ -z "${BENCH_OUT:-}" ] || printf '%s\t%s\t%s\n' "$1" "$3" "$2" >>"$BENCH_OUT"
}
calculate() { awk -v one="$(least one)" -v free="$(least free)" -v check="$(least check)" -v bare="$(least bare)" -v twenty="$(least twenty)" \
	-v script20="$(least script20)" -v script1="$(least script1)" "BEGIN { print $1 }"; }
for what in bare check free one twenty script20; do figure "$what" - "$W/$what.ms"; done
difference "sandbox and keeper over a bare fork" 10 "$(calculate "one - check - bare")"
difference "of it the sandbox alone" 10 "$(calculate "one - free")"
difference "each command over sh running the same" 3 "$(calculate "(twenty - one - (script20 - script1)) / 19")"
