//! The engine for providers: one client, one reader, and a row of data for each kind of provider.
//!
//! ```text
//! answer(job) ──► body (dialect) ──► HTTP ──► frames ──► delta ──► assembler ──► chunks
//!   retried until the model generates   events, lines  parsed    calls, tags,
//!   (exchange, circuit, error, meaning) cut anywhere   event     usage, cost
//! ```
//!
//! The caller passes a resolved [`Connection`]: address, credential, model with price, and data policy.

mod assembler;
mod body;
mod calls;
mod circuit;
mod context;
mod delta;
mod dialect;
mod error;
mod exchange;
mod forwarding;
mod frames;
mod http;
mod json;
mod learned;
mod likely_thinking;
mod list_request;
mod meaning;
mod model_entry;
mod model_kinds;
mod models;
mod provider;
mod reader;
#[cfg(feature = "testing")]
mod replay;
mod schema;
mod sent_body;
mod sign_in;
mod timeouts;
mod upstreams;

use std::sync::Arc;

use tokio::runtime::Handle;

pub use circuit::CircuitBreaker;
pub use context::{DEFAULT_MAX_CONTEXT, ollama_context, usable_context};
pub use dialect::ProviderKind;
pub use forwarding::{forwarded_now, must_state_forwarding};
pub use http::{ProviderClient, base_url, is_own_server, needs_internet, needs_local_network, origin};
pub use learned::{LearnedFacts, StatementTime};
pub use models::{FetchedModels, fetch_models, list_models, openrouter_providers};
pub use provider::{
    Forwarding, ListedModels, ModelCapabilities, ModelPrice, ProviderSettings, RemoteModel, Secret, TokenPrice,
    UnopenedThought,
};
#[cfg(feature = "testing")]
pub use replay::{Replayed, replay};
pub use sign_in::SignIn;
pub use timeouts::Timeouts;
pub use upstreams::Upstreams;

use super::{Engine, Job};
use crate::chat::{ChatRequest, DataPolicy};
use assembler::AnswerAssembler;
use error::RequestContext;

/// Engine for one model of a provider.
#[derive(Debug)]
pub struct RemoteEngine {
    connection: Arc<Connection>,
    runtime: Handle,
}

/// A resolved connection to a model of a provider.
#[derive(Debug)]
pub struct Connection {
    /// The provider.
    pub settings: ProviderSettings,
    /// The HTTP client.
    pub http: ProviderClient,
    /// The credential; empty if the provider needs none.
    pub secret: Secret,
    /// The model.
    pub model: RemoteModel,
    /// Tokens that prompt and answer need at most, as routing estimated them: the size of the context that is requested
    /// from a server that takes it from the request.
    pub needed_tokens: u32,
    /// Constraints on the upstream providers.
    pub upstreams: Upstreams,
    /// The data policy in receipts.
    pub data_policy: DataPolicy,
    /// The circuit breaker, shared by all requests to the provider.
    pub circuit: Arc<CircuitBreaker>,
    /// Facts that earlier requests taught, shared by all requests to the server.
    pub learned: Arc<LearnedFacts>,
    /// Whether it is an own server that may forward the model: before content is sent, it must say that it runs the model
    /// itself.
    pub must_check_host: bool,
    /// Timeouts and retries.
    pub timeouts: Timeouts,
}

impl RemoteEngine {
    /// Creates an engine that works on this runtime. Opens no connection before the first answer.
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
    /// Returns whether the target charges at all.
    fn charges(&self) -> bool {
        self.model.charges(&self.data_policy)
    }

    fn request_context(&self) -> RequestContext<'_> {
        RequestContext {
            provider: &self.settings.name,
            kind: self.settings.kind,
            model: &self.model.id,
            host: self.http.host(),
            proxy: self.http.proxy(),
            has_key: !self.secret.is_empty(),
            is_constrained: self.upstreams.is_constrained(),
        }
    }

    fn new_assembler(&self, request: &ChatRequest) -> AnswerAssembler {
        let begins_inside = self.learned.begins_inside(&self.model.id, &request.reasoning);
        AnswerAssembler::new(self.settings.kind, &self.model.id, &request.reasoning, begins_inside)
    }
}
