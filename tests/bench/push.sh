#!/bin/bash
# Pushes over loopback to Debian's docker-registry, against skopeo: layers that are compressed already, plain files
# (build and push), nothing new, one changed layer; requests, memory and processor time of the client.
#
#   LAYERS (8) of LAYER_MB (64); PRIORITY="nice -n -20" runs registry and clients before everything else on the machine
. "$(dirname "$0")/lib.sh"
LAYERS=${LAYERS:-8} LAYER_MB=${LAYER_MB:-64}
read -r -a priority <<<"${PRIORITY:-}"
export DOGSHORE_STATE=$W/state TMPDIR=$W
port=$(free_port)
host=127.0.0.1:$port
# skopeo remembers where it put which blob; that would hide what a first push costs.
remembered=/var/lib/containers/cache/blob-info-cache-v1.boltdb
mkdir -p "$W/registry"
cat >"$W/registry.yml" <<-Y
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $W/registry}, delete: {enabled: true}}
http: {addr: $host}
Y
"${priority[@]}" docker-registry serve "$W/registry.yml" >>"$W/log" 2>&1 &
pids+=($!)
wait_for 20 curl -sf -o /dev/null "http://$host/v2/"
printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$W/policy.json"
skopeo_copy=(skopeo --policy "$W/policy.json" copy -q --dest-tls-verify=false)

empty() { rm -rf "${W:?}/registry/docker" "$W/state" "$remembered"; }

# run FILE COMMAND...: wall ms, processor ms and resident MB of the command, a line of FILE each
run() {
	local out=$1
	shift
	"${priority[@]}" "$W/meas" "$W/meas.out" "$@" >>"$W/log" 2>&1 || { tail -n 20 "$W/log" >&2; return 1; }
	tail -n 1 "$W/meas.out" | awk -v f="$out" '{ print $1 >>(f ".ms"); print $2 + $3 >>(f ".cpu"); print $4 / 1024 >>(f ".mb") }'
}

# both NAME LIMIT_MS FASTER_BY LESS_CPU_BY OURS PEER: the figures of two files
both() {
	figure "skopeo: $1" - "$6.ms"
	figure "dogshore: $1" "$2" "$5.ms"
	ratio "  faster by" "$5.ms" "$6.ms" "$3"
	# Of nothing to be measured, a tenth of a millisecond.
	sed -i 's/^0$/0.1/' "$5.cpu" "$6.cpu"
	figure "  processor ms: skopeo" - "$6.cpu"
	figure "  processor ms: dogshore" - "$5.cpu"
	ratio "  less by" "$5.cpu" "$6.cpu" "$4"
}

requests() { # FILE COMMAND...: how many
	"${@:2}" --json | jq '[.requests[]] | add' >>"$1"
}

verified() { # TAG: what the registry has is what the layout says, all digests computed
	rm -rf "$W/back"
	skopeo --policy "$W/policy.json" copy -q --src-tls-verify=false "docker://$host/t:$1" "oci:$W/back:1"
	(cd "$W/back/blobs/sha256" && sha256sum -- * | awk '$1 != $2 { exit 1 }')
	rm -rf "$W/back"
}

note "$LAYERS layers of $LAYER_MB MB"
python3 "$HERE/layout.py" "$W/ready" "$LAYERS" "$LAYER_MB" random zstd
for ((i = 0; i < N; i++)); do
	empty
	run "$W/peer.first" "${skopeo_copy[@]}" "oci:$W/ready:1" "docker://$host/t:1"
	for ((j = 0; j < 5; j++)); do
		run "$W/peer.noop" "${skopeo_copy[@]}" "oci:$W/ready:1" "docker://$host/t:1"
	done
	run "$W/peer.one" "${skopeo_copy[@]}" "oci:$W/ready:2" "docker://$host/t:1"
	empty
	run "$W/first" "$DOGSHORE" image push "$W/ready:1" "$host/t:1"
	[ "$i" -gt 0 ] || verified 1
	# One after the other, as it was measured when the limit was set.
	for ((j = 0; j < 5; j++)); do
		run "$W/noop" "$DOGSHORE" image push "$W/ready:1" "$host/t:1"
	done
	requests "$W/noop.requests" "$DOGSHORE" image push "$W/ready:1" "$host/t:1"
	if ((i % 2)); then
		run "$W/one" "$DOGSHORE" image push "$W/ready:2" "$host/t:1"
	else
		requests "$W/one.requests" "$DOGSHORE" image push "$W/ready:2" "$host/t:1"
		[ "$i" -gt 0 ] || verified 1
		empty
		"$DOGSHORE" image push "$W/ready:1" "$host/t:1" >>"$W/log"
		run "$W/one" "$DOGSHORE" image push "$W/ready:2" "$host/t:1"
	fi
done
both "compressed layers, first push" 1050 1 3 "$W/first" "$W/peer.first"
both "nothing new" 5 1 1 "$W/noop" "$W/peer.noop"
both "one changed layer" 210 1 1 "$W/one" "$W/peer.one"
figure "dogshore: requests, nothing new" 1 "$W/noop.requests"
figure "dogshore: requests, one changed layer" 6 "$W/one.requests"
figure "dogshore: MB resident, first push" 16 "$W/first.mb"
figure "skopeo: MB resident, first push" - "$W/peer.first.mb"
rm -rf "$W/ready" "$W/ready.files"

note "the same from plain files that can be compressed: build and push against skopeo's push of plain layers"
python3 "$HERE/layout.py" "$W/plain" "$LAYERS" "$LAYER_MB" text none
printf 'int main(void) { return 0; }\n' >"$W/main.c"
cc -static -o "$W/main" "$W/main.c"
cat >"$W/build-and-push" <<-S
#!/bin/sh
"$DOGSHORE" image build --binary "$W/main" --file "$W/plain.files:/data" --output "$W/built:1" &&
"$DOGSHORE" image push "$W/built:1" "$host/t:1"
S
chmod +x "$W/build-and-push"
for ((i = 0; i < (N + 1) / 2; i++)); do
	empty
	run "$W/peer.plain" "${skopeo_copy[@]}" "oci:$W/plain:1" "docker://$host/t:1"
	empty
	rm -rf "$W/built"
	run "$W/plain" "$W/build-and-push"
done
both "plain files" - 3 4 "$W/plain" "$W/peer.plain"
