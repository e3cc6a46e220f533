//! The library's entry point. Connects the modules and holds no logic of its own.
//!
//! It has its own tokio runtime, so it works inside another runtime, outside of any, and under Swift's and Kotlin's
//! executors. Futures that it returns may be dropped at any time. Dropping the object cancels active work.
//!
//! | file | what it wires |
//! |---|---|
//! | `inner` | the shared state, tasks that wait for the disk |
//! | `local` | references, verdicts, loaded models |
//! | `providers` | settings, credentials, connections, model lists |
//! | `facts` | input of a routing decision |
//! | `pending` | a request on its way |
//! | `prepared_target` | one target of a plan, ready to run |
//! | `answer`, `charge` | one answer along its route: attempts, fallbacks; their cost |
//! | `tool_calls` | the targets of recent tool calls |
//! | `conversations`, `history` | conversations; prompt history |
//! | `record`, `draft` | an answer of a conversation, saved while it streams |
//! | `presets` | sampling presets, the catalog |
//! | `events` | lifecycle events of the app |

mod answer;
mod charge;
mod conversations;
mod decide;
mod draft;
mod events;
mod facts;
mod history;
mod inner;
mod local;
mod pending;
mod prepared_target;
mod presets;
mod providers;
mod record;
mod refresh;
mod tool_calls;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinSet;

use crate::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, RoutingMode};
use crate::config::Config;
use crate::device::{self, DeviceSnapshot, Host};
use crate::engine::Engine;
use crate::engine::local::bench::{BenchOptions, BenchReport};
use crate::engine::remote::Secret;
use crate::error::{Error, Result};
use crate::model::hub::Hub;
use crate::model::store::Store;
use crate::model::{self, DownloadStream, FitOptions, FitReport, InstalledModel, ModelRef};
use crate::route::{CostRow, RouteDecision, RoutingPolicy, SpendingTotals};
use crate::state::{Ledger, SpendingGroup, SpendingRow, State};
use crate::stream::{CancelToken, Stream, StreamSender};
use crate::sync::lock;
use answer::{Answered, Answering};
use draft::SharedDraft;
use inner::{Inner, blocking, join_result};
use pending::PendingRequest;

pub use conversations::Conversations;
pub use events::AppEvent;
pub use providers::ProviderStatus;

/// The library object: downloads, checks and runs language models on this device, and routes requests to providers.
#[derive(Debug)]
pub struct Nearside {
    inner: Arc<Inner>,
    handle: Handle,
    /// Taken when the object is dropped.
    runtime: Option<Runtime>,
    answers: Answers,
}

/// Tasks of active answers.
#[derive(Debug, Clone, Default)]
struct Answers(Arc<Mutex<JoinSet<()>>>);

impl Nearside {
    /// Opens the library, creates its directory, and cleans up after an earlier kill. Opens no connection.
    ///
    /// # Errors
    /// `Storage` if the directory cannot be used, `InvalidRequest` if the hub's address cannot.
    pub fn new(config: Config) -> Result<Self> {
        Self::with_host(config, Arc::new(device::NoHost))
    }

