//! One answer on its way to the person or program that asked.

use std::path::Path;

use nearside::Error;
use nearside::chat::{ChatStream, Chunk, Receipt, StopReason, Target, Timings, Usage};

use super::Thoughts;
use crate::failure::Failure;
use crate::output::{Output, dim, doubtful, plain};
use crate::session::Session;

/// What was said, for the conversation to go on with.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) reasoning: String,
    /// Ctrl-C came before the end.
    pub(super) interrupted: bool,
}

/// Shows the answer as it comes, until its end. Ctrl-C cancels it, and the stream still ends in order; a second one
/// does not wait for that.
pub(super) async fn show(
    stream: &ChatStream,
    thoughts: Thoughts,
    session: &mut Session<'_>,
) -> Result<Answer, Failure> {
    let mut view = View::new(thoughts);
    let shown = follow(stream, &mut view, session).await;
    if shown.is_err() {
        // Half a line may stand there; what comes next starts on its own.
        view.end_line(session.output)?;
    }
    shown.map(|interrupted| Answer {
        interrupted,
        ..view.answer
    })
}

async fn follow(stream: &ChatStream, view: &mut View, session: &mut Session<'_>) -> Result<bool, Failure> {
    let mut interrupted = false;
    let mut done = false;
    loop {
        let batch = tokio::select! {
            batch = stream.next_batch() => batch?,
            () = session.interrupt.pressed() => {
                if interrupted {
                    return Err(Failure::Interrupted);
                }
                interrupted = true;
                stream.cancel();
                continue;
            }
        };
        if batch.is_empty() {
            break;
        }
        for chunk in batch {
            done |= matches!(chunk, Chunk::Done { .. });
            if session.output.json() {
                session.output.object(&chunk)?;
                view.keep(&chunk);
            } else {
                view.show(chunk, session.output)?;
            }
        }
    }
    if done {
        Ok(interrupted)
    } else {
        Err(Error::internal("the answer ended without its last chunk").into())
    }
}

/// The answer so far, and what the person's cursor stands behind.
#[derive(Debug)]
struct View {
    thoughts: Thoughts,
    answer: Answer,
    place: Place,
    /// Pieces of reasoning so far; close to its tokens, which only `done` knows.
    pieces: u32,
}

/// Where the cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Reasoning,
    FoldedReasoning,
    Text,
}

impl View {
    fn new(thoughts: Thoughts) -> Self {
        Self {
            thoughts,
            answer: Answer::default(),
            place: Place::LineStart,
            pieces: 0,
        }
    }

    fn keep(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Reasoning { text } => self.answer.reasoning.push_str(text),
            Chunk::Text { text } => self.answer.text.push_str(text),
            _ => {}
        }
    }

    fn show(&mut self, chunk: Chunk, output: &mut Output) -> Result<(), Failure> {
        self.keep(&chunk);
        match chunk {
            Chunk::Started { .. } => Ok(()),
            Chunk::Reasoning { text } => self.reasoning(text, output),
            Chunk::Text { text } => {
                if self.place != Place::Text {
                    self.end_line(output)?;
                    self.place = Place::Text;
                }
                output.piece(plain(text))
            }
            Chunk::ToolCall { name, arguments, .. } => {
                self.end_line(output)?;
                output.line(&[dim(format!("calls {name} with {arguments}"))])
            }
            Chunk::Done {
                stop,
                usage,
                timings,
                receipt,
            } => {
                self.end_line(output)?;
                if let Some(cut) = cut(stop) {
                    output.note(&[doubtful(cut)]);
                }
                output.note(&[dim(receipt_line(&receipt, &usage, &timings))]);
                Ok(())
            }
        }
    }

    fn reasoning(&mut self, text: String, output: &mut Output) -> Result<(), Failure> {
        match self.thoughts {
            Thoughts::Show => {
                if self.place != Place::Reasoning {
                    self.end_line(output)?;
                    // A heading, because dimming is not seen everywhere.
                    output.line(&[dim("thinking…")])?;
                    self.place = Place::Reasoning;
                }
                output.piece(dim(text))
            }
            Thoughts::Hide => {
                self.pieces += 1;
                if output.notes_to_terminal() {
                    self.place = Place::FoldedReasoning;
                    output.passing_note(dim(format!("thinking… ({} tokens)", self.pieces)));
                }
                Ok(())
            }
        }
    }

    /// Ends what stands on the line, if anything does.
    fn end_line(&mut self, output: &mut Output) -> Result<(), Failure> {
        match self.place {
            Place::LineStart => {}
            Place::Reasoning => {
                if !self.answer.reasoning.ends_with('\n') {
                    output.piece(plain("\n"))?;
                }
                output.piece(plain("\n"))?;
            }
            Place::FoldedReasoning => output.note(&[]),
            Place::Text => {
                if !self.answer.text.ends_with('\n') {
                    output.piece(plain("\n"))?;
                }
            }
        }
        self.place = Place::LineStart;
        Ok(())
    }
}

