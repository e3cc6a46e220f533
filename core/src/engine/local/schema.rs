//! Checks the JSON schemas of a request before a model is loaded for it, and says what is wrong with them.
//!
//! llama.cpp turns a schema into a grammar. It supports a part of JSON Schema; a pattern that it cannot express it drops
//! with a line on standard error, and some schemas it follows without end. So the same rules are checked here first, and
//! what is only another spelling is rewritten: `true` as "any value", an empty schema as one that llama.cpp does not take
//! for a missing one. The texts name places and keywords of the schema, never values.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::enum_pattern::compress_enums;
use super::pattern::{MAX_PATTERN_BYTES, PatternError, check_pattern, rewrite_pattern};
use super::prompt;
use super::schema_keywords::find_unheld;
use super::schema_loops::{find_endless, first_of, has_properties, resolve_reference};
use crate::chat::{ChatRequest, OutputFormat};
use crate::error::{Error, ErrorReason, Result};

/// The constraints of a request, as JSON that llama.cpp can use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Constraints {
    /// The schema of the answer.
    pub(super) schema: Option<String>,
    /// The tools.
    pub(super) tools: Option<String>,
}

/// Returns the constraints of a request.
///
/// # Errors
/// `InvalidRequest` for a schema that a model on this device cannot be held to.
pub(super) fn prepare(request: &ChatRequest) -> Result<Constraints> {
    let schema = match &request.output {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(json!({ "type": "object" })),
        OutputFormat::JsonSchema { schema } => {
            let mut schema = parse_schema("the JSON schema", schema)?;
            check_held(&schema, "the JSON schema")?;
            compress_enums(&mut schema);
            Some(spell_out_empty(prepare_schema(&schema, "the JSON schema")?))
        }
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        let name = format!("the schema of tool `{}`", tool.name);
        let mut tool = tool.clone();
        if !tool.parameters.trim().is_empty() {
            let mut parameters = parse_schema(&name, &tool.parameters)?;
            // A call is checked by the app in any case: an inexpressible pattern stays as a hint to the model.
            rename_patterns(&mut parameters);
            tool.parameters = prepare_schema(&parameters, &name)?.to_string();
        }
        tools.push(tool);
    }
    Ok(Constraints {
        schema: schema.map(|schema| schema.to_string()),
        tools: prompt::tools_json(&tools),
    })
}

/// Rejects a schema with a keyword that llama.cpp would ignore. A tool may have one: the app checks a call in any case.
fn check_held(schema: &Value, name: &str) -> Result<()> {
    match find_unheld(schema, "#") {
        Some((path, key)) => {
            let check = SchemaCheck { root: schema, name };
            check.fail(
                &path,
                &format!("a model on this device cannot be held to `{key}`; leave it out, and check the answer"),
            )
        }
        None => Ok(()),
    }
}

fn parse_schema(name: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|cause| {
        // serde_json's own text could quote the schema.
        let place = format!("line {}, column {}", cause.line(), cause.column());
        invalid(format!("{name} is no JSON, or nests too deeply ({place}); correct it"))
    })
}

fn invalid(text: String) -> Error {
    Error::invalid_request(text).because(ErrorReason::InvalidParameter)
}

/// Checks a schema and returns it in the spelling that llama.cpp knows.
fn prepare_schema(schema: &Value, name: &str) -> Result<Value> {
    let schema = normalize(schema);
    let check = SchemaCheck { root: &schema, name };
    check.check_node(&schema, "#", &mut HashSet::new())?;
    match find_endless(&schema) {
        Some((reference, what)) => check.fail(reference, what),
        None => Ok(schema),
    }
}

/// Returns the schema, or one of the same meaning if it is empty: llama.cpp takes an empty schema for none.
fn spell_out_empty(schema: Value) -> Value {
    match schema.as_object() {
        Some(fields) if fields.is_empty() => json!({ "description": "any JSON value" }),
        _ => schema,
    }
}

/// Replaces `true`, which allows anything, by the empty schema, wherever a schema is expected.
fn normalize(schema: &Value) -> Value {
    match schema {
        Value::Bool(true) => json!({}),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), normalize_field(key, value)))
            .collect(),
        other => other.clone(),
    }
}

fn normalize_field(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("items" | "prefixItems" | "anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
            schemas.iter().map(normalize).collect()
        }
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => schemas
            .iter()
            .map(|(name, schema)| (name.clone(), normalize(schema)))
            .collect(),
        ("items", _) => normalize(value),
        ("pattern", Value::String(pattern)) => rewrite_pattern(pattern).into(),
        // Here llama.cpp knows the booleans itself.
        ("additionalProperties", Value::Object(_)) => normalize(value),
        _ => value.clone(),
    }
}

