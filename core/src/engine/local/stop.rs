//! What ends an answer early: a cancel, the deadline of the request, or that its engine is closed.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use nearside_llama::AbortSignal;
use tokio::time::timeout_at;

use crate::chat::{ChatRequest, StopReason};
use crate::error::{Error, ErrorReason};
use crate::stream::CancelToken;

/// The conditions that end one job.
#[derive(Debug, Clone)]
pub(super) struct StopConditions {
    cancel: CancelToken,
    deadline: Option<Instant>,
    /// Set where the library itself ended the work.
    ended: Arc<OnceLock<StopReason>>,
}

impl StopConditions {
    /// Derives the conditions of a request that was made at `requested_at`.
    pub(super) fn new(request: &ChatRequest, cancel: &CancelToken, requested_at: Instant) -> Self {
        Self {
            cancel: cancel.clone(),
            deadline: request.limits.deadline(requested_at),
            ended: Arc::default(),
        }
    }

    /// Returns the conditions of work that only a cancel ends.
    pub(super) fn cancel_only(cancel: &CancelToken) -> Self {
        Self {
            cancel: cancel.clone(),
            deadline: None,
            ended: Arc::default(),
        }
    }

    /// Ends the work for this reason, unless it was cancelled before.
    pub(super) fn end(&self, reason: StopReason) {
        if !self.cancel.is_cancelled() {
            // Only the first reason counts.
            let _ = self.ended.set(reason);
        }
        self.cancel.cancel();
    }

    /// Returns the reason that stopped work ends with.
    pub(super) fn reason(&self) -> StopReason {
        self.ended.get().copied().unwrap_or(StopReason::Cancelled)
    }

    /// Waits until the work should end.
    pub(super) async fn raised(&self) {
        match self.deadline {
            // An error means that the deadline came first.
            Some(deadline) => drop(timeout_at(deadline.into(), self.cancel.cancelled()).await),
            None => self.cancel.cancelled().await,
        }
    }

    /// Returns the signal that computations poll.
    pub(super) fn signal(&self) -> AbortSignal<'_> {
        AbortSignal {
            flag: self.cancel.flag(),
            deadline: self.deadline,
        }
    }

    /// Returns whether the work should end.
    pub(super) fn is_raised(&self) -> bool {
        self.signal().is_raised()
    }

    /// Returns why the work ended: nothing after a cancel, an error after the deadline.
    pub(super) fn cause(&self) -> Option<Error> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let passed = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        passed.then(|| {
            Error::busy("the answer did not finish within its deadline; allow more time or fewer tokens")
                .because(ErrorReason::DeadlineExceeded)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_ends_the_work_with_an_error_and_a_cancel_without() {
        let mut request = ChatRequest::new(vec![]);
        let cancel = CancelToken::default();
        let now = Instant::now();
        assert!(!StopConditions::new(&request, &cancel, now).is_raised());
        request.limits.deadline_ms = Some(u64::MAX);
        assert!(!StopConditions::new(&request, &cancel, now).is_raised());
        request.limits.deadline_ms = Some(0);
        let late = StopConditions::new(&request, &cancel, now);
        assert!(late.is_raised());
        let error = late.cause().expect("an error");
        assert_eq!(error.reason(), ErrorReason::DeadlineExceeded);
        cancel.cancel();
        assert!(late.is_raised());
        assert_eq!(late.cause(), None, "the cancel came first");
    }
}
