# shellcheck shell=sh
# One comparison of servers: rounds of slices, and what comes of them. To be sourced by run.sh,
# which sets what servers.sh needs, and: only, beside, busy, loader, slices, parts, rounds.

# slice NUMBER: one load on the server of this number; its cost in ns to $tmp/ns.NUMBER
slice() {
	eval "slice_pid=\$pid_$1 slice_port=\$port_$1"
	taskset -c "$load_cpus" "$bench/$loader" 127.0.0.1 "$slice_port" --pid "$slice_pid" $load_arguments \
	    >"$tmp/out.$1" 2>"$tmp/err.$1" || return 1
	sed -n 's/^server_cpu_ns_per_[a-z]*=//p' "$tmp/out.$1" >"$tmp/ns.$1"
}

slices_at_once() {
	loads=
	for i in $numbers; do
		slice "$i" &
		loads="$loads $!"
	done
	for load in $loads; do
		wait "$load" || return 1
	done
}

slices_in_turn() {
	order=$numbers
	[ $((part % 2)) -eq 1 ] || order=$backwards
	for i in $order; do
		slice "$i" || return 1
	done
}

# one_round: appends to $tmp/slices, a line "ROUND NS_OF_0 NS_OF_1 ..." for each slice
one_round() {
	for i in $numbers; do
		eval "start \"\$name_$i\""
		eval "pid_$i=\$pid port_$i=\$port"
	done
	part=1
	while [ "$part" -le "$parts" ]; do
		"$slices" || {
			cat "$tmp"/err.* >&2
			server_failed "$title: a server failed under load"
		}
		line=$round
		for i in $numbers; do
			line="$line $(cat "$tmp/ns.$i")"
		done
		echo "$line" >>"$tmp/slices"
		part=$((part + 1))
	done
	for i in $numbers; do
		eval "stop \"\$pid_$i\""
		eval "who=\$name_$i"
		case "$status $who" in
		0\ *) ;;
		*ours*) server_failed "$who: ended with status $status, not 0, after SIGTERM" ;;
		esac
	done
}

add_server() {
	eval "name_$count=\$1"
	numbers="$numbers $count" backwards="$count $backwards"
	names="$names${names:+|}$1" limits="$limits${numbers:+|}$2"
	[ $count -gt 0 ] || limits=$2
	count=$((count + 1))
}

# add_servers SERVER[=LIMIT]...: those that are there
add_servers() {
	numbers= backwards= names= limits= count=0
	for server; do
		limit=
		case $server in *=*) limit=${server##*=} server=${server%=*} ;; esac
		is_there "$server" || {
			echo "$title: $server left out: $why"
			continue
		}
		add_server "$server" "$limit"
		case $server in
		ours*)	for other in $beside; do
				add_server "$other: $server" "$limit"
			done ;;
		esac
	done
}

# When a row was taken, and how much of the machine others used before; a part of its JSON
about() {
	printf '"date":"%s","busy_percent":%s' "$(date -u +%Y-%m-%dT%H:%MZ)" "$busy"
}

is_chosen() {
	case $title in *"$only"*) ;; *) return 1 ;; esac
}

# scenario TITLE UNIT LOAD_ARGUMENTS SERVER[=LIMIT]...: the first server is what the others are
# measured by. A limit is the most that a server may cost, times the first.
scenario() {
	title=$1 unit=$2 load_arguments=$3
	shift 3
	is_chosen || return 0
	add_servers "$@"
	: >"$tmp/slices"
	round=1
	while [ "$round" -le "$rounds" ]; do
		one_round
		round=$((round + 1))
	done
	awk -v title="$title" -v unit="$unit" -v load="$load_arguments" -v way="${slices#slices_}" \
	    -v names="$names" -v limits="$limits" -v parts="$parts" -v rows="$tmp/rows" -v about="$(about)" \
	    -f "$here/median.awk" -f "$here/report_cost.awk" "$tmp/slices"
}

# memory TITLE LOAD_ARGUMENTS SERVER...: bytes of each connection that is only held, one server
# after the other
memory() {
	title=$1 load_arguments=$2
	shift 2
	is_chosen || return 0
	add_servers "$@"
	: >"$tmp/bytes"
	for i in $numbers; do
		eval "start \"\$name_$i\""
		taskset -c "$load_cpus" "$bench/$loader" 127.0.0.1 "$port" --pid "$pid" $load_arguments \
		    >"$tmp/out" || server_failed "$title: a server failed while connections were held"
		stop "$pid"
		sed -n 's/^bytes_per_connection=//p' "$tmp/out" >>"$tmp/bytes"
	done
	awk -v title="$title" -v load="$load_arguments" -v names="$names" -v rows="$tmp/rows" -v about="$(about)" \
	    -f "$here/median.awk" -f "$here/report_memory.awk" "$tmp/bytes"
}

# latency TITLE LOAD_ARGUMENTS SERVER...: the open loop, at 70 % of what the first server does in a
# closed one; one server after the other, since loads that share a core delay each other's messages.
latency() {
	title=$1 load_arguments="$2 --seconds $seconds"
	shift 2
	is_chosen || return 0
	add_servers "$@"
	: >"$tmp/latencies"
	start "$1"
	pid_0=$pid port_0=$port
	slice 0 || server_failed "$title: the first server failed"
	stop "$pid"
	rate=$(awk -F= '$1 == "messages_per_second" { print int($2 * 0.7) }' "$tmp/out.0")
	load_arguments="$load_arguments --rate $rate"
	round=1
	while [ "$round" -le "$rounds" ]; do
		for i in $numbers; do
			eval "start \"\$name_$i\""
			eval "pid_$i=\$pid port_$i=\$port"
			slice "$i" || {
				cat "$tmp/err.$i" >&2
				server_failed "$title: a server failed under load"
			}
			stop "$pid"
			echo "$i $(awk -F= '/^(kept_up|p[0-9]*_ns)=/ { printf "%s ", $2 }' "$tmp/out.$i")"
		done >>"$tmp/latencies"
		round=$((round + 1))
	done
	awk -v title="$title" -v load="$load_arguments" -v rate="$rate" -v names="$names" \
	    -v rows="$tmp/rows" -v about="$(about)" -f "$here/median.awk" -f "$here/report_latency.awk" "$tmp/latencies"
}
