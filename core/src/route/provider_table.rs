//! Built-in provider data: `data/providers.json`, dated and with its sources.
//!
//! It is the fallback: data that a provider publishes at run time takes precedence, and so does the data policy that an
//! app states for a provider. The file documents its fields and the quality scale.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::engine::remote::{ModelCapabilities, ProviderKind, TokenPrice};

/// Built-in facts about a provider's model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// Quality on the scale of the file: billions of parameters, or a rank among them.
    pub quality: f64,
    /// Its price; the highest if it depends on the hour. Unset: in no source.
    pub price: Option<TokenPrice>,
    /// The page that states the price; empty if there is no price.
    pub price_source: String,
    /// Conditions of the price, for the user; may be empty.
    pub price_note: String,
    /// Its capabilities. Unset: in no source.
    pub abilities: Option<ModelCapabilities>,
    /// Context size in tokens. Unset: in no source.
    pub context: Option<u32>,
    /// Maximum tokens of one answer. Unset: in no source.
    pub max_output: Option<u32>,
}

/// Returns the built-in facts about a model of this kind of provider, by its id or an alias.
pub fn model_facts(kind: ProviderKind, model: &str) -> Option<ModelFacts> {
    let models = &entry(kind)?.models;
    let named = |id: &str| {
        let is = |model: &&Model| model.id == id || model.aliases.iter().any(|alias| alias == id);
        models.iter().find(is)
    };
    if let Some(model) = named(model) {
        return Some(model.model_facts());
    }
    // OpenRouter's `:free`, `:nitro` and so on are the same model at another price.
    let (base, _) = model.split_once(':').filter(|_| kind == ProviderKind::OpenRouter)?;
    let mut known = named(base)?.model_facts();
    known.price = None;
    known.price_source.clear();
    known.price_note.clear();
    Some(known)
}

/// Returns the price of one web search in US dollars. `None` if it is not published.
pub(crate) fn search_usd(kind: ProviderKind) -> Option<f64> {
    Some(entry(kind)?.search.as_ref()?.usd)
}

/// Returns the ids of the built-in models of this kind of provider.
pub(super) fn known_models(kind: ProviderKind) -> Vec<&'static str> {
    let models = entry(kind).map(|entry| entry.models.iter());
    models.into_iter().flatten().map(|model| model.id.as_str()).collect()
}

/// Returns the model of this kind of provider that is used if neither the request nor the app names one.
pub fn default_model(kind: ProviderKind) -> Option<&'static str> {
    entry(kind)?.default_model.as_deref()
}

pub(super) fn entry(kind: ProviderKind) -> Option<&'static Entry> {
    TABLE.providers.get(&kind)
}

/// Facts about a kind of provider.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    default_model: Option<String>,
    /// Its own hosts, the usual one first.
    pub(super) hosts: Vec<ProviderHost>,
    pub(super) terms: Terms,
    search: Option<SearchPrice>,
    models: Vec<Model>,
}

/// A host, and the regions in which it processes content. Empty: unknown.
#[derive(Debug, Deserialize)]
pub(super) struct ProviderHost {
    pub(super) host: String,
    pub(super) regions: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Terms {
    pub(super) retained: bool,
    pub(super) trained_on: bool,
    pub(super) as_of: String,
    pub(super) source: String,
    pub(super) note: String,
}

/// The price of one web search.
#[derive(Debug, Deserialize)]
struct SearchPrice {
    usd: f64,
}

#[derive(Debug, Deserialize)]
struct Table {
    providers: BTreeMap<ProviderKind, Entry>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    quality: f64,
    context: Option<u32>,
    max_output: Option<u32>,
    abilities: Option<ModelCapabilities>,
    price: Option<DatedPrice>,
}

#[derive(Debug, Deserialize)]
struct DatedPrice {
    usd_in: f64,
    usd_out: f64,
    #[serde(default)]
    usd_cached: Option<f64>,
    as_of: String,
    source: String,
    #[serde(default)]
    note: String,
}

impl Model {
    fn model_facts(&self) -> ModelFacts {
        let text =
            |get: fn(&DatedPrice) -> &str| self.price.as_ref().map_or(String::new(), |price| get(price).to_owned());
        ModelFacts {
            quality: self.quality,
            price: self.price.as_ref().map(|price| TokenPrice {
                usd_in: price.usd_in,
                usd_out: price.usd_out,
                usd_cached: price.usd_cached,
                usd_request: 0.0,
                usd_search: None,
                as_of: price.as_of.clone(),
            }),
            price_source: text(|price| &price.source),
            price_note: text(|price| &price.note),
            abilities: self.abilities,
            context: self.context,
            max_output: self.max_output,
        }
    }
}

/// The parsed table. If it did not parse, all would be unknown, which never allows more; a test checks that it parses.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(JSON).unwrap_or_else(|cause| {
        tracing::error!(%cause, "the table of providers cannot be read");
        Table {
            providers: BTreeMap::new(),
        }
    })
});

const JSON: &str = include_str!("../../data/providers.json");

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Returns every object of the file that states a fact, with its path.
    fn facts() -> Vec<(String, Value)> {
        let file: Value = serde_json::from_str(JSON).expect("JSON");
        let providers = file["providers"].as_object().expect("providers").clone();
        let mut facts = vec![];
        for (name, provider) in providers {
            facts.push((format!("{name} terms"), provider["terms"].clone()));
            for model in provider["models"].as_array().expect("models") {
                let id = model["id"].as_str().expect("an id");
                facts.push((format!("{name} {id}"), model.clone()));
                facts.push((format!("{name} {id} price"), model["price"].clone()));
            }
        }
        facts
    }

    #[test]
    fn every_entry_has_a_day_and_a_source() {
        for (at, fact) in facts() {
            if fact.is_null() {
                continue;
            }
            let day: Vec<_> = fact["as_of"].as_str().unwrap_or_default().split('-').collect();
            let lengths: Vec<_> = day.iter().map(|part| part.len()).collect();
            let digits = day.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            assert!(digits && lengths == [4, 2, 2], "{at}: as_of");
            let source = url::Url::parse(fact["source"].as_str().unwrap_or_default());
            assert!(source.is_ok_and(|source| source.scheme() == "https"), "{at}: source");
        }
    }

    #[test]
    fn the_table_holds_every_hosted_kind_and_each_default_model_is_in_it() {
        for kind in ProviderKind::ALL {
            assert_eq!(entry(kind).is_some(), kind.is_hosted(), "{kind:?}");
            if let Some(model) = default_model(kind) {
                assert!(
                    model_facts(kind, model).is_some_and(|known| known.price.is_some()),
                    "{model}"
                );
            }
            for model in known_models(kind) {
                let known = model_facts(kind, model).expect("known");
                assert!(known.quality > 0.0 && known.context.is_some(), "{model}");
            }
        }
    }

    #[test]
    fn a_model_is_known_by_its_names_and_its_variants_have_no_price_of_ours() {
        let flash = model_facts(ProviderKind::DeepSeek, "deepseek-flash").expect("known");
        assert_eq!(
            model_facts(ProviderKind::DeepSeek, "deepseek-v4-flash"),
            Some(flash.clone())
        );
        assert!(flash.price_note.starts_with("peak"));
        let free = model_facts(ProviderKind::OpenRouter, "deepseek/deepseek-r1:free").expect("known");
        assert_eq!((free.price, free.quality), (None, 671.0));
        assert_eq!(model_facts(ProviderKind::Ollama, "deepseek-r1:7b"), None);
        assert_eq!(model_facts(ProviderKind::Groq, "deepseek-flash"), None);
    }
}
