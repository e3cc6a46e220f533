//! Rejects templates, grammars and patterns that would exhaust the stack.
//!
//! llama.cpp parses and runs all three by recursion: a bracket or a block is one level, and a chain of operators nests
//! as deep as it is long. A stack overflow cannot be caught, so depth is limited before llama.cpp sees the text. The
//! limits are generous: the deepest templates in use stay below a tenth of them.

use serde_json::Value;

/// Checks the depth of a Jinja chat template.
pub(crate) fn check_template(source: &str) -> Result<(), String> {
    let (mut depth, mut blocks, mut run) = (0usize, 0usize, 0usize);
    for (at, next) in source.bytes().enumerate() {
        match next {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if next == b'{' && source.as_bytes().get(at + 1) == Some(&b'%') {
            // `{` and `%` are ASCII, so this index is a character boundary.
            match classify_tag(&source[at + 2..]) {
                TagKind::Opens => blocks += 1,
                TagKind::Closes => blocks = blocks.saturating_sub(1),
                TagKind::Neither => {}
            }
        }
        run = if depth > 0 { run + 1 } else { 0 };
        if depth > MAX_DEPTH || blocks > MAX_DEPTH || run > MAX_EXPRESSION_BYTES {
            return Err("it nests too deeply".to_owned());
        }
    }
    Ok(())
}

/// Checks the depth of a GBNF grammar. Counts groups; ignores brackets in literals, classes and comments.
pub(crate) fn check_grammar(gbnf: &str) -> Result<(), String> {
    let mut depth = 0usize;
    let mut until = None;
    let mut escaped = false;
    for next in gbnf.bytes() {
        if let Some(end) = until {
            if escaped {
                escaped = false;
            } else if next == b'\\' && end != b'\n' {
                escaped = true;
            } else if next == end {
                until = None;
            }
            continue;
        }
        match next {
            b'"' => until = Some(b'"'),
            b'[' => until = Some(b']'),
            b'#' => until = Some(b'\n'),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err("it nests too deeply".to_owned());
        }
    }
    Ok(())
}

/// Checks the depth of a regular expression, the trigger of a lazy grammar: `std::regex` also recurses with its length.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern.bytes().filter(|byte| *byte == b'(').count() > MAX_DEPTH || pattern.len() > MAX_EXPRESSION_BYTES {
        return Err("a pattern nests too deeply".to_owned());
    }
    Ok(())
}

/// Checks the depth of a pattern in a schema, which llama.cpp's converter follows group by group.
fn check_schema_pattern(pattern: &str) -> Result<(), String> {
    let (mut depth, mut in_class) = (0usize, false);
    let mut bytes = pattern.bytes();
    while let Some(next) = bytes.next() {
        match next {
            b'\\' => drop(bytes.next()),
            b']' => in_class = false,
            _ if in_class => {}
            b'[' => in_class = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err("a pattern nests too deeply".to_owned());
        }
    }
    match pattern.len() > MAX_SCHEMA_PATTERN_BYTES {
        true => Err("a pattern is longer than a megabyte".to_owned()),
        false => Ok(()),
    }
}

/// Checks a JSON schema, or tools with schemas: llama.cpp matches names and parses patterns by recursion.
pub(crate) fn check_schema(json: &Value) -> Result<(), String> {
    match json {
        Value::Array(values) => values.iter().try_for_each(check_schema),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            let name = matches!(key.as_str(), "name" | "$ref")
                .then(|| value.as_str())
                .flatten();
            if key.len() > MAX_NAME_BYTES || name.is_some_and(|name| name.len() > MAX_NAME_BYTES) {
                return Err(format!("a name in the schema is longer than {MAX_NAME_BYTES} bytes"));
            }
            if let ("pattern", Some(pattern)) = (key.as_str(), value.as_str()) {
                check_schema_pattern(pattern)?;
            }
            check_schema(value)
        }),
        _ => Ok(()),
    }
}

enum TagKind {
    Opens,
    Closes,
    Neither,
}

/// Returns whether a tag opens or closes a block; `inside` starts after the tag's `{%`.
fn classify_tag(inside: &str) -> TagKind {
    let inside = inside.trim_start_matches(['-', '+']).trim_start();
    if inside.starts_with("end") {
        return TagKind::Closes;
    }
    let opens = ["if", "for", "macro", "call", "filter"]
        .iter()
        .any(|word| inside.starts_with(word));
    // `set` has a body only when it has no `=`.
    let tag = inside.split_once("%}").map_or(inside, |(tag, _)| tag);
    if opens || (tag.starts_with("set") && !tag.contains('=')) {
        TagKind::Opens
    } else {
        TagKind::Neither
    }
}

const MAX_DEPTH: usize = 100;
const MAX_NAME_BYTES: usize = 512;
const MAX_EXPRESSION_BYTES: usize = 16 * 1024;
const MAX_SCHEMA_PATTERN_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_blocks_and_chains_are_bounded() {
        assert!(check_template("{% for m in messages %}{{ m['content'] }}{% endfor %}").is_ok());
        assert!(check_template(&"{% set a = 1 %}".repeat(1000)).is_ok());
        assert!(check_template(&format!("{{{{ {}1 }}}}", "(".repeat(1000))).is_err());
        assert!(check_template(&"{%- if a %}".repeat(1000)).is_err());
        assert!(check_template(&format!("{{{{ {}1 }}}}", "-".repeat(100_000))).is_err());
    }

    #[test]
    fn literals_of_a_grammar_do_not_nest() {
        assert!(check_grammar(&"root ::= \"(\" [(] # (\n".repeat(1000)).is_ok());
        assert!(check_grammar(&format!("root ::= {}", "(".repeat(1000))).is_err());
    }

    #[test]
    fn names_and_patterns_of_a_schema_are_bounded() {
        let schema = |key: &str, value: &str| serde_json::json!({ "properties": { key: value } });
        assert!(check_schema(&schema("pattern", "^(a|b)+$")).is_ok());
        assert!(check_schema(&schema("pattern", &"(".repeat(1000))).is_err());
        assert!(check_schema(&schema(&"?".repeat(1000), "")).is_err());
        assert!(check_schema(&schema("$ref", &"?".repeat(1000))).is_err());
    }
}
