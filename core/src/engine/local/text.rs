//! Decodes token bytes to text and finds stop strings; a token may end inside a character or a stop string.
//!
//! [`Utf8`] returns complete characters only. [`StopWords`] holds text back while it may still become a stop string.

use crate::engine::suffix::partial_suffix_len;

/// An incremental UTF-8 decoder.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    bytes: Vec<u8>,
}

impl Utf8 {
    /// Returns the buffer to which the caller appends the bytes of the next token.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends every complete character to `out` and keeps an incomplete one. Invalid bytes become U+FFFD.
    pub(super) fn drain_into(&mut self, out: &mut String) {
        let mut rest = self.bytes.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    out.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, broken) = rest.split_at(error.valid_up_to());
                    out.push_str(&String::from_utf8_lossy(valid));
                    let Some(bad) = error.error_len() else {
                        rest = broken;
                        break;
                    };
                    out.push(char::REPLACEMENT_CHARACTER);
                    rest = &broken[bad..];
                }
            }
        }
        let kept = rest.len();
        self.bytes.drain(..self.bytes.len() - kept);
    }

    /// Ends the text: an incomplete character becomes U+FFFD.
    pub(super) fn finish_into(&mut self, out: &mut String) {
        out.push_str(&String::from_utf8_lossy(&self.bytes));
        self.bytes.clear();
    }
}

/// The strings that end an answer.
#[derive(Debug)]
pub(super) struct StopWords {
    /// Those of the template come first: they end a turn, as the end token does.
    words: Vec<String>,
    template: usize,
}

/// Result of [`StopWords::scan`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Number of bytes that are safe to send; a stop string may begin after them.
    Safe(usize),
    /// A stop string was found.
    Stop {
        /// Bytes before the stop string.
        at: usize,
        /// Whether it is one of the template's.
        ends_turn: bool,
    },
}

impl StopWords {
    /// Creates the set from the stop strings of the template and of the request.
    pub(super) fn new(template: &[String], request: &[String]) -> Self {
        let words: Vec<String> = template
            .iter()
            .chain(request)
            .filter(|word| !word.is_empty())
            .cloned()
            .collect();
        Self {
            words,
            template: template.iter().filter(|word| !word.is_empty()).count(),
        }
    }

    /// Searches `text` from byte `from` on; the bytes before are already known to be safe.
    pub(super) fn scan(&self, text: &str, from: usize) -> Scan {
        let tail = &text.as_bytes()[from..];
        let first = self.words.iter().enumerate().filter_map(|(n, word)| {
            let at = find_bytes(tail, word.as_bytes())?;
            Some((at, n))
        });
        if let Some((at, n)) = first.min() {
            return Scan::Stop {
                at: from + at,
                ends_turn: n < self.template,
            };
        }
        let held = self
            .words
            .iter()
            .map(|word| partial_suffix_len(tail, word.as_bytes()))
            .max()
            .unwrap_or(0);
        Scan::Safe(text.len() - held)
    }
}

fn find_bytes(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_split_at_every_byte_comes_out_whole() {
        let whole = "Grüße, 世界 🌍!";
        for cut in 0..=whole.len() {
            let (mut utf8, mut out) = (Utf8::default(), String::new());
            for part in [&whole.as_bytes()[..cut], &whole.as_bytes()[cut..]] {
                utf8.buffer().extend_from_slice(part);
                utf8.drain_into(&mut out);
                assert!(whole.starts_with(&out), "cut at {cut}");
            }
            utf8.finish_into(&mut out);
            assert_eq!(out, whole, "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_do_not_hold_up_the_rest() {
        let (mut utf8, mut out) = (Utf8::default(), String::new());
        utf8.buffer().extend_from_slice(b"a\xFFb\xF0\x9F");
        utf8.drain_into(&mut out);
        assert_eq!(out, "a\u{FFFD}b");
        utf8.finish_into(&mut out);
        assert_eq!(out, "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn a_stop_string_split_over_tokens_never_shows() {
        let stops = StopWords::new(&[], &["END".into()]);
        assert_eq!(stops.scan("the E", 0), Scan::Safe(4));
        assert_eq!(stops.scan("the EN", 0), Scan::Safe(4));
        assert_eq!(stops.scan("the ENd", 0), Scan::Safe(7));
        assert_eq!(
            stops.scan("the END of", 0),
            Scan::Stop {
                at: 4,
                ends_turn: false
            }
        );
    }

    #[test]
    fn the_first_stop_string_wins_and_the_template_s_ends_the_turn() {
        let stops = StopWords::new(&["<|im_end|>".into()], &["\n\n".into()]);
        assert_eq!(stops.scan("a<|im_end|>\n\n", 0), Scan::Stop { at: 1, ends_turn: true });
        assert_eq!(
            stops.scan("a\n\n<|im_end|>", 0),
            Scan::Stop {
                at: 1,
                ends_turn: false
            }
        );
    }
}
