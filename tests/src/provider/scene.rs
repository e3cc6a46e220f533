//! What a provider does with one chat: answer well, refuse, or fail in one of the ways that are seen in the field.
//!
//! A scene is the same for every dialect; each renders it in its own shapes. Scenes are plain data, so that a test can
//! make them from a seed ([`Scene::random`]) and the program `nearside-provider` can read them from its command line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cut::Dice;
use super::dialect::Dialect;
use super::documented::{DocumentedError, documented_errors};

/// What a provider does with one chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scene {
    /// An answer of words.
    Plain {
        /// The words.
        text: String,
    },
    /// Thoughts in the field that the dialect has for them, then the answer. OpenAI counts them and shows none.
    Reasoning {
        /// What the model thinks.
        thoughts: String,
        /// What it says.
        text: String,
    },
    /// Thoughts between `<think>` tags inside the answer, as some servers leave them.
    InlineThink {
        /// What the model thinks.
        thoughts: String,
        /// What it says.
        text: String,
    },
    /// A call of a tool, its arguments in pieces; with thoughts before it where `thoughts` is not empty.
    ToolCall {
        /// What the provider calls the call.
        id: String,
        /// The tool.
        name: String,
        /// A JSON object, as text.
        arguments: String,
        /// What the model thinks before it.
        #[serde(default)]
        thoughts: String,
    },
    /// Two calls in one answer, the pieces of their arguments interleaved.
    TwoToolCalls {
        /// Id, name and arguments of each.
        calls: [(String, String, String); 2],
    },
    /// An answer that is JSON, cut inside strings and numbers.
    Json {
        /// The JSON text.
        text: String,
    },
    /// An answer with the pages that it rests on.
    WebSearch {
        /// The words.
        text: String,
        /// Address and title of each page.
        citations: Vec<(String, String)>,
    },
    /// An answer that OpenRouter had another provider, or another model, give. Elsewhere the same as `Plain`.
    ServedBy {
        /// What `provider` says.
        provider: String,
        /// What `model` says, if not what was asked for.
        #[serde(default)]
        model: Option<String>,
        /// The words.
        text: String,
    },
    /// An answer that ends for this reason, in the dialect's own word; see [`Dialect::finish_reasons`].
    FinishReason {
        /// The words before.
        text: String,
        /// The reason.
        reason: String,
    },
    /// So many words, as fast as they go.
    Many {
        /// How many.
        tokens: u32,
    },
    /// So many words, at a steady pace.
    Slow {
        /// How many.
        tokens: u32,
        /// How many a second.
        per_second: f64,
    },
    /// So many signs of life before the first data, then an answer.
    KeepAlives {
        /// How many.
        count: u32,
        /// Milliseconds between them.
        every_ms: u64,
        /// The words.
        text: String,
    },
    /// Nothing for a while, then another scene.
    Delayed {
        /// Milliseconds before the first byte.
        ms: u64,
        /// What comes then.
        then: Box<Self>,
    },
    /// No answer but an error; see [`documented_errors`] and [`Scene::refused`].
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Value,
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// An error inside a stream that began well. Outside streams, what the dialect says instead.
    MidStreamError {
        /// The words before.
        text: String,
        /// The HTTP status that it would have had.
        status: u16,
        /// OpenRouter's `error.code` is a word in place of a number, as one of its pages has it.
        #[serde(default)]
        code_is_a_word: bool,
    },
    /// A cold start: no token, no reason, the stream ends as it should.
    NoContent,
    /// Silence after these words; the connection stays open.
    Stall {
        /// The words before.
        text: String,
    },
    /// Silence from the beginning: not even a status.
    NeverFirstByte,
    /// A status, then signs of life and nothing else, for ever.
    KeepAlivesForever {
        /// Milliseconds between them.
        every_ms: u64,
    },
    /// The connection closes after these words, in the middle of the body.
    Truncated {
        /// The words before.
        text: String,
    },
    /// The body ends as HTTP wants it, but without a reason and without the dialect's own end.
    Unfinished {
        /// The words before.
        text: String,
    },
    /// The provider sends no more after these words, in the middle of the body, and waits for the client to close.
    HalfClosed {
        /// The words before.
        text: String,
    },
    /// The connection is reset after these words.
    Reset {
        /// The words before.
        text: String,
    },
    /// A web page with status 200, as the sign-in page of a hotel's network.
    WrongContentType,
    /// JSON of another shape, with status 200 and the right type; then what ends a stream.
    Garbage,
    /// Bytes that are not JSON where JSON is due, after these words.
    BrokenJson {
        /// The words before.
        text: String,
    },
}

impl Scene {
    /// An answer of words.
    pub fn plain(text: &str) -> Self {
        Self::Plain { text: text.to_owned() }
    }

