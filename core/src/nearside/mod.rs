//! The library's entry point. Connects the modules and holds no logic of its own.
//!
//! It has its own tokio runtime, so it works inside another runtime, outside of any, and under Swift's and Kotlin's
//! executors. Futures that it returns may be dropped at any time. Dropping the object cancels active work and frees the
//! models; [`Nearside::shut_down`] also waits for what is recorded.
//!
//! | file | what it wires |
//! |---|---|
//! | `inner` | the shared state, tasks that wait for the disk |
//! | `runtime` | the library's threads |
//! | `opening` | opens the library; what a test replaces: the engine, the clock, the files |
//! | `local`, `local_model` | references to models on this device |
//! | `local_abilities` | what these models can do |
//! | `local_models`, `memory_view`, `needs_cache` | models in memory: budget, verdicts, leases, load plans |
//! | `adjustments` | the state of the app, and what models do about it |
//! | `loading`, `keep_alive` | models in memory: loaded ahead, listed, freed by the app or when idle |
//! | `providers`, `model_list`, `refresh` | settings, credentials, connections; model lists and their fetches |
//! | `facts`, `decide` | input of a routing decision; the decision and its plan |
//! | `pending` | a request on its way |
//! | `policy`, `known_policy` | the routing policy |
//! | `prepared_target` | one target of a plan, ready to run |
//! | `answer`, `charge`, `continuation` | one answer along its route: attempts, fallbacks; their cost; going on elsewhere |
//! | `tool_calls` | the targets of recent tool calls |
//! | `conversations`, `history` | conversations; prompt history |
//! | `stored_conversations` | their file, opened on first use |
//! | `record`, `draft` | an answer of a conversation, saved while it streams |
//! | `presets` | sampling presets, the catalog |
//! | `downloads` | partial downloads |
//! | `events` | lifecycle events of the app |

mod adjustments;
mod answer;
mod charge;
mod continuation;
mod conversations;
mod decide;
mod downloads;
mod draft;
mod events;
mod facts;
mod history;
mod inner;
mod keep_alive;
mod known_policy;
mod loading;
mod local;
mod local_abilities;
mod local_model;
mod local_models;
mod memory_view;
mod model_list;
mod needs_cache;
mod opening;
mod pending;
mod policy;
mod prepared_target;
mod presets;
mod providers;
mod record;
mod refresh;
mod runtime;
mod stored_conversations;
mod tool_calls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::chat::{ChatRequest, ChatStream, Chunk};
use crate::config::Config;
use crate::device::DeviceSnapshot;
use crate::engine::local::bench::{BenchOptions, BenchReport};
use crate::engine::remote::Secret;
use crate::error::Result;
use crate::model::hub::Hub;
use crate::model::{self, DownloadStream, FitOptions, FitReport, InstalledModel, ModelRef};
use crate::route::{CostRow, RouteDecision, SpendingTotals};
use crate::state::{SpendingGroup, SpendingRow};
use crate::stream::{CancelToken, Stream, StreamSender};
use crate::sync::lock;
use answer::{Answered, Answering};
use continuation::continuation_request;
use decide::Decided;
use draft::SharedDraft;
use inner::{Inner, blocking, join_result};
use pending::PendingRequest;
use runtime::LibraryRuntime;

pub use adjustments::AdjustmentStream;
pub use conversations::Conversations;
pub use events::AppEvent;
#[cfg(feature = "testing")]
pub use opening::TestSetup;
pub use providers::ProviderStatus;

/// The library object: downloads, checks and runs language models on this device, and routes requests to providers.
///
/// Drop it, or call [`Nearside::shut_down`], before the process ends while a model is loaded: an object that a `static` keeps
/// is never dropped, and the end of the process then destroys the GPU's state under the model. Dropping waits until the
/// models are freed: milliseconds, two seconds at most; and four more for a model's chat template that does not end.
#[derive(Debug)]
pub struct Nearside {
    inner: Arc<Inner>,
    handle: Handle,
    runtime: LibraryRuntime,
    answers: Answers,
}

/// Tasks of active answers.
#[derive(Debug, Clone, Default)]
struct Answers(Arc<Mutex<JoinSet<()>>>);

