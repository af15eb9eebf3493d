#!/usr/bin/env bash
# The stress of several hubs under ThreadSanitizer, with a stable toolchain and the std it ships.
#
#   ci/tsan.sh                        the default selection below
#   ci/tsan.sh --test sync mutex      what you name: arguments of `cargo test`
#   SYLVAN_STRESS_SCALE=100 ci/tsan.sh    the stress tests in full size (default: 10 percent)
#
# What it can and cannot see. A started green thread never leaves its OS thread, so to the sanitizer
# the green threads of a hub are one thread whose order is the program's: no announcement of
# switches (fibers) is needed, and races between hubs are found. The std of the toolchain is not
# instrumented: order that is made inside std's own code (a contended std Mutex, Condvar, Barrier,
# Once, thread::park) is invisible. The kernel's own locks therefore announce themselves under
# `--cfg sylvan_tsan` (src/sys/sync.rs), and tests run here synchronise by sylvan's types, by
# atomics and by std's mpsc, spawn and join, which are visible.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
ulimit -n "$(ulimit -H -n)"

# `-Z` on a stable compiler.
export RUSTC_BOOTSTRAP=1
# unsafe-allow-abi-mismatch: the shipped std was built without the sanitizer.
# tsan-instrument-func-entry-exit=0: the sanitizer keeps a call stack for each OS thread, which green
#   threads enter and leave out of order: it would grow without end or underflow. The price: a report
#   names the function, and what was inlined into it, but not its callers.
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer -Cllvm-args=-tsan-instrument-func-entry-exit=0 --cfg sylvan_tsan ${RUSTFLAGS:-}"
# Without inlining, generic code of std that was compiled with std is used as it is: uninstrumented.
export CARGO_PROFILE_DEV_OPT_LEVEL=1
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export SYLVAN_STRESS_SCALE="${SYLVAN_STRESS_SCALE:-10}"

# use_sigaltstack=0: each hub installs an alternate signal stack of its own (see asan.sh).
# handle_segv=0: stack overflow is reported by src/sys/fault.rs.
export TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp:use_sigaltstack=0:handle_segv=0${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

if [ $# -eq 0 ]; then
    set -- --test stress
fi

cargo test --target "$host" "$@"
