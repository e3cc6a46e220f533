//! Ctrl-C as a future that commands wait for.
//!
//! From [`Interrupt::listen`] on the signal no longer ends the process: every wait must include [`Interrupt::pressed`] or
//! use [`Interrupt::race`]. Nothing on this thread may block for long; reads of standard input have their own thread.

use std::future::Future;

use nearside::Error;

use crate::error::CliError;

/// Listener for Ctrl-C. Unhandled presses are coalesced into one.
#[derive(Debug)]
pub(crate) struct Interrupt {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl Interrupt {
    /// Installs the signal handler. Call it once, inside the runtime.
    pub(crate) fn listen() -> Result<Self, CliError> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signal = tokio::signal::windows::ctrl_c();
        match signal {
            Ok(signal) => Ok(Self { signal }),
            Err(cause) => Err(Error::internal(format!("could not listen for Ctrl-C: {cause}")).into()),
        }
    }

    /// Returns at the next Ctrl-C. Cancel-safe: dropping the future loses none.
    pub(crate) async fn pressed(&mut self) {
        if self.signal.recv().await.is_none() {
            // The signal driver has stopped: the program is ending.
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work`, or drops it and returns `Interrupted` on Ctrl-C.
    pub(crate) async fn race<T, E: Into<CliError>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        tokio::select! {
            done = work => done.map_err(Into::into),
            () = self.pressed() => Err(CliError::Interrupted),
        }
    }

    /// Discards a pending press, such as one at a prompt that handles Ctrl-C itself.
    pub(crate) async fn discard_pending(&mut self) {
        tokio::select! {
            biased;
            () = self.pressed() => {}
            () = std::future::ready(()) => {}
        }
    }
}
