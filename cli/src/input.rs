//! Standard input and the files of flags, read on a separate thread so that a blocked read does not delay Ctrl-C: a file may
//! be a pipe, such as `<(…)` or `/dev/stdin`.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use nearside::Error;
use tokio::sync::{mpsc, oneshot};

use crate::error::CliError;
use crate::format::format_bytes;
use crate::interrupt::Interrupt;

/// Lines of standard input, without line ends.
#[derive(Debug)]
pub(crate) struct StdinLines {
    lines: mpsc::Receiver<io::Result<String>>,
}

impl StdinLines {
    /// Starts the reading thread. It ends with the input, or with the program.
    pub(crate) fn start_reading() -> Self {
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let is_last = line.is_err();
                if sender.blocking_send(line).is_err() || is_last {
                    return;
                }
            }
        });
        Self { lines }
    }

    /// Returns the next line; `None` at the end of the input.
    pub(crate) async fn next_line(&mut self, interrupt: &mut Interrupt) -> Result<Option<String>, CliError> {
        tokio::select! {
            line = self.lines.recv() => line.transpose().map_err(|cause| map_stdin_error(&cause)),
            () = interrupt.pressed() => Err(CliError::Interrupted),
        }
    }
}

/// Reads standard input to its end.
pub(crate) async fn read_all(interrupt: &mut Interrupt) -> Result<String, CliError> {
    let read = || {
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text);
        read.map(|_| text).map_err(|cause| map_stdin_error(&cause))
    };
    read_on_thread(interrupt, read).await
}

/// Runs a read that may wait for the writer of a pipe. Ctrl-C abandons it.
pub(crate) async fn read_on_thread<T: Send + 'static>(
    interrupt: &mut Interrupt,
    read: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    let (sender, result) = oneshot::channel();
    std::thread::spawn(move || {
        // Ctrl-C drops the receiver.
        let _ = sender.send(read());
    });
    tokio::select! {
        read = result => match read {
            Ok(read) => read,
            Err(_) => Err(Error::internal("the thread that reads the input has ended").into()),
        },
        () = interrupt.pressed() => Err(CliError::Interrupted),
    }
}

/// Reads a file of text, or a pipe to its end. `action` is a phrase for errors, such as `read the schema`.
///
/// # Errors
/// `InvalidRequest` for a file that is too large, such as a device without an end; `Storage`.
pub(crate) fn read_text(file: &str, action: &str) -> Result<String, CliError> {
    let map_error = |cause| Error::file(Path::new(file), action, &cause);
    let mut text = String::new();
    let opened = File::open(file).map_err(map_error)?;
    opened
        .take(MAX_TEXT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(map_error)?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        let text = format!("`{file}` is larger than {}", format_bytes(MAX_TEXT_BYTES));
        return Err(Error::invalid_request(text).into());
    }
    Ok(text)
}

fn map_stdin_error(cause: &io::Error) -> CliError {
    match cause.kind() {
        io::ErrorKind::InvalidData => CliError::with_help(
            Error::invalid_request("standard input is not UTF-8 text"),
            "convert it, for example with `iconv -t UTF-8`",
        ),
        _ => Error::storage(format!("could not read standard input: {cause}")).into(),
    }
}

/// Maximum size of a file of text; schemas and tools have kilobytes.
const MAX_TEXT_BYTES: u64 = 16_000_000;
