//! On-device requests open no connection: runs the real program under strace, with a provider and its key set up.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nearside_tests::models;
use nearside_tests::provider::{Dialect, Provider};
use nearside_tests::remote::KEY;

/// The program, built with the tests.
fn program() -> PathBuf {
    let mut folder = std::env::current_exe().expect("this test is a file");
    folder.pop();
    let program = folder.parent().expect("deps lies in a folder").join("nearside");
    assert!(
        program.is_file(),
        "`{}` is not there: run `make build`",
        program.display()
    );
    program
}

fn nearside(home: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(program())
        .arg("--data-dir")
        .arg(home)
        .args(arguments)
        .env("NEARSIDE_TEST_KEY", KEY)
        .output();
    output.expect("the program starts")
}

/// Runs a chat under strace and returns its network calls.
fn traced(home: &Path, mode: &str) -> (Output, Vec<String>) {
    let log = home.join(format!("strace-{mode}"));
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=network", "-o"])
        .arg(&log)
        .arg(program())
        .arg("--data-dir")
        .arg(home)
        .args(["chat", "-p", "Say hello.", "--max-tokens", "8", "--mode", mode])
        .env("NEARSIDE_TEST_KEY", KEY)
        .output()
        .expect("strace is installed: run `make setup`");
    let calls = std::fs::read_to_string(&log).expect("strace wrote its log");
    (output, calls.lines().map(str::to_owned).collect())
}

/// Returns whether a call leaves the process: tokio wakes itself through a pair of Unix sockets.
fn reaches_out(call: &str) -> bool {
    let names = ["socket(", "connect(", "sendto(", "sendmsg(", "bind("];
    let to_itself = call.contains("AF_UNIX") || call.contains("sun_path");
    names.iter().any(|name| call.contains(name)) && !to_itself
}

#[test]
fn what_must_stay_here_opens_no_connection() {
    let home = tempfile::tempdir().expect("a folder");
    let provider = Provider::builder(Dialect::Groq).key(KEY).start().expect("a provider");
    let url = provider.url();
    let model = models::path("smollm2.gguf");
    let model = model.to_str().expect("a path of letters");
    let set_up: [&[&str]; 3] = [
        &["import", model],
        &[
            "providers",
            "add",
            "groq",
            "--base-url",
            &url,
            "--key-env",
            "NEARSIDE_TEST_KEY",
        ],
        &[
            "policy",
            "set",
            "consent=given",
            "allow-retention=true",
            "allow-training=true",
        ],
    ];
    for arguments in set_up {
        let output = nearside(home.path(), arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let before = provider.requests().len();

    let (output, calls) = traced(home.path(), "only-on-device");
    assert!(
        output.status.success() && !output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let out: Vec<_> = calls.iter().filter(|call| reaches_out(call)).collect();
    assert!(out.is_empty(), "{out:#?}");
    assert_eq!(provider.requests().len(), before);
    println!(
        "only on the device: {} calls about sockets, none reaches out",
        calls.len()
    );

    // The same chat with remote targets allowed, to prove that the trace would show a connection.
    let (output, calls) = traced(home.path(), "only-in-cloud");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(calls.iter().any(|call| reaches_out(call)), "{calls:#?}");
    assert!(provider.requests().len() > before);
}
