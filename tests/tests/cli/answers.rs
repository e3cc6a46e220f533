//! `nearside chat` with `-p`: chunks for programs, words for people, and which channel each goes to.

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use super::program::{Program, Running, smollm2};

const CAPITAL: &str = "What is the capital of France?";

#[test]
fn json_is_started_first_then_text_then_exactly_one_done() {
    let chat = [
        "chat",
        &smollm2(),
        "-p",
        CAPITAL,
        "--seed",
        "1",
        "--temperature",
        "0",
        "--json",
    ];
    let ran = Program::new().run(chat);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let chunks = ran.lines();
    assert_eq!(chunks[0]["type"], "started");
    assert_eq!(chunks[0]["route"]["target"]["place"], "local");
    let dones: Vec<&Value> = chunks.iter().filter(|chunk| chunk["type"] == "done").collect();
    assert_eq!(dones, [chunks.last().expect("chunks")]);
    let done = dones[0];
    assert_eq!(done["stop"], "end");
    for field in [
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "reasoning_tokens",
    ] {
        assert!(done["usage"][field].is_u64(), "{field}: {done}");
    }
    for field in [
        "load_ms",
        "first_token_ms",
        "prompt_tokens_per_second",
        "tokens_per_second",
    ] {
        assert!(done["timings"][field].as_f64() > Some(0.0), "{field}: {done}");
    }
    assert_eq!(done["receipt"]["cost_usd"], 0.0);
    assert_eq!(done["receipt"]["data_policy"]["region"], "device");
    assert!(text(&chunks).contains("Paris"), "{}", text(&chunks));
}

#[test]
fn the_same_question_with_the_same_seed_has_the_same_answer() {
    let answer = || {
        let chat = [
            "chat",
            &smollm2(),
            "-p",
            "Name an animal.",
            "--seed",
            "7",
            "--temperature",
            "0.9",
            "--json",
        ];
        text(&Program::new().run(chat).lines())
    };
    let first = answer();
    assert!(!first.is_empty());
    assert_eq!(first, answer());
}

#[test]
fn a_person_gets_the_words_on_standard_output_and_the_receipt_on_standard_error() {
    let program = Program::new();
    let chat = ["chat", &smollm2(), "-p", CAPITAL, "--temperature", "0"];
    let ran = program.run(chat);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = program.run(chat.into_iter().chain(["--json"]));
    assert_eq!(ran.out, text(&json.lines()) + "\n");
    let parts: Vec<&str> = ran.err.trim_end().split(" · ").collect();
    let [place, model, tokens, first, rate, cost] = parts.as_slice() else {
        panic!("six parts: {ran:?}");
    };
    assert_eq!((*place, *model, *cost), ("on this device", "smollm2.gguf", "$0"));
    assert!(tokens.ends_with(" tokens") && tokens.contains(" + "), "{tokens}");
    assert!(first.starts_with("first token ") && first.ends_with(" ms"), "{first}");
    assert!(rate.ends_with(" tokens/s"), "{rate}");
}

#[test]
fn the_best_installed_model_answers_where_none_is_named() {
    let (program, id) = Program::with_model();
    let chunks = program
        .run(["chat", "-p", CAPITAL, "--max-tokens", "4", "--json"])
        .lines();
    assert_eq!(chunks[0]["route"]["target"]["model"], id.as_str());
    let done = chunks.last().expect("chunks");
    assert_eq!(done["stop"], "max_tokens");
    assert_eq!(done["usage"]["completion_tokens"], 4);
}

#[test]
fn an_answer_ends_before_a_stop_text() {
    let chat = [
        "chat",
        &smollm2(),
        "-p",
        CAPITAL,
        "--temperature",
        "0",
        "--stop",
        "Paris",
        "--json",
    ];
    let chunks = Program::new().run(chat).lines();
    assert_eq!(chunks.last().expect("chunks")["stop"], "stop_sequence");
    assert!(!text(&chunks).contains("Paris"));
}

#[test]
fn the_question_can_come_from_standard_input() {
    let program = Program::new();
    let asked = ["chat", &smollm2(), "-p", CAPITAL, "--temperature", "0", "--json"];
    let expected = text(&program.run(asked).lines());
    let piped = ["chat", &smollm2(), "-p", "-", "--temperature", "0", "--json"];
    assert_eq!(text(&with_input(&program, &piped, CAPITAL.as_bytes())), expected);
}

#[test]
fn every_line_of_a_pipe_is_a_question_of_one_conversation() {
    let program = Program::new();
    let chat = ["chat", &smollm2(), "--temperature", "0", "--max-tokens", "24", "--json"];
    let chunks = with_input(
        &program,
        &chat,
        format!("{CAPITAL}\n\n/new\n{CAPITAL}\nAnd of Spain?\n").as_bytes(),
    );
    let dones: Vec<&Value> = chunks.iter().filter(|chunk| chunk["type"] == "done").collect();
    let tokens: Vec<u64> = dones
        .iter()
        .filter_map(|done| done["usage"]["prompt_tokens"].as_u64())
        .collect();
    let [first, anew, second] = tokens.as_slice() else {
        panic!("three answers: {tokens:?}");
    };
    assert_eq!(first, anew, "/new forgets");
    assert!(
        second > &(first + 5),
        "the second question carries the first: {tokens:?}"
    );
    assert!(dones[2]["usage"]["cached_tokens"].as_u64() > Some(0), "{}", dones[2]);
}

/// Ten tries: a busy machine may delay some of them, a slow start delays all.
#[test]
fn started_comes_within_fifty_milliseconds() {
    let (program, id) = Program::with_model();
    let fastest = (0..10)
        .map(|_| {
            let begun = Instant::now();
            let mut running = program.start(["chat", &id, "-p", CAPITAL, "--max-tokens", "1", "--json"]);
            assert_eq!(running.line().expect("a chunk")["type"], "started");
            let took = begun.elapsed();
            assert!(running.end().1.success());
            took
        })
        .min()
        .expect("ten tries");
    assert!(fastest.as_millis() < 50, "{fastest:?}");
}

fn with_input(program: &Program, arguments: &[&str], input: &[u8]) -> Vec<Value> {
    let (reading, mut writing) = std::io::pipe().expect("a pipe");
    let running = Running::new(program.command(arguments).stdin(reading).stderr(Stdio::null()));
    writing.write_all(input).expect("it reads");
    drop(writing);
    let (chunks, status) = running.end();
    assert!(status.success(), "{status}");
    chunks
}

fn text(chunks: &[Value]) -> String {
    let texts = chunks.iter().filter(|chunk| chunk["type"] == "text");
    texts.filter_map(|chunk| chunk["text"].as_str()).collect()
}
