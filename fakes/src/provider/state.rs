//! Requests that a provider received, and the state that its connections share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;
use crate::server::lock;

use super::chunking::Chunking;
use super::dialect::Dialect;
use super::offer::Offer;
use super::scenario::Scenario;
use super::sign_in::SignIn;

/// A request as received.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// `GET`, `POST`.
    pub method: String,
    /// With the base path and the query.
    pub path: String,
    /// Names in lower case, in their original order.
    pub headers: Vec<(String, String)>,
    /// The body; null if it is empty or not JSON.
    pub body: Value,
    /// When it was completely received.
    pub at: Instant,
}

/// An event at a provider.
#[derive(Debug)]
pub enum ProviderEvent<'a> {
    /// A request, before it is answered.
    Request(&'a ReceivedRequest),
    /// A client disconnected during an answer.
    Disconnected,
}

/// Callback for events, called on the connection's thread.
pub(super) type Watcher = Box<dyn Fn(ProviderEvent<'_>) + Send + Sync>;

/// State that all connections share.
pub(super) struct ProviderShared {
    pub(super) dialect: Dialect,
    pub(super) key: Option<String>,
    /// Requests for the model list get no answer.
    pub(super) list_hangs: bool,
    pub(super) chunking: Chunking,
    pub(super) latency: Duration,
    pub(super) watcher: Option<Watcher>,
    pub(super) state: Mutex<ProviderState>,
    pub(super) changed: Condvar,
}

/// The mutable part of [`ProviderShared`].
#[derive(Debug)]
pub(super) struct ProviderState {
    pub(super) offer: Arc<Offer>,
    pub(super) queue: VecDeque<Scenario>,
    pub(super) otherwise: Scenario,
    pub(super) requests: Vec<ReceivedRequest>,
    pub(super) closed_early: usize,
    pub(super) sign_in: SignIn,
}

impl ReceivedRequest {
    /// Returns a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }
}

impl ProviderShared {
    /// Locks the state.
    pub(super) fn state(&self) -> MutexGuard<'_, ProviderState> {
        lock(&self.state)
    }

    /// Stores the request and returns its number, from 1.
    pub(super) fn record(&self, request: ReceivedRequest) -> u64 {
        self.notify(ProviderEvent::Request(&request));
        let mut state = self.state();
        state.requests.push(request);
        let number = state.requests.len() as u64;
        drop(state);
        self.changed.notify_all();
        number
    }

    pub(super) fn client_left(&self) {
        self.notify(ProviderEvent::Disconnected);
        self.state().closed_early += 1;
        self.changed.notify_all();
    }

    fn notify(&self, seen: ProviderEvent<'_>) {
        if let Some(watcher) = &self.watcher {
            watcher(seen);
        }
    }

    pub(super) fn next_scenario(&self) -> Scenario {
        let mut state = self.state();
        state.queue.pop_front().unwrap_or_else(|| state.otherwise.clone())
    }
}

impl fmt::Debug for ProviderShared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProviderShared")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}
