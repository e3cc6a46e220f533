//! What a model says after a prompt, so that two ways to read it can be compared: with a cold cache, and with a part of it
//! from a cache, a copy, a checkpoint or a file.

use std::sync::atomic::AtomicBool;

use nearside_llama::{
    Context, ContextParams, Decoded, Model, ModelParams, Sampler, SamplerParams, Token, common_prefix,
};

use crate::tiny_models::{self, TinyShape};

/// The difference in the likelihood of [`FIXED_TEXT`] that two ways to read a prompt may make, in nats for the whole text
/// (of some 400): single tokens and batches are computed by other kernels, with 16 bits in the cache. The largest that was
/// measured is 0.046, after 3,300 tokens; one other token in the cache makes 0.34 or more.
pub const TOLERANCE: f64 = 0.1;
/// The text whose likelihood is compared.
pub const FIXED_TEXT: &str = "It was not so, said the miller, and closed the door behind him.";
/// Tokens that are computed at once.
pub const BATCH: u32 = 128;

/// What a model says after a prompt: greedy tokens, and the likelihood of [`FIXED_TEXT`] after them.
#[derive(Debug)]
pub struct Turn {
    /// The greedy tokens.
    pub answer: Vec<Token>,
    /// The logarithm of the probability of the text.
    pub likelihood: f64,
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        let difference = (self.likelihood - other.likelihood).abs();
        self.answer == other.answer && difference < TOLERANCE
    }
}

impl Turn {
    /// Goes on with what the context holds of `prompt`, as a turn does.
    ///
    /// # Panics
    /// If llama.cpp fails.
    pub fn of(context: &mut Context, model: &Model, prompt: &[Token]) -> Self {
        let kept = context.trim(common_prefix(context.held_tokens(), prompt)) as usize;
        decode(context, &prompt[kept..], true);
        let mut sampler = Sampler::new(model, &greedy()).expect("a sampler");
        let mut answer = Vec::new();
        for _ in 0..16 {
            let token = context.sample(&mut sampler).expect("a token");
            answer.push(token);
            decode(context, &[token], true);
        }
        let mut likelihood = 0.0;
        for token in tokens(model, FIXED_TEXT) {
            likelihood += context.log_probability(token).expect("logits");
            decode(context, &[token], true);
        }
        Self { answer, likelihood }
    }
}

/// Loads the tiny model of this shape.
///
/// # Panics
/// If it cannot be loaded.
#[must_use]
pub fn load(shape: TinyShape) -> Model {
    load_bytes(&tiny_models::runnable(shape, None))
}

/// Loads the model whose file has these bytes.
///
/// # Panics
/// If it cannot be loaded.
#[must_use]
pub fn load_bytes(bytes: &[u8]) -> Model {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, bytes).expect("a file");
    Model::load(&path, &ModelParams::default(), &mut |_| true).expect("a model")
}

/// Creates a context of so many tokens, with one thread, so that sums are always in the same order.
///
/// # Panics
/// If llama.cpp fails.
#[must_use]
pub fn context_of(model: &Model, size: u32) -> Context {
    let params = ContextParams {
        context: size,
        batch: BATCH,
        threads: 1,
        ..ContextParams::default()
    };
    Context::new(model, &params).expect("a context")
}

/// Returns a text of some 600 tokens of a tiny model for 24 days.
#[must_use]
pub fn story(days: u32) -> String {
    (1..=days)
        .map(|day| format!("On day {day} the {day}th boat came. "))
        .collect()
}

/// Returns the tokens of a text without control tokens.
///
/// # Panics
/// If the tokenizer fails.
#[must_use]
pub fn tokens(model: &Model, text: &str) -> Vec<Token> {
    model.tokenize(text, false, false).expect("tokens")
}

/// Returns parameters with which the likeliest token is sampled.
#[must_use]
pub fn greedy() -> SamplerParams {
    SamplerParams {
        temperature: 0.0,
        ..SamplerParams::default()
    }
}

/// Appends the tokens to the cache, in batches.
///
/// # Panics
/// If llama.cpp fails.
pub fn decode(context: &mut Context, tokens: &[Token], logits: bool) {
    let go_on = AtomicBool::new(false);
    for batch in tokens.chunks(context.batch() as usize) {
        assert_eq!(context.decode(batch, logits, &go_on), Ok(Decoded::Whole));
    }
}
