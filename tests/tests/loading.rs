//! Models loaded ahead of their first answer: progress, the models in memory, cancels, unloading, and the time that an idle
//! model stays.

use std::sync::Arc;
use std::time::Duration;

use nearside::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, StopReason};
use nearside::engine::{LoadEvent, LoadStream, LoadedModel};
use nearside::model::{CacheType, FitOptions, ModelRef};
use nearside::{Config, ErrorReason, Nearside, Result};
use nearside_tests::device::DeviceAnswer;
use nearside_tests::models;
use nearside_tests::request::greedy;

/// Opens the library in a new folder.
fn open(change: impl FnOnce(&mut Config)) -> (tempfile::TempDir, Nearside) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config {
        context: Some(2048),
        threads: Some(1),
        ..Config::new(folder.path().to_string_lossy())
    };
    change(&mut config);
    (folder, Nearside::new(config).expect("the library opens"))
}

fn smollm2() -> ModelRef {
    ModelRef::Path {
        path: models::path("smollm2.gguf").to_string_lossy().into_owned(),
    }
}

fn request(text: &str, max_tokens: u32) -> ChatRequest {
    greedy(&models::path("smollm2.gguf"), vec![ChatMessage::user(text)], max_tokens)
}

/// Starts an answer that takes seconds, and waits for its first text.
async fn long_answer(nearside: &Nearside) -> ChatStream {
    let stream = nearside.chat(request("Tell a long story about the sea and its ships.", 1500));
    loop {
        let batch = stream.next_batch().await.expect("no error");
        assert!(!batch.is_empty(), "it goes on");
        if batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })) {
            return stream;
        }
    }
}

/// Reads a load to its end.
async fn read(stream: &LoadStream) -> Result<Vec<LoadEvent>> {
    let mut events = Vec::new();
    loop {
        let batch = tokio::time::timeout(LONG, stream.next_batch()).await;
        let batch = batch.expect("the load goes on or ends")?;
        if batch.is_empty() {
            return Ok(events);
        }
        events.extend(batch);
    }
}

async fn load(nearside: &Nearside) -> LoadedModel {
    let events = read(&nearside.load(smollm2())).await.expect("loaded");
    match events.last() {
        Some(LoadEvent::Loaded { model }) => model.clone(),
        other => panic!("{other:?}"),
    }
}

fn fractions(events: &[LoadEvent]) -> Vec<f64> {
    let fraction = |event: &LoadEvent| match event {
        LoadEvent::Progress { fraction } => Some(*fraction),
        LoadEvent::Loaded { .. } => None,
    };
    events.iter().filter_map(fraction).collect()
}

async fn reason(stream: &LoadStream) -> ErrorReason {
    read(stream).await.expect_err("an error").reason()
}

/// Waits until no model is in memory.
async fn wait_until_freed(nearside: &Nearside) {
    let freed = async {
        while !nearside.loaded().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, freed).await.expect("the model is freed");
}

