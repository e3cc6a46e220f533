//! Finds keywords of JSON Schema that llama.cpp ignores: an answer would violate the schema, and nothing would say so.

use serde_json::{Map, Value};

use super::pattern::MAX_PATTERN_BYTES;
use super::schema_loops::first_of;

/// Returns the path and the name of the first keyword in a schema that a model on this device is not held to.
pub(super) fn find_unheld(schema: &Value, path: &str) -> Option<(String, String)> {
    let fields = schema.as_object()?;
    let is_unheld = |(key, value): &(&String, &Value)| match (key.as_str(), value) {
        ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", _) => {
            fields.get("type") == Some(&"number".into())
        }
        ("uniqueItems" | "minProperties", value) => !allows_anything(value),
        ("pattern", Value::String(pattern)) => pattern.len() > MAX_PATTERN_BYTES,
        ("format", Value::String(format)) => UNHELD_FORMATS.contains(&format.as_str()),
        ("required", value) => !names_properties(value, fields.get("properties")),
        (key, _) if fields.contains_key("$ref") && BESIDE_REFERENCES.contains(&key) => true,
        (key, _) if first_of(fields, &["oneOf", "anyOf"]).is_some() && BESIDE_ALTERNATIVES.contains(&key) => true,
        (key, _) => UNHELD.contains(&key),
    };
    if let Some((key, _)) = fields.iter().find(is_unheld) {
        return Some((path.to_owned(), key.clone()));
    }
    inner_schemas(fields).find_map(|(key, inner)| find_unheld(inner, &format!("{path}/{key}")))
}

/// Returns the schemas within a schema, with their place in it.
fn inner_schemas(fields: &Map<String, Value>) -> impl Iterator<Item = (String, &Value)> {
    fields.iter().flat_map(|(key, value)| match (key.as_str(), value) {
        ("items" | "prefixItems" | "anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
            let each = schemas.iter().enumerate();
            each.map(|(at, schema)| (format!("{key}/{at}"), schema)).collect()
        }
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
            let each = schemas.iter();
            each.map(|(name, schema)| (format!("{key}/{name}"), schema)).collect()
        }
        ("items" | "additionalProperties", Value::Object(_)) => vec![(key.clone(), value)],
        _ => vec![],
    })
}

/// Returns whether this is a list of names of these properties: llama.cpp requires no others.
fn names_properties(required: &Value, properties: Option<&Value>) -> bool {
    let has = |name: &Value| {
        name.as_str()
            .zip(properties)
            .is_some_and(|(name, properties)| properties.get(name).is_some())
    };
    required.as_array().is_some_and(|names| names.iter().all(has))
}

/// Returns whether a keyword with this value excludes nothing.
fn allows_anything(value: &Value) -> bool {
    *value == Value::Bool(false) || value.as_u64() == Some(0)
}

/// The values of `format` that JSON Schema defines and llama.cpp ignores. Others only say more about a type.
const UNHELD_FORMATS: [&str; 15] = [
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];
/// Keywords that llama.cpp ignores beside `$ref`.
const BESIDE_REFERENCES: [&str; 8] = [
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
];
/// Keywords that llama.cpp ignores beside `anyOf` and `oneOf`.
const BESIDE_ALTERNATIVES: [&str; 6] = ["properties", "required", "items", "enum", "const", "allOf"];
/// Keywords that `json_schema_to_grammar` of llama.cpp does not read.
const UNHELD: [&str; 12] = [
    "not",
    "if",
    "contains",
    "multipleOf",
    "propertyNames",
    "patternProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_keyword_that_is_ignored_is_found_wherever_it_stands() {
        for (schema, expected) in [
            (json!({"type": "integer", "multipleOf": 7}), Some(("#", "multipleOf"))),
            (
                json!({"type": "number", "exclusiveMinimum": 5}),
                Some(("#", "exclusiveMinimum")),
            ),
            (json!({"type": "integer", "minimum": 5}), None),
            (json!({"not": {}}), Some(("#", "not"))),
            (json!({"type": "string", "format": "email"}), Some(("#", "format"))),
            (json!({"type": "string", "format": "date-time"}), None),
            // Only says more about a type.
            (json!({"type": "integer", "format": "int32"}), None),
            (
                json!({"pattern": format!("^{}$", "a?".repeat(2000))}),
                Some(("#", "pattern")),
            ),
            (
                json!({"properties": {"a": {}}, "required": ["b"]}),
                Some(("#", "required")),
            ),
            (json!({"properties": {"a": {}}, "required": ["a"]}), None),
            (
                json!({"properties": {"a": {}}, "required": "a"}),
                Some(("#", "required")),
            ),
            (
                json!({"$ref": "#/$defs/a", "description": "a", "$defs": {"a": {}}}),
                None,
            ),
            (
                json!({"$ref": "#/$defs/a", "properties": {}, "$defs": {"a": {}}}),
                Some(("#", "properties")),
            ),
            (json!({"type": "object", "anyOf": [{}, {}]}), None),
            (
                json!({"properties": {"a": {}}, "anyOf": [{"required": ["a"]}]}),
                Some(("#", "properties")),
            ),
            (
                json!({"type": "array", "uniqueItems": false, "items": {"type": "string"}}),
                None,
            ),
            (
                json!({"type": "array", "items": {"type": "array", "uniqueItems": true}}),
                Some(("#/items", "uniqueItems")),
            ),
            (
                json!({"$defs": {"a": {"anyOf": [{}, {"if": {}}]}}}),
                Some(("#/$defs/a/anyOf/1", "if")),
            ),
            // Names of properties and values are no keywords.
            (
                json!({"properties": {"not": {"type": "string"}}, "default": {"not": 1}}),
                None,
            ),
            (json!({"enum": [{"not": 1}]}), None),
        ] {
            let found = find_unheld(&schema, "#");
            let found = found.as_ref().map(|(path, key)| (path.as_str(), key.as_str()));
            assert_eq!(found, expected, "{schema}");
        }
    }
}
