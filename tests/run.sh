#!/bin/sh
# Builds and tests: with gcc and clang, under the sanitizers and under valgrind; feeds random
# texts to what reads texts, and runs the benchmark once. With gcc each test runs in all its
# variants; the other steps take a part of them, unless all are asked for (--full), so that a run
# takes a quarter of an hour, not twice as long. Installs what is missing first, where
# there is apt-get. Goes on after a failure and says what failed; the last line is
# "N passed, N failed", and the exit code is 1 when something did.
#
# Each step that builds does so in build-ci/STEP, which is kept for the next run; each writes
# build-ci/STEP.log.
set -u

usage() {
	echo "usage: sh tests/run.sh [--quick | --check | --full | --stress N]"
	echo "  --quick      gcc alone: a minute or two, after the build"
	echo "  --check      gcc, and AddressSanitizer: before a commit"
	echo "  (nothing)    all steps; each of those after gcc says what it leaves out"
	echo "  --full       all steps, and in each all that can differ there: before a release"
	echo "  --stress N   gcc alone, N times, while every core is kept busy: do tests depend on time?"
}

steps=all rounds=0 full=
case ${1-} in
'') ;;
--quick) steps=quick ;;
--check) steps=check ;;
--full) steps=all full=1 ;;
--stress)
	steps=stress rounds=${2-}
	case $rounds in ''|*[!0-9]*|0*) usage >&2; exit 2 ;; esac ;;
-h|--help) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
# From the caller's build only confusion comes.
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS DESTDIR MESON_TESTTHREADS SKS_TEST_EVERY SKS_TEST_FEW
unset ASAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS VALGRIND_OPTS
export LC_ALL=C.UTF-8

# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

passed=0 failed=0 failures=
begun=$(date +%s)
cores=$(nproc)
mkdir -p build-ci || exit 1
told=build-ci/failed # which suites have failed and why, to be read once more at the end
: >"$told" || exit 1

finish() {
	if [ -n "$failures" ]; then
		echo
		echo "Failed:$failures"
		head -n 100 "$told"
	fi
	echo
	echo "$(($(date +%s) - begun)) seconds in all"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
	exit
}

# ---- steps ----

# title STEP WORDS: what is run now
title() {
	step=$1 built=
	log=$root/build-ci/$step.log
	: >"$log"
	echo
	echo "== $2"
	step_begun=$(date +%s)
	await_ahead
}

took() {
	echo "  $(($(date +%s) - step_begun)) seconds${built:+, $built of them for the build}"
}

skip() {
	echo "  skipped: $1"
}

# fail WHAT: counts as one
fail() {
	failed=$((failed + 1))
	failures="$failures $step ($1)"
	echo "  FAILED: $1; the end of $log:"
	tail -n 30 "$log" | sed 's/^/    /'
}

# configure_and_build COMPILER MESON_OPTION...: in build-ci/STEP, all of it or $targets. It is set
# up anew when anything about it has changed.
configure_and_build() {
	dir=build-ci/$step
	case $1 in gcc) cxx=g++ ;; *) cxx=$1++ ;; esac # of the same kind, or they link two sanitizers
	made_by="$root: $("$1" --version | head -n 1): $cxx $*"
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/made-by" 2>/dev/null)" != "$made_by" ]; then
		rm -rf "$dir"
		CC=$1
		shift
		CC=$CC CXX=$cxx meson setup --fatal-meson-warnings "$@" "$dir" >>"$log" 2>&1 </dev/null || {
			fail "meson setup"
			rm -rf "$dir"
			return 1
		}
		echo "$made_by" >"$dir/made-by"
	fi
	# shellcheck disable=SC2086
	$gently ninja -C "$dir" $targets >>"$log" 2>&1 </dev/null || {
		fail "the build"
		return 1
	}
	built=$(($(date +%s) - step_begun))
}

