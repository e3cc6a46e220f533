//! The behaviour of a provider for one chat: a good answer, a documented error, or a failure known from the field.
//!
//! Scenarios do not depend on the dialect, which only renders them. They are plain data, so that a test can make them from
//! a seed ([`Scenario::random`]) and the program `nearside-provider` can read them from its command line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chunking::SeededRng;
use super::dialect::{Dialect, WireFormat};
use super::documented::{DocumentedError, documented_errors};
use super::quirk::Quirk;

/// The behaviour of a provider for one chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scenario {
    /// A text answer.
    Plain {
        /// The text.
        text: String,
    },
    /// Reasoning in the dialect's own field, then the answer. OpenAI only counts reasoning.
    Reasoning {
        /// The reasoning.
        thoughts: String,
        /// The text.
        text: String,
    },
    /// Reasoning between `<think>` tags inside the answer, as some servers send it.
    InlineThink {
        /// The reasoning.
        thoughts: String,
        /// The text.
        text: String,
    },
    /// Reasoning without its opening tag, which the template wrote, then after a pause the closing tag and the answer. Not
    /// among [`Self::samples`], because what a client makes of it depends on the pause.
    UnopenedThink {
        /// The reasoning.
        thoughts: String,
        /// The text.
        text: String,
        /// Milliseconds of the pause.
        pause_ms: u64,
    },
    /// A tool call with its arguments in pieces, after reasoning if `thoughts` is not empty.
    ToolCall {
        /// The call's id.
        id: String,
        /// The tool.
        name: String,
        /// A JSON object as text.
        arguments: String,
        /// Reasoning before the call.
        #[serde(default)]
        thoughts: String,
    },
    /// Two calls in one answer, the pieces of their arguments interleaved.
    TwoToolCalls {
        /// Id, name and arguments of each.
        calls: [(String, String, String); 2],
    },
    /// A JSON answer, split inside strings and numbers.
    Json {
        /// The JSON text.
        text: String,
    },
    /// An answer with citations.
    WebSearch {
        /// The text.
        text: String,
        /// Address and title of each page.
        citations: Vec<(String, String)>,
        /// Fields that the provider leaves out of its usage.
        #[serde(default)]
        unreported: Vec<String>,
    },
    /// An answer by another upstream or model of OpenRouter. In other dialects the same as `Plain`.
    ServedBy {
        /// The value of `provider`.
        provider: String,
        /// The value of `model`; by default the requested one.
        #[serde(default)]
        model: Option<String>,
        /// The text.
        text: String,
    },
    /// An answer with this finish reason, in the dialect's spelling; see [`WireFormat::finish_reasons`].
    FinishReason {
        /// The text before.
        text: String,
        /// The reason.
        reason: String,
    },
    /// So many tokens without a delay.
    Many {
        /// Number of tokens.
        tokens: u32,
    },
    /// So many tokens at a constant rate.
    Slow {
        /// Number of tokens.
        tokens: u32,
        /// Tokens per second.
        per_second: f64,
    },
    /// So many keep-alives before the first data, then an answer.
    KeepAlives {
        /// Number of keep-alives.
        count: u32,
        /// Milliseconds between them.
        every_ms: u64,
        /// The text.
        text: String,
    },
    /// Another scenario after a delay.
    Delayed {
        /// Milliseconds before the first byte.
        ms: u64,
        /// The scenario that follows.
        then: Box<Self>,
    },
    /// An error response; see [`documented_errors`] and [`Scenario::refused`].
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Value,
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// An error event after the first events of a stream. Without streaming, the dialect's equivalent.
    MidStreamError {
        /// The text before.
        text: String,
        /// The HTTP status that corresponds to the error.
        status: u16,
        /// OpenRouter's `error.code` is a string instead of a number, as on one of its pages.
        #[serde(default)]
        code_is_text: bool,
    },
    /// A cold start: no token, no finish reason, a regular end of the stream.
    NoContent,
    /// Silence after this text; the connection stays open.
    Stall {
        /// The text before.
        text: String,
        /// OpenRouter's upstream, if it is not the usual one.
        #[serde(default)]
        provider: Option<String>,
    },
    /// Silence from the start, without a status line.
    NeverFirstByte,
    /// A status, then endless keep-alives.
    KeepAlivesForever {
        /// Milliseconds between them.
        every_ms: u64,
    },
    /// The connection closes after this text, within the body.
    Truncated {
        /// The text before.
        text: String,
    },
    /// A regular end of the HTTP body, but without a finish reason and the dialect's end marker.
    Unfinished {
        /// The text before.
        text: String,
    },
    /// The provider closes its sending half after this text, within the body, and waits for the client to close.
    HalfClosed {
        /// The text before.
        text: String,
    },
    /// The connection is reset after this text.
    Reset {
        /// The text before.
        text: String,
    },
    /// A web page with status 200, like a captive portal.
    WrongContentType,
    /// JSON of an unknown shape with status 200 and the right content type, then the end marker.
    Garbage,
    /// Invalid JSON after this text.
    BrokenJson {
        /// The text before.
        text: String,
    },
    /// A shape of the field. Without streaming, and in a dialect that cannot have it, the same as `Plain`.
    Quirk {
        /// The shape.
        quirk: Quirk,
        /// The text, where the shape has no text of its own.
        text: String,
    },
}

