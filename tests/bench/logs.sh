#!/bin/bash
# The log of a build: a command that prints 200 MB of compiler output, masked with 20 secrets and stored. Limit: 300 MB/s,
# memory as for 20 MB. Beside it what one would write by hand: the same output through perl, which knows the secrets as
# they are and nothing else, into zstd.
. "$(dirname "$0")/lib.sh"

make_input() {
	python3 - "$W" <<-'P'
	import json, random, sys
	from pathlib import Path
	random.seed(5)
	folder = Path(sys.argv[1])
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
	secrets = ["".join(random.choices(letters, k=random.randint(8, 64))) for _ in range(20)]
	folders = ["base", "buildspec", "builders/image", "pipeline/engine", "services/rooms", "third_party/zlib"]
	words = "connection buffer handler request parse table secret machine https socket context github hook".split()
	lines, size = [], 0
	while size < 20_000_000:
	    where, name, kind = random.choice(folders), "_".join(random.choices(words, k=2)), random.random()
	    place = f"/codebuild/src/{where}/{name}.c:{random.randint(1, 900)}:{random.randint(1, 80)}"
	    if kind < .45:
	        line = (f"[{len(lines)}/99999] /usr/bin/cc -DNDEBUG -D_GNU_SOURCE -I/codebuild/src/{where} -O2 -g -Wall -std=c17 "
	                f"-MD -MF {where}/{name}.c.o.d -o {where}/{name}.c.o -c /codebuild/src/{where}/{name}.c\n")
	    elif kind < .75:
	        line = f"{place}: warning: comparison of integer expressions of different signedness [-Wsign-compare]\n"
	    elif kind < .95:
	        line = f"{random.randint(1, 900):5} |         for (int i = 0; i < {name}->size; i++)\n      |             ^\n"
	    elif kind < .951:
	        line = f"export TOKEN={random.choice(secrets)}\n"
	    else:
	        line = f"INFO {random.choice(words)} id={random.getrandbits(128):032x} took {random.randint(1, 5000)}us\n"
	    lines.append(line)
	    size += len(line)
	(folder / "input").write_text("".join(lines))
	(folder / "secrets.json").write_text(json.dumps({"parameter-store": {f"/s{i}": s for i, s in enumerate(secrets)}}))
	escaped = "|".join("\\Q" + s + "\\E" for s in sorted(secrets, key=len, reverse=True))
	(folder / "mask.pl").write_text(f"s{{{escaped}}}{{***}}g;")
	P
}

make_source() { # TIMES: how often a command prints the 20 MB
	mkdir -p "$W/src$1/job"
	printf 'app: bench\nservices:\n  job: {path: job}\n' >"$W/src$1/dogshore.yml"
	{
		printf 'version: 0.2\nenv:\n  parameter-store:\n'
		for i in {0..19}; do printf '    S%d: /s%d\n' "$i" "$i"; done
		printf 'phases:\n  build:\n    commands:\n      - for i in %s; do cat %s; done\n' "$(seq -s ' ' "$1")" "$W/input"
	} >"$W/src$1/job/buildspec.yml"
	git init -q -b main "$W/src$1"
	as_bench -C "$W/src$1" add --all
	as_bench -C "$W/src$1" commit -q -m x
}

# PRIORITY="nice -n -20" keeps what else runs on the machine out of the figures.
build() { # TIMES
	${PRIORITY:-} "$DOGSHORE" build job --repository "$W/src$1" --output "$W/out" --secrets-file "$W/secrets.json" --log stored --no-cache \
		--no-sandbox
}
by_hand() { # TIMES
	# shellcheck disable=SC2016
	${PRIORITY:-} sh -c 'for i in $(seq "$1"); do cat "$2"; done' x "$1" "$W/input" 2>&1 | ${PRIORITY:-} perl -pe "$(cat "$W/mask.pl")" | ${PRIORITY:-} zstd -q -1 -f -o "$W/by-hand.zst"
}
nothing() { ${PRIORITY:-} "$DOGSHORE" build job --repository "$W/src0" --output "$W/out0" --secrets-file "$W/secrets.json" --log stored --no-cache --no-sandbox; }
peak_kib() { # TIMES: of dogshore itself
	"$W/meas" "$W/peak" "$DOGSHORE" build job --repository "$W/src$1" --output "$W/out" \
		--secrets-file "$W/secrets.json" --log stored --no-cache --no-sandbox >>"$W/log" 2>&1
	tail -n 1 "$W/peak" | cut -d" " -f4
}

export DOGSHORE_STATE=$W/state
make_input
make_source 1
make_source 10
mkdir -p "$W/src0/job"
cp "$W/src1/dogshore.yml" "$W/src0/"
sed 's/- for .*/- "true"/' "$W/src1/job/buildspec.yml" >"$W/src0/job/buildspec.yml"
git init -q -b main "$W/src0"
as_bench -C "$W/src0" add --all
as_bench -C "$W/src0" commit -q -m x
export -f build by_hand nothing
export W DOGSHORE PRIORITY=${PRIORITY:-}
note "a command prints 200 MB, 20 secrets, $N each"
for ((i = 0; i < N; i++)); do
	timed "$W/ours.ms" bash -c 'build 10'
	timed "$W/nothing.ms" bash -c nothing
	timed "$W/hand.ms" bash -c 'by_hand 10'
done
figure "perl -pe and zstd, by hand" - "$W/hand.ms"
figure "a build that prints nothing" - "$W/nothing.ms"
figure "dogshore build, 200 MB masked and stored" "$(awk -v m="$(median <"$W/nothing.ms")" 'BEGIN { print m + 200 / 0.3 }')" "$W/ours.ms"
ratio "dogshore is faster than by hand by" "$W/ours.ms" "$W/hand.ms" 1
note "peak memory: $(peak_kib 1) KiB for 20 MB, $(peak_kib 10) KiB for 200 MB"
