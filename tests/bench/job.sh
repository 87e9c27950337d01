#!/bin/bash
# A trivial one-step job on a local repository: from the moved branch to the finished run, over what the job itself
# takes. Against buildbot, when it is installed (apt-get install buildbot buildbot-worker).
# Then `run` with nothing to do, a whole process.
. "$(dirname "$0")/lib.sh"
. "$HERE/peers/buildbot.sh"

make_source() {
	mkdir -p "$W/src/job"
	cat >"$W/src/dogshore.yml" <<-'Y'
	app: bench
	services:
	  job: {path: job}
	environments:
	  local: {target: local}
	Y
	printf 'version: 0.2\nphases:\n  build:\n    commands:\n      - "true"\n' >"$W/src/job/buildspec.yml"
	git init -q -b main "$W/src"
	git clone -q --bare "$W/src" "$W/ours.git" 2>/dev/null
	git -C "$W/src" remote add ours "$W/ours.git"
}

new_commit() {
	echo "$1" >"$W/src/job/input"
	as_bench -C "$W/src" add --all
	as_bench -C "$W/src" commit -q -m "$1"
	git -C "$W/src" push -q ours HEAD:refs/bench/next
}

# When the run of a commit ended, from the ledger: milliseconds of the wall clock.
finished_ms() { # COMMIT
	"$DOGSHORE" runs --json | jq -e --arg commit "$1" '.runs[] | select(.commit == $commit and .status == "passed")
		| (.started_at[0:19] + "Z" | fromdate) * 1000 + (.started_at[20:23] | tonumber) + .duration_ms'
}

# From the moment git wrote the branch (its own start and end are not counted) to the end of the run.
measure() { # FILE
	local commit written
	commit=$(git -C "$W/ours.git" rev-parse refs/bench/next)
	git -C "$W/ours.git" update-ref refs/heads/main refs/bench/next
	sleep 0.3 # asking would take the processors away from what is measured
	wait_for 20 finished_ms "$commit" || { tail -n 30 "$W/engine.log" >&2; return 1; }
	written=$(stat -c %.3Y "$W/ours.git/refs/heads/main")
	echo $(($(finished_ms "$commit") - ${written/./})) >>"$1"
}

make_source
new_commit 0
export DOGSHORE_STATE=$W/state
engine "$W/ours.git"
wait_for 20 test -s "$W/state/ledger.db"
measure "$W/first"
buildbot_setup
# The job itself is what anyone would have to run: the command in a sandbox without network.
sandboxed=(bwrap --unshare-all --die-with-parent --new-session --clearenv --setenv PATH /usr/bin:/bin --ro-bind /usr /usr
	--symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp
	--bind "$W/src" /src --chdir /src)
note "a job of one step, \"true\": branch moved to run finished, $((N * 2)) each"
for ((i = 1; i <= N * 2; i++)); do
	new_commit "$i"
	measure "$W/ours.ms"
	timed "$W/itself.ms" "${sandboxed[@]}" sh -c true
	buildbot_measure "$W/buildbot.ms"
done
for ((i = 0; i < N * 2; i++)); do
	timed "$W/nothing.ms" "$DOGSHORE" run main --env local --repository "$W/ours.git"
done
[ ! -s "$W/buildbot.ms" ] || figure "buildbot: change received to build finished" - "$W/buildbot.ms"
figure "the job itself: true in a bubblewrap sandbox" - "$W/itself.ms"
figure "dogshore: branch moved to run finished" "$(awk -v m="$(median <"$W/itself.ms")" 'BEGIN { print m + 10 }')" "$W/ours.ms"
[ ! -s "$W/buildbot.ms" ] || ratio "dogshore is faster than buildbot by" "$W/ours.ms" "$W/buildbot.ms"
figure "dogshore run, nothing to do" 20 "$W/nothing.ms"