# What gcc and its own ThreadSanitizer make in a way of their own: fibers, threads beside them, and
# children of a process with threads. The races of all else are those that clang's has looked for.
of_gccs_own="fiber fiber_stacks fairness watch watchdog watchdog_hooks mutex mutex_certain offload tasks
shared_watch abort blast drain drain_report process_kills process_places process_signals processes request
shutdown stop stop_signals thread_wait"
# Those in which fibers switch in ways of their own.
switching="fiber fiber_stacks overflow read write copy flush stream_errors stream_memory stream_model
stream_time tasks tasks_of_handlers blast"

# build: what this step runs
gently=
build() {
	targets=
	# shellcheck disable=SC2086
	case $step in
	asan)
		targets=meson-test-prereq # what the suites need: not the servers that the benchmark compares with
		configure_and_build gcc -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false ;;
	tsan-clang)
		targets=suites
		configure_and_build clang -Doptimization=1 -Db_sanitize=thread -Db_lundef=false ;;
	tsan-gcc)
		targets=$(printf 'tests/check_%s ' $of_gccs_own)
		configure_and_build gcc -Doptimization=1 -Db_sanitize=thread -Db_lundef=false ;;
	clang) configure_and_build clang -Dwerror=true ;;
	ucontext)
		targets="installed $(printf 'tests/check_%s ' $switching)"
		configure_and_build gcc -Dwerror=true -Ducontext=true ;;
	*) configure_and_build gcc -Dwerror=true ;;
	esac
}

# ahead STEP: builds it while the suites of this step run, which wait for much of their time. The
# step builds again, when little is left to do, and says what went wrong.
ahead=
ahead() {
	(
		step=$1 log=$root/build-ci/$1-ahead.log gently=nice
		: >"$log"
		build >>"$log"
	) &
	ahead=$!
}

await_ahead() {
	[ -z "$ahead" ] || wait "$ahead"
	ahead=
}

# suites MESON_TEST_ARGUMENT...: runs them, $jobs at once, and adds up their checks. With $terse only
# those are shown that have failed. A suite waits for two thirds of its time (sanitizers: half),
# so more of them run than there are cores. A test that hangs is ended by Check; that a suite takes
# long on a slow machine is no failure.
jobs=$((3 * cores))
terse=
# What is tested ignores no signal that this script ignores, as under nohup(1).
defaults="env --default-signal=HUP,INT,QUIT"
$defaults true 2>/dev/null || defaults=
suites() {
	rm -f "$dir"/meson-logs/testlog*.json
	# shellcheck disable=SC2086
	$defaults meson test -C "$dir" --no-rebuild --num-processes "$jobs" --timeout-multiplier 4 \
	    "$@" >>"$log" 2>&1 </dev/null
	code=$?
	python3 tests/support/count.py "$dir"/meson-logs/testlog*.json >"$dir/count" 2>>"$log" || {
		fail "no test ran"
		return
	}
	sed '$d' "$dir/count" >>"$log"
	sed '$d' "$dir/count" | grep -v ' 0 failed  (\|^ *skipped: ' >"$dir/failed"
	sed "s/^/  $step:/" "$dir/failed" >>"$told"
	if [ -n "$terse" ]; then cat "$dir/failed"; else sed '$d' "$dir/count"; fi
	read -r more_passed more_failed <<-SUM
		$(tail -n 1 "$dir/count")
	SUM
	passed=$((passed + more_passed))
	if [ "$more_failed" -gt 0 ]; then
		failed=$((failed + more_failed))
		failures="$failures $step"
	elif [ $code -ne 0 ]; then
		fail "meson test: exit code $code"
	fi
}

# ---- what can be had here ----

# probe COMPILER FLAGS: does a program built so run? Sets why when it does not.
probe='#include <stdlib.h>
int main(void) { char *p = malloc(1); int x = p == NULL; free(p); return x; }'
probe() {
	if ! command -v "$1" >/dev/null; then
		why="there is no $1"
		return 1
	fi
	# shellcheck disable=SC2086
	why=$(echo "$probe" | "$1" -x c $2 -o build-ci/probe - 2>&1 && $launch build-ci/probe 2>&1) && return
	why="$1 $2: $(echo "$why" | head -n 1)"
	return 1
}

