//! llama.cpp's own server, as `make peers` fetches it: a provider for tests, and what benchmarks compare Nearside with.
//!
//! Its prompt cache is on, as by default. Answers are streamed and greedy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running llama-server; stopped when dropped.
#[derive(Debug)]
pub struct LlamaServer {
    child: Child,
    /// Host and port.
    address: String,
}

/// An answer of the server.
#[derive(Debug, Clone, Default)]
pub struct ServerAnswer {
    /// The text.
    pub text: String,
    /// Milliseconds from the request to its first piece of text.
    pub first_token_ms: f64,
    /// Tokens of the prompt that the server had in its cache.
    pub cached_tokens: u32,
    /// Tokens of the prompt that it read.
    pub read_tokens: u32,
    /// Milliseconds for reading them, by the server's own clock.
    pub read_ms: f64,
}

impl LlamaServer {
    /// Starts the server of the peers in `NEARSIDE_PEERS`, by default `~/.cache/nearside/peers`, with one conversation at a time,
    /// on the processor that Nearside is built for, and waits until it is ready.
    ///
    /// # Panics
    /// If the program is missing, or is not ready within a minute.
    #[must_use]
    pub fn start(model: &Path, context: u32, threads: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let run = peers().join("run");
        assert!(run.is_file(), "`{}` is not there: run `make peers`", run.display());
        let child = Command::new(run)
            .args(["llama-server", "--host", "127.0.0.1", "--parallel", "1"])
            .args(["--threads", &threads.to_string(), "--ctx-size", &context.to_string()])
            .args(["--port", &port.to_string(), "--model"])
            .arg(model)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("llama-server starts");
        let server = Self {
            child,
            address: format!("127.0.0.1:{port}"),
        };
        let begun = Instant::now();
        while !server.get("/health").contains("ok") {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "llama-server does not get ready"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Returns the base address of its API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Fetches a page of the server by a plain GET; empty if it cannot be reached.
    #[must_use]
    pub fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut socket) = TcpStream::connect(&self.address) {
            let _ = write!(socket, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
            let _ = socket.read_to_string(&mut answer);
        }
        answer
    }

    /// Answers messages of OpenAI's format. The time to the first token begins when the connection is there.
    ///
    /// # Errors
    /// If the connection breaks, or the server answers without a text or without its timings.
    pub fn chat(&self, messages: &Value, max_tokens: u32) -> std::io::Result<ServerAnswer> {
        let body =
            json!({ "messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": true }).to_string();
        let mut socket = TcpStream::connect(&self.address)?;
        socket.set_nodelay(true)?;
        let length = body.len();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        let begun = Instant::now();
        socket.write_all((head + &body).as_bytes())?;
        let mut answer = ServerAnswer::default();
        let mut has_timings = false;
        for line in BufReader::new(socket).lines() {
            let line = line?;
            // The other lines are the head, the lengths of chunks, and the end of the stream.
            let Some(event) = line.strip_prefix("data: ") else {
                continue;
            };
            let Ok(event) = serde_json::from_str::<Value>(event) else {
                continue;
            };
            let piece = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            if answer.text.is_empty() && !piece.is_empty() {
                answer.first_token_ms = begun.elapsed().as_secs_f64() * 1000.0;
            }
            answer.text.push_str(piece);
            if let Some(timings) = event["timings"].as_object() {
                let number = |key: &str| timings.get(key).and_then(Value::as_f64).unwrap_or_default();
                (answer.cached_tokens, answer.read_tokens) = (number("cache_n") as u32, number("prompt_n") as u32);
                answer.read_ms = number("prompt_ms");
                has_timings = true;
            }
        }
        match has_timings && !answer.text.is_empty() {
            true => Ok(answer),
            false => Err(std::io::Error::other(
                "llama-server answered without a text or without its timings",
            )),
        }
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn peers() -> PathBuf {
    match std::env::var_os("NEARSIDE_PEERS") {
        Some(peers) => PathBuf::from(peers),
        None => std::env::home_dir()
            .expect("a home folder")
            .join(".cache/nearside/peers"),
    }
}
