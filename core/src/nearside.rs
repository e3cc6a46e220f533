//! The object an app holds. It wires the rooms together and does nothing itself.
//!
//! It brings its own tokio runtime, so it works inside another runtime, outside of any, and under Swift's and Kotlin's
//! executors alike. Futures that it returns may be dropped at any time. Dropping the object cancels what runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::runtime::{Handle, Runtime};

use crate::chat::{ChatRequest, ChatStream, Chunk, Route, Sink, Skipped, Stream, Target};
use crate::config::Config;
use crate::device::{self, Snapshot};
use crate::engine::local::bench::{BenchOptions, BenchReport};
use crate::engine::local::{LocalEngine, LocalSettings};
use crate::engine::{Engine, Job};
use crate::error::{Error, Result};
use crate::model::hub::Hub;
use crate::model::store::Store;
use crate::model::{self, DownloadStream, FitOptions, FitReport, InstalledModel, ModelRef};

/// Language models on this device: downloaded, judged, asked.
#[derive(Debug)]
pub struct Nearside {
    inner: Arc<Inner>,
    handle: Handle,
    /// Taken when the object is dropped.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    store: Store,
    hub: Hub,
    engines: Mutex<Vec<(LocalSettings, Arc<LocalEngine>)>>,
    /// Answers everything, where a test put one here.
    scripted: Option<Arc<dyn Engine>>,
}

/// Who answers.
enum Chosen {
    Local(Ready),
    Scripted(Arc<dyn Engine>),
}

/// A model's file on this device.
struct Ready {
    id: String,
    path: PathBuf,
    sha256: String,
}

impl Nearside {
    /// Opens the library; makes its directory and mends what an earlier kill left half done.
    ///
    /// # Errors
    /// `Storage` if the directory cannot be used, `InvalidRequest` if the hub's address cannot.
    pub fn new(config: Config) -> Result<Self> {
        Self::build(config, |_| None)
    }

    /// The same, but [`Self::chat`] plays this script and no model runs.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(feature = "testing")]
    pub fn scripted(config: Config, script: crate::engine::scripted::Script) -> Result<Self> {
        Self::build(config, |handle| {
            Some(Arc::new(crate::engine::scripted::ScriptedEngine::new(
                script,
                handle.clone(),
            )))
        })
    }

