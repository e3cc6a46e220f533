//! Writes a long list of texts as a pattern, in which texts with the same beginning share it.
//!
//! A grammar follows all alternatives at once, and compares each with every token of the vocabulary: with thousands of them a
//! token takes seconds, in which nothing can stop it. Of a shared beginning there is one.

use serde_json::{Map, Value};

/// Replaces each long `enum` of texts within a schema by a pattern that matches the same texts.
pub(super) fn compress_enums(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(compress_enums),
        Value::Object(fields) => {
            if let Some(pattern) = enum_pattern(fields) {
                fields.retain(|key, _| !REPLACED.contains(&key.as_str()));
                fields.insert("type".to_owned(), "string".into());
                fields.insert("pattern".to_owned(), pattern.into());
            }
            let schemas = fields.iter_mut().filter(|(key, _)| !VALUES.contains(&key.as_str()));
            schemas.for_each(|(_, schema)| compress_enums(schema));
        }
        _ => {}
    }
}

fn enum_pattern(fields: &Map<String, Value>) -> Option<String> {
    let values = fields.get("enum")?.as_array()?;
    if values.len() < MIN_VALUES || ["$ref", "anyOf", "oneOf"].iter().any(|key| fields.contains_key(*key)) {
        return None;
    }
    let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
    let mut texts = texts?;
    if !texts.iter().all(|text| text.chars().all(is_plain)) {
        return None;
    }
    texts.sort_unstable();
    texts.dedup();
    let mut pattern = String::from("^");
    write_alternatives(&texts, 0, &mut pattern)?;
    pattern.push('$');
    Some(pattern)
}

/// Writes sorted, different texts. `None` if there are too many alternatives at one place, or they nest too deeply.
fn write_alternatives(texts: &[&str], depth: usize, out: &mut String) -> Option<()> {
    let (first, last) = (texts.first()?, texts.last()?);
    // Of sorted texts, those at the ends share the least.
    let shared: usize = first
        .chars()
        .zip(last.chars())
        .take_while(|(one, other)| one == other)
        .map(|(one, _)| one.len_utf8())
        .sum();
    out.push_str(&first[..shared]);
    if texts.len() == 1 {
        return Some(());
    }
    if depth == MAX_DEPTH {
        return None;
    }
    let rest: Vec<&str> = texts.iter().map(|text| &text[shared..]).collect();
    let groups: Vec<&[&str]> = rest
        .chunk_by(|one, other| one.chars().next() == other.chars().next())
        .collect();
    if groups.len() > MAX_ALTERNATIVES {
        return None;
    }
    out.push('(');
    for (at, group) in groups.into_iter().enumerate() {
        if at > 0 {
            out.push('|');
        }
        // The text that the others begin with: the empty one, which is the first.
        write_alternatives(group, depth + 1, out)?;
    }
    out.push(')');
    Some(())
}

/// Returns whether a character means itself, in a pattern and in JSON.
fn is_plain(c: char) -> bool {
    !c.is_control() && !"^$.[](){}|*+?\\\"".contains(c)
}

/// Below, an `enum` is fast as it is.
const MIN_VALUES: usize = 32;
/// As many as letters and digits.
const MAX_ALTERNATIVES: usize = 128;
/// llama.cpp's converter follows groups by recursion.
const MAX_DEPTH: usize = 32;
/// Keywords that llama.cpp ignores beside `enum`.
const REPLACED: [&str; 5] = ["enum", "type", "format", "minLength", "maxLength"];
/// Keywords whose values are no schemas.
const VALUES: [&str; 4] = ["enum", "const", "default", "examples"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compressed(values: &[String]) -> Value {
        let mut schema = json!({"type": "object", "properties": {"a": {"enum": values}}});
        compress_enums(&mut schema);
        schema["properties"]["a"].clone()
    }

    #[test]
    fn texts_share_their_beginnings() {
        let mut values: Vec<String> = (0..40).map(|n| format!("Zürich {n}")).collect();
        values.push("Zug".into());
        values.push("Zug".into());
        let written = compressed(&values);
        assert_eq!(written["type"], "string");
        let pattern = written["pattern"].as_str().expect("a pattern");
        assert!(pattern.starts_with("^Z(ug|ürich (0|1(|0|1|2|"), "{pattern}");
        assert!(written.get("enum").is_none());
        assert_eq!(super::super::pattern::check_pattern(pattern), Ok(()));
    }

    #[test]
    fn other_lists_stay_as_they_are() {
        let many = |text: fn(u32) -> String| (0..500).map(text).collect::<Vec<_>>();
        for values in [
            vec!["few".to_owned(), "values".to_owned()],
            many(|n| format!("a.{n}")),
            many(|n| format!("\"{n}")),
            // Each begins with a character of its own.
            many(|n| char::from_u32(0x4e00 + n).map(String::from).unwrap_or_default()),
        ] {
            assert_eq!(compressed(&values), json!({"enum": values}));
        }
        let mut value = json!({"const": {"enum": many(|n| n.to_string())}});
        let before = value.clone();
        compress_enums(&mut value);
        assert_eq!(value, before, "a value is no schema");
    }
}
