//! A provider's model list in memory: as last fetched, the fetch under way, and the last failure.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;
use tokio::task::Id;

use crate::engine::remote::{LearnedFacts, ListedModels};
use crate::error::{Error, Result};

/// A fetch of a model list that several callers may wait for.
pub(super) type ListFetch = Shared<BoxFuture<'static, Result<Arc<ListedModels>>>>;

/// What is known of a provider's model list. In memory; the list itself is also on disk.
#[derive(Debug, Default)]
pub(super) struct ModelList {
    /// The list, and when it was fetched.
    pub(super) listed: Option<(Arc<ListedModels>, SystemTime)>,
    /// The aggregator's document about its upstreams. Unset: not read from disk yet.
    pub(super) upstreams: Option<Option<Arc<Value>>>,
    /// The fetch under way, by its task.
    pub(super) fetch: Option<(Id, ListFetch)>,
    /// When the last fetch failed, or a part of it, and why. Unset: it succeeded, or another may.
    pub(super) failure: Option<(Instant, Error)>,
    /// Facts about its models that requests taught.
    pub(super) learned: Arc<LearnedFacts>,
}

impl ModelList {
    /// Returns the fetch that is under way.
    pub(super) fn running(&self) -> Option<ListFetch> {
        let (_, fetch) = self.fetch.as_ref()?;
        // A fetch that panicked does not record its end.
        fetch.peek().is_none().then(|| fetch.clone())
    }

    /// Records the end of a fetch. One that was replaced meanwhile, because the key or the address changed, says nothing of
    /// the present list.
    pub(super) fn end_fetch(&mut self, task: Option<Id>, failure: Option<(Instant, Error)>) {
        if task.is_some() && self.fetch.as_ref().map(|(running, _)| *running) == task {
            self.fetch = None;
            self.failure = failure;
        }
    }

    /// Forgets a running fetch and an earlier failure: another key or another address may succeed.
    pub(super) fn retry(&mut self) {
        self.fetch = None;
        self.failure = None;
    }
}
