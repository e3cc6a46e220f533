//! The contexts that the configuration gives to models.

use std::collections::HashMap;

use crate::config::Config;
use crate::model::fit::DEFAULT_CONTEXT;

/// Context lengths in tokens, as configured.
#[derive(Debug)]
pub(super) struct ContextConfig {
    all: Option<u32>,
    single: HashMap<String, u32>,
    most: Option<u32>,
}

impl ContextConfig {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            all: config.context,
            single: config.model_contexts.clone(),
            most: config.max_context,
        }
    }

    /// Returns the context that a model is loaded with, unless it was trained with less. `id`: if it is installed.
    pub(super) fn planned(&self, id: Option<&str>) -> u32 {
        self.set_for(id).unwrap_or(DEFAULT_CONTEXT)
    }

    /// Returns the context to which that of a model may grow; `None`: as far as it was trained.
    pub(super) fn most(&self, id: &str) -> Option<u32> {
        let most = self.most.map(|most| most.max(self.planned(Some(id))));
        most.or_else(|| self.set_for(Some(id)))
    }

    fn set_for(&self, id: Option<&str>) -> Option<u32> {
        id.and_then(|id| self.single.get(id)).copied().or(self.all)
    }
}
