//! The models in memory, and the one place that decides about their memory.
//!
//! The fit report, the router's verdict and the load take their budget from here ([`LocalModels::budget_for`]) and compare
//! it with the same needs, which are measured once and remembered. A load is planned, and its memory counted as taken,
//! under one lock: two models that start at the same moment do not get the same bytes. Idle models are freed only as far
//! as a load needs, the least recently used first; a leased engine is never closed for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::local_abilities::LocalAbilities;
use super::local_model::{FileStamp, LocalModel, file_stamp};
use super::lock;
use super::needs_cache::NeedsCache;
use crate::config::Config;
use crate::device::{self, DeviceFacts, DeviceSnapshot, Host};
use crate::engine::local::{EngineLease, LoadOutcome, LoadPlanner, LocalEngine, LocalSettings, StateFiles};
use crate::error::{Error, ErrorKind, Result};
use crate::model::fit::{
    DEFAULT_CONTEXT, EngineParams, LoadOrder, ModelMemory, SAVED_SHARE, judge_by_size, no_template,
};
use crate::model::{self, FitOptions, FitVerdict, MemoryBudget};
use crate::state::State;

/// The local models of one library object.
#[derive(Debug)]
pub(super) struct LocalModels {
    host: Arc<dyn Host>,
    context: u32,
    cache_type: Option<model::CacheType>,
    threads: Option<u32>,
    needs: NeedsCache,
    states: Arc<StateFiles>,
    pub(super) abilities: LocalAbilities,
    handle: Handle,
    engines: Mutex<Vec<EngineEntry>>,
    /// Held while a load is planned. Loads wait for each other's plans, and nothing else does.
    planning: Mutex<()>,
    next_id: AtomicU64,
    /// Time of the last memory warning.
    pressure_at: Mutex<Option<Instant>>,
}

/// An engine and the state of its model.
#[derive(Debug)]
struct EngineEntry {
    id: u64,
    path: PathBuf,
    stamp: FileStamp,
    engine: Arc<LocalEngine>,
    load: LoadState,
}

/// Whether an engine's model is in memory.
#[derive(Debug, Clone, PartialEq)]
enum LoadState {
    Unloaded,
    Loading(LoadOrder),
    Loaded(LoadOrder),
    Failed(Error),
}

/// Memory and models at one moment.
struct MemoryView {
    snapshot: DeviceSnapshot,
    under_pressure: bool,
    models: Vec<ModelState>,
}

/// State of one model, for a budget.
struct ModelState {
    id: u64,
    path: PathBuf,
    stamp: FileStamp,
    in_use: bool,
    load: LoadState,
    /// Held by copies of its conversations' caches, which are freed first.
    saved_bytes: u64,
}

impl LocalModels {
    pub(super) fn new(
        config: &Config,
        host: Arc<dyn Host>,
        state: Arc<State>,
        states: StateFiles,
        handle: Handle,
    ) -> Self {
        Self {
            host,
            context: config.context.unwrap_or(DEFAULT_CONTEXT),
            cache_type: config.cache_type,
            threads: config.threads,
            needs: NeedsCache::new(state),
            states: Arc::new(states),
            abilities: LocalAbilities::default(),
            handle,
            engines: Mutex::default(),
            planning: Mutex::default(),
            next_id: AtomicU64::new(0),
            pressure_at: Mutex::default(),
        }
    }