#[tokio::test]
async fn a_load_tells_its_progress_and_then_the_model_that_loaded_lists_too() {
    let (_folder, nearside) = open(|config| config.cache_type = Some(CacheType::Q8_0));
    assert_eq!(nearside.loaded(), []);
    let events = read(&nearside.load(smollm2())).await.expect("loaded");
    let seen = fractions(&events);
    assert_eq!((seen.first(), seen.last()), (Some(&0.0), Some(&1.0)), "{seen:?}");
    assert!(seen.is_sorted_by(|one, next| one < next) && seen.len() > 10, "{seen:?}");
    assert_eq!(seen.len() + 1, events.len());
    let Some(LoadEvent::Loaded { model }) = events.last() else {
        panic!("{events:?}")
    };
    let path = models::path("smollm2.gguf").to_string_lossy().into_owned();
    assert_eq!((&model.id, &model.path), (&path, &path));
    assert_eq!(
        (model.context, model.threads, model.cache_type),
        (2048, 1, CacheType::Q8_0)
    );
    assert!(!model.in_use);
    let need = nearside
        .fit(smollm2(), FitOptions::default())
        .await
        .expect("a report")
        .need;
    assert_eq!(model.memory_bytes + model.mapped_bytes, need.total);
    let listed = nearside.loaded();
    assert_eq!(listed.len(), 1);
    let idle_ms = listed[0].idle_ms;
    assert_eq!(
        listed,
        [LoadedModel {
            idle_ms,
            ..model.clone()
        }]
    );

    let answer = DeviceAnswer::read(&nearside.chat(request("Name a river.", 4))).await;
    assert_eq!(answer.done().timings.load_ms, 0.0, "it was loaded ahead");
    let again = read(&nearside.load(smollm2())).await.expect("loaded");
    assert!(matches!(again[..], [LoadEvent::Loaded { .. }]), "{again:?}");

    nearside.unload(Some(smollm2())).await.expect("unloaded");
    assert_eq!(nearside.loaded(), []);
    nearside.unload(Some(smollm2())).await.expect("nothing to do");
    let name = ModelRef::Name { name: "other".into() };
    let error = nearside.unload(Some(name)).await.expect_err("not installed");
    assert_eq!(error.reason(), ErrorReason::ModelNotInstalled);
}

#[tokio::test]
async fn a_load_beside_an_answer_that_runs_or_waits_does_not_wait_for_it() {
    let (_folder, nearside) = open(|config| config.context = Some(8192));
    // The load that both want.
    let answer = nearside.chat(request("Tell a long story about the sea and its ships.", 1500));
    assert!(!answer.next_batch().await.expect("no error").is_empty());
    let model = load(&nearside).await;
    assert!(!model.in_use || answer.next_batch().await.is_ok());
    answer.cancel();
    let running = long_answer(&nearside).await;
    let events = read(&nearside.load(smollm2())).await.expect("loaded");
    assert!(
        matches!(&events[..], [LoadEvent::Loaded { model }] if model.in_use),
        "{events:?}"
    );
    let listed = nearside.loaded();
    assert!(listed[0].in_use && listed[0].idle_ms == 0, "{listed:?}");
    running.cancel();
    let ended = DeviceAnswer::read(&running).await;
    assert_eq!(ended.done().stop, StopReason::Cancelled, "it was running all the time");
}

#[tokio::test]
async fn a_load_without_a_model_says_why() {
    let (_folder, nearside) = open(|_| ());
    let missing = |name: &str| ModelRef::Path { path: name.into() };
    assert_eq!(
        reason(&nearside.load(missing("/nowhere.gguf"))).await,
        ErrorReason::ModelNotInstalled
    );
    let name = ModelRef::Name { name: "other".into() };
    assert_eq!(reason(&nearside.load(name)).await, ErrorReason::ModelNotInstalled);
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.gguf");
    std::fs::write(&broken, "GGUF").expect("a file");
    let broken = missing(&broken.to_string_lossy());
    assert_eq!(reason(&nearside.load(broken)).await, ErrorReason::Damaged);
}

#[tokio::test]
async fn a_load_that_is_cancelled_or_dropped_ends_without_a_model_and_one_that_is_unloaded_with_an_error() {
    let (_folder, nearside) = open(|_| ());
    let cancelled = nearside.load(smollm2());
    assert!(!cancelled.next_batch().await.expect("progress").is_empty());
    cancelled.cancel();
    let rest = read(&cancelled).await.expect("no error");
    assert_eq!(fractions(&rest).len(), rest.len(), "no model: {rest:?}");
    drop(nearside.load(smollm2()));
    wait_until_freed(&nearside).await;

    let unloaded = nearside.load(smollm2());
    assert!(!unloaded.next_batch().await.expect("progress").is_empty());
    nearside.unload(None).await.expect("unloaded");
    match read(&unloaded).await {
        Err(error) => assert_eq!(error.reason(), ErrorReason::Busy, "{error}"),
        Ok(rest) => assert!(matches!(rest.last(), Some(LoadEvent::Loaded { .. })), "{rest:?}"),
    }
    assert_eq!(nearside.loaded(), []);
    load(&nearside).await;
}

