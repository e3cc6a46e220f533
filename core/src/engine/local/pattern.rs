//! Checks the regular expressions in a schema: whether llama.cpp can express them in a grammar.
//!
//! The rules are those of its converter (`_pattern_to_rule` in `common/json-schema-to-grammar.cpp`), which otherwise
//! drops the pattern and prints a warning.

/// Why a pattern cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternError {
    /// It is a regular expression without an equal grammar.
    Inexpressible,
    /// It is no regular expression.
    Invalid,
}

/// Longer ones may have so many parts at one place that a token takes seconds, in which nothing stops it.
pub(super) const MAX_PATTERN_BYTES: usize = 2048;

/// Rewrites a pattern in the spelling that grammars know: `\\d`, `\\w` and `\\s` as ranges, and needless escapes as the
/// characters themselves.
pub(super) fn rewrite_pattern(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(next) = chars.next() {
        match next {
            '[' if !in_class => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        if next != '\\' {
            out.push(next);
            continue;
        }
        let Some(escaped) = chars.next() else {
            out.push(next);
            break;
        };
        let range = match escaped {
            'd' => "0-9",
            'w' => "A-Za-z0-9_",
            's' => " \\t\\n\\r",
            _ => "",
        };
        match escaped {
            _ if !range.is_empty() && in_class => out.push_str(range),
            _ if !range.is_empty() => out.extend(["[", range, "]"]),
            '.' | '+' | '*' | '?' | '(' | ')' | '{' | '}' | '|' | '$' if in_class => out.push(escaped),
            '/' | ':' | '@' | ',' | '\'' | '=' | '#' | '&' | '%' | '~' | '<' | '>' | '!' | ';' | ' ' | '_' => {
                out.push(escaped)
            }
            _ => out.extend([next, escaped]),
        }
    }
    out
}

/// Checks a pattern.
pub(super) fn check_pattern(pattern: &str) -> Result<(), PatternError> {
    let inner = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    let Some(inner) = inner else {
        return Err(PatternError::Inexpressible);
    };
    let bytes = inner.as_bytes();
    let mut at = 0;
    // For each open group: whether something precedes that can be repeated.
    let mut repeatable = vec![false];
    while at < bytes.len() {
        let has_atom = repeatable.last().copied().unwrap_or_default();
        match bytes[at] {
            b'(' => {
                if bytes[at + 1..].starts_with(b"?:") {
                    at += 2;
                } else if bytes.get(at + 1) == Some(&b'?') {
                    return Err(PatternError::Inexpressible);
                }
                at += 1;
                repeatable.push(false);
                if repeatable.len() > MAX_DEPTH {
                    return Err(PatternError::Inexpressible);
                }
                continue;
            }
            b')' => {
                if repeatable.len() == 1 {
                    return Err(PatternError::Invalid);
                }
                repeatable.pop();
                at += 1;
            }
            b'^' | b'$' | b']' | b'}' => return Err(PatternError::Inexpressible),
            b'[' => at = end_of_class(bytes, at + 1)?,
            b'|' => at += 1,
            b'*' | b'+' | b'?' => {
                if !has_atom {
                    return Err(PatternError::Invalid);
                }
                at += 1;
            }
            b'{' => {
                at = end_of_count(bytes, at + 1)?;
                if !has_atom {
                    return Err(PatternError::Invalid);
                }
            }
            b'\\' => {
                let next = *bytes.get(at + 1).ok_or(PatternError::Invalid)?;
                at += match ESCAPED_IN_PATTERNS.contains(&next) {
                    true => 2,
                    false => escape_length(bytes, at).ok_or(PatternError::Inexpressible)?,
                };
            }
            _ => at += 1,
        }
        if let Some(last) = repeatable.last_mut() {
            *last = true;
        }
    }
    match repeatable.len() {
        1 => Ok(()),
        _ => Err(PatternError::Invalid),
    }
}

/// Returns the index behind a character class whose inside begins at `at`.
fn end_of_class(bytes: &[u8], mut at: usize) -> Result<usize, PatternError> {
    while let Some(next) = bytes.get(at) {
        match next {
            b']' => return Ok(at + 1),
            b'\\' => at += escape_length(bytes, at).ok_or(PatternError::Inexpressible)?,
            _ => at += 1,
        }
    }
    Err(PatternError::Invalid)
}

/// Returns the index behind a count such as `2,3}`.
fn end_of_count(bytes: &[u8], at: usize) -> Result<usize, PatternError> {
    let length = bytes[at..].iter().position(|byte| *byte == b'}');
    let length = length.ok_or(PatternError::Inexpressible)?;
    let text = String::from_utf8_lossy(&bytes[at..at + length]).into_owned();
    let numbers: Vec<&str> = text.split(',').collect();
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| i32::try_from(*number).is_ok());
    let (least, most) = match numbers[..] {
        [exact] => (number(exact), number(exact)),
        [least, most] => (
            if least.is_empty() { Some(0) } else { number(least) },
            if most.is_empty() { Some(u32::MAX) } else { number(most) },
        ),
        _ => (None, None),
    };
    match (least, most) {
        (Some(least), Some(most)) if least <= most && least <= MAX_COUNT => Ok(at + length + 1),
        _ => Err(PatternError::Inexpressible),
    }
}

