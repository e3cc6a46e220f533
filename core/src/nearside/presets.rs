//! Recommendations of the library: sampling presets of a model, and the catalog.

use super::{Inner, Nearside, blocking};
use crate::chat::{Recommended, SamplingPresetValues};
use crate::engine::presets;
use crate::engine::remote::ProviderKind;
use crate::error::Result;
use crate::model::ModelRef;
use crate::model::catalog::{CatalogEntry, catalog};
use crate::model::gguf::Head;

impl Nearside {
    /// Returns the sampling values of each preset for a model, named as in a request. Unset: those for any model.
    ///
    /// # Errors
    /// `NotInstalled` for a local model that is not installed; `Corrupt`, `Storage`.
    pub async fn presets(&self, model: Option<String>, provider: Option<String>) -> Result<Vec<SamplingPresetValues>> {
        blocking(&self.inner, move |inner| {
            let Some(model) = model else {
                return Ok(presets::list_preset_values(&[], Recommended::default()));
            };
            match provider {
                Some(provider) => {
                    // A kind that is not set up yet is as good as a name.
                    if ProviderKind::from_name(&provider).is_none() {
                        inner.provider(&provider)?;
                    }
                    Ok(presets::list_preset_values(&[&model], Recommended::default()))
                }
                None => inner.local_presets(&model),
            }
        })
        .await
    }

    /// Returns recommended models for phones, smallest first. [`Nearside::fit`] returns whether one fits this device.
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        catalog()
    }
}

impl Inner {
    fn local_presets(&self, model: &str) -> Result<Vec<SamplingPresetValues>> {
        let local = self.resolve_local(&ModelRef::parse(model)?)?;
        let head = Head::read_file(&local.path)?;
        Ok(presets::list_preset_values(&[&local.id, &head.name], head.recommended))
    }
}
