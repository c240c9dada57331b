#!/bin/sh
# The figures of docs/performance: the JSON is whole, the pages say what is in it, and the plots can
# be made of it.
#
# usage: check_performance.sh SOURCE_DIR
set -u

if [ $# -ne 1 ] || [ ! -f "$1/docs/performance/figures.json" ]; then
	echo "usage: check_performance.sh SOURCE_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
source=$(cd "$1" && pwd) || exit 2
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM
figures=$source/docs/performance/figures.json

none "figures.json is whole" "$(python3 - "$figures" 2>&1 <<'PYTHON'
import json, sys
with open(sys.argv[1]) as f:
    data = json.load(f)
needed = {"cpu": {"ns", "ratio", "low", "high"}, "memory": {"bytes"},
          "latency": {"kept_up", "p50_ns", "p99_ns", "p999_ns"}}
for key in ("machine", "versions", "rows"):
    if not data.get(key):
        print("no", key)
for row in data["rows"]:
    if not {"title", "load", "date", "busy_percent", "seconds"} <= row.keys():
        print(row)
    for server in row["servers"]:
        if not server.get("name") or not needed[row["kind"]] <= server.keys():
            print(row["title"], server)
for kind in needed:
    if not any(row["kind"] == kind for row in data["rows"]):
        print("no row of", kind)
PYTHON
)"

mkdir "$tmp/docs" && cp "$source/README.md" "$tmp/" && cp "$source/docs/performance.md" "$tmp/docs/" || exit 2
none "the tables are made" "$(python3 "$source/tests/bench/figures.py" page "$figures" "$tmp" 2>&1)"
for page in README.md docs/performance.md; do
	none "$page says what is in figures.json (page.sh --from-json writes it)" \
	    "$(diff "$source/$page" "$tmp/$page")"
done

if command -v gnuplot >/dev/null; then
	none "the plots are made" \
	    "$(python3 "$source/tests/bench/figures.py" plots "$figures" "$tmp/plots" 2>&1)"
	for plot in cost latency connections lines sizes; do
		none "$plot.svg is one" "$(python3 -c '
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
if not root.tag.endswith("svg") or not any("libsocketserver" in (text or "") for text in root.itertext()):
    print("it does not show libsocketserver")' "$tmp/plots/$plot.svg" 2>&1)"
	done
else
	skip "the plots are made" "there is no gnuplot"
fi

report_end
