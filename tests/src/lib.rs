//! Fixtures of Nearside's tests: a local hub, local providers, and models that are real, tiny or damaged.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up must fail at once and say why"
)]

pub mod device;
pub mod fixtures;
pub mod gguf;
pub mod images;
pub mod likelihood;
pub mod llama_server;
pub mod memory;
pub mod models;
pub mod network;
pub mod old_library;
pub mod phone;
pub mod remote;
pub mod request;
pub mod scratch;

pub use nearside_fakes::{hub, provider, tiny_models};
