//! Prints one answer, for a terminal, a pipe or a program that reads JSON.

use nearside::Error;
use nearside::chat::{ChatStream, Chunk, Route, StopReason};

use super::receipt;
use crate::asked::Thoughts;
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
    /// A `Started` was seen; the next one is a fallback.
    begun: bool,
    /// The pages that the answer rests on, shown under it.
    citations: Vec<String>,
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
            begun: false,
            citations: vec![],
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
            Chunk::Started { route } => {
                if std::mem::replace(&mut self.begun, true) {
                    stepped_in(&route, output);
                }
                Ok(())
            }
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
            Chunk::Citation { url, title } => {
                self.citations.push(format!("{title} {url}").trim().to_owned());
                Ok(())
            }
            Chunk::Done {
                stop,
                usage,
                timings,
                receipt,
            } => {
                self.end_line(output)?;
                for page in std::mem::take(&mut self.citations) {
                    output.line(&[dim(format!("source: {page}"))])?;
                }
                if let Some(cut) = cut(stop) {
                    output.note(&[doubtful(cut)]);
                }
                for line in receipt::lines(&receipt, &usage, &timings) {
                    output.note(&[dim(line)]);
                }
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
        StopReason::CostLimit => {
            Some("cut off: what it may cost is reached (`--max-usd`, or the caps of `nearside policy`)")
        }
        StopReason::Filtered => Some("cut off by the provider's filter"),
    }
}

/// Notes that a fallback target answers, and why.
fn stepped_in(route: &Route, output: &mut Output) {
    let place = match route.target.is_remote() {
        true => route.target.to_string(),
        false => format!("{} on this device", receipt::model(&route.target)),
    };
    output.note(&[
        doubtful(format!("{place} steps in")),
        plain(format!(": {}", route.reason)),
    ]);
}
