# shellcheck shell=sh
# A shell has SIGINT ignored for what it starts in the background, and programs leave it so. This
# is put before a program that is to hear of it; empty: then nothing here can.
if env --default-signal=INT true 2>/dev/null; then
	# shellcheck disable=SC2034 # for who sources this
	hears_int="env --default-signal=INT"
elif command -v python3 >/dev/null; then
	cat >"$tmp/hears_int.py" <<-'END'
	import os, signal, sys
	signal.signal(signal.SIGINT, signal.SIG_DFL)
	os.execv(sys.argv[1], sys.argv[1:])
	END
	# shellcheck disable=SC2034
	hears_int="python3 $tmp/hears_int.py"
else
	# shellcheck disable=SC2034
	hears_int=
fi