impl Nearside {
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
        let (pending, (stream, sink)) = (PendingRequest::whole(request), Stream::new());
        let inner = Arc::clone(&self.inner);
        let answer = async move {
            let answered = inner.dispatch(&pending, &sink, None).await;
            inner.record_notes(answered.notes);
            sink.finish(answered.last);
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

    /// Returns the spending of today and of this month, in UTC, including reservations of active answers.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn spent(&self) -> Result<SpendingTotals> {
        self.blocking(|inner| inner.ledger.spent(inner.clock.now())).await
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
    /// and keeps it as the first bytes of the download. The budget is the one that routing and loading use: a model that
    /// is loaded does not count as taken memory for itself, and idle ones can be freed.
    ///
    /// # Errors
    /// Those of the hub and of the file: `Network`, `Unauthorized`, `Corrupt`, `Unsupported` (also for a broken chat
    /// template), …
    pub async fn fit(&self, model: ModelRef, options: FitOptions) -> Result<FitReport> {
        let (inner, hub) = (Arc::clone(&self.inner), lock(&self.inner.hub).clone());
        let reference = model.clone();
        let options = self
            .blocking(move |inner| Ok(inner.fit_options(&reference, options)))
            .await?;
        let budget = inner.budget_source();
        self.on_runtime(async move {
            let report = model::fit_reference(&hub, &inner.store, &model, &options, &budget).await;
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

    /// Returns the installed models whose file was damaged since: it is missing, or has another size. They cannot answer, and
    /// take space until [`Self::remove`] or a new download.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn damaged_models(&self) -> Result<Vec<InstalledModel>> {
        self.blocking(|inner| inner.store.damaged()).await
    }

    /// Installs a copy of a GGUF file that is already on this device.
    ///
    /// # Errors
    /// `Storage`; `Corrupt` or `Unsupported` if it is not a model.
    pub async fn import(&self, path: String) -> Result<InstalledModel> {
        self.blocking(move |inner| inner.store.import(path.as_ref())).await
    }

    /// Removes an installed model, damaged or not; unloads it first.
    ///
    /// # Errors
    /// `NotInstalled`, `Storage`.
    pub async fn remove(&self, model: ModelRef) -> Result<InstalledModel> {
        self.blocking(move |inner| {
            if let Some(found) = inner.store.find(&model)? {
                inner.local_models.close_removed(&found.into());
            }
            inner.store.remove(&model)
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
                inner.local_models.lease(&local).map(|engine| (local, engine))
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
        self.inner.local_models.snapshot()
    }

    /// Returns the number of transactions of the state file so far, for tests of what a call costs.
    #[cfg(feature = "testing")]
    pub fn database_calls(&self) -> u64 {
        self.inner.state.transactions()
    }

    /// Returns whether the data directory cannot be written, so that nothing is recorded or stored: installed models answer,
    /// and a change of settings is an error.
    pub fn is_read_only(&self) -> bool {
        self.inner.state.is_read_only()
    }

    /// Ends the library in order: cancels active answers, waits until they have ended and everything about them is recorded,
    /// stores the states of conversations, frees the loaded models, and waits for their chat templates. Waits ten seconds at most
    /// for the answers, and four for a template that does not end. Without this, the end of the process may lose the last
    /// measured speed and the count of a free answer.
    pub async fn shut_down(&self) -> Result<()> {
        self.inner.closing.cancel();
        self.inner.local_models.app.close_listeners();
        let mut answers = std::mem::take(&mut *lock(&self.answers.0));
        let end = async move { while answers.join_next().await.is_some() {} };
        self.on_runtime(async move {
            let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, end).await;
            Ok(())
        })
        .await?;
        self.blocking(|inner| {
            inner.local_models.close_engines(None);
            inner.wait_for_records(SHUTDOWN_TIMEOUT);
            inner.checkpoint_archive();
            // The last: what ran until here may have left one.
            nearside_llama::wait_for_templates(TEMPLATES_TIMEOUT);
            Ok(())
        })
        .await
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
        self.inner.local_models.app.close_listeners();
        // A process that ends next destroys what llama.cpp and the drivers of a GPU keep in statics: no thread may be inside,
        // and no model may be left.
        self.inner.local_models.drop_engines(ENGINES_TIMEOUT);
        // A process that ends next would lose them.
        self.inner.wait_for_records(RECORDS_TIMEOUT);
        let mut answers = std::mem::take(&mut *lock(&self.answers.0));
        self.runtime.shut_down(async move {
            let joined = async { while answers.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, joined).await;
        });
        // The last, after all that may run one. A process that ends next destroys what they read.
        nearside_llama::wait_for_templates(TEMPLATES_TIMEOUT);
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
    ) -> Answered {
        if let Err(error) = pending.request.check() {
            return error.into();
        }
        let answering = Answering {
            inner: self,
            pending,
            sink,
            draft,
        };
        if let Some(engine) = &self.scripted {
            return answer::run_script(&answering, engine).await;
        }
        let mut may_decide_again = true;
        loop {
            match decide::decide(self, pending, sink.cancel()).await {
                Ok(Decided {
                    decision: RouteDecision::Route { mut route },
                    plan,
                }) => {
                    route.summarize_skipped();
                    if let Some(answered) = answering.run_route(route, plan, may_decide_again).await {
                        return answered;
                    }
                }
                unrouted => {
                    return Answered {
                        last: decide::end_without_route(unrouted, pending, sink).await,
                        notes: None,
                    };
                }
            }
            may_decide_again = false;
        }
    }
}

/// Creates the hub client of these settings.
fn hub(config: &Config, token: &Secret) -> Result<Hub> {
    let base = config.hub.as_deref().unwrap_or(HUGGING_FACE);
    Hub::in_network(base, Some(token.expose()), &config.network)
}

/// The default hub.
const HUGGING_FACE: &str = "https://huggingface.co";
/// Longer than any step of an engine that cannot be interrupted, on a phone.
const ENGINES_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than a chat template that has no end runs on after its answer was cancelled.
const TEMPLATES_TIMEOUT: Duration = Duration::from_secs(4);
/// Longer than a small write takes.
const RECORDS_TIMEOUT: Duration = Duration::from_millis(500);
/// Longer than any engine takes to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
