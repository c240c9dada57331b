#!/bin/sh
# What sks_sendfile() costs for 1 GiB to one client, beside a bare loop of sendfile(2), or with --tls
# of read(2) and SSL_write(): the CPU time of both servers, in turn, and the median of their ratios.
# (examples/files is the server.)
#
# usage: sendfile.sh [--tls] BUILD_DIR [ROUNDS [MIB]]
set -u

tls=
bare_program=bare_sendfile
if [ "${1-}" = --tls ]; then
	tls=1
	bare_program=tls_sendfile
	shift
fi
if [ $# -lt 1 ] || [ ! -f "$1/examples/files.so" ] || [ ! -x "$1/tests/bench/$bare_program" ]; then
	echo "usage: sendfile.sh [--tls] BUILD_DIR [ROUNDS [MIB]]" >&2
	exit 2
fi
build=$(cd "$1" && pwd) || exit 2
rounds=${2:-9}
mib=${3:-1024}
bench=$build/tests/bench
tmp=$(mktemp -d) || exit 1
bare=
ours=
trap 'kill $bare $ours 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM

# cpu PID: nanoseconds of all of its threads
cpu() {
	cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# cost PID PORT: of one transfer
cost() {
	before=$(cpu "$1")
	taskset -c "${LOAD_CPUS:-1}" "$bench/$bare_program" get "$2" file >"$tmp/got" || exit 1
	echo $(($(cpu "$1") - before))
}

dd if=/dev/zero of="$tmp/file" bs=1M count="$mib" status=none && chmod 755 "$tmp" || exit 1
cp "$build/examples/files.so" "$tmp/" && chmod 755 "$tmp/files.so" || exit 1
mkfifo "$tmp/bare" "$tmp/ours" || exit 1
address=127.0.0.1:0
if [ -n "$tls" ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=localhost" \
	    -keyout "$tmp/key" -out "$tmp/cert.pem" 2>/dev/null && cat "$tmp/key" >>"$tmp/cert.pem" || exit 1
	export CERT="$tmp/cert.pem"
	address=tls:$address
fi
taskset -c "${SERVER_CPUS:-0}" "$bench/$bare_program" "$tmp/file" >"$tmp/bare" &
bare=$!
read -r line <"$tmp/bare"
bare_port=${line##*[: ]}
taskset -c "${SERVER_CPUS:-0}" "$build/handlers/socketserverd" "$tmp/files.so" -o "root=$tmp" \
    ${tls:+--cert "$tmp/cert.pem"} --listen "$address" 2>"$tmp/ours" &
ours=$!
exec 3<"$tmp/ours"
read -r line <&3
ours_port=${line##*:}

cost "$bare" "$bare_port" >"$tmp/warm"
cost "$ours" "$ours_port" >"$tmp/warm"
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	echo "$(cost "$bare" "$bare_port") $(cost "$ours" "$ours_port")"
done >"$tmp/costs"
awk '{ printf "bare %.0f ms, ours %.0f ms, %.3f\n", $1 / 1e6, $2 / 1e6, $2 / $1 }' "$tmp/costs"
awk '{ printf "%.3f\n", $2 / $1 }' "$tmp/costs" | sort -n |
    awk '{ ratio[NR] = $1 } END { print "median " ratio[int((NR + 1) / 2)] }'
