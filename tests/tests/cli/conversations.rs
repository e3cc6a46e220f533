//! `nearside chat` as a conversation that is stored, and `nearside conversations`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nearside_tests::provider::{Dialect, Provider, Scenario};
use serde_json::Value;

use super::image::own_server;
use super::program::{Program, Ran, smollm2, turn};

/// Runs `chat` with SmolLM2 and these lines as its prompts.
fn chat(program: &Program, flags: &str, lines: &str) -> Ran {
    let model = smollm2();
    let flags = flags.split(' ').filter(|flag| !flag.is_empty());
    let arguments: Vec<&str> = ["chat", &model].into_iter().chain(flags).collect();
    converse(program, &arguments, lines)
}

pub(super) fn converse(program: &Program, arguments: &[&str], lines: &str) -> Ran {
    let (reading, mut writing) = std::io::pipe().expect("a pipe");
    let mut command = program.command(arguments);
    let _turn = turn(&command);
    let child = command
        .stdin(reading)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    writing.write_all(lines.as_bytes()).expect("it reads");
    drop((writing, command));
    Ran::new(child.wait_with_output().expect("it ends"))
}

pub(super) fn listed(program: &Program) -> Vec<Value> {
    let listing = program.run(["conversations", "list", "--json"]).object();
    listing["conversations"].as_array().expect("a list").clone()
}

fn prompt_tokens(ran: &Ran) -> Vec<u64> {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let chunks = ran.lines().into_iter().filter(|chunk| chunk["type"] == "done");
    chunks
        .filter_map(|done| done["usage"]["prompt_tokens"].as_u64())
        .collect()
}

/// Returns whether a file below this directory contains the word.
fn is_in_a_file(word: &str, directory: &Path) -> bool {
    std::fs::read_dir(directory)
        .expect("a directory")
        .flatten()
        .any(|entry| {
            let path = entry.path();
            match path.is_dir() {
                true => is_in_a_file(word, &path),
                false => {
                    let bytes = std::fs::read(&path).expect("a file");
                    bytes.windows(word.len()).any(|window| window == word.as_bytes())
                }
            }
        })
}