# With more random bits of the address space than it knows of, ThreadSanitizer
# does not start; without any it does.
probe_thread() {
	launch=
	probe "$1" -fsanitize=thread && return
	first=$why
	launch="setarch $(uname -m) -R"
	probe "$1" -fsanitize=thread && return
	why=$first
	launch=
	return 1
}

echo "libsocketserver in $root"
need_packages "to build and to test" gcc meson ninja-build pkg-config libevent-dev check python3 || {
	failed=1 failures=" set-up"
	finish
}
need_packages "to build all of it" g++ libssl-dev libuv1-dev || echo "What needs those is left out."
! command -v g++ >/dev/null || of_gccs_own="$of_gccs_own exceptions"
# The compiler is at work while the other packages come.
[ $steps = stress ] || ahead gcc
wanted="openssl curl swaks libnet-ssleay-perl socat ncat iproute2 mandoc redis-tools haproxy"
[ $steps != all ] || wanted="$wanted clang libclang-rt-dev valgrind chromium systemtap-sdt-dev"
# shellcheck disable=SC2086
need_packages "for all of the tests" $wanted || echo "Tests that need those are skipped."
if [ $steps = all ]; then
	need_packages "for other processors" make qemu-user-static gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu \
	    gcc-s390x-linux-gnu || echo "Processors that need those are skipped."
	need_packages "to look at what is installed" abigail-tools cmake musl-tools ||
	    echo "Tests that need those are skipped."
fi
launch=

# ---- as users have it ----

# Programs that do nothing, to keep every core busy.
busy=
keep_busy() {
	core=0
	while [ "$core" -lt "$cores" ]; do
		(while :; do :; done) &
		busy="$busy $!"
		core=$((core + 1))
	done
	trap rest EXIT
	trap 'exit 143' HUP INT TERM
}

rest() {
	# shellcheck disable=SC2086
	[ -z "$busy" ] || kill $busy
	busy=
}

if [ $steps = stress ]; then
	title stress "gcc, $rounds times, with every core kept busy: the suites, and the scripts that run programs"
	build || finish
	terse=1 round=0 jobs=$((2 * cores)) # beside what keeps the cores busy
	export CK_TIMEOUT_MULTIPLIER=4
	keep_busy
	while [ "$round" -lt "$rounds" ]; do
		round=$((round + 1))
		before=$passed,$failed begun_round=$(date +%s)
		suites --no-suite structure
		echo "  round $round: $((passed - ${before%,*})) passed, $((failed - ${before#*,})) failed" \
		    "($(($(date +%s) - begun_round)) s)"
	done
	rest
	finish
fi

title gcc "gcc: all suites and scripts"
gcc_built=
if build; then
	gcc_built=1
	[ $steps = quick ] || ahead asan
	suites
fi
took
[ $steps != quick ] || finish

# ---- sanitizers ----
twice="suites once more, for libevent's own look at events: it is the same in all builds"
# What looks at sources and at files that are installed is the same in all builds.

# A test for each mode, and one thing more, a transport or a call that fails, runs with gcc for all
# pairs. Elsewhere it takes every seventh pair: as there are six modes, the next thing comes with
# the next mode. The next such test begins one pair later (suite.h).
sampled() {
	if [ -z "$full" ]; then
		export SKS_TEST_EVERY=7 SKS_TEST_FEW=6
		echo "  left out: of a test for each mode and, say, each transport six of seven pairs: --full"
	fi
}

jobs=$((2 * cores))

