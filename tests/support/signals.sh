# shellcheck shell=sh
# A shell has SIGINT ignored for what it starts in the background, nohup(1) has SIGHUP ignored, and
# programs leave both so. This is put before a program that is to hear of them; empty: then nothing
# here can.
if env --default-signal=INT,HUP true 2>/dev/null; then
	# shellcheck disable=SC2034 # for who sources this
	hears_signals="env --default-signal=INT,HUP"
elif command -v python3 >/dev/null; then
	cat >"$tmp/hears_signals.py" <<-'END'
	import os, signal, sys
	signal.signal(signal.SIGINT, signal.SIG_DFL)
	signal.signal(signal.SIGHUP, signal.SIG_DFL)
	os.execv(sys.argv[1], sys.argv[1:])
	END
	# shellcheck disable=SC2034
	hears_signals="python3 $tmp/hears_signals.py"
else
	# shellcheck disable=SC2034
	hears_signals=
fi
