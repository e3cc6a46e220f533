//! Reads a file by range requests; each response is validated before a byte of it is used.
//!
//! A server may ignore ranges, return a wrong offset or total, send a sign-in page, truncate, or send too much.
//! [`RangeReader::next_chunk`] returns only bytes that directly follow those of the caller. Presigned storage sends no
//! `ETag`, so size and hash headers are compared instead, and the hash is verified at the end. The storage URL is reused
//! for the next range until a request fails, because it expires.

use reqwest::{Method, StatusCode};
use url::Url;

use super::client::{Follow, HubRequest};
use super::error::{self, HubError, header_text};
use super::{Hub, Remote};
use crate::error::{Error, ErrorReason};
use crate::net::url::redact_url;

/// Opens ranges of one remote file.
#[derive(Debug)]
pub(crate) struct Ranges<'a> {
    hub: &'a Hub,
    remote: &'a Remote,
    /// Target of the last redirect.
    storage_url: Option<Url>,
}

/// Reads one range as it arrives.
#[derive(Debug)]
pub(crate) struct RangeReader<'a> {
    response: reqwest::Response,
    remote: &'a Remote,
    from: Url,
    /// Bytes to discard, which the caller has already: the server ignores ranges.
    skip: u64,
    /// Offset in the file of the next byte for the caller.
    position: u64,
    /// End of the range.
    end: u64,
    /// Bytes received from the network.
    pub(crate) received: u64,
}

/// A parsed header `Content-Range: bytes 0-99/1000`.
#[derive(Debug, PartialEq)]
pub(super) struct ContentRange {
    start: u64,
    pub(super) total: Option<u64>,
}

impl<'a> Ranges<'a> {
    pub(crate) fn new(hub: &'a Hub, remote: &'a Remote) -> Self {
        Self {
            hub,
            remote,
            storage_url: None,
        }
    }

    /// Opens the bytes from `start` up to `end`, or to the end of the file.
    pub(crate) async fn open_range(&mut self, start: u64, end: Option<u64>) -> Result<RangeReader<'a>, HubError> {
        let opened = self.request_range(start, end).await;
        if opened.is_err() {
            self.clear_storage_url();
        }
        opened
    }

    /// Clears the storage URL, which may have expired: the next range asks the hub again.
    pub(crate) fn clear_storage_url(&mut self) {
        self.storage_url = None;
    }

    async fn request_range(&mut self, start: u64, end: Option<u64>) -> Result<RangeReader<'a>, HubError> {
        let size = self.remote.size_bytes;
        let end = end.map_or(size, |end| end.min(size));
        let hub_url = Url::parse(&self.remote.url)
            .map_err(|cause| HubError::permanent(Error::internal(format!("malformed address of a file: {cause}"))))?;
        let url = self.storage_url.as_ref().unwrap_or(&hub_url);
        let range = format!("bytes={start}-{}", end.saturating_sub(1));
        let request = HubRequest {
            method: Method::GET,
            url,
            shown: &hub_url,
            range: Some(&range),
            follow: Follow::All,
        };
        let sent = self.hub.client.send(request).await;
        let sent = sent.map_err(|failure| self.mark_expired(&hub_url, failure))?;
        let (response, from, file) = (sent.http, sent.url, sent.file);
        if file.size.is_some_and(|announced| announced != size)
            || file.sha256.is_some() && self.remote.sha256.is_some() && file.sha256 != self.remote.sha256
        {
            return Err(protocol_error(&from, "now has another file in its place; try again"));
        }
        if header_text(response.headers(), "content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(protocol_error(
                &from,
                "sends a web page instead of the model; check the address, and whether this network wants a sign-in",
            ));
        }
        let length = response.content_length();
        let skip = if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = header_text(response.headers(), "content-range").and_then(ContentRange::from_header);
            let range = range.ok_or_else(|| protocol_error(&from, "sends a part without saying which"))?;
            if range.start != start || range.total.is_some_and(|total| total != size) {
                return Err(protocol_error(
                    &from,
                    "sends another part of the file, or of another file; try again later",
                ));
            }
            0
        } else {
            if length.is_some_and(|length| length != size) {
                return Err(protocol_error(
                    &from,
                    "has a file of another size than it announced; try again later",
                ));
            }
            start
        };
        if from.origin() != hub_url.origin() {
            self.storage_url = Some(from.clone());
        }
        Ok(RangeReader {
            response,
            remote: self.remote,
            from,
            skip,
            position: start,
            end,
            received: 0,
        })
    }

    /// Marks the rejection of an expired storage URL as transient: the hub returns a fresh one.
    fn mark_expired(&self, hub_url: &Url, mut failure: HubError) -> HubError {
        let by_storage = failure.origin.as_ref().is_some_and(|by| **by != hub_url.origin());
        if by_storage && matches!(failure.status, Some(400 | 401 | 403 | 404 | 410)) {
            failure.transient = true;
            failure.error = Error::network(format!(
                "the storage of `{}` refuses the address that the hub gave for `{}`; try again",
                error::host_and_port(hub_url),
                self.remote.name
            ))
            .because(ErrorReason::ProviderFault);
        }
        failure
    }
}

