//! Local stand-ins for providers: servers that answer in each provider's wire format, correctly or with faults.
//!
//! A [`Provider`] speaks one [`Dialect`]. It plays the [`Scenario`]s that a test queued, in order, and then a default one.
//! A request that the real provider would reject is rejected in its format, without consuming a scenario. The provider
//! keeps all requests ([`Provider::requests`]) and counts clients that disconnect during an answer. [`Chunking`] controls
//! how the bytes are split into HTTP chunks and TCP writes. [`wire`] returns the same bytes without a socket.
//!
//! Uses blocking I/O on its own threads, so that it serves tests in any language and with any runtime. Dropping the
//! value stops it.

mod check;
mod chunking;
mod completions;
mod dialect;
mod documented;
mod error_shapes;
mod errors;
mod exchanges;
mod models;
mod offer;
mod ollama;
mod play;
mod quirk;
mod quirks;
mod record;
mod replay;
mod reply;
mod scenario;
mod script;
mod serve;
mod sign_in;
mod state;
pub mod tape;
mod upstream;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::server::{CloseMode, Server};
pub use chunking::Chunking;
pub use dialect::{Dialect, WireFormat};
pub use documented::{DocumentedError, documented_errors};
use offer::Offer;
pub use quirk::Quirk;
pub use record::Recorder;
pub use replay::{Pace, ReplayedRequest, Replayer};
pub use reply::{CACHED_TOKENS, PROMPT_TOKENS};
pub use scenario::Scenario;
pub use state::{ProviderEvent, ReceivedRequest};
use state::{ProviderShared, ProviderState, Watcher};

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    server: Server,
    shared: Arc<ProviderShared>,
}

/// Builder of a [`Provider`].
pub struct ProviderBuilder {
    dialect: Dialect,
    key: Option<String>,
    offer: Offer,
    list_hangs: bool,
    chunking: Chunking,
    latency: Duration,
    listen: SocketAddr,
    otherwise: Scenario,
    watcher: Option<Watcher>,
}

/// Returns the body that the dialect sends for this request in this scenario, without HTTP framing. Endless repetitions
/// are limited to 64.
pub fn wire(dialect: Dialect, scenario: &Scenario, request: &Value) -> Vec<u8> {
    script::ResponseScript::new(dialect, scenario, request).into_body()
}

impl Provider {
    /// Starts a provider that needs no key and plays the default scenario.
    #[allow(
        clippy::expect_used,
        reason = "a test that cannot be set up must fail at once and say why"
    )]
    pub fn start(dialect: Dialect) -> Self {
        Self::builder(dialect).start().expect("a port of this machine")
    }

    /// Returns a builder.
    pub fn builder(dialect: Dialect) -> ProviderBuilder {
        ProviderBuilder {
            dialect,
            key: None,
            offer: Offer {
                models: models::ids(dialect).iter().map(|&id| id.to_owned()).collect(),
                ..Offer::default()
            },
            list_hangs: false,
            chunking: Chunking::Whole,
            latency: Duration::ZERO,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            otherwise: Scenario::plain("Twice a day, because the earth turns under the moon."),
            watcher: None,
        }
    }

    /// Returns the base address: `http://127.0.0.1:PORT` and the dialect's path.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.shared.dialect.base_path())
    }

    /// Returns the address without a path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Returns the dialect.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Queues a scenario for a later chat.
    pub fn play(&self, scenario: Scenario) {
        self.shared.state().queue.push_back(scenario);
    }

    /// Sets the scenario of chats that find the queue empty.
    pub fn otherwise(&self, scenario: Scenario) {
        self.shared.state().otherwise = scenario;
    }

    /// Forwards a model to another host from now on, as an Ollama server does whose model is created anew as an alias.
    pub fn forward(&self, id: &str) {
        self.change_offer(|offer| offer.forwarded.push(id.to_owned()));
    }

    /// Runs a model itself from now on that it forwarded before.
    pub fn run_itself(&self, id: &str) {
        self.change_offer(|offer| offer.forwarded.retain(|model| model != id));
    }

    /// Removes a model from now on.
    pub fn remove_model(&self, id: &str) {
        self.change_offer(|offer| offer.models.retain(|model| model != id));
    }

    /// Answers requests for paths with this end with an error of this status from now on.
    pub fn fail(&self, path: &str, status: u16) {
        self.change_offer(|offer| offer.failing.push((path.to_owned(), status)));
    }

    /// Leaves requests for paths with this end without an answer from now on.
    pub fn silence(&self, path: &str) {
        self.change_offer(|offer| offer.silent.push(path.to_owned()));
    }

    /// Puts everything that fails or is silent in order again.
    pub fn repair(&self) {
        self.change_offer(|offer| {
            offer.failing.clear();
            offer.silent.clear();
        });
    }

    fn change_offer(&self, change: impl FnOnce(&mut Offer)) {
        change(Arc::make_mut(&mut self.shared.state().offer));
    }

    /// Returns the number of queued scenarios.
    pub fn queued(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// Returns the requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.state().requests.clone()
    }

    /// Returns the bodies of the chat requests so far.
    pub fn chats(&self) -> Vec<Value> {
        let path = format!("{}{}", self.shared.dialect.base_path(), self.shared.dialect.chat_path());
        let state = self.shared.state();
        let chats = state.requests.iter().filter(|request| request.path == path);
        chats.map(|request| request.body.clone()).collect()
    }

    /// Returns how many clients disconnected during an answer.
    pub fn closed_early(&self) -> usize {
        self.shared.state().closed_early
    }

    /// Returns the number of open connections.
    pub fn open_connections(&self) -> usize {
        self.server.open()
    }

    /// Returns the number of connections ever opened.
    pub fn connections(&self) -> u64 {
        self.server.ever_opened()
    }

    /// Waits until this many requests arrived; `false` on timeout.
    pub fn wait_for_requests(&self, count: usize, at_most: Duration) -> bool {
        self.wait(at_most, |state| state.requests.len() >= count)
    }

    /// Waits until clients disconnected during this many answers; `false` on timeout.
    pub fn wait_for_closed_early(&self, count: usize, at_most: Duration) -> bool {
        self.wait(at_most, |state| state.closed_early >= count)
    }

    /// Waits until at most this many connections are open; `false` on timeout.
    pub fn wait_for_open_connections(&self, most: usize, at_most: Duration) -> bool {
        self.server.wait_for_open(most, at_most)
    }

    /// Signs the user in at OpenRouter: returns the code for the app's `S256` challenge, valid for one exchange.
    /// `GET /auth?callback_url=…&code_challenge=…` returns one by a redirect.
    pub fn sign_in(&self, code_challenge: &str) -> String {
        self.shared.state().sign_in.issue_code(code_challenge)
    }

    fn wait(&self, at_most: Duration, until: impl Fn(&ProviderState) -> bool) -> bool {
        let state = self.shared.state();
        let (_state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, at_most, |state| !until(state))
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }
}

