//! The program under test: found beside this test, run with a data directory of its own and nothing of the person's
//! environment.
//!
//! Runs that compute take turns: two models on the same cores slow each other down a hundredfold.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nearside_tests::hub::{Hub, HubBuilder};
use nearside_tests::models;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// A place to run the program in. Gone when dropped.
pub(crate) struct Program {
    home: TempDir,
}

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A run under way, whose lines are read one by one.
pub(crate) struct Running {
    /// When it was started; waiting for a turn is not part of it.
    pub(crate) begun: Instant,
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    _turn: Option<Turn>,
}

/// No other test computes while this is held.
pub(crate) type Turn = MutexGuard<'static, ()>;

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            home: TempDir::new().expect("a folder for the test"),
        }
    }

    /// The same with SmolLM2 installed; the second value is its id.
    pub(crate) fn with_model() -> (Self, String) {
        let program = Self::new();
        let ran = program.run(["import", &smollm2(), "--json"]);
        let id = ran.object()["id"].as_str().expect("an id").to_owned();
        (program, id)
    }

    /// Where this place keeps its models.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The command, ready for more flags, variables and pipes.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(path());
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NEARSIDE_HOME", self.data_dir())
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        let mut command = self.command(arguments);
        let _turn = turn(&command);
        Ran::new(command.output().expect("the program starts"))
    }

    /// Starts and reads along. Standard error goes nowhere.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        Running::new(self.command(arguments).stderr(Stdio::null()))
    }
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }

    /// The one JSON object that the run printed, after success.
    pub(crate) fn object(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "one object on one line: {self:?}");
        lines.into_iter().next().expect("one line")
    }

    /// Every line as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(json).collect()
    }

    /// The error on the last line of standard output, after a failure with `--json`.
    pub(crate) fn json_error(&self) -> Value {
        assert!(matches!(self.code, Some(1 | 2)), "{self:?}");
        let last = self.lines().pop().unwrap_or_else(|| panic!("a line: {self:?}"));
        let error = &last["error"];
        for field in ["kind", "reason", "text", "help", "retry_after_ms", "help_url"] {
            assert!(error.get(field).is_some(), "{field}: {self:?}");
        }
        error.clone()
    }

    /// Exit code 1, and the two lines that every error has: what happened, what helps.
    pub(crate) fn error(&self) -> (&str, &str) {
        assert_eq!(self.code, Some(1), "{self:?}");
        let mut lines = self.err.lines();
        let mut next = |prefix| lines.next().and_then(|line| line.strip_prefix(prefix));
        let (Some(what), Some(help)) = (next("error: "), next("help: ")) else {
            panic!("`error: …` and `help: …` expected: {self:?}");
        };
        assert_eq!(lines.next(), None, "{self:?}");
        (what, help)
    }
}

impl Running {
    pub(crate) fn new(command: &mut Command) -> Self {
        let turn = turn(command);
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let out = child.stdout.take().expect("a pipe");
        Self {
            begun,
            child,
            lines: BufReader::new(out).lines(),
            _turn: turn,
        }
    }

    /// The next line as JSON; nothing at the end.
    pub(crate) fn line(&mut self) -> Option<Value> {
        self.lines
            .next()
            .map(|line| json(&line.expect("standard output is UTF-8")))
    }

    /// Reads up to and with the next line of this type.
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        loop {
            let line = self
                .line()
                .unwrap_or_else(|| panic!("the output ended before `{kind}`"));
            if line["type"] == kind {
                return line;
            }
        }
    }

    /// What Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        kill(self.pid(), Signal::SIGINT).expect("it still runs");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id"))
    }

    /// Reads what is left and waits.
    pub(crate) fn end(mut self) -> (Vec<Value>, ExitStatus) {
        let rest = std::iter::from_fn(|| self.line()).collect();
        (rest, self.child.wait().expect("it ends"))
    }

    /// Stops reading, as `head` does, and waits.
    pub(crate) fn close_pipe_and_wait(mut self) -> ExitStatus {
        drop(self.lines);
        self.child.wait().expect("it ends")
    }
}

/// Waits until no other test computes, if this command does.
pub(crate) fn turn(command: &Command) -> Option<Turn> {
    static COMPUTING: Mutex<()> = Mutex::new(());
    let computes = command
        .get_args()
        .next()
        .is_some_and(|name| name == "chat" || name == "bench");
    // A test that failed in its turn leaves nothing behind that could spoil the next one.
    computes.then(|| COMPUTING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A hub that has SmolLM2.
pub(crate) fn hub(more: impl FnOnce(HubBuilder) -> HubBuilder) -> Hub {
    let model = models::path("smollm2.gguf");
    let builder = Hub::builder().file_as(REPO, FILE, &model);
    more(builder).start().expect("a hub")
}

/// The model file itself.
pub(crate) fn smollm2() -> String {
    models::path("smollm2.gguf").to_str().expect("a UTF-8 path").to_owned()
}

/// The built program: two folders above this test.
pub(crate) fn path() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let path = folder.join("nearside");
    let built = format!(
        "`{}` is not there: run `cargo build --release -p nearside-cli`",
        path.display()
    );
    assert!(path.is_file(), "{built}");
    path
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|cause| panic!("{cause}: `{line}`"))
}

pub(crate) const REPO: &str = "local/SmolLM2-135M-Instruct-GGUF";
pub(crate) const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
pub(crate) const REFERENCE: &str = "hf:local/SmolLM2-135M-Instruct-GGUF:Q4_1";
pub(crate) const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
pub(crate) const SIZE: u64 = 98_362_432;
