//! A load that an app asked for: its events, from the queue to the loaded model.
//!
//! The fraction of a load covers all of it: the plan, for which llama.cpp may have to compute the model's needs, the
//! weights, and the context with its cache. It only rises, and the last one is 1.

use serde::{Deserialize, Serialize};

use super::residency::LoadedModel;
use crate::error::{Error, Result};
use crate::stream::{Merge, Stream, StreamSender};

/// Events of a load.
pub type LoadStream = Stream<LoadEvent>;

/// A step of a load: `Progress`, at first with 0 and finally with 1, then `Loaded`. For a model that is in memory already:
/// `Loaded` alone. A load that was cancelled ends without `Loaded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LoadEvent {
    /// The load goes on.
    Progress {
        /// The part of the load that is done, 0 to 1. Each is larger than the one before.
        fraction: f64,
    },
    /// The model is in memory, and the next answer begins without a load.
    Loaded {
        /// The loaded model.
        #[serde(flatten)]
        model: LoadedModel,
    },
}

impl Merge for LoadEvent {
    /// An app that does not read gets the latest progress only.
    fn merge(&mut self, next: Self) -> Option<Self> {
        *self = next;
        None
    }
}

/// A load in the queue.
#[derive(Debug)]
pub(super) struct LoadJob {
    sink: StreamSender<LoadEvent>,
    /// The fraction that was sent last.
    sent: Option<f64>,
}

impl LoadJob {
    /// Creates a load that reports to this sink.
    pub(super) fn new(sink: StreamSender<LoadEvent>) -> Self {
        Self { sink, sent: None }
    }

    /// Returns whether its caller cancelled it.
    pub(super) fn is_cancelled(&self) -> bool {
        self.sink.cancel().is_cancelled()
    }

    /// Tells how far the load has come.
    pub(super) fn report(&mut self, fraction: f64) {
        let fraction = fraction.clamp(0.0, 1.0);
        let next = self.sent.map_or(0.0, |sent| (sent + MIN_STEP).min(1.0));
        if fraction >= next && self.sent != Some(1.0) {
            self.sent = Some(fraction);
            self.sink.send_merged(LoadEvent::Progress { fraction });
        }
    }

    /// Ends it without a model and without an error.
    pub(super) fn close(self) {
        self.sink.close();
    }

    /// Ends it with the model, or the reason why there is none.
    pub(super) fn end(mut self, model: Result<LoadedModel>) {
        if model.is_ok() && self.sent.is_some() {
            self.report(1.0);
        }
        self.sink.finish(model.map(|model| LoadEvent::Loaded { model }));
    }
}

/// Returns the error of a load whose model was unloaded meanwhile.
pub(super) fn unloaded_meanwhile() -> Error {
    Error::busy("the model was unloaded while it was being loaded; load it again")
}

/// Maps the fraction of one part of a load, 0 to 1, to that of the whole load.
pub(super) fn part_of(part: (f64, f64), fraction: f64) -> f64 {
    part.0 + (part.1 - part.0) * fraction
}

/// The share of the weights in a load: the plan is before them, the context after them.
pub(super) const WEIGHTS_PART: (f64, f64) = (0.05, 0.9);
/// The least step between two reports: a bar on a screen shows no smaller one.
const MIN_STEP: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    fn fractions(batch: &[LoadEvent]) -> Vec<f64> {
        let fraction = |event: &LoadEvent| match event {
            LoadEvent::Progress { fraction } => Some(*fraction),
            LoadEvent::Loaded { .. } => None,
        };
        batch.iter().filter_map(fraction).collect()
    }

    #[tokio::test]
    async fn progress_rises_from_0_to_1_in_steps_and_an_unread_one_takes_no_memory() {
        let (stream, sink) = Stream::new();
        let mut job = LoadJob::new(sink);
        for thousandth in [0, 0, 1, 2, 300, 299, 300, 305, 311] {
            job.report(f64::from(thousandth) / 1000.0);
        }
        assert_eq!(
            fractions(&stream.next_batch().await.expect("progress")),
            [0.0, 0.3, 0.311]
        );
        for hundredth in 32..100 {
            job.report(f64::from(hundredth) / 100.0);
        }
        job.end(Ok(LoadedModel::default()));
        let batch = stream.next_batch().await.expect("the end");
        let seen = fractions(&batch);
        assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
        assert!(
            batch.len() < 70 && matches!(batch.last(), Some(LoadEvent::Loaded { .. })),
            "{}",
            batch.len()
        );
        assert_eq!(stream.next_batch().await, Ok(vec![]));
    }

    #[tokio::test]
    async fn a_model_that_is_loaded_already_has_no_progress() {
        let (stream, sink) = Stream::new();
        LoadJob::new(sink).end(Ok(LoadedModel::default()));
        let batch = stream.next_batch().await.expect("the end");
        assert!(matches!(batch[..], [LoadEvent::Loaded { .. }]), "{batch:?}");
    }
}
