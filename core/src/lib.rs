//! Nearside: language models on the device in your hand.
//!
//! Two types travel the whole way. [`chat::ChatRequest`] goes in, [`chat::Chunk`] comes out, and neither is rebuilt,
//! renamed or wrapped on the road.
//!
//! ```text
//!  app              bindings             core
//!  messages  ──►  Nearside.chat()  ──►  Nearside ──► which model ──►  Engine: local | scripted
//!                ChatRequest                            │ Route          │ works on its own thread
//!                                                       ▼                ▼
//!  view      ◄──  for await chunk  ◄──  ChatStream ◄── bounded channel ◄── Chunk: Started · Reasoning · Text · Done
//! ```
//!
//! Each room knows only those before it: [`chat`] (the words that travel), [`device`] (what this machine is), [`model`]
//! (what a model is, where it comes from, whether it fits), [`engine`] (who answers). [`Nearside`] wires them.
//!
//! ```no_run
//! # async fn example() -> nearside::Result<()> {
//! use nearside::chat::{ChatRequest, Chunk, Message};
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
//! let stream = nearside.chat(ChatRequest::new(vec![Message::user("Why do the tides come twice a day?")]));
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
mod config;
pub mod device;
pub mod engine;
mod error;
pub mod format;
pub mod model;
mod nearside;
mod net;
pub mod route;
pub mod state;
pub mod stream;
mod sync;

pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use nearside::{AppEvent, Conversations, Nearside, ProviderStatus};
pub use net::retry::RetryPolicy;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
