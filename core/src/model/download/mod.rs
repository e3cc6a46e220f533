//! Downloads a model: resolve, resume, verify, install.
//!
//! - The transfer starts only after size and SHA-256 are known and the free disk space was checked. (A plain address
//!   may have no hash; then the size and the GGUF head are verified instead.)
//! - Bytes already on disk are not fetched again, not even those that [`head`] fetched. A transient failure
//!   resumes at the current offset with a fresh address; only attempts without progress count.
//! - A permanent failure keeps the partial file, except for a hash mismatch, which deletes it.
//! - A cancelled download ends without [`DownloadEvent::Installed`] and keeps the partial file.

use std::time::Instant;

use serde::{Deserialize, Serialize};

pub mod head;
mod speed;

use self::head::lock_partial;
use self::speed::SpeedMeter;
use super::ModelRef;
use super::gguf::Head;
use super::hash::Hasher;
use super::hub::{Hub, Ranges, Remote};
use super::store::{InstalledModel, Partial, Store, Verified, blocking};
use crate::error::{Error, Result};
use crate::net::url::redact_url;
use crate::stream::{CancelToken, Stream, StreamSender};

/// Events of a download.
pub type DownloadStream = Stream<DownloadEvent>;

/// A step of a download. In order: `Resolved`, `Progress` (at most about ten per second; the first at once with the
/// bytes already on disk, the last with `done == total`), `Verifying`, `Installed`. For an installed model: `Resolved`,
/// `Installed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DownloadEvent {
    /// The reference was resolved.
    Resolved {
        /// The file that the reference resolved to.
        #[serde(flatten)]
        file: ResolvedFile,
    },
    /// Bytes were received.
    Progress {
        /// Bytes on disk, from this and earlier downloads.
        done: u64,
        /// Size of the file in bytes.
        total: u64,
        /// Speed, smoothed over some seconds; 0 at first.
        bytes_per_second: u64,
    },
    /// All bytes are on disk; the hash is being completed.
    Verifying,
    /// The model is complete and in the store.
    Installed {
        /// The installed model.
        #[serde(flatten)]
        model: InstalledModel,
    },
}

/// The file that a reference resolved to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedFile {
    /// The file's name.
    pub name: String,
    /// Its URL, without a query. Empty for an installed model: no request was sent.
    pub url: String,
    /// Size of the whole file, in bytes.
    pub size_bytes: u64,
    /// Expected SHA-256, if it is known before the download.
    pub sha256: Option<String>,
}

/// Downloads a model into the store and sends events to `sink`. Ends when the consumer cancels or drops the stream.
pub async fn download_model(hub: &Hub, store: &Store, reference: &ModelRef, sink: StreamSender<DownloadEvent>) {
    download_explained(hub, store, reference, sink, |error| error).await;
}

/// Downloads like [`download_model`], and passes an error through `explain` before it is sent.
pub(crate) async fn download_explained(
    hub: &Hub,
    store: &Store,
    reference: &ModelRef,
    sink: StreamSender<DownloadEvent>,
    explain: impl FnOnce(Error) -> Error,
) {
    match fetch_model(hub, store, reference, &sink).await {
        Ok(model) => sink.finish(Ok(DownloadEvent::Installed { model })),
        Err(DownloadError::Failed(error)) => sink.finish(Err(explain(error))),
        Err(DownloadError::Cancelled) => sink.close(),
    }
}

/// Reason why a download ended without a model.
enum DownloadError {
    Cancelled,
    Failed(Error),
}

impl From<Error> for DownloadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

async fn fetch_model(
    hub: &Hub,
    store: &Store,
    reference: &ModelRef,
    sink: &StreamSender<DownloadEvent>,
) -> Result<InstalledModel, DownloadError> {
    let cancel = sink.cancel();
    reference.validate()?;
    let installed = {
        let (store, reference) = (store.clone(), reference.clone());
        blocking(move || store.find(&reference)).await?
    };
    if let Some(model) = installed {
        let name = std::path::Path::new(&model.path).file_name().unwrap_or_default();
        emit(
            sink,
            resolved(&name.to_string_lossy(), "", model.size_bytes, Some(&model.sha256)),
        )
        .await?;
        return Ok(model);
    }

    let remote = or_cancelled(cancel, hub.resolve(reference)).await??;
    emit(
        sink,
        resolved(&remote.name, &remote.url, remote.size_bytes, remote.sha256.as_deref()),
    )
    .await?;
    if let Some(model) = link_if_stored(store, &remote, reference).await? {
        return Ok(model);
    }
    let mut partial = or_cancelled(cancel, lock_partial(store, &remote)).await??;
    // Another download may have finished the file while this one waited for the lock.
    if let Some(model) = link_if_stored(store, &remote, reference).await? {
        blocking(move || partial.discard()).await?;
        return Ok(model);
    }
    store.check_disk_space(&remote.name, remote.size_bytes - partial.len())?;

    let hasher = Hasher::follow(partial.path(), partial.len())?;
    let outcome = transfer(hub, &remote, &mut partial, &hasher, sink).await;
    if let Err(stop) = outcome {
        // The next download relies on the file's length, so flush the kept bytes.
        blocking(move || partial.sync()).await?;
        return Err(stop);
    }
    emit(sink, DownloadEvent::Verifying).await?;
    let sha256 = or_cancelled(cancel, hasher.finalize()).await??;
    let (store, reference) = (store.clone(), reference.clone());
    Ok(blocking(move || verify_and_install(&store, partial, &remote, &reference, sha256)).await?)
}

