# shellcheck shell=sh
# The users handler behind a proxy, for the scripts of proxies; to be sourced behind daemon.sh. $limit
# bounds what waits.
# shellcheck disable=SC2154 # what daemon.sh sets

# start ARGUMENT...: users, on two addresses; sets pid and ports. Its log is in $tmp/log.
start() {
	rm -f "$tmp/lines"
	mkfifo "$tmp/lines" || exit 2
	"$daemon" "$@" users 2>"$tmp/lines" &
	pid=$!
	exec 3<"$tmp/lines"
	ports=
	: >"$tmp/log"
	while read -r line <&3; do
		echo "$line" >>"$tmp/log"
		case $line in
		*": listening on proxy:"*) ports="$ports ${line##*:}" ;;
		esac
		# shellcheck disable=SC2086
		set -- $ports
		[ $# -lt 2 ] || return 0
	done
	not_ok "socketserverd users" "$(cat "$tmp/log")"
	wait "$pid"
	return 1
}

stop() {
	kill -TERM "$pid"
	$limit cat <&3 >>"$tmp/log"
	wait "$pid"
	exec 3<&-
}
