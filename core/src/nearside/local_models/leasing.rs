//! Leases: the engine of a model, started on first use.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::planner::EnginePlanner;
use super::{EngineEntry, LoadState, LocalModels, is_permanent};
use crate::chat::StopReason;
use crate::engine::local::{EngineLease, LocalEngine, LocalSettings};
use crate::error::Result;
use crate::nearside::local_model::{LocalModel, file_stamp};
use crate::sync::lock;

impl LocalModels {
    /// Returns a lease of this model's engine; starts one if there is none. The model loads with its first job.
    pub(in crate::nearside) fn lease(self: &Arc<Self>, model: &LocalModel) -> Result<EngineLease> {
        let stamp = file_stamp(&model.path);
        let mut engines = lock(&self.engines);
        if let Some(at) = engines.iter().position(|entry| entry.path == model.path) {
            let entry = &engines[at];
            let is_same = entry.stamp == stamp;
            match &entry.load {
                LoadState::Failed(error) if is_same && is_permanent(error) => return Err(error.clone()),
                _ if is_same || entry.engine.is_in_use() => return Ok(EngineLease::acquire(&entry.engine)),
                // The file was replaced: no state of the old one is of use.
                _ => {
                    let id = entry.id;
                    for old in self.take_from(&mut engines, |entry| entry.id == id) {
                        old.engine.begin_close(StopReason::Cancelled, 0);
                    }
                }
            }
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let planner = EnginePlanner {
            models: Arc::downgrade(self),
            id,
            model: model.clone(),
        };
        let settings = LocalSettings {
            path: model.path.clone(),
            id: model.id.clone(),
            sha256: model.sha256.clone(),
            states: Some(Arc::clone(&self.states)),
        };
        let engine = Arc::new(LocalEngine::start(settings, Arc::new(planner), self.handle.clone())?);
        engine.forget(lock(&self.deleted).iter().map(|(id, at)| (*id, *at)));
        let lease = EngineLease::acquire(&engine);
        self.close_later(id, &engine);
        engines.push(EngineEntry {
            id,
            path: model.path.clone(),
            stamp,
            engine,
            load: LoadState::Unloaded,
            growing: 0,
        });
        Ok(lease)
    }
}
