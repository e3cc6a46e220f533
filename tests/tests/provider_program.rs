//! The program `nearside-provider`, used as by app developers: play, record and replay.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use nearside_tests::provider::{Chunking, Dialect, Provider, Scenario, WireFormat, wire};
use serde_json::{Value, json};

#[test]
fn what_is_recorded_is_replayed_byte_by_byte_and_the_tape_holds_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("tape.jsonl");
    for dialect in Dialect::ALL {
        let provider = Provider::builder(dialect)
            .key("sk-canary-key")
            .chunking(Chunking::Random(5))
            .start()
            .expect("started");
        let scenarios = [
            Scenario::Plain {
                text: "größe 🌊".to_owned(),
            },
            Scenario::Reasoning {
                thoughts: "月".to_owned(),
                text: "so".to_owned(),
            },
            Scenario::refused(dialect, documented(dialect)).expect("an error"),
            Scenario::Truncated {
                text: "not to the e".to_owned(),
            },
        ];
        let path = format!("{}{}", dialect.base_path(), dialect.chat_path());
        let ask = |url: &str, n: usize| {
            let origin = url.strip_suffix(dialect.base_path()).unwrap_or(url);
            exchange(origin, &path, &chat(dialect, n))
        };

        let mut recorder = ProviderProgram::start(&["record", "--upstream", &provider.url(), "--out"], &tape);
        for (n, scenario) in scenarios.iter().enumerate() {
            provider.play(scenario.clone());
            let answer = ask(&recorder.url, n);
            assert_eq!(
                answer.body,
                wire(dialect, scenario, &chat(dialect, n)),
                "{dialect:?} {scenario:?}"
            );
            assert_eq!(answer.whole, !matches!(scenario, Scenario::Truncated { .. }));
        }
        recorder.end();

        let written = std::fs::read_to_string(&tape).expect("a tape");
        assert_eq!(written.lines().count(), scenarios.len());
        assert!(!written.contains("canary"), "{written}");

        let mut replayer = ProviderProgram::start(&["replay", "--at-once"], &tape);
        // In another order than on the tape: requests are matched by their bodies.
        for (n, scenario) in scenarios.iter().enumerate().rev() {
            let answer = ask(&replayer.url, n);
            assert_eq!(
                answer.body,
                wire(dialect, scenario, &chat(dialect, n)),
                "{dialect:?} {scenario:?}"
            );
            assert_eq!(answer.whole, !matches!(scenario, Scenario::Truncated { .. }));
            assert_eq!(answer.refused, matches!(scenario, Scenario::Refused { .. }));
        }
        assert!(exchange(&replayer.url, "/elsewhere", &Value::Null).refused);
        replayer.end();
        std::fs::remove_file(&tape).expect("removed");
    }
}

#[test]
fn a_provider_is_played_with_the_scenarios_of_the_command_line_and_the_last_one_stays() {
    let arguments = [
        "play",
        "--dialect",
        "groq",
        "--scenario",
        "rate_limit_exceeded",
        "--scenario",
        r#"plain={"text":"hi"}"#,
    ];
    let mut program = ProviderProgram::start(&arguments, Path::new("--key=mine"));
    let dialect = Dialect::Groq;
    let origin = program
        .url
        .strip_suffix(dialect.base_path())
        .expect("its path")
        .to_owned();
    let ask = || exchange(&origin, "/openai/v1/chat/completions", &chat(dialect, 0));
    assert!(ask().refused, "the key is another");
    program.end();

    let mut program = ProviderProgram::start(&arguments, Path::new("--key=sk-canary-key"));
    let origin = program
        .url
        .strip_suffix(dialect.base_path())
        .expect("its path")
        .to_owned();
    let ask = || exchange(&origin, "/openai/v1/chat/completions", &chat(dialect, 0));
    assert!(ask().refused);
    for _ in 0..2 {
        assert_eq!(ask().body, wire(dialect, &Scenario::plain("hi"), &chat(dialect, 0)));
    }
    program.end();
}

#[test]
fn with_a_log_the_program_prints_its_events_without_keys() {
    let dialect = Dialect::Compatible;
    let mut program = ProviderProgram::start(
        &["play", "--dialect", "compatible", "--scenario", "stall"],
        Path::new("--log"),
    );
    let origin = program.url.strip_suffix("/v1").expect("its path").to_owned();

    assert!(exchange(&origin, "/v1/elsewhere", &Value::Null).refused);
    let event = program.next_line();
    assert_eq!(
        event,
        json!({ "asked": { "method": "POST", "path": "/v1/elsewhere", "body": null } })
    );

    let mut connection = TcpStream::connect(origin.trim_start_matches("http://")).expect("connected");
    let body = chat(dialect, 0).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection
        .write_all(format!("{head}{body}").as_bytes())
        .expect("written");
    assert_eq!(program.next_line()["asked"]["body"], chat(dialect, 0));
    drop(connection);
    assert_eq!(program.next_line(), json!({ "left": true }));
    program.end();
}

#[test]
fn what_the_program_cannot_do_is_reported_in_one_line() {
    for (arguments, expected) in [
        (
            &["play", "--dialect", "groq", "--scenario", "nonsense"][..],
            "there is no scenario and no error `nonsense`",
        ),
        (
            &["record", "--upstream", "ftp://x", "--out", "/dev/null"],
            "`ftp://x` is not an http or https address",
        ),
        (&["replay", "/nowhere/at/all"], "No such file"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_nearside-provider"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

struct ProviderProgram {
    child: Child,
    url: String,
    out: BufReader<ChildStdout>,
}

impl ProviderProgram {
    fn start(arguments: &[&str], last: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nearside-provider"))
            .args(arguments)
            .arg(last)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        out.read_line(&mut line).expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let url = line["url"].as_str().expect("an address").to_owned();
        Self { child, url, out }
    }

    fn next_line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

struct RawResponse {
    refused: bool,
    body: Vec<u8>,
    whole: bool,
}

/// Sends a request as a plain client, with a key and a cookie.
fn exchange(origin: &str, path: &str, body: &Value) -> RawResponse {
    let mut connection = TcpStream::connect(origin.trim_start_matches("http://")).expect("connected");
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nauthorization: Bearer sk-canary-key\r\ncookie: id=canary\r\nx-api-key: canary-too\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).expect("sent");
    let mut from = BufReader::new(connection);
    let mut status = String::new();
    from.read_line(&mut status).expect("a status");
    let mut length = None;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).expect("a header");
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse::<u64>().ok();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut answer = RawResponse {
        refused: !status.contains(" 200 "),
        body: Vec::new(),
        whole: true,
    };
    if let Some(length) = length {
        from.take(length).read_to_end(&mut answer.body).expect("a body");
        return answer;
    }
    loop {
        let mut size = String::new();
        answer.whole = from.read_line(&mut size).expect("a size") > 0;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            return answer;
        }
        let mut chunk = vec![0; size + 2];
        from.read_exact(&mut chunk).expect("a chunk");
        answer.body.extend_from_slice(&chunk[..size]);
    }
}

fn chat(dialect: Dialect, number: usize) -> Value {
    json!({
        "model": dialect.model(), "stream": true, "api_key": "sk-canary-in-a-field",
        "messages": [{ "role": "user", "content": format!("question {number}") }],
    })
}

fn documented(dialect: Dialect) -> &'static str {
    nearside_tests::provider::documented_errors(dialect)[0].name
}
