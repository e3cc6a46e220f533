//! Models in memory, as an app sees them: load ahead of the first answer, list, free.

use std::path::PathBuf;
use std::sync::Arc;

use super::inner::blocking;
use super::{Inner, Nearside};
use crate::engine::local::{LoadEvent, LoadStream, LoadedModel};
use crate::error::Result;
use crate::model::ModelRef;
use crate::stream::{Stream, StreamSender};

impl Nearside {
    /// Loads a model into memory, so that its next answer begins at once. Returns immediately.
    ///
    /// The load is the one that an answer would start: with the same budget, freeing idle models as far as it needs, and
    /// shared with answers that wait for the model. A cancel ends the stream at once; the model is loaded nevertheless if
    /// something else waits for it. The loaded model is subject to `Config::keep_alive_ms`.
    ///
    /// Errors on the stream: `NotInstalled`, `TooLarge`, `Unsupported` for a model without a chat template, `Corrupt`, and
    /// `Busy` if the model was unloaded meanwhile.
    pub fn load(&self, model: ModelRef) -> LoadStream {
        let (stream, sink) = Stream::new();
        let inner = Arc::clone(&self.inner);
        self.handle.spawn(async move { inner.load(model, sink).await });
        stream
    }

    /// Returns the models in memory, ordered by id. Does not wait for an answer or a load.
    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.inner.local_models.loaded()
    }

    /// Frees the memory of a model, or of every model. Its answers end with `Cancelled`, its loads with an error. Without
    /// effect on a model that is not loaded.
    ///
    /// # Errors
    /// `NotInstalled` for a model that is not installed; `Storage`.
    pub async fn unload(&self, model: Option<ModelRef>) -> Result<()> {
        self.blocking(move |inner| {
            let path = match model {
                None => None,
                // The file may be gone, and the model still loaded.
                Some(ModelRef::Path { path }) => Some(PathBuf::from(path)),
                Some(model) => Some(inner.resolve_local(&model)?.path),
            };
            inner.local_models.close_engines(path.as_deref());
            Ok(())
        })
        .await
    }
}

impl Inner {
    async fn load(self: Arc<Self>, model: ModelRef, sink: StreamSender<LoadEvent>) {
        let leased = blocking(&self, move |inner| {
            let local = inner.resolve_local(&model)?;
            inner.local_models.lease(&local)
        });
        let cancel = sink.cancel().clone();
        let leased = tokio::select! {
            biased;
            () = cancel.cancelled() => return sink.close(),
            leased = leased => leased,
        };
        match leased {
            // In the engine's queue the load counts as a use, so that the lease may end here.
            Ok(lease) => lease.load(sink),
            Err(error) => sink.finish(Err(error)),
        }
    }
}
