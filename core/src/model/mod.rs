//! What a model is, and whether it fits.

pub mod gguf;
