//! The engine that answers over the network: one client, one reader, and a row of data for each kind of provider.
//!
//! ```text
//! answer(job) ──► body (dialect) ──► HTTP ──► frames ──► delta ──► assembler ──► chunks
//!   retried while nothing is visible    events, lines   what it   calls, tags,
//!   (exchange, circuit, failure)        cut anywhere    says      usage, cost
//! ```
//!
//! What it is handed is ready: an address, a credential, a model with its price, and the terms that a receipt shows.

mod assembler;
mod body;
mod circuit;
mod delta;
mod dialect;
mod error;
mod exchange;
mod frames;
mod http;
mod models;
mod provider;
mod reader;
#[cfg(feature = "testing")]
mod replay;
mod sign_in;
mod think;
mod timeouts;
mod upstreams;

use std::sync::Arc;

use tokio::runtime::Handle;

pub use circuit::CircuitBreaker;
pub use http::{ProviderClient, base_url, is_own_server};
pub use models::{list_models, openrouter_providers};
pub use provider::{ModelCapabilities, ProviderKind, ProviderSettings, RemoteModel, Secret, TokenPrice};
#[cfg(feature = "testing")]
pub use replay::{Replayed, replay};
pub use sign_in::SignIn;
pub use timeouts::Timeouts;
pub use upstreams::Upstreams;

use super::{Engine, Job};
use crate::chat::DataPolicy;
use error::RequestContext;

/// A model at a provider.
#[derive(Debug)]
pub struct RemoteEngine {
    connection: Arc<Connection>,
    runtime: Handle,
}

/// All that an answer needs, ready.
#[derive(Debug)]
pub struct Connection {
    /// The provider.
    pub settings: ProviderSettings,
    /// The way to it.
    pub http: ProviderClient,
    /// Its credential; empty where it wants none.
    pub secret: Secret,
    /// The model that answers.
    pub model: RemoteModel,
    /// Which providers behind it may run the model.
    pub upstreams: Upstreams,
    /// What receipts say of it.
    pub data_policy: DataPolicy,
    /// Its health, shared by all requests.
    pub circuit: Arc<CircuitBreaker>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl RemoteEngine {
    /// An engine that works on this runtime. Opens nothing before it is asked.
    pub fn new(connection: Connection, runtime: Handle) -> Self {
        Self {
            connection: Arc::new(connection),
            runtime,
        }
    }
}

impl Engine for RemoteEngine {
    fn answer(&self, job: Job) {
        let connection = Arc::clone(&self.connection);
        self.runtime
            .spawn(async move { exchange::answer(&connection, job).await });
    }
}

impl Connection {
    fn request_context(&self) -> RequestContext<'_> {
        RequestContext {
            provider: &self.settings.name,
            kind: self.settings.kind,
            model: &self.model.id,
        }
    }
}
