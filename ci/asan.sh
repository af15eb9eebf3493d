#!/usr/bin/env bash
# The suite under AddressSanitizer, with a stable toolchain and the std it ships.
#
#   ci/asan.sh                        every test file but those listed in `left_out`
#   ci/asan.sh --test net connect     what you name: arguments of `cargo test`
#   SYLVAN_STRESS_SCALE=100 ci/asan.sh    the stress tests in full size (default: 10 percent)
#
# It maps 20 TB of address space, so no `ulimit -v`; and a stack that was used once costs an eighth of
# its size in shadow memory (128 KiB in the 1 MiB class), so stress with the small classes.
set -euo pipefail
cd "$(dirname "$0")/.."

# Test files that say nothing here:
#   layers         reads source text;
#   loom           runs on stacks of another crate, which does not tell the sanitizer of its switches;
#   overflow       overflows stacks on purpose, in children;
#   panic_abort    runs a program that it builds itself: it would be a second build of everything under the
#                  sanitizer, for code that differs from what all others run by an `if`;
#   compile_fail   compiles, and runs nothing.
left_out=" layers loom overflow panic_abort compile_fail "

host=$(rustc -vV | sed -n 's/^host: //p')
ulimit -n "$(ulimit -H -n)"

# `-Z` on a stable compiler.
export RUSTC_BOOTSTRAP=1
# RUSTFLAGS with --target apply to the tests and not to build scripts and procedural macros.
export RUSTFLAGS="-Zsanitizer=address --cfg sylvan_asan ${RUSTFLAGS:-}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
export SYLVAN_STRESS_SCALE="${SYLVAN_STRESS_SCALE:-10}"

# detect_leaks=0: the leak detector does not scan our stacks, so it takes for lost whatever only a
#   parked task owns, and tasks of the default runtime are parked when the process ends.
# detect_stack_use_after_return=0: each green thread would get a second, fake stack of about 1 MB
#   resident, and corosensei does not free it when the green thread ends.
# use_sigaltstack=0: each hub installs an alternate signal stack of its own; the sanitizer would
#   unmap, at the end of a thread, whichever it finds installed.
# handle_segv=0: stack overflow is reported by src/sys/fault.rs, other faults by their default.
# abort_on_error=1: a report in a child process is told apart from an exit status the test expects.
export ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=0:use_sigaltstack=0:handle_segv=0:abort_on_error=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"

if [ $# -eq 0 ]; then
    set -- --lib
    for file in tests/*.rs tests/*/main.rs; do
        name=$(basename "${file%/main.rs}" .rs)
        [[ $left_out == *" $name "* ]] || set -- "$@" --test "$name"
    done
fi

# corosensei's feature `sanitizer` announces each switch of stacks. It is named here and not in
# Cargo.toml, where `--all-features` would turn it on in builds that have no sanitizer to link.
build=(--target "$host" --all-features --features corosensei/sanitizer)
# tests/examples.rs starts the examples as programs; naming tests does not build them.
cargo build "${build[@]}" --examples
cargo test "${build[@]}" "$@"