    /// Opens the library like [`Self::new`], with facts about the device from the app.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_host(config: Config, host: Arc<dyn Host>) -> Result<Self> {
        Self::build(config, host, |_| None)
    }

    /// Opens the library like [`Self::new`], but [`Self::chat`] plays this script and no model runs.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(feature = "testing")]
    pub fn scripted(config: Config, script: crate::engine::scripted::ScriptedReply) -> Result<Self> {
        use crate::engine::scripted::ScriptedEngine;
        Self::build(config, Arc::new(device::NoHost), |handle| {
            Some(Arc::new(ScriptedEngine::new(script, handle.clone())))
        })
    }

    fn build(
        config: Config,
        host: Arc<dyn Host>,
        scripted: impl FnOnce(&Handle) -> Option<Arc<dyn Engine>>,
    ) -> Result<Self> {
        // Before the runtime: an early return inside another runtime must not have to drop this one.
        let store = Store::open(config.directory.as_ref())?;
        let state = Arc::new(State::open_in(config.directory.as_ref())?);
        let policy = state.policy()?.unwrap_or_default();
        let hub = Mutex::new(hub(&config, &Secret::default())?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("nearside-io")
            .enable_all()
            .build()
            .map_err(|cause| Error::internal(format!("could not start the library's threads: {cause}")))?;
        let handle = runtime.handle().clone();
        let inner = Inner {
            config,
            store,
            hub,
            ledger: Ledger::new(Arc::clone(&state)),
            state,
            host,
            handle: handle.clone(),
            policy: Mutex::new(policy),
            closing: CancelToken::default(),
            engines: Mutex::default(),
            provider_runtimes: Mutex::default(),
            token_ratios: Mutex::default(),
            tool_calls: Arc::default(),
            archive: Mutex::default(),
            active_answers: Mutex::default(),
            network: Mutex::default(),
            memory_pressure_at: Mutex::default(),
            scripted: scripted(&handle),
        };
        Ok(Self {
            inner: Arc::new(inner),
            handle,
            runtime: Some(runtime),
            answers: Answers::default(),
        })
    }

    /// Sets the hub token for private and gated models, until this object is dropped. Empty: removes it.
    ///
    /// # Errors
    /// `InvalidRequest` for a token with invalid characters.
    pub fn set_hub_token(&self, token: Secret) -> Result<()> {
        *lock(&self.inner.hub) = hub(&self.inner.config, &token)?;
        Ok(())
    }

    /// Starts a chat request. Returns immediately; everything, including errors, arrives on the stream.
    pub fn chat(&self, request: ChatRequest) -> ChatStream {
        let requested_at = Instant::now();
        let (stream, sink) = Stream::new();
        let inner = Arc::clone(&self.inner);
        let answer = async move {
            let pending = PendingRequest::whole(request);
            let answered = inner.dispatch(&pending, &sink, None, requested_at).await;
            sink.finish(answered.last);
            inner.record(answered.notes).await;
        };
        self.answers.spawn(answer, &self.handle);
        stream
    }

    /// Continues an interrupted answer on a remote target. `said` is the text so far; only what follows it is streamed.
    pub fn continue_remotely(&self, request: ChatRequest, said: String) -> ChatStream {
        self.chat(continuation_request(request, said))
    }

    /// Returns the routing decision without sending the request.
    ///
    /// # Errors
    /// `InvalidRequest`, `NotInstalled` for a requested model that no target offers, `Storage`.
    pub async fn route(&self, request: ChatRequest) -> Result<RouteDecision> {
        request.check()?;
        let (inner, pending) = (Arc::clone(&self.inner), PendingRequest::whole(request));
        let decide = async move { decide::decide(&inner, &pending, &CancelToken::default()).await };
        Ok(self.on_runtime(decide).await?.decision)
    }

    /// Estimates the cost of the request on this device, on every configured provider, and on the providers of the
    /// built-in price table; cheapest first.
    ///
    /// # Errors
    /// As [`Self::route`].
    pub async fn cost(&self, request: ChatRequest) -> Result<Vec<CostRow>> {
        request.check()?;
        let pending = PendingRequest::whole(request);
        self.blocking(move |inner| inner.cost(&pending)).await
    }

    /// Returns the routing policy.
    pub fn policy(&self) -> RoutingPolicy {
        self.inner.policy()
    }

    /// Sets the routing policy from the next request on. Persisted.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn set_policy(&self, policy: RoutingPolicy) -> Result<()> {
        self.blocking(move |inner| {
            inner.state.save_policy(&policy)?;
            *lock(&inner.policy) = policy;
            Ok(())
        })
        .await
    }

    /// Returns the spending of today and of this month, in UTC, including reservations of active answers.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn spent(&self) -> Result<SpendingTotals> {
        self.blocking(|inner| inner.ledger.spent(SystemTime::now())).await
    }

    /// Returns a spending report, grouped by `by`.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn spending(&self, by: SpendingGroup) -> Result<Vec<SpendingRow>> {
        self.blocking(move |inner| inner.ledger.report(None, None, by)).await
    }

    /// Downloads a model, or resumes an earlier download. Returns immediately.
    pub fn download(&self, model: ModelRef) -> DownloadStream {
        let (stream, sink) = Stream::new();
        let (inner, hub) = (Arc::clone(&self.inner), lock(&self.inner.hub).clone());
        self.handle.spawn(async move {
            let explain = |error| inner.explain_network(error);
            model::download::download_explained(&hub, &inner.store, &model, sink, explain).await;
        });
        stream
    }

    /// Returns whether a model fits this device. Before a download it fetches only the head of the file, some megabytes,
    /// and keeps it as the first bytes of the download.
    ///
    /// # Errors
    /// Those of the hub and of the file: `Network`, `Unauthorized`, `Corrupt`, `Unsupported`, …
    pub async fn fit(&self, model: ModelRef, options: FitOptions) -> Result<FitReport> {
        let (inner, hub) = (Arc::clone(&self.inner), lock(&self.inner.hub).clone());
        self.on_runtime(async move {
            let report = model::fit_reference(&hub, &inner.store, &model, &options).await;
            report.map_err(|error| inner.explain_network(error))
        })
        .await
    }

    /// Returns the installed models, by name.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn models(&self) -> Result<Vec<InstalledModel>> {
        self.blocking(|inner| inner.store.list()).await
    }

    /// Installs a copy of a GGUF file that is already on this device.
    ///
    /// # Errors
    /// `Storage`; `Corrupt` or `Unsupported` if it is not a model.
    pub async fn import(&self, path: String) -> Result<InstalledModel> {
        self.blocking(move |inner| inner.store.import(path.as_ref())).await
    }

    /// Removes an installed model; unloads it first.
    ///
    /// # Errors
    /// `NotInstalled`, `Storage`.
    pub async fn remove(&self, model: ModelRef) -> Result<InstalledModel> {
        self.blocking(move |inner| {
            let found = inner.store.find(&model)?.ok_or_else(|| local::not_installed(&model))?;
            inner.close_engines(|settings, _| settings.path.as_os_str() == found.path.as_str());
            inner.store.remove(&model)
        })
        .await
    }

    /// Frees the memory of every loaded model. Active answers end with `Cancelled`.
    pub async fn unload(&self) -> Result<()> {
        self.blocking(|inner| {
            inner.close_engines(|_, _| true);
            Ok(())
        })
        .await
    }

    /// Measures the speed and memory of a model on this device.
    ///
    /// # Errors
    /// Those of loading.
    pub async fn bench(&self, model: ModelRef, options: BenchOptions) -> Result<BenchReport> {
        let (local, engine) = self
            .blocking(move |inner| {
                let local = inner.resolve_local(&model)?;
                inner.engine(&local).map(|engine| (local, engine))
            })
            .await?;
        let mut report = engine.bench(options).await?;
        report.model.sha256 = local.sha256;
        Ok(report)
    }

    /// Returns the memory, processor and system of this device.
    ///
    /// # Errors
    /// `Unsupported` if the system does not report it.
    pub fn device(&self) -> Result<DeviceSnapshot> {
        self.inner.snapshot()
    }

    async fn on_runtime<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        join_result(self.handle.spawn(work).await)
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        blocking(&self.inner, work).await
    }
}

