#!/bin/bash
# A build of 50 MB (200 files) is restored from the store, against cp -a of its output and unpacking it with tar. Whole processes.
. "$(dirname "$0")/lib.sh"

read -r -a priority <<<"${PRIORITY:-}"
export DOGSHORE_STATE=$W/state DOGSHORE_WORK=$W
mkdir -p "$W/repository/svc"
cd "$W/repository"
git init -q -b main
printf 'app: bench\nservices:\n  svc: {path: svc}\n' >dogshore.yml
cat >svc/buildspec.yml <<'SPEC'
version: 0.2
phases:
  build:
    commands:
      - mkdir -p svc/out && head -c 52428800 /dev/urandom | split -b 262144 -a 3 - svc/out/part
artifacts: {base-directory: svc/out, files: ["**/*"]}
SPEC
git add -A
git -c user.name=b -c user.email=b@b commit -q -m first
"$DOGSHORE" build svc --output "$W/first" >/dev/null 2>&1
tar -C "$W" -cf "$W/first.tar" first

for ((i = 0; i < N; i++)); do
	rm -rf "$W/copy" "$W/untar" "$W/restored"
	mkdir "$W/untar"
	timed "$W/cp" "${priority[@]}" cp -a "$W/first" "$W/copy"
	timed "$W/tar" "${priority[@]}" tar -C "$W/untar" -xf "$W/first.tar"
	timed "$W/ours" "${priority[@]}" "$DOGSHORE" build svc --output "$W/restored"
	diff -r "$W/first" "$W/restored"
done
grep -q "restored from commit" "$W/log" || { echo "nothing was restored" >&2; exit 1; }
note "restoring a build of 50 MB in 200 files"
figure "cp -a (copies, checks nothing)" - "$W/cp"
figure "tar -x (copies, checks nothing)" - "$W/tar"
figure "dogshore build, restored and hashed" 300 "$W/ours"
