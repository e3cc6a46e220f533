//! What a provider does with one chat: answer well, refuse, or fail in one of the ways that are seen in the field.
//!
//! A scene is the same for every dialect; each renders it in its own shapes. Scenes are plain data, so that a test can
//! make them from a seed ([`Scene::random`]) and the program `nearside-provider` can read them from its command line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cut::Dice;
use super::dialect::Dialect;
use super::errors;

/// What a provider does with one chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// No answer but an error; see [`errors::documented_errors`] and [`Scene::refused`].
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

    /// A documented error, by the name that [`errors::documented_errors`] has for it.
    pub fn refused(dialect: Dialect, name: &str) -> Option<Self> {
        errors::documented_errors(dialect)
            .into_iter()
            .find(|error| error.name == name)
            .map(errors::DocumentedError::into_scene)
    }

    /// Any scene, with any words. The same seed gives the same one.
    pub fn random(dialect: Dialect, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (text, thoughts) = (dice.words(24), dice.words(12));
        match dice.below(26) {
            0 | 1 => Self::Plain { text },
            2 => Self::Reasoning { thoughts, text },
            3 => Self::InlineThink { thoughts, text },
            4 => Self::ToolCall {
                id: format!("call_{}", dice.below(1 << 20)),
                name: "weather".to_owned(),
                arguments: serde_json::json!({ "city": text }).to_string(),
                thoughts,
            },
            5 => {
                let call = |n: u32| {
                    let arguments = serde_json::json!({ "city": text }).to_string();
                    (format!("call_{n}"), "weather".to_owned(), arguments)
                };
                Self::TwoToolCalls {
                    calls: [call(1), call(2)],
                }
            }
            6 => Self::Json {
                text: serde_json::json!({ "answer": text }).to_string(),
            },
            7 => Self::WebSearch {
                text,
                citations: vec![("https://example.org/a".to_owned(), thoughts)],
            },
            8 => {
                let reasons = dialect.finish_reasons();
                Self::FinishReason {
                    text,
                    reason: reasons[dice.below(reasons.len() as u64) as usize].to_owned(),
                }
            }
            9 => Self::Many {
                tokens: 1 + dice.below(400) as u32,
            },
            10 => Self::Slow {
                tokens: 1 + dice.below(20) as u32,
                per_second: 1000.0,
            },
            11 => Self::KeepAlives {
                count: dice.below(6) as u32,
                every_ms: dice.below(4),
                text,
            },
            12 => Self::Delayed {
                ms: dice.below(15),
                then: Box::new(Self::Plain { text }),
            },
            13 | 14 => {
                let mut errors = errors::documented_errors(dialect);
                let one = dice.below(errors.len() as u64) as usize;
                errors.swap_remove(one).into_scene()
            }
            15 => Self::MidStreamError {
                text,
                status: [429, 500, 502, 503][dice.below(4) as usize],
                code_is_a_word: dice.below(2) == 1,
            },
            16 => Self::NoContent,
            17 => Self::Stall { text },
            18 => Self::NeverFirstByte,
            19 => Self::KeepAlivesForever { every_ms: 5 },
            20 => Self::Truncated { text },
            21 => Self::Unfinished { text },
            22 => Self::HalfClosed { text },
            23 => Self::Reset { text },
            24 => Self::ServedBy {
                provider: "DeepInfra".to_owned(),
                model: None,
                text,
            },
            _ => match dice.below(3) {
                0 => Self::WrongContentType,
                1 => Self::Garbage,
                _ => Self::BrokenJson { text },
            },
        }
    }
}
