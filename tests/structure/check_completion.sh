#!/bin/sh
# Completion for shells: what bash is offered for socketserverd, without a
# terminal, and that zsh can read its file.
#
# usage: check_completion.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -d "$1/completion" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_completion.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
daemon=$build/handlers/socketserverd
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM
cd "$tmp" || exit 2

# Whoever owns the build: these are ours.
umask 022
mkdir handlers other && cp "$build"/handlers/*.so handlers/ && chmod 755 . || exit 2
cp handlers/echo.so other/mine.so
export SOCKETSERVER_HANDLERS="$tmp/handlers"

# What bash itself sets up before it calls the function
cat >offered.bash <<'END'
source "$1"
COMP_LINE="socketserverd $3" COMP_POINT=$((${#COMP_LINE}))
COMP_WORDS=("$2" x) COMP_CWORD=1 COMPREPLY=()
_socketserverd
printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
END

# offers LINE REPLIES: to what follows the command's name, in the order of sort(1)
offers() {
	offered=$(bash --norc offered.bash "$source/completion/socketserverd.bash" "$daemon" "$1" 2>&1)
	if [ "${offered% }" = "$2" ]; then
		ok "bash: socketserverd $1"
	else
		not_ok "bash: socketserverd $1" "expected: $2" "got: $offered"
	fi
}

if ! command -v bash >/dev/null; then
	skip "bash" "there is no bash"
else
	names=$(cd handlers && printf '%s\n' *.so | sed 's/\.so$//' | sort | tr '\n' ' ')
	options=$("$daemon" --help | sed -n 's/^  \(-.*\)/\1/p' |
	    grep -o -E '(^|[ ,])--?[a-z][a-z0-9-]*' | tr -d ' ,' | LC_ALL=C sort -u | tr '\n' ' ')
	export LC_ALL=C
	offers "-" "${options% }"
	offers "--mo" "--mode"
	offers "--mode " "fibers processes serial threads"
	offers "--mode=t" "threads"
	offers "d" "daytime discard"
	# shellcheck disable=SC2086
	offers "" "$(printf '%s\n' $names handlers/ other/ | sort | tr '\n' ' ' | sed 's/ $//')"
	offers "--mode serial --listen localhost:80 -o a=b k" "kv"
	offers "./other/m" "./other/mine.so"
	offers "o" "other/"
	offers "--describe k" "kv"
	offers "--describe=k" "kv"
	offers "kv -o " "max-key= max-memory= max-value="
	offers "kv --option=max-m" "max-memory="
	offers "--option max-memory=1M kv -o max-k" "max-key="
	offers "./handlers/daytime.so -o u" "utc="
	offers "daytime -o utc=" ""
	offers "-o " ""
	offers "nothing -o " ""
	offers "hello other" ""
	offers "--workers " ""
	offers "--listen un" "unix-dgram: unix:"
	offers "--listen unix:$tmp/oth" "$tmp/other"
	offers "--listen localhost:" ""
fi

if command -v zsh >/dev/null; then
	none "zsh reads its file" "$(zsh -n "$source/completion/_socketserverd" 2>&1)"
else
	skip "zsh reads its file" "there is no zsh"
fi

report_end