impl Scenario {
    /// Creates a text answer.
    pub fn plain(text: &str) -> Self {
        Self::Plain { text: text.to_owned() }
    }

    /// Creates a documented error by its name in [`documented_errors`].
    pub fn refused(dialect: Dialect, name: &str) -> Option<Self> {
        documented_errors(dialect)
            .into_iter()
            .find(|error| error.name == name)
            .map(Self::from)
    }

    /// Returns one scenario of every kind, with these texts.
    pub fn samples(dialect: Dialect, text: &str, thoughts: &str) -> Vec<Self> {
        let (text, thoughts) = (text.to_owned(), thoughts.to_owned());
        let text_copy = || text.clone();
        let arguments = serde_json::json!({ "city": text }).to_string();
        let call = |id: &str| (id.to_owned(), "weather".to_owned(), arguments.clone());
        let (id, name, _) = call("call_1");
        let mut errors = documented_errors(dialect);
        vec![
            Self::Plain { text: text_copy() },
            Self::Reasoning {
                thoughts: thoughts.clone(),
                text: text_copy(),
            },
            Self::InlineThink {
                thoughts: thoughts.clone(),
                text: text_copy(),
            },
            Self::ToolCall {
                id,
                name,
                arguments: arguments.clone(),
                thoughts: thoughts.clone(),
            },
            Self::TwoToolCalls {
                calls: [call("call_1"), call("call_2")],
            },
            Self::Json {
                text: arguments.clone(),
            },
            Self::WebSearch {
                text: text_copy(),
                citations: vec![("https://example.org/tides".to_owned(), thoughts)],
                unreported: vec![],
            },
            Self::ServedBy {
                provider: "DeepInfra".to_owned(),
                model: None,
                text: text_copy(),
            },
            Self::FinishReason {
                text: text_copy(),
                reason: "length".to_owned(),
            },
            Self::Many { tokens: 100 },
            Self::Slow {
                tokens: 20,
                per_second: 1000.0,
            },
            Self::KeepAlives {
                count: 3,
                every_ms: 2,
                text: text_copy(),
            },
            Self::Delayed {
                ms: 10,
                then: Box::new(Self::Plain { text: text_copy() }),
            },
            errors.swap_remove(0).into(),
            Self::MidStreamError {
                text: text_copy(),
                status: 503,
                code_is_text: false,
            },
            Self::NoContent,
            Self::Stall {
                text: text_copy(),
                provider: None,
            },
            Self::NeverFirstByte,
            Self::KeepAlivesForever { every_ms: 5 },
            Self::Truncated { text: text_copy() },
            Self::Unfinished { text: text_copy() },
            Self::HalfClosed { text: text_copy() },
            Self::Reset { text: text_copy() },
            Self::WrongContentType,
            Self::Garbage,
            Self::BrokenJson { text: text_copy() },
            Self::Quirk {
                quirk: Quirk::ByteOrderMark,
                text: text_copy(),
            },
        ]
    }