    fn build(config: Config, scripted: impl FnOnce(&Handle) -> Option<Arc<dyn Engine>>) -> Result<Self> {
        // Before the runtime: an early return inside another runtime must not have to drop this one.
        let store = Store::open(config.directory.as_ref())?;
        let hub = Hub::new(
            config.hub.as_deref().unwrap_or(HUGGING_FACE),
            config.hub_token.as_deref(),
        )?;
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
            engines: Mutex::default(),
            scripted: scripted(&handle),
        };
        Ok(Self {
            inner: Arc::new(inner),
            handle,
            runtime: Some(runtime),
        })
    }

    /// Asks. Returns at once; everything, errors too, comes on the stream.
    pub fn chat(&self, request: ChatRequest) -> ChatStream {
        let asked = Instant::now();
        let (stream, sink) = Stream::new();
        let inner = Arc::clone(&self.inner);
        // Choosing reads the store and may close another model: not for the app's main thread.
        self.handle.spawn_blocking(move || inner.begin(request, sink, asked));
        stream
    }

    /// Downloads a model, going on where an earlier download stopped. Returns at once.
    pub fn download(&self, model: ModelRef) -> DownloadStream {
        let (stream, sink) = Stream::new();
        let inner = Arc::clone(&self.inner);
        self.handle
            .spawn(async move { model::download::run(&inner.hub, &inner.store, &model, sink).await });
        stream
    }

    /// Whether a model fits this device, before any download: at most a few megabytes of its head are fetched, and kept
    /// as the first bytes of the download.
    ///
    /// # Errors
    /// Those of the hub and of the file: `Network`, `Unauthorized`, `Corrupt`, `Unsupported`, …
    pub async fn fit(&self, model: ModelRef, options: FitOptions) -> Result<FitReport> {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move { model::judge(&inner.hub, &inner.store, &model, &options).await })
            .await
    }

    /// The installed models, by name.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn models(&self) -> Result<Vec<InstalledModel>> {
        self.blocking(|inner| inner.store.list()).await
    }

    /// Installs a model from a file; the file stays where it is.
    ///
    /// # Errors
    /// `Storage`, or `Corrupt` and `Unsupported` if it is not a model.
    pub async fn import(&self, path: String) -> Result<InstalledModel> {
        self.blocking(move |inner| inner.store.import(path.as_ref())).await
    }

    /// Removes an installed model; unloads it first.
    ///
    /// # Errors
    /// `NotInstalled`, `Storage`.
    pub async fn remove(&self, model: ModelRef) -> Result<InstalledModel> {
        self.blocking(move |inner| {
            let found = inner.store.find(&model)?.ok_or_else(|| not_installed(&model))?;
            inner.close_engines(|settings, _| settings.path.as_os_str() == found.path.as_str());
            inner.store.remove(&model)
        })
        .await
    }

    /// Frees the memory of every loaded model. Answers under way end with `Cancelled`.
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
        let (ready, engine) = self
            .blocking(move |inner| {
                let ready = inner.ready(&model)?;
                inner.engine(&ready).map(|engine| (ready, engine))
            })
            .await?;
        let mut report = engine.bench(options).await?;
        report.model.sha256 = ready.sha256;
        Ok(report)
    }

    /// What this device is and has left.
    ///
    /// # Errors
    /// `Unsupported` where the system does not tell.
    pub fn device(&self) -> Result<Snapshot> {
        device::snapshot()
    }

    async fn on_runtime<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.handle
            .spawn(work)
            .await
            .unwrap_or_else(|cause| Err(broken_off(&cause)))
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        self.handle
            .spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|cause| Err(broken_off(&cause)))
    }
}

impl Drop for Nearside {
    fn drop(&mut self) {
        self.inner.let_go();
        if let Some(runtime) = self.runtime.take() {
            // Not the runtime's own drop: that blocks, and panics inside another runtime.
            runtime.shutdown_background();
        }
    }
}

impl Inner {
    /// Decides who answers, says so, and hands the job over.
    fn begin(&self, request: ChatRequest, sink: Sink<Chunk>, asked: Instant) {
        let chosen = request.check().and_then(|()| self.choose(&request));
        let (engine, route) = match chosen {
            Ok(chosen) => chosen,
            Err(error) => return sink.finish(Err(error)),
        };
        sink.send_blocking(Chunk::Started { route: route.clone() });
        let job = Job {
            request,
            route,
            sink,
            asked,
        };
        match engine {
            Chosen::Local(ready) => match self.engine(&ready) {
                Ok(engine) => engine.answer(job),
                Err(error) => job.sink.finish(Err(error)),
            },
            Chosen::Scripted(engine) => engine.answer(job),
        }
    }

    fn choose(&self, request: &ChatRequest) -> Result<(Chosen, Route)> {
        if let Some(engine) = &self.scripted {
            let route = Route::to(Target::Scripted, "asked", "a script was given");
            return Ok((Chosen::Scripted(Arc::clone(engine)), route));
        }
        let (ready, reason, skipped) = match &request.model {
            Some(name) => (self.ready(&ModelRef::parse(name)?)?, "named in the request", vec![]),
            None => {
                let (ready, skipped) = self.best_installed()?;
                (
                    ready,
                    "the largest installed model that the memory has room for",
                    skipped,
                )
            }
        };
        let target = Target::Local {
            model: ready.id.clone(),
        };
        Ok((
            Chosen::Local(ready),
            Route {
                skipped,
                ..Route::to(target, "preferred", reason)
            },
        ))
    }