    /// Returns the host's facts; a recent memory warning counts as memory pressure.
    ///
    /// # Errors
    /// `Internal` with the host's own text if it panics.
    pub(super) fn host_facts(&self) -> Result<DeviceFacts> {
        let reported = catch_unwind(AssertUnwindSafe(|| self.host.facts()));
        let mut facts = reported.map_err(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("no text");
            Error::internal(format!("the app could not report the state of the device: {text}"))
        })?;
        let warned = lock(&self.pressure_at).is_some_and(|at| at.elapsed() < PRESSURE_DURATION);
        facts.memory_pressure |= warned;
        Ok(facts)
    }

    /// Records a memory warning.
    pub(super) fn note_pressure(&self) {
        *lock(&self.pressure_at) = Some(Instant::now());
    }

    /// Measures the device, with the host's own figure of memory.
    pub(super) fn snapshot(&self) -> Result<DeviceSnapshot> {
        device::snapshot(&self.host_facts()?)
    }

    /// Returns the options of a fit check with the configuration's context and cache in place of unset ones.
    pub(super) fn fit_options(&self, options: FitOptions) -> FitOptions {
        FitOptions {
            context: options.context.or(Some(self.context)),
            cache_type: options.cache_type.or(self.cache_type),
            ..options
        }
    }

    /// Returns the memory budget of the model at this path (unset: not on this device), and the compute threads.
    pub(super) fn budget_for(&self, path: Option<&Path>) -> Result<(MemoryBudget, u32)> {
        let view = self.view()?;
        let own = path.and_then(|path| view.find(path));
        Ok((view.budget(own.map(|own| own.id)), self.params(&view.snapshot).threads))
    }

    /// Judges whether each model fits the memory that is available now.
    ///
    /// Remembered needs are compared with the budget. Of the others llama.cpp is asked only about `named`, the model that
    /// the request names; without one, and if `exact`, about a few that their size does not settle. The rest is judged
    /// by size, because the load compares exactly in any case.
    pub(super) fn verdicts(&self, models: &[LocalModel], named: Option<&str>, exact: bool) -> Vec<Result<FitVerdict>> {
        if models.is_empty() {
            return vec![];
        }
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return models.iter().map(|_| Err(error.clone())).collect(),
        };
        let params = self.params(&view.snapshot);
        let mut probes = if exact { MAX_PROBES } else { 0 };
        let judge = |model: &LocalModel| {
            let own = view.find(&model.path);
            match own.map(|own| &own.load) {
                Some(LoadState::Loaded(order) | LoadState::Loading(order)) => {
                    return check_template(order, model).map(|()| order.verdict);
                }
                Some(LoadState::Failed(error)) if is_permanent(error) => return Err(error.clone()),
                _ => {}
            }
            let budget = view.budget(own.map(|own| own.id)).bytes;
            if let Some(order) = self.needs.order(model, params, budget)? {
                return check_template(&order, model).map(|()| order.verdict);
            }
            let (verdict, settled) = judge_by_size(model.size_bytes, params.context, budget);
            let may_probe = named.is_none_or(|named| named == model.id);
            if settled || !may_probe || probes == 0 {
                return Ok(verdict);
            }
            probes -= 1;
            let order = self.needs.measure(model, params, budget)?;
            check_template(&order, model).map(|()| order.verdict)
        };
        models.iter().map(judge).collect()
    }

    /// Returns a lease of this model's engine; starts one if there is none. The model loads with its first job.
    pub(super) fn lease(self: &Arc<Self>, model: &LocalModel) -> Result<EngineLease> {
        let stamp = file_stamp(&model.path);
        let mut engines = lock(&self.engines);
        if let Some(at) = engines.iter().position(|entry| entry.path == model.path) {
            let entry = &engines[at];
            let is_same = entry.stamp == stamp;
            match &entry.load {
                LoadState::Failed(error) if is_same && is_permanent(error) => return Err(error.clone()),
                _ if is_same || entry.engine.is_in_use() => return Ok(EngineLease::acquire(&entry.engine)),
                // The file was replaced: the engine's thread ends once its handle is dropped.
                _ => drop(engines.remove(at)),
            }
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let planner = EnginePlanner {
            models: Arc::downgrade(self),
            id,
            model: model.clone(),
        };
        let settings = LocalSettings {
            path: model.path.clone(),
            id: model.id.clone(),
            sha256: model.sha256.clone(),
            states: Some(Arc::clone(&self.states)),
        };
        let engine = Arc::new(LocalEngine::start(settings, Box::new(planner), self.handle.clone())?);
        let lease = EngineLease::acquire(&engine);
        engines.push(EngineEntry {
            id,
            path: model.path.clone(),
            stamp,
            engine,
            load: LoadState::Unloaded,
        });
        Ok(lease)
    }

    /// Closes all engines and waits for their threads. Their answers end as cancelled. Each stores at most `stored_bytes` of
    /// states.
    pub(super) fn close_engines(&self, stored_bytes: u64) {
        self.close_where(stored_bytes, |_| true);
    }

    /// Closes the engine of a model that is being removed, and deletes its stored states.
    pub(super) fn close_removed(&self, model: &LocalModel) {
        self.close_where(0, |entry| entry.path == model.path);
        self.states.remove_model(&model.sha256);
    }

    /// Closes the engines that are not in use.
    pub(super) fn close_idle(&self) {
        self.close_where(MAX_STORED_BYTES, |entry| !entry.engine.is_in_use());
    }

    /// Frees the copies of conversations' caches of all engines, and stores their states; no model is unloaded.
    pub(super) fn free_all_saved(&self) {
        self.free_saved_but(None);
    }

    /// Frees the copies, and deletes the stored states, of a conversation that was deleted.
    pub(super) fn forget_conversation(&self, conversation: u64) {
        self.engines_but(None)
            .iter()
            .for_each(|engine| engine.forget(conversation));
        self.states.remove_conversation(conversation);
    }

    /// Deletes the stored states of conversations that are gone.
    pub(super) fn remove_gone_states(&self) {
        self.states.remove_gone();
    }

    fn free_saved_but(&self, id: Option<u64>) {
        self.engines_but(id)
            .iter()
            .for_each(|engine| engine.free_saved(MAX_STORED_BYTES));
    }

    /// Lets all engines make fewer copies of conversations' caches from now on: the system warned of what they take.
    pub(super) fn halve_saved_limits(&self) {
        self.engines_but(None)
            .iter()
            .for_each(|engine| engine.halve_saved_limit());
    }

    /// Returns all engines but that of this id.
    fn engines_but(&self, id: Option<u64>) -> Vec<Arc<LocalEngine>> {
        let engines = lock(&self.engines);
        let others = engines.iter().filter(|entry| Some(entry.id) != id);
        others.map(|entry| Arc::clone(&entry.engine)).collect()
    }

    /// Drops every engine without joining its thread.
    pub(super) fn drop_engines(&self) {
        lock(&self.engines).clear();
    }

    fn close_where(&self, stored_bytes: u64, which: impl Fn(&EngineEntry) -> bool) {
        let closing: Vec<_> = lock(&self.engines).extract_if(.., |entry| which(entry)).collect();
        for entry in closing {
            entry.engine.close(stored_bytes);
        }
    }

    fn params(&self, snapshot: &DeviceSnapshot) -> EngineParams {
        EngineParams {
            context: self.context,
            cache_type: self.cache_type.unwrap_or_default(),
            threads: self.threads.unwrap_or(snapshot.threads),
        }
    }

    fn view(&self) -> Result<MemoryView> {
        let facts = self.host_facts()?;
        let state = |entry: &EngineEntry| ModelState {
            id: entry.id,
            path: entry.path.clone(),
            stamp: entry.stamp,
            in_use: entry.engine.is_in_use(),
            load: entry.load.clone(),
            saved_bytes: entry.engine.saved_bytes(),
        };
        let models = lock(&self.engines).iter().map(state).collect();
        Ok(MemoryView {
            snapshot: device::snapshot(&facts)?,
            under_pressure: facts.memory_pressure,
            models,
        })
    }

    fn set_load(&self, id: u64, load: LoadState) {
        if let Some(entry) = lock(&self.engines).iter_mut().find(|entry| entry.id == id) {
            entry.load = load;
        }
    }

    fn plan_load(&self, id: u64, model: &LocalModel, for_chat: bool) -> Result<LoadOrder> {
        let _one = lock(&self.planning);
        let view = self.view()?;
        let own = view.models.iter().find(|other| other.id == id);
        if let Some(LoadState::Failed(error)) = own.map(|own| &own.load)
            && is_permanent(error)
        {
            return Err(error.clone());
        }
        let params = self.params(&view.snapshot);
        let budget = view.budget(Some(id));
        let order = match self.needs.order(model, params, budget.bytes)? {
            Some(order) => Ok(order),
            None => self.needs.measure(model, params, budget.bytes),
        };
        let order = order.inspect_err(|error| self.set_load(id, LoadState::Failed(error.clone())))?;
        if for_chat {
            check_template(&order, model)?;
        }
        if order.verdict == FitVerdict::TooLarge {
            let error = self.too_large(model, &order, &budget);
            self.set_load(id, LoadState::Failed(error.clone()));
            return Err(error);
        }
        self.free_for(id, order.required())?;
        self.set_load(id, LoadState::Loading(order));
        Ok(order)
    }

    /// Frees the saved caches of other engines, then closes idle ones, the least recently used first, until this many bytes
    /// are free without them.
    fn free_for(&self, id: u64, bytes: u64) -> Result<()> {
        let is_enough = || -> Result<bool> { Ok(self.view()?.budget_without_idle(id).bytes >= bytes) };
        if !is_enough()? {
            self.free_saved_but(Some(id));
        }
        loop {
            let free = self.view()?.budget_without_idle(id).bytes;
            if let Some(rest) = free.checked_sub(bytes) {
                // The plans of the others counted on memory that is taken now.
                for engine in self.engines_but(Some(id)) {
                    engine.lower_saved_limit(engine.saved_bytes() + rest / SAVED_SHARE);
                }
                return Ok(());
            }
            let idle = {
                let mut engines = lock(&self.engines);
                let idle = engines.iter().enumerate().filter(|(_, entry)| {
                    entry.id != id && matches!(entry.load, LoadState::Loaded(_)) && !entry.engine.is_in_use()
                });
                let oldest = idle.min_by_key(|(_, entry)| entry.engine.last_used());
                oldest.map(|(at, _)| at).map(|at| engines.remove(at))
            };
            // The budget counted on all of them; what is missing now was taken by other programs meanwhile.
            let Some(entry) = idle else { return Ok(()) };
            tracing::info!(model = %entry.path.display(), "an idle model is freed for another");
            entry.engine.close(MAX_STORED_BYTES);
        }
    }

    /// Returns the error of a model that does not fit, with the smallest change that would help.
    fn too_large(&self, model: &LocalModel, order: &LoadOrder, budget: &MemoryBudget) -> Error {
        let options = self.fit_options(FitOptions::default());
        match model::fit_path(&model.path, &options, budget, order.threads) {
            Ok(report) => Error::too_large(match report.suggestions.first() {
                Some(suggestion) => format!("model `{}` {}; {}", model.id, report.reason, suggestion.text),
                None => format!("model `{}` {}; use a smaller model", model.id, report.reason),
            }),
            Err(error) => error,
        }
    }
}

