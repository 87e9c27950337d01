#!/bin/bash
# The registry of the local cloud beside docker-registry: push and pull of 8 layers of 64 MB, by a client that costs next to
# nothing (blobs.c), by ours and by skopeo; uploads of 1 MB by 2 and by 16 clients. Both write into the same tmpfs.
# Of each registry also the processor time, which a busy machine changes less than the wall time.
#
# A pull reads what arrives into memory, as every client does. With "dropped" the kernel throws it away instead, which
# shows what is left when the client costs nothing.
#
#   PRIORITY="nice -n -20"  runs both registries and the client before everything else on the machine
. "$(dirname "$0")/lib.sh"
read -r -a priority <<<"${PRIORITY:-}"

on_cleanup() { local_cloud_down; }

cc -O2 -D_GNU_SOURCE -o "$W/blobs" "$HERE/blobs.c" -lcrypto -lpthread
local_cloud
endpoint=$(cat "$DOGSHORE_STATE/local/pid")
ours=${AWS_ENDPOINT_URL#http://}
ecr() { aws --endpoint-url "$AWS_ENDPOINT_URL" --output text ecr "$@"; }
ecr create-repository --repository-name bench/x >>"$W/log"
password=$(ecr get-login-password)
authorization="Basic $(printf 'AWS:%s' "$password" | base64 -w 0)"

peer=127.0.0.1:$(free_port)
mkdir -p "$W/peer"
cat >"$W/peer.yml" <<EOF
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $W/peer}}
http: {addr: $peer}
EOF
"${priority[@]}" docker-registry serve "$W/peer.yml" >>"$W/log" 2>&1 &
peer_pid=$!
pids+=("$peer_pid")
wait_for 20 curl -fs "http://$peer/v2/"

