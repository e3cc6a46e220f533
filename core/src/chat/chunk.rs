//! What comes back: an answer in pieces.
//!
//! # The order of chunks
//! First [`Chunk::Started`], at once, before any model work. Then [`Chunk::Reasoning`], [`Chunk::Text`] and
//! [`Chunk::ToolCall`] in the order in which the model wrote them. Then exactly one [`Chunk::Done`], or an error in its
//! place; nothing after it. Text is whole characters always: half of one waits for its other half. Reasoning never
//! appears in `Text`, nor text in `Reasoning`.

use serde::{Deserialize, Serialize};

/// A piece of an answer. See the module for the order in which pieces come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Chunk {
    /// It is decided who answers.
    Started {
        /// Where, why, and what was passed over.
        route: Route,
    },
    /// What the model thinks before it answers; an app may fold it away.
    Reasoning {
        /// UTF-8, never empty.
        text: String,
    },
    /// The answer itself.
    Text {
        /// UTF-8, never empty.
        text: String,
    },
    /// The model wants a tool to be run. Whole: the arguments are complete.
    ToolCall {
        /// Give it back with the result.
        id: String,
        /// Which tool.
        name: String,
        /// A JSON object.
        arguments: String,
    },
    /// The answer is over.
    Done {
        /// Why it ended.
        stop: StopReason,
        /// Tokens, counted.
        usage: Usage,
        /// How long it took.
        timings: Timings,
        /// Where it ran, what it cost, who saw the words.
        receipt: Receipt,
    },
}

/// Who answers, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Who answers.
    pub target: Target,
    /// The reason, for a person to read.
    pub reason: String,
    /// Who could have answered and does not, each with its reason.
    pub skipped: Vec<Skipped>,
}

/// A place that can answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum Target {
    /// A model on this device.
    Local {
        /// The id of the installed model, or the path of its file.
        model: String,
    },
    /// A script, for tests; no model ran.
    Scripted,
}

/// A candidate that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Who was passed over.
    pub target: Target,
    /// Why, for a person to read.
    pub reason: String,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its turn.
    End,
    /// One of the request's `stop` strings came.
    StopSequence,
    /// `max_tokens` was reached.
    MaxTokens,
    /// The context is full; a shorter conversation or a larger context would go on.
    ContextFull,
    /// The model waits for the tools that it called.
    ToolCall,
    /// The app cancelled.
    Cancelled,
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u32,
    /// Prompt tokens that were still in the KV cache and cost nothing.
    pub cached_tokens: u32,
    /// Tokens generated, reasoning included.
    pub completion_tokens: u32,
    /// Tokens generated as reasoning.
    pub reasoning_tokens: u32,
}

/// How long one answer took. A rate is 0 where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Milliseconds to load the model; 0 if it was loaded already.
    pub load_ms: f64,
    /// Milliseconds from the request to the first generated token, loading included.
    pub first_token_ms: f64,
    /// Prefill: prompt tokens a second, cached ones left out.
    pub prompt_tokens_per_second: f64,
    /// Decoding: generated tokens a second, the first one left out.
    pub tokens_per_second: f64,
}

/// What an app can show under an answer, and keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who answered.
    pub target: Target,
    /// Why, for a person to read.
    pub reason: String,
    /// Who was passed over, each with its reason.
    pub skipped: Vec<Skipped>,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// Who saw the words, and what they may do with them.
    pub data_policy: DataPolicy,
}

/// What happens to the words of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPolicy {
    /// Where they were processed: `device`, or a country.
    pub region: String,
    /// Whether somebody else may keep them.
    pub retained: bool,
    /// Whether somebody else may train on them.
    pub trained_on: bool,
}

impl Route {
    /// The receipt of an answer that ran on this device along this route: free, and nobody else saw it.
    pub fn receipt_on_device(&self) -> Receipt {
        Receipt {
            target: self.target.clone(),
            reason: self.reason.clone(),
            skipped: self.skipped.clone(),
            cost_usd: 0.0,
            data_policy: DataPolicy {
                region: "device".to_owned(),
                retained: false,
                trained_on: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs read these lines (`nearside chat --json`): names and shapes stay.
    #[test]
    fn a_chunk_is_one_flat_json_object_with_its_type() {
        let route = Route {
            target: Target::Local { model: "m".into() },
            reason: "r".into(),
            skipped: vec![],
        };
        let json = |chunk: &Chunk| serde_json::to_value(chunk).expect("chunks are JSON");
        assert_eq!(
            json(&Chunk::Text { text: "hi".into() }),
            serde_json::json!({"type": "text", "text": "hi"})
        );
        let started = json(&Chunk::Started { route: route.clone() });
        assert_eq!(
            started["route"]["target"],
            serde_json::json!({"place": "local", "model": "m"})
        );
        let done = json(&Chunk::Done {
            stop: StopReason::Cancelled,
            usage: Usage::default(),
            timings: Timings::default(),
            receipt: route.receipt_on_device(),
        });
        assert_eq!(done["type"], "done");
        assert_eq!(done["stop"], "cancelled");
        assert_eq!(done["receipt"]["cost_usd"], 0.0);
        for key in [
            "prompt_tokens",
            "cached_tokens",
            "completion_tokens",
            "reasoning_tokens",
        ] {
            assert_eq!(done["usage"][key], 0, "{key}");
        }
        for key in [
            "load_ms",
            "first_token_ms",
            "prompt_tokens_per_second",
            "tokens_per_second",
        ] {
            assert_eq!(done["timings"][key], 0.0, "{key}");
        }
    }
}
