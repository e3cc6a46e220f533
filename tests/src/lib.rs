//! What Nearside's tests stand on: a hub on this machine, models real, small and damaged, and a device to download to.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up must fail at once and say why"
)]

pub mod gguf;
pub mod hub;
pub mod models;
pub mod provider;
pub mod remote;
pub mod scene;
pub mod small;