/// Renames patterns that llama.cpp cannot express, so that it ignores them and the model still reads them.
fn rename_patterns(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(rename_patterns),
        Value::Object(fields) => {
            let inexpressible = |pattern: &str| {
                pattern.len() > MAX_PATTERN_BYTES
                    || check_pattern(&rewrite_pattern(pattern)) == Err(PatternError::Inexpressible)
            };
            if fields.get("pattern").and_then(Value::as_str).is_some_and(inexpressible)
                && let Some(pattern) = fields.remove("pattern")
            {
                fields.insert("regex".to_owned(), pattern);
            }
            fields.values_mut().for_each(rename_patterns);
        }
        _ => {}
    }
}

/// A schema while it is checked.
struct SchemaCheck<'a> {
    root: &'a Value,
    name: &'a str,
}

impl<'a> SchemaCheck<'a> {
    fn fail<T>(&self, path: &str, what: &str) -> Result<T> {
        let path: String = path.chars().filter(|c| !c.is_control()).take(MAX_PATH_CHARS).collect();
        Err(invalid(format!("{} is not usable at `{path}`: {what}", self.name)))
    }

    /// Checks one schema and all inside of it. `seen`: the references that were followed.
    fn check_node(&self, node: &'a Value, path: &str, seen: &mut HashSet<&'a str>) -> Result<()> {
        let Some(fields) = node.as_object() else {
            return self.fail(path, "a schema is an object");
        };
        if let Some(reference) = fields.get("$ref") {
            return self.check_reference(reference, path, seen);
        }
        if let Some((key, alternatives)) = first_of(fields, &["oneOf", "anyOf"]) {
            return self.check_alternatives(alternatives, &format!("{path}/{key}"), seen);
        }
        let types = match fields.get("type") {
            None | Some(Value::Null) => vec![""],
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) if !names.is_empty() && names.iter().all(Value::is_string) => {
                names.iter().filter_map(Value::as_str).collect()
            }
            Some(_) => return self.fail(path, "`type` is the name of a type or a list of names"),
        };
        if fields.contains_key("const") {
            return Ok(());
        }
        if let Some(values) = fields.get("enum") {
            return match values.as_array() {
                Some(values) if !values.is_empty() => self.check_width(values.len(), path, "values"),
                _ => self.fail(path, "`enum` is a list of at least one value"),
            };
        }
        for name in types {
            self.check_type(name, fields, path, seen)?;
        }
        Ok(())
    }

    fn check_type(
        &self,
        name: &str,
        fields: &'a Map<String, Value>,
        path: &str,
        seen: &mut HashSet<&'a str>,
    ) -> Result<()> {
        let has_all_of = fields.contains_key("allOf");
        match name {
            "object" if has_all_of && !has_properties(fields) => self.check_all_of(fields, path, seen),
            "" if has_all_of && !has_properties(fields) => self.check_all_of(fields, path, seen),
            "string" if has_all_of => self.check_all_of(fields, path, seen),
            "object" => self.check_object(fields, path, seen),
            "array" => self.check_array(fields, path, seen),
            "string" => self.check_string(fields, path),
            "integer" => self.check_bounds(fields, path),
            "number" | "boolean" | "null" => Ok(()),
            "" if has_properties(fields) => self.check_object(fields, path, seen),
            "" if first_of(fields, &["items", "prefixItems"]).is_some() => self.check_array(fields, path, seen),
            "" => self.check_string(fields, path),
            _ => self.fail(
                path,
                "unknown `type`; there are `object`, `array`, `string`, `number`, `integer`, `boolean` and `null`",
            ),
        }
    }

    fn check_reference(&self, reference: &'a Value, path: &str, seen: &mut HashSet<&'a str>) -> Result<()> {
        let Some(reference) = reference.as_str() else {
            return self.fail(path, "`$ref` is a text");
        };
        if !reference.starts_with("#/") {
            return self.fail(
                path,
                "`$ref` leads out of the schema, or to all of it; copy what it means into `$defs`, and refer to that",
            );
        }
        let Some(target) = resolve_reference(self.root, reference) else {
            return self.fail(path, "`$ref` leads to a place that does not exist");
        };
        match seen.insert(reference) {
            true => self.check_node(target, reference, seen),
            false => Ok(()),
        }
    }

    fn check_all_of(&self, fields: &'a Map<String, Value>, path: &str, seen: &mut HashSet<&'a str>) -> Result<()> {
        match fields.get("allOf") {
            Some(parts) => self.check_alternatives(parts, &format!("{path}/allOf"), seen),
            None => Ok(()),
        }
    }

    fn check_alternatives(&self, schemas: &'a Value, path: &str, seen: &mut HashSet<&'a str>) -> Result<()> {
        match schemas.as_array() {
            Some(schemas) if !schemas.is_empty() => {
                self.check_width(schemas.len(), path, "schemas")?;
                let mut numbered = schemas.iter().enumerate();
                numbered.try_for_each(|(n, schema)| self.check_node(schema, &format!("{path}/{n}"), seen))
            }
            _ => self.fail(path, "it is a list of at least one schema"),
        }
    }

    fn check_object(&self, fields: &'a Map<String, Value>, path: &str, seen: &mut HashSet<&'a str>) -> Result<()> {
        match fields.get("properties") {
            None => {}
            Some(Value::Object(properties)) => {
                let required = fields.get("required").and_then(Value::as_array).map_or(0, Vec::len);
                let optional = properties.len().saturating_sub(required);
                self.check_width(optional, path, "properties that are not required")?;
                for (name, schema) in properties {
                    self.check_node(schema, &format!("{path}/properties/{name}"), seen)?;
                }
            }
            Some(_) => return self.fail(path, "`properties` is an object"),
        }
        match fields.get("additionalProperties") {
            None | Some(Value::Bool(_)) => Ok(()),
            Some(schema @ Value::Object(_)) => self.check_node(schema, &format!("{path}/additionalProperties"), seen),
            Some(_) => self.fail(path, "`additionalProperties` is a boolean or a schema"),
        }
    }

    fn check_array(&self, fields: &'a Map<String, Value>, path: &str, seen: &mut HashSet<&'a str>) -> Result<()> {
        self.check_counts(fields, path, "minItems", "maxItems")?;
        let Some((key, items)) = first_of(fields, &["items", "prefixItems"]) else {
            return Ok(());
        };
        match items {
            Value::Array(items) => {
                let mut numbered = items.iter().enumerate();
                numbered.try_for_each(|(n, schema)| self.check_node(schema, &format!("{path}/{key}/{n}"), seen))
            }
            schema => self.check_node(schema, &format!("{path}/{key}"), seen),
        }
    }

    fn check_string(&self, fields: &Map<String, Value>, path: &str) -> Result<()> {
        self.check_counts(fields, path, "minLength", "maxLength")?;
        if fields.get("format").is_some_and(|format| !format.is_string()) {
            return self.fail(path, "`format` is a text");
        }
        match fields.get("pattern").map(|pattern| pattern.as_str().map(check_pattern)) {
            None | Some(Some(Ok(()))) => Ok(()),
            Some(None) => self.fail(path, "`pattern` is a text"),
            Some(Some(Err(PatternError::Invalid))) => self.fail(path, "`pattern` is no regular expression"),
            Some(Some(Err(PatternError::Inexpressible))) => self.fail(
                path,
                "a model on this device cannot be held to this `pattern`; it has to begin with `^` and end with `$`, and \
                 have no look-around and no anchors inside; change or remove it",
            ),
        }
    }

    /// Checks the number of alternatives at one place: every token is compared with each, and nothing can stop that.
    fn check_width(&self, count: usize, path: &str, what: &str) -> Result<()> {
        match count > MAX_WIDTH {
            true => self.fail(
                path,
                &format!("it has {count} {what}, and a model on this device can be held to {MAX_WIDTH}"),
            ),
            false => Ok(()),
        }
    }

    fn check_counts(&self, fields: &Map<String, Value>, path: &str, least: &str, most: &str) -> Result<()> {
        let mut counts = [0, u64::MAX];
        for (count, key) in counts.iter_mut().zip([least, most]) {
            match fields.get(key) {
                None => {}
                Some(value) => match value.as_u64() {
                    Some(number) if i32::try_from(number).is_ok() => *count = number,
                    _ => return self.fail(path, &format!("`{key}` is a whole number from 0 to {}", i32::MAX)),
                },
            }
        }
        match counts {
            [least_count, most_count] if least_count > most_count => {
                self.fail(path, &format!("`{least}` is above `{most}`"))
            }
            [least_count, _] if least_count > MAX_REPETITIONS => self.fail(
                path,
                &format!("`{least}` is above {MAX_REPETITIONS}, the most that a model on this device can be held to"),
            ),
            _ => Ok(()),
        }
    }

    fn check_bounds(&self, fields: &Map<String, Value>, path: &str) -> Result<()> {
        for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            let sound = fields
                .get(key)
                .is_none_or(|bound| bound.as_f64().is_some_and(|bound| bound.abs() < MAX_BOUND));
            if !sound {
                return self.fail(path, &format!("`{key}` is no number, or too large"));
            }
        }
        Ok(())
    }
}

