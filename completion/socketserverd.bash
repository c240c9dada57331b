# bash completion for socketserverd(8)                     -*- shell-script -*-
#
# What options and handlers there are, and what options these have, socketserverd
# itself is asked.
#
# The line is taken apart at blanks, not by COMP_WORDS: bash takes apart words
# with = and : in them as well, and how depends on COMP_WORDBREAKS. A reply is
# what follows the last of those, as bash expects it.

# PROGRAM: its options, one a line: "--idle TIME", "-o, --option NAME=VALUE"
_socketserverd_options() {
	"$1" --help 2>/dev/null | sed -n 's/^  \(-.*\)/\1/p' | sed 's/  .*//'
}

# PROGRAM: those that take a value, with a blank around each
_socketserverd_with_value() {
	printf ' %s ' $(_socketserverd_options "$1" | sed -n 's/ [A-Z].*//; t p; d; :p s/,//; p')
}

# PROGRAM WORD...: the handler that these words name, if they do
_socketserverd_handler() {
	local word skip= with_value

	with_value=$(_socketserverd_with_value "$1")
	shift
	for word; do
		if [[ $skip ]]; then
			skip=
		elif [[ $with_value == *" $word "* ]]; then
			skip=1
		elif [[ $word != -* ]]; then
			printf '%s\n' "$word"
			return
		fi
	done
}

# Handlers by name, and files for those by path
_socketserverd_handlers() {
	compgen -W "$("$1" --list-handlers 2>/dev/null | cut -d ' ' -f 1)" -- "$2"
	compgen -d -S / -- "$2"
	compgen -f -X '!*/*.so' -- "$2"
}

# PROGRAM HANDLER: NAME= for each option of it
_socketserverd_keys() {
	[[ -z $2 ]] || "$1" --describe "$2" 2>/dev/null | sed -n 's/^  \([A-Za-z0-9_-]*=\).*/\1/p'
}

_socketserverd() {
	local line=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]} before= word
	local -a words all

	read -ra words <<<"$line"
	read -ra all <<<"$COMP_LINE"
	[[ $line != *[[:blank:]] ]] || words+=('')
	word=${words[${#words[@]} - 1]}
	((${#words[@]} < 2)) || before=${words[${#words[@]} - 2]}
	if [[ $word == --*=* ]]; then
		before=${word%%=*} word=${word#*=}
	fi

	COMPREPLY=()
	case $before in
	-o|--option)
		[[ $word == *=* ]] || mapfile -t COMPREPLY < <(compgen -W \
		    "$(_socketserverd_keys "$program" "$(_socketserverd_handler "$program" "${all[@]:1}")")" -- "$word")
		compopt -o nospace 2>/dev/null ;;
	-l|--listen|--agent|--metrics)
		case $word in
		unix:*|unix-dgram:*) mapfile -t COMPREPLY < <(compgen -f -- "${word#*:}") ;;
		*:*) ;;
		*) mapfile -t COMPREPLY < <(compgen -W \
		    "localhost: udp:localhost: unix: unix-dgram: fd: systemd: tls: proxy:" -- "$word") ;;
		esac
		compopt -o nospace 2>/dev/null ;;
	--proxy-from) ;;
	--cert|--key|--client-ca|--access-log)
		mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--log)
		mapfile -t COMPREPLY < <(compgen -W "stderr journal syslog" -- "$word"; compgen -f -- "$word") ;;
	--log-format|--access-log-format)
		mapfile -t COMPREPLY < <(compgen -W "text json" -- "$word") ;;
	--log-level)
		mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$word") ;;
	--mode)
		mapfile -t COMPREPLY < <(compgen -W "fibers serial threads processes" -- "$word") ;;
	--describe)
		mapfile -t COMPREPLY < <(_socketserverd_handlers "$program" "$word") ;;
	*)
		if [[ -n $before && $(_socketserverd_with_value "$program") == *" $before "* ]]; then
			: # a number, or a time
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W \
			    "$(_socketserverd_options "$program" | tr ', ' '\n\n' | grep '^-')" -- "$word")
		elif [[ -z $(_socketserverd_handler "$program" "${words[@]:1:${#words[@]} - 2}") ]]; then
			mapfile -t COMPREPLY < <(_socketserverd_handlers "$program" "$word")
			[[ ${COMPREPLY[0]-} != */ ]] || compopt -o nospace 2>/dev/null
		fi ;;
	esac
}

complete -F _socketserverd socketserverd
