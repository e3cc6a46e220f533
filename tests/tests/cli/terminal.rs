//! On a terminal: editing, Ctrl-C in a conversation, the bar, the question before a removal.

use std::time::Instant;

use rexpect::session::{PtySession, spawn_command};

use super::program::{Program, REFERENCE, hub, smollm2};

const PATIENCE_MS: u64 = 60_000;

#[test]
fn ctrl_c_stops_the_answer_and_not_the_conversation() {
    let program = Program::new();
    let mut terminal = open(&program, &["chat", &smollm2(), "--temperature", "0"]);
    see(&mut terminal, "> ");
    say(&mut terminal, "Write a very long story about the sea.");
    see(&mut terminal, "sea");
    terminal.exp_regex("[a-z]+ [a-z]+ [a-z]+ ").expect("words of the story");
    terminal.send_control('c').expect("the terminal is open");
    see(&mut terminal, "stopped");
    see(&mut terminal, "on this device · smollm2.gguf");
    see(&mut terminal, "> ");
    say(&mut terminal, "What is the capital of France?");
    see(&mut terminal, "Paris");
    see(&mut terminal, "$0");
    see(&mut terminal, "> ");
    terminal.send_control('d').expect("the terminal is open");
    ends_with(terminal, 0);
}

#[test]
fn commands_begin_with_a_slash_and_ctrl_c_twice_leaves() {
    let program = Program::new();
    let mut terminal = open(&program, &["chat", &smollm2()]);
    see(&mut terminal, "> ");
    say(&mut terminal, "/help");
    see(&mut terminal, "/system TEXT");
    say(&mut terminal, "/dance");
    see(&mut terminal, "is no command");
    say(&mut terminal, "/system Answer with one word.");
    see(&mut terminal, "from here on");
    say(&mut terminal, "/new");
    see(&mut terminal, "a new conversation");
    see(&mut terminal, "> ");
    terminal.send_control('c').expect("the terminal is open");
    see(&mut terminal, "Ctrl-C again");
    see(&mut terminal, "> ");
    terminal.send_control('c').expect("the terminal is open");
    ends_with(terminal, 0);
}

#[test]
fn a_failure_leaves_the_conversation_open() {
    let program = Program::new();
    let mut terminal = open(&program, &["chat", "nobody"]);
    see(&mut terminal, "> ");
    say(&mut terminal, "Hello?");
    see(&mut terminal, "not installed");
    see(&mut terminal, "nearside pull");
    see(&mut terminal, "> ");
    say(&mut terminal, "/quit");
    ends_with(terminal, 0);
}

#[test]
fn a_download_shows_a_bar_on_a_terminal_and_only_there() {
    let hub = hub(|hub| hub.rate(60_000_000));
    let program = Program::new();
    let pull = ["pull", REFERENCE, "--hub", &hub.url()];
    let mut terminal = open(&program, &pull);
    see(&mut terminal, "fits");
    see(&mut terminal, "░");
    see(&mut terminal, "installed");
    ends_with(terminal, 0);

    let piped = Program::new().run(pull);
    assert!(piped.err.contains("downloading: "), "{piped:?}");
    assert!(!piped.err.contains(['░', '█', '\r', '\x1b']), "{piped:?}");
}

#[test]
fn removing_asks_a_person_and_takes_anything_but_yes_for_a_no() {
    let (program, id) = Program::with_model();
    let installed = || {
        program.run(["ls", "--json"]).object()["models"]
            .as_array()
            .expect("models")
            .len()
    };
    for (answer, left) in [("n", 1), ("", 1), ("y", 0)] {
        let mut terminal = open(&program, &["rm", &id]);
        see(&mut terminal, "[y/N]");
        say(&mut terminal, answer);
        ends_with(terminal, 0);
        assert_eq!(installed(), left, "after `{answer}`");
    }
}

#[test]
fn the_question_can_be_interrupted() {
    let (program, id) = Program::with_model();
    let mut terminal = open(&program, &["rm", &id]);
    see(&mut terminal, "[y/N]");
    terminal.send_control('c').expect("the terminal is open");
    ends_with(terminal, 130);
}

fn open(program: &Program, arguments: &[&str]) -> PtySession {
    let mut command = program.command(arguments);
    // The session gives the program a terminal for all three.
    command
        .stdin(std::process::Stdio::inherit())
        .env("TERM", "xterm-256color");
    spawn_command(command, Some(PATIENCE_MS)).expect("a terminal")
}

fn see(terminal: &mut PtySession, text: &str) {
    if let Err(cause) = terminal.exp_string(text) {
        panic!("`{text}` was not shown: {cause}");
    }
}

fn say(terminal: &mut PtySession, text: &str) {
    // What Enter sends to a program that edits lines itself.
    terminal.send(&format!("{text}\r")).expect("the terminal is open");
    terminal.flush().expect("the terminal is open");
}

fn ends_with(mut terminal: PtySession, code: i32) {
    use rexpect::process::WaitStatus;

    let asked = Instant::now();
    let rest = terminal.exp_eof().expect("it ends");
    match terminal.process().wait() {
        Ok(WaitStatus::Exited(_, ended)) => assert_eq!(ended, code, "after {:?}: {rest}", asked.elapsed()),
        other => panic!("{other:?}: {rest}"),
    }
}
