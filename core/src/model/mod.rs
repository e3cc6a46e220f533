//! What a model is, where it comes from, whether it fits, and whether it is whole.
//!
//! A [`ModelRef`] names a model. The [`hub`] turns it into an address, a size and a SHA-256 before the first byte moves;
//! [`download::head`] fetches the few megabytes that [`fit`] needs for its verdict; [`download`] fetches the rest, once; the
//! [`store`] keeps it. A model on disk is absent, partial or whole, and a kill at any moment leaves one of the three.

pub mod catalog;
pub mod download;
pub mod fit;
pub mod gguf;
mod hash;
pub mod hub;
mod reference;
pub mod store;

pub use catalog::{CatalogEntry, catalog};
pub use download::{DownloadEvent, DownloadStream};
pub(crate) use fit::verdict::{fit_path, fit_reference};
pub use fit::{Budget, CacheType, FitOptions, FitReport, LoadPlan, Need, Suggestion, Verdict};
pub use reference::{HubFile, ModelRef};
pub use store::InstalledModel;
