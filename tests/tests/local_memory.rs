//! One memory budget: fit report, route and load agree on a phone whose app has 2 GB left on a 16 GB machine, a loaded
//! model does not count against itself, and idle models are freed only as far as another one needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside::chat::{ChatMessage, ChatRequest, Chunk, RequestLimits, RouteRule, Timings};
use nearside::device::Host;
use nearside::model::{FitOptions, FitReport, FitVerdict, ModelRef};
use nearside::route::RouteDecision;
use nearside::state::State;
use nearside::{AppEvent, Config, Error, ErrorKind, ErrorReason, Nearside, Result};
use nearside_tests::gguf::Layout;
use nearside_tests::memory::PhoneHost;
use nearside_tests::{models, tiny_models};

fn open(host: Arc<dyn Host>) -> (tempfile::TempDir, Nearside) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(2048),
        threads: Some(1),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::with_host(config, host).expect("the library opens");
    (folder, nearside)
}

fn ask(model: &Path) -> ChatRequest {
    ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        limits: RequestLimits {
            max_tokens: Some(2),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user("Name a river.")])
    }
}

async fn answer(nearside: &Nearside, request: ChatRequest) -> Result<Timings> {
    let stream = nearside.chat(request);
    loop {
        for chunk in stream.next_batch().await? {
            if let Chunk::Done { summary } = chunk {
                return Ok(summary.timings);
            }
        }
    }
}

async fn fit(nearside: &Nearside, model: &Path) -> Result<FitReport> {
    let path = model.to_string_lossy().into_owned();
    nearside.fit(ModelRef::Path { path }, FitOptions::default()).await
}

/// Returns the rule that keeps a model from answering; `None` if it is the target.
async fn rejected_by(nearside: &Nearside, model: &Path) -> Option<RouteRule> {
    match nearside.route(ask(model)).await.expect("a decision") {
        RouteDecision::Route { .. } => None,
        RouteDecision::NoRoute { rule, .. } => Some(rule),
        other => panic!("{other:?}"),
    }
}

/// Measures the model in a budget that holds it; the load is what the engine really did.
async fn load(nearside: &Nearside, model: &Path) -> Result<u64> {
    let options = nearside::engine::BenchOptions {
        prompt_tokens: 0,
        generate_tokens: 1,
        repetitions: 1,
    };
    let path = model.to_string_lossy().into_owned();
    let report = nearside.bench(ModelRef::Path { path }, options).await?;
    Ok(report.memory.predicted.total)
}

/// Returns a further file with SmolLM2, which is another model for the library.
fn another(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let whole = models::path("smollm2.gguf");
    std::fs::hard_link(&whole, &path)
        .or_else(|_| std::fs::copy(&whole, &path).map(drop))
        .expect("a copy");
    path
}

#[tokio::test]
async fn two_gigabytes_left_are_the_budget_of_fit_route_and_load() {
    let (_folder, nearside) = open(PhoneHost::with_left(2_000_000_000));
    let (large, small) = (models::path("r1-7b.gguf"), models::path("smollm2.gguf"));

    let report = fit(&nearside, &large).await.expect("a report");
    assert_eq!(report.verdict, FitVerdict::TooLarge);
    assert_eq!(report.budget.bytes, 1_800_000_000, "the host's figure less a tenth");
    assert_eq!(report.budget.source, "host less a reserve");
    assert_eq!(rejected_by(&nearside, &large).await, Some(RouteRule::Memory));
    // A benchmark asks no router: this is the load's own refusal.
    let error = load(&nearside, &large).await.expect_err("too large");
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::TooLarge, ErrorReason::ModelTooLarge)
    );
    assert!(error.to_string().contains("1.8 GB"), "{error}");

    let report = fit(&nearside, &small).await.expect("a report");
    assert_eq!((report.verdict, report.budget.bytes), (FitVerdict::Fits, 1_800_000_000));
    assert_eq!(rejected_by(&nearside, &small).await, None);
    answer(&nearside, ask(&small)).await.expect("an answer");
    assert_eq!(nearside.device().expect("a snapshot").memory_available, 2_000_000_000);
}

#[tokio::test]
async fn whatever_is_left_fit_route_and_load_agree() {
    let small = models::path("smollm2.gguf");
    let host = PhoneHost::with_left(8_000_000_000);
    let (_folder, nearside) = open(host.clone());
    let whole = fit(&nearside, &small).await.expect("a report").need.total;
    let reserve = 64_000_000;
    let mut seen = Vec::new();
    for budget in [whole, whole - 1, whole * 9 / 10, whole * 8 / 10, whole / 2, 1] {
        host.set_left(budget + reserve);
        let report = fit(&nearside, &small).await.expect("a report");
        assert_eq!(report.budget.bytes, budget);
        let loaded = load(&nearside, &small).await;
        match report.verdict {
            FitVerdict::TooLarge => {
                let error = loaded.expect_err("fit refused it");
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
                // What the load measured is remembered: the route knows it now, too.
                assert_eq!(
                    rejected_by(&nearside, &small).await,
                    Some(RouteRule::Memory),
                    "{budget}"
                );
            }
            FitVerdict::Fits | FitVerdict::Tight => {
                assert_eq!(loaded.expect("fit allowed it"), report.need.total, "{budget}");
            }
        }
        seen.push(report.verdict);
        nearside.unload(None).await.expect("unloaded");
    }
    assert!(
        seen.contains(&FitVerdict::Fits) && seen.contains(&FitVerdict::TooLarge),
        "{seen:?}"
    );
}

