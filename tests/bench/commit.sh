#!/bin/bash
# One changed C service: from the moved branch to the first answer of the new version through the balancer.
# dogshore (sandbox, journal, local cloud) against a hand-written script (git, make, buildah, podman, HAProxy).
# shellcheck disable=SC2016
. "$(dirname "$0")/lib.sh"
. "$HERE/peers/pipeline.sh"

on_cleanup() { peer_down; local_cloud_down; }

make_source() {
	local s=$W/src/svc
	mkdir -p "$s/deploy"
	cp "$HERE/svc.c" "$s/"
	echo v0 >"$s/version"
	printf 'build/svc: svc.c version\n\tmkdir -p build\n\tmusl-gcc -static -s -O2 -DVERSION=\\"$$(cat version)\\" -o build/svc svc.c\n' >"$s/Makefile"
	cat >"$s/buildspec.yml" <<-'Y'
	version: 0.2
	phases:
	  build:
	    commands:
	      - make -s -C svc
	artifacts:
	  files: [build/svc]
	  base-directory: svc
	Y
	cat >"$W/src/dogshore.yml" <<-Y
	app: bench
	services:
	  svc:
	    path: svc
	    image: {binary: build/svc, port: 8080}
	    deploy:
	      task: deploy/task.json
	      service: deploy/service.json
	      route: {path: "/*", health: /, port: $balancer}
	environments:
	  local: {target: local}
	Y
	cat >"$s/deploy/task.json" <<-'Y'
	{"family": "svc", "cpu": "256", "memory": "64", "networkMode": "awsvpc",
	 "containerDefinitions": [{"name": "svc", "image": "${image}", "essential": true,
	  "portMappings": [{"containerPort": 8080}]}]}
	Y
	cat >"$s/deploy/service.json" <<-'Y'
	{"serviceName": "svc", "cluster": "bench", "desiredCount": 1, "launchType": "FARGATE",
	 "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
	 "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 200},
	 "loadBalancers": [{"targetGroupArn": "${target_group:svc}", "containerName": "svc", "containerPort": 8080}]}
	Y
	git init -q -b main "$W/src"
	git clone -q --bare "$W/src" "$W/ours.git" 2>/dev/null
	git clone -q --bare "$W/src" "$W/peer.git" 2>/dev/null
	git -C "$W/src" remote add ours "$W/ours.git"
	git -C "$W/src" remote add peer "$W/peer.git"
}

# Commits VERSION and moves its objects over; the branch itself moves later, when the clock runs.
new_commit() {
	echo "$1" >"$W/src/svc/version"
	as_bench -C "$W/src" add --all
	as_bench -C "$W/src" commit -q -m "$1"
	git -C "$W/src" push -q ours HEAD:refs/bench/next
	git -C "$W/src" push -q peer HEAD:refs/bench/next
}

# measure FILE REPOSITORY PORT VERSION [COMMAND...]: moves the branch, runs COMMAND, waits for VERSION
measure() {
	local out=$1 repository=$2 port=$3 version=$4 start waiter
	shift 4
	start=$(date +%s%N)
	"$W/until" 127.0.0.1 "$port" / "$version" "$start" >"$W/waited" 2>>"$W/log" &
	waiter=$!
	git -C "$repository" update-ref refs/heads/main refs/bench/next
	[ $# = 0 ] || "$@"
	wait "$waiter" || { tail -n 30 "$W/log" "$W/engine.log" >&2; return 1; }
	cat "$W/waited" >>"$out"
}

run_is_over() { "$DOGSHORE" runs --json | jq -e '.runs[0].status == "passed"'; }

balancer=$(free_port)
make_source
new_commit v0-
peer_setup "$W/peer.git"
local_cloud
engine "$W/ours.git"
note "commit to first answer: $N commits each, in turn, on $(stat -f -c %T "$W")"
measure "$W/first" "$W/peer.git" "$P" v0- peer_deploy v0-
measure "$W/first" "$W/ours.git" "$balancer" v0-
for ((i = 1; i <= N; i++)); do
	new_commit "v$i-"
	measure "$W/peer.ms" "$W/peer.git" "$P" "v$i-" peer_deploy "v$i-"
	peer_tidy
	measure "$W/ours.ms" "$W/ours.git" "$balancer" "v$i-"
	wait_for 30 run_is_over
done
figure "script: git, make, buildah, podman, HAProxy" - "$W/peer.ms"
figure "dogshore: commit to first answer" 120 "$W/ours.ms"
ratio "dogshore is faster by" "$W/ours.ms" "$W/peer.ms" 2
