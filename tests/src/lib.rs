//! What the scenarios in `tests/` share: nothing but the way to real models.

pub mod models;