impl ProviderBuilder {
    /// Requires `Authorization: Bearer KEY`; other requests get a 401 in the dialect's format.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Adds a model.
    pub fn model(mut self, id: &str) -> Self {
        self.offer.models.push(id.to_owned());
        self
    }

    /// Adds this many models of 37 makers, as the list of an aggregator has them.
    pub fn many_models(self, count: usize) -> Self {
        (0..count).fold(self, |builder, at| {
            builder.model(&format!("maker-{}/model-{at}-instruct", at % 37))
        })
    }

    /// Removes the dialect's usual models.
    pub fn without_models(mut self) -> Self {
        self.offer.models.clear();
        self
    }

    /// Adds a model that an Ollama server forwards to another host, as its list says, whatever its name. A compatible
    /// server with one is an Ollama server that is used through its compatible API.
    pub fn forwarded(mut self, id: &str) -> Self {
        self.offer.forwarded.push(id.to_owned());
        self.through_ollama().model(id)
    }

    /// Adds a model that an Ollama server forwards to another host, of which only its description says so, and no list.
    pub fn forwarded_unlisted(mut self, id: &str) -> Self {
        self.offer.forwarded_unlisted.push(id.to_owned());
        self.through_ollama().model(id)
    }

    /// Makes a compatible server an Ollama server that is used through its compatible API.
    pub fn through_ollama(mut self) -> Self {
        self.offer.is_ollama = true;
        self
    }

    /// Answers requests for paths with this end with an error of this status.
    pub fn fails(mut self, path: &str, status: u16) -> Self {
        self.offer.failing.push((path.to_owned(), status));
        self
    }

    /// Leaves requests for the model list without an answer.
    pub fn list_hangs(mut self) -> Self {
        self.list_hangs = true;
        self
    }

    /// Sets how the bytes of answers are split.
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.chunking = chunking;
        self
    }

    /// Delays the first byte of every answer.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the address; the default is a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the scenario of chats that find the queue empty.
    pub fn otherwise(mut self, scenario: Scenario) -> Self {
        self.otherwise = scenario;
        self
    }

    /// Sets a callback for events. For a request it is called before the answer.
    pub fn watch(mut self, watcher: impl Fn(ProviderEvent<'_>) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Opens the socket.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(self) -> io::Result<Provider> {
        let shared = Arc::new(ProviderShared {
            dialect: self.dialect,
            key: self.key,
            list_hangs: self.list_hangs,
            chunking: self.chunking,
            latency: self.latency,
            watcher: self.watcher,
            state: Mutex::new(ProviderState {
                offer: Arc::new(self.offer),
                queue: VecDeque::new(),
                otherwise: self.otherwise,
                requests: Vec::new(),
                closed_early: 0,
                sign_in: sign_in::SignIn::default(),
            }),
            changed: Condvar::new(),
        });
        let server = {
            let shared = Arc::clone(&shared);
            Server::start(TcpListener::bind(self.listen)?, move |connection, connections| {
                // Ignore clients that disconnect.
                serve::serve_connection(connection, connections, &shared).unwrap_or(CloseMode::Close)
            })?
        };
        Ok(Provider { server, shared })
    }
}

impl fmt::Debug for ProviderBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProviderBuilder")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
