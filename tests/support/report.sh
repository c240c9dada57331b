# shellcheck shell=sh
# The lines by which a shell test reports each of its checks, and which
# tests/run.sh counts. To be sourced first of all; a test ends with report_end.
#
# A command that is not there, as a check with its name misspelt, fails the test.
# A shell goes on after it, and only bash calls a function then, so a test runs
# in bash where there is one.

if [ -z "${BASH_VERSION-}" ] && command -v bash >/dev/null; then
	exec bash --posix "$0" "$@"
fi

report_failed=0
report_missing=$(mktemp -u) || exit 2

# In a process of its own, whose output may go anywhere: so it leaves a note.
# shellcheck disable=SC2317 # called by bash
command_not_found_handle() {
	echo "$1" >>"$report_missing"
	echo "$0: $1: not found" >&2
	return 127
}

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
	if [ -e "$report_missing" ]; then
		not_ok "every command is there" "$(sort -u "$report_missing")"
		rm -f "$report_missing"
	fi
	exit "$report_failed"
}
