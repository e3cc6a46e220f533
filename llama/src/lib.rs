//! Safe llama.cpp for Nearside: models, contexts, sampling, chat templates and what they take of memory.
//!
//! Built directly on the C API that `llama-cpp-sys-2` binds and, through a small C++ shim (`src/shim/`), on the parts of
//! llama.cpp that have no C API: chat templates, reply parsers, the sampling chain, the memory breakdown. This crate holds
//! the only `unsafe` and the only C++ of the project; everything `pub` here is its safe face, and it promises:
//!
//! - no input ends the process: exceptions and failed asserts of C++ come back as [`Error`];
//! - no prompt and no reply is in an error, and none is handed to `tracing`;
//! - nothing is printed, and nothing is read from the environment by our own code;
//! - a [`Context`] belongs to one thread at a time, a [`Model`] may be shared.
//!
//! A generation, from file to text: [`Model::load`], [`Context::new`], [`ChatTemplate::render`], [`Model::tokenize`],
//! [`Context::decode`] for the prompt in pieces of at most [`ContextParams::batch`] tokens, then [`Context::sample`] and
//! [`Context::decode`] in turn until [`Model::is_end`], and [`ReplyParser::parse`] over the text so far.
//! [`Probe`] answers what all that would need, from the head of a file alone.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod backend;
mod chat;
mod context;
mod error;
mod ffi;
mod memory;
mod model;
mod nesting;
mod probe;
mod sampler;
mod stack;

pub use backend::{check_cpu, version};
pub use chat::{ChatTemplate, Prompt, Rendered, Reply, ReplyParser, Thinking, ToolCall, json_schema_to_grammar};
pub use context::{CacheType, Context, ContextParams, Decoded};
pub use error::Error;
pub use memory::MemoryPart;
pub use model::{LoadMode, Model, ModelParams, Token};
pub use probe::Probe;
pub use sampler::{Grammar, GrammarKind, Sampler, SamplerParams, Trigger};

#[doc(hidden)]
pub use backend::fail_an_assert;
