//! On a terminal: editing, Ctrl-C in a conversation, the bar, the question before a removal.

use std::process::Stdio;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use super::program::{Program, REFERENCE, Turn, hub, smollm2, turn};

/// The program on a terminal of its own.
struct Terminal {
    session: PtySession,
    _turn: Option<Turn>,
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_conversation() {
    let program = Program::new();
    let mut terminal = Terminal::open(&program, &["chat", &smollm2(), "--temperature", "0"]);
    terminal.see("> ");
    terminal.say("Write a very long story about the sea.");
    terminal.see_words();
    terminal.press('c');
    terminal.see("stopped");
    terminal.see("on this device · smollm2.gguf");
    terminal.see("> ");
    terminal.say("/help");
    terminal.see("/system TEXT");
    terminal.see("> ");
    terminal.press('d');
    terminal.ends_with(0);
}

#[test]
fn commands_begin_with_a_slash_and_ctrl_c_twice_leaves() {
    let program = Program::new();
    let mut terminal = Terminal::open(&program, &["chat", &smollm2()]);
    terminal.see("> ");
    terminal.say("/help");
    terminal.see("/system TEXT");
    terminal.say("/dance");
    terminal.see("is no command");
    terminal.say("/system Answer with one word.");
    terminal.see("from here on");
    terminal.say("/new");
    terminal.see("a new conversation");
    terminal.see("> ");
    terminal.press('c');
    terminal.see("Ctrl-C again");
    terminal.see("> ");
    terminal.press('c');
    terminal.ends_with(0);
}

#[test]
fn a_failure_leaves_the_conversation_open() {
    let program = Program::new();
    let mut terminal = Terminal::open(&program, &["chat", "nobody"]);
    terminal.see("> ");
    terminal.say("Hello?");
    terminal.see("not installed");
    terminal.see("nearside pull");
    terminal.see("> ");
    terminal.say("/quit");
    terminal.ends_with(0);
}

#[test]
fn a_download_shows_a_bar_on_a_terminal_and_only_there() {
    let hub = hub(|hub| hub.rate(60_000_000));
    let program = Program::new();
    let pull = ["pull", REFERENCE, "--hub", &hub.url()];
    let mut terminal = Terminal::open(&program, &pull);
    terminal.see("fits");
    terminal.see("░");
    terminal.see("installed");
    terminal.ends_with(0);

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
        let mut terminal = Terminal::open(&program, &["rm", &id]);
        terminal.see("[y/N]");
        terminal.say(answer);
        terminal.ends_with(0);
        assert_eq!(installed(), left, "after `{answer}`");
    }
}

#[test]
fn removing_a_provider_asks_a_person_also_with_json() {
    let program = Program::new();
    for (flags, answer, left) in [
        (&[][..], "n", true),
        (&["--json"], "n", true),
        (&["--json"], "y", false),
    ] {
        let added = program.run(["providers", "add", "groq", "--key-env", "KEY"]);
        assert_eq!(added.code, Some(0), "{added:?}");
        let arguments: Vec<&str> = ["providers", "rm", "groq"].iter().chain(flags).copied().collect();
        let mut terminal = Terminal::open(&program, &arguments);
        terminal.see("[y/N]");
        terminal.say(answer);
        terminal.ends_with(0);
        let listed = program.run(["providers", "ls", "--offline", "--json"]).out;
        assert_eq!(listed.contains("groq"), left, "after `{answer}`: {listed}");
    }
}

#[test]
fn the_question_can_be_interrupted() {
    let (program, id) = Program::with_model();
    let mut terminal = Terminal::open(&program, &["rm", &id]);
    terminal.see("[y/N]");
    terminal.press('c');
    terminal.ends_with(130);
}

impl Terminal {
    fn open(program: &Program, arguments: &[&str]) -> Self {
        let mut command = program.command(arguments);
        let turn = turn(&command);
        // The session gives the program a terminal for all three.
        command.stdin(Stdio::inherit()).env("TERM", "xterm-256color");
        Self {
            session: spawn_command(command, Some(PATIENCE_MS)).expect("a terminal"),
            _turn: turn,
        }
    }

    /// Types a line and Enter, as it comes from a terminal that leaves editing to the program.
    fn say(&mut self, text: &str) {
        self.session.send(&format!("{text}\r")).expect("the terminal is open");
        self.session.flush().expect("the terminal is open");
    }

    /// Control and this letter.
    fn press(&mut self, letter: char) {
        self.session.send_control(letter).expect("the terminal is open");
    }

    /// Waits until this is shown.
    fn see(&mut self, text: &str) {
        // What reads the terminal takes each byte for a character.
        let as_bytes: String = text.bytes().map(char::from).collect();
        if let Err(cause) = self.session.exp_string(&as_bytes) {
            let cause: String = cause.to_string().chars().take(400).collect();
            panic!("`{text}` was not shown: {cause}");
        }
    }

    /// Waits for words of an answer, behind the end of the editor's line.
    fn see_words(&mut self) {
        self.see(EDITED);
        self.session.exp_regex("[a-z]+ [a-z]+ [a-z]+ ").expect("words");
    }

    fn ends_with(mut self, code: i32) {
        let rest = self.session.exp_eof().expect("it ends");
        match self.session.process().wait() {
            Ok(WaitStatus::Exited(_, ended)) => assert_eq!(ended, code, "{rest}"),
            other => panic!("{other:?}: {rest}"),
        }
    }
}

/// How long to wait for something to be shown.
const PATIENCE_MS: u64 = 120_000;

/// What the editor writes when a line is done: pasting in brackets ends.
const EDITED: &str = "\u{1b}[?2004l";
