//! Partial downloads: what an interrupted download or a fit check left on the disk.

use super::Nearside;
use crate::error::Result;
use crate::model::{ModelRef, PartialDownload};

impl Nearside {
    /// Returns the partial downloads, the newest first: those that [`Self::download`] would resume, and the heads of files
    /// that [`Self::fit`] fetched.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn partial_downloads(&self) -> Result<Vec<PartialDownload>> {
        self.blocking(|inner| inner.store.partial_downloads()).await
    }

    /// Removes the partial downloads of a model and returns them; without a model, all but those in progress.
    ///
    /// # Errors
    /// `NotInstalled` if the model has none; `Busy` if it is being downloaded; `Storage`.
    pub async fn remove_partial(&self, model: Option<ModelRef>) -> Result<Vec<PartialDownload>> {
        self.blocking(move |inner| inner.store.remove_partial(model.as_ref()))
            .await
    }
}
