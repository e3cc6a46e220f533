//! Finds schemas that have no end: llama.cpp would follow them for ever, or the model could never finish.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// One node as far as the search for endless schemas needs it.
enum Shape<'a> {
    /// It has a value by itself.
    Finite,
    /// It is the same as another.
    Reference(&'a str),
    /// One of these has to have a value.
    AnyOf(Vec<&'a Value>),
    /// All of these have to have a value; `nested`: inside of it, after a bracket.
    AllOf { parts: Vec<&'a Value>, nested: bool },
}

/// Returns the reference at which a schema has no end, and the reason: no finite value satisfies it, or it refers to itself
/// without an object or a list between.
pub(super) fn find_endless(root: &Value) -> Option<(&str, &'static str)> {
    let mut references = HashSet::new();
    collect_references(root, &mut references);
    let targets: HashMap<&str, &Value> = references
        .into_iter()
        .filter_map(|reference| Some((reference, resolve_reference(root, reference)?)))
        .collect();
    for (reference, target) in &targets {
        if returns_to(root, target, &mut HashSet::from([*reference])) {
            return Some((*reference, "it refers to itself and to nothing else, so it has no end"));
        }
    }
    // The least fixed point: each round adds the references that have a value in terms of the earlier ones.
    let mut finite: HashSet<&str> = HashSet::new();
    loop {
        let more: Vec<&str> = targets
            .iter()
            .filter(|(reference, target)| !finite.contains(*reference) && is_finite(target, &finite))
            .map(|(reference, _)| *reference)
            .collect();
        if more.is_empty() {
            break;
        }
        finite.extend(more);
    }
    let endless = targets.keys().find(|reference| !finite.contains(*reference))?;
    Some((
        *endless,
        "each of its values holds another one, so it has no end; make a part of it optional",
    ))
}

/// Follows a reference as llama.cpp does: without the escapes of JSON pointers.
pub(super) fn resolve_reference<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    reference.split('/').skip(1).try_fold(root, |at, name| match at {
        Value::Object(fields) => fields.get(name),
        Value::Array(values) => values.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Returns whether a reference in `open` is reached again without entering an object or a list.
fn returns_to<'a>(root: &'a Value, node: &'a Value, open: &mut HashSet<&'a str>) -> bool {
    match shape(node) {
        Shape::Finite | Shape::AllOf { nested: true, .. } => false,
        Shape::AnyOf(parts) | Shape::AllOf { parts, .. } => parts.into_iter().any(|part| returns_to(root, part, open)),
        Shape::Reference(reference) if !open.insert(reference) => true,
        Shape::Reference(reference) => {
            let target = resolve_reference(root, reference);
            let returns = target.is_some_and(|target| returns_to(root, target, open));
            open.remove(reference);
            returns
        }
    }
}

fn is_finite(node: &Value, finite: &HashSet<&str>) -> bool {
    match shape(node) {
        Shape::Finite => true,
        Shape::Reference(reference) => finite.contains(reference),
        Shape::AnyOf(parts) => parts.into_iter().any(|part| is_finite(part, finite)),
        Shape::AllOf { parts, .. } => parts.into_iter().all(|part| is_finite(part, finite)),
    }
}

fn shape(node: &Value) -> Shape<'_> {
    let Some(fields) = node.as_object() else {
        return Shape::Finite;
    };
    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
        return Shape::Reference(reference);
    }
    if let Some((_, alternatives)) = first_of(fields, &["oneOf", "anyOf"]) {
        return Shape::AnyOf(alternatives.as_array().into_iter().flatten().collect());
    }
    if fields.contains_key("const") || fields.contains_key("enum") {
        return Shape::Finite;
    }
    // Of several types one that is neither object nor list has a value.
    let types: Vec<&str> = match fields.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    if types.iter().any(|name| !matches!(*name, "object" | "array")) && !fields.contains_key("allOf") {
        return Shape::Finite;
    }
    if let Some(parts) = fields.get("allOf").filter(|_| !has_properties(fields)) {
        return Shape::AllOf {
            parts: parts.as_array().into_iter().flatten().collect(),
            nested: false,
        };
    }
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
        let required = required.filter_map(|name| properties.get(name.as_str()?));
        return Shape::AllOf {
            parts: required.collect(),
            nested: true,
        };
    }
    let parts = match first_of(fields, &["items", "prefixItems"]) {
        Some((_, Value::Array(items))) => items.iter().collect(),
        Some((_, items)) if fields.get("minItems").and_then(Value::as_u64).unwrap_or(0) > 0 => vec![items],
        _ => vec![],
    };
    Shape::AllOf { parts, nested: true }
}

/// Returns whether llama.cpp takes a schema of no type for one of objects.
pub(super) fn has_properties(fields: &Map<String, Value>) -> bool {
    let additional = fields.get("additionalProperties");
    fields.contains_key("properties") || additional.is_some_and(|additional| *additional != Value::Bool(true))
}

/// Returns the first of these keywords that the schema has.
pub(super) fn first_of<'a>(fields: &'a Map<String, Value>, keys: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    keys.iter().find_map(|key| Some((*key, fields.get(*key)?)))
}

fn collect_references<'a>(node: &'a Value, references: &mut HashSet<&'a str>) {
    match node {
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, references)),
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect_references(value, references));
        }
        _ => {}
    }
}
