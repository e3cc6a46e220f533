//! Export of a conversation: as Markdown for reading, as JSON for programs.

use super::conversation::{Conversation, ExportFormat, MessageState, StoredMessage};
use super::message::{ContentPart, MessageRole};
use super::receipt::Receipt;
use super::route::RouteTarget;
use crate::error::{Error, Result};

/// Returns the selected branch as text.
///
/// # Errors
/// `Internal` if the conversation cannot be serialized.
pub fn export(conversation: &Conversation, format: ExportFormat) -> Result<String> {
    match format {
        ExportFormat::Markdown => Ok(markdown(conversation)),
        ExportFormat::Json => serde_json::to_string_pretty(conversation)
            .map_err(|cause| Error::internal(format!("the conversation could not be serialized as JSON: {cause}"))),
    }
}

fn markdown(conversation: &Conversation) -> String {
    let mut page = format!("# {}\n", conversation.summary.title);
    if let Some(system) = &conversation.summary.settings.system {
        block(&mut page, &quoted(system));
    }
    for message in &conversation.messages {
        let speaker = match message.role {
            MessageRole::System => "Instructions",
            MessageRole::User => "You",
            MessageRole::Assistant => "Answer",
            MessageRole::Tool => "Tool",
        };
        block(&mut page, &format!("## {speaker}"));
        write_content(&mut page, message);
        match &message.state {
            MessageState::Done { .. } => {}
            MessageState::Writing => block(&mut page, "*(still generating)*"),
            MessageState::Interrupted => block(&mut page, "*(interrupted here)*"),
            MessageState::Failed { error, .. } => block(&mut page, &format!("*(ended with an error: {error})*")),
        }
        if let Some(receipt) = &message.receipt {
            block(&mut page, &format!("<sub>{}</sub>", target_line(receipt)));
        }
    }
    page
}

fn write_content(page: &mut String, message: &StoredMessage) {
    if !message.reasoning.is_empty() {
        block(page, &quoted(&message.reasoning));
    }
    if !message.text.is_empty() {
        block(page, &message.text);
    }
    for part in &message.parts {
        match part {
            ContentPart::Image { media_type, data } => {
                block(page, &format!("*(an image: {media_type}, {} bytes)*", data.len()))
            }
            ContentPart::ToolCall { name, arguments, .. } => block(page, &fenced(&format!("{name}({arguments})"))),
            ContentPart::ToolResult { name, content, .. } => block(page, &fenced(&format!("{name}: {content}"))),
            ContentPart::Text { text } => block(page, text),
            ContentPart::Reasoning { text } => block(page, &quoted(text)),
        }
    }
    for citation in &message.citations {
        let title = if citation.title.is_empty() {
            &citation.url
        } else {
            &citation.title
        };
        block(
            page,
            &format!("- [{}]({})", title.replace(['[', ']'], ""), citation.url),
        );
    }
}

fn target_line(receipt: &Receipt) -> String {
    let policy = &receipt.data_policy;
    match &receipt.target {
        RouteTarget::Local { model } => format!("{model}, on this device, $0"),
        target => format!("{target}, region {}, ${:.6}", policy.region, receipt.cost_usd),
    }
}

fn block(page: &mut String, text: &str) {
    page.push('\n');
    page.push_str(text);
    page.push('\n');
}

fn quoted(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("> {line}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// Encloses the text in a code fence that is longer than any in it.
fn fenced(text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fenced("a"), "```\na\n```");
        assert_eq!(fenced("```x"), "````\n```x\n````");
    }
}
