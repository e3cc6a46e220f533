//! Refuses templates, grammars and patterns that would exhaust the stack.
//!
//! llama.cpp reads and runs all three by recursion: a bracket or a block is one level, and a chain of operators nests as deep
//! as it is long. A stack overflow cannot be caught, so depth is bounded before llama.cpp sees the text, generously: the
//! deepest templates in use stay below a tenth of these limits.

use serde_json::Value;

/// A chat template in Jinja.
pub(crate) fn check_template(source: &str) -> Result<(), String> {
    let (mut depth, mut blocks, mut run) = (0usize, 0usize, 0usize);
    for (at, next) in source.bytes().enumerate() {
        match next {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if next == b'{' && source.as_bytes().get(at + 1) == Some(&b'%') {
            // `{` and `%` are whole characters, so this is a border between two.
            match block(&source[at + 2..]) {
                Block::Opens => blocks += 1,
                Block::Closes => blocks = blocks.saturating_sub(1),
                Block::Neither => {}
            }
        }
        run = if depth > 0 { run + 1 } else { 0 };
        if depth > MOST_DEPTH || blocks > MOST_DEPTH || run > MOST_EXPRESSION {
            return Err("it nests too deep".to_owned());
        }
    }
    Ok(())
}

/// A grammar in GBNF: groups count, what stands in literals, classes and comments does not.
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
        if depth > MOST_DEPTH {
            return Err("it nests too deep".to_owned());
        }
    }
    Ok(())
}

/// A regular expression: one that starts a lazy grammar, or one in a schema.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern.bytes().filter(|byte| *byte == b'(').count() > MOST_DEPTH || pattern.len() > MOST_EXPRESSION {
        return Err("a pattern nests too deep".to_owned());
    }
    Ok(())
}

/// A JSON schema, or tools that hold some: llama.cpp matches names and reads patterns by recursion.
pub(crate) fn check_schema(json: &Value) -> Result<(), String> {
    match json {
        Value::Array(values) => values.iter().try_for_each(check_schema),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            let name = matches!(key.as_str(), "name" | "$ref")
                .then(|| value.as_str())
                .flatten();
            if key.len() > MOST_NAME || name.is_some_and(|name| name.len() > MOST_NAME) {
                return Err(format!("a name in the schema is longer than {MOST_NAME} bytes"));
            }
            if let ("pattern", Some(pattern)) = (key.as_str(), value.as_str()) {
                check_pattern(pattern)?;
            }
            check_schema(value)
        }),
        _ => Ok(()),
    }
}

enum Block {
    Opens,
    Closes,
    Neither,
}

/// What the tag whose inside begins here does.
fn block(inside: &str) -> Block {
    let inside = inside.trim_start_matches(['-', '+']).trim_start();
    if inside.starts_with("end") {
        return Block::Closes;
    }
    let opens = ["if", "for", "macro", "call", "filter"]
        .iter()
        .any(|word| inside.starts_with(word));
    // `set` has a body only when it has no `=`.
    let tag = inside.split_once("%}").map_or(inside, |(tag, _)| tag);
    if opens || (tag.starts_with("set") && !tag.contains('=')) {
        Block::Opens
    } else {
        Block::Neither
    }
}

const MOST_DEPTH: usize = 100;
const MOST_NAME: usize = 512;
const MOST_EXPRESSION: usize = 16 * 1024;

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
