#!/bin/bash
# What waits costs: resident memory and processor time of `serve` with two services and of the local endpoint.
. "$(dirname "$0")/lib.sh"

on_cleanup() { local_cloud_down; }

resident_mb() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
ticks() { cut -d' ' -f14,15 "/proc/$1/stat" | awk '{ print $1 + $2 }'; }

# The services of this checkout, as a repository of their own.
git init -q -b main "$W/src"
git -C "$SOURCE" archive HEAD | tar -x -C "$W/src"
as_bench -C "$W/src" add --all
as_bench -C "$W/src" commit -q -m first
local_cloud
engine "$W/src"
passed() { "$DOGSHORE" runs --json | jq -e '.runs[0].status == "passed"'; }
wait_for 300 passed || { tail -n 30 "$W/engine.log" >&2; exit 1; }
endpoint=$(cat "$DOGSHORE_STATE/local/pid")

seconds=${BENCH_IDLE:-10}
note "idle for $seconds s with two services running"
before_engine=$(ticks "$ENGINE_PID") before_endpoint=$(ticks "$endpoint")
sleep "$seconds"
row() { # NAME PID TICKS_BEFORE LIMIT_MB
	printf '%-58s %8s MB   limit %s %s   processor %s ms in %s s\n' "$1" "$(resident_mb "$2")" "$4" \
		"$(awk -v m="$(resident_mb "$2")" -v l="$4" 'BEGIN { print m <= l ? "ok" : "MISSED" }')" "$((($(ticks "$2") - $3) * 10))" "$seconds"
}
row "serve" "$ENGINE_PID" "$before_engine" 30
row "local endpoint" "$endpoint" "$before_endpoint" 40
