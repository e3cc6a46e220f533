//! The program `nearside-hub`, used as by other languages and scripts.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use nearside_tests::fixtures::{self, TestDevice};
use nearside_tests::tiny_models;

#[tokio::test]
async fn the_program_prints_its_address_serves_logs_and_ends_with_its_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.gguf");
    let bytes = tiny_models::model(100_000, 1);
    std::fs::write(&path, &bytes).expect("written");
    let mut hub = Command::new(env!("CARGO_BIN_EXE_nearside-hub"))
        .args(["--repo", "o/r", "--fault", "cut=50000", "--file"])
        .arg(format!("Small-F32.gguf={}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(hub.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let url = line["url"].as_str().expect("an address");

    let events = TestDevice::connect(url, None)
        .download("hf:o/r")
        .await
        .expect("a download");
    assert_eq!(fixtures::installed(&events).sha256, tiny_models::sha256(&bytes));

    let mut log = TcpStream::connect(url.trim_start_matches("http://")).expect("connected");
    log.write_all(b"GET /_log HTTP/1.1\r\nConnection: close\r\n\r\n")
        .expect("asked");
    log.shutdown(std::net::Shutdown::Write).expect("nothing more to ask");
    let mut answer = String::new();
    log.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let log: Vec<serde_json::Value> = serde_json::from_str(body).expect("JSON");
    let pieces: Vec<_> = log.iter().filter(|request| request["host"] == "cdn").collect();
    assert_eq!(pieces.len(), 2, "a cut and the rest: {pieces:?}");
    assert_eq!(
        (&pieces[0]["sent"], &pieces[0]["authorized"]),
        (&50_000.into(), &false.into())
    );

    drop(hub.stdin.take());
    assert!(hub.wait().expect("it ends").success());
}
