//! Safe llama.cpp for Nearside: models, contexts, sampling, chat templates and their memory use.
//!
//! Built directly on the C API that `llama-cpp-sys-2` binds and, through a small C++ shim (`src/shim/`), on the parts of
//! llama.cpp that have no C API: chat templates, reply parsers, the sampling chain, the memory breakdown. This crate
//! holds the only `unsafe` and the only C++ of the project. Everything `pub` is safe, and guarantees:
//!
//! - no input ends the process: C++ exceptions and failed asserts are returned as [`LlamaError`];
//! - errors and `tracing` events contain no prompt and no reply;
//! - our own code prints nothing and reads no environment variable;
//! - a [`Context`] is used by one thread at a time, a [`Model`] may be shared.
//!
//! A generation, from file to text: [`Model::load`], [`Context::new`], [`ChatTemplate::render`], [`Model::tokenize`],
//! [`Context::decode`] for the prompt in batches of [`Context::next_batch`] tokens, then [`Context::sample`]
//! and [`Context::decode`] in turn until [`Model::is_end`], and [`ReplyParser::parse_reply`] over the text so far.
//! [`Probe`] computes the memory that all of it needs, from the head of a file alone.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod abort;
mod backend;
mod cache;
mod chat;
mod context;
mod cut_words;
mod decode;
mod error;
mod ffi;
mod limits;
mod memory;
mod model;
mod nesting;
mod pace;
mod probe;
mod prompt;
mod sampler;
mod stack;
mod threads;
mod turns;
mod windows_cores;

pub use abort::AbortSignal;
pub use backend::{check_cpu, performance_cores, version};
pub use cache::{CacheCheckpoint, SavedCache, TILE_TOKENS, common_prefix};
pub use chat::{ChatTemplate, ParsedReply, Rendered, ReplyParser, ToolCall, json_schema_to_grammar};
pub use context::{Context, ContextParams, KvCacheType};
pub use decode::Decoded;
pub use error::LlamaError;
pub use limits::wait_for_templates;
pub use memory::MemoryPart;
pub use model::{LoadMode, Model, ModelParams, Token};
pub use probe::Probe;
pub use prompt::Prompt;
pub use sampler::{Grammar, GrammarKind, Sampler, SamplerParams, ThinkingTags, Trigger};

#[doc(hidden)]
pub use backend::fail_an_assert;
#[doc(hidden)]
pub use limits::{running_templates, stop_a_template};
