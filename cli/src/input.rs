//! Standard input, read on a thread of its own: a read that waits must not make Ctrl-C wait.

use std::io::{self, BufRead, Read};

use nearside::Error;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// The lines of standard input, without their ends.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: mpsc::Receiver<io::Result<String>>,
}

impl Lines {
    /// Starts to read. The thread ends with the input, or with the program.
    pub(crate) fn read() -> Self {
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let failed = line.is_err();
                if sender.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        Self { lines }
    }

    /// The next line; nothing at the end.
    pub(crate) async fn next(&mut self, interrupt: &mut Interrupt) -> Result<Option<String>, Failure> {
        tokio::select! {
            line = self.lines.recv() => line.transpose().map_err(|cause| unreadable(&cause)),
            () = interrupt.pressed() => Err(Failure::Interrupted),
        }
    }
}

/// All of standard input.
pub(crate) async fn whole(interrupt: &mut Interrupt) -> Result<String, Failure> {
    let (sender, text) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text).map(|_| text);
        // The receiver is gone after Ctrl-C.
        let _ = sender.send(read);
    });
    tokio::select! {
        read = text => match read {
            Ok(read) => read.map_err(|cause| unreadable(&cause)),
            Err(_) => Err(Error::internal("the thread that reads standard input is gone").into()),
        },
        () = interrupt.pressed() => Err(Failure::Interrupted),
    }
}

fn unreadable(cause: &io::Error) -> Failure {
    match cause.kind() {
        io::ErrorKind::InvalidData => {
            Error::invalid_request("standard input is not UTF-8 text; convert it, for example with `iconv -t UTF-8`")
        }
        _ => Error::storage(format!("could not read standard input: {cause}")),
    }
    .into()
}