#[tokio::test]
async fn an_idle_model_is_freed_after_its_time_and_never_while_it_is_used() {
    // Right after its last job, but not before its first one.
    let (_folder, nearside) = open(|config| config.keep_alive_ms = Some(0));
    load(&nearside).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(nearside.loaded().len(), 1, "it waits for its answer");
    let running = long_answer(&nearside).await;
    assert!(nearside.loaded()[0].in_use);
    running.cancel();
    drop(running);
    wait_until_freed(&nearside).await;
    drop(nearside);

    let (_folder, nearside) = open(|config| config.keep_alive_ms = Some(200));
    for _ in 0..2 {
        DeviceAnswer::read(&nearside.chat(request("Name a river.", 2)))
            .await
            .done();
        wait_until_freed(&nearside).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_the_moment_in_which_its_model_is_freed_is_answered() {
    let (_folder, nearside) = open(|config| {
        config.keep_alive_ms = Some(1);
        config.context = Some(256);
    });
    let nearside = Arc::new(nearside);
    let ask = |pause: Duration| {
        let nearside = Arc::clone(&nearside);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            DeviceAnswer::read(&nearside.chat(request("Name a river.", 1))).await
        })
    };
    for round in 0..30 {
        let answers = [ask(Duration::ZERO), ask(Duration::from_micros(400 * round))];
        for answer in answers {
            let answer = answer.await.expect("no panic");
            assert_ne!(answer.done().stop, StopReason::Cancelled, "{round}");
        }
        tokio::time::sleep(Duration::from_micros(200 * round)).await;
    }
}

#[tokio::test]
async fn layers_on_the_gpu_are_those_of_fit_and_load_and_needs_are_remembered_for_each() {
    let remembered = async |layers: Option<u32>| {
        let (folder, nearside) = open(|config| config.gpu_layers = layers);
        let path = models::path("smollm2.gguf").to_string_lossy().into_owned();
        nearside.import(path).await.expect("imported");
        let installed = nearside.models().await.expect("a list").remove(0);
        let name = ModelRef::Name { name: installed.id };
        let report = nearside
            .fit(name.clone(), FitOptions::default())
            .await
            .expect("a report");
        let options = nearside::engine::BenchOptions {
            prompt_tokens: 0,
            generate_tokens: 1,
            repetitions: 1,
        };
        let measured = nearside.bench(name, options).await.expect("measured");
        assert_eq!(measured.memory.predicted, report.need);
        assert_eq!(measured.memory.measured.weights, report.need.weights);
        assert_eq!(measured.backend, "CPU", "this build has no GPU");
        drop(nearside);
        let state = nearside::state::State::open_in(folder.path()).expect("the file");
        let mut keys: Vec<_> = state.needs().expect("read").into_keys().collect();
        keys.sort();
        keys
    };
    let (all, none) = (remembered(None).await, remembered(Some(0)).await);
    assert_eq!(all.len(), none.len());
    assert!(all.iter().zip(&none).all(|(all, none)| all != none), "{all:?}");
}

/// The library drops its models in order: no thread is inside llama.cpp when the process destroys its statics.
#[test]
fn a_dropped_library_leaves_no_thread_in_llama_cpp() {
    const CHILD: &str = "NEARSIDE_TEST_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let this = std::env::current_exe().expect("this test");
        let name = "a_dropped_library_leaves_no_thread_in_llama_cpp";
        let child = std::process::Command::new(this)
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .status();
        assert!(child.expect("the child runs").success());
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for moment in 0..4 {
            let (_folder, nearside) = open(|_| ());
            match moment {
                0 => drop(load(&nearside).await),
                1 => drop(nearside.load(smollm2()).next_batch().await),
                2 => drop(long_answer(&nearside).await),
                _ => std::mem::forget(long_answer(&nearside).await),
            }
            drop(nearside);
            assert_eq!(model_threads(), 0, "{moment}");
        }
    });
}

/// Returns the number of threads that own a model.
fn model_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "nearside-model").count()
}

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);
