#!/usr/bin/env bash
# Counts the instructions that sylvan's commonest operations take, by callgrind.
#
#   counts.sh            measures, and writes COUNTS.md
#   counts.sh --check    measures, and tells which has grown by more than 5 % since COUNTS.md was written
#   counts.sh --check --strict    the same, and fails if one has
#
# Instructions are counted and not time: the count is the same on a busy machine. Each operation is run
# so often and twice as often, and the difference is what is counted: the program's beginning and end
# cancel out. Only instructions of user space are seen: a system call counts as one.
set -euo pipefail
cd "$(dirname "$0")/.."

check=false strict=false
for option in "$@"; do
    case $option in
        --check) check=true ;;
        --strict) strict=true ;;
        *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done

record=benches/COUNTS.md
tolerance=5 # percent
program=${CARGO_TARGET_DIR:-target}/bench-peers/bench-sylvan
rustc=$(rustc --version)

if ! command -v valgrind >/dev/null; then
    echo "counts.sh: valgrind is not installed; nothing is counted"
    exit 0
fi
cargo build --quiet --package sylvan-benches --bin bench-sylvan --profile bench-peers

# How many instructions a run takes.
collected() {
    local output
    output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$@" 2>&1)
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$output"
}

# count NAME LENGTH ARGUMENT...: adds a line to `counts`.
counts=""
count() {
    local name=$1 length=$2 short long
    shift 2
    short=$(collected "$@" --count "$length")
    long=$(collected "$@" --count $((2 * length)))
    counts+="$name|$(((long - short + length / 2) / length))"$'\n'
}

count "yield, 1,000 tasks, in the loop" 100000 yield --tasks 1000
count "yield, 1,000 tasks, 4 frames deep" 100000 yield --tasks 1000 --depth 4
count "spawn + join" 20000 spawn --batch 1000
count "spawn + yield + join" 20000 spawn --batch 1000 --yield 1
count "channel ping-pong, a round trip" 20000 pingpong
count "lock + unlock that nobody else wants" 100000 lock
count "a limit of time set and taken back" 100000 timer
count "read of a socket that is ready" 65536 ready-read

if ! $check; then
    {
        printf '# Instructions an operation\n\n'
        printf 'Written by `benches/counts.sh`, which tells how; `.ci/run` compares. Counts depend on the compiler:\n'
        printf 'with another one they are told and not judged.\n\n'
        printf 'Compiler: %s\n\n| operation | instructions |\n|---|---:|\n' "$rustc"
        sed '/^$/d; s/^\(.*\)|\(.*\)$/| \1 | \2 |/' <<<"$counts"
    } >"$record"
    cat "$record"
    exit 0
fi

# The count that the record has for an operation; nothing if it has none.
recorded() {
    sed -n "s/^| $1 | \([0-9]*\) |\$/\1/p" "$record"
}

same_compiler=true
if ! grep -Fqx "Compiler: $rustc" "$record"; then
    same_compiler=false
    echo "counts.sh: $record was written with another compiler; growth is told and not judged"
fi
grown=0
while IFS='|' read -r name now; do
    [ -n "$name" ] || continue
    before=$(recorded "$name")
    verdict=""
    if [ -z "$before" ]; then
        verdict="not recorded"
    elif [ $((100 * now)) -gt $(((100 + tolerance) * before)) ]; then
        verdict="GROWN by more than $tolerance %"
        grown=$((grown + 1))
    fi
    printf '%-40s %6s, recorded %6s  %s\n' "$name" "$now" "${before:--}" "$verdict"
done <<<"$counts"

if [ "$grown" -gt 0 ]; then
    echo "counts.sh: $grown grown; if that is meant, run benches/counts.sh and commit $record"
    ! { $strict && $same_compiler; }
fi