ticks() { awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"; }

# moved NAME PID COMMAND...: the five figures that blobs prints, and what the registry computed for it
moved() {
	local name=$1 pid=$2 before figures
	shift 2
	before=$(ticks "$pid")
	figures=$("$@") || { echo "failed: $*" >&2; return 1; }
	cut -d' ' -f1 <<<"$figures" >>"$W/$name.wall"
	cut -d' ' -f2 <<<"$figures" >>"$W/$name.rate"
	cut -d' ' -f5 <<<"$figures" >>"$W/$name.p99"
	echo $(($(ticks "$pid") - before)) >>"$W/$name.cpu"
}
each() { # NAME ARGUMENTS... : the same with both, the peer first
	local name=$1 mode=$2
	shift 2
	moved "$name.peer" "$peer_pid" "${priority[@]}" "$W/blobs" "$mode" "$peer" bench/x "" "$@"
	moved "$name.ours" "$endpoint" "${priority[@]}" "$W/blobs" "$mode" "$ours" bench/x "$authorization" "$@"
}
forget() { # what both keep: the next push is the first one
	rm -rf "$W/peer/docker" "$DOGSHORE_STATE/local/content/blobs/sha256"
	mkdir "$DOGSHORE_STATE/local/content/blobs/sha256"
}

layers=${LAYERS:-8} size=${LAYER_BYTES:-67108864} seed=0
for ((i = 0; i < N; i++)); do
	for clients in 1 4; do
		forget
		each "push$clients" push "$clients" "$layers" "$size" $((++seed))
		each "pull$clients" pull "$clients" "$layers" "$size" "$seed"
		each "read$clients" read "$clients" "$layers" "$size" "$seed"
	done
	forget
	for clients in 2 16; do each "small$clients" push "$clients" "${SMALL:-400}" 1048576 $((++seed)); done
done

milliseconds() { # WHAT NAME [AT_LEAST]
	figure "docker-registry, $1, ms" - "$W/$2.peer.wall"
	figure "local registry, $1, ms" - "$W/$2.ours.wall"
	ratio "$1: wall" "$W/$2.ours.wall" "$W/$2.peer.wall" "${3:-}"
	ratio "$1: processor time of the registry" "$W/$2.ours.cpu" "$W/$2.peer.cpu"
}
note "$layers layers of $((size >> 20)) MB, a client that costs next to nothing"
for clients in 1 4; do
	milliseconds "push, $clients at a time" "push$clients" 2
	milliseconds "pull, $clients at a time" "read$clients" 2
	milliseconds "dropped, $clients at a time" "pull$clients"
done
note "uploads of 1 MB, POST and PUT"
for clients in 2 16; do
	figure "docker-registry, $clients clients, uploads/s" - "$W/small$clients.peer.rate"
	figure "local registry, $clients clients, uploads/s" - "$W/small$clients.ours.rate"
	figure "docker-registry, $clients clients, p99 ms" - "$W/small$clients.peer.p99"
	figure "local registry, $clients clients, p99 ms" - "$W/small$clients.ours.p99"
	ratio "$clients clients: uploads/s" "$W/small$clients.ours.wall" "$W/small$clients.peer.wall" 1
	ratio "$clients clients: processor time of the registry" "$W/small$clients.ours.cpu" "$W/small$clients.peer.cpu"
done

# ---- whole images, by real clients

python3 - "$W/layout" "$layers" "$size" <<'EOF'
import hashlib, json, os, sys
folder, layers, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(f"{folder}/blobs/sha256")
def put(content, kind):
    name = hashlib.sha256(content).hexdigest()
    with open(f"{folder}/blobs/sha256/{name}", "wb") as file:
        file.write(content)
    return {"mediaType": kind, "digest": "sha256:" + name, "size": len(content)}
descriptors = [put(b"\x1f\x8b" + os.urandom(size - 2), "application/vnd.oci.image.layer.v1.tar+gzip") for _ in range(layers)]
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
    "type": "layers", "diff_ids": [d["digest"] for d in descriptors]}}).encode(), "application/vnd.oci.image.config.v1+json")
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                           "layers": descriptors}).encode(), "application/vnd.oci.image.manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": "1"}
open(f"{folder}/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
json.dump({"schemaVersion": 2, "manifests": [manifest]}, open(f"{folder}/index.json", "w"))
EOF
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$W/policy.json"
export HOME=$W XDG_RUNTIME_DIR=$W REGISTRY_AUTH_FILE=$W/auth.json
printf '{"auths": {"%s": {"auth": "%s"}}}' "$ours" "${authorization#Basic }" >"$REGISTRY_AUTH_FILE"
cache=/var/lib/containers/cache/blob-info-cache-v1.boltdb
skopeo_copy() { skopeo --policy "$W/policy.json" copy -q --src-tls-verify=false --dest-tls-verify=false "$@"; }
export -f skopeo_copy
export W
# whole NAME COMMAND...: first push of the image to both
whole() {
	local name=$1 each
	shift
	for each in "peer $peer" "ours $ours"; do
		forget
		rm -f "$cache" "$W/.local/share/containers/cache/blob-info-cache-v1.boltdb"
		timed "$W/$name.${each%% *}" "$@" "${each#* }/bench/x:1"
	done
}
# shellcheck disable=SC2016
for ((i = 0; i < N; i++)); do
	whole client "$DOGSHORE" image push "$W/layout:1"
	whole skopeo bash -c 'skopeo_copy "oci:$W/layout:1" "docker://$0"'
	for each in "peer $peer" "ours $ours"; do
		rm -rf "$W/pulled"
		[ -d "$W/peer/docker/registry/v2/repositories/bench" ] || "$DOGSHORE" image push "$W/layout:1" "$peer/bench/x:1" >>"$W/log" 2>&1
		timed "$W/skopull.${each%% *}" bash -c 'skopeo_copy "docker://$0/bench/x:1" "oci:$W/pulled:1"' "${each#* }"
	done
done
note "the same as an image, by real clients: they cost more than the registry"
for name in "client:dogshore image push" "skopeo:skopeo push" "skopull:skopeo pull"; do
	figure "${name#*:} -> docker-registry, ms" - "$W/${name%%:*}.peer"
	figure "${name#*:} -> local registry, ms" - "$W/${name%%:*}.ours"
	ratio "${name#*:}" "$W/${name%%:*}.ours" "$W/${name%%:*}.peer"
done
printf '%-58s %8s MB\n' "local endpoint after all that" "$(awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$endpoint/status")"
