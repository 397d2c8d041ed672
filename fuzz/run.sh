#!/bin/bash
# Runs the targets named, or all, for FUZZ_SECONDS each, led by coverage; adds to the corpus what reaches code that
# nothing in it reaches, and keeps the inputs of findings in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${FUZZ_SECONDS:-60}
targets=${*:-site_toml playbook compose_file key_file dns_answers marker}
cargo=${CARGO:-cargo}
host=$(rustc -vV | sed -n 's/^host: //p')
# Those of cargo-fuzz but for the sanitizers: all of them are stable. With --target, build scripts are left alone.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
$cargo build --locked --release --target "$host"
found=0
for target in $targets; do
	program=target/$host/release/$target
	work=work/$target
	mkdir -p "$work" "artifacts/$target"
	echo "== $target: $seconds s"
	"$program" "$work" "corpus/$target" -dict="words/$target.dict" -max_total_time="$seconds" -max_len=16384 \
		-timeout=10 -rss_limit_mb=1024 -artifact_prefix="artifacts/$target/" -print_final_stats=1 \
		-close_fd_mask=1 >"$work.log" 2>&1 || found=1
	# How it began, how it ended, and what was found.
	grep -aE "INITED|DONE|panicked|ERROR|SUMMARY|Test unit|executed_units|peak_rss" "$work.log" || true
	# Of what reaches the same code more often, one will do.
	before=$(find "corpus/$target" -type f | wc -l)
	"$program" -set_cover_merge=1 -use_counters=0 "corpus/$target" "$work" -rss_limit_mb=1024 -timeout=10 -close_fd_mask=1 >"$work.merge" 2>&1 ||
		{ tail -n 5 "$work.merge"; found=1; }
	echo "corpus: $before -> $(find "corpus/$target" -type f | wc -l) files," \
		"$(find "corpus/$target" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }') octets"
done
exit $found
