//! Frees a model that was idle for the configured time: one task of the runtime for each engine, which sleeps until then.
//!
//! Each lease and each job starts the time anew. Whether the model is idle is decided under the lock under which leases are
//! acquired, so that a request that comes at the last moment keeps its model.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::sleep_until;

use crate::engine::local::LocalEngine;

/// Calls `close` whenever the engine's model was idle for this long, until it returns `true` or the engine is gone. `close`
/// decides again under the lock of leases, and may wait for the engine's thread.
pub(super) async fn close_when_idle(
    engine: Weak<LocalEngine>,
    keep_alive: Duration,
    close: impl Fn() -> bool + Clone + Send + 'static,
) {
    loop {
        let Some(present) = engine.upgrade() else { return };
        let (until, use_ended) = (present.idle_until(keep_alive), present.use_ended());
        drop(present);
        let Some(until) = until else {
            use_ended.await;
            continue;
        };
        tokio::select! {
            () = use_ended => continue,
            () = sleep_until(until.into()) => {}
        }
        if let Ok(true) | Err(_) = tokio::task::spawn_blocking(close.clone()).await {
            return;
        }
    }
}
