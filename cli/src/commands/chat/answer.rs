//! Prints one answer: on a terminal, to a pipe, or as JSON.

use nearside::Error;
use nearside::chat::{AnswerSummary, CacheMiss, ChatStream, Chunk, Route, RouteRule, StopReason};

use super::receipt;
use crate::args::values::ReasoningDisplay;
use crate::error::CliError;
use crate::output::{Printer, dim, plain, warning};
use crate::session::CliSession;

/// The end of an answer.
#[derive(Debug, Default)]
pub(super) struct AnswerEnd {
    /// The user interrupted it.
    pub(super) interrupted: bool,
    /// Calls that the model made.
    pub(super) calls: Vec<OpenCall>,
}

/// A call of a tool, without its result.
#[derive(Debug, Clone)]
pub(super) struct OpenCall {
    pub(super) id: String,
    /// The tool's name.
    pub(super) name: String,
}

/// Prints the answer as it is streamed. Ctrl-C cancels it and waits for the end of the stream; a second one does not
/// wait.
pub(super) async fn print_answer(
    stream: &ChatStream,
    display: ReasoningDisplay,
    max_tokens: Option<u32>,
    session: &mut CliSession,
) -> Result<AnswerEnd, CliError> {
    let mut view = AnswerView::new(display, max_tokens);
    let result = print_chunks(stream, &mut view, session).await;
    if result.is_err() {
        // The error starts on a line of its own.
        view.end_line(&mut session.output)?;
    }
    result
}

/// Prints the chunks until the end of the stream.
async fn print_chunks(
    stream: &ChatStream,
    view: &mut AnswerView,
    session: &mut CliSession,
) -> Result<AnswerEnd, CliError> {
    let mut end = AnswerEnd::default();
    let mut done = false;
    loop {
        let batch = tokio::select! {
            batch = stream.next_batch() => batch?,
            () = session.interrupt.pressed() => {
                if end.interrupted {
                    return Err(CliError::Interrupted);
                }
                end.interrupted = true;
                stream.cancel();
                continue;
            }
        };
        if batch.is_empty() {
            break;
        }
        for chunk in batch {
            done |= matches!(chunk, Chunk::Done { .. });
            if let Chunk::ToolCall { id, name, .. } = &chunk {
                let (id, name) = (id.clone(), name.clone());
                end.calls.push(OpenCall { id, name });
            }
            if session.output.is_json() {
                session.output.print_json(&chunk)?;
            } else {
                view.print_chunk(chunk, &mut session.output)?;
            }
        }
    }
    if done {
        Ok(end)
    } else {
        Err(Error::internal("the answer ended without `Done`").into())
    }
}

/// The answer so far, and the state of the output.
#[derive(Debug)]
struct AnswerView {
    display: ReasoningDisplay,
    /// The user's limit of tokens.
    max_tokens: Option<u32>,
    /// Whether the last reasoning, and the last text, ended its line.
    reasoning_ends_line: bool,
    text_ends_line: bool,
    cursor: CursorState,
    /// Number of reasoning chunks: close to its tokens, which only `done` has.
    reasoning_chunks: u32,
    /// A `Started` was seen; the next one is a fallback.
    has_started: bool,
    /// Pages that the answer cites, printed under it.
    citations: Vec<String>,
}

/// Text before the cursor on its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CursorState {
    LineStart,
    Reasoning,
    FoldedReasoning,
    Text,
}

impl AnswerView {
    fn new(display: ReasoningDisplay, max_tokens: Option<u32>) -> Self {
        Self {
            display,
            max_tokens,
            reasoning_ends_line: false,
            text_ends_line: false,
            cursor: CursorState::LineStart,
            reasoning_chunks: 0,
            has_started: false,
            citations: vec![],
        }
    }