/// Why an answer is not as long as the model would have made it.
fn cut(stop: StopReason) -> Option<&'static str> {
    match stop {
        StopReason::End | StopReason::StopSequence | StopReason::ToolCall => None,
        StopReason::MaxTokens => Some("cut off at `--max-tokens`"),
        StopReason::ContextFull => {
            Some("cut off: the context is full; a larger `--context` or a new conversation goes on")
        }
        StopReason::Cancelled => Some("stopped"),
    }
}

/// Where it ran, which model, tokens in and out, how fast, at what cost. What was not measured is left out.
fn receipt_line(receipt: &Receipt, usage: &Usage, timings: &Timings) -> String {
    let mut parts = match &receipt.target {
        Target::Local { model } => vec!["on this device".to_owned(), short(model).to_owned()],
        Target::Scripted => vec!["scripted".to_owned()],
    };
    parts.push(match usage.reasoning_tokens {
        0 => format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens),
        thinking => format!(
            "{} + {} tokens ({thinking} thinking)",
            usage.prompt_tokens, usage.completion_tokens
        ),
    });
    if timings.first_token_ms > 0.0 {
        parts.push(format!("first token {:.0} ms", timings.first_token_ms));
    }
    if timings.tokens_per_second > 0.0 {
        parts.push(format!("{:.1} tokens/s", timings.tokens_per_second));
    }
    parts.push(if receipt.cost_usd > 0.0 {
        format!("${:.4}", receipt.cost_usd)
    } else {
        "$0".to_owned()
    });
    parts.join(" · ")
}

/// A path is named by its last part, an id as it is.
fn short(model: &str) -> &str {
    let path = Path::new(model);
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if path.is_absolute() => name,
        _ => model,
    }
}

#[cfg(test)]
mod tests {
    use nearside::chat::Route;

    use super::*;

    #[test]
    fn a_receipt_says_where_what_how_much_how_fast_and_at_what_cost() {
        let route = Route {
            target: Target::Local {
                model: "/models/smollm2.gguf".into(),
            },
            reason: String::new(),
            skipped: vec![],
        };
        let usage = Usage {
            prompt_tokens: 12,
            completion_tokens: 34,
            ..Usage::default()
        };
        let timings = Timings {
            first_token_ms: 180.4,
            tokens_per_second: 45.21,
            ..Timings::default()
        };
        assert_eq!(
            receipt_line(&route.receipt_on_device(), &usage, &timings),
            "on this device · smollm2.gguf · 12 + 34 tokens · first token 180 ms · 45.2 tokens/s · $0"
        );
        assert_eq!(
            receipt_line(&route.receipt_on_device(), &Usage::default(), &Timings::default()),
            "on this device · smollm2.gguf · 0 + 0 tokens · $0"
        );
    }
}
