//! Room for recursion that grows with the input.
//!
//! Two things in llama.cpp recurse as deep as what they read: `std::regex`, which splits words for tokenizers that have no
//! splitter of their own (one level a character of an unbroken run), and the parser of replies (brackets in a tool call). A
//! stack overflow ends the process, so what could go deep runs on a thread whose stack is made for it.

use std::thread;

use crate::Error;

/// Runs `body` with stack for `levels` recursion levels of `level` bytes: here if that is little, else on a new thread.
///
/// # Errors
/// [`Error::Input`] when it would take more than half a gigabyte of stack, or the system gives no such thread.
pub(crate) fn with_room<T: Send>(levels: usize, level: usize, body: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let need = levels.saturating_mul(level);
    if need <= HERE {
        return Ok(body());
    }
    if need > MOST {
        return Err(Error::Input(
            "a part of the text is too long without a break, or nests too deep".to_owned(),
        ));
    }
    thread::scope(|scope| {
        let deep = thread::Builder::new()
            .name("nearside-deep".to_owned())
            .stack_size(need + HERE);
        let running = deep
            .spawn_scoped(scope, body)
            .map_err(|_| Error::Input("no stack for a text like this".to_owned()))?;
        running
            .join()
            .map_err(|_| Error::Input("no stack for a text like this".to_owned()))
    })
}

/// The longest run of `text` that a splitter may take for one word: all white space, or all anything else.
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

/// How deep the brackets of `text` nest at most.
pub(crate) fn deepest_brackets(text: &str) -> usize {
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

/// What any thread has left for us: secondary threads on Apple's systems have 512 KiB in all.
const HERE: usize = 128 << 10;
const MOST: usize = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_depths_are_measured() {
        assert_eq!(longest_run("ab  cde \n\t f"), 4);
        assert_eq!(longest_run(""), 0);
        assert_eq!(deepest_brackets("a[{]}[[["), 3);
    }

    #[test]
    fn deep_recursion_gets_its_room_and_absurd_recursion_is_refused() {
        fn down(levels: usize) -> usize {
            let here = std::hint::black_box([levels; 64]);
            if levels == 0 {
                0
            } else {
                down(levels - 1) + here[1] - levels + 1
            }
        }
        assert_eq!(with_room(100_000, 2048, || down(100_000)), Ok(100_000));
        assert!(matches!(with_room(usize::MAX, 2, || ()), Err(Error::Input(_))));
    }
}
