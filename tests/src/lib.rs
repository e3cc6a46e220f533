//! What Nearside's tests stand on: a hub on this machine, small models made to measure, and the way to the real ones.

pub mod hub;
pub mod models;
pub mod small;
