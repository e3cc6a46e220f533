//! What people read: help, errors with their remedies, colour; and the exit codes that go with them.

use super::program::{Program, Ran, hub, smollm2};

const COMMANDS: [&str; 15] = [
    "catalog",
    "pull",
    "import",
    "ls",
    "rm",
    "fit",
    "chat",
    "presets",
    "bench",
    "doctor",
    "providers",
    "route",
    "cost",
    "policy",
    "completions",
];

#[test]
fn every_command_has_a_line_in_the_list_and_an_example_in_its_help() {
    let program = Program::new();
    let list = program.run(["--help"]);
    assert_eq!(list.code, Some(0));
    for command in COMMANDS {
        let named = |line: &str| line.split_whitespace().next() == Some(command) && line.split_whitespace().count() > 3;
        assert!(list.out.lines().any(named), "{command} in {}", list.out);
        let help = program.run([command, "--help"]);
        let example = format!("Example:\n  nearside {command}");
        assert!(help.out.contains(&example), "{}", help.out);
    }
}

#[test]
fn wrong_use_exits_2_and_names_what_is_wrong() {
    let program = Program::new();
    for (arguments, named) in [
        (vec!["dance"], "dance"),
        (vec!["rm"], "REF"),
        (vec!["fit", "m", "--cache", "f64"], "f64"),
        (vec!["fit", "m", "--budget", "much"], "4GB"),
        (vec!["chat", "--seed", "one"], "--seed"),
        (vec!["chat", "--max-tokens", "0"], "--max-tokens"),
        (vec!["pull", "ftp://a/b.gguf"], "ftp"),
    ] {
        let ran = program.run(&arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(named), "{ran:?}");
    }
    let ran = program.run(Vec::<String>::new());
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.err.contains("Usage: nearside"), "{ran:?}");
}

#[test]
fn words_that_are_not_utf_8_are_wrong_use() {
    use std::os::unix::ffi::OsStrExt;

    let bytes = std::ffi::OsStr::from_bytes(b"\xff.gguf");
    let ran = Program::new().run([std::ffi::OsStr::new("import"), bytes]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_missing_model_is_told_with_the_command_that_fetches_one() {
    let program = Program::new();
    for arguments in [
        vec!["chat", "-p", "Hello"],
        vec!["chat", "nobody", "-p", "Hello"],
        vec!["chat"],
        vec!["rm", "--yes", "nobody"],
    ] {
        for json in [vec![], vec!["--json"]] {
            let ran = program.run(arguments.iter().chain(&json));
            let (what, help) = ran.error();
            assert!(what.contains("installed") && help.contains("nearside pull"), "{ran:?}");
            if json.is_empty() {
                assert_eq!(ran.out, "", "{ran:?}");
            } else {
                assert_eq!(ran.lines().len(), 1, "{ran:?}");
                assert_eq!(ran.json_error()["reason"], "model_not_installed");
            }
        }
    }
}

#[test]
fn a_missing_file_and_a_file_that_is_no_model_are_told_apart() {
    let program = Program::new();
    let missing = program.run(["chat", "./nowhere.gguf", "-p", "Hello"]);
    assert!(missing.error().0.contains("nowhere.gguf"), "{missing:?}");
    let file = program.data_dir().with_file_name("words.gguf");
    std::fs::write(&file, "these are words").expect("a file");
    let file = file.to_str().expect("UTF-8");
    for command in ["fit", "import"] {
        let ran = program.run([command, file]);
        assert!(ran.error().0.contains("words.gguf"), "{ran:?}");
    }
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    let ran = Program::new().run(["chat", &smollm2(), "-p", "Hello", "--temperature", "-1"]);
    assert!(ran.error().0.contains("the temperature"), "{ran:?}");
}

#[test]
fn a_hub_that_wants_a_token_gets_it_from_the_environment_only() {
    let hub = hub(|hub| hub.gated(super::program::REPO, "hf_secret"));
    let program = Program::new();
    let fit = ["fit", super::program::REFERENCE, "--json", "--verbose"];
    let refused = program
        .command(fit)
        .env("HF_ENDPOINT", hub.url())
        .output()
        .expect("it starts");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("\nhelp: ") && words.contains("HF_TOKEN"), "{words}");
    let let_in = program
        .command(fit)
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", "hf_secret")
        .output()
        .expect("it starts");
    let words = String::from_utf8_lossy(&let_in.stderr);
    assert_eq!(let_in.status.code(), Some(0), "{words}");
    assert!(!words.contains("hf_secret"), "{words}");
}

#[test]
fn a_hub_that_is_not_there_is_a_failure_of_the_network() {
    let url = hub(|hub| hub).url();
    let ran = Program::new().run(["fit", super::program::REFERENCE, "--hub", &url]);
    let (what, _) = ran.error();
    assert!(what.contains("127.0.0.1"), "{ran:?}");
}

#[test]
fn no_prompt_and_no_answer_is_in_the_log() {
    let chat = [
        "chat",
        &smollm2(),
        "-p",
        "Repeat the word CANARY.",
        "--max-tokens",
        "8",
        "--verbose",
        "--json",
    ];
    let ran = Program::new().run(chat);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.err.contains("CANARY"), "{}", ran.err);
}

#[test]
fn a_pipe_gets_no_colour_and_the_words_say_it_all() {
    let program = Program::new();
    let plain = [
        program.run(["fit", &smollm2()]),
        program.run(["doctor"]),
        program.run(["--help"]),
        program.run(["chat", "nobody", "-p", "Hello"]),
    ];
    for ran in &plain {
        assert!(!coloured(ran), "{ran:?}");
    }
    assert!(plain[0].out.contains("\nfits: needs "), "{}", plain[0].out);
}

#[test]
fn no_color_wins_over_colour_that_is_forced() {
    let program = Program::new();
    let run = |variables: &[(&str, &str)]| {
        let mut command = program.command(["chat", "nobody", "-p", "Hello"]);
        let output = command.envs(variables.iter().copied()).output().expect("it starts");
        String::from_utf8(output.stderr).expect("UTF-8").contains('\x1b')
    };
    assert!(run(&[("CLICOLOR_FORCE", "1")]));
    assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn shells_get_completion_scripts() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Program::new().run(["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{shell}");
        for command in COMMANDS {
            assert!(ran.out.contains(command), "{shell} knows {command}");
        }
    }
    let script = Program::new().run(["completions", "bash"]).out;
    let parsed = std::process::Command::new("bash").args(["-n", "-c", &script]).status();
    assert!(parsed.expect("bash").success());
}

#[test]
fn ls_is_a_table_with_one_line_for_each_model() {
    let (program, id) = Program::with_model();
    let ran = program.run(["ls"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    let [heading, row] = lines.as_slice() else {
        panic!("a heading and a row: {ran:?}");
    };
    assert!(heading.starts_with("NAME"));
    assert!(
        row.starts_with(&id) && row.contains("98.4 MB") && row.contains("Q4_1"),
        "{row}"
    );
    let none = Program::new().run(["ls"]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""), "{none:?}");
    assert!(none.err.contains("nearside pull"), "{none:?}");
}

fn coloured(ran: &Ran) -> bool {
    ran.out.contains('\x1b') || ran.err.contains('\x1b')
}