    /// Returns the scenario of this kind, such as `plain` or `never_first_byte`, or of this quirk, such as `error_line`, with
    /// these fields changed, or the error that the dialect documents under this name; `None` if there is none.
    ///
    /// # Errors
    /// If the kind does not have these fields.
    pub fn named(dialect: Dialect, name: &str, fields: Option<Value>) -> serde_json::Result<Option<Self>> {
        if let Some(refused) = Self::refused(dialect, name) {
            return Ok(Some(refused));
        }
        let samples = Self::samples(dialect, "Twice a day.", "The moon pulls.");
        let quirk = Quirk::from_name(name).map(|quirk| Self::Quirk {
            quirk,
            text: "Twice a day.".to_owned(),
        });
        let Some(sample) = quirk.or_else(|| samples.into_iter().find(|sample| sample.kind() == name)) else {
            return Ok(None);
        };
        let kind = sample.kind();
        let mut json = serde_json::to_value(sample)?;
        if let Some(fields) = fields {
            match (&mut json, fields) {
                (Value::Object(sample), Value::Object(fields)) => {
                    if let Some(Value::Object(sample)) = sample.get_mut(&kind) {
                        sample.extend(fields);
                    }
                }
                // Fields for a kind without any, or not an object: `from_value` below returns the error.
                (_, fields) => json = serde_json::json!({ name: fields }),
            }
        }
        serde_json::from_value(json).map(Some)
    }

    /// Returns the name for [`Scenario::named`].
    pub fn kind(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
            Ok(Value::String(kind)) => kind,
            _ => String::new(),
        }
    }

    /// Returns a random scenario with random text, reproducible by the seed.
    pub fn random(dialect: Dialect, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let (text, thoughts) = (rng.words(24), rng.words(12));
        let mut samples = Self::samples(dialect, &text, &thoughts);
        let mut scenario = samples.swap_remove(rng.below(samples.len() as u64) as usize);
        match &mut scenario {
            Self::FinishReason { reason, .. } => {
                let reasons = dialect.finish_reasons();
                *reason = reasons[rng.below(reasons.len() as u64) as usize].to_owned();
            }
            Self::Many { tokens } => *tokens = 1 + rng.below(400) as u32,
            Self::Slow { tokens, .. } => *tokens = 1 + rng.below(20) as u32,
            Self::KeepAlives { count, every_ms, .. } => {
                (*count, *every_ms) = (rng.below(6) as u32, rng.below(4));
            }
            Self::Delayed { ms, .. } => *ms = rng.below(15),
            Self::MidStreamError {
                status, code_is_text, ..
            } => {
                *status = [429, 500, 502, 503][rng.below(4) as usize];
                *code_is_text = rng.below(2) == 1;
            }
            Self::Quirk { quirk, .. } => {
                let quirks: Vec<_> = Quirk::ALL
                    .into_iter()
                    .filter(|quirk| quirk.applies_to(dialect))
                    .collect();
                *quirk = quirks[rng.below(quirks.len() as u64) as usize];
            }
            Self::Refused { .. } => {
                let mut errors = documented_errors(dialect);
                let index = rng.below(errors.len() as u64) as usize;
                scenario = errors.swap_remove(index).into();
            }
            _ => {}
        }
        scenario
    }
}

impl From<DocumentedError> for Scenario {
    fn from(error: DocumentedError) -> Self {
        Self::Refused {
            status: error.status,
            body: error.body,
            retry_after: error.retry_after,
        }
    }
}
