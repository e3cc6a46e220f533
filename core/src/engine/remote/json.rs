//! JSON as providers send it: with halves of surrogate pairs, which Rust's strings cannot hold.
//!
//! A model's token may end in the middle of an emoji. Some servers then send one half of its pair of escapes (`\ud83d`) in
//! one event and the other half in the next. Both are kept, joined, and an unmatched half becomes U+FFFD.

use std::collections::BTreeMap;

use serde_json::Value;

/// Parses JSON. Returns whether it held unmatched halves, which then are [`marked`] characters.
pub(super) fn parse_lenient(text: &str) -> Option<(Value, bool)> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some((value, false));
    }
    let mended = replace_halves(text, marked)?;
    Some((serde_json::from_str(&mended).ok()?, true))
}

/// Returns the JSON with U+FFFD for each unmatched half; `None` if there is none.
pub(super) fn without_halves(text: &str) -> Option<String> {
    replace_halves(text, |_| char::REPLACEMENT_CHARACTER)
}

/// Joins halves across the pieces of each channel of an answer.
#[derive(Debug, Default)]
pub(super) struct HalfJoiner {
    /// High halves at the end of the last piece.
    pending: BTreeMap<u64, u16>,
}

impl HalfJoiner {
    /// Returns the text of a piece with its halves joined to those of the piece before. `is_marked`: it may hold
    /// [`marked`] characters.
    pub(super) fn join(&mut self, channel: u64, text: String, is_marked: bool) -> String {
        if text.is_empty() || (!is_marked && !self.pending.contains_key(&channel)) {
            return text;
        }
        let mut high = self.pending.remove(&channel);
        let mut joined = String::with_capacity(text.len());
        for c in text.chars() {
            match half_of(c).filter(|_| is_marked) {
                Some(half) if is_high(half) => {
                    if high.replace(half).is_some() {
                        joined.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                Some(low) => {
                    let pair = high.take().map(|high| [high, low]);
                    let whole = pair.and_then(|pair| char::decode_utf16(pair).next()?.ok());
                    joined.push(whole.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                None => {
                    if high.take().is_some() {
                        joined.push(char::REPLACEMENT_CHARACTER);
                    }
                    joined.push(c);
                }
            }
        }
        if let Some(high) = high {
            self.pending.insert(channel, high);
        }
        joined
    }

    /// Ends a channel: returns U+FFFD if half a character is left.
    pub(super) fn end(&mut self, channel: u64) -> Option<String> {
        self.pending
            .remove(&channel)
            .map(|_| char::REPLACEMENT_CHARACTER.to_string())
    }
}

/// Replaces the escapes of unmatched halves; `None` if there is none.
fn replace_halves(text: &str, replacement: impl Fn(u16) -> char) -> Option<String> {
    let mut mended = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        let end = match (escape_half(escape), escape.get(6..).and_then(escape_half)) {
            (Some(high), Some(low)) if is_high(high) && !is_high(low) => at + 12,
            (Some(half), _) => {
                found = true;
                mended.push_str(&rest[..at]);
                mended.push(replacement(half));
                rest = &rest[at + 6..];
                continue;
            }
            // Another escape: the backslash and the character behind it.
            (None, _) => at + 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    mended.push_str(rest);
    found.then_some(mended)
}

/// Returns the half that this text escapes at its start.
fn escape_half(text: &str) -> Option<u16> {
    let code = text.strip_prefix("\\u")?.get(..4)?;
    let code = u16::from_str_radix(code, 16).ok()?;
    (0xD800..=0xDFFF).contains(&code).then_some(code)
}

fn is_high(half: u16) -> bool {
    half < 0xDC00
}

/// Returns the character that stands for a half: the last 2,048 code points, which are private and hold no text.
fn marked(half: u16) -> char {
    char::from_u32(FIRST_MARK + u32::from(half) - 0xD800).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn half_of(c: char) -> Option<u16> {
    let offset = u32::from(c).checked_sub(FIRST_MARK)?;
    u16::try_from(0xD800 + offset).ok()
}

const FIRST_MARK: u32 = 0x10_F800;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(joiner: &mut HalfJoiner, json: &str) -> String {
        let (value, is_marked) = parse_lenient(json).expect(json);
        joiner.join(1, value.as_str().expect("text").to_owned(), is_marked)
    }

    #[test]
    fn halves_in_two_pieces_are_one_character_and_a_lost_half_is_replaced() {
        for (pieces, expected) in [
            (&[r#""a\ud83d""#, r#""\ude00b""#][..], "a😀b"),
            (&[r#""\ud83d\ude00""#], "😀"),
            (&[r#""\ud83d""#, r#""""#, r#""\ude00""#], "😀"),
            (&[r#""\ud83d""#, r#""x""#], "\u{FFFD}x"),
            (&[r#""\ude00x""#], "\u{FFFD}x"),
            (&[r#""\ud83d\ud83d""#, r#""\ude00""#], "\u{FFFD}😀"),
            (&[r#""\\ud83d\n\"\ud83d""#, r#""\uDE00""#], "\\ud83d\n\"😀"),
            (&[r#""\ud83d""#], "\u{FFFD}"),
        ] {
            let mut joiner = HalfJoiner::default();
            let mut text: String = pieces.iter().map(|piece| read(&mut joiner, piece)).collect();
            text.extend(joiner.end(1));
            assert_eq!(text, expected, "{pieces:?}");
        }
    }

    #[test]
    fn whole_characters_and_broken_json_stay_as_they_are() {
        let last = "\u{10FFFD}\u{10F800}";
        let (value, is_marked) = parse_lenient(&format!("\"{last}\"")).expect("JSON");
        assert_eq!(
            HalfJoiner::default().join(1, value.as_str().expect("text").to_owned(), is_marked),
            last
        );
        assert_eq!(parse_lenient(r#"{"a":"#), None);
        assert_eq!(without_halves(r#"{"a":"\ud83d\ude00"}"#), None);
        assert_eq!(
            without_halves(r#"{"a":"\ud83d."}"#).as_deref(),
            Some("{\"a\":\"\u{FFFD}.\"}")
        );
    }
}
