//! Splits a response body into events: server-sent events (by the HTML standard) or lines of JSON, cut anywhere.
//!
//! Only events with data are returned. Comments, blank lines and the other fields of an event are keep-alives and must
//! not reset an idle timeout. A line longer than [`MAX_EVENT_BYTES`] is rejected, which bounds memory.

use crate::error::{Error, Result};

/// How events are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events: `data: …`, separated by blank lines.
    Events,
    /// One JSON value per line.
    Lines,
}

/// Splits a body into events.
#[derive(Debug)]
pub(super) struct Frames {
    framing: Framing,
    /// Start of an incomplete line.
    line: Vec<u8>,
    /// Data of an incomplete event.
    event: Vec<u8>,
    has_data: bool,
}

impl Frames {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Vec::new(),
            event: Vec::new(),
            has_data: false,
        }
    }

    /// Adds bytes and appends the data of every completed event.
    ///
    /// # Errors
    /// `Provider` for an event that is too long or not UTF-8.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut Vec<String>) -> Result<()> {
        while let Some(at) = bytes.iter().position(|&byte| byte == b'\n') {
            self.line.extend_from_slice(&bytes[..at]);
            bytes = &bytes[at + 1..];
            self.end_line(events)?;
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.event.len() > MAX_EVENT_BYTES {
            return Err(Error::provider(
                "the response contains an event of over 16 MB; rejected",
            ));
        }
        Ok(())
    }

    /// Ends the body: a last line without a line end counts too.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn end_body(&mut self, events: &mut Vec<String>) -> Result<()> {
        if !self.line.is_empty() {
            self.end_line(events)?;
        }
        self.end_event(events)
    }

    fn end_line(&mut self, events: &mut Vec<String>) -> Result<()> {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match self.framing {
            Framing::Lines => {
                if !line.iter().all(u8::is_ascii_whitespace) {
                    events.push(decode_utf8(line)?);
                }
            }
            Framing::Events if line.is_empty() => self.end_event(events)?,
            Framing::Events => {
                if let Some(data) = line.strip_prefix(b"data:") {
                    if self.has_data {
                        self.event.push(b'\n');
                    }
                    self.event.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
                    self.has_data = true;
                }
            }
        }
        Ok(())
    }

    fn end_event(&mut self, events: &mut Vec<String>) -> Result<()> {
        if std::mem::take(&mut self.has_data) {
            events.push(decode_utf8(std::mem::take(&mut self.event))?);
        }
        Ok(())
    }
}

fn decode_utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::provider("the response is not UTF-8 text"))
}

/// Maximum size of one event. A tool call with a whole file in it is smaller.
const MAX_EVENT_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, bytes: &[u8], size: usize) -> Vec<String> {
        let (mut frames, mut events) = (Frames::new(framing), Vec::new());
        for piece in bytes.chunks(size) {
            frames.push(piece, &mut events).expect("sound");
        }
        frames.end_body(&mut events).expect("sound");
        events
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let body = ": hello\r\n\r\nevent: x\r\ndata: {\"a\":\"é\"}\r\nid: 1\r\n\r\n:\n\ndata:one\ndata: two\n\n\n\ndata: [DONE]";
        for size in 1..body.len() {
            let events = cut(Framing::Events, body.as_bytes(), size);
            assert_eq!(events, ["{\"a\":\"é\"}", "one\ntwo", "[DONE]"], "{size}");
        }
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_cut() {
        let body = "\n \n{\"a\":1}\r\n\n{\"b\":\"ü\"}\n{\"c\":3}";
        for size in 1..body.len() {
            let lines = cut(Framing::Lines, body.as_bytes(), size);
            assert_eq!(lines, ["{\"a\":1}", "{\"b\":\"ü\"}", "{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn an_event_without_end_is_rejected_before_it_fills_the_memory() {
        let (mut frames, mut events) = (Frames::new(Framing::Events), Vec::new());
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..32).find_map(|_| frames.push(&piece, &mut events).err());
        assert!(refused.is_some_and(|error| error.to_string().contains("16 MB")));
    }
}
