//! What can go wrong on the way, as it does in the field. Faults of bodies are used up one answer at a time.

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next body ends after so many bytes, and the connection with it.
    CutAfter(u64),
    /// The next body stops after so many bytes and the connection stays open.
    StallAfter(u64),
    /// Every body has this byte of the file inverted.
    WrongByteAt(u64),
    /// Every answer of the CDN is the whole file, whatever range was asked for.
    IgnoreRanges,
    /// The next ranged answer claims to begin so many bytes later than it does.
    ShiftedRange(u64),
    /// The next ranged answer claims that the file is so many bytes larger.
    WrongTotal(u64),
    /// Every body goes on behind its end for so many bytes, without a length that says so.
    TooLong(u64),
    /// The next body is a web page.
    WebPage,
    /// A presigned address gives so many answers, then 403.
    ExpiresAfter(u32),
    /// The next request to the hub, or to the CDN, is refused.
    Refuse(super::Host, Refusal),
}

/// A refusal in the hub's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Further headers, for example `X-Error-Code` or `Retry-After`.
    pub headers: Vec<(String, String)>,
}

impl Refusal {
    /// A bare status.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
        }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The faults of one body, taken from the list.
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
    /// Looks up the standing faults and uses up the first of each that strikes once.
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

/// Takes the next refusal of this host from the list.
pub(super) fn take_refusal(faults: &mut Vec<Fault>, host: super::Host) -> Option<Refusal> {
    let at = faults
        .iter()
        .position(|fault| matches!(fault, Fault::Refuse(of, _) if *of == host))?;
    match faults.remove(at) {
        Fault::Refuse(_, refusal) => Some(refusal),
        _ => None,
    }
}
