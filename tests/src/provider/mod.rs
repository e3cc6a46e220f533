//! Hosted providers on this machine: servers that answer in each provider's true wire shapes, well or badly.
//!
//! A [`Provider`] speaks one [`Dialect`]. Chats are answered with the [`Scene`]s that a test queued, in order, else with
//! a plain answer; a request that the true provider would refuse is refused in its words before a scene is used up.
//! What was asked is kept ([`Provider::requests`]), and so is whether clients left in the middle of an answer. The
//! bytes are cut into chunks and TCP writes where a [`Cut`] says. [`wire`] gives the same bytes without a socket.
//!
//! Everything is blocking and on threads of its own, so that it serves tests in any language and with any runtime. It
//! stops when the value is dropped.

mod check;
mod completions;
mod cut;
mod dialect;
mod documented;
mod errors;
mod http;
mod models;
mod ollama;
mod play;
mod record;
mod replay;
mod reply;
mod scene;
mod script;
mod serve;
mod server;
mod sign_in;
pub mod tape;
mod upstream;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use cut::Cut;
pub use dialect::Dialect;
pub use documented::{DocumentedError, documented_errors};
pub use record::Recorder;
pub use replay::{Pace, Replayer};
pub use reply::{CACHED_TOKENS, PROMPT_TOKENS};
pub use scene::Scene;
use server::Server;

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    server: Server,
    shared: Arc<Shared>,
}

/// A provider to be started.
pub struct Builder {
    dialect: Dialect,
    key: Option<String>,
    models: Vec<String>,
    cut: Cut,
    latency: Duration,
    listen: SocketAddr,
    otherwise: Scene,
    watcher: Option<Watcher>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `GET`, `POST`.
    pub method: String,
    /// With the base path and the query.
    pub path: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body; null where there is none or it is not JSON.
    pub body: Value,
    /// When it was there whole.
    pub at: Instant,
}

/// Something that a provider saw.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A request, before it is answered.
    Asked(&'a Recorded),
    /// A client left in the middle of an answer.
    Left,
}

