//! `--json`, command by command: the fields that stay.

use nearside_tests::models;
use serde_json::Value;

use super::program::{FILE, Program, REFERENCE, SHA256, SIZE, hub, smollm2};

#[test]
fn fit_gives_the_verdict_the_parts_and_the_budget() {
    let report = Program::new()
        .run(["fit", &smollm2(), "--context", "2048", "--json"])
        .object();
    assert_eq!(report["verdict"], "fits");
    assert_eq!(report["context"], 2048);
    assert_eq!(report["cache_type"], "f16");
    assert_eq!(report["network_bytes"], 0);
    assert_eq!(report["size_bytes"], SIZE);
    assert!(report["suggestions"].is_array());
    assert!(report["budget"]["bytes"].as_u64() > Some(0) && report["budget"]["source"].is_string());
    let need = &report["need"];
    let parts: u64 = ["weights", "cache", "compute", "other"]
        .iter()
        .map(|part| need[part].as_u64().unwrap_or_else(|| panic!("{part} in {need}")))
        .sum();
    assert_eq!(need["total"], parts);
}

#[test]
fn fit_tells_that_a_model_has_a_smaller_context_than_was_asked_for() {
    let program = Program::new();
    let arguments = ["fit", &smollm2(), "--context", "99999"];
    let report = program.run(arguments.iter().chain(&["--json"])).object();
    assert_eq!(
        (&report["context"], &report["requested_context"]),
        (&Value::from(8192), &Value::from(99_999))
    );
    let note = report["note"].as_str().expect("a note");
    assert!(note.contains("8192") && note.contains("99999"), "{note}");
    assert!(program.run(arguments).out.contains(note));
    let usual = program.run(["fit", &smollm2(), "--json"]).object();
    assert_eq!(
        (&usual["requested_context"], &usual["note"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn an_answer_stays_within_the_context_that_was_asked_for() {
    let flags = ["--context", "400", "--temperature", "0", "--json"];
    let model = smollm2();
    let chat = [
        "chat",
        &model,
        "-p",
        "Write a very long story about the sea, with every detail.",
    ];
    let ran = Program::new().run(chat.iter().chain(&flags));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let done = ran.lines().pop().expect("chunks");
    let count = |field: &str| done["usage"][field].as_u64().expect(field);
    let tokens = count("prompt_tokens") + count("completion_tokens");
    // The last one is not fed back, so it needs no place.
    assert!(tokens <= 401, "{tokens} tokens");
    assert!(done["stop"] == "context_full" || done["stop"] == "end", "{done}");
}

#[test]
fn fit_of_a_seven_billion_model_is_right_to_the_byte() {
    let model = models::path("r1-7b.gguf");
    let model = model.to_str().expect("a UTF-8 path");
    let report = Program::new()
        .run(["fit", model, "--context", "4096", "--cache", "f16", "--json"])
        .object();
    assert_eq!(report["need"]["weights"], 4_677_120_000_u64);
    assert_eq!(report["need"]["cache"], 234_881_024);
}

#[test]
fn fit_succeeds_whatever_the_verdict() {
    for (budget, bytes) in [("50MB", 50_000_000), ("50MiB", 52_428_800), ("50000000", 50_000_000)] {
        let report = Program::new()
            .run(["fit", &smollm2(), "--budget", budget, "--json"])
            .object();
        assert_eq!(report["verdict"], "too_large", "{report}");
        assert_eq!(report["budget"]["bytes"], bytes);
    }
}

#[test]
fn pull_tells_what_it_does_and_the_store_has_it_then() {
    let hub = hub(|hub| hub);
    let program = Program::new();
    let ran = program.run(["pull", REFERENCE, "--hub", &hub.url(), "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events = ran.lines();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let mut order = kinds.clone();
    order.dedup();
    assert_eq!(order, ["resolved", "progress", "verifying", "installed"], "{kinds:?}");
    assert_eq!(events[0]["name"], FILE);
    assert_eq!(events[0]["size_bytes"], SIZE);
    let progress: Vec<&Value> = events.iter().filter(|event| event["type"] == "progress").collect();
    assert!(
        progress
            .iter()
            .all(|event| event["total"] == SIZE && event["bytes_per_second"].is_u64())
    );
    assert!(progress.is_sorted_by_key(|event| event["done"].as_u64()));
    assert_eq!(progress.last().expect("progress")["done"], SIZE);
    let installed = events.last().expect("events");
    assert_eq!(installed["sha256"], SHA256);
    assert_eq!(installed["size_bytes"], SIZE);
    let path = installed["path"].as_str().expect("a path");
    assert_eq!(std::fs::metadata(path).expect("the file").len(), SIZE);

    let listed = program.run(["ls", "--json"]).object();
    let [model] = listed["models"].as_array().expect("models").as_slice() else {
        panic!("one model: {listed}");
    };
    for field in ["id", "path", "sha256", "size_bytes"] {
        assert_eq!(model[field], installed[field], "{field}");
    }
    assert_eq!(model["quantization"], "Q4_1");
    assert_eq!(model["architecture"], "llama");
    assert_eq!(model["context_length"], 8192);

    let id = installed["id"].as_str().expect("an id");
    let removed = program.run(["rm", "--yes", id, "--json"]).object();
    assert_eq!(removed["id"], id);
    assert_eq!(
        program.run(["ls", "--json"]).object(),
        serde_json::json!({"models": [], "partial": []})
    );
    assert!(!std::path::Path::new(path).exists());
}

#[test]
fn pull_fetches_nothing_twice() {
    let hub = hub(|hub| hub);
    let program = Program::new();
    let pull = ["pull", REFERENCE, "--hub", &hub.url(), "--json"];
    let report = program.run(["fit", REFERENCE, "--hub", &hub.url(), "--json"]).object();
    let head = hub.bytes_sent();
    assert!(head < 8_000_000, "the head took {head} bytes");
    assert_eq!(report["network_bytes"].as_u64(), Some(head));
    assert_eq!(program.run(pull).code, Some(0));
    let whole = hub.bytes_sent();
    assert!(whole < SIZE + 100_000, "{whole} bytes for a file of {SIZE}");
    let again = program.run(pull).lines();
    assert_eq!(again.last().expect("events")["type"], "installed");
    assert_eq!(hub.bytes_sent(), whole);
}

#[test]
fn import_names_and_hashes_a_file_and_leaves_it_where_it_is() {
    let program = Program::new();
    let model = program.run(["import", &smollm2(), "--json"]).object();
    assert_eq!(model["sha256"], SHA256);
    assert_eq!(model["size_bytes"], SIZE);
    assert!(std::path::Path::new(&smollm2()).is_file());
    let id = model["id"].as_str().expect("an id");
    let by_name = program.run(["fit", id, "--json"]).object();
    assert_eq!(by_name["size_bytes"], SIZE);
}

#[test]
fn bench_gives_rates_times_and_memory() {
    let (program, id) = Program::with_model();
    let flags = "-p 32 -n 8 -r 2 --gpu-layers 0 --json".split(' ');
    let report = program.run(["bench", &id].into_iter().chain(flags)).object();
    assert_eq!(report["model"]["id"], id.as_str());
    assert_eq!(report["model"]["sha256"], SHA256);
    assert_eq!(report["model"]["quantization"], "Q4_1");
    assert_eq!(report["backend"], "CPU");
    assert!(report["build"].is_string());
    assert!(report["threads"].as_u64() > Some(0));
    for (test, tokens) in [("prompt", 32), ("generate", 8)] {
        assert_eq!(report[test]["tokens"], tokens);
        let rates = report[test]["tokens_per_second"].as_array().expect("rates");
        assert_eq!(rates.len(), 2, "one for each repetition");
        assert!(rates.iter().all(|rate| rate.as_f64() > Some(0.0)), "{rates:?}");
    }
    for time in ["first_token_ms", "load_ms"] {
        assert!(report[time].as_f64() > Some(0.0), "{time}: {report}");
    }
    for part in ["weights", "cache", "compute", "other", "total"] {
        assert!(report["memory"]["predicted"][part].is_u64(), "{part}: {report}");
    }
    for part in ["weights", "cache", "compute", "peak_rss"] {
        assert!(report["memory"]["measured"][part].is_u64(), "{part}: {report}");
    }
}

#[test]
fn doctor_tells_the_machine_the_models_and_the_problems() {
    let program = Program::new();
    let report = program.run(["doctor", "--json"]).object();
    assert!(report["device"]["memory_total"].as_u64() > Some(0));
    assert!(report["device"]["threads"].as_u64() > Some(0));
    assert_eq!(report["models"], serde_json::json!([]));
    assert_eq!(report["build"]["data_dir"], program.data_dir().to_str().expect("UTF-8"));
    let problems = report["problems"].as_array().expect("problems");
    assert!(
        problems.iter().any(|problem| problem["id"] == "no_models"),
        "{problems:?}"
    );
    for problem in problems {
        assert!(
            problem["text"].is_string() && problem["remedy"].is_string(),
            "{problem}"
        );
    }

    let (program, id) = Program::with_model();
    let report = program.run(["doctor", "--json"]).object();
    assert_eq!(report["models"][0]["id"], id.as_str());
    assert_eq!(report["models"][0]["verdict"], "fits");
}

#[test]
fn doctor_finds_a_directory_that_cannot_be_used() {
    let program = Program::new();
    let file = program.data_dir().with_file_name("file");
    std::fs::write(&file, "in the way").expect("a file");
    let report = program
        .run(["doctor", "--json", "--data-dir", file.to_str().expect("UTF-8")])
        .object();
    let problems = report["problems"].as_array().expect("problems");
    assert!(
        problems.iter().any(|problem| problem["id"] == "data_dir"),
        "{problems:?}"
    );
}
