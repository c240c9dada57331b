#!/bin/sh
# examples/files, the plugin that serves a folder over HTTP, as curl sees it in each mode.
#
# usage: check_files.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$2/examples/files.so" ]; then
	echo "usage: check_files.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"
if ! command -v curl >/dev/null; then
	skip "files" "there is no curl"
	report_end
fi

cp "$build/examples/files.so" "$tmp/" && mkdir -p "$tmp/www/folder" && cd "$tmp/www" || exit 2
head -c 3000000 /dev/urandom >large.png
echo "a small file" >small.txt
echo "<p>index" >index.html
echo "hidden" >.hidden
: >empty
echo "outside" >../outside
mkfifo fifo
echo "with a blank" >"folder/a file"

# get PATH CURL-OPTION...: what curl prints
get() {
	path=$1
	shift
	$limit curl -s -S --path-as-is "$@" "http://$address$path" 2>&1
}

# status PATH CURL-OPTION...
status() {
	get "$@" -o /dev/null -w '%{http_code}'
}

for mode in fibers serial threads processes; do
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	"$daemon" "$tmp/files.so" -o "root=$tmp/www" --mode "$mode" --listen 127.0.0.1:0 2>"$tmp/log" &
	pid=$!
	exec 3<"$tmp/log"
	read -r line <&3
	address=${line##*tcp:}

	none "$mode: a large file comes as it is" "$(get /large.png | cmp - large.png 2>&1)"
	same "$mode: a small one, too" "a small file" "$(get /small.txt)"
	same "$mode: its type and size" "200 text/plain; charset=utf-8 13" \
	    "$(get /small.txt -o /dev/null -w '%{http_code} %{content_type} %{size_download}')"
	same "$mode: an empty one" "200 0" "$(get /empty -w '%{http_code} %{size_download}')"
	same "$mode: a folder's index" "<p>index" "$(get '/?query')"
	same "$mode: a name with a blank" "with a blank" "$(get /folder/a%20file)"
	same "$mode: the headers alone" "200 3000000" \
	    "$(get /large.png -I -o /dev/null -w '%{http_code} %header{content-length}')"
	same "$mode: two files over one connection" "1 0 " "$(get "/small.txt" -o /dev/null -w '%{num_connects} ' \
	    -o /dev/null "http://$address/large.png")"
	same "$mode: no file, a folder, a fifo" "404 404 404" \
	    "$(status /none) $(status /folder) $(status /fifo)"
	same "$mode: nothing hidden, and nothing above" "400 400 400 400" \
	    "$(status /.hidden) $(status /../outside) $(status /%2e%2e/outside) $(status /folder/..%2foutside)"
	same "$mode: what is no GET" "501" "$(status /small.txt -d x=1)"

	kill -TERM "$pid"
	rest=$($limit cat <&3)
	wait "$pid"
	same "$mode: it ends, and nothing has failed" "0 1" "$? $(echo "$rest" | grep -c ' 0 failed')"
	pid=
	exec 3<&-
done

report_end
