#!/bin/sh
# Builds the fuzz targets with clang, AddressSanitizer and UndefinedBehaviour-
# Sanitizer, and runs each for some seconds. Prints "ok - NAME", "not ok - NAME"
# or "skip - NAME: REASON" for each; exit code 1 when one failed. What made a
# target fail is kept in the folder.
#
# usage: tests/fuzz/run.sh FOLDER [SECONDS]
set -u

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	echo "usage: tests/fuzz/run.sh FOLDER [SECONDS]" >&2
	exit 2
fi
source=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
mkdir -p "$1" && folder=$(cd "$1" && pwd) || exit 2
seconds=${2-10}
cd "$source" || exit 2
flags="-g -O1 -std=gnu11 -D_GNU_SOURCE -Iinclude -Ilib -fsanitize=fuzzer,address,undefined
-fno-sanitize-recover=all"

# fuzz NAME SOURCE...
fuzz() {
	name=$1
	shift
	# shellcheck disable=SC2086
	if ! clang $flags -o "$folder/$name" "tests/fuzz/$name.c" "$@" >"$folder/$name.log" 2>&1; then
		not_ok "$name" "it does not compile" "$(tail -n 20 "$folder/$name.log")"
		return
	fi
	mkdir -p "$folder/$name.corpus"
	dictionary=
	[ ! -f "tests/fuzz/$name.dict" ] || dictionary="-dict=tests/fuzz/$name.dict"
	if "$folder/$name" ${dictionary:+"$dictionary"} -max_len=256 -max_total_time="$seconds" \
	    -artifact_prefix="$folder/$name." "$folder/$name.corpus" >"$folder/$name.log" 2>&1; then
		runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$folder/$name.log")
		ok "$name, ${runs:-0} inputs"
	else
		not_ok "$name" "$(tail -n 30 "$folder/$name.log")"
	fi
}

# They run side by side.
running=

# target NAME SOURCE...: what lib/ files it needs besides tests/fuzz/NAME.c
target() {
	(
		fuzz "$@"
		exit "$report_failed"
	) >"$folder/$1.out" &
	running="$running $1:$!"
}

end_all() {
	for one in $running; do
		wait "${one##*:}" || report_failed=1
		cat "$folder/${one%:*}.out"
	done
}

if ! why=$(echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -x c -fsanitize=fuzzer,address -o "$folder/probe" - 2>&1); then
	skip "fuzzing" "clang has no fuzzer here: $(echo "$why" | head -n 1)"
	report_end
fi

target option lib/host/option.c lib/base/why.c
target proxy_header lib/base/proxy_header.c lib/base/addr.c
# As the library is without TLS; the next one has it.
# shellcheck disable=SC2046
target resp handlers/resp.c handlers/resp_words.c handlers/number.c $(find lib/base lib/fiber lib/loop lib/stream lib/task -name '*.[cS]' -exec grep -L tls_openssl.h {} +) -levent_core -pthread -lm
# shellcheck disable=SC2046
if pkg-config --exists openssl; then
	target tls $(find lib/base lib/fiber lib/loop lib/stream lib/task -name '*.[cS]' ! -name tls_none.c) \
	    -levent_core -lssl -lcrypto -pthread -lm
else
	skip "tls" "no libssl-dev"
fi
end_all

report_end
