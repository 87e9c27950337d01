#!/bin/bash
# Starting one container until its first HTTP 200: RunTask on the local cloud against crun run with a network
# namespace made inside the run, which is what the cloud does too. Needs root.
. "$(dirname "$0")/lib.sh"
. "$HERE/peers/container.sh"

on_cleanup() { crun_down; local_cloud_down; }

mkdir -p "$W/image"
musl-gcc -static -s -O2 -o "$W/image/svc" "$HERE/svc.c"
crun_setup "$W/image/svc"
local_cloud
reference=${AWS_ENDPOINT_URL#http://}/bench/svc
"$DOGSHORE" image build --binary "$W/image/svc" --port 8080 --output "$W/image/layout:1" >>"$W/log" 2>&1
digest=$("$DOGSHORE" image push "$W/image/layout:1" "$reference:1" --create-repository --json 2>>"$W/log" | jq -r .digest)
aws --endpoint-url "$AWS_ENDPOINT_URL" ecs create-cluster --cluster-name bench >>"$W/log"
aws --endpoint-url "$AWS_ENDPOINT_URL" ecs register-task-definition --family svc --network-mode awsvpc --cpu 256 --memory 64 \
	--container-definitions "[{\"name\":\"svc\",\"image\":\"$reference@$digest\",\"essential\":true}]" >>"$W/log"

note "container start to first HTTP 200, $N each"
"$HERE/task.py" bench svc 8080 1 >>"$W/log" # the layer is unpacked once
for ((i = 0; i < N; i++)); do
	crun_measure "$W/crun.ms"
	"$HERE/task.py" bench svc 8080 1 >>"$W/ours.ms"
done
crun_median=$(median <"$W/crun.ms")
figure "crun run, network namespace made inside" - "$W/crun.ms"
figure "local cloud: RunTask to first answer" "$(awk -v c="$crun_median" 'BEGIN { print c + 15 }')" "$W/ours.ms"
