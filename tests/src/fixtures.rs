//! Fixtures of the download tests: a store, a hub client, and helpers that run a download to its end.

use std::time::Duration;

use nearside::Error;
use nearside::RetryPolicy;
use nearside::model::gguf::Head;
use nearside::model::hub::HubLimits;
use nearside::model::store::Store;
use nearside::model::{DownloadEvent, DownloadStream, InstalledModel, ModelRef, download, hub};

use crate::hub::Hub;

/// A device with an empty store and one hub.
#[derive(Debug)]
pub struct TestDevice {
    /// The store's directory; removed with the device.
    pub directory: tempfile::TempDir,
    /// The device's store.
    pub store: Store,
    /// The hub client, with the short timeouts of [`LIMITS`].
    pub hub: hub::Hub,
}

impl TestDevice {
    /// Creates a device for this hub.
    pub fn new(hub: &Hub) -> Self {
        Self::connect(&hub.url(), None)
    }

    /// Creates a device with an access token.
    pub fn with_token(hub: &Hub, token: &str) -> Self {
        Self::connect(&hub.url(), Some(token))
    }

    /// Creates a device for the hub at this address.
    pub fn connect(url: &str, token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("a store");
        let hub = hub::Hub::with_limits(url, token, LIMITS).expect("a hub");
        Self { directory, store, hub }
    }

    /// Parses a valid reference.
    pub fn reference(&self, text: &str) -> ModelRef {
        ModelRef::parse(text).expect("a reference")
    }

    /// Resolves a valid reference.
    pub async fn resolve(&self, text: &str) -> hub::Remote {
        self.hub.resolve(&self.reference(text)).await.expect("resolved")
    }

    /// Fetches the head of a file, and returns it with the number of bytes that it took.
    pub async fn fetch_head(&self, file: &hub::Remote) -> (Head, u64) {
        let fetched = download::head::fetch_head(&self.hub, &self.store, file).await;
        fetched.expect("a head")
    }

    /// Reads a stream until this many bytes of partials are on disk. Panics if the download fails before.
    pub async fn wait_for_partial(&self, stream: &DownloadStream, bytes: u64) {
        while self.partial_bytes() < bytes {
            let batch = tokio::time::timeout(Duration::from_millis(5), stream.next_batch()).await;
            assert!(!matches!(batch, Ok(Err(_))), "{batch:?}");
        }
    }

    /// Runs a download to its end. Panics unless it installs a model of this hash; returns the events.
    pub async fn install(&self, text: &str, sha256: &str) -> Vec<DownloadEvent> {
        let events = self.download(text).await.expect("whole in the end");
        assert_eq!(installed(&events).sha256, sha256);
        events
    }

    /// Starts a download.
    pub fn start(&self, text: &str) -> DownloadStream {
        let (stream, sink) = DownloadStream::new();
        let (hub, store, reference) = (self.hub.clone(), self.store.clone(), self.reference(text));
        tokio::spawn(async move { download::download_model(&hub, &store, &reference, sink).await });
        stream
    }

    /// Runs a download to its end and returns its events.
    pub async fn download(&self, text: &str) -> Result<Vec<DownloadEvent>, Error> {
        let stream = self.start(text);
        let mut events = Vec::new();
        loop {
            let batch = tokio::time::timeout(Duration::from_secs(60), stream.next_batch()).await;
            let batch = batch.expect("a download emits events or ends")?;
            if batch.is_empty() {
                return Ok(events);
            }
            events.extend(batch);
        }
    }

    /// Returns the size of all partials on disk.
    pub fn partial_bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.directory.path().join("partial")).expect("the partials");
        let parts = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "part"));
        parts.map(|part| part.metadata().expect("its length").len()).sum()
    }
}

/// Returns the kinds of the events, without consecutive duplicates.
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

/// Returns the byte counts of the progress events.
pub fn progress(events: &[DownloadEvent]) -> Vec<u64> {
    let done = |event: &DownloadEvent| match event {
        DownloadEvent::Progress { done, .. } => Some(*done),
        _ => None,
    };
    events.iter().filter_map(done).collect()
}

/// Returns the model of the last event, which must be `Installed`.
pub fn installed(events: &[DownloadEvent]) -> InstalledModel {
    match events.last() {
        Some(DownloadEvent::Installed { model }) => model.clone(),
        other => panic!("expected an installed model, got {other:?}"),
    }
}

/// Short timeouts, so that a fault costs milliseconds.
pub const LIMITS: HubLimits = HubLimits {
    idle_timeout: Duration::from_millis(400),
    retry: RetryPolicy {
        attempts: 4,
        initial_backoff: Duration::from_millis(5),
    },
};
