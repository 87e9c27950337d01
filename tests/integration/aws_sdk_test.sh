#!/bin/bash
# The AWS SDK for JavaScript v3, unmodified, drives a service through its whole life on the local endpoint.
# parallel: yes
# timeout: 600
set -euo pipefail
cd "$TMPDIR"

skip() { echo "1..0 # SKIP $1"; exit 0; }

[ "$(id -u)" = 0 ] || skip "the local cloud needs root"
[ -d "$DOGSHORE_SDK/node_modules" ] || skip "the SDK is not installed: tools/setup --tests"
command -v musl-gcc >/dev/null || skip "musl-gcc is not installed"

export DOGSHORE_STATE=$TMPDIR/state
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

"$DOGSHORE" local up --detach --endpoint 127.0.0.1:0 >up.log 2>&1 || { cat up.log; exit 1; }
trap '"$DOGSHORE" local down >down.log 2>&1 || cat down.log' EXIT

keys=$DOGSHORE_STATE/local/credentials.json
AWS_ENDPOINT_URL=$(jq -r .endpoint "$keys") AWS_REGION=$(jq -r .region "$keys")
AWS_ACCESS_KEY_ID=$(jq -r .access_key_id "$keys") AWS_SECRET_ACCESS_KEY=$(jq -r .secret_access_key "$keys")
LISTENER_PORT=$(free_port)
export AWS_ENDPOINT_URL AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY LISTENER_PORT

# Two versions of a program, as images in a local layout; the SDK makes the repository they are pushed to.
for version in v1 v2; do
	musl-gcc -static -s -O2 -DVERSION="\"$version\"" -o "svc-$version" "$DOGSHORE_SOURCE/tests/bench/svc.c"
	"$DOGSHORE" image build --binary "svc-$version" --port 8080 --output "layout:$version" >build.log 2>&1 || { cat build.log; exit 1; }
done
node "$DOGSHORE_SOURCE/tests/integration/sdk/whole_life.mjs"