impl MemoryView {
    fn find(&self, path: &Path) -> Option<&ModelState> {
        let found = self.models.iter().find(|model| model.path == path)?;
        // A file that was replaced is another model.
        (found.stamp == file_stamp(path)).then_some(found)
    }

    fn budget(&self, own: Option<u64>) -> MemoryBudget {
        self.measure(own, true)
    }

    fn budget_without_idle(&self, own: u64) -> MemoryBudget {
        self.measure(Some(own), false)
    }

    fn measure(&self, own: Option<u64>, count_idle: bool) -> MemoryBudget {
        let mut memory = ModelMemory::default();
        for model in &self.models {
            let is_own = own == Some(model.id);
            match is_own {
                true => memory.own += model.saved_bytes,
                false if count_idle => memory.idle += model.saved_bytes,
                false => {}
            }
            match &model.load {
                LoadState::Loaded(order) if is_own => {
                    memory.own += order.held();
                    memory.running = order.required();
                }
                LoadState::Loaded(order) if count_idle && !model.in_use => memory.idle += order.held(),
                LoadState::Loading(order) if !is_own => memory.starting += order.held(),
                _ => {}
            }
        }
        MemoryBudget::measure(&self.snapshot, self.under_pressure, memory)
    }
}

/// Plans the loads of one engine.
#[derive(Debug)]
struct EnginePlanner {
    models: Weak<LocalModels>,
    id: u64,
    model: LocalModel,
}

