//! `nearside chat` with `-p`: chunks for programs, words for people, and which channel each goes to.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::program::{Program, Running, smollm2};

const CAPITAL: &str = "What is the capital of France?";

#[test]
fn json_is_started_first_then_text_then_exactly_one_done() {
    let ran = Program::new().run(ask(CAPITAL, "--seed 1 --temperature 0 --json"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let chunks = ran.lines();
    assert_eq!(chunks[0]["type"], "started");
    assert_eq!(chunks[0]["route"]["target"]["place"], "local");
    let dones: Vec<&Value> = chunks.iter().filter(|chunk| chunk["type"] == "done").collect();
    assert_eq!(dones, [chunks.last().expect("chunks")]);
    let done = dones[0];
    assert_eq!(done["stop"], "end");
    let counts = "prompt_tokens cached_tokens completion_tokens reasoning_tokens";
    for field in counts.split(' ') {
        assert!(done["usage"][field].is_u64(), "{field}: {done}");
    }
    let times = "load_ms first_token_ms prompt_tokens_per_second tokens_per_second";
    for field in times.split(' ') {
        assert!(done["timings"][field].as_f64() > Some(0.0), "{field}: {done}");
    }
    assert_eq!(done["receipt"]["cost_usd"], 0.0);
    assert_eq!(done["receipt"]["data_policy"]["region"], "device");
    assert!(text(&chunks).contains("Paris"), "{}", text(&chunks));
}

#[test]
fn the_same_question_with_the_same_seed_has_the_same_answer() {
    let answer = || {
        let asked = ask("Name an animal.", "--seed 7 --temperature 0.9 --max-tokens 32 --json");
        text(&Program::new().run(asked).lines())
    };
    let first = answer();
    assert!(!first.is_empty());
    assert_eq!(first, answer());
}

#[test]
fn a_person_gets_the_words_on_standard_output_and_the_receipt_on_standard_error() {
    let program = Program::new();
    let ran = program.run(ask(CAPITAL, "--temperature 0"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = program.run(ask(CAPITAL, "--temperature 0 --json"));
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
    let asked = ["chat", "-p", CAPITAL, "--max-tokens", "4", "--json"];
    let chunks = program.run(asked).lines();
    assert_eq!(chunks[0]["route"]["target"]["model"], id.as_str());
    let done = chunks.last().expect("chunks");
    assert_eq!(done["stop"], "max_tokens");
    assert_eq!(done["usage"]["completion_tokens"], 4);
}

#[test]
fn an_answer_ends_before_a_stop_text() {
    let asked = ask(CAPITAL, "--temperature 0 --stop Paris --json");
    let chunks = Program::new().run(asked).lines();
    assert_eq!(chunks.last().expect("chunks")["stop"], "stop_sequence");
    assert!(!text(&chunks).contains("Paris"));
}

#[test]
fn the_question_can_come_from_standard_input() {
    let program = Program::new();
    let expected = text(&program.run(ask(CAPITAL, "--temperature 0 --json")).lines());
    let piped = with_input(&program, &ask("-", "--temperature 0 --json"), CAPITAL);
    assert_eq!(text(&piped), expected);
}

#[test]
fn every_line_of_a_pipe_is_a_question_of_one_conversation() {
    let input = format!("{CAPITAL}\n\n/new\n{CAPITAL}\nAnd of Spain?\n");
    let chat = chat("--temperature 0 --max-tokens 24 --json");
    let chunks = with_input(&Program::new(), &chat, &input);
    let dones: Vec<&Value> = chunks.iter().filter(|chunk| chunk["type"] == "done").collect();
    let usage = |field: &str| -> Vec<u64> { dones.iter().filter_map(|done| done["usage"][field].as_u64()).collect() };
    let [first, anew, second] = usage("prompt_tokens")[..] else {
        panic!("three answers: {dones:?}");
    };
    assert_eq!(first, anew, "/new forgets");
    assert!(second > first + 5, "the second question carries the first: {dones:?}");
    assert!(
        usage("cached_tokens")[2] > 0,
        "what was said is not computed again: {dones:?}"
    );
}

/// Ten tries: a busy machine may delay some of them, a slow start delays all.
#[test]
fn started_comes_before_the_model_is_loaded() {
    let (program, id) = Program::with_model();
    let fastest = (0..10)
        .map(|_| {
            let mut running = program.start(["chat", &id, "-p", CAPITAL, "--max-tokens", "1", "--json"]);
            assert_eq!(running.line().expect("a chunk")["type"], "started");
            let took = running.begun.elapsed();
            assert!(running.end().1.success());
            took
        })
        .min()
        .expect("ten tries");
    println!("started after {fastest:?}");
    assert!(fastest.as_millis() < 500, "{fastest:?}");
}

/// A question to SmolLM2.
fn ask(question: &str, flags: &str) -> Vec<String> {
    [chat(flags), vec!["-p".to_owned(), question.to_owned()]].concat()
}

/// With instructions of ours SmolLM2 answers to the point; those of its template lead it astray.
fn chat(flags: &str) -> Vec<String> {
    let model = smollm2();
    let chat = ["chat", &model, "--system", "You are a helpful assistant."];
    chat.into_iter().chain(flags.split(' ')).map(str::to_owned).collect()
}

fn with_input(program: &Program, arguments: &[String], input: &str) -> Vec<Value> {
    let (reading, mut writing) = std::io::pipe().expect("a pipe");
    let running = Running::new(program.command(arguments).stdin(reading).stderr(Stdio::null()));
    writing.write_all(input.as_bytes()).expect("it reads");
    drop(writing);
    let (chunks, status) = running.end();
    assert!(status.success(), "{status}");
    chunks
}

fn text(chunks: &[Value]) -> String {
    let texts = chunks.iter().filter(|chunk| chunk["type"] == "text");
    texts.filter_map(|chunk| chunk["text"].as_str()).collect()
}
