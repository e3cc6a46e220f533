//! Nearside: language models on the device in your hand.
//!
//! Two types travel the whole way. [`chat::ChatRequest`] goes in, [`chat::Chunk`] comes out, and neither is rebuilt,
//! renamed or wrapped on the road.

pub mod chat;
pub mod device;
mod error;
pub mod model;

pub use error::{Error, ErrorKind, Result};
