//! The state that the library object shares with its answers and downloads, and its tasks that wait for the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::runtime::Handle;

use super::refresh::ModelList;
use super::tool_calls::ToolCallTargets;
use crate::chat::RouteTarget;
use crate::config::Config;
use crate::device::{Connectivity, Host};
use crate::engine::Engine;
use crate::engine::local::{LocalEngine, LocalSettings};
use crate::engine::remote::{CircuitBreaker, ProviderClient, ProviderSettings, Secret};
use crate::error::{Error, Result};
use crate::model::hub::Hub;
use crate::model::store::Store;
use crate::route::RoutingPolicy;
use crate::state::{Archive, Ledger, State};
use crate::stream::CancelToken;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) hub: Mutex<Hub>,
    pub(super) state: Arc<State>,
    pub(super) ledger: Ledger,
    pub(super) host: Arc<dyn Host>,
    pub(super) handle: Handle,
    pub(super) policy: Mutex<RoutingPolicy>,
    /// Cancelled when the object is dropped.
    pub(super) closing: CancelToken,
    pub(super) engines: Mutex<Vec<(LocalSettings, Arc<LocalEngine>)>>,
    pub(super) provider_runtimes: Mutex<HashMap<String, ProviderRuntime>>,
    /// Tokens of a prompt that a remote model counted, for each likely one; learned from its answers.
    pub(super) token_ratios: Mutex<HashMap<RouteTarget, f64>>,
    /// A tool loop stays on its target.
    pub(super) tool_calls: Arc<ToolCallTargets>,
    /// Opened on first use.
    pub(super) archive: Mutex<Option<Arc<Archive>>>,
    /// Active answer per conversation; its id is set once its row exists.
    pub(super) active_answers: Mutex<HashMap<u64, Option<u64>>>,
    /// Connectivity when the host was last asked.
    pub(super) network: Mutex<Connectivity>,
    /// Time of the last memory warning.
    pub(super) memory_pressure_at: Mutex<Option<Instant>>,
    /// Replaces all engines in tests.
    pub(super) scripted: Option<Arc<dyn Engine>>,
}

/// In-memory state of a provider; never persisted.
#[derive(Debug, Default)]
pub(super) struct ProviderRuntime {
    pub(super) secret: Secret,
    pub(super) http: Option<(ProviderSettings, ProviderClient)>,
    pub(super) circuit: Arc<CircuitBreaker>,
    pub(super) list: ModelList,
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
