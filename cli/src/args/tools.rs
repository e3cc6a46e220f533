//! Tool definitions of a request, in a JSON file.

use nearside::Error;
use nearside::chat::ToolDefinition;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::input::read_text;

/// A tool in the file.
#[derive(Debug, Deserialize)]
struct ToolEntry {
    name: String,
    #[serde(default)]
    description: String,
    /// JSON Schema; unset: no arguments.
    #[serde(default)]
    parameters: Value,
}

/// Reads tool definitions: a JSON array of objects with `name`, `description` and `parameters`, or of OpenAI's, which have
/// them under `function`.
///
/// # Errors
/// `InvalidRequest` for a file that is no such array, with the position; `Storage`.
pub(super) fn read_tools(file: &str) -> Result<Vec<ToolDefinition>, CliError> {
    let text = read_text(file, "read the tools")?;
    let wrong = |what: String| {
        let error = Error::invalid_request(format!("`{file}` holds no tools: {what}"));
        CliError::with_help(
            error,
            "it is a JSON array of objects with `name`, `description` and `parameters`, a JSON Schema",
        )
    };
    let entries: Vec<Value> = serde_json::from_str(&text).map_err(|cause| wrong(cause.to_string()))?;
    if entries.is_empty() {
        return Err(wrong("the array is empty".to_owned()));
    }
    let mut tools = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let at = at + 1;
        let fields = entry.get("function").unwrap_or(&entry);
        let entry = ToolEntry::deserialize(fields).map_err(|cause| wrong(format!("tool {at}: {cause}")))?;
        tools.push(ToolDefinition {
            name: entry.name,
            description: entry.description,
            parameters: match entry.parameters {
                Value::Null => json!({ "type": "object", "properties": {} }).to_string(),
                // As the library stores them.
                Value::String(schema) => schema,
                schema => schema.to_string(),
            },
        });
    }
    Ok(tools)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::HelpContext;

    #[test]
    fn tools_are_read_in_both_spellings() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("UTF-8");
        let read = |text: &str| {
            std::fs::write(path, text).expect("written");
            read_tools(path)
        };
        let own = read(r#"[{"name":"tides","description":"d","parameters":{"type":"object"}},{"name":"now"}]"#);
        let own = own.expect("tools");
        assert_eq!(own[0].parameters, r#"{"type":"object"}"#);
        assert_eq!((own[1].name.as_str(), own[1].description.as_str()), ("now", ""));
        assert!(own[1].parameters.contains("properties"));
        let openai = read(
            r#"[{"type":"function","function":{"name":"tides","description":"d","parameters":{"type":"object"}}}]"#,
        );
        assert_eq!(openai.expect("tools")[0], own[0]);
        let stored = read(&serde_json::to_string(&own).expect("JSON")).expect("tools");
        assert_eq!(stored, own);
        for (text, named) in [
            ("", "EOF"),
            ("{}", "sequence"),
            ("[]", "empty"),
            ("[1]", "tool 1"),
            (r#"[{"name":"a"},{"description":"b"}]"#, "tool 2: missing field `name`"),
        ] {
            let (message, _) = read(text)
                .expect_err(text)
                .message_and_help(&HelpContext::default())
                .expect("an error");
            assert!(message.contains(named), "{text}: {message}");
        }
    }
}
