//! A provider's model list in memory: as last fetched, the fetch under way, and the last failure.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;

use crate::engine::remote::RemoteModel;
use crate::error::Result;

/// A fetch of a model list that several callers may wait for.
pub(super) type ListFetch = Shared<BoxFuture<'static, Result<Arc<Vec<RemoteModel>>>>>;

/// What is known of a provider's model list. In memory; the list itself is also on disk.
#[derive(Debug, Default)]
pub(super) struct ModelList {
    /// The list, and when it was fetched.
    pub(super) models: Option<(Arc<Vec<RemoteModel>>, SystemTime)>,
    /// The aggregator's document about its upstreams. Unset: not read from disk yet.
    pub(super) upstreams: Option<Option<Arc<Value>>>,
    pub(super) fetch: Option<ListFetch>,
    pub(super) failed_at: Option<Instant>,
}

impl ModelList {
    /// Forgets a running fetch and an earlier failure: another key or another address may succeed.
    pub(super) fn retry(&mut self) {
        self.fetch = None;
        self.failed_at = None;
    }
}
