# shellcheck shell=sh
# The lines by which a shell test reports each of its checks, and which
# tests/run.sh counts. To be sourced; a test ends with report_end.

report_failed=0

ok() {
	echo "ok - $1"
}

# not_ok NAME [WHY]...
not_ok() {
	echo "not ok - $1"
	shift
	for report_why; do
		echo "$report_why" | sed 's/^/#   /'
	done
	report_failed=1
}

# skip NAME REASON
skip() {
	echo "skip - $1: $2"
}

# none NAME BREACHES: holds when there are none
none() {
	if [ -z "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "$2"
	fi
}

# same NAME EXPECTED GOT
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "expected: $2" "got: $3"
	fi
}

report_end() {
	exit "$report_failed"
}
