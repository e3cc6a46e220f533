//! The models on this device: which file a reference means, whether it fits now, and the engine that holds it loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Inner, lock};
use crate::device::{self, Snapshot};
use crate::engine::local::{LocalEngine, LocalSettings};
use crate::error::{Error, Result};
use crate::model::{self, FitOptions, InstalledModel, ModelRef, Verdict};

/// A model's file on this device.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
    /// Tokens that it was trained with; unset for a file that is not installed.
    pub(super) context_length: Option<u32>,
}

impl Inner {
    /// The file that a reference means.
    pub(super) fn ready(&self, reference: &ModelRef) -> Result<Ready> {
        if let ModelRef::Path { path } = reference {
            let file = Path::new(path).metadata().ok().filter(std::fs::Metadata::is_file);
            let file = file.ok_or_else(|| {
                Error::not_installed(format!("there is no file `{path}`; give the path of a GGUF file"))
            })?;
            return Ok(Ready {
                id: path.clone(),
                path: path.into(),
                sha256: String::new(),
                size_bytes: file.len(),
                context_length: None,
            });
        }
        let found = self.store.find(reference)?;
        found.map(Ready::from).ok_or_else(|| not_installed(reference))
    }

    /// Whether the model fits the memory that there is now. Exact if `exact`, which asks llama.cpp once and remembers;
    /// else by the size of the file alone: the engine asks llama.cpp before it loads in any case.
    pub(super) fn verdict(&self, ready: &Ready, snapshot: &Snapshot, exact: bool) -> Result<Verdict> {
        let settings = self.settings(ready);
        let engines = lock(&self.engines);
        if engines.iter().any(|(of, _)| *of == settings) {
            return Ok(Verdict::Fits);
        }
        let idle = engines.iter().filter(|(_, engine)| !engine.is_busy());
        // What idle models hold is freed before another is loaded.
        let freed: u64 = idle
            .filter_map(|(of, _)| of.path.metadata().ok())
            .map(|file| file.len())
            .sum();
        drop(engines);
        let free = snapshot.memory_available.saturating_add(freed);
        if !exact {
            let fits = ready.size_bytes < free;
            return Ok(if fits { Verdict::Fits } else { Verdict::TooLarge });
        }
        let snapshot = Snapshot {
            memory_available: free,
            ..snapshot.clone()
        };
        let key = format!(
            "{} {} {} {:?} {:?}",
            ready.sha256,
            ready.path.display(),
            ready.size_bytes,
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
                let need = model::fit_path(&ready.path, &options, &snapshot)?.need.total;
                self.state.remember_need(&key, need)?;
                need
            }
        };
        Ok(model::fit::verdict_of(need, ready.size_bytes, &snapshot))
    }

    /// The engine of this model; makes one if there is none, and frees idle models to make room for it.
    pub(super) fn engine(&self, ready: &Ready) -> Result<Arc<LocalEngine>> {
        let settings = self.settings(ready);
        let found = |engines: &[(LocalSettings, Arc<LocalEngine>)]| {
            let found = engines.iter().find(|(of, _)| *of == settings);
            found.map(|(_, engine)| Arc::clone(engine))
        };
        if let Some(engine) = found(&lock(&self.engines)) {
            return Ok(engine);
        }
        self.close_engines(|_, engine| !engine.is_busy());
        let mut engines = lock(&self.engines);
        // Another request for the same model may have been quicker.
        if let Some(engine) = found(&engines) {
            return Ok(engine);
        }
        let engine = Arc::new(LocalEngine::start(settings.clone())?);
        engines.push((settings, Arc::clone(&engine)));
        Ok(engine)
    }

    /// Closes engines and waits for their threads.
    pub(super) fn close_engines(&self, which: impl Fn(&LocalSettings, &LocalEngine) -> bool) {
        let closing: Vec<_> = lock(&self.engines)
            .extract_if(.., |(of, engine)| which(of, engine))
            .collect();
        for (_, engine) in closing {
            engine.close();
        }
    }

    /// Drops every engine without joining its thread.
    pub(super) fn let_go(&self) {
        lock(&self.engines).clear();
    }

    /// The device as it is now, with what the host knows better.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = device::snapshot()?;
        if let Some(bytes) = self.host_facts().memory_available
            && bytes < snapshot.memory_available
        {
            snapshot.memory_available = bytes;
            "host".clone_into(&mut snapshot.memory_source);
        }
        Ok(snapshot)
    }

    fn settings(&self, ready: &Ready) -> LocalSettings {
        LocalSettings {
            path: ready.path.clone(),
            id: ready.id.clone(),
            context: self.config.context,
            cache_type: self.config.cache_type,
            threads: self.config.threads,
        }
    }
}

impl From<InstalledModel> for Ready {
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
