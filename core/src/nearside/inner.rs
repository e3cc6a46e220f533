//! The state that the library object shares with its answers and downloads, its tasks that wait for the disk, and its
//! records: what an answer leaves behind after its end.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;

use super::known_policy::KnownPolicy;
use super::local_models::LocalModels;
use super::model_list::ModelList;
use super::stored_conversations::StoredConversations;
use super::tool_calls::ToolCallTargets;
use crate::chat::RouteTarget;
use crate::clock::Clock;
use crate::config::Config;
use crate::device::DeviceFacts;
use crate::engine::Engine;
use crate::engine::remote::{CircuitBreaker, ProviderClient, ProviderKind, ProviderSettings, Secret};
use crate::error::{Error, Result};
use crate::model::hub::Hub;
use crate::model::store::Store;
use crate::route::RoutingPolicy;
use crate::state::{Archive, Ledger, State};
use crate::stream::CancelToken;
use crate::sync::lock;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) hub: Mutex<Hub>,
    pub(super) state: Arc<State>,
    pub(super) ledger: Ledger,
    /// The models in memory; asks the host of the device.
    pub(super) local_models: Arc<LocalModels>,
    pub(super) handle: Handle,
    pub(super) policy: Mutex<KnownPolicy>,
    /// Cancelled when the object is dropped.
    pub(super) closing: CancelToken,
    pub(super) provider_runtimes: Mutex<HashMap<String, ProviderRuntime>>,
    /// Number of providers that this process added or replaced.
    pub(super) provider_changes: AtomicU64,
    /// Tokens of a prompt that a remote model counted, for each likely one; learned from its answers.
    pub(super) token_ratios: Mutex<HashMap<RouteTarget, f64>>,
    /// A tool loop stays on its target.
    pub(super) tool_calls: Arc<ToolCallTargets>,
    conversations: Arc<StoredConversations>,
    records: Records,
    /// Active answer per conversation; its id is set once its row exists.
    pub(super) active_answers: Mutex<HashMap<u64, Option<u64>>>,
    /// Facts about the device when the host was last asked.
    pub(super) last_facts: Mutex<DeviceFacts>,
    /// Replaces all engines in tests.
    pub(super) scripted: Option<Arc<dyn Engine>>,
}

/// What an [`Inner`] is made of.
pub(super) struct InnerParts {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) hub: Hub,
    pub(super) state: Arc<State>,
    pub(super) local_models: Arc<LocalModels>,
    pub(super) conversations: Arc<StoredConversations>,
    pub(super) handle: Handle,
    pub(super) policy: RoutingPolicy,
    pub(super) scripted: Option<Arc<dyn Engine>>,
}

/// The records that are not written yet.
#[derive(Debug, Default)]
struct Records {
    pending: Mutex<usize>,
    written: Condvar,
}

/// The server that the state of a provider belongs to.
#[derive(Debug)]
pub(super) struct ServerAddress {
    pub(super) kind: ProviderKind,
    pub(super) base_url: Option<String>,
    /// As [`crate::engine::remote::origin`]; unset for an address that is not valid any more.
    pub(super) origin: Option<String>,
}

/// In-memory state of a provider; never persisted.
#[derive(Debug, Default)]
pub(super) struct ProviderRuntime {
    /// Kind and address of the server that all this is about. Unset before its settings were read.
    pub(super) server: Option<ServerAddress>,
    pub(super) secret: Secret,
    pub(super) http: Option<(ProviderSettings, ProviderClient)>,
    pub(super) circuit: Arc<CircuitBreaker>,
    pub(super) list: ModelList,
}

impl Inner {
    pub(super) fn new(parts: InnerParts) -> Self {
        Self {
            config: parts.config,
            clock: parts.clock,
            store: parts.store,
            hub: Mutex::new(parts.hub),
            ledger: Ledger::new(Arc::clone(&parts.state)),
            state: parts.state,
            local_models: parts.local_models,
            handle: parts.handle,
            policy: Mutex::new(KnownPolicy::new(parts.policy)),
            closing: CancelToken::default(),
            provider_runtimes: Mutex::default(),
            provider_changes: AtomicU64::default(),
            token_ratios: Mutex::default(),
            tool_calls: Arc::default(),
            conversations: parts.conversations,
            records: Records::default(),
            active_answers: Mutex::default(),
            last_facts: Mutex::default(),
            scripted: parts.scripted,
        }
    }

    /// Returns the stored conversations. The first call opens their file, and erases those deleted more than an hour before.
    pub(super) fn archive(&self) -> Result<Arc<Archive>> {
        let (archive, is_new) = self.conversations.get()?;
        if is_new {
            self.local_models.remove_gone_states();
        }
        Ok(archive)
    }

    /// Erases from the log of the conversations what a purge could not. A failure is only logged; the next start retries.
    pub(super) fn checkpoint_archive(&self) {
        if let Some(Err(error)) = self.conversations.opened().map(|archive| archive.checkpoint()) {
            tracing::debug!(kind = ?error.kind(), "the log of the conversations is still in use");
        }
    }

    /// Writes a record of an answer in the background: nothing waits for it but the end of the library. A failure is only
    /// logged.
    pub(super) fn record(self: &Arc<Self>, work: impl FnOnce(&Self) -> Result<()> + Send + 'static) {
        if self.state.is_read_only() {
            return;
        }
        *lock(&self.records.pending) += 1;
        let guard = RecordGuard(Arc::clone(self));
        self.handle.spawn_blocking(move || {
            if let Err(error) = work(&guard.0) {
                tracing::warn!(kind = ?error.kind(), "an answer could not be recorded");
            }
        });
    }

    /// Waits until all records are written, at most this long. Blocks.
    pub(super) fn wait_for_records(&self, timeout: Duration) {
        let pending = lock(&self.records.pending);
        let waited = self
            .records
            .written
            .wait_timeout_while(pending, timeout, |pending| *pending > 0);
        // The lock is poisoned only if a thread panicked that held it, and none does anything with it.
        drop(waited);
    }
}

/// Counts a record until it is written, or its task is gone.
struct RecordGuard(Arc<Inner>);

impl Drop for RecordGuard {
    fn drop(&mut self) {
        *lock(&self.0.records.pending) -= 1;
        self.0.records.written.notify_all();
    }
}

/// Runs work that may wait for the disk off the threads that serve connections.
pub(super) async fn blocking<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
) -> Result<T> {
    let shared = Arc::clone(inner);
    join_result(inner.handle.spawn_blocking(move || work(&shared)).await)
}

/// Returns the result of a task; a panic or an abort becomes an error.
pub(super) fn join_result<T>(joined: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    joined.unwrap_or_else(|cause| Err(Error::unfinished(cause.is_panic())))
}
