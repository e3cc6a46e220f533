//! Standard input, read on a separate thread so that a blocked read does not delay Ctrl-C.

use std::io::{self, BufRead, Read};

use nearside::Error;
use tokio::sync::{mpsc, oneshot};

use crate::error::CliError;
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
    let (sender, text) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text).map(|_| text);
        // Ctrl-C drops the receiver.
        let _ = sender.send(read);
    });
    tokio::select! {
        read = text => match read {
            Ok(read) => read.map_err(|cause| map_stdin_error(&cause)),
            Err(_) => Err(Error::internal("the thread that reads standard input has ended").into()),
        },
        () = interrupt.pressed() => Err(CliError::Interrupted),
    }
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
