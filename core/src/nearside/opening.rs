//! Opens the library, also with what a test replaces: the engine by a script, the system's clock, the files by memory.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::inner::{Inner, InnerParts};
use super::local_models::LocalModels;
use super::runtime::LibraryRuntime;
use super::stored_conversations::StoredConversations;
use super::{Answers, Nearside, hub};
use crate::clock::Clock;
use crate::config::Config;
use crate::device::{self, Host};
use crate::engine::Engine;
use crate::engine::local::StateFiles;
use crate::engine::remote::Secret;
#[cfg(feature = "testing")]
use crate::engine::scripted::{ScriptedEngine, ScriptedReply};
use crate::error::{Error, Result};
use crate::model::store::Store;
use crate::state::{self, State};

impl Nearside {
    /// Opens the library, creates its directories, and cleans up after an earlier kill. Opens no connection. In a directory
    /// that cannot be written, installed models answer and nothing is recorded.
    ///
    /// Blocks: for milliseconds, and for seconds if another process writes, or while data moves to a new data directory. On
    /// a thread that draws, use [`Self::open`].
    ///
    /// # Errors
    /// `Storage` if a directory cannot be used, `InvalidRequest` if the hub's address cannot, `Busy` if another process
    /// keeps a file.
    pub fn new(config: Config) -> Result<Self> {
        Self::with_host(config, Arc::new(device::NoHost))
    }

    /// Opens the library like [`Self::with_host`], on a thread of its own. Without a host: like [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn open(config: Config, host: Option<Arc<dyn Host>>) -> Result<Self> {
        let host = host.unwrap_or_else(|| Arc::new(device::NoHost));
        Self::open_on_thread(move || Self::with_host(config, host)).await
    }

    /// Opens the library like [`Self::for_tests`], on a thread of its own.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(feature = "testing")]
    pub async fn open_for_tests(config: Config, setup: TestSetup) -> Result<Self> {
        Self::open_on_thread(move || Self::for_tests(config, setup)).await
    }

    async fn open_on_thread(open: impl FnOnce() -> Result<Self> + Send + 'static) -> Result<Self> {
        let (opened, result) = tokio::sync::oneshot::channel();
        // A dropped future drops the library on that thread.
        let opening = move || drop(opened.send(open()));
        std::thread::Builder::new()
            .name("nearside-opening".to_owned())
            .spawn(opening)
            .map_err(|cause| Error::thread_limit(&cause))?;
        // The thread ends without a result only by a panic.
        result.await.unwrap_or_else(|_| Err(Error::unfinished(true)))
    }

    /// Opens the library like [`Self::new`], with facts about the device from the app.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_host(config: Config, host: Arc<dyn Host>) -> Result<Self> {
        Self::build(config, host, Setup::default())
    }

    /// Opens the library like [`Self::new`], but [`Self::chat`] plays this script and no model runs.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(feature = "testing")]
    pub fn scripted(config: Config, script: ScriptedReply) -> Result<Self> {
        Self::for_tests(config, TestSetup::playing(script))
    }

    /// Opens the library like [`Self::with_host`], with what a test replaces.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(feature = "testing")]
    pub fn for_tests(config: Config, setup: TestSetup) -> Result<Self> {
        let TestSetup {
            script,
            host,
            clock,
            in_memory,
        } = setup;
        let setup = Setup {
            script,
            clock,
            in_memory,
        };
        Self::build(config, host.unwrap_or_else(|| Arc::new(device::NoHost)), setup)
    }

    fn build(config: Config, host: Arc<dyn Host>, setup: Setup) -> Result<Self> {
        // Before the runtime: an early return inside another runtime must not have to drop this one.
        let store = Store::open(config.model_path())?;
        let data = (!setup.in_memory).then(|| config.data_path().to_owned());
        let state = match &data {
            Some(directory) => {
                state::move_data(config.model_path(), directory)?;
                State::open_in(directory)?
            }
            None => State::in_memory()?,
        };
        let state = Arc::new(state);
        let policy = state.policy()?.unwrap_or_default();
        let hub = hub(&config, &Secret::default())?;
        let runtime = LibraryRuntime::start()?;
        let handle = runtime.handle().clone();
        let conversations = Arc::new(StoredConversations::new(data, setup.clock.clone()));
        let states = StateFiles::new(
            config.model_path().join("states"),
            config.saved_state_bytes,
            Arc::clone(&conversations) as _,
        );
        let local_models = LocalModels::new(&config, host, Arc::clone(&state), states, handle.clone());
        let inner = Inner::new(InnerParts {
            config,
            clock: setup.clock.clone(),
            store,
            hub,
            state,
            local_models: Arc::new(local_models),
            conversations,
            handle: handle.clone(),
            policy,
            scripted: setup.engine(&handle),
        });
        Ok(Self {
            inner: Arc::new(inner),
            handle,
            runtime,
            answers: Answers::default(),
        })
    }
}

/// How a library object is opened. The default: nothing is replaced.
#[derive(Debug, Default)]
pub(super) struct Setup {
    #[cfg(feature = "testing")]
    pub(super) script: Option<ScriptedReply>,
    pub(super) clock: Clock,
    /// Settings, spending and conversations are in memory, and end with the object.
    pub(super) in_memory: bool,
}

/// What a test replaces. The default: nothing.
#[cfg(feature = "testing")]
#[derive(Debug, Default)]
pub struct TestSetup {
    /// Every answer plays this script, and no model runs.
    pub script: Option<ScriptedReply>,
    /// Facts about the device.
    pub host: Option<Arc<dyn Host>>,
    /// Dates spending, model lists and conversations.
    pub clock: Clock,
    /// Settings, spending and conversations are in memory, and end with the object; no database is opened.
    pub in_memory: bool,
}

#[cfg(feature = "testing")]
impl TestSetup {
    /// Returns a setup in which answers play this script.
    #[must_use]
    pub fn playing(script: ScriptedReply) -> Self {
        Self {
            script: Some(script),
            ..Self::default()
        }
    }
}

impl Setup {
    /// Returns the engine that replaces all others, if there is one.
    #[cfg(feature = "testing")]
    pub(super) fn engine(&self, handle: &Handle) -> Option<Arc<dyn Engine>> {
        let script = self.script.clone()?;
        Some(Arc::new(ScriptedEngine::new(script, handle.clone())))
    }

    /// Returns the engine that replaces all others: none.
    #[cfg(not(feature = "testing"))]
    pub(super) fn engine(&self, _: &Handle) -> Option<Arc<dyn Engine>> {
        None
    }
}
