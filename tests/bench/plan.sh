#!/bin/bash
# plan on a monorepo of SERVICES (1000) x FILES (100), one file changed, against git diff. Whole processes.
# Then the same with five times the files: it must not grow with what did not change.
. "$(dirname "$0")/lib.sh"

make_repository() { # FOLDER SERVICES FILES
	git init -q -b main "$1"
	awk -v s="$2" -v f="$3" 'BEGIN {
		print "commit refs/heads/main\ncommitter x <x@x> 1700000000 +0000\ndata 1\na"
		yml = "app: bench\nservices:\n"
		for (i = 0; i < s; i++) {
			name = sprintf("s%04d", i)
			yml = yml "  " name ":\n    path: services/" name "\n"
			spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - true\n"
			printf "M 100644 inline services/%s/buildspec.yml\ndata %d\n%s\n", name, length(spec), spec
			for (j = 0; j < f; j++) {
				d = "service " i " file " j "\n"
				for (k = 0; k < 20; k++) d = d "line " k * i + j " of the file\n"
				printf "M 100644 inline services/%s/src/f%03d.c\ndata %d\n%s\n", name, j, length(d), d
			}
		}
		yml = yml "environments:\n  local: {target: local}\n"
		printf "M 100644 inline dogshore.yml\ndata %d\n%s\n", length(yml), yml
		print "commit refs/heads/main\ncommitter x <x@x> 1700000001 +0000\ndata 1\nb"
		printf "M 100644 inline services/s%04d/src/f%03d.c\ndata 5\nnew!\n\n", int(s / 2), int(f / 2) }' |
		git -C "$1" fast-import --quiet
	git -C "$1" symbolic-ref HEAD refs/heads/main
}

export DOGSHORE_STATE=$W/state
make_repository "$W/small" "${SERVICES:-1000}" "${FILES:-100}"
make_repository "$W/large" "${SERVICES:-1000}" "$((${FILES:-100} * 5))"
note "plan: ${SERVICES:-1000} services x ${FILES:-100} files, one changed"

answer=$(cd "$W/small" && "$DOGSHORE" plan main --since main~1 --json | jq -r '[.services[] | select(.action == "build") | .name] | join(" ")')
[ "$answer" = "$(printf 's%04d' $((${SERVICES:-1000} / 2)))" ] || { echo "plan says: $answer" >&2; exit 1; }
for ((i = 0; i < N * 3; i++)); do
	cd "$W/small"
	timed "$W/git" git diff --name-only main~1 main
	timed "$W/ours" "$DOGSHORE" plan main --since main~1
	cd "$W/large"
	timed "$W/ours_large" "$DOGSHORE" plan main --since main~1
done
figure "git diff --name-only" - "$W/git"
figure "dogshore plan" 10 "$W/ours"
figure "dogshore plan, five times the unchanged files" 10 "$W/ours_large"
