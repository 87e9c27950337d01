#!/bin/bash
# A JUnit report of CASES (100000) cases: read, masked, copied, each case written as a line of JSON, by a whole
# `dogshore buildspec run`. Beside it what a script would do: python3's xml.etree, which reads and counts only.
. "$(dirname "$0")/lib.sh"

make_report() { # FILE CASES
	awk -v n="$2" 'BEGIN {
		print "<?xml version=\"1.0\"?>\n<testsuites>"
		for (i = 0; i < n; i++) {
			if (i % 100 == 0) printf "%s<testsuite name=\"shop.module%d\">\n", i ? "</testsuite>\n" : "", i / 100
			printf "<testcase classname=\"shop.module%d.CartTest\" name=\"adds_item_%d_to_the_cart\" time=\"0.%03d\"", i / 100, i, i % 1000
			if (i % 100 == 50) printf "><failure message=\"expected 1, got 2\">Traceback\n  File \"cart.py\", line 3\n    assert a == b\n</failure></testcase>\n"
			else print "/>"
		}
		print "</testsuite>\n</testsuites>" }' >"$1"
}

make_source() { # FOLDER CASES
	mkdir -p "$1"
	printf 'version: 0.2\nphases: {build: {commands: ["true"]}}\nreports: {unit: {files: ["*.xml"]}}\n' >"$1/buildspec.yml"
	make_report "$1/report.xml" "$2"
}

build() { "$DOGSHORE" buildspec run --json --source "$1" --reports "$W/out"; }
cat >"$W/count.py" <<-'P'
	import sys, xml.etree.ElementTree as tree
	cases = failed = 0
	for _, element in tree.iterparse(sys.argv[1]):
	    if element.tag == "testcase":
	        cases += 1
	        failed += element.find("failure") is not None
	        element.clear()
	print(cases - failed, failed)
P

cases=${CASES:-100000}
make_source "$W/large" "$cases"
make_source "$W/none" 1
note "a JUnit report of $cases cases, $(($(stat -c %s "$W/large/report.xml") / 1000000)) MB"
said=$(build "$W/large" 2>>"$W/log" | jq -r '.reports[0].totals | "\(.passed) \(.failed)"')
[ "$said" = "$(python3 "$W/count.py" "$W/large/report.xml")" ] || { echo "dogshore counts $said, python3 something else" >&2; exit 1; }

for ((i = 0; i < N; i++)); do
	timed "$W/python" python3 "$W/count.py" "$W/large/report.xml"
	timed "$W/none.ms" "$DOGSHORE" buildspec run --json --source "$W/none" --reports "$W/out"
	timed "$W/ours" "$DOGSHORE" buildspec run --json --source "$W/large" --reports "$W/out"
done
figure "python3 xml.etree.iterparse: counts" - "$W/python"
figure "dogshore buildspec run, a report of 1 case" - "$W/none.ms"
figure "dogshore buildspec run, a report of $cases cases" 1000 "$W/ours"
ratio "dogshore against python3" "$W/ours" "$W/python" 1

# Memory must not grow with the report.
for size in 1 4; do
	make_source "$W/grow$size" "$((cases * size / 2))"
	timed "$W/grown" "$DOGSHORE" buildspec run --json --source "$W/grow$size" --reports "$W/out"
	note "$((cases * size / 2)) cases: $(tail -n 1 "$W/meas.out" | cut -d' ' -f4) KB resident"
done
