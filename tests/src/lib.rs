//! What the scenarios in `tests/` share: the way to real models, and to damaged ones.

pub mod gguf;
pub mod models;