asan() {
	title asan "gcc, AddressSanitizer with leak detection, UndefinedBehaviorSanitizer: all suites"
	if probe gcc -fsanitize=address,undefined; then
		leaks=1
		ASAN_OPTIONS=detect_leaks=1 build-ci/probe >>"$log" 2>&1 || {
			leaks=0
			echo "  skipped: detection of leaks: $(head -n 1 "$log")"
		}
		export ASAN_OPTIONS="detect_leaks=$leaks:detect_stack_use_after_return=1:strict_string_checks=1"
		export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
		export CK_TIMEOUT_MULTIPLIER=3
		if build; then
			[ $steps = check ] || ahead tsan-clang
			sampled
			if [ -n "$full" ]; then
				suites --no-suite structure
			else
				echo "  left out: the scripts that run programs: --full"
				suites --no-suite structure --no-suite programs
			fi
		fi
		unset ASAN_OPTIONS UBSAN_OPTIONS CK_TIMEOUT_MULTIPLIER SKS_TEST_EVERY SKS_TEST_FEW
	else
		skip "$why"
	fi
	took
}

asan
[ $steps != check ] || finish

# thread_sanitizer COMPILER NEXT_STEP WORDS MESON_TEST_ARGUMENT...
thread_sanitizer() {
	compiler=$1 next=$2
	title "tsan-$compiler" "$compiler, ThreadSanitizer: $3"
	shift 3
	if probe_thread "$compiler"; then
		# The children of processes mode come from a process with threads, which is why it would
		# wait for a second at the end of each, for the races of threads that are not there.
		export TSAN_OPTIONS=die_after_fork=0:second_deadlock_stack=1:atexit_sleep_ms=0
		export CK_TIMEOUT_MULTIPLIER=5
		# It holds signals back until a call that it knows to block, and loses
		# one that comes while a thread makes its list of those, at the first
		# such call. The programs are told to end at every moment.
		echo "  left out: the scripts that run programs: ThreadSanitizer loses signals"
		echo "  left out: $twice"
		if build; then
			ahead "$next"
			sampled
			# shellcheck disable=SC2086
			suites "$@" ${launch:+--wrapper "$launch"}
		fi
		unset TSAN_OPTIONS CK_TIMEOUT_MULTIPLIER SKS_TEST_EVERY SKS_TEST_FEW
		launch=
	else
		skip "$why"
	fi
	took
}

after=clang
[ -z "$full" ] || after=tsan-gcc
thread_sanitizer clang $after "the suites that have threads or signals" \
    --no-suite structure --no-suite programs --no-suite texts --no-suite debug
if [ -n "$full" ]; then
	# shellcheck disable=SC2086
	thread_sanitizer gcc clang "the suites of what gcc makes in its own way" $of_gccs_own
fi

# ---- other builds ----

jobs=$((3 * cores))

title clang "clang: the suites in which fibers switch, and the scripts that look at what is built"
if probe clang ""; then
	echo "  left out: the scripts that run programs or look at sources: gcc's programs do the same"
	if build; then
		ahead ucontext
		if [ -n "$full" ]; then
			echo "  besides: all other suites"
			echo "  left out: $twice"
			suites --no-suite programs --no-suite structure --no-suite debug
			suites layers symbols
		else
			echo "  left out: all other suites, which ThreadSanitizer has run as clang builds them: --full"
			# shellcheck disable=SC2086
			suites $switching layers symbols
		fi
	fi
else
	skip "$why"
fi
took

title ucontext "gcc, fibers that switch by swapcontext(3): the suites in which they do so in ways of their own"
# shellcheck disable=SC2086
build && suites $switching install
took

# ---- valgrind ----
# Check runs each test in a child; valgrind goes with it, and an error or a leak makes that child,
# and so that test, fail.

