//! Frees a model that was idle for the configured time: one task of the runtime for each engine, which sleeps until then.
//!
//! Each lease and each job starts the time anew. Whether the model is idle is decided under the lock under which leases are
//! acquired, so that a request that comes at the last moment keeps its model.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::sleep_until;

use super::local_models::LocalModels;
use crate::engine::local::LocalEngine;

/// Frees this engine's model whenever it was idle for this long, until the engine is gone.
pub(super) async fn free_when_idle(
    models: Weak<LocalModels>,
    engine: Weak<LocalEngine>,
    id: u64,
    keep_alive: Duration,
) {
    loop {
        let Some(present) = engine.upgrade() else { return };
        let (until, use_ended) = (present.idle_until(keep_alive), present.use_ended());
        drop(present);
        match until {
            None => use_ended.await,
            Some(until) => {
                tokio::select! {
                    () = sleep_until(until.into()) => {}
                    () = use_ended => continue,
                }
                let models = models.clone();
                // It waits for the engine's thread.
                let freeing = tokio::task::spawn_blocking(move || {
                    let models = models.upgrade()?;
                    models.close_idle_since(id, keep_alive).then_some(())
                });
                if let Ok(Some(())) = freeing.await {
                    return;
                }
            }
        }
    }
}
