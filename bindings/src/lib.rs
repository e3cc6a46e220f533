//! Nearside for Swift and Kotlin.
//!
//! Contains declarations only: each type of the core is declared again, field by field, under `#[uniffi::remote(…)]`,
//! and UniFFI generates the conversion. If a field or a variant of the core is missing here, the build fails.
//!
//! One file per module of the core. The objects ([`Nearside`], [`ChatStream`], [`DownloadStream`], [`LoadStream`]) are newtypes whose
//! methods only delegate. Every function that can fail, or could ever panic, returns a `Result`, because UniFFI converts
//! a panic to an exception only there; elsewhere a panic ends a Swift app.
//!
//! App developers read the comments on these types in Xcode and Android Studio. `bindings/README.md` has the rules for
//! changing them.

mod adjustment;
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
mod testing;

pub use adjustment::AdjustmentStream;
pub use answer::ChatStream;
pub use conversation::Conversations;
pub use device::DeviceHost;
pub use engine::LoadStream;
pub use error::HostError;
pub use model::DownloadStream;
pub use nearside::Nearside;
pub use provider::{ProviderKindInfo, SignIn, provider_kinds};
pub use testing::{TestClock, TestHub, TestProvider};

// The namespace names the generated files: `nearside.kt`, `nearside.swift`.
uniffi::setup_scaffolding!("nearside");