#[tokio::test]
async fn zero_from_the_host_is_not_told_and_pressure_lowers_the_budget() {
    let host = PhoneHost::with_left(0);
    let (_folder, nearside) = open(host.clone());
    let small = models::path("smollm2.gguf");
    let report = fit(&nearside, &small).await.expect("a report");
    assert_ne!(report.budget.source, "host less a reserve");
    assert!(report.budget.bytes > 0);
    host.set_left(1_000_000_000);
    assert_eq!(
        fit(&nearside, &small).await.expect("a report").budget.bytes,
        900_000_000
    );
    nearside.notify(AppEvent::MemoryLow);
    let report = fit(&nearside, &small).await.expect("a report");
    assert_eq!(report.budget.bytes, 750_000_000);
    assert_eq!(report.budget.source, "host less a reserve under memory pressure");
}

#[tokio::test]
async fn a_model_that_runs_fits() {
    let host = PhoneHost::with_left(2_000_000_000);
    let (_folder, nearside) = open(host.clone());
    let small = models::path("smollm2.gguf");
    let before = fit(&nearside, &small).await.expect("a report");
    answer(&nearside, ask(&small)).await.expect("an answer");
    // Its memory is missing from what the host reports now, and more besides.
    host.set_left(100_000_000);
    let running = fit(&nearside, &small).await.expect("a report");
    assert_eq!((running.verdict, running.load), (FitVerdict::Fits, before.load));
    assert_eq!(running.need, before.need);
    assert_eq!(rejected_by(&nearside, &small).await, None);
    assert_eq!(answer(&nearside, ask(&small)).await.expect("an answer").load_ms, 0.0);
    nearside.unload(None).await.expect("unloaded");
    assert_eq!(
        fit(&nearside, &small).await.expect("a report").verdict,
        FitVerdict::TooLarge
    );
}