/// `MAX_REPETITION_THRESHOLD` of llama.cpp's grammars.
const MAX_REPETITIONS: u64 = 2000;
/// As many alternatives take about a second for each token.
const MAX_WIDTH: usize = 500;
/// Bounds beyond the whole numbers that floats hold exactly.
const MAX_BOUND: f64 = 9e15;
const MAX_PATH_CHARS: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ToolDefinition;

    fn check(schema: &Value) -> Result<Value> {
        prepare_schema(schema, "the JSON schema").map(spell_out_empty)
    }

    #[test]
    fn what_is_wrong_with_a_schema_is_said() {
        for (schema, expected) in [
            (json!({"type": "nonsense"}), "unknown `type`"),
            (json!({"type": 1}), "`type` is the name"),
            (
                json!({"properties": {"a": {"type": "int"}}}),
                "at `#/properties/a`: unknown `type`",
            ),
            (json!({"$ref": "https://example.org/a.json"}), "leads out of the schema"),
            (json!({"$ref": "#"}), "leads out of the schema"),
            (json!({"$ref": "#/$defs/a"}), "does not exist"),
            (json!({"anyOf": []}), "at least one schema"),
            (json!({"items": {"enum": []}}), "`enum` is a list"),
            (json!({"enum": (0..501).collect::<Vec<_>>()}), "it has 501 values"),
            (json!([]), "a schema is an object"),
            (
                json!({"type": "string", "pattern": "^(?=a)b$"}),
                "cannot be held to this `pattern`",
            ),
            (json!({"type": "string", "pattern": "^(a$"}), "no regular expression"),
            (
                json!({"type": "string", "minLength": -1}),
                "`minLength` is a whole number",
            ),
            (json!({"type": "array", "minItems": 5000}), "is above 2000"),
            (
                json!({"type": "array", "minItems": 5, "maxItems": 2}),
                "is above `maxItems`",
            ),
            (json!({"type": "integer", "minimum": 1e300}), "no number, or too large"),
            (json!({"items": false}), "a schema is an object"),
        ] {
            let error = check(&schema).expect_err("refused");
            assert!(error.to_string().contains(expected), "{schema}: {error}");
            assert_eq!(error.reason(), ErrorReason::InvalidParameter);
        }
    }

    #[test]
    fn a_schema_without_end_is_refused_and_a_recursive_one_is_not() {
        let with = |a: Value| json!({"$ref": "#/$defs/a", "$defs": {"a": a, "b": {"$ref": "#/$defs/a"}}});
        for endless in [
            json!({"$ref": "#/$defs/a"}),
            json!({"$ref": "#/$defs/b"}),
            json!({"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}),
            json!({"allOf": [{"$ref": "#/$defs/b"}]}),
            json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "required": ["x"]}),
            json!({"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}),
        ] {
            let error = check(&with(endless.clone())).expect_err("refused").to_string();
            assert!(
                error.contains("no end") || error.contains("optional"),
                "{endless}: {error}"
            );
        }
        for sound in [
            json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}),
            json!({"type": "array", "items": {"$ref": "#/$defs/a"}}),
            json!({"type": "object", "properties": {"x": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}},
                   "required": ["x"]}),
        ] {
            assert!(check(&with(sound.clone())).is_ok(), "{sound}");
        }
    }

    #[test]
    fn other_spellings_are_rewritten() {
        for any in [json!({}), json!(true)] {
            let prepared = check(&any).expect("any value");
            assert_eq!(
                prepared,
                json!({"description": "any JSON value"}),
                "llama.cpp ignores `{{}}`"
            );
        }
        let schema = json!({"properties": {"a": true}, "items": true, "additionalProperties": true});
        let expected = json!({"properties": {"a": {}}, "items": {}, "additionalProperties": true});
        assert_eq!(check(&schema).expect("sound"), expected);
        let digits = json!({"type": "string", "pattern": "^\\d+$"});
        assert_eq!(check(&digits).expect("sound")["pattern"], "^[0-9]+$");
    }

    #[test]
    fn tools_keep_a_pattern_as_a_hint_and_are_named_in_errors() {
        let mut request = ChatRequest::new(vec![]);
        let tool = |parameters: Value| ToolDefinition {
            name: "weather".into(),
            description: String::new(),
            parameters: parameters.to_string(),
        };
        request.tools = vec![tool(
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)"}}}),
        )];
        let tools = prepare(&request).expect("sound").tools.expect("tools");
        assert!(
            tools.contains(r#""regex":"(?=a)""#) && !tools.contains("pattern"),
            "{tools}"
        );
        request.tools = vec![tool(json!({"type": "object", "properties": {"a": {"type": "date"}}}))];
        let error = prepare(&request).expect_err("refused").to_string();
        assert!(
            error.contains("tool `weather`") && error.contains("#/properties/a"),
            "{error}"
        );
    }
}
