//! The rules of "strict" JSON Schemas: OpenAI and its imitators reject a schema that breaks them with status 400.
//!
//! Every object lists all its properties as required and allows no others, and only some keywords exist. A schema that
//! breaks a rule is sent without `strict`: it is then followed as well as the model can.

use serde_json::Value;

/// Returns whether a schema satisfies the rules of strict mode.
pub(super) fn is_strict(schema: &Value) -> bool {
    schema["type"] == "object" && schema.get("anyOf").is_none() && holds_rules(schema, 0)
}

fn holds_rules(schema: &Value, depth: usize) -> bool {
    let Some(fields) = schema.as_object() else {
        return false;
    };
    if depth > MAX_DEPTH || fields.keys().any(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        return false;
    }
    let reference = fields
        .get("$ref")
        .map(|target| target.as_str().is_some_and(|target| target.starts_with('#')));
    if reference == Some(false) {
        return false;
    }
    // A value of any type cannot be enforced.
    let says = ["type", "$ref", "anyOf", "enum", "const"]
        .into_iter()
        .any(|keyword| fields.contains_key(keyword));
    let is_object = has_type(schema, "object");
    says && (!is_object || is_closed(schema))
        && (!has_type(schema, "array") || fields.contains_key("items"))
        && fields.iter().all(|(keyword, value)| match keyword.as_str() {
            "properties" | "$defs" | "definitions" => value
                .as_object()
                .is_some_and(|all| all.values().all(|one| holds_rules(one, depth + 1))),
            "items" => holds_rules(value, depth + 1),
            "anyOf" => value
                .as_array()
                .is_some_and(|all| all.iter().all(|one| holds_rules(one, depth + 1))),
            _ => true,
        })
}

/// Returns whether an object requires all its properties and allows no others.
fn is_closed(schema: &Value) -> bool {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = schema["properties"].as_object();
    schema["additionalProperties"] == false
        && names.is_some_and(|names| {
            names
                .keys()
                .all(|name| required.iter().any(|one| one.as_str() == Some(name)))
        })
}

fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|one| one == name),
        one => one == name,
    }
}

/// The keywords of strict mode (OpenAI's page on structured outputs, 2026).
const KEYWORDS: [&str; 25] = [
    "$schema",
    "$id",
    "$ref",
    "$defs",
    "definitions",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "enum",
    "const",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "examples",
];
/// OpenAI allows ten levels.
const MAX_DEPTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_schema_that_strict_mode_accepts_is_strict() {
        for (schema, strict) in [
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
                true,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],"additionalProperties":false}"#,
                true,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{"oneOf":[]}},"required":["a"],"additionalProperties":false}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{}}}},"required":["a"],"additionalProperties":false}"#,
                false,
            ),
            (
                r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}},"required":["a"],"additionalProperties":false,"$defs":{"b":{"type":"string"}}}"##,
                true,
            ),
            (r#"{"type":"array","items":{"type":"string"}}"#, false),
            (r#"{}"#, false),
        ] {
            assert_eq!(
                is_strict(&serde_json::from_str(schema).expect(schema)),
                strict,
                "{schema}"
            );
        }
    }
}
