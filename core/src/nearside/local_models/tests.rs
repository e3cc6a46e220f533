//! Tests of what is counted as being freed. The engines' threads are held up, so that each moment lasts.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::engine::local::{ConversationIndex, EngineLease, LoadEvent, LoadOutcome, LoadPlanner, LocalSettings};
use crate::model::{LoadPlan, MemoryEstimate};
use crate::stream::Stream;

/// A host whose app may always take as much.
#[derive(Debug)]
struct SteadyHost;

impl Host for SteadyHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            memory_available: Some(1_000_000_000),
            ..DeviceFacts::default()
        }
    }
}

#[derive(Debug)]
struct NoConversations;

impl ConversationIndex for NoConversations {
    fn identity(&self) -> Option<u32> {
        None
    }

    fn has_conversation(&self, _: u64) -> Option<bool> {
        None
    }
}

/// Holds up the thread of an engine until it is released.
#[derive(Debug)]
struct StuckPlanner {
    entered: Sender<()>,
    released: Mutex<Receiver<()>>,
}

impl LoadPlanner for StuckPlanner {
    fn plan_load(&self, _: bool) -> Result<LoadOrder> {
        let _ = self.entered.send(());
        let _ = lock(&self.released).recv();
        Err(Error::busy("released"))
    }

    fn load_ended(&self, _: LoadOutcome) {}
}