    fn print_chunk(&mut self, chunk: Chunk, output: &mut Printer) -> Result<(), CliError> {
        match chunk {
            Chunk::Started { route } => {
                // The same target may start again, with another part of the history.
                if std::mem::replace(&mut self.has_started, true) && route.rule == RouteRule::PreviousFailed {
                    note_fallback(&route, output);
                }
                Ok(())
            }
            Chunk::Reasoning { text } => self.print_reasoning(text, output),
            Chunk::Text { text } => {
                if self.cursor != CursorState::Text {
                    self.end_line(output)?;
                    self.cursor = CursorState::Text;
                }
                self.text_ends_line = text.ends_with('\n');
                output.print_text(plain(text))
            }
            Chunk::ToolCall { name, arguments, .. } => {
                self.end_line(output)?;
                output.print_line(&[dim(format!("tool call: {name} {arguments}"))])
            }
            Chunk::Citation { url, title } => {
                self.citations.push(format!("{title} {url}").trim().to_owned());
                Ok(())
            }
            Chunk::Done { summary } => {
                self.end_line(output)?;
                for page in std::mem::take(&mut self.citations) {
                    output.print_line(&[dim(format!("source: {page}"))])?;
                }
                let omitted = summary.receipt.omitted_messages;
                if omitted > 0 {
                    let text = format!("without the first {omitted} messages: the context holds no more");
                    output.print_note(&[warning(text)]);
                }
                if let Some(changed) = summary.receipt.cache_miss {
                    output.print_note(&[warning(cache_note(changed))]);
                }
                if let Some(reason) = stop_reason(&summary, self.max_tokens) {
                    output.print_note(&[warning(reason)]);
                }
                for line in receipt::format_lines(&summary.receipt, &summary.usage, &summary.timings) {
                    output.print_note(&[dim(line)]);
                }
                Ok(())
            }
        }
    }

    fn print_reasoning(&mut self, text: String, output: &mut Printer) -> Result<(), CliError> {
        match self.display {
            ReasoningDisplay::Show => {
                if self.cursor != CursorState::Reasoning {
                    self.end_line(output)?;
                    // A heading, because not every terminal shows dimmed text.
                    output.print_line(&[dim("thinking…")])?;
                    self.cursor = CursorState::Reasoning;
                }
                self.reasoning_ends_line = text.ends_with('\n');
                output.print_text(dim(text))
            }
            ReasoningDisplay::Hide => {
                self.reasoning_chunks += 1;
                if output.is_note_terminal() {
                    self.cursor = CursorState::FoldedReasoning;
                    output.print_transient_note(dim(format!("thinking… ({} tokens)", self.reasoning_chunks)));
                }
                Ok(())
            }
        }
    }

    /// Ends the current line, unless it is empty.
    fn end_line(&mut self, output: &mut Printer) -> Result<(), CliError> {
        match self.cursor {
            CursorState::LineStart => {}
            CursorState::Reasoning => {
                if !self.reasoning_ends_line {
                    output.print_text(plain("\n"))?;
                }
                output.print_text(plain("\n"))?;
            }
            CursorState::FoldedReasoning => output.print_note(&[]),
            CursorState::Text => {
                if !self.text_ends_line {
                    output.print_text(plain("\n"))?;
                }
            }
        }
        self.cursor = CursorState::LineStart;
        Ok(())
    }
}

/// Says why the model read the conversation again.
fn cache_note(changed: CacheMiss) -> &'static str {
    match changed {
        CacheMiss::SystemPromptChanged => {
            "the conversation was read again: the system prompt changed since the last answer, as one with the time does"
        }
        CacheMiss::ToolsChanged => "the conversation was read again: the tools changed since the last answer",
    }
}

/// Returns why the answer is incomplete; `None` for a complete one.
fn stop_reason(summary: &AnswerSummary, max_tokens: Option<u32>) -> Option<&'static str> {
    match summary.stop {
        StopReason::End | StopReason::StopSequence | StopReason::ToolCall => None,
        StopReason::MaxTokens => Some(match (max_tokens, summary.receipt.target.is_remote()) {
            (Some(limit), _) if summary.usage.completion_tokens >= limit => "cut off at `--max-tokens`",
            // Some providers count no tokens, and the library's estimate may be too low.
            (Some(_), true) => "cut off at `--max-tokens`, or at the provider's own limit",
            (Some(_), false) => "cut off at `--max-tokens`",
            (None, true) => "cut off at the provider's own limit",
            (None, false) => "cut off at the model's own limit",
        }),
        StopReason::ContextFull => {
            Some("cut off: the context is full; use a larger `--context` or start a new conversation")
        }
        StopReason::Cancelled => Some("stopped"),
        StopReason::CostLimit => {
            Some("cut off: the maximum cost is reached (`--max-usd`, or the caps of `nearside policy`)")
        }
        StopReason::Filtered => Some("cut off by the provider's filter"),
        StopReason::MemoryCritical => Some("cut off: the system needs the memory"),
    }
}

/// Notes that a fallback target answers, and why.
fn note_fallback(route: &Route, output: &mut Printer) {
    let target = match route.target.is_remote() {
        true => route.target.to_string(),
        false => format!("{} on this device", receipt::model_name(&route.target)),
    };
    output.print_note(&[
        warning(format!("falling back to {target}")),
        plain(format!(": {}", route.reason)),
    ]);
}
