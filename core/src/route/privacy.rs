//! stub
use super::Policy;
use crate::chat::DataPolicy;
use crate::engine::remote::{Abilities, Price, ProviderKind, ProviderSettings, RemoteModel, Upstreams};
use serde_json::Value;
pub struct Known {
    pub quality: f64,
    pub price: Option<Price>,
    pub abilities: Option<Abilities>,
    pub context: Option<u32>,
}
pub fn known(_: ProviderKind, _: &str) -> Option<Known> {
    None
}
pub fn default_model(_: ProviderKind) -> Option<&'static str> {
    None
}
pub fn terms(s: &ProviderSettings, m: &RemoteModel) -> DataPolicy {
    if let Some(p) = &s.data_policy {
        return p.clone();
    }
    if crate::engine::remote::is_own_server(s) && !m.passed_on {
        DataPolicy::own_server()
    } else {
        DataPolicy::unknown()
    }
}
pub fn upstreams(_: &Policy, _: Option<&Value>) -> (Upstreams, DataPolicy) {
    (Upstreams::default(), DataPolicy::unknown())
}
