#!/usr/bin/env bash
# Runs the tests of the C++ and of the engine's threads under sanitizers. Takes long, and is not part of `make test`.
#
#   sanitize.sh [address] [thread]    default: both
#
#   address    llama.cpp and the shim under AddressSanitizer: leaks, buffer overflows, uses after free
#   thread     llama.cpp, the shim, the library and Rust's standard library under ThreadSanitizer: data races
#
# Each has a build of its own in target/sanitize, a quarter of an hour on two cores the first time. ThreadSanitizer needs Rust's
# source (`rustup component add rust-src`), because the standard library must be compiled with it as well, and the compiler's
# unstable options. Linux only.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"

[ "$(uname)" = Linux ] || fail 'the sanitizers are set up for Linux only' 'run `make sanitize` on Linux'
"$root/scripts/models.sh"
host=$(rustc -vV | sed -n 's/^host: //p')

# What says nothing under a sanitizer: it has an `operator new` of its own, so that templates run without limits, and some never
# end; it reserves terabytes of addresses, which a limit forbids; its frames are larger than those for which the stack of a
# long word is computed; and its own threads take the time in which the others should sleep.
skipped=(--skip limits::tests --skip no_memory_for_a_batch_or_a_context_is_an_error
  --skip an_endless_word_does_not_exhaust_the_stack --skip paused_threads_use_no_processor)

# C and C++ get the sanitizer from the compiler. Frame pointers and lines make the reports readable.
flags() { printf -- '-fsanitize=%s -fno-omit-frame-pointer -g1' "$1"; }

# Writes a linker that adds the sanitizer's runtime, which rustc's `-nodefaultlibs` leaves out. Not to the libraries that rustc
# itself loads, which lack the flag.
write_linker() {
  mkdir -p "$target/sanitize"
  cat >"$target/sanitize/cc" <<'END'
#!/bin/sh
case " $* " in
  *' -fsanitize=address '*) exec cc -Wl,--no-as-needed -lasan -Wl,--as-needed "$@" ;;
  *) exec cc "$@" ;;
esac
END
  chmod +x "$target/sanitize/cc"
  export "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$host")_LINKER=$target/sanitize/cc"
}

address() {
  local flags
  flags=$(flags address)
  write_linker
  # The runtime is the C++ compiler's own. Rust's code is not instrumented, but its heap is watched.
  # Leaks: an exception out of a computation leaks its context on purpose, and the tests provoke some.
  CFLAGS=$flags CXXFLAGS=$flags RUSTFLAGS='-Clink-arg=-fsanitize=address' CARGO_TARGET_DIR=$target/sanitize/address \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:detect_stack_use_after_return=1 RUST_TEST_THREADS=1 \
    cargo test --release --target "$host" -p nearside-llama -p nearside-tests --no-fail-fast \
    --lib --test llama_cache --test llama_chat --test llama_damaged --test llama_generate --test llama_memory \
    --test llama_threads -- "${skipped[@]}"
}

thread() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] ||
    fail "Rust's source is missing" 'run `rustup component add rust-src`'
  local flags
  flags=$(flags thread)
  # It notes the calls of a thread, and has room for 65,536 of them: no deeper recursion.
  CFLAGS=$flags CXXFLAGS=$flags RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=thread' CARGO_TARGET_DIR=$target/sanitize/thread \
    TSAN_OPTIONS="suppressions=$root/scripts/sanitize.suppressions:history_size=7" RUST_TEST_THREADS=1 \
    cargo test -Zbuild-std --release --target "$host" -p nearside-llama -p nearside-tests --no-fail-fast \
    --lib --test llama_threads --test local_queue --test local_adjustments --test local_cache -- "${skipped[@]}" \
    --skip deep_recursion_gets_its_stack_and_absurd_recursion_is_rejected
}

[ $# -gt 0 ] || set -- address thread
for sanitizer; do
  case $sanitizer in
    address | thread) printf '\n== %s ==\n' "$sanitizer" && "$sanitizer" ;;
    *) fail "unknown sanitizer \`$sanitizer\`" 'the sanitizers are address and thread' ;;
  esac
done
