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

use self::head::claim;
use self::speed::Rate;
use super::ModelRef;
use super::gguf::Head;
use super::hash::Hasher;
use super::hub::{Hub, Ranges, Remote};
use super::store::{InstalledModel, Partial, Store, Verified, blocking};
use crate::error::{Error, Result};
use crate::net::url::shown;
use crate::stream::{Cancel, Sink, Stream};

/// What happens in a download, as it happens.
pub type DownloadStream = Stream<DownloadEvent>;

/// A step of a download. In order: `Resolved`, `Progress` (at most about ten a second; the first at once with what is
/// already here, the last with `done == total`), `Verifying`, `Installed`. Of a model that is installed: `Resolved`,
/// `Installed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DownloadEvent {
    /// It is known what will be fetched.
    Resolved {
        /// The file that the reference resolved to.
        #[serde(flatten)]
        file: ResolvedFile,
    },
    /// Bytes came.
    Progress {
        /// Bytes that are here, from this and earlier runs.
        done: u64,
        /// Bytes of the whole file.
        total: u64,
        /// Smoothed over some seconds; 0 at first.
        bytes_per_second: u64,
    },
    /// Everything is here; the hash is being finished.
    Verifying,
    /// The model is whole and in the store.
    Installed {
        /// What is installed.
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

/// Downloads what `reference` means into the store and tells of it on `sink`. Ends when the reader cancels or leaves.
pub async fn run(hub: &Hub, store: &Store, reference: &ModelRef, sink: Sink<DownloadEvent>) {
    match fetch(hub, store, reference, &sink).await {
        Ok(model) => sink.finish(Ok(DownloadEvent::Installed { model })),
        Err(Stop::Failed(error)) => sink.finish(Err(error)),
        Err(Stop::Cancelled) => sink.close(),
    }
}

/// Why a download ended without a model.
enum Stop {
    Cancelled,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

async fn fetch(
    hub: &Hub,
    store: &Store,
    reference: &ModelRef,
    sink: &Sink<DownloadEvent>,
) -> Result<InstalledModel, Stop> {
    let cancel = sink.cancel();
    reference.check()?;
    let installed = {
        let (store, reference) = (store.clone(), reference.clone());
        blocking(move || store.find(&reference)).await?
    };
    if let Some(model) = installed {
        let name = std::path::Path::new(&model.path).file_name().unwrap_or_default();
        say(
            sink,
            resolved(&name.to_string_lossy(), "", model.size_bytes, Some(&model.sha256)),
        )
        .await?;
        return Ok(model);
    }

    let remote = unless(cancel, hub.resolve(reference)).await??;
    say(
        sink,
        resolved(&remote.name, &remote.url, remote.size_bytes, remote.sha256.as_deref()),
    )
    .await?;
    if let Some(model) = adopt(store, &remote, reference).await? {
        return Ok(model);
    }
    let mut partial = unless(cancel, claim(store, &remote)).await??;
    // Another download may have finished the file while this one waited for the lock.
    if let Some(model) = adopt(store, &remote, reference).await? {
        blocking(move || partial.discard()).await?;
        return Ok(model);
    }
    store.check_room(&remote.name, remote.size_bytes - partial.held())?;

    let hasher = Hasher::follow(partial.path(), partial.held())?;
    let came = transfer(hub, &remote, &mut partial, &hasher, sink).await;
    if let Err(stop) = came {
        // Kept bytes are worth a sync: the next run believes the file's length.
        blocking(move || partial.sync()).await?;
        return Err(stop);
    }
    say(sink, DownloadEvent::Verifying).await?;
    let sha256 = unless(cancel, hasher.finish()).await??;
    let (store, reference) = (store.clone(), reference.clone());
    Ok(blocking(move || finish(&store, partial, &remote, &reference, sha256)).await?)
}

/// Brings the partial to its full size.
async fn transfer(
    hub: &Hub,
    remote: &Remote,
    partial: &mut Partial,
    hasher: &Hasher,
    sink: &Sink<DownloadEvent>,
) -> Result<(), Stop> {
    let cancel = sink.cancel();
    let total = remote.size_bytes;
    let progress = |done, bytes_per_second| DownloadEvent::Progress {
        done,
        total,
        bytes_per_second,
    };
    let mut rate = Rate::new(Instant::now());
    let mut told = partial.held();
    say(sink, progress(told, 0)).await?;

    let mut ranges = Ranges::new(hub, remote);
    let mut failed = 0;
    while partial.held() < total {
        let before = partial.held();
        let mut failure = None;
        match unless(cancel, ranges.open(before, None)).await? {
            Err(refused) => failure = Some(refused),
            Ok(mut piece) => loop {
                match unless(cancel, piece.chunk()).await? {
                    Ok(None) => break,
                    Ok(Some(chunk)) => {
                        let length = chunk.len() as u64;
                        partial.append(chunk).await?;
                        hasher.grown(partial.held());
                        let speed = rate.count(length, Instant::now());
                        if let Some(speed) = speed.filter(|_| partial.held() < total) {
                            told = partial.held();
                            say(sink, progress(told, speed)).await?;
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
        failed = if partial.held() > before { 1 } else { failed + 1 };
        if !failure.passing || failed >= hub.retry_policy().attempts {
            return Err(failure.error.into());
        }
        tracing::debug!(held = partial.held(), error = %failure.error, "a download goes on after a failure");
        ranges.forget_storage();
        unless(cancel, tokio::time::sleep(hub.retry_policy().backoff(failed))).await?;
    }
    if told < total {
        say(sink, progress(total, rate.last())).await?;
    }
    Ok(())
}

/// Verifies the file and installs it. Blocks.
fn finish(
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
            "`{name}` arrived damaged: its SHA-256 is not the announced one; it was thrown away, download it again"
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
        source: shown_source(&remote.source),
        commit: remote.commit.clone(),
    };
    store.install(partial, &verified, Some(reference))
}

/// A reference as the store may keep it: the query of an address may hold a key.
fn shown_source(source: &ModelRef) -> String {
    match source {
        ModelRef::Url { url, .. } => shown(url),
        other => other.to_string(),
    }
}

/// The model with these bytes, if the store has it under whatever name.
async fn adopt(store: &Store, remote: &Remote, reference: &ModelRef) -> Result<Option<InstalledModel>> {
    let Some(sha256) = remote.sha256.clone() else {
        return Ok(None);
    };
    let (store, reference) = (store.clone(), reference.clone());
    blocking(move || store.adopt(&sha256, &reference)).await
}

fn resolved(name: &str, url: &str, size_bytes: u64, sha256: Option<&str>) -> DownloadEvent {
    DownloadEvent::Resolved {
        file: ResolvedFile {
            name: name.to_owned(),
            url: shown(url),
            size_bytes,
            sha256: sha256.map(str::to_owned),
        },
    }
}

async fn say(sink: &Sink<DownloadEvent>, event: DownloadEvent) -> Result<(), Stop> {
    if sink.send(event).await {
        Ok(())
    } else {
        Err(Stop::Cancelled)
    }
}

/// Returns the output of `work`, or `Cancelled` if the consumer cancels first.
async fn unless<T>(cancel: &Cancel, work: impl Future<Output = T>) -> Result<T, Stop> {
    tokio::select! {
        biased;
        () = cancel.wait() => Err(Stop::Cancelled),
        done = work => Ok(done),
    }
}