not_for_valgrind() {
	case $1 in
	program) echo "sets limits of open files, which valgrind keeps itself" ;;
	prefork | forked_copy) echo "of requests that run while the process forks, the child's copy is lost" ;;
	torture) echo "starts hundreds of servers; it looks for leaks with AddressSanitizer" ;;
	tls_memory) echo "each of OpenSSL's allocations fails once; it looks for leaks with AddressSanitizer" ;;
	tls_reload) echo "reads files of a MiB and chains of a hundred certificates, as it does with AddressSanitizer" ;;
	tls | tls_handshake | tls_relay | proxied_tls)
		[ -z "$full" ] || return 1
		echo "a minute of OpenSSL's own arithmetic; tls_both_ways and tls_clients are here: --full" ;;
	*) return 1 ;;
	esac
}

# It is built while the suites under valgrind wait.
nice sh tests/cross.sh --quick aarch64 riscv64 s390x >build-ci/cross-ahead.log 2>&1 </dev/null &
cross=$!

title valgrind "valgrind, the programs of the step gcc: the suites that have threads, memory or signals"
dir=build-ci/gcc
jobs=$((2 * cores))
if ! command -v valgrind >/dev/null; then
	skip "there is no valgrind"
elif [ -z "$gcc_built" ]; then
	skip "the step gcc has built nothing"
else
	echo "  left out: $twice"
	set --
	for suite in $(meson test -C "$dir" --no-rebuild --list --no-suite structure --no-suite programs \
	    --no-suite texts --no-suite debug 2>>"$log" | sed 's,.* / ,,'); do
		if why=$(not_for_valgrind "$suite"); then
			echo "  left out: $suite: $why"
		else
			set -- "$@" "$suite"
		fi
	done
	export CK_TIMEOUT_MULTIPLIER=10
	# Values that nobody has set, which valgrind alone sees, do not depend on mode and transport
	# together. Each test takes another mode or transport than the one before.
	export SKS_TEST_EVERY=12 SKS_TEST_FEW=4
	echo "  left out: of a test for each mode or transport, all variants but one, or every twelfth"
	suites "$@" --wrapper "valgrind -q --error-exitcode=99 --leak-check=full \
--show-leak-kinds=definite --errors-for-leak-kinds=definite --fair-sched=yes"
	unset CK_TIMEOUT_MULTIPLIER SKS_TEST_EVERY SKS_TEST_FEW
fi
took

# ---- other processors ----

title cross "gcc for aarch64, riscv64 and s390x, by qemu-user: the suites of what depends on the processor"
echo "  left out: all other suites: sh tests/cross.sh TARGET has them"
wait "$cross"
code=$?
cp build-ci/cross-ahead.log "$log"
sed '$d' "$log" | grep -E '^ |^==' | sed 's/^==/ /'
read -r more_passed _ <<-SUM
	$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" || echo 0)
SUM
passed=$((passed + more_passed))
[ $code -eq 0 ] || fail "exit code $code"
took

# ---- random texts, for a moment ----

title fuzz "clang, libFuzzer: what reads options, headers of proxies, kv's requests and handshakes, 10 seconds each"
if ! command -v clang >/dev/null; then
	skip "there is no clang"
else
	timeout 900 sh tests/fuzz/run.sh build-ci/fuzz 10 >"$log" 2>&1 </dev/null
	code=$?
	sed 's/^/  /' "$log"
	passed=$((passed + $(grep -c '^ok - ' "$log")))
	if [ $code -ne 0 ]; then
		fail "exit code $code"
	fi
fi
took

# ---- the benchmark, that it runs ----

title bench "the benchmark, once and short: does it run? Its figures are of this moment and decide nothing"
if [ "$cores" -lt 2 ]; then
	skip "there is one core only, and it needs two"
elif ! command -v taskset >/dev/null; then
	skip "there is no taskset"
elif [ ! -x build-ci/gcc/examples/echo_server ]; then
	skip "the step gcc has built no echo_server"
elif timeout 900 sh tests/bench/run.sh --quick build-ci/gcc >"$log" 2>&1 </dev/null; then
	passed=$((passed + 1))
	sed 's/^/  /' "$log"
else
	fail "exit code $?"
fi
took

finish
