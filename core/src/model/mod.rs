//! Models: references, fit verdicts, downloads and the store.
//!
//! A [`ModelRef`] names a model. The [`hub`] resolves it to an address, a size and a SHA-256 before any transfer;
//! [`download::head`] fetches the few megabytes that [`fit`] needs for its verdict; [`download`] fetches the rest; the
//! [`store`] keeps it. A model on disk is absent, partial or complete; a kill at any moment leaves one of these states.

pub mod catalog;
pub mod download;
pub mod fit;
pub mod gguf;
mod hash;
pub mod hub;
mod reference;
pub mod store;

pub use catalog::{CatalogEntry, catalog};
pub use download::{DownloadEvent, DownloadStream, ResolvedFile};
pub(crate) use fit::verdict::{BudgetFor, fit_path, fit_reference};
pub use fit::{CacheType, FitOptions, FitReport, FitSuggestion, FitVerdict, LoadPlan, MemoryBudget, MemoryEstimate};
pub use reference::{HubFile, ModelRef};
pub use store::{InstalledModel, PartialDownload};
