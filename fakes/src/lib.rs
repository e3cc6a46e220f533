//! Local stand-ins for what a test cannot reach: a hub, providers, and models that are tiny.
//!
//! The project's own tests use all of it; the bindings hand [`hub`], tapes ([`provider::tape`]) and [`tiny_models`] to the
//! tests of apps, so that there is one implementation of each. Servers listen on the loopback interface only.

mod http;
pub mod hub;
pub mod provider;
pub mod server;
pub mod tiny_models;
