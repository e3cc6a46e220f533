//! Ctrl-C and closed pipes: exit codes, and what is kept.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use super::program::{Program, REFERENCE, Running, SHA256, SIZE, hub, smollm2};

const STORY: &str = "Write a very long story about the sea.";

#[test]
fn an_interrupted_answer_says_done_and_exits_130() {
    let program = Program::new();
    let mut running = program.start(["chat", &smollm2(), "-p", STORY, "--json"]);
    running.until("text");
    running.interrupt();
    let (rest, status) = running.end();
    let done = rest.last().expect("a last chunk");
    assert_eq!(
        (done["type"].as_str(), done["stop"].as_str()),
        (Some("done"), Some("cancelled"))
    );
    assert_eq!(code(status), 130);
}

#[test]
fn an_answer_can_be_interrupted_before_its_first_word() {
    let long = "word ".repeat(4000);
    let chat = ["chat", &smollm2(), "-p", &long, "--context", "8192", "--json"];
    let program = Program::new();
    let mut running = program.start(chat);
    running.until("started");
    running.interrupt();
    let (rest, status) = running.end();
    assert_eq!(rest.last().expect("a last chunk")["stop"], "cancelled");
    assert_eq!(code(status), 130);
}

#[test]
fn waiting_for_standard_input_can_be_interrupted() {
    let (reading, writing) = std::io::pipe().expect("a pipe");
    for arguments in [vec!["chat", "-p", "-"], vec!["chat", "a-model"]] {
        let program = Program::new();
        let reading = reading.try_clone().expect("a pipe");
        let running = Running::new(program.command(&arguments).stdin(reading).stderr(Stdio::null()));
        until_it_listens(&running);
        running.interrupt();
        assert_eq!(code(running.end().1), 130, "{arguments:?}");
    }
    drop(writing);
}

#[test]
fn an_interrupted_pull_keeps_what_came_and_the_next_one_goes_on() {
    let hub = hub(|hub| hub.rate(40_000_000));
    let program = Program::new();
    let pull = ["pull", REFERENCE, "--hub", &hub.url(), "--json"];
    let mut running = program.start(pull);
    while running.until("progress")["done"].as_u64() < Some(SIZE / 4) {}
    running.interrupt();
    let (rest, status) = running.end();
    assert!(rest.iter().all(|event| event["type"] != "installed"), "{rest:?}");
    assert_eq!(code(status), 130);

    let events = program.run(pull).lines();
    let first = events
        .iter()
        .find(|event| event["type"] == "progress")
        .expect("progress");
    assert!(
        first["done"].as_u64() >= Some(SIZE / 4),
        "it goes on where it was: {first}"
    );
    assert_eq!(events.last().expect("events")["sha256"], SHA256);
}

#[test]
fn an_interrupted_pull_tells_a_person_how_to_go_on() {
    let hub = hub(|hub| hub.rate(20_000_000));
    let program = Program::new();
    let (reading, writing) = std::io::pipe().expect("a pipe");
    let pull = ["pull", REFERENCE, "--hub", &hub.url()];
    let mut child = program
        .command(pull)
        .stdout(Stdio::null())
        .stderr(writing)
        .spawn()
        .expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reading)).map_while(Result::ok);
    assert!(
        lines.any(|line| line.starts_with("downloading: ")),
        "a log shows progress"
    );
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it still runs");
    assert_eq!(code(child.wait().expect("it ends")), 130);
    let last = lines.last().expect("a last line");
    assert!(last.contains("the partial file is kept"), "{last}");
}

#[test]
fn a_measurement_can_be_interrupted() {
    let program = Program::new();
    let running = program.start(["bench", &smollm2(), "-r", "1000", "--json"]);
    until_it_listens(&running);
    running.interrupt();
    let (rest, status) = running.end();
    assert_eq!((rest, code(status)), (vec![], 130));
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let program = Program::new();
    let mut running = program.start(["chat", &smollm2(), "-p", STORY, "--json"]);
    running.until("text");
    assert_eq!(code(running.close_pipe_and_wait()), 0);
    for arguments in [vec!["completions", "bash"], vec!["--help"], vec!["ls", "--json"]] {
        assert_eq!(
            code(Program::new().start(&arguments).close_pipe_and_wait()),
            0,
            "{arguments:?}"
        );
    }
}

/// Waits until the process has a handler for SIGINT: before that the signal's own habit, to end it, is right too.
fn until_it_listens(running: &Running) {
    let status = format!("/proc/{}/status", running.pid());
    loop {
        let status = std::fs::read_to_string(&status).expect("it runs");
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .expect("a mask");
        if u64::from_str_radix(caught.trim(), 16).expect("hex") & SIGINT != 0 {
            return;
        }
        std::thread::yield_now();
    }
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| panic!("ended by signal {:?}", status.signal()))
}

/// The bit of signal 2 in a signal mask.
const SIGINT: u64 = 1 << 1;