/// Fetches the missing bytes of the partial.
async fn transfer(
    hub: &Hub,
    remote: &Remote,
    partial: &mut Partial,
    hasher: &Hasher,
    sink: &StreamSender<DownloadEvent>,
) -> Result<(), DownloadError> {
    let cancel = sink.cancel();
    let total = remote.size_bytes;
    let progress = |done, bytes_per_second| DownloadEvent::Progress {
        done,
        total,
        bytes_per_second,
    };
    let mut meter = SpeedMeter::new(Instant::now());
    let mut reported = partial.len();
    emit(sink, progress(reported, 0)).await?;

    let mut ranges = Ranges::new(hub, remote);
    let mut failed = 0;
    while partial.len() < total {
        let before = partial.len();
        let mut failure = None;
        match or_cancelled(cancel, ranges.open_range(before, None)).await? {
            Err(refused) => failure = Some(refused),
            Ok(mut reader) => loop {
                match or_cancelled(cancel, reader.next_chunk()).await? {
                    Ok(None) => break,
                    Ok(Some(chunk)) => {
                        let length = chunk.len() as u64;
                        partial.append(chunk).await?;
                        hasher.extend_to(partial.len());
                        let speed = meter.add(length, Instant::now());
                        if let Some(speed) = speed.filter(|_| partial.len() < total) {
                            reported = partial.len();
                            emit(sink, progress(reported, speed)).await?;
                        }
                    }
                    Err(cut) => {
                        failure = Some(cut);
                        break;
                    }
                }
            },
        }
        let Some(failure) = failure else {
            continue;
        };
        failed = if partial.len() > before { 1 } else { failed + 1 };
        if !failure.transient || failed >= hub.retry_policy().attempts {
            return Err(failure.error.into());
        }
        tracing::debug!(len = partial.len(), error = %failure.error, "a download is retried after a failure");
        ranges.clear_storage_url();
        or_cancelled(cancel, tokio::time::sleep(hub.retry_policy().backoff(failed))).await?;
    }
    if reported < total {
        emit(sink, progress(total, meter.last())).await?;
    }
    Ok(())
}

/// Verifies the file and installs it. Blocks.
fn verify_and_install(
    store: &Store,
    partial: Partial,
    remote: &Remote,
    reference: &ModelRef,
    sha256: String,
) -> Result<InstalledModel> {
    let name = remote.name.escape_debug();
    if remote.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
        partial.discard()?;
        return Err(Error::corrupt(format!(
            "`{name}` arrived damaged: its SHA-256 is not the announced one; it was deleted, download it again"
        )));
    }
    let head = match Head::read_file(partial.path()) {
        Ok(head) => head,
        Err(error) if error.kind() == crate::ErrorKind::Storage => return Err(error),
        Err(error) => {
            partial.discard()?;
            return Err(error);
        }
    };
    let verified = Verified {
        name: remote.name.clone(),
        sha256,
        head,
        source: redact_source(&remote.source),
        commit: remote.commit.clone(),
    };
    store.install(partial, &verified, Some(reference))
}

/// Formats a reference for the store without the query of an address, which may contain a key.
fn redact_source(source: &ModelRef) -> String {
    match source {
        ModelRef::Url { url, .. } => redact_url(url),
        other => other.to_string(),
    }
}

/// Returns the installed model with the same SHA-256, if any, and links the reference to it.
async fn link_if_stored(store: &Store, remote: &Remote, reference: &ModelRef) -> Result<Option<InstalledModel>> {
    let Some(sha256) = remote.sha256.clone() else {
        return Ok(None);
    };
    let (store, reference) = (store.clone(), reference.clone());
    blocking(move || store.link_existing(&sha256, &reference)).await
}

fn resolved(name: &str, url: &str, size_bytes: u64, sha256: Option<&str>) -> DownloadEvent {
    DownloadEvent::Resolved {
        file: ResolvedFile {
            name: name.to_owned(),
            url: redact_url(url),
            size_bytes,
            sha256: sha256.map(str::to_owned),
        },
    }
}

async fn emit(sink: &StreamSender<DownloadEvent>, event: DownloadEvent) -> Result<(), DownloadError> {
    if sink.send(event).await {
        Ok(())
    } else {
        Err(DownloadError::Cancelled)
    }
}

/// Returns the output of `work`, or `Cancelled` if the consumer cancels first.
async fn or_cancelled<T>(cancel: &CancelToken, work: impl Future<Output = T>) -> Result<T, DownloadError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(DownloadError::Cancelled),
        done = work => Ok(done),
    }
}