/// Returns the length of an escape that grammars know, at a backslash.
fn escape_length(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = match bytes.get(at + 1)? {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        b't' | b'r' | b'n' | b'\\' | b'"' | b'[' | b']' | b'-' => 0,
        _ => return None,
    };
    let hex = bytes.get(at + 2..at + 2 + digits)?;
    hex.iter().all(u8::is_ascii_hexdigit).then_some(2 + digits)
}

/// Characters that a backslash makes literal, outside of classes (`ESCAPED_IN_REGEXPS_BUT_NOT_IN_LITERALS`).
const ESCAPED_IN_PATTERNS: &[u8] = b"^$.[]()|{}*+?";
const MAX_DEPTH: usize = 100;
/// `MAX_REPETITION_THRESHOLD` of llama.cpp's grammars.
const MAX_COUNT: u32 = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_told_apart() {
        use PatternError::{Inexpressible, Invalid};
        for (pattern, expected) in [
            ("^a+(b|c)*[d-f]{2,3}\\.x$", Ok(())),
            ("^(?:a|b)$", Ok(())),
            ("^$", Ok(())),
            ("a", Err(Inexpressible)),
            ("^(?=a)b$", Err(Inexpressible)),
            ("^(?<name>a)$", Err(Inexpressible)),
            ("^a$b$", Err(Inexpressible)),
            ("^a\\bc$", Err(Inexpressible)),
            ("^[\\p{L}]$", Err(Inexpressible)),
            ("^a{5000}$", Err(Inexpressible)),
            ("^a{x}$", Err(Inexpressible)),
            ("^(a$", Err(Invalid)),
            ("^a)$", Err(Invalid)),
            ("^[a$", Err(Invalid)),
            ("^*$", Err(Invalid)),
            ("^a\\$", Err(Invalid)),
        ] {
            assert_eq!(check_pattern(pattern), expected, "{pattern}");
        }
        assert!(check_pattern(&format!("^{}a{}$", "(".repeat(200), ")".repeat(200))).is_err());
    }

    #[test]
    fn usual_classes_and_escapes_are_spelled_out() {
        for (pattern, expected) in [
            ("^\\d{3}-\\w+$", "^[0-9]{3}-[A-Za-z0-9_]+$"),
            ("^[\\d\\.]+\\s$", "^[0-9.]+[ \\t\\n\\r]$"),
            ("^https:\\/\\/a\\.b$", "^https://a\\.b$"),
        ] {
            let rewritten = rewrite_pattern(pattern);
            assert_eq!(rewritten, expected);
            assert_eq!(check_pattern(&rewritten), Ok(()), "{pattern}");
        }
    }
}