/// Is told at once what a provider sees, on the thread that sees it.
type Watcher = Box<dyn Fn(Seen<'_>) + Send + Sync>;

/// What every connection sees.
struct Shared {
    dialect: Dialect,
    key: Option<String>,
    models: Vec<String>,
    cut: Cut,
    latency: Duration,
    watcher: Option<Watcher>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What changes.
#[derive(Debug)]
struct State {
    queue: VecDeque<Scene>,
    otherwise: Scene,
    requests: Vec<Recorded>,
    closed_early: usize,
    sign_in: sign_in::SignIn,
}

/// The body that the dialect sends for this request when the scene is played, without HTTP's framing. What a scene
/// repeats for ever is repeated 64 times.
pub fn wire(dialect: Dialect, scene: &Scene, request: &Value) -> Vec<u8> {
    script::Script::new(dialect, scene, request).into_body()
}

impl Provider {
    /// A provider that asks for no key and answers plainly.
    pub fn start(dialect: Dialect) -> Self {
        Self::builder(dialect).start().expect("a port of this machine")
    }

    /// A provider to be set up.
    pub fn builder(dialect: Dialect) -> Builder {
        Builder {
            dialect,
            key: None,
            models: models::ids(dialect).iter().map(|&id| id.to_owned()).collect(),
            cut: Cut::Whole,
            latency: Duration::ZERO,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            otherwise: Scene::plain("Twice a day, because the earth turns under the moon."),
            watcher: None,
        }
    }

    /// The base address: `http://127.0.0.1:PORT` and the dialect's path.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.shared.dialect.base_path())
    }

    /// The address without a path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Whose shapes it speaks.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Queues a scene: chats are answered with them in order.
    pub fn play(&self, scene: Scene) {
        self.shared.state().queue.push_back(scene);
    }

    /// The scene for every chat that finds the queue empty.
    pub fn otherwise(&self, scene: Scene) {
        self.shared.state().otherwise = scene;
    }

    /// Scenes that are still queued.
    pub fn queued(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// What was asked so far, in the order in which it came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// The bodies of the chats asked so far.
    pub fn chats(&self) -> Vec<Value> {
        let path = format!("{}{}", self.shared.dialect.base_path(), self.shared.dialect.chat_path());
        let state = self.shared.state();
        let chats = state.requests.iter().filter(|request| request.path == path);
        chats.map(|request| request.body.clone()).collect()
    }

    /// How often a client left in the middle of an answer.
    pub fn closed_early(&self) -> usize {
        self.shared.state().closed_early
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.server.open()
    }

    /// Connections that were ever opened.
    pub fn connections(&self) -> u64 {
        self.server.ever_opened()
    }

    /// Waits until so many requests came; false after so long.
    pub fn wait_for_requests(&self, count: usize, at_most: Duration) -> bool {
        self.wait(at_most, |state| state.requests.len() >= count)
    }

    /// Waits until clients left in the middle of so many answers; false after so long.
    pub fn wait_for_closed_early(&self, count: usize, at_most: Duration) -> bool {
        self.wait(at_most, |state| state.closed_early >= count)
    }

    /// Waits until no more than so many connections are open; false after so long.
    pub fn wait_for_open_connections(&self, most: usize, at_most: Duration) -> bool {
        self.server.wait_for_open(most, at_most)
    }

    /// Signs a person in at OpenRouter: the code that the app is given for its `S256` challenge, good for one exchange.
    /// `GET /auth?callback_url=…&code_challenge=…` gives one by a redirect.
    pub fn sign_in(&self, code_challenge: &str) -> String {
        self.shared.state().sign_in.code(code_challenge)
    }

    fn wait(&self, at_most: Duration, until: impl Fn(&State) -> bool) -> bool {
        let state = self.shared.state();
        let (_state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, at_most, |state| !until(state))
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }
}

impl Builder {
    /// Only with `Authorization: Bearer KEY`; else 401 in the dialect's shape.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// One more model that it knows.
    pub fn model(mut self, id: &str) -> Self {
        self.models.push(id.to_owned());
        self
    }

    /// Where answers are cut.
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// How long every answer waits for its first byte.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Where it listens; else a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The scene for every chat that finds the queue empty.
    pub fn otherwise(mut self, scene: Scene) -> Self {
        self.otherwise = scene;
        self
    }

    /// Who is told what the provider sees, as it sees it. A request is answered after that.
    pub fn watch(mut self, watcher: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Opens the socket.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn start(self) -> io::Result<Provider> {
        let shared = Arc::new(Shared {
            dialect: self.dialect,
            key: self.key,
            models: self.models,
            cut: self.cut,
            latency: self.latency,
            watcher: self.watcher,
            state: Mutex::new(State {
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
            Server::start(self.listen, move |connection, connections| {
                serve::converse(connection, connections, &shared)
            })?
        };
        Ok(Provider { server, shared })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Builder")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Shared")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl Recorded {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }
}

impl Shared {
    /// Nothing is left half done behind this lock, so a panic elsewhere does not spoil it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the request; its number.
    fn record(&self, request: Recorded) -> u64 {
        self.tell(Seen::Asked(&request));
        let mut state = self.state();
        state.requests.push(request);
        let number = state.requests.len() as u64;
        drop(state);
        self.changed.notify_all();
        number
    }

    fn client_left(&self) {
        self.tell(Seen::Left);
        self.state().closed_early += 1;
        self.changed.notify_all();
    }

    fn tell(&self, seen: Seen<'_>) {
        if let Some(watcher) = &self.watcher {
            watcher(seen);
        }
    }

    fn next_scene(&self) -> Scene {
        let mut state = self.state();
        state.queue.pop_front().unwrap_or_else(|| state.otherwise.clone())
    }
}

#[cfg(test)]
mod tests;