impl RangeReader<'_> {
    /// Returns the next bytes of the file; `None` at the end of the range. Bytes beyond it are not read.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<bytes::Bytes>, HubError> {
        while self.position < self.end {
            let cut = |cause| error::connection_error(&self.from, cause);
            let Some(mut bytes) = self.response.chunk().await.map_err(cut)? else {
                let (host, name) = (error::host_and_port(&self.from), &self.remote.name);
                let text = format!("`{host}` ended `{name}` early; try again");
                return Err(HubError::transient(Error::of(ErrorReason::Interrupted, text)));
            };
            self.received += bytes.len() as u64;
            let known = self.skip.min(bytes.len() as u64);
            self.skip -= known;
            bytes = bytes.split_off(known as usize);
            if bytes.is_empty() {
                continue;
            }
            let room = self.end - self.position;
            if bytes.len() as u64 > room {
                if self.end == self.remote.size_bytes {
                    return Err(protocol_error(
                        &self.from,
                        "sends more bytes than the file has; try again later",
                    ));
                }
                bytes.truncate(room as usize);
            }
            self.check_magic(&bytes)?;
            self.position += bytes.len() as u64;
            return Ok(Some(bytes));
        }
        Ok(None)
    }

    fn check_magic(&self, bytes: &[u8]) -> Result<(), HubError> {
        let expected = GGUF_MAGIC.get(self.position as usize..).unwrap_or_default();
        if expected.iter().zip(bytes).all(|(expected, byte)| expected == byte) {
            return Ok(());
        }
        Err(protocol_error(
            &self.from,
            &format!(
                "sends something that is not a GGUF model for `{}`; check the address",
                redact_url(&self.remote.url)
            ),
        ))
    }
}

impl ContentRange {
    pub(super) fn from_header(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (start.trim().parse().ok()?, end.trim().parse::<u64>().ok()?);
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        (start <= end).then_some(Self { start, total })
    }
}

fn protocol_error(from: &Url, what: &str) -> HubError {
    HubError::permanent(Error::provider(format!("`{}` {what}", error::host_and_port(from))))
}

/// First bytes of every GGUF file.
const GGUF_MAGIC: &[u8] = b"GGUF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_or_refused() {
        let table = [
            ("bytes 0-99/1000", Some((0, Some(1000)))),
            ("bytes 7-7/*", Some((7, None))),
            ("bytes */1000", None),
            ("bytes 9-3/1000", None),
            ("items 0-1/2", None),
            ("bytes 0-99/x", None),
        ];
        for (text, expected) in table {
            assert_eq!(
                ContentRange::from_header(text).map(|s| (s.start, s.total)),
                expected,
                "{text}"
            );
        }
    }
}