impl LoadPlanner for EnginePlanner {
    fn plan_load(&self, for_chat: bool) -> Result<LoadOrder> {
        let models = self.models.upgrade();
        let models = models.ok_or_else(|| Error::busy("the library was closed; open it again"))?;
        models.plan_load(self.id, &self.model, for_chat)
    }

    fn load_ended(&self, outcome: LoadOutcome) {
        let Some(models) = self.models.upgrade() else { return };
        let mut engines = lock(&models.engines);
        let Some(entry) = engines.iter_mut().find(|entry| entry.id == self.id) else {
            return;
        };
        entry.load = match (outcome, &entry.load) {
            (LoadOutcome::Loaded, LoadState::Loading(order)) => LoadState::Loaded(*order),
            (LoadOutcome::Failed(error), _) => LoadState::Failed(error),
            _ => LoadState::Unloaded,
        };
    }
}

/// Returns the error of a model without a chat template.
fn check_template(order: &LoadOrder, model: &LocalModel) -> Result<()> {
    match order.has_template {
        true => Ok(()),
        false => Err(no_template(&model.id)),
    }
}

/// Returns whether a load of the same file would fail again.
fn is_permanent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported)
}

/// How long a warning counts: iOS and Android report when memory is low, but not when that ends.
const PRESSURE_DURATION: Duration = Duration::from_secs(60);
/// States that one engine stores when its memory is freed: some seconds on a phone.
pub(super) const MAX_STORED_BYTES: u64 = 512 << 20;
/// Models that llama.cpp is asked about in one decision: each takes up to half a second, once.
const MAX_PROBES: u32 = 2;