    /// A documented error, by the name that [`documented_errors`] has for it.
    pub fn refused(dialect: Dialect, name: &str) -> Option<Self> {
        documented_errors(dialect)
            .into_iter()
            .find(|error| error.name == name)
            .map(DocumentedError::into_scene)
    }

    /// One of every kind, with these words.
    pub fn samples(dialect: Dialect, text: &str, thoughts: &str) -> Vec<Self> {
        let (text, thoughts) = (text.to_owned(), thoughts.to_owned());
        let words = || text.clone();
        let arguments = serde_json::json!({ "city": text }).to_string();
        let call = |id: &str| (id.to_owned(), "weather".to_owned(), arguments.clone());
        let (id, name, _) = call("call_1");
        let mut errors = documented_errors(dialect);
        vec![
            Self::Plain { text: words() },
            Self::Reasoning {
                thoughts: thoughts.clone(),
                text: words(),
            },
            Self::InlineThink {
                thoughts: thoughts.clone(),
                text: words(),
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
                text: words(),
                citations: vec![("https://example.org/tides".to_owned(), thoughts)],
            },
            Self::ServedBy {
                provider: "DeepInfra".to_owned(),
                model: None,
                text: words(),
            },
            Self::FinishReason {
                text: words(),
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
                text: words(),
            },
            Self::Delayed {
                ms: 10,
                then: Box::new(Self::Plain { text: words() }),
            },
            errors.swap_remove(0).into_scene(),
            Self::MidStreamError {
                text: words(),
                status: 503,
                code_is_a_word: false,
            },
            Self::NoContent,
            Self::Stall { text: words() },
            Self::NeverFirstByte,
            Self::KeepAlivesForever { every_ms: 5 },
            Self::Truncated { text: words() },
            Self::Unfinished { text: words() },
            Self::HalfClosed { text: words() },
            Self::Reset { text: words() },
            Self::WrongContentType,
            Self::Garbage,
            Self::BrokenJson { text: words() },
        ]
    }

    /// The scene of this kind, such as `plain` or `never_first_byte`, with these fields changed; or the error that the
    /// dialect documents under this name. Nothing where there is none.
    ///
    /// # Errors
    /// Fields that the kind does not take.
    pub fn named(dialect: Dialect, name: &str, fields: Option<Value>) -> serde_json::Result<Option<Self>> {
        if let Some(refused) = Self::refused(dialect, name) {
            return Ok(Some(refused));
        }
        let samples = Self::samples(dialect, "Twice a day.", "The moon pulls.");
        let Some(sample) = samples.into_iter().find(|sample| sample.kind() == name) else {
            return Ok(None);
        };
        let mut json = serde_json::to_value(sample)?;
        if let Some(fields) = fields {
            match (&mut json, fields) {
                (Value::Object(sample), Value::Object(fields)) => {
                    if let Some(Value::Object(sample)) = sample.get_mut(name) {
                        sample.extend(fields);
                    }
                }
                // A kind without fields, or fields that are no object: said so by the reader below.
                (_, fields) => json = serde_json::json!({ name: fields }),
            }
        }
        serde_json::from_value(json).map(Some)
    }

    /// What [`Scene::named`] calls it.
    pub fn kind(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
            Ok(Value::String(kind)) => kind,
            _ => String::new(),
        }
    }

    /// Any scene, with any words. The same seed gives the same one.
    pub fn random(dialect: Dialect, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (text, thoughts) = (dice.words(24), dice.words(12));
        let mut samples = Self::samples(dialect, &text, &thoughts);
        let mut scene = samples.swap_remove(dice.below(samples.len() as u64) as usize);
        match &mut scene {
            Self::FinishReason { reason, .. } => {
                let reasons = dialect.finish_reasons();
                *reason = reasons[dice.below(reasons.len() as u64) as usize].to_owned();
            }
            Self::Many { tokens } => *tokens = 1 + dice.below(400) as u32,
            Self::Slow { tokens, .. } => *tokens = 1 + dice.below(20) as u32,
            Self::KeepAlives { count, every_ms, .. } => {
                (*count, *every_ms) = (dice.below(6) as u32, dice.below(4));
            }
            Self::Delayed { ms, .. } => *ms = dice.below(15),
            Self::MidStreamError {
                status, code_is_a_word, ..
            } => {
                *status = [429, 500, 502, 503][dice.below(4) as usize];
                *code_is_a_word = dice.below(2) == 1;
            }
            Self::Refused { .. } => {
                let mut errors = documented_errors(dialect);
                let one = dice.below(errors.len() as u64) as usize;
                scene = errors.swap_remove(one).into_scene();
            }
            _ => {}
        }
        scene
    }
}
