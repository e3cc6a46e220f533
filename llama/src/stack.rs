//! Stack space for recursion that grows with the input, and whether the system starts more threads.
//!
//! Two parts of llama.cpp recurse with their input: `std::regex`, which splits words for tokenizers without a splitter
//! of their own (one level per character of an unbroken run), and the reply parser (brackets in a tool call). A stack
//! overflow ends the process, so deep input is processed on a thread with a stack of the required size.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::LlamaError;

/// Runs `body` with stack for `levels` recursion levels of `level_bytes` each: on this thread if it is small, else on a
/// new one.
///
/// # Errors
/// [`LlamaError::Input`] if more than half a gigabyte of stack is needed, or the system cannot create such a thread.
pub(crate) fn with_stack<T: Send>(
    levels: usize,
    level_bytes: usize,
    body: impl FnOnce() -> T + Send,
) -> Result<T, LlamaError> {
    let need = levels.saturating_mul(level_bytes);
    if need <= SPARE_STACK_BYTES {
        return Ok(body());
    }
    if need > MAX_STACK_BYTES {
        return Err(LlamaError::Input(
            "the text has too long a run without a break, or nests too deeply".to_owned(),
        ));
    }
    thread::scope(|scope| {
        let deep = thread::Builder::new()
            .name("nearside-deep".to_owned())
            .stack_size(need + SPARE_STACK_BYTES)
            .spawn_scoped(scope, body);
        deep.ok()
            .and_then(|thread| thread.join().ok())
            .ok_or_else(|| LlamaError::Input("there is not enough stack to process the text".to_owned()))
    })
}

/// Returns whether the system starts this many threads at the same time, beside those that run.
pub(crate) fn can_start_threads(count: usize) -> bool {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let started = (0..count).all(|_| {
            thread::Builder::new()
                .name("nearside-trial".to_owned())
                .stack_size(POOL_STACK_BYTES)
                .spawn_scoped(scope, || drop(gate.lock()))
                .is_ok()
        });
        drop(closed);
        started
    })
}

/// Returns the longest run of `text`, in characters, that is all white space or has none: the longest possible word.
pub(crate) fn longest_run(text: &str) -> usize {
    let (mut longest, mut run, mut blank) = (0usize, 0usize, false);
    for next in text.chars() {
        if next.is_whitespace() != blank {
            blank = !blank;
            run = 0;
        }
        run += 1;
        longest = longest.max(run);
    }
    longest
}

/// Returns the maximum nesting depth of brackets in `text`.
pub(crate) fn bracket_depth(text: &str) -> usize {
    let (mut deepest, mut depth) = (0usize, 0usize);
    for next in text.bytes() {
        match next {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Stack that every thread can spare: secondary threads on Apple's systems have 512 KiB in total.
const SPARE_STACK_BYTES: usize = 128 << 10;
const MAX_STACK_BYTES: usize = 512 << 20;
/// Stack of the threads that ggml starts: the system's default. Only address space until it is used.
const POOL_STACK_BYTES: usize = if cfg!(target_os = "linux") { 8 << 20 } else { 512 << 10 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_depths_are_measured() {
        assert_eq!(longest_run("ab  cde \n\t f"), 4);
        assert_eq!(longest_run(""), 0);
        assert_eq!(bracket_depth("a[{]}[[["), 3);
    }

    #[test]
    fn threads_that_no_system_starts_are_not_started() {
        assert!(can_start_threads(0) && can_start_threads(3));
    }

    #[test]
    fn deep_recursion_gets_its_stack_and_absurd_recursion_is_rejected() {
        fn down(levels: usize) -> usize {
            let here = std::hint::black_box([levels; 64]);
            if levels == 0 {
                0
            } else {
                down(levels - 1) + here[1] - levels + 1
            }
        }
        assert_eq!(with_stack(100_000, 2048, || down(100_000)), Ok(100_000));
        assert!(matches!(with_stack(usize::MAX, 2, || ()), Err(LlamaError::Input(_))));
    }
}
