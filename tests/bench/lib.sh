# shellcheck shell=bash disable=SC2034
# What the scripts here share; each starts with:  . "$(dirname "$0")/lib.sh"
#
#   BENCH_N     runs per figure (default 7)      BENCH_TMP  scratch, a tmpfs by default (/dev/shm)
#   PRIORITY    "nice -n -20": the scripts that say so run both sides before everything else on the machine
#   BENCH_OUT   figures are appended here as TSV: name, median ms, limit ms or "-", what it was compared with
#
# Figures of a peer and of dogshore are taken in turn, in one run: never compare two days.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOURCE=$(cd "$HERE/../.." && pwd)
DOGSHORE=${DOGSHORE:-$SOURCE/build/release/dogshore}
N=${BENCH_N:-7}
W=$(mktemp -d "${BENCH_TMP:-/dev/shm}/dogshore-bench.XXXXXX")
pids=()

none_left() {
	local pid
	for pid in "${pids[@]}"; do ! kill -0 "$pid" 2>/dev/null || return 1; done
}

cleanup() {
	trap - EXIT INT TERM
	local pid
	if declare -F on_cleanup >/dev/null; then on_cleanup >/dev/null 2>&1 || :; fi
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
	wait_for 5 none_left 2>/dev/null || kill -KILL "${pids[@]}" 2>/dev/null || :
	wait 2>/dev/null || :
	grep " $W/" /proc/self/mounts | cut -d' ' -f2 | sort -r | xargs -r -n 1 umount -l || :
	if [ -n "${BENCH_KEEP:-}" ]; then echo "# kept $W" >&2; else
		# What podman and crun leave behind may still be tidying up after itself.
		wait_for 5 rm -rf --one-file-system "$W"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

cc -O2 -o "$W/meas" "$HERE/meas.c"
cc -O2 -D_GNU_SOURCE -o "$W/until" "$HERE/until.c"

note() { printf '# %s\n' "$*"; }

median() { sort -n | awk '{ a[NR] = $1 } END { if (NR) printf "%.1f\n", NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }

# figure NAME LIMIT FILE: the median of a file with one number a line. LIMIT: ms, or - for a peer.
figure() {
	local middle low high
	middle=$(median <"$3")
	low=$(sort -n "$3" | head -n 1) high=$(sort -n "$3" | tail -n 1)
	[ -n "$middle" ] || { echo "no data for $1" >&2; return 1; }
	printf '%-58s median %8.1f   min %8.1f   max %8.1f   n=%d%s\n' "$1" "$middle" "$low" "$high" "$(wc -l <"$3")" \
		"$([ "$2" = - ] || awk -v m="$middle" -v l="$2" 'BEGIN { printf "   limit %s %s", l, m <= l ? "ok" : "MISSED" }')"
	[ -z "${BENCH_OUT:-}" ] || printf '%s\t%s\t%s\n' "$1" "$middle" "$2" >>"$BENCH_OUT"
}

# timed FILE COMMAND...: whole-process wall time in ms, appended to FILE
timed() {
	local out=$1
	shift
	"$W/meas" "$W/meas.out" "$@" >>"$W/log" 2>&1 || { tail -n 20 "$W/log" >&2; return 1; }
	tail -n 1 "$W/meas.out" | cut -d' ' -f1 >>"$out"
}

# ratio NAME FILE_OF_OURS FILE_OF_PEER [AT_LEAST]: how many times as fast we are
ratio() {
	awk -v name="$1" -v ours="$(median <"$2")" -v peer="$(median <"$3")" -v least="${4:-}" 'BEGIN {
		printf "%-58s %.2f times%s\n", name, peer / ours, least == "" ? "" : sprintf("   at least %s %s", least, peer / ours >= least ? "ok" : "MISSED") }'
}

as_bench() { git -c user.name=bench -c user.email=bench@localhost -c commit.gpgsign=false "$@"; }

# crun refuses hosts with hybrid cgroups unless the v2 mount is hidden (dogshore does it by itself).
hybrid() { grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts; }
in_crun_view() {
	if hybrid; then
		# shellcheck disable=SC2016
		unshare -m --propagation private bash -c 'umount /sys/fs/cgroup/unified && exec "$@"' x "$@"
	else
		"$@"
	fi
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local i limit=$1
	shift
	for ((i = 0; i < limit * 50; i++)); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.02
	done
	echo "waited $limit s in vain for: $*" >&2
	return 1
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# ---- a dogshore of our own: state, local cloud and engine in the scratch folder, free ports

local_cloud() { # starts one; sets AWS_* for our own calls
	export DOGSHORE_STATE=$W/state
	local -a priority
	read -r -a priority <<<"${PRIORITY:-}"
	"${priority[@]}" "$DOGSHORE" local up --detach --endpoint 127.0.0.1:0 >>"$W/log" 2>&1 || { tail -n 20 "$W/log" >&2; return 1; }
	local keys=$DOGSHORE_STATE/local/credentials.json
	AWS_ENDPOINT_URL=$(jq -r .endpoint "$keys") AWS_REGION=$(jq -r .region "$keys") AWS_DEFAULT_REGION=$(jq -r .region "$keys")
	AWS_ACCESS_KEY_ID=$(jq -r .access_key_id "$keys") AWS_SECRET_ACCESS_KEY=$(jq -r .secret_access_key "$keys")
	export AWS_ENDPOINT_URL AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
}

local_cloud_down() { "$DOGSHORE" local down; }

engine() { # REPOSITORY: follows it; sets ENGINE_PID
	"$DOGSHORE" serve --repository "$1" --env local --listen "127.0.0.1:$(free_port)" >>"$W/engine.log" 2>&1 &
	ENGINE_PID=$!
	pids+=("$ENGINE_PID")
}
