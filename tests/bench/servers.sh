# shellcheck shell=sh
# Starting and stopping what is measured. To be sourced by run.sh, which sets: bench, build, tmp,
# ours (the echo server, or the proxy), ours_last (its last arguments), python, here, server_cpus,
# load_cpus.

pids=

cleanup() {
	for p in $pids; do
		kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
	[ -z "$tmp" ] || rm -rf "$tmp"
}

# start_baseline COMMAND...: sets pid and port. It is ready when it prints "listening PORT".
start_baseline() {
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready" || fail "no fifo in $tmp"
	taskset -c "$server_cpus" "$@" 0 >"$tmp/ready" &
	pid=$!
	pids="$pids $pid"
	port=
	read -r word port <"$tmp/ready"
	[ "$word" = listening ] && [ -n "$port" ] || fail "$* did not start"
}

# start_program COMMAND...: sets pid and port. The command finds its port in the environment, as
# PORT, and is ready when a client can connect.
start_program() {
	port=$("$bench/load" --free-port) || fail "no free port"
	PORT=$port taskset -c "$server_cpus" sh -c 'exec '"$*" >"$tmp/log" 2>&1 &
	pid=$!
	pids="$pids $pid"
	"$bench/load" 127.0.0.1 "$port" --ready --pid "$pid" || server_failed "$*" "did not start"
}

server_failed() {
	tail -n 5 "$tmp/log" >&2
	fail "$*"
}

# start NAME: a server by the name that the table shows; sets pid and port
start() {
	case $1 in
	ours) start_program "$ours" "tcp:127.0.0.1:\$PORT" $ours_last ;;
	"ours, "*) start_program "$ours" ${1#ours, } "tcp:127.0.0.1:\$PORT" $ours_last ;;
	*": ours"*) # another build of the library: "FOLDER: ours", "FOLDER: ours, ARGUMENTS"
		other=${1#*: ours}
		start_program "${1%%: ours*}/examples/${ours##*/}" ${other#, } "tcp:127.0.0.1:\$PORT" \
		    $ours_last ;;
	"ours over TLS") start_program "$ours" --max-line 17000 --cert "$tmp/cert.pem" $ours_last \
	    "tls:127.0.0.1:\$PORT" ;;
	"bare epoll, TLS") start_baseline env "CERT=$tmp/cert.pem" "$bench/tls_echo" ;;
	socketserverd) start_program env "SOCKETSERVER_HANDLERS=$build/handlers" \
	    "$build/handlers/socketserverd" echo --listen "tcp:127.0.0.1:\$PORT" ;;
	"bare epoll") start_baseline "$bench/epoll_echo" ;;
	"bare epoll proxy") start_baseline "$bench/epoll_proxy" "$upstream_port" ;;
	libuv) start_baseline "$bench/uv_echo" ;;
	bufferevent) start_baseline "$bench/bufferevent_echo" ;;
	thread_echo|thread_lines|fork_echo|fork_lines) start_baseline "$bench/$1" ;;
	"Python, "*) start_baseline "$python" "$here/python_echo.py" --mode "${1#Python, }" ;;
	*) fail "no server is called $1" ;;
	esac
}

# Can a server of this name be had here? Sets why, when not.
is_there() {
	why=
	case $1 in
	libuv) [ -x "$bench/uv_echo" ] || why="built without libuv" ;;
	esac
	[ -z "$why" ]
}

# stop PID: sets status. It has five seconds to end, then it is killed.
stop() {
	kill -TERM "$1" 2>/dev/null
	tries=0
	while kill -0 "$1" 2>/dev/null && [ $tries -lt 100 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	status=$?
	left=
	for p in $pids; do
		[ "$p" = "$1" ] || left="$left $p"
	done
	pids=$left
}

# start_upstream: an echo server beside the load; sets upstream_port
start_upstream() {
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready" || fail "no fifo in $tmp"
	taskset -c "$load_cpus" "$bench/epoll_echo" 0 >"$tmp/ready" &
	pids="$pids $!"
	read -r _ upstream_port <"$tmp/ready"
	[ -n "$upstream_port" ] || fail "epoll_echo did not start"
}
