//! Nearside: language models on the device, and at providers where the routing policy allows them.
//!
//! Two types cross every layer unchanged: [`chat::ChatRequest`] on the way in, [`chat::Chunk`] on the way out.
//!
//! ```text
//!  app              bindings             core
//!  messages  ──►  Nearside.chat()  ──►  Nearside ──►  route  ──►  state  ──►  Engine: local | remote | scripted
//!                ChatRequest                        target,     reserves      │ on its own thread or task
//!                                                   fallbacks   the cost      ▼
//!  view      ◄──  for await chunk  ◄──  ChatStream ◄── bounded channel ◄── Chunk: Started · Reasoning · Text · Done
//! ```
//!
//! Each module uses only those before it: [`chat`] (requests, chunks, conversations), [`device`] (memory, cores),
//! [`model`] (references, fit, downloads), [`engine`] (generates answers), [`route`] (which target answers, and why),
//! [`state`] (providers, spending and conversations on disk). [`Nearside`], the library object, connects them.
//!
//! ```no_run
//! # async fn example() -> nearside::Result<()> {
//! use nearside::chat::{ChatMessage, ChatRequest, Chunk};
//! use nearside::model::{DownloadEvent, ModelRef};
//! use nearside::{Config, Nearside};
//!
//! let nearside = Nearside::new(Config::new("/data/models"))?;
//! let model = ModelRef::parse("hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0")?;
//! let fit = nearside.fit(model.clone(), Default::default()).await?; // before any download
//! println!("{:?}: needs {} bytes of {}", fit.verdict, fit.need.total, fit.budget.bytes);
//!
//! let download = nearside.download(model);
//! loop {
//!     let events = download.next_batch().await?;
//!     if events.is_empty() { break }
//!     for event in events {
//!         if let DownloadEvent::Progress { done, total, .. } = event { println!("{done} of {total}") }
//!     }
//! }
//!
//! let stream = nearside.chat(ChatRequest::new(vec![ChatMessage::user("Why do the tides come twice a day?")]));
//! loop {
//!     let chunks = stream.next_batch().await?;
//!     if chunks.is_empty() { break }
//!     for chunk in chunks {
//!         if let Chunk::Text { text } = chunk { print!("{text}") }
//!     }
//! }
//! # Ok(()) }
//! ```

pub mod chat;
pub mod clock;
mod config;
pub mod device;
pub mod engine;
mod error;
pub mod format;
pub mod model;
mod nearside;
mod net;
mod private_files;
pub mod route;
pub mod state;
pub mod stream;
mod sync;

pub use config::Config;
pub use error::{Error, ErrorKind, ErrorReason, Result};
#[cfg(feature = "testing")]
pub use nearside::TestSetup;
pub use nearside::{AdjustmentStream, AppEvent, Conversations, Nearside, ProviderStatus};
pub use net::network::NetworkConfig;
pub use net::retry::RetryPolicy;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
