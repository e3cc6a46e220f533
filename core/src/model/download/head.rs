//! Fetches the head of a remote model: the few megabytes that the fit verdict needs.
//!
//! Uses range requests, each as long as all data before it but at most one megabyte, so little more than the head is
//! fetched. The bytes are appended to the partial file, and a later download resumes after them.

use crate::error::{Error, Result};
use crate::model::gguf::{self, Head, MAX_HEAD_BYTES, ParseOutcome};
use crate::model::hub::{Hub, HubError, Ranges, Remote};
use crate::model::store::{Partial, Store, blocking};

/// Returns the head of a remote file, and the bytes received for it; 0 if it was on disk already.
///
/// # Errors
/// [`Error::Busy`] while a download of the same file has not reached the end of the head; [`Error::Corrupt`] and
/// [`Error::Unsupported`] if this build cannot run the model; else as a download.
pub async fn fetch_head(hub: &Hub, store: &Store, remote: &Remote) -> Result<(Head, u64)> {
    let read_prefix = || {
        let (store, remote) = (store.clone(), remote.clone());
        blocking(move || Ok(store.read_prefix(&remote, MAX_HEAD_BYTES)))
    };
    // An active download has locked the partial, but its bytes may be enough.
    if let ParseOutcome::Complete(head) = parse_prefix(&read_prefix().await?, remote)? {
        return Ok((*head, 0));
    }
    store.check_disk_space(&remote.name, 0)?;
    let mut partial = lock_partial(store, remote).await?;
    let mut bytes = read_prefix().await?;
    let mut ranges = Ranges::new(hub, remote);
    let mut network = 0;
    let mut failed = 0;
    loop {
        let held = bytes.len() as u64;
        let wanted = match parse_prefix(&bytes, remote)? {
            ParseOutcome::Complete(head) => {
                blocking(move || partial.sync()).await?;
                return Ok((*head, network));
            }
            ParseOutcome::Incomplete { at_least } => at_least.max(held + held.clamp(FIRST_BYTES, STEP_BYTES)),
        };
        match fetch_range(&mut ranges, &mut partial, &mut bytes, wanted, &mut network).await {
            Ok(()) => failed = 0,
            Err(failure) => {
                failed = if bytes.len() as u64 > held { 1 } else { failed + 1 };
                if !failure.transient || failed >= hub.retry_policy().attempts {
                    return Err(failure.error);
                }
                ranges.clear_storage_url();
                tokio::time::sleep(hub.retry_policy().backoff(failed)).await;
            }
        }
    }
}

/// Locks the partial of a remote file. Retries for up to 500 ms: a cancelled download may still be finishing a write.
pub(super) async fn lock_partial(store: &Store, remote: &Remote) -> Result<Partial> {
    let mut waits = 0;
    loop {
        let locked = {
            let (store, remote) = (store.clone(), remote.clone());
            blocking(move || store.open_partial(&remote)).await
        };
        match locked {
            Err(Error::Busy { .. }) if waits < 20 => {
                waits += 1;
                tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            }
            done => return done,
        }
    }
}

fn parse_prefix(bytes: &[u8], remote: &Remote) -> Result<ParseOutcome> {
    if bytes.is_empty() {
        return Ok(ParseOutcome::Incomplete { at_least: FIRST_BYTES });
    }
    gguf::parse_head(bytes, remote.size_bytes).map_err(|error| {
        let name = remote.name.escape_debug();
        error.clone().with_detail(format!("could not use `{name}`: {error}"))
    })
}

async fn fetch_range(
    ranges: &mut Ranges<'_>,
    partial: &mut Partial,
    bytes: &mut Vec<u8>,
    wanted: u64,
    network: &mut u64,
) -> Result<(), HubError> {
    let mut reader = ranges.open_range(bytes.len() as u64, Some(wanted)).await?;
    loop {
        let before = reader.received;
        let chunk = reader.next_chunk().await;
        *network += reader.received - before;
        let Some(chunk) = chunk? else {
            return Ok(());
        };
        bytes.extend_from_slice(&chunk);
        partial.append(chunk).await.map_err(HubError::permanent)?;
    }
}

/// First request: enough for models without a tokenizer.
const FIRST_BYTES: u64 = 256 << 10;

/// Maximum per request, which bounds the bytes fetched beyond the head.
const STEP_BYTES: u64 = 1 << 20;
