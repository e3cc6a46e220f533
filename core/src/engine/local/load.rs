//! Loads a model as the plan that it is given says: load mode, context, cache type, threads.

use std::time::Instant;

use nearside_llama::{ChatTemplate, LlamaError, Model, ModelParams};

use super::error::{map_llama_error, template_error};
use super::session::DecodeSession;
use super::settings::{LoadOutcome, LoadPlanner, LocalSettings};
use super::stop::StopConditions;
use crate::error::{Error, Result};
use crate::model::fit::{LoadOrder, no_template};

/// A model in memory, with the session that holds its KV cache.
#[derive(Debug)]
pub(super) struct LoadedModel {
    pub(super) model: Model,
    pub(super) template: ChatTemplate,
    pub(super) session: DecodeSession,
    /// The plan that it was loaded with.
    pub(super) order: LoadOrder,
}

/// A model that is loaded on demand.
#[derive(Debug)]
pub(super) struct LazyModel {
    pub(super) settings: LocalSettings,
    planner: Box<dyn LoadPlanner>,
    loaded: Option<LoadedModel>,
}

/// Why a load ended without a model.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The caller cancelled, or its deadline passed.
    Stopped,
    /// An error.
    Failed(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl LazyModel {
    /// Creates it without loading.
    pub(super) fn new(settings: LocalSettings, planner: Box<dyn LoadPlanner>) -> Self {
        Self {
            settings,
            planner,
            loaded: None,
        }
    }

    /// Loads the model if necessary. Also returns the load time in milliseconds; 0 if it was already loaded.
    ///
    /// `for_chat`: refuses a model without a chat template, before it is loaded.
    pub(super) fn ensure_loaded(
        &mut self,
        for_chat: bool,
        stop: &StopConditions,
    ) -> Result<(&mut LoadedModel, f64), LoadError> {
        let mut load_ms = 0.0;
        if self.loaded.is_none() {
            let begun = Instant::now();
            let order = self.planner.plan_load(for_chat)?;
            let loaded = load_model(&self.settings, order, stop);
            self.planner.load_ended(match &loaded {
                Ok(_) => LoadOutcome::Loaded,
                Err(LoadError::Stopped) => LoadOutcome::Unloaded,
                Err(LoadError::Failed(error)) => LoadOutcome::Failed(error.clone()),
            });
            self.loaded = Some(loaded?);
            load_ms = begun.elapsed().as_secs_f64() * 1000.0;
        }
        match &mut self.loaded {
            Some(loaded) if for_chat && !loaded.order.has_template => Err(no_template(&self.settings.id).into()),
            Some(loaded) => Ok((loaded, load_ms)),
            None => Err(Error::internal("a model that was just loaded is not there").into()),
        }
    }

    /// Records that the model turned out to be unusable: it is not loaded again, but its error is returned.
    pub(super) fn mark_unusable(&mut self, error: &Error) {
        self.loaded = None;
        self.planner.load_ended(LoadOutcome::Failed(error.clone()));
    }

    /// Frees the model.
    pub(super) fn unload(&mut self) {
        self.loaded = None;
        self.planner.load_ended(LoadOutcome::Unloaded);
    }
}

fn load_model(settings: &LocalSettings, order: LoadOrder, stop: &StopConditions) -> Result<LoadedModel, LoadError> {
    let params = ModelParams {
        load_mode: order.load.into(),
        gpu_layers: -1,
    };
    let model = match Model::load(&settings.path, &params, &mut |_| !stop.is_raised()) {
        Ok(model) => model,
        Err(LlamaError::Cancelled) => return Err(LoadError::Stopped),
        Err(error) => return Err(map_llama_error(error).into()),
    };
    let template = ChatTemplate::from_model(&model).map_err(template_error)?;
    let session = DecodeSession::new(&model, order.context, order.cache_type, order.threads)?;
    let LoadOrder {
        context, load, threads, ..
    } = order;
    tracing::info!(model = settings.id, context, plan = ?load, threads, "model loaded");
    Ok(LoadedModel {
        model,
        template,
        session,
        order,
    })
}
