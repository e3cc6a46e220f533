//! An engine that plays a scripted reply, for an app's tests, where a model would be slow, large and not deterministic.
//!
//! It follows the contract of a real engine and sends words one by one with the configured delay.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{Engine, Job};
use crate::chat::{AnswerSummary, Chunk, StopReason, TokenUsage};
use crate::error::{Error, ErrorKind, ErrorReason};
use crate::stream::StreamSender;

/// The reply of the scripted engine to every request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedReply {
    /// Steps in order. The answer ends after the last one.
    pub steps: Vec<ReplyStep>,
    /// Delay before each word in milliseconds.
    pub chunk_delay_ms: u32,
}

impl ScriptedReply {
    /// Parses a script in JSON: `{"steps": [{"type": "text", "text": "…"}], "chunk_delay_ms": 20}`.
    ///
    /// # Errors
    /// `InvalidRequest`, with the place of the fault.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|cause| {
            let text = format!(
                "the script is wrong at line {}, column {}: it has a list of steps, each with the fields of its type",
                cause.line(),
                cause.column()
            );
            Error::of(ErrorReason::InvalidParameter, text)
        })
    }
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ReplyStep {
    /// Reasoning, sent word by word.
    Reasoning {
        /// UTF-8.
        text: String,
    },
    /// Text, sent word by word.
    Text {
        /// UTF-8.
        text: String,
    },
    /// A tool call.
    ToolCall {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
        /// A JSON object.
        arguments: String,
    },
    /// Sends nothing more until the app cancels.
    Stall,
    /// Ends the answer with this error.
    Fail {
        /// Kind of the error.
        kind: ErrorKind,
        /// Its text.
        detail: String,
    },
    /// Ends the answer with an error of this reason, and of the reason's usual kind.
    FailBecause {
        /// Reason of the error.
        reason: ErrorReason,
        /// Its text.
        detail: String,
        /// Milliseconds until a retry can succeed.
        retry_after_ms: Option<u64>,
        /// Address of a page that helps.
        help_url: Option<String>,
    },
}

/// Plays one script.
#[derive(Debug)]
pub struct ScriptedEngine {
    script: ScriptedReply,
    runtime: Handle,
}

impl ScriptedEngine {
    /// Creates an engine that plays `script` on this runtime.
    pub fn new(script: ScriptedReply, runtime: Handle) -> Self {
        Self { script, runtime }
    }
}

impl Engine for ScriptedEngine {
    fn answer(&self, job: Job) {
        let script = self.script.clone();
        self.runtime.spawn(play_script(script, job));
    }
}

/// Progress of a script.
struct Played {
    usage: TokenUsage,
    first_word: Option<Instant>,
}

async fn play_script(script: ScriptedReply, job: Job) {
    let Job {
        route,
        sink,
        requested_at,
        ..
    } = job;
    let mut played = Played {
        usage: TokenUsage::default(),
        first_word: None,
    };
    let last = match send_steps(&script, &sink, &mut played).await {
        Ok(stop) => {
            let first_token_ms = played
                .first_word
                .map_or(0.0, |at| (at - requested_at).as_secs_f64() * 1000.0);
            let mut summary = AnswerSummary::on_device(stop, &route);
            summary.usage = played.usage;
            summary.timings.first_token_ms = first_token_ms;
            Ok(Chunk::Done { summary })
        }
        Err(error) => Err(error),
    };
    sink.finish(last);
}

async fn send_steps(
    script: &ScriptedReply,
    sink: &StreamSender<Chunk>,
    played: &mut Played,
) -> Result<StopReason, Error> {
    let pace = Duration::from_millis(u64::from(script.chunk_delay_ms));
    let mut stop = StopReason::End;
    for step in &script.steps {
        let words: Vec<Chunk> = match step {
            ReplyStep::Reasoning { text } => split_words(text).map(|text| Chunk::Reasoning { text }).collect(),
            ReplyStep::Text { text } => split_words(text).map(|text| Chunk::Text { text }).collect(),
            ReplyStep::ToolCall { id, name, arguments } => {
                stop = StopReason::ToolCall;
                vec![Chunk::ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: arguments.clone(),
                }]
            }
            ReplyStep::Stall => {
                sink.cancel().cancelled().await;
                return Ok(StopReason::Cancelled);
            }
            ReplyStep::Fail { kind, detail } => return Err(Error::new(*kind, detail.clone())),
            ReplyStep::FailBecause {
                reason,
                detail,
                retry_after_ms,
                help_url,
            } => {
                let error = Error::of(*reason, detail.clone());
                let error = error.with_retry_after(retry_after_ms.map(Duration::from_millis));
                return Err(match help_url {
                    Some(url) => error.with_help_url(url),
                    None => error,
                });
            }
        };
        for word in words {
            // A zero timeout would still wait for the next tick of the timer.
            let cancelled = !pace.is_zero() && tokio::time::timeout(pace, sink.cancel().cancelled()).await.is_ok();
            let is_reasoning = matches!(word, Chunk::Reasoning { .. });
            if cancelled || !sink.send(word).await {
                return Ok(StopReason::Cancelled);
            }
            played.first_word.get_or_insert_with(Instant::now);
            played.usage.completion_tokens += 1;
            played.usage.reasoning_tokens += u32::from(is_reasoning);
        }
    }
    Ok(stop)
}

