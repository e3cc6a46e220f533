//! A store, a hub's client and a way to read a download to its end, as all these scenarios need them.

use std::time::Duration;

use nearside::Error;
use nearside::RetryPolicy;
use nearside::model::hub::HubLimits;
use nearside::model::store::Store;
use nearside::model::{DownloadEvent, DownloadStream, InstalledModel, ModelRef, download, hub};

use crate::hub::Hub;

/// One device with one hub.
#[derive(Debug)]
pub struct Scene {
    /// Where the store is; gone with the scene.
    pub directory: tempfile::TempDir,
    /// The device's store.
    pub store: Store,
    /// What the device knows the hub by; impatient.
    pub hub: hub::Hub,
}

impl Scene {
    /// A fresh device at this hub.
    pub fn new(hub: &Hub) -> Self {
        Self::of(&hub.url(), None)
    }

    /// A fresh device with a token.
    pub fn with_token(hub: &Hub, token: &str) -> Self {
        Self::of(&hub.url(), Some(token))
    }

    /// A fresh device at the hub of this address.
    pub fn of(url: &str, token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("a store");
        let hub = hub::Hub::with_limits(url, token, LIMITS).expect("a hub");
        Self { directory, store, hub }
    }

    /// A reference that must be sound.
    pub fn reference(&self, text: &str) -> ModelRef {
        ModelRef::parse(text).expect("a reference")
    }

    /// A download that has begun.
    pub fn start(&self, text: &str) -> DownloadStream {
        let (stream, sink) = DownloadStream::new();
        let (hub, store, reference) = (self.hub.clone(), self.store.clone(), self.reference(text));
        tokio::spawn(async move { download::download_model(&hub, &store, &reference, sink).await });
        stream
    }

    /// A download from its beginning to its end.
    pub async fn download(&self, text: &str) -> Result<Vec<DownloadEvent>, Error> {
        let stream = self.start(text);
        let mut events = Vec::new();
        loop {
            let batch = tokio::time::timeout(Duration::from_secs(60), stream.next_batch()).await;
            let batch = batch.expect("a download tells of itself or ends")?;
            if batch.is_empty() {
                return Ok(events);
            }
            events.extend(batch);
        }
    }

    /// Bytes of partial downloads on disk.
    pub fn held(&self) -> u64 {
        let entries = std::fs::read_dir(self.directory.path().join("partial")).expect("the partials");
        let parts = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "part"));
        parts.map(|part| part.metadata().expect("its length").len()).sum()
    }
}

/// The kinds of the events, repeated ones once.
pub fn kinds(events: &[DownloadEvent]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = events
        .iter()
        .map(|event| match event {
            DownloadEvent::Resolved { .. } => "resolved",
            DownloadEvent::Progress { .. } => "progress",
            DownloadEvent::Verifying => "verifying",
            DownloadEvent::Installed { .. } => "installed",
        })
        .collect();
    kinds.dedup();
    kinds
}

/// What each progress says is done.
pub fn progress(events: &[DownloadEvent]) -> Vec<u64> {
    let done = |event: &DownloadEvent| match event {
        DownloadEvent::Progress { done, .. } => Some(*done),
        _ => None,
    };
    events.iter().filter_map(done).collect()
}

/// The model that the last event tells of.
pub fn installed(events: &[DownloadEvent]) -> InstalledModel {
    match events.last() {
        Some(DownloadEvent::Installed { model }) => model.clone(),
        other => panic!("expected an installed model, got {other:?}"),
    }
}

/// Short, so that a fault costs milliseconds.
pub const LIMITS: HubLimits = HubLimits {
    idle_timeout: Duration::from_millis(400),
    retry: RetryPolicy {
        attempts: 4,
        initial_backoff: Duration::from_millis(5),
    },
};
