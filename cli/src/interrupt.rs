//! Ctrl-C, as something a command can wait for instead of dying of it.
//!
//! From [`Interrupt::listen`] on the signal no longer ends the process: every wait must look at it, here or through
//! [`Interrupt::or`]. Nothing else in the program may block for long; what must (standard input) has its own thread.

use std::future::Future;

use nearside::Error;

use crate::failure::Failure;

/// Listens for Ctrl-C. Unhandled presses are coalesced into one.
#[derive(Debug)]
pub(crate) struct Interrupt {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl Interrupt {
    /// Takes the signal over. Called once, inside the runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signal = tokio::signal::windows::ctrl_c();
        match signal {
            Ok(signal) => Ok(Self { signal }),
            Err(cause) => Err(Error::internal(format!("could not listen for Ctrl-C: {cause}")).into()),
        }
    }

    /// Returns at the next Ctrl-C. May be dropped without losing one.
    pub(crate) async fn pressed(&mut self) {
        if self.signal.recv().await.is_none() {
            // The driver is gone, as it is while the program ends.
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work`, or drops it and returns `Interrupted` on Ctrl-C.
    pub(crate) async fn or<T, E: Into<Failure>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done.map_err(Into::into),
            () = self.pressed() => Err(Failure::Interrupted),
        }
    }

    /// Discards a pending press, such as one at a prompt that handles Ctrl-C itself.
    pub(crate) async fn forget(&mut self) {
        tokio::select! {
            biased;
            () = self.pressed() => {}
            () = std::future::ready(()) => {}
        }
    }
}