struct Fixture {
    models: Arc<LocalModels>,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let state = Arc::new(State::open_in(folder.path()).expect("a state"));
        let states = StateFiles::new(folder.path().join("states"), None, Arc::new(NoConversations));
        let config = Config::new(folder.path().to_string_lossy());
        let handle = runtime.handle().clone();
        let models = LocalModels::new(&config, Arc::new(SteadyHost), state, states, handle);
        Self {
            models: Arc::new(models),
            runtime,
            folder,
        }
    }

    fn model(&self, name: &str) -> LocalModel {
        let path = self.folder.path().join(name);
        std::fs::write(&path, name).expect("a file");
        LocalModel {
            id: name.into(),
            path,
            sha256: String::new(),
            size_bytes: 1,
            context_length: None,
        }
    }

    /// Adds an engine that counts as loaded and idle, and whose thread ends when the sender is dropped.
    fn add_idle(&self, id: u64, name: &str, held: u64) -> (LocalModel, Sender<()>) {
        let model = self.model(name);
        let (entered, enters) = channel();
        let (release, released) = channel();
        let planner = StuckPlanner {
            entered,
            released: Mutex::new(released),
        };
        let settings = LocalSettings {
            path: model.path.clone(),
            id: model.id.clone(),
            sha256: String::new(),
            states: None,
        };
        let handle = self.runtime.handle().clone();
        let engine = LocalEngine::start(settings, Arc::new(planner), handle).expect("a thread");
        let (stream, sink) = Stream::<LoadEvent>::new();
        engine.load(sink);
        enters.recv().expect("it plans");
        stream.cancel();
        while engine.is_in_use() {
            std::thread::yield_now();
        }
        let order = LoadOrder {
            context: 1,
            max_context: 1,
            trained_context: 1,
            present_context: 1,
            short_rope_context: None,
            token_bytes: 0,
            cache_type: model::CacheType::default(),
            threads: 1,
            gpu_layers: 0,
            load: LoadPlan::Mapped,
            need: MemoryEstimate {
                weights: held,
                cache: 0,
                compute: 0,
                other: 0,
                total: held,
            },
            evictable: 0,
            verdict: FitVerdict::Fits,
            has_template: true,
            saved_bytes: 0,
        };
        lock(&self.models.engines).push(EngineEntry {
            id,
            path: model.path.clone(),
            stamp: super::super::local_model::file_stamp(&model.path),
            engine: Arc::new(engine),
            load: LoadState::Loaded(order),
            growing: 0,
        });
        (model, release)
    }

    fn budget(&self) -> u64 {
        self.models.view().expect("a view").budget(None).bytes
    }

    fn closing(&self) -> u64 {
        self.models.view().expect("a view").closing
    }

    fn wait_until_ended(&self) {
        while !self.models.closing().is_empty() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_memory_of_a_model_whose_file_was_replaced_counts_until_its_thread_has_ended() {
    let fixture = Fixture::new();
    let (model, release) = fixture.add_idle(1000, "replaced.gguf", 4_000_000_000);
    let before = fixture.budget();
    std::fs::write(&model.path, "another model").expect("replaced");
    let lease: EngineLease = fixture.models.lease(&model).expect("a lease");
    assert_eq!(fixture.closing(), 4_000_000_000);
    assert_eq!(fixture.budget(), before, "it will be free");
    drop(release);
    assert!(fixture.models.wait_for_closing() || fixture.closing() == 0);
    fixture.wait_until_ended();
    assert!(fixture.budget() < before);
    drop(lease);
}

#[test]
fn the_memory_of_an_idle_model_that_is_freed_for_another_counts_meanwhile() {
    let fixture = Fixture::new();
    let (_, first) = fixture.add_idle(1000, "first.gguf", 2_000_000_000);
    let (_, second) = fixture.add_idle(1001, "second.gguf", 3_000_000_000);
    let before = fixture.budget();
    let order = {
        let engines = lock(&fixture.models.engines);
        let LoadState::Loaded(order) = &engines[0].load else {
            panic!("it is loaded")
        };
        *order
    };
    // It needs as much as one of them holds.
    let models = Arc::clone(&fixture.models);
    let freeing = std::thread::spawn(move || models.free_for(7, order));
    while fixture.closing() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(fixture.closing(), 2_000_000_000, "the least recently used one");
    assert_eq!(fixture.budget(), before);
    // Another load that needs nothing of it.
    let small = LoadOrder {
        need: MemoryEstimate {
            total: 1_000_000,
            ..order.need
        },
        ..order
    };
    assert_eq!(fixture.models.free_for(8, small), Ok(()));
    drop(first);
    drop(second);
    assert_eq!(freeing.join().expect("no panic"), Ok(()));
}

fn loaded_order(fixture: &Fixture, id: u64) -> LoadOrder {
    let view = fixture.models.view().expect("a view");
    let own = view.models.iter().find(|model| model.id == id).expect("an engine");
    let LoadState::Loaded(order) = &own.load else {
        panic!("it is loaded")
    };
    *order
}

#[test]
fn a_context_grows_into_no_memory_that_is_reserved_and_not_while_memory_is_short() {
    let fixture = Fixture::new();
    let planner = |id, model| planner::EnginePlanner {
        models: Arc::downgrade(&fixture.models),
        id,
        model,
    };
    let (model, _first) = fixture.add_idle(1000, "first.gguf", 200_000_000);
    let (other, _second) = fixture.add_idle(1001, "second.gguf", 0);
    let (first, second) = (planner(1000, model), planner(1001, other));
    assert_eq!(first.growth_bytes(), 880_000_000);
    let order = loaded_order(&fixture, 1001);
    let planned = LoadOrder {
        need: MemoryEstimate {
            total: 850_000_000,
            ..order.need
        },
        ..order
    };
    fixture.models.set_load(1001, LoadState::Planned(planned));
    assert!(first.growth_bytes() < 100_000_000);
    fixture.models.set_load(1001, LoadState::Loaded(order));
    // Two at once: the second one gets what the first one left.
    assert_eq!(first.reserve_growth(2, 600_000_000, 500_000_000), Some(380_000_000));
    assert_eq!(second.reserve_growth(2, 400_000_000, 400_000_000), None);
    assert!(second.reserve_growth(2, 300_000_000, 300_000_000).is_some());
    first.context_resized(8192, 1000, 0);
    second.context_resized(8192, 1000, 0);
    assert!(lock(&fixture.models.engines).iter().all(|entry| entry.growing == 0));
    assert!(first.growth_bytes() > 0);
    fixture.models.app.set_background(true);
    assert_eq!(first.growth_bytes(), 0);
    assert_eq!(first.reserve_growth(2, 1000, 1000), None);
    assert!(
        first.reserve_growth(1, 1000, 1000).is_some(),
        "up to the plan, after a reduction"
    );
    fixture.models.app.set_background(false);
    fixture.models.app.note_pressure();
    assert_eq!(first.growth_bytes(), 0);
}

#[test]
fn the_router_is_told_what_a_context_may_become_and_not_what_a_load_leaves_for_a_moment() {
    let fixture = Fixture::new();
    let (model, _release) = fixture.add_idle(1000, "model.gguf", 900_000_000);
    let context = || {
        let verdicts = fixture.models.verdicts(std::slice::from_ref(&model), None, false, None);
        verdicts[0].as_ref().expect("it fits").context
    };
    let order = LoadOrder {
        context: 4096,
        present_context: 4096,
        max_context: 32_768,
        trained_context: 32_768,
        token_bytes: 80_000,
        ..loaded_order(&fixture, 1000)
    };
    // While it loads, a part of its memory is missing from what is free.
    fixture.models.set_load(1000, LoadState::Loading(order));
    assert_eq!(context(), 32_768);
    fixture.models.set_load(1000, LoadState::Loaded(order));
    assert_eq!(context(), 8192, "650 MB for 8,192 tokens");
}

#[test]
fn the_router_is_told_what_a_load_will_leave() {
    let fixture = Fixture::new();
    let (_, _old) = fixture.add_idle(1000, "old.gguf", 700_000_000);
    let (_, _used) = fixture.add_idle(1001, "used.gguf", 700_000_000);
    let (_waiting, sink) = Stream::<LoadEvent>::new();
    lock(&fixture.models.engines)[1].engine.load(sink);
    let order = |total| LoadOrder {
        need: MemoryEstimate {
            total,
            ..MemoryEstimate::default()
        },
        ..loaded_order(&fixture, 1000)
    };
    let spare = |total| {
        let view = fixture.models.view().expect("a view");
        view.spare_after_load(None, &order(total))
    };
    // 900 MB are free, and 630 MB more once the idle model is freed: a part is kept as a reserve.
    assert_eq!(spare(100_000_000), 800_000_000, "the idle model stays");
    assert_eq!(spare(1_000_000_000), 530_000_000, "it is freed");
    assert_eq!(spare(1_700_000_000), 0, "the other one is in use");
}

#[test]
fn no_model_is_promised_more_than_its_plan_while_memory_is_short() {
    let fixture = Fixture::new();
    let (model, _release) = fixture.add_idle(1000, "model.gguf", 1000);
    let context = || {
        let verdicts = fixture.models.verdicts(std::slice::from_ref(&model), None, false, None);
        verdicts[0].as_ref().expect("it fits").context
    };
    let order = LoadOrder {
        context: 4096,
        present_context: 4096,
        max_context: 32_768,
        trained_context: 32_768,
        token_bytes: 80_000,
        ..loaded_order(&fixture, 1000)
    };
    for load in [
        LoadState::Unloaded,
        LoadState::Planned(order),
        LoadState::Loading(order),
        LoadState::Loaded(order),
    ] {
        fixture.models.set_load(1000, load.clone());
        fixture.models.app.set_background(true);
        assert_eq!(context(), 4096, "{load:?}");
        fixture.models.app.set_background(false);
        assert!(context() >= 8192, "{load:?}");
    }
}

#[test]
fn a_removed_model_leaves_memory_however_it_was_named() {
    let fixture = Fixture::new();
    let (model, release) = fixture.add_idle(1000, "model.gguf", 1000);
    let installed = LocalModel {
        id: "installed".into(),
        ..model
    };
    drop(release);
    fixture.models.close_removed(&installed);
    assert!(fixture.models.closing().is_empty(), "its thread has ended");
}

#[test]
fn an_engine_that_is_started_later_knows_what_was_deleted() {
    let fixture = Fixture::new();
    let model = fixture.model("model.gguf");
    fixture.models.forget_conversation(7);
    let lease = fixture.models.lease(&model).expect("a lease");
    assert!(lease.has_forgotten(7) && !lease.has_forgotten(8));
}
