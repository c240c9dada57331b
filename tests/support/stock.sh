# shellcheck shell=sh
# socketserverd, each line of whose log is looked at, and questions to its stock handlers; to be
# sourced behind daemon.sh and talk.sh, with the source folder in $1.
# shellcheck disable=SC2154 # what those set

# refused NAME CODE WORDS ARGUMENT...: see refuses in talk.sh
refused() {
	name=$1 want=$2 words=$3
	shift 3
	refuses "$name" "$want" "$words" "$daemon" "$@"
}

# start LINES ARGUMENT...: waits for so many lines about addresses; sets addresses, which are
# separated by blanks. 1 when it ends before. Its log is read at descriptor 3.
start() {
	lines=$1
	shift
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	# shellcheck disable=SC2086
	$hears_signals "$daemon" "$@" 2>"$tmp/log" >"$tmp/out" &
	pid=$!
	exec 3<"$tmp/log"
	addresses=
	while [ "$lines" -gt 0 ]; do
		if ! read -r line <&3; then
			not_ok "socketserverd $*" "it ended"
			wait "$pid"
			pid=
			return 1
		fi
		case $line in
		*": listening on "*)
			addresses="$addresses${addresses:+ }${line##* }"
			lines=$((lines - 1)) ;;
		*) not_ok "socketserverd $*" "$line" ;;
		esac
	done
}

# stop NAME SIGNAL...: holds when it ends with 0, and statistics as its last line
stop() {
	name=$1
	shift
	for signal; do
		[ -n "$hears_signals" ] || [ "$signal" != INT ] || signal=TERM
		kill -"$signal" "$pid"
	done
	rest=$($limit cat <&3)
	wait "$pid"
	code=$?
	pid=
	exec 3<&-
	case $code,$rest in
	"0,socketserver: "*": stopped: "*" connections, "*" bytes out") ok "$name" ;;
	*) not_ok "$name" "exit code $code" "$rest" ;;
	esac
}

cat "$1/tests/support/client.py" "$1/tests/support/stock.py" >"$tmp/ask.py"

# asked NAME HANDLER ADDRESS...
asked() {
	name=$1
	shift
	if ! command -v python3 >/dev/null; then
		skip "$name" "no python3"
	elif $limit python3 "$tmp/ask.py" "$@" >"$tmp/said" 2>&1; then
		ok "$name"
	else
		not_ok "$name" "$(tail -n 5 "$tmp/said")"
	fi
}