#[test]
fn a_conversation_is_stored_goes_on_later_and_is_listed_shown_searched_exported_and_erased() {
    let program = Program::new();
    let flags = "--max-tokens 8 --temperature 0 --json";
    let first = prompt_tokens(&chat(&program, flags, "My name is qwertyplant.\nWhat is it?\n"));
    let [conversation] = &listed(&program)[..] else {
        panic!("one conversation");
    };
    let id = conversation["id"].to_string();
    assert_eq!(conversation["title"], "My name is qwertyplant.");
    assert_eq!(conversation["messages"], 4);
    let file = program.data_dir().join("conversations.db");
    let mode = std::fs::metadata(file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let updated = conversation["updated"].as_str().expect("a time");
    assert!(updated.starts_with("20") && updated.ends_with('Z'), "{updated}");

    // Another process goes on, with the conversation's own model.
    let more = converse(
        &program,
        &["chat", "--conversation", &id, "--max-tokens", "8", "--json"],
        "And again?\n",
    );
    let more = prompt_tokens(&more);
    assert!(more[0] > first[1], "with its history: {first:?} {more:?}");
    let once = program.run([
        "chat",
        "-p",
        "A last one?",
        "--conversation",
        &id,
        "--max-tokens",
        "4",
        "--json",
    ]);
    assert!(prompt_tokens(&once)[0] > more[0], "with `-p` as well");
    assert_eq!(listed(&program)[0]["messages"], 8);

    let shown = program.run(["conversations", "show", &id, "--json"]).object();
    let messages = shown["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 8);
    assert_eq!(
        (&messages[0]["role"], &messages[1]["role"]),
        (&Value::from("user"), &Value::from("assistant"))
    );
    assert_eq!(messages[1]["state"]["type"], "done");
    let page = program.run(["conversations", "show", &id]);
    assert!(page.out.contains("## You\n\nMy name is qwertyplant."), "{page:?}");
    let hits = program
        .run(["conversations", "search", "name", "qwerty", "--json"])
        .object();
    assert_eq!(hits["hits"][0]["id"].to_string(), id);
    assert_eq!(hits["hits"][0]["snippet"], "My name is qwertyplant.");
    let exported = program.run(["conversations", "export", &id, "--json"]);
    let exported: Value = serde_json::from_str(&exported.out).expect("JSON");
    assert_eq!(exported["summary"]["messages"], 8);
    let markdown = program.run(["conversations", "export", &id]);
    assert_eq!(markdown.out, page.out);

    let removed = program.run(["conversations", "rm", "--yes", &id, "--json"]).object();
    assert_eq!(removed["removed"].to_string(), id);
    assert!(listed(&program).is_empty());
    assert!(!is_in_a_file("qwertyplant", &program.data_dir()), "no byte is left");
    for arguments in [
        vec!["conversations", "show", &id],
        vec!["conversations", "rm", "--yes", &id],
        vec!["chat", "--conversation", &id, "-p", "x"],
    ] {
        let ran = program.run(&arguments);
        assert!(
            ran.error().0.contains("there is no conversation"),
            "{arguments:?}: {ran:?}"
        );
    }
}

#[test]
fn a_chat_whose_conversation_another_process_erases_says_so_at_its_end() {
    let (program, provider) = own_server();
    provider.play(Scenario::Slow {
        tokens: 40,
        per_second: 4.0,
    });
    let (reading, mut writing) = std::io::pipe().expect("a pipe");
    let mut command = program.command(["chat", "--provider", "studio", "--json"]);
    command.stdin(reading).stderr(std::process::Stdio::piped());
    let mut running = super::program::Running::new(&mut command);
    writing
        .write_all(b"Tell a long story about the sea.\n")
        .expect("it reads");
    running.until("text");
    let id = listed(&program)[0]["id"].to_string();
    let removed = program.run(["conversations", "rm", "--yes", &id]);
    assert!(listed(&program).is_empty(), "{removed:?}");
    drop((writing, command));
    let (lines, status) = running.end();
    assert_eq!(status.code(), Some(1));
    let error = &lines.last().expect("a line")["error"];
    assert_eq!(error["reason"], "not_found", "{error}");
    let text = error["text"].as_str().expect("a text");
    assert!(text.contains("was erased") && text.contains("not stored"), "{text}");
    assert!(lines.iter().any(|line| line["type"] == "text"), "its text was given");
}

#[test]
fn a_long_conversation_goes_on_beyond_the_context() {
    let program = Program::new();
    let lines: String = (0..10)
        .map(|n| format!("{n}: {}\n", "tell me about the sea and its tides. ".repeat(6)))
        .collect();
    let tokens = prompt_tokens(&chat(&program, "--context 512 --max-tokens 16 --json", &lines));
    assert_eq!(tokens.len(), 10, "every prompt has an answer: {tokens:?}");
    assert!(tokens.iter().all(|tokens| *tokens < 512), "{tokens:?}");
    assert_eq!(listed(&program)[0]["messages"], 20, "and all of it is stored");
}

#[test]
fn new_begins_another_and_the_system_prompt_is_set_and_removed() {
    let program = Program::new();
    let lines = "One?\n/system Be brief.\nTwo?\n/new\nThree?\n/system\nFour?\n";
    let ran = chat(&program, "--max-tokens 4", lines);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("applies from here on") && ran.err.contains("is removed"),
        "{ran:?}"
    );
    let conversations = listed(&program);
    let titles: Vec<&str> = conversations
        .iter()
        .filter_map(|entry| entry["title"].as_str())
        .collect();
    assert_eq!(titles, ["Three?", "One?"]);
    let id = conversations[1]["id"].to_string();
    assert!(ran.err.contains(&format!("stored as conversation {id}")), "{ran:?}");
    let exported = program.run(["conversations", "export", &id, "--json"]);
    let exported: Value = serde_json::from_str(&exported.out).expect("JSON");
    assert_eq!(exported["summary"]["settings"]["system"], "Be brief.");
    let page = program.run(["conversations", "show", &conversations[0]["id"].to_string()]);
    assert!(!page.out.contains("Be brief."), "{page:?}");
}

#[test]
fn with_forget_and_with_a_single_prompt_no_file_has_a_word() {
    let program = Program::new();
    let ran = chat(&program, "--forget --max-tokens 4", "qwertyplant?\nAnd again?\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.err.contains("stored as"), "{ran:?}");
    let once = program.run(["chat", &smollm2(), "-p", "qwertyplant?", "--max-tokens", "4"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert!(listed(&program).is_empty());
    assert!(!is_in_a_file("qwertyplant", &program.data_dir()));
}

#[test]
fn what_is_recorded_after_an_answer_is_there_however_fast_the_program_ends() {
    let provider = Provider::builder(Dialect::LlamaServer).start().expect("a provider");
    provider.otherwise(Scenario::plain("So."));
    let program = Program::new();
    let added = program.run([
        "providers",
        "add",
        "llama-server",
        "--base-url",
        &provider.url(),
        "--model",
        "m",
    ]);
    assert_eq!(added.code, Some(0), "{added:?}");
    for n in 1..=10 {
        let ran = program.run(["chat", "-p", "Why?", "--provider", "llama-server", "--yes", "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let spent = program.run(["cost", "--spent", "--by", "provider", "--json"]).out;
        let rows: Value = serde_json::from_str(&spent).expect("JSON");
        assert_eq!(rows[0]["requests"], n, "{rows}");
    }
}
