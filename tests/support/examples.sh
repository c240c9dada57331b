# shellcheck shell=sh
# What the shell tests of the example programs share, to be sourced with the
# folder of the build in $1: a folder $tmp, servers in slots, and real clients:
# socat, ncat, Python's socket module and our own.
#
# Nothing sleeps: a server is ready when its line is read, a client's answer
# is a line that comes, and a time limit of 20 seconds bounds each wait.
# shellcheck disable=SC2034,SC2317 # for who sources this; called by ask and by traps

bin=$(cd "$1/examples" && pwd) || exit 1
tmp=$(mktemp -d) || exit 1
pid=
slots=
files= # the soft limit of open files of the next servers
support=$(cd "$(dirname "$0")/../support" && pwd) || exit 1
# shellcheck source=tests/support/talk.sh
. "$support/talk.sh"
# shellcheck source=tests/support/signals.sh
. "$support/signals.sh"

cleanup() {
	for slot in $slots; do
		eval "kill -KILL \$pid_$slot" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# ---- reporting ----

# yes NAME COMMAND...: ok when the command succeeds
yes() {
	what=$1
	shift
	if "$@"; then
		ok "$what"
	else
		not_ok "$what" "$*"
	fi
}

has() {
	command -v "$1" >/dev/null
}

# ---- servers ----
# A slot is the descriptor (3 to 9) at which a server's output is read.

# start SLOT PROGRAM ARGUMENTS...: waits for the first line. Sets pid, line and
# address; 1 when it ends before, and then code and error.
# shellcheck disable=SC2086
start() {
	slot=$1
	program=$2
	shift 2
	rm -f "$tmp/lines"
	mkfifo "$tmp/lines" || exit 1
	if [ -n "$files" ]; then
		exec sh -c 'ulimit -S -n "$0"; exec "$@"' "$files" $hears_signals "$bin/$program" "$@"
	else
		exec $hears_signals "$bin/$program" "$@"
	fi >"$tmp/lines" 2>"$tmp/errors.$slot" &
	pid=$!
	eval "exec $slot<\"\$tmp/lines\""
	line=''
	code=0
	eval "read -r line <&$slot" || {
		wait "$pid"
		code=$?
		error=$(cat "$tmp/errors.$slot")
		return 1
	}
	address=${line##* }
	eval "pid_$slot=$pid"
	slots="$slots $slot"
}

# must_start ...: as start; ends the test when it does not
must_start() {
	start "$@" || {
		shift
		not_ok "start $*" "exit code $code: $error"
		exit 1
	}
}

# stop SLOT SIGNAL...: sets code, rest (its last lines) and error
stop() {
	slot=$1
	shift
	eval "pid=\$pid_$slot"
	for signal; do
		[ -n "$hears_signals" ] || [ "$signal" != INT ] || signal=TERM
		kill -"$signal" "$pid"
	done
	rest=$(eval "$limit cat <&$slot")
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	code=$?
	eval "exec $slot<&-"
	# A request that is just ending makes a drain, which is one line: no complaint where nothing is cut short.
	error=$(grep -v -e ' drained in .* 0 cancelled, 0 reset, 0 killed, 0 go on$' \
	    -e ' kept its loop for ' "$tmp/errors.$slot")
	left=
	for other in $slots; do
		[ "$other" = "$slot" ] || left="$left $other"
	done
	slots=$left
}

# stopped NAME: was the last stop in order, with statistics and no complaint?
stopped() {
	case "$code,$error,$rest" in
	"0,,"*"stopped: "*" connections, "*" datagrams, "*" bytes out") ok "$1" ;;
	*) not_ok "$1" "exit code $code" "stderr: $error" "stdout: $rest" ;;
	esac
}

# refused NAME CODE WORDS PROGRAM ARGUMENTS...: see refuses in talk.sh
refused() {
	name=$1 want=$2 words=$3 program=$4
	shift 4
	refuses "$name" "$want" "$words" "$bin/$program" "$@"
}

# ---- clients ----

cp "$support/client.py" "$tmp/"

# python NAME ARGUMENTS... <<SCRIPT: ok when it ends with code 0
python() {
	name=$1
	shift
	{
		cat "$tmp/client.py"
		cat
	} >"$tmp/script.py"
	if ! has python3; then
		skip "$name" "no python3"
	elif $limit python3 "$tmp/script.py" "$@" >"$tmp/out" 2>&1; then
		ok "$name"
	else
		not_ok "$name" "$(tail -n 5 "$tmp/out")"
	fi
}

# socat's notation for one of our addresses
socat_address() {
	case $1 in
	tcp:'['*) echo "TCP6:${1#tcp:}" ;;
	tcp:*) echo "TCP4:${1#tcp:}" ;;
	udp:'['*) echo "UDP6:${1#udp:}" ;;
	udp:*) echo "UDP4:${1#udp:}" ;;
	unix:@*) echo "ABSTRACT-CONNECT:${1#unix:@}" ;;
	unix:*) echo "UNIX-CONNECT:${1#unix:}" ;;
	unix-dgram:@*) echo "ABSTRACT-SENDTO:${1#unix-dgram:@},bind=sks-socat-$$" ;;
	unix-dgram:*) echo "UNIX-SENDTO:${1#unix-dgram:},bind=$tmp/socat.sock" ;;
	esac
}

ask_socat() {
	converse "$1" socat - "$(socat_address "$2")"
}

ask_ncat() {
	port=${2##*:}
	host=${2#*:}
	host=${host%:*}
	case $2 in
	tcp:'['*) host=${host#'['}; converse "$1" ncat -6 "${host%']'}" "$port" ;;
	tcp:*) converse "$1" ncat "$host" "$port" ;;
	udp:'['*) host=${host#'['}; converse "$1" ncat -u -6 "${host%']'}" "$port" ;;
	udp:*) converse "$1" ncat -u "$host" "$port" ;;
	unix:*) converse "$1" ncat -U "${2#unix:}" ;;
	unix-dgram:*) converse "$1" ncat -u -U "${2#unix-dgram:}" ;;
	esac
}

ask_echo_client() {
	printf '%s\n' "$1" | $limit "$bin/echo_client" "$2"
}

{
	cat "$tmp/client.py"
	cat <<'END'
s = connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
# a stream's first line may come in pieces, a datagram does not
line = s.recv(65536) if s.type == socket.SOCK_DGRAM else s.makefile("rb").readline()
sys.stdout.buffer.write(line)
END
} >"$tmp/ask.py"

ask_python3() {
	$limit python3 "$tmp/ask.py" "$2" "$1"
}

has_ipv6=
case $(cat /proc/net/if_inet6 2>/dev/null) in
*00000000000000000000000000000001*) has_ipv6=1 ;;
esac

# ask NAME CLIENT ADDRESS TEXT ANSWER
ask() {
	case $2,$3 in
	echo_client,*) ;;
	ncat,unix*:@*)
		skip "$1" "ncat knows no abstract names"
		return ;;
	*) has "$2" || {
		skip "$1" "no $2"
		return
	} ;;
	esac
	same "$1" "$5" "$("ask_$2" "$4" "$3")"
}
