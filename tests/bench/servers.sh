# shellcheck shell=sh
# Starting and stopping what is measured. To be sourced by run.sh, which sets: bench, build, tmp,
# ours (the echo server, or the proxy), ours_options and ours_last (its arguments before and behind
# the address), python, here, server_cpus, load_cpus.

pids= upstream_port=

kill_servers() {
	for p in $pids; do
		kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
}

cleanup() {
	kill_servers
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

# The servers by the name that a table shows: what each serves, the package that it comes from,
# where it is optional, the file without which it is not there, and how it is started. One that
# echoes bytes looks for no lines; a tunnel ends TLS before an echo server.
table() {
	cat <<-'END'
	bare epoll|bytes||$bench/epoll_echo|start_baseline "$bench/epoll_echo"
	bare epoll, TLS|bytes|libssl-dev|$bench/tls_echo|start_baseline env "CERT=$tmp/cert.pem" "$bench/tls_echo"
	bare epoll proxy|bytes||$bench/epoll_proxy|start_baseline "$bench/epoll_proxy" "$upstream_port"
	bare, UDP|datagrams||$bench/udp_echo|start_baseline "$bench/udp_echo"
	bare, hello|hello||$bench/hello_bare|start_baseline "$bench/hello_bare"
	thread_echo|bytes||$bench/thread_echo|start_baseline "$bench/thread_echo"
	thread_lines|lines||$bench/thread_lines|start_baseline "$bench/thread_lines"
	fork_echo|bytes||$bench/fork_echo|start_baseline "$bench/fork_echo"
	fork_lines|lines||$bench/fork_lines|start_baseline "$bench/fork_lines"
	socketserverd|lines||$build/handlers/socketserverd|start_daemon
	libuv|bytes|libuv1-dev|$bench/uv_echo|start_baseline "$bench/uv_echo"
	bufferevent|bytes|libevent-dev|$bench/bufferevent_echo|start_baseline "$bench/bufferevent_echo"
	State Threads|bytes|libst-dev|$bench/st_echo|start_baseline "$bench/st_echo"
	Go|bytes|golang-go|$go_echo|start_baseline env GOMAXPROCS=1 "$go_echo"
	Go, TLS|bytes|golang-go|$go_echo|start_baseline env GOMAXPROCS=1 "$go_echo" -cert "$tmp/cert.pem"
	Go, UDP|datagrams|golang-go|$go_echo|start_baseline env GOMAXPROCS=1 "$go_echo" -udp
	Go, hello|hello|golang-go|$go_echo|start_baseline env GOMAXPROCS=1 "$go_echo" -hello
	Go, two cores|bytes|golang-go|$go_echo|start_baseline env GOMAXPROCS=2 "$go_echo"
	asyncio|bytes||$python|start_baseline "$python" "$here/asyncio_echo.py"
	asyncio, UDP|datagrams||$python|start_baseline "$python" "$here/asyncio_echo.py" --udp
	asyncio, hello|hello||$python|start_baseline "$python" "$here/asyncio_echo.py" --hello
	gevent|bytes|python3-gevent|$gevent|start_baseline "$gevent" "$here/gevent_echo.py"
	Python, threads|lines||$python|start_baseline "$python" "$here/python_echo.py" --mode threads
	Python, processes|lines||$python|start_baseline "$python" "$here/python_echo.py" --mode processes
	Apache mod_echo|bytes|apache2|/usr/lib/apache2/modules/mod_echo.so|start_other apache
	nginx|tunnel|libnginx-mod-stream|/usr/lib/nginx/modules/ngx_stream_module.so|start_other nginx
	HAProxy|tunnel|haproxy|/usr/sbin/haproxy|start_other haproxy
	stunnel|tunnel|stunnel4|/usr/bin/stunnel4|start_other stunnel
	END
}

start_daemon() {
	start_program env "SOCKETSERVER_HANDLERS=$build/handlers" "$build/handlers/socketserverd" echo \
	    --listen "tcp:127.0.0.1:\$PORT"
}

# start_other DAEMON: one with a configuration of its own
start_other() {
	start_program sh "$here/daemon.sh" "$1" "$tmp" "\$PORT" "$upstream_port" "$tmp/cert.pem"
}

# find_server NAME: its line of the table, as package, file and command
find_server() {
	package= file= command=
	IFS='|' read -r name _ package file command <<-END
	$(table | awk -F'|' -v name="$1" '$1 == name')
	END
	[ -n "$name" ] || return 1
	eval "file=\"$file\""
}

# start NAME: a server by the name that the table shows; sets pid and port
start() {
	case $1 in
	ours) start_program "$ours" $ours_options "tcp:127.0.0.1:\$PORT" $ours_last ;;
	"ours over TLS") start_program "$ours" $ours_options --cert "$tmp/cert.pem" \
	    "tls:127.0.0.1:\$PORT" $ours_last ;;
	"ours, UDP") start_program "$ours" "127.0.0.1:\$PORT" ;;
	"ours, "*) start_program "$ours" ${1#ours, } $ours_options "tcp:127.0.0.1:\$PORT" $ours_last ;;
	*": ours"*) # another build of the library: "FOLDER: ours", "FOLDER: ours, ARGUMENTS"
		other=${1#*: ours}
		start_program "${1%%: ours*}/examples/${ours##*/}" ${other#, } $ours_options \
		    "tcp:127.0.0.1:\$PORT" $ours_last ;;
	*)	find_server "$1" || fail "no server is called $1"
		eval "$command" ;;
	esac
}

# Can a server of this name be had here? Sets why, when not.
is_there() {
	why=
	case $1 in
	*ours*) return 0 ;;
	esac
	find_server "$1" || fail "no server is called $1"
	[ -n "$file" ] && [ -e "$file" ] || why="no ${package:-file $file}"
	[ -z "$why" ]
}

# find_optional: sets gevent, a python3 that has it, and go_echo, built here when it is out of date
find_optional() {
	gevent=
	for candidate in "$python" /usr/bin/python3; do
		if "$candidate" -c 'import gevent' 2>/dev/null; then
			gevent=$candidate
			break
		fi
	done
	go_echo=$bench/go_echo
	if command -v go >/dev/null && [ -n "$(find "$here/go_echo.go" -newer "$go_echo" 2>&1)" ]; then
		GO111MODULE=off go build -o "$go_echo" "$here/go_echo.go" || fail "go_echo is not built"
	fi
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
