#!/bin/bash
# Images: one static binary of 1 MB, a tree of 200 MB, a service of 20 MB with all its evidence; against umoci and buildah.
#
#   TREE_SRC (/usr/lib/x86_64-linux-gnu) of which TREE_MB (200) are taken; PRIORITY="nice -n -20" runs all of them before
#   everything else on the machine
. "$(dirname "$0")/lib.sh"
TREE_SRC=${TREE_SRC:-/usr/lib/x86_64-linux-gnu} TREE_MB=${TREE_MB:-200}
read -r -a priority <<<"${PRIORITY:-}"
export DOGSHORE_STATE=$W/state TMPDIR=$W BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF=$W/storage.conf
storage="storage = { driver = \"vfs\", graphroot = \"$W/storage\", runroot = \"$W/run\" }"
printf '%s\n' "$storage" >"$CONTAINERS_STORAGE_CONF"

# run FILE COMMAND...: wall ms and resident MB of the command, a line of FILE each
run() {
	local out=$1
	shift
	"${priority[@]}" "$W/meas" "$W/meas.out" "$@" >>"$W/log" 2>&1 || { tail -n 20 "$W/log" >&2; return 1; }
	tail -n 1 "$W/meas.out" | awk -v f="$out" '{ print $1 >>(f ".ms"); print $4 / 1024 >>(f ".mb") }'
}

bytes() { find "$1" -type f -printf '%s\n' | awk '{ s += $1 } END { printf "%.2f\n", s / 1e6 }'; }

umoci_build() { # CONTEXT NAME
	umoci init --layout "$W/out.umoci" && umoci new --image "$W/out.umoci:1" &&
		umoci insert --image "$W/out.umoci:1" "$1/$2" "/$2" && umoci config --image "$W/out.umoci:1" --config.entrypoint "/$2"
}
buildah_build() { # CONTEXT: to the form that the others leave
	buildah bud -q -t t:1 "$1" && buildah push -q --signature-policy "$W/policy.json" t:1 "oci:$W/out.buildah:1"
}
export -f umoci_build buildah_build
export W

# three NAME LIMIT_MS CONTEXT ENTRY RUNS FLAGS...: a cold build by each in turn
three() {
	local name=$1 limit=$2 context=$3 entry=$4 runs=$5 i sizes
	shift 5
	printf 'FROM scratch\nCOPY %s /%s\nENTRYPOINT ["/%s"]\n' "$entry" "$entry" "$entry" >"$context/Dockerfile"
	for ((i = 0; i < runs; i++)); do
		rm -rf "$W"/out.* "$W/storage" "$W/state"
		run "$W/$entry.ours" "$DOGSHORE" image build "$@" --output "$W/out.ours:1" --no-cache
		# shellcheck disable=SC2016
		run "$W/$entry.umoci" bash -c 'umoci_build "$@"' x "$context" "$entry"
		# shellcheck disable=SC2016
		((i > 2)) || run "$W/$entry.buildah" bash -c 'buildah_build "$@"' x "$context"
		((i > 0)) || sizes="dogshore $(bytes "$W/out.ours"), umoci $(bytes "$W/out.umoci"), buildah $(bytes "$W/out.buildah")"
	done
	figure "umoci: $name" - "$W/$entry.umoci.ms"
	figure "buildah: $name" - "$W/$entry.buildah.ms"
	figure "dogshore: $name" "$limit" "$W/$entry.ours.ms"
	ratio "  faster than umoci by" "$W/$entry.ours.ms" "$W/$entry.umoci.ms"
	note "MB of the layouts: $sizes"
	figure "  resident MB: umoci" - "$W/$entry.umoci.mb"
	figure "  resident MB: dogshore" 32 "$W/$entry.ours.mb"
}

# unchanged NAME LIMIT_MS FILE FLAGS...: once for the cache, then measured
unchanged() {
	local name=$1 limit=$2 out=$3 i
	shift 3
	rm -rf "$W/out.same"
	run "$W/first" "$DOGSHORE" image build "$@" --output "$W/out.same:1"
	for ((i = 0; i < N * 3; i++)); do run "$out" "$DOGSHORE" image build "$@" --output "$W/out.same:1"; done
	figure "dogshore: $name, unchanged" "$limit" "$out.ms"
}

printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$W/policy.json"

# ---- one binary of 1 MB: a static program, filled up with noise
mkdir "$W/small"
cc -static -O2 -o "$W/small/svc" "$HERE/svc.c"
size=$(stat -c %s "$W/small/svc")
[ "$size" -ge 1048576 ] || head -c $((1048576 - size)) /dev/urandom >>"$W/small/svc"
three "one static binary of 1 MB" 6 "$W/small" svc $((N * 3)) --binary "$W/small/svc"
unchanged "one static binary of 1 MB" 6 "$W/svc.same" --binary "$W/small/svc"

# ---- a tree: libraries without their first byte, so that they are data to us as they are to the others
mkdir -p "$W/big/tree"
(cd "$TREE_SRC" && find . -type f -size -20M -printf '%s %p\n' | LC_ALL=C sort -k 2 |
	awk -v m="$TREE_MB" '{ t += $1; if (t > m * 1048576) next; sub(/^[0-9]+ /, ""); print }') >"$W/list"
tar -C "$TREE_SRC" -cf - -T "$W/list" | tar -C "$W/big/tree" -xf -
find "$W/big/tree" -type f -size +3c -print0 | xargs -0 python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name, "r+b") as file:
        if file.read(4) == b"\x7fELF":
            file.seek(0)
            file.write(b"~")'
note "tree: $(find "$W/big/tree" -type f | wc -l) files, $(bytes "$W/big/tree") MB"
tree=(--binary "$W/small/svc" --file "$W/big/tree:/tree")
three "a tree" 400 "$W/big" tree "$N" "${tree[@]}"
unchanged "a tree" 15 "$W/tree.same" "${tree[@]}"
rm -rf "$W"/out.* "$W/storage" "$W/big" "$W/state"

# ---- a service of 20 MB, libraries included, with bill of materials, provenance and signature
mkdir "$W/service"
cat >"$W/service/main.c" <<-C
#include <curl/curl.h>
int main(void) { return curl_global_init(CURL_GLOBAL_ALL); }
C
cc -O2 -o "$W/service/svc" "$W/service/main.c" -lcurl -lexpat -ljansson -lsqlite3
"$DOGSHORE" image build --binary "$W/service/svc" --output "$W/out.probe:1" --explain --json >"$W/probe.json" 2>>"$W/log"
size=$(jq '[.files[].size] | add' "$W/probe.json")
# Up to 20 MB with what programs are made of.
cat "$(cc -print-prog-name=cc1)" /dev/zero 2>/dev/null | head -c $((20000000 - size)) >>"$W/service/svc" || :
openssl ecparam -genkey -name prime256v1 -noout -out "$W/key.pem"
printf '{"repository":"https://example.com/shop.git","commit":"%040d","service":"svc","started_at":"2026-01-01T00:00:00Z"}\n' 7 >"$W/facts.json"
service=(--binary "$W/service/svc" --sbom --provenance "$W/facts.json" --key "$W/key.pem")
"$DOGSHORE" image build "${service[@]}" --output "$W/out.probe:2" --explain --json >"$W/probe.json" 2>>"$W/log"
note "service: $(jq '[.files[].size] | add / 1e6' "$W/probe.json") MB in $(jq '.layers | length' "$W/probe.json") layers"
for ((i = 0; i < N * 2; i++)); do
	rm -rf "$W/out.service" "$W/state"
	run "$W/service.cold" "$DOGSHORE" image build "${service[@]}" --output "$W/out.service:1"
	# Which package owns which file is read once after dpkg changed something.
	rm -rf "$W/out.service" "$W/state/layers/blobs" "$W/state/layers/keys" "$W/state/layers/notes"
	run "$W/service.first" "$DOGSHORE" image build "${service[@]}" --output "$W/out.service:1"
done
figure "dogshore: service with all evidence, nothing cached" 100 "$W/service.cold.ms"
figure "dogshore: the same, dpkg's lists known" 100 "$W/service.first.ms"
figure "  resident MB" 32 "$W/service.cold.mb"
unchanged "service with all evidence" 15 "$W/service.same" "${service[@]}"
