# shellcheck shell=sh
# What the shell tests of programs have in common when they talk with them, to be
# sourced with $tmp set: $limit, before each command that could wait.

limit="timeout 20"

# refuses NAME CODE WORDS COMMAND...: one line that holds WORDS, and that exit code
refuses() {
	name=$1 want=$2 words=$3
	shift 3
	$limit "$@" </dev/null >"$tmp/out" 2>"$tmp/err"
	code=$?
	if [ $code -eq "$want" ] && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] &&
	    grep -qF -- "$words" "$tmp/err"; then
		ok "$name"
	else
		not_ok "$name" "exit code $code, expected $want and one line with: $words" \
		    "$(cat "$tmp/out" "$tmp/err")"
	fi
}

# converse TEXT COMMAND...: sends a line, prints the first that comes back
converse() {
	text=$1
	shift
	rm -f "$tmp/to" "$tmp/from"
	mkfifo "$tmp/to" "$tmp/from" || exit 1
	(
		$limit "$@" <"$tmp/to" >"$tmp/from" 2>"$tmp/client_errors" &
		client=$!
		exec 7>"$tmp/to" 8<"$tmp/from"
		(printf '%s\n' "$text" >&7)
		answer=
		read -r answer <&8
		kill "$client" 2>/dev/null
		wait "$client" 2>/dev/null
		printf '%s\n' "$answer"
	)
}
