//! Loads a model: parses the GGUF head with our own parser, asks llama.cpp for the memory it needs, and loads with the
//! plan that the fit verdict chose.

use std::time::Instant;

use nearside_llama::{ChatTemplate, Model, ModelParams};

use super::LocalSettings;
use super::session::Session;
use crate::device;
use crate::error::{Error, Result};
use crate::model::{self, FitOptions, FitReport, Verdict};
use crate::stream::Cancel;

/// A model in memory, with the conversation that its KV cache holds.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) model: Model,
    pub(super) template: ChatTemplate,
    pub(super) session: Session,
    /// What was predicted before the load.
    pub(super) fit: FitReport,
}

/// What stopped a load.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The flag was raised.
    Cancelled,
    /// It failed.
    Failed(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Loads the model if necessary. Also returns the load time in milliseconds; 0 if it was already loaded.
pub(super) fn ensure<'a>(
    settings: &LocalSettings,
    loaded: &'a mut Option<Loaded>,
    cancel: &Cancel,
) -> Result<(&'a mut Loaded, f64), LoadError> {
    let mut load_ms = 0.0;
    if loaded.is_none() {
        let begun = Instant::now();
        *loaded = Some(load(settings, cancel)?);
        load_ms = begun.elapsed().as_secs_f64() * 1000.0;
    }
    match loaded {
        Some(loaded) => Ok((loaded, load_ms)),
        None => Err(Error::internal("a model that was just loaded is not there").into()),
    }
}

fn load(settings: &LocalSettings, cancel: &Cancel) -> Result<Loaded, LoadError> {
    let options = FitOptions {
        context: settings.context,
        cache_type: settings.cache_type,
        budget_bytes: None,
    };
    let snapshot = device::snapshot()?;
    let fit = model::fit_path(&settings.path, &options, &snapshot)?;
    if fit.verdict == Verdict::TooLarge {
        return Err(Error::too_large(too_large(&fit)).into());
    }
    let params = ModelParams {
        load_mode: fit.load.into(),
        gpu_layers: -1,
    };
    let model = match Model::load(&settings.path, &params, &mut |_| !cancel.is_raised()) {
        Ok(model) => model,
        Err(nearside_llama::Error::Cancelled) => return Err(LoadError::Cancelled),
        Err(error) => return Err(told(error).into()),
    };
    let template = ChatTemplate::from_model(&model).map_err(told)?;
    let threads = settings.threads.unwrap_or(snapshot.threads);
    let session = Session::new(&model, fit.context, fit.cache_type, threads)?;
    tracing::info!(model = settings.id, context = fit.context, plan = ?fit.load, threads, "model loaded");
    Ok(Loaded {
        model,
        template,
        session,
        fit,
    })
}

/// The verdict in words, with what would change it.
fn too_large(fit: &FitReport) -> String {
    match fit.suggestions.first() {
        Some(suggestion) => format!("{}; {}", fit.reason, suggestion.text),
        None => format!("{}; take a smaller model", fit.reason),
    }
}

/// Maps a llama.cpp error to [`Error`].
pub(super) fn told(error: nearside_llama::Error) -> Error {
    use nearside_llama::Error as E;
    let text = error.to_string();
    match error {
        E::Load(_) => Error::corrupt(format!("{text}; remove the model and download it again")),
        E::Unsupported(_) => Error::unsupported(text),
        E::Template(_) | E::Grammar(_) | E::Input(_) => Error::invalid_request(text),
        E::Context(_) => Error::too_large(format!("{text}; try a smaller context")),
        E::Decode(_) | E::Cancelled => Error::internal(text),
    }
}
