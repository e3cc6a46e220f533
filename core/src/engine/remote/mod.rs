//! Models over the network: one stream reader, a dialect for each kind of provider.

mod provider;

pub use provider::{Abilities, Price, ProviderKind, ProviderSettings, RemoteModel, Secret};
