//! What happens to the app and the device, and what the models on the device do about it: pauses, limits, and the memory that
//! is given back. Each of these adjustments goes to the app's listeners.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Nearside, lock};
use crate::device::DeviceFacts;
use crate::engine::local::{Adjustment, RunConditions};
use crate::stream::{Stream, StreamSender};

/// A stream of adjustments.
pub type AdjustmentStream = Stream<Adjustment>;

/// The state of the app, as its events reported it, and the listeners of adjustments.
#[derive(Debug, Default)]
pub(super) struct AppState {
    is_in_background: AtomicBool,
    /// Time of the last memory warning.
    pressure_at: Mutex<Option<Instant>>,
    listeners: Mutex<Vec<StreamSender<Adjustment>>>,
}

impl AppState {
    /// Records that the app entered the background, or returned.
    pub(super) fn set_background(&self, is_in_background: bool) {
        self.is_in_background.store(is_in_background, Ordering::SeqCst);
    }

    /// Returns whether the app is in the background.
    pub(super) fn is_in_background(&self) -> bool {
        self.is_in_background.load(Ordering::SeqCst)
    }

    /// Records a memory warning.
    pub(super) fn note_pressure(&self) {
        *lock(&self.pressure_at) = Some(Instant::now());
    }

    /// Returns whether a memory warning counts still.
    pub(super) fn is_under_pressure(&self) -> bool {
        lock(&self.pressure_at).is_some_and(|at| at.elapsed() < PRESSURE_DURATION)
    }

    /// Returns how models may compute now. `pauses_in_background`: not in the background.
    pub(super) fn run_conditions(&self, facts: &DeviceFacts, pauses_in_background: bool) -> RunConditions {
        RunConditions::derive(facts, self.is_in_background() && pauses_in_background)
    }

    /// Tells the listeners.
    pub(super) fn publish(&self, adjustment: &Adjustment) {
        tracing::info!(model = adjustment.model, action = ?adjustment.action, cause = ?adjustment.cause, "adjustment");
        lock(&self.listeners).retain(|listener| listener.send_merged(adjustment.clone()));
    }

    /// Ends the streams of the listeners.
    pub(super) fn close_listeners(&self) {
        lock(&self.listeners).drain(..).for_each(StreamSender::close);
    }

    fn close_cancelled(&self) {
        let mut listeners = lock(&self.listeners);
        let cancelled = listeners.extract_if(.., |listener| listener.cancel().is_cancelled());
        cancelled.for_each(StreamSender::close);
    }
}

impl Nearside {
    /// Returns the adjustments from now on: what the library does to the models on this device because of memory warnings,
    /// heat, power saving and the background. The stream ends when the library is closed, or by its cancel.
    pub fn adjustments(&self) -> AdjustmentStream {
        let (stream, sender) = Stream::new();
        let (models, cancel) = (Arc::clone(&self.inner.local_models), sender.cancel().clone());
        lock(&models.app.listeners).push(sender);
        if self.inner.closing.is_cancelled() {
            // The listeners may have been closed before this one was added.
            models.app.close_listeners();
        }
        self.handle.spawn(async move {
            cancel.cancelled().await;
            models.app.close_cancelled();
        });
        stream
    }
}

/// How long a warning counts: iOS and Android report when memory is low, but not when that ends.
const PRESSURE_DURATION: Duration = Duration::from_secs(60);
