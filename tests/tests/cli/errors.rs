//! Errors as people read them: the library's text whole, and help that is about what they asked.

use nearside_tests::provider::Scenario;
use serde_json::json;

use super::program::{Program, Ran, hub};
use super::providers::groq;

#[test]
fn an_answer_that_breaks_off_is_told_without_a_call_of_the_library() {
    for (scenario, word) in [
        (Scenario::Truncated { text: "The".into() }, "The"),
        (Scenario::Reset { text: "The".into() }, "The"),
        (
            Scenario::Truncated {
                text: "The moon and".into(),
            },
            "The moon and",
        ),
    ] {
        let (program, provider) = groq();
        provider.play(scenario);
        let ran = chat(&program, &[]);
        assert_eq!((ran.code, ran.out.trim()), (Some(1), word), "{ran:?}");
        let (what, help) = error_lines(&ran);
        assert!(what.contains("groq") && what.contains("continue it"), "{what}");
        assert!(help.contains("send the prompt again"), "{help}");
        for text in ["continue_remotely", "--hub", "HF_TOKEN"] {
            assert!(!ran.err.contains(text), "{}", ran.err);
        }
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_no_reason_to_ask_another_hub() {
    for scenario in [
        Scenario::Garbage,
        Scenario::WrongContentType,
        Scenario::BrokenJson { text: "The".into() },
        Scenario::NoContent,
    ] {
        let (program, provider) = groq();
        provider.otherwise(scenario.clone());
        let ran = chat(&program, &[]);
        if ran.code == Some(0) {
            continue;
        }
        let (_, help) = error_lines(&ran);
        assert!(!help.contains("--hub"), "{scenario:?}: {help}");
        assert!(!help.contains("HF_TOKEN"), "{scenario:?}: {help}");
    }
}

#[test]
fn a_cut_is_told_as_the_users_limit_only_if_there_is_one() {
    let cut = || Scenario::FinishReason {
        text: "The moon".into(),
        reason: "length".into(),
    };
    let (program, provider) = groq();
    provider.otherwise(cut());
    let ran = chat(&program, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("cut off at the provider's own limit"), "{}", ran.err);
    assert!(!ran.err.contains("--max-tokens"), "{}", ran.err);
    let ran = chat(&program, &["--max-tokens", "1"]);
    assert!(ran.err.contains("cut off at `--max-tokens`"), "{}", ran.err);
}

#[test]
fn a_text_is_never_cut_into_help() {
    let program = Program::new();
    let folder = program.data_dir().with_file_name("a; b");
    std::fs::write(&folder, "in the way").expect("a file");
    let ran = program.run(["ls", "--data-dir", folder.to_str().expect("UTF-8")]);
    let (what, help) = ran.error();
    assert!(what.contains("a; b"), "{what}");
    assert!(help.starts_with("check the path"), "{help}");
}

#[test]
fn gated_terms_are_told_with_the_page_on_the_hub_that_was_asked() {
    let hub = hub(|hub| hub.gated(super::program::REPO, "hf_secret"));
    let program = Program::new();
    let mut command = program.command(["fit", super::program::REFERENCE]);
    let output = command
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", "hf_other")
        .output();
    let words = String::from_utf8(output.expect("it starts").stderr).expect("UTF-8");
    let page = format!("{}/{}", hub.url(), super::program::REPO);
    assert!(words.contains(&format!("help: accept the terms on {page}")), "{words}");
    assert!(!words.contains("hf_other"), "{words}");
}

#[test]
fn json_says_the_reason_where_it_prints_an_error() {
    let (program, _provider) = groq();
    assert_eq!(program.run(["policy", "set", "never=groq"]).code, Some(0));
    let ran = program.run(["route", "-p", "Why?", "--mode", "only-in-cloud", "--json"]);
    assert_eq!(ran.lines()[0]["error_reason"], json!("policy_forbids"), "{ran:?}");
    let file = program.data_dir().with_file_name("file");
    std::fs::write(&file, "in the way").expect("a file");
    let ran = program.run(["doctor", "--json", "--data-dir", file.to_str().expect("UTF-8")]);
    let problems = ran.object()["problems"].clone();
    let found = problems.as_array().expect("problems");
    let reason = |id: &str| {
        found
            .iter()
            .find(|problem| problem["id"] == id)
            .map(|problem| &problem["reason"])
    };
    assert_eq!(reason("data_dir"), Some(&json!("storage_failed")), "{problems}");
}

#[test]
fn with_json_every_failure_ends_the_output_with_an_error_object() {
    let (program, provider) = groq();
    for (arguments, kind, reason) in [
        ("chat nobody -p Hello", "not_installed", "model_not_installed"),
        ("rm --yes nobody", "not_installed", "model_not_installed"),
        ("rm nobody", "invalid_request", "invalid_parameter"),
        ("fit ./nowhere.gguf", "storage", "storage_failed"),
        ("import ./nowhere.gguf", "invalid_request", "invalid_parameter"),
        ("bench nobody", "not_installed", "model_not_installed"),
        ("conversations show 7", "invalid_request", "not_found"),
        ("conversations rm --yes 7", "invalid_request", "not_found"),
        ("providers rm --yes nobody", "invalid_request", "invalid_parameter"),
        ("providers models nobody", "invalid_request", "invalid_parameter"),
        ("cost -p Hello --temperature 9", "invalid_request", "invalid_parameter"),
        (
            "route -p Hello --mode only-on-device",
            "not_installed",
            "model_not_installed",
        ),
    ] {
        let ran = program.run(arguments.split(' ').chain(["--json"]));
        let (what, help) = ran.error();
        let error = ran.json_error();
        assert_eq!(
            (&error["kind"], &error["reason"]),
            (&json!(kind), &json!(reason)),
            "{arguments}"
        );
        assert_eq!(
            (&error["text"], &error["help"]),
            (&json!(what), &json!(help)),
            "{arguments}"
        );
    }
    let wrong = program.run(["policy", "set", "regions=UK", "--json"]);
    assert_eq!(wrong.code, Some(2));
    assert_eq!(
        wrong.json_error()["help"],
        "`nearside policy set --help` lists the valid arguments"
    );
    assert!(
        wrong.json_error()["text"]
            .as_str()
            .is_some_and(|text| text.contains("`GB`"))
    );
    // After partial output, too: the last line says why the answer is incomplete.
    provider.play(Scenario::Truncated { text: "The".into() });
    let ran = chat(&program, &["--json"]);
    let lines = ran.lines();
    assert_eq!(lines[0]["type"], "started");
    assert!(lines.iter().any(|line| line["type"] == "text"), "{ran:?}");
    assert_eq!(ran.json_error()["kind"], "network", "{ran:?}");
    assert_eq!(ran.code, Some(1));
}

#[test]
fn damaged_weights_are_damage_of_the_file_and_no_bug() {
    let program = Program::new();
    let file = program.data_dir().with_file_name("damaged.gguf");
    let mut bytes = std::fs::read(super::program::smollm2()).expect("the model");
    // Scales that are no numbers, in the middle of the layers.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4_000_000].fill(0xff);
    std::fs::write(&file, bytes).expect("written");
    let ran = program.run(["chat", file.to_str().expect("UTF-8"), "-p", "Hello", "--json"]);
    let error = ran.json_error();
    assert_eq!(error["reason"], "damaged", "{ran:?}");
    assert!(!ran.err.contains("bug") && ran.err.contains("nearside pull"), "{ran:?}");
}

#[test]
fn a_damaged_database_is_never_to_be_deleted() {
    let program = Program::new();
    assert_eq!(program.run(["policy", "set", "version=mine"]).code, Some(0));
    let file = program.data_dir().join("state.db");
    std::fs::write(
        &file,
        "this is no database, and longer than a header of one hundred bytes ".repeat(4),
    )
    .expect("written");
    for log in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(program.data_dir().join(log));
    }
    let ran = program.run(["policy"]);
    let (what, help) = ran.error();
    assert!(what.contains("the providers, the policy and the spending"), "{what}");
    assert!(help.contains("backup") && help.contains("move it away"), "{help}");
    for text in [what, help] {
        assert!(!text.contains("remove") && !text.contains("delete"), "{text}");
    }
}

#[test]
fn damaged_conversations_are_a_problem_that_the_doctor_finds() {
    let program = Program::new();
    let is_reported = || {
        let report = program.run(["doctor", "--json"]).object();
        let problems = report["problems"].as_array().expect("problems").clone();
        problems.iter().any(|problem| problem["id"] == "conversations")
    };
    assert!(!is_reported());
    for log in ["conversations.db-wal", "conversations.db-shm"] {
        let _ = std::fs::remove_file(program.data_dir().join(log));
    }
    let bytes = "this is no database, and longer than a header of one hundred bytes ".repeat(4);
    std::fs::write(program.data_dir().join("conversations.db"), bytes).expect("written");
    assert!(is_reported());
}

#[test]
fn a_place_for_states_that_is_a_file_is_a_problem_that_the_doctor_finds() {
    let program = Program::new();
    let is_reported = || {
        let problems = program.run(["doctor", "--json"]).object()["problems"].clone();
        let problems = problems.as_array().expect("problems").clone();
        problems.iter().any(|problem| problem["id"] == "states")
    };
    assert!(!is_reported());
    let states = program.data_dir().join("states");
    std::fs::create_dir(&states).expect("created");
    assert!(!is_reported());
    std::fs::remove_dir_all(&states).expect("removed");
    std::fs::write(&states, "a file").expect("written");
    assert!(is_reported());
}

#[test]
fn a_damaged_model_is_named_and_can_be_removed() {
    let (program, id) = Program::with_model();
    let path = program.run(["ls", "--json"]).object()["models"][0]["path"].clone();
    std::fs::remove_file(path.as_str().expect("a path")).expect("the file");
    let is_damaged = || {
        let problems = program.run(["doctor", "--json"]).object()["problems"].clone();
        let problems = problems.as_array().expect("problems").clone();
        problems.iter().any(|problem| problem["id"] == "damaged_model")
    };
    assert!(is_damaged());
    assert_eq!(program.run(["rm", "--yes", &id, "--json"]).object()["id"], json!(id));
    assert!(!is_damaged());
}

fn chat(program: &Program, flags: &[&str]) -> Ran {
    let start = ["chat", "-p", "Why?", "--mode", "only-in-cloud", "--yes"];
    program.run(start.iter().chain(flags))
}

/// The last two lines of standard error: a fallback may be noted before them.
fn error_lines(ran: &Ran) -> (String, String) {
    let line = |prefix: &str| {
        let line = ran.err.lines().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no `{prefix}` in {ran:?}")).to_owned()
    };
    (line("error: "), line("help: "))
}
