//! Nearside for Swift and Kotlin.
//!
//! Declarations and nothing else: each type of the core is stated once more, field by field, under
//! `#[uniffi::remote(…)]`, and UniFFI writes the code that carries it over. There is no conversion to keep in step: a
//! field or a variant that the core gains and this crate lacks does not compile.
//!
//! One file per room of the core. The objects ([`Nearside`], [`ChatStream`], [`DownloadStream`]) are newtypes whose
//! methods hand on and decide nothing. Everything that can fail, or could ever panic, returns a `Result`, because
//! UniFFI turns a panic into an exception only there; in Swift anything else would end the app.
//!
//! The comments on the types below are what an app developer reads in Xcode and Android Studio.
//! `bindings/README.md` has the rules for changing them.

mod answer;
mod chat;
mod conversation;
mod device;
mod engine;
mod error;
mod model;
mod nearside;
mod provider;
mod route;
#[cfg(feature = "testing")]
mod testing;

pub use answer::ChatStream;
pub use conversation::Conversations;
pub use device::DeviceHost;
pub use model::DownloadStream;
pub use nearside::Nearside;
pub use provider::SignIn;

/// What everything here that can fail returns.
type Result<T, E = error::NearsideError> = std::result::Result<T, E>;

// The namespace names the generated files: `nearside.kt`, `nearside.swift`.
uniffi::setup_scaffolding!("nearside");
