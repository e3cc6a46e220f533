//! What Nearside's tests stand on: a hub on this machine, models real and small, and a device to download to.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up must fail at once and say why"
)]

pub mod hub;
pub mod models;
pub mod scene;
pub mod small;
