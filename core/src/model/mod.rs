//! What a model is, where it comes from, and whether it is whole.
//!
//! A [`ModelRef`] names a model. The [`hub`] turns it into an address, a size and a SHA-256 before the first byte moves;
//! [`head`] fetches the few megabytes that tell whether it fits; [`download`] fetches the rest, once; the [`store`] keeps
//! it. A model on disk is absent, partial or whole, and a kill at any moment leaves one of the three.

pub mod download;
pub mod gguf;
mod hash;
pub mod head;
pub mod hub;
mod rate;
mod reference;
pub mod store;

pub use download::{DownloadEvent, DownloadStream};
pub use reference::{HubFile, ModelRef};
pub use store::InstalledModel;
