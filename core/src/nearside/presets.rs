//! What the library advises: how to sample a model, and which models are worth having.

use super::{Inner, Nearside, blocking};
use crate::chat::{PresetValues, Recommended};
use crate::engine::presets;
use crate::error::Result;
use crate::model::ModelRef;
use crate::model::catalog::{CatalogEntry, catalog};
use crate::model::gguf::Head;

impl Nearside {
    /// Sampling values of each preset for a model, named as in a request: an installed one, or a provider's own name.
    /// Unset: the defaults for any model.
    ///
    /// # Errors
    /// `NotInstalled` for a model that is to answer here and is not there; `Corrupt`, `Storage`.
    pub async fn presets(&self, model: Option<String>, provider: Option<String>) -> Result<Vec<PresetValues>> {
        blocking(&self.inner, move |inner| {
            let Some(model) = model else {
                return Ok(presets::list_preset_values(&[], Recommended::default()));
            };
            match provider {
                Some(_) => Ok(presets::list_preset_values(&[&model], Recommended::default())),
                None => inner.presets_here(&model),
            }
        })
        .await
    }

    /// Models worth having on a phone, from small to large. [`Nearside::fit`] says of each whether it fits this one.
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        catalog()
    }
}

impl Inner {
    fn presets_here(&self, model: &str) -> Result<Vec<PresetValues>> {
        let ready = self.ready(&ModelRef::parse(model)?)?;
        let head = Head::read_file(&ready.path)?;
        Ok(presets::list_preset_values(&[&ready.id, &head.name], head.recommended))
    }
}