/// Splits text into words with their trailing space, so that joined they are the text again.
fn split_words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split_inclusive(' ').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ChatMessage, ChatRequest, ChatStream, Route, RouteRule, RouteTarget};
    use crate::stream::Stream;

    fn start(steps: Vec<ReplyStep>) -> ChatStream {
        let (stream, sink) = Stream::new();
        let route = Route::to(RouteTarget::Scripted, RouteRule::RequestedTarget, "a script");
        let request = ChatRequest::new(vec![ChatMessage::user("hello")]);
        let engine = ScriptedEngine::new(
            ScriptedReply {
                steps,
                chunk_delay_ms: 0,
            },
            Handle::current(),
        );
        engine.answer(Job {
            request,
            route,
            sink,
            requested_at: Instant::now(),
            kept_turns: None,
            conversation: None,
            sent: crate::engine::SentMark::default(),
            begun: None,
        });
        stream
    }

    async fn all(stream: &ChatStream) -> Result<Vec<Chunk>, Error> {
        let mut chunks = Vec::new();
        loop {
            let batch = stream.next_batch().await?;
            if batch.is_empty() {
                return Ok(chunks);
            }
            chunks.extend(batch);
        }
    }

    #[tokio::test]
    async fn reasoning_and_text_come_apart_and_in_order_and_then_done() {
        let steps = vec![
            ReplyStep::Reasoning {
                text: "let me see".into(),
            },
            ReplyStep::Text {
                text: "it is blue".into(),
            },
        ];
        let chunks = all(&start(steps)).await.expect("no error");
        let (mut thought, mut said) = (String::new(), String::new());
        for chunk in &chunks {
            match chunk {
                Chunk::Reasoning { text } => {
                    assert!(said.is_empty(), "reasoning comes first");
                    thought.push_str(text);
                }
                Chunk::Text { text } => said.push_str(text),
                _ => {}
            }
        }
        assert_eq!((thought.as_str(), said.as_str()), ("let me see", "it is blue"));
        let Some(Chunk::Done { summary }) = chunks.last() else {
            panic!("no done")
        };
        let AnswerSummary { stop, usage, .. } = summary;
        assert_eq!(
            (*stop, usage.completion_tokens, usage.reasoning_tokens),
            (StopReason::End, 6, 3)
        );
    }

    #[tokio::test]
    async fn a_stall_ends_when_the_app_cancels() {
        let stream = start(vec![ReplyStep::Text { text: "well".into() }, ReplyStep::Stall]);
        assert_eq!(stream.next_batch().await, Ok(vec![Chunk::Text { text: "well".into() }]));
        stream.cancel();
        let batch = stream.next_batch().await.expect("no error");
        assert!(matches!(
            batch[..],
            [Chunk::Done {
                summary: AnswerSummary {
                    stop: StopReason::Cancelled,
                    ..
                }
            }]
        ));
    }

    #[tokio::test]
    async fn a_failure_comes_after_the_text_before_it() {
        let fail = ReplyStep::Fail {
            kind: ErrorKind::Busy,
            detail: "later".into(),
        };
        let stream = start(vec![ReplyStep::Text { text: "well".into() }, fail]);
        let mut said = Vec::new();
        let error = loop {
            match stream.next_batch().await {
                Ok(batch) => said.extend(batch),
                Err(error) => break error,
            }
        };
        assert_eq!(said, vec![Chunk::Text { text: "well".into() }]);
        assert_eq!(error, Error::busy("later"));
    }
}
