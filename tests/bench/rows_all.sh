# shellcheck shell=sh
# The rows of run.sh --all. To be sourced by it. A slice lasts $seconds, whatever a server can do, so
# that the time of the whole is known: a row of all servers at once takes rounds * parts * (seconds
# + 1), one of servers in turn that for each of them.

failed=

# row COMMAND...: a row that fails is left out, and the others go on
row() {
	(
		pids=
		trap kill_servers EXIT
		trap 'exit 143' HUP INT TERM
		busy=$(python3 "$here/figures.py" busy)
		"$@"
	) || failed=1
}

peers="libuv|bufferevent|State Threads|Go|asyncio|gevent"

# with_peers TITLE UNIT LOAD_ARGUMENTS: a scenario of all servers that have one thread
with_peers() {
	with_title=$1 with_unit=$2 with_load="$3 --seconds $seconds"
	with_ifs=$IFS
	IFS='|'
	# shellcheck disable=SC2086
	set -- $peers
	IFS=$with_ifs
	row scenario "$with_title" "$with_unit" "$with_load" "bare epoll" ours "$@"
}

find_optional
main_rounds=${rounds:-3} curve_rounds=$(((${rounds:-3} + 1) / 2))

# ---- what README shows ----

rounds=$main_rounds parts=4
with_peers "64 connections" message "--connections 64"
with_peers "16 lines in a send, 64 connections" line "--connections 64 --pipeline 16"
with_peers "1000 connections" message "--connections 1000"

# Servers with a thread for each connection get more of a core that they share, so they have it in
# turn. Their ratios are to the bare epoll loop in the same turn.
slices=slices_in_turn parts=2 rounds=$curve_rounds
ours_options="--max-running 1100"
threaded() {
	row scenario "$1, a thread each" "$2" "$3 --seconds $seconds" "bare epoll" "ours, --mode threads" \
	    thread_echo "Apache mod_echo" "Python, threads"
}
threaded "64 connections" message "--connections 64"
threaded "16 lines in a send, 64 connections" line "--connections 64 --pipeline 16"
threaded "1000 connections" message "--connections 1000"

# ---- latency ----

rounds=$main_rounds ours_options=
row latency "open loop, 64 connections" "--connections 64" \
    "bare epoll" ours libuv bufferevent "State Threads" Go asyncio gevent

# ---- curves ----

slices=slices_at_once parts=3 rounds=$curve_rounds
ours_options="--max-connections 9500 --timeout 0 --idle 0"
with_peers "1 connection" message "--connections 1"
with_peers "8 connections" message "--connections 8"
with_peers "4 lines in a send, 64 connections" line "--connections 64 --pipeline 4"
with_peers "64 lines in a send, 64 connections" line "--connections 64 --pipeline 64"
ours_options="--max-line 2M"
with_peers "16 bytes, 64 connections" message "--connections 64 --size 16"
with_peers "1 KiB, 64 connections" message "--connections 64 --size 1024"
with_peers "16 KiB, 64 connections" message "--connections 64 --size 16384"
with_peers "128 KiB, 16 connections" message "--connections 16 --size 131072 --warmup 64"
with_peers "1 MiB, 16 connections" message "--connections 16 --size 1048576 --warmup 16"
ours_options="--max-connections 9500 --timeout 0 --idle 0"
parts=2
with_peers "9000 connections" message "--connections 9000 --warmup 9000"
with_peers "64 connections active among 9000 idle" message \
    "--connections 64 --idle 9000 --concurrency 256"
ours_options=

# ---- other work ----

parts=3
with_peers "a connection, one line, an orderly end" connection "--connect 500"
with_peers "a connection, one line, a reset" connection "--connect 500 --reset"
ours=$build/examples/hello_server
row scenario "a connection, Hello World" connection "--connect 500 --hello --seconds $seconds" \
    "bare, hello" ours "Go, hello" "asyncio, hello"
ours=$build/examples/echo_server
row scenario "datagrams, 64 clients" message "--connections 64 --udp --seconds $seconds" \
    "bare, UDP" "ours, UDP" "Go, UDP" "asyncio, UDP"

# ---- TLS ----

if [ -x "$bench/tls_load" ]; then
	make_certificate
	loader=tls_load
	row scenario "TLS, 64 connections" message "--connections 64 --messages 100000000 --seconds $seconds" \
	    "bare epoll, TLS" "ours over TLS" "Go, TLS"
	row scenario "TLS, a handshake and a line" connection "--handshakes 100000000 --seconds $seconds" \
	    "bare epoll, TLS" "ours over TLS" "Go, TLS"
	start_upstream
	ours=$build/examples/proxy ours_last=127.0.0.1:$upstream_port
	row scenario "TLS before an echo server, 64 connections" message \
	    "--connections 64 --messages 100000000 --seconds $seconds" "ours over TLS" nginx HAProxy
	slices=slices_in_turn parts=2
	row scenario "TLS before an echo server, 64 connections, in turn" message \
	    "--connections 64 --messages 100000000 --seconds $seconds" "ours over TLS" stunnel
	slices=slices_at_once
	ours=$build/examples/echo_server ours_last= loader=load
fi

# ---- modes, two cores ----

slices=slices_in_turn parts=2
row scenario "processes, one line a connection" connection "--connect 500 --children --seconds $seconds" \
    fork_echo "ours, --mode processes" fork_lines "Python, processes"
row scenario "under socketserverd, 64 connections" message "--connections 64 --seconds $seconds" \
    ours socketserverd
one_core=$server_cpus
server_cpus="$server_cpus,$load_cpus"
row scenario "two workers, 64 connections" message "--connections 64 --seconds $seconds" \
    "ours, --workers 1" "ours, --workers 2" "Go, two cores"
server_cpus=$one_core

# ---- memory ----

ours_options="--max-connections 9500 --timeout 0 --idle 0"
row memory "idle, plain" "--hold 9000 --speak --concurrency 256" \
    "bare epoll" "ours, --keep" ours libuv bufferevent "State Threads" Go asyncio gevent
if [ -x "$bench/tls_load" ]; then
	loader=tls_load ours_last=--keep
	row memory "idle, TLS" "--hold 500" "bare epoll, TLS" "ours over TLS" "Go, TLS" nginx HAProxy stunnel
	loader=load ours_last=
fi
ours_options=
