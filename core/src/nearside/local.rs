//! Local models: resolves references to files, checks whether they fit, and owns the engines of loaded models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Inner, lock};
use crate::device::{self, DeviceSnapshot};
use crate::engine::local::{LocalEngine, LocalSettings};
use crate::error::{Error, Result};
use crate::model::{self, FitOptions, FitVerdict, InstalledModel, ModelRef};

/// A model's file on this device.
#[derive(Debug, Clone)]
pub(super) struct LocalModel {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
    /// The training context in tokens; unset for a file that is not installed.
    pub(super) context_length: Option<u32>,
}

impl Inner {
    /// Resolves a reference to a file on this device.
    pub(super) fn resolve_local(&self, reference: &ModelRef) -> Result<LocalModel> {
        if let ModelRef::Path { path } = reference {
            let file = Path::new(path).metadata().ok().filter(std::fs::Metadata::is_file);
            let file = file.ok_or_else(|| {
                Error::not_installed(format!("there is no file `{path}`; give the path of a GGUF file"))
            })?;
            return Ok(LocalModel {
                id: path.clone(),
                path: path.into(),
                sha256: String::new(),
                size_bytes: file.len(),
                context_length: None,
            });
        }
        let found = self.store.find(reference)?;
        found.map(LocalModel::from).ok_or_else(|| not_installed(reference))
    }

    /// Returns whether the model fits the memory that is free now. If `exact`, uses the estimate of llama.cpp, which
    /// is cached; else the file size alone, because the engine estimates again before it loads.
    pub(super) fn verdict(&self, local: &LocalModel, snapshot: &DeviceSnapshot, exact: bool) -> Result<FitVerdict> {
        let settings = self.engine_settings(local);
        let engines = lock(&self.engines);
        if engines.iter().any(|(other, _)| *other == settings) {
            return Ok(FitVerdict::Fits);
        }
        let idle = engines.iter().filter(|(_, engine)| !engine.is_busy());
        // Idle models are freed before another is loaded.
        let freed: u64 = idle
            .filter_map(|(settings, _)| settings.path.metadata().ok())
            .map(|file| file.len())
            .sum();
        drop(engines);
        let free = snapshot.memory_available.saturating_add(freed);
        if !exact {
            let fits = local.size_bytes < free;
            return Ok(if fits { FitVerdict::Fits } else { FitVerdict::TooLarge });
        }
        let snapshot = DeviceSnapshot {
            memory_available: free,
            ..snapshot.clone()
        };
        let key = format!(
            "{} {} {} {:?} {:?}",
            local.sha256,
            local.path.display(),
            local.size_bytes,
            self.config.context,
            self.config.cache_type
        );
        let need = match self.state.need(&key)? {
            Some(need) => need,
            None => {
                let options = FitOptions {
                    context: self.config.context,
                    cache_type: self.config.cache_type,
                    budget_bytes: None,
                };
                let need = model::fit_path(&local.path, &options, &snapshot)?.need.total;
                self.state.remember_need(&key, need)?;
                need
            }
        };
        Ok(model::fit::verdict_of(need, local.size_bytes, &snapshot))
    }

    /// Returns the engine of this model; starts one if there is none, and closes idle ones first.
    pub(super) fn engine(&self, local: &LocalModel) -> Result<Arc<LocalEngine>> {
        let settings = self.engine_settings(local);
        let find = |engines: &[(LocalSettings, Arc<LocalEngine>)]| {
            let found = engines.iter().find(|(other, _)| *other == settings);
            found.map(|(_, engine)| Arc::clone(engine))
        };
        if let Some(engine) = find(&lock(&self.engines)) {
            return Ok(engine);
        }
        self.close_engines(|_, engine| !engine.is_busy());
        let mut engines = lock(&self.engines);
        // A concurrent request may have started it meanwhile.
        if let Some(engine) = find(&engines) {
            return Ok(engine);
        }
        let engine = Arc::new(LocalEngine::start(settings.clone())?);
        engines.push((settings, Arc::clone(&engine)));
        Ok(engine)
    }

    /// Closes engines and waits for their threads.
    pub(super) fn close_engines(&self, which: impl Fn(&LocalSettings, &LocalEngine) -> bool) {
        let closing: Vec<_> = lock(&self.engines)
            .extract_if(.., |(settings, engine)| which(settings, engine))
            .collect();
        for (_, engine) in closing {
            engine.close();
        }
    }

    /// Drops every engine without joining its thread.
    pub(super) fn drop_engines(&self) {
        lock(&self.engines).clear();
    }

    /// Takes a device snapshot, lowered by the host's own figure.
    pub(super) fn snapshot(&self) -> Result<DeviceSnapshot> {
        let mut snapshot = device::snapshot()?;
        if let Some(bytes) = self.host_facts()?.memory_available
            && bytes < snapshot.memory_available
        {
            snapshot.memory_available = bytes;
            "host".clone_into(&mut snapshot.memory_source);
        }
        Ok(snapshot)
    }

    fn engine_settings(&self, local: &LocalModel) -> LocalSettings {
        LocalSettings {
            path: local.path.clone(),
            id: local.id.clone(),
            context: self.config.context,
            cache_type: self.config.cache_type,
            threads: self.config.threads,
        }
    }
}

impl From<InstalledModel> for LocalModel {
    fn from(model: InstalledModel) -> Self {
        Self {
            id: model.id,
            path: model.path.into(),
            sha256: model.sha256,
            size_bytes: model.size_bytes,
            context_length: Some(model.context_length),
        }
    }
}

pub(super) fn not_installed(model: &ModelRef) -> Error {
    Error::not_installed(format!("model `{model}` is not installed; download it first"))
}
