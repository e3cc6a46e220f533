//! Faults that occur in the field. A response consumes at most one fault of each one-time kind.

use super::log::Host;

/// A fault to inject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next body and its connection end after this many bytes.
    CutAfter(u64),
    /// The next body stops after this many bytes and the connection stays open.
    StallAfter(u64),
    /// Every body has this byte of the file inverted.
    WrongByteAt(u64),
    /// The CDN ignores `Range` headers and always sends the whole file.
    IgnoreRanges,
    /// The `Content-Range` of the next ranged response is shifted forward by this many bytes.
    ShiftedRange(u64),
    /// The `Content-Range` of the next ranged response states a size that is too large by this many bytes.
    WrongTotal(u64),
    /// Every body has this many extra bytes and no `Content-Length`.
    TooLong(u64),
    /// The next body is a web page.
    WebPage,
    /// A presigned address serves this many responses, then 403.
    ExpiresAfter(u32),
    /// The next request to this host is refused.
    Refuse(Host, Refusal),
}

/// An error response of the hub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Further headers, for example `X-Error-Code` or `Retry-After`.
    pub headers: Vec<(String, String)>,
}

impl Refusal {
    /// Creates a refusal with a bare status.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The faults of one response body.
#[derive(Debug, Default)]
pub(super) struct BodyFaults {
    pub(super) cut: Option<u64>,
    pub(super) stall: Option<u64>,
    pub(super) wrong_byte: Option<u64>,
    pub(super) ignore_ranges: bool,
    pub(super) shifted: u64,
    pub(super) wrong_total: u64,
    pub(super) too_long: u64,
    pub(super) web_page: bool,
}

impl BodyFaults {
    /// Collects the permanent faults, and removes the first of each one-time kind from the list.
    pub(super) fn take(faults: &mut Vec<Fault>, ranged: bool) -> Self {
        let mut found = Self::default();
        faults.retain(|fault| match fault {
            Fault::CutAfter(bytes) if found.cut.is_none() => {
                found.cut = Some(*bytes);
                false
            }
            Fault::StallAfter(bytes) if found.stall.is_none() => {
                found.stall = Some(*bytes);
                false
            }
            Fault::ShiftedRange(by) if ranged && found.shifted == 0 => {
                found.shifted = *by;
                false
            }
            Fault::WrongTotal(by) if ranged && found.wrong_total == 0 => {
                found.wrong_total = *by;
                false
            }
            Fault::WebPage if !found.web_page => {
                found.web_page = true;
                false
            }
            Fault::WrongByteAt(at) => {
                found.wrong_byte = Some(*at);
                true
            }
            Fault::TooLong(by) => {
                found.too_long = *by;
                true
            }
            Fault::IgnoreRanges => {
                found.ignore_ranges = true;
                true
            }
            _ => true,
        });
        found
    }
}

/// Removes the next refusal of this host from the list.
pub(super) fn take_refusal(faults: &mut Vec<Fault>, host: Host) -> Option<Refusal> {
    let at = faults
        .iter()
        .position(|fault| matches!(fault, Fault::Refuse(of, _) if *of == host))?;
    match faults.remove(at) {
        Fault::Refuse(_, refusal) => Some(refusal),
        _ => None,
    }
}