    /// The largest installed model whose file is smaller than the memory there is. The engine asks llama.cpp before it
    /// loads; this only leaves out what cannot be.
    fn best_installed(&self) -> Result<(Ready, Vec<Skipped>)> {
        let mut installed = self.store.list()?;
        installed.sort_by_key(|model| std::cmp::Reverse(model.size_bytes));
        let free = device::snapshot()?.memory_available;
        let mut skipped = Vec::new();
        for model in installed {
            if model.size_bytes < free {
                return Ok((model.into(), skipped));
            }
            let reason = format!(
                "its {} bytes are more than the {free} bytes of memory there are",
                model.size_bytes
            );
            skipped.push(Skipped {
                target: Target::Local { model: model.id },
                rule: "fits".to_owned(),
                reason,
            });
        }
        match skipped.first() {
            None => Err(Error::not_installed("no model is installed; download one first")),
            Some(_) => Err(Error::too_large(
                "no installed model fits the memory there is; download a smaller one",
            )),
        }
    }

    fn ready(&self, reference: &ModelRef) -> Result<Ready> {
        if let ModelRef::Path { path } = reference {
            if !std::path::Path::new(path).is_file() {
                return Err(Error::not_installed(format!(
                    "there is no file `{path}`; give the path of a GGUF file"
                )));
            }
            return Ok(Ready {
                id: path.clone(),
                path: path.into(),
                sha256: String::new(),
            });
        }
        self.store
            .find(reference)?
            .map(Ready::from)
            .ok_or_else(|| not_installed(reference))
    }

    /// The engine of this model; makes one if there is none, and frees idle models to make room for it.
    fn engine(&self, ready: &Ready) -> Result<Arc<LocalEngine>> {
        let settings = LocalSettings {
            path: ready.path.clone(),
            id: ready.id.clone(),
            context: self.config.context,
            cache_type: self.config.cache_type,
            threads: self.config.threads,
        };
        let found = |engines: &[(LocalSettings, Arc<LocalEngine>)]| {
            engines
                .iter()
                .find(|(of, _)| *of == settings)
                .map(|(_, engine)| Arc::clone(engine))
        };
        if let Some(engine) = found(&self.lock_engines()) {
            return Ok(engine);
        }
        self.close_engines(|_, engine| !engine.is_busy());
        let mut engines = self.lock_engines();
        // Another request for the same model may have been quicker.
        if let Some(engine) = found(&engines) {
            return Ok(engine);
        }
        let engine = Arc::new(LocalEngine::start(settings.clone())?);
        engines.push((settings, Arc::clone(&engine)));
        Ok(engine)
    }

    fn close_engines(&self, which: impl Fn(&LocalSettings, &LocalEngine) -> bool) {
        let closing: Vec<_> = self
            .lock_engines()
            .extract_if(.., |(of, engine)| which(of, engine))
            .collect();
        for (_, engine) in closing {
            engine.close();
        }
    }

    /// Lets go of every engine without waiting for its thread.
    fn let_go(&self) {
        self.lock_engines().clear();
    }

    /// The list is whole after every statement, so a panic elsewhere does not spoil it.
    fn lock_engines(&self) -> std::sync::MutexGuard<'_, Vec<(LocalSettings, Arc<LocalEngine>)>> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<InstalledModel> for Ready {
    fn from(model: InstalledModel) -> Self {
        Self {
            id: model.id,
            path: model.path.into(),
            sha256: model.sha256,
        }
    }
}

fn not_installed(model: &ModelRef) -> Error {
    Error::not_installed(format!("model `{model}` is not installed; download it first"))
}

fn broken_off(cause: &tokio::task::JoinError) -> Error {
    let what = if cause.is_panic() {
        "panicked; this is a bug, please report it"
    } else {
        "was broken off"
    };
    Error::internal(format!("the work {what}"))
}

/// The hub of an app that names none.
const HUGGING_FACE: &str = "https://huggingface.co";
