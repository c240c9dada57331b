# shellcheck shell=sh
# A daemon that other programs are put in front of, or beside; to be sourced behind daemon.sh. $limit
# bounds what waits.
# shellcheck disable=SC2154 # what daemon.sh sets

# start COUNT HANDLER ARGUMENT...: the handler, which listens on COUNT addresses; sets pid and ports. Its
# log is in $tmp/log.
start() {
	count=$1
	shift
	rm -f "$tmp/lines"
	mkfifo "$tmp/lines" || exit 2
	"$daemon" "$@" 2>"$tmp/lines" &
	pid=$!
	exec 3<"$tmp/lines"
	ports= heard=0
	: >"$tmp/log"
	while read -r line <&3; do
		echo "$line" >>"$tmp/log"
		case $line in
		*": listening on "*) ports="$ports ${line##*:}" heard=$((heard + 1)) ;;
		esac
		[ $heard -lt "$count" ] || return 0
	done
	not_ok "socketserverd $*" "$(cat "$tmp/log")"
	wait "$pid"
	return 1
}

stop() {
	kill -TERM "$pid"
	$limit cat <&3 >>"$tmp/log"
	wait "$pid"
	exec 3<&-
}