#[tokio::test]
async fn models_asked_at_the_same_moment_are_never_unloaded_for_each_other() {
    let (folder, nearside) = open(PhoneHost::with_left(4_000_000_000));
    let nearside = Arc::new(nearside);
    let files: Vec<_> = ["a.gguf", "b.gguf", "c.gguf"]
        .map(|name| another(folder.path(), name))
        .into();
    for round in 0..12 {
        let answers = files.iter().map(|file| {
            let (nearside, request) = (Arc::clone(&nearside), ask(file));
            tokio::spawn(async move { answer(&nearside, request).await })
        });
        for answer in answers.collect::<Vec<_>>() {
            let timings = answer.await.expect("no panic").expect("an answer");
            assert!(
                round == 0 || timings.load_ms == 0.0,
                "there is memory for all: {timings:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_model_that_cannot_chat_is_told_by_fit_and_is_not_loaded_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_data, nearside) = open(PhoneHost::with_left(2_000_000_000));
    let whole = Layout::read(&models::path("smollm2.gguf"));
    let key = whole.key("tokenizer.chat_template").expect("a template");
    let length = key.value.len() - 8;
    let with_template = |name: &str, template: &str| {
        let mut text = template.as_bytes().to_vec();
        text.resize(length, b' ');
        let path = folder.path().join(name);
        std::fs::copy(models::path("smollm2.gguf"), &path).expect("a copy");
        let patched = whole.patched(key.value.start + 8, &text);
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("a file");
        std::os::unix::fs::FileExt::write_all_at(&file, &patched.bytes, 0).expect("written");
        path
    };

    let broken = with_template("broken.gguf", "{% if %}");
    for error in [
        fit(&nearside, &broken).await.expect_err("broken"),
        answer(&nearside, ask(&broken)).await.expect_err("broken"),
        nearside.route(ask(&broken)).await.expect_err("broken"),
    ] {
        says(&error, "template in the model's file is broken");
    }

    let raising = with_template("raising.gguf", "{{ raise_exception('users come first') }}");
    let mut waits = Vec::new();
    for _ in 0..3 {
        let asked = Instant::now();
        let error = answer(&nearside, ask(&raising)).await.expect_err("it raises");
        waits.push(asked.elapsed());
        says(&error, "template in the model's file is broken");
        assert!(error.to_string().contains("users come first"), "{error}");
    }
    println!("an answer that fails: {waits:?}");
    // The load state is known to the route: a failed engine is not one that fits.
    says(&nearside.route(ask(&raising)).await.expect_err("remembered"), "broken");

    // The key is renamed, so the file has no template.
    let base = folder.path().join("base.gguf");
    std::fs::copy(models::path("smollm2.gguf"), &base).expect("a copy");
    let renamed = whole.patched(key.whole.start + 8, b"tokenizer.chat_tempnone");
    let file = std::fs::OpenOptions::new().write(true).open(&base).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&file, &renamed.bytes, 0).expect("written");
    let report = fit(&nearside, &base).await.expect("a report");
    assert!(report.note.expect("a note").contains("no chat template"));
    let error = answer(&nearside, ask(&base)).await.expect_err("no chat model");
    says(&error, "is no chat model");
    load(&nearside, &base).await.expect("it can be measured");
    says(
        &answer(&nearside, ask(&base)).await.expect_err("no chat model"),
        "is no chat model",
    );
}

fn says(error: &Error, text: &str) {
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Unsupported, ErrorReason::Unsupported),
        "{error}"
    );
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn a_decision_measures_only_the_model_that_is_named_and_remembers_it_by_content() {
    // In this budget the size of SmolLM2 settles nothing.
    let (folder, nearside) = open(PhoneHost::with_left(1_000_000_000));
    for seed in 0..10 {
        let path = folder.path().join(format!("tiny-{seed}.gguf"));
        std::fs::write(&path, tiny_models::model(100_000, seed)).expect("a file");
        nearside
            .import(path.to_string_lossy().into_owned())
            .await
            .expect("imported");
        std::fs::remove_file(&path).expect("removed");
    }
    let small = models::path("smollm2.gguf").to_string_lossy().into_owned();
    let id = nearside.import(small).await.expect("imported").id;
    let decision = nearside.route(ask(Path::new(&id))).await.expect("a decision");
    let RouteDecision::Route { route } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(route.target.to_string(), id);
    drop(nearside);

    let state = State::open_in(folder.path()).expect("the file");
    let needs = state.needs().expect("read");
    assert!(!needs.is_empty(), "it was measured");
    for key in needs.keys() {
        assert!(key.starts_with(models::SMOLLM2_SHA256), "only it was: {key}");
        assert!(!key.contains('/'), "and no path is in {key}");
    }
    drop(state);

    // The folder moves, as an app's does with each update on iOS: nothing is measured again.
    let moved = tempfile::tempdir().expect("a folder");
    let at = moved.path().join("moved");
    std::fs::rename(folder.path(), &at).expect("moved");
    let config = Config {
        context: Some(2048),
        threads: Some(1),
        ..Config::new(at.to_string_lossy())
    };
    let nearside = Nearside::with_host(config, PhoneHost::with_left(1_000_000_000)).expect("the library opens");
    nearside.route(ask(Path::new(&id))).await.expect("a decision");
    drop(nearside);
    let state = State::open_in(&at).expect("the file");
    assert_eq!(state.needs().expect("read"), needs);
    std::fs::create_dir(folder.path()).expect("for its end");
}

#[tokio::test]
async fn a_deadline_ends_load_prefill_and_decoding_in_time() {
    let (_folder, nearside) = open(PhoneHost::with_left(4_000_000_000));
    let small = models::path("smollm2.gguf");
    let timed = async |deadline_ms: u64, text: &str| {
        let mut request = ask(&small);
        request.messages = vec![ChatMessage::user(text)];
        request.limits.max_tokens = None;
        request.limits.deadline_ms = Some(deadline_ms);
        let asked = Instant::now();
        let error = answer(&nearside, request).await.expect_err("the deadline passed");
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Busy, ErrorReason::DeadlineExceeded),
            "{error}"
        );
        asked.elapsed()
    };
    let long: String = (0..230).map(|n| format!("item {n} is here; ")).collect();
    println!("before the load: {:?}", timed(1, "Hello").await);
    answer(&nearside, ask(&small)).await.expect("loaded");
    for (deadline_ms, text) in [(1, "Hello"), (60, long.as_str()), (300, "Tell a long story.")] {
        // Far below the half second after which the router gives an engine up. On a busy machine one in ten has to be.
        let limit = Duration::from_millis(deadline_ms) + Duration::from_millis(400);
        let mut least = Duration::MAX;
        for _ in 0..10 {
            least = least.min(timed(deadline_ms, text).await);
            if least < limit {
                break;
            }
        }
        println!("{deadline_ms} ms: {least:?}");
        assert!(least < limit, "{deadline_ms}: {least:?}");
    }
    // The model is still there, and so is its cache.
    assert_eq!(answer(&nearside, ask(&small)).await.expect("an answer").load_ms, 0.0);
}
