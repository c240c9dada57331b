#!/bin/sh
# socketserverd --metrics: the statistics of a server beside its handler, as curl gets them in each mode.
#
# usage: check_metrics.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_metrics.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"

refuses "--metrics: no address" 2 "address nonsense: " "$daemon" hello --listen "unix:$tmp/s" --metrics nonsense
refuses "--metrics: no datagrams" 2 "metrics: listen on udp:127.0.0.1:0: it does not serve datagrams" \
    "$daemon" hello --listen "unix:$tmp/s" --metrics udp:127.0.0.1:0
rm "$tmp/handlers/metrics.so"
refuses "--metrics without the handler" 1 "plugin metrics: not found" \
    "$daemon" hello --listen "unix:$tmp/s" --metrics 127.0.0.1:0
none "nothing is left half started" "$(find "$tmp" -type s)"
cp "$build/handlers/metrics.so" "$tmp/handlers/"

if ! command -v curl >/dev/null; then
	skip "--metrics" "there is no curl"
	report_end
fi

for mode in fibers serial threads processes; do
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	"$daemon" hello --mode "$mode" --listen "unix:$tmp/s" --metrics 127.0.0.1:0 2>"$tmp/log" &
	pid=$!
	exec 3<"$tmp/log"
	read -r line <&3
	same "$mode: the handler is listening" "socketserver: hello: listening on unix:$tmp/s" "$line"
	read -r line <&3
	address=${line##*tcp:}
	same "$mode: and so are the metrics" "socketserver: metrics: listening on tcp:$address" "$line"

	$limit curl -s -S "http://$address/metrics" >"$tmp/first" 2>&1
	same "$mode: it begins and ends" "# TYPE socketserver_requests gauge, # EOF" \
	    "$(head -n 1 "$tmp/first"), $(tail -n 1 "$tmp/first")"
	same "$mode: its type" "200 application/openmetrics-text; version=1.0.0; charset=utf-8" \
	    "$($limit curl -s -S -o /dev/null -w '%{http_code} %{content_type}' "http://$address/metrics" 2>&1)"
	same "$mode: each scrape is a connection" "socketserver_connections_accepted_total 3" \
	    "$($limit curl -s -S "http://$address/metrics" 2>&1 | grep accepted_total)"
	same "$mode: nothing else is there" 404 \
	    "$($limit curl -s -S -o /dev/null -w '%{http_code}' "http://$address/" 2>&1)"

	kill -TERM "$pid"
	rest=$($limit cat <&3)
	wait "$pid"
	same "$mode: it ends, and nothing has failed" "0 1" "$? $(echo "$rest" | grep -c ' 0 failed')"
	pid=
	exec 3<&-
done

report_end
