#!/bin/sh
# Makes docs/performance.md anew: measures all rows, then writes the tables and plots.

usage() {
	cat <<-'END'
	usage: page.sh [--seconds S] BUILD_DIR [ROUNDS]   measure: 10 minutes at most on an idle machine
	       page.sh --from-json                        only the tables and plots, of figures.json
	  --seconds S  of each slice (1)
	  ROUNDS       of each row (3; the curves have half of them)
	END
}

here=$(cd "$(dirname "$0")" && pwd) || exit 1
top=${here%/tests/bench}
figures=$top/docs/performance/figures.json

if [ "${1-}" != --from-json ]; then
	case $# in
	0) usage >&2; exit 2 ;;
	esac
	case $1 in
	-h|--help) usage; exit 0 ;;
	esac
	begun=$(date +%s)
	mkdir -p "$top/docs/performance" || exit 1
	sh "$here/run.sh" --all --json "$figures" "$@" || failed=1
	echo "$(($(date +%s) - begun)) seconds"
elif [ $# -ne 1 ]; then
	usage >&2
	exit 2
fi
python3 "$here/figures.py" page "$figures" "$top" || exit 1
python3 "$here/figures.py" plots "$figures" "$top/docs/performance" || exit 1
[ -z "${failed-}" ] || exit 1