impl Answers {
    fn spawn(&self, answer: impl Future<Output = ()> + Send + 'static, handle: &Handle) {
        let mut answers = lock(&self.0);
        while answers.try_join_next().is_some() {}
        answers.spawn_on(answer, handle);
    }
}

impl Drop for Nearside {
    fn drop(&mut self) {
        self.inner.closing.cancel();
        self.inner.drop_engines();
        let Some(runtime) = self.runtime.take() else { return };
        let mut answers = std::mem::take(&mut *lock(&self.answers.0));
        // The runtime's own drop blocks, and panics inside another runtime: active answers end on a separate thread.
        let shut_down = move || {
            let joined = async { while answers.join_next().await.is_some() {} };
            let _ = runtime.block_on(async { tokio::time::timeout(SHUTDOWN_TIMEOUT, joined).await });
            runtime.shutdown_background();
        };
        let _ = std::thread::Builder::new()
            .name("nearside-closing".to_owned())
            .spawn(shut_down);
    }
}

impl Inner {
    /// Chooses the route and runs the request. Chunks enter the stream of `sink`; its last item is returned, so that the
    /// caller can store the answer first.
    async fn dispatch(
        self: &Arc<Self>,
        pending: &PendingRequest,
        sink: &StreamSender<Chunk>,
        draft: Option<Arc<SharedDraft>>,
        requested_at: Instant,
    ) -> Answered {
        if let Err(error) = pending.request.check() {
            return error.into();
        }
        let answering = Answering {
            inner: self,
            pending,
            sink,
            draft,
            requested_at,
        };
        if let Some(engine) = &self.scripted {
            return answer::run_script(&answering, engine).await;
        }
        let decided = decide::decide(self, pending, sink.cancel()).await;
        let routed = decided.and_then(|decided| Ok((decided.decision.into_route()?, decided.plan)));
        match routed {
            Ok((mut route, plan)) => {
                route.summarize_skipped();
                answering.run_route(route, plan).await
            }
            Err(error) => error.into(),
        }
    }

    fn policy(&self) -> RoutingPolicy {
        lock(&self.policy).clone()
    }
}

/// Creates the hub client of these settings.
fn hub(config: &Config, token: &Secret) -> Result<Hub> {
    let base = config.hub.as_deref().unwrap_or(HUGGING_FACE);
    Hub::in_network(base, Some(token.expose()), &config.network)
}

/// Builds the continuation request. Adds a user message, because not every provider continues an assistant message.
fn continuation_request(mut request: ChatRequest, said: String) -> ChatRequest {
    request.messages.push(ChatMessage::assistant(said));
    request.messages.push(ChatMessage::user(CONTINUE_PROMPT));
    request.mode = RoutingMode::OnlyInCloud;
    if request.provider.is_none() {
        request.model = None;
    }
    request
}

/// The default hub.
const HUGGING_FACE: &str = "https://huggingface.co";
/// Longer than any engine takes to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
const CONTINUE_PROMPT: &str =
    "Your answer was interrupted. Continue exactly where it stopped. Do not repeat any of it.";
