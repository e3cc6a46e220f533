//! Splits a response body into frames, cut anywhere: server-sent events (by the HTML standard), lines of JSON, or one JSON
//! value. The body decides, not its label: servers send events as `application/json`, and JSON as events.
//!
//! - Only frames with data are returned. Comments, blank lines, empty events and the other fields of an event are
//!   keep-alives and must not reset an idle timeout.
//! - A byte order mark at the start is dropped. A line ends with CR, LF or both.
//! - A line that is not a field of an event is collected: JSON, as of an error that is not wrapped into an event, or a text
//!   that is no answer, such as a web page.
//! - A frame longer than [`MAX_FRAME_BYTES`] is rejected, which bounds memory.

use serde::de::IgnoredAny;

/// One frame of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// The data of an event, or a line of JSON.
    Data(String),
    /// The data of an event named `error`, or the value of an `error:` line.
    Error(String),
    /// Text outside of events that is not JSON.
    Other(String),
}

/// Why a body cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameError {
    /// A frame is too long.
    TooLong,
    /// A frame is not UTF-8.
    NotUtf8,
}

/// Splits a body into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Start of an incomplete line.
    line: Vec<u8>,
    /// The first line is complete.
    has_line: bool,
    /// The last byte was a CR, so that an LF belongs to it.
    after_cr: bool,
    /// Data of an incomplete event.
    event: Vec<u8>,
    has_data: bool,
    /// The incomplete event is named `error`.
    is_error: bool,
    /// Lines outside of events.
    loose: Vec<u8>,
    /// An event was returned.
    has_events: bool,
}

impl Frames {
    /// Adds bytes and appends every completed frame.
    ///
    /// # Errors
    /// For a frame that is too long or not UTF-8.
    pub(super) fn push(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        while let Some(at) = bytes.iter().position(|&byte| matches!(byte, b'\n' | b'\r')) {
            self.line.extend_from_slice(&bytes[..at]);
            let is_cr = bytes[at] == b'\r';
            bytes = &bytes[at + 1..];
            self.end_line(frames)?;
            if is_cr && bytes.is_empty() {
                self.after_cr = true;
            } else if is_cr && bytes[0] == b'\n' {
                bytes = &bytes[1..];
            }
        }
        self.line.extend_from_slice(bytes);
        match self.line.len() + self.event.len() + self.loose.len() > MAX_FRAME_BYTES {
            true => Err(FrameError::TooLong),
            false => Ok(()),
        }
    }

    /// Ends the body: a last line without a line end counts too.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn end_body(&mut self, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        if !self.line.is_empty() {
            self.end_line(frames)?;
        }
        self.end_event(frames)?;
        self.end_loose(frames)
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.has_line, true)
            && let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK)
        {
            line = rest.to_vec();
        }
        if line.is_empty() {
            return self.end_event(frames);
        }
        let Some((name, value)) = split_field(&line) else {
            return self.add_loose(&line, frames);
        };
        match name {
            FieldName::Data => {
                if self.has_data {
                    self.event.push(b'\n');
                }
                self.event.extend_from_slice(value);
                self.has_data = true;
            }
            FieldName::Event => self.is_error = value.trim_ascii().eq_ignore_ascii_case(b"error"),
            FieldName::Error => {
                self.has_events = true;
                frames.push(Frame::Error(decode_utf8(value.to_vec())?));
            }
            FieldName::Ignored => {}
        }
        Ok(())
    }

    fn end_event(&mut self, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let is_error = std::mem::take(&mut self.is_error);
        if std::mem::take(&mut self.has_data) {
            self.has_events = true;
            let data = decode_utf8(std::mem::take(&mut self.event))?;
            if !data.trim().is_empty() {
                frames.push(if is_error {
                    Frame::Error(data)
                } else {
                    Frame::Data(data)
                });
            }
        }
        Ok(())
    }

    /// Adds a line that is not a field: a JSON value of one line or of several, or another text.
    fn add_loose(&mut self, line: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        let begins = matches!(text[0], b'{' | b'[');
        if begins && (is_json(text) || text.eq_ignore_ascii_case(b"[DONE]")) {
            // What was collected before has not become JSON.
            self.end_loose(frames)?;
            self.has_events = true;
            frames.push(Frame::Data(decode_utf8(text.to_vec())?));
            return Ok(());
        }
        if !self.loose.is_empty() {
            self.loose.push(b'\n');
        }
        self.loose.extend_from_slice(line);
        if matches!(line[0], b'}' | b']') && is_json(&self.loose) {
            self.has_events = true;
            frames.push(Frame::Data(decode_utf8(std::mem::take(&mut self.loose))?));
        }
        Ok(())
    }

    fn end_loose(&mut self, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let loose = std::mem::take(&mut self.loose);
        let Some(&first) = loose.trim_ascii().first() else {
            return Ok(());
        };
        let text = decode_utf8(loose)?;
        if is_json(text.as_bytes()) {
            frames.push(Frame::Data(text));
        } else if !self.has_events || matches!(first, b'{' | b'<') {
            // Between events, an unknown field is to be ignored.
            frames.push(Frame::Other(text));
        }
        Ok(())
    }
}

/// The fields of an event that matter. `error` is none of the standard; llama.cpp and others send errors under it.
#[derive(Debug, Clone, Copy)]
enum FieldName {
    Data,
    Event,
    Error,
    Ignored,
}

/// Splits a line into the name and the value of a field; `None` if it is not one.
fn split_field(line: &[u8]) -> Option<(FieldName, &[u8])> {
    let line = line.trim_ascii_start();
    let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let is = |name: &str| line[..colon].eq_ignore_ascii_case(name.as_bytes());
    let name = match () {
        () if is("data") => FieldName::Data,
        () if is("event") => FieldName::Event,
        () if is("error") && colon < line.len() => FieldName::Error,
        // A comment has no name.
        () if colon < line.len() && (colon == 0 || is("id") || is("retry")) => FieldName::Ignored,
        () => return None,
    };
    Some((name, value))
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

fn decode_utf8(bytes: Vec<u8>) -> Result<String, FrameError> {
    String::from_utf8(bytes).map_err(|_| FrameError::NotUtf8)
}

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
/// Maximum size of one frame. A tool call with a whole file in it is smaller.
const MAX_FRAME_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], size: usize) -> Vec<Frame> {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(size) {
            frames.push(piece, &mut found).expect("sound");
        }
        frames.end_body(&mut found).expect("sound");
        found
    }

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let data = |text: &str| Frame::Data(text.to_owned());
        let error = |text: &str| Frame::Error(text.to_owned());
        let other = |text: &str| Frame::Other(text.to_owned());
        for (body, expected) in [
            (
                ": hello\r\n\r\nevent: x\r\ndata: {\"a\":\"é\"}\r\nid: 1\r\n\r\n:\n\ndata:one\ndata: two\n\n\n\ndata: [DONE]",
                vec![data("{\"a\":\"é\"}"), data("one\ntwo"), data("[DONE]")],
            ),
            (
                "\n \n{\"a\":1}\r\n\n{\"b\":\"ü\"}\n{\"c\":3}",
                vec![data("{\"a\":1}"), data("{\"b\":\"ü\"}"), data("{\"c\":3}")],
            ),
            ("\u{FEFF}data: 1\rdata: 2\r\rdata: 3\r\r", vec![data("1\n2"), data("3")]),
            ("\u{FEFF}{\"a\":1}\n", vec![data("{\"a\":1}")]),
            ("data:\n\ndata: \n\ndata\n\ndata: x\n\n", vec![data("x")]),
            (
                "data: 1\n\nerror: {\"code\":1}\n\ndata: [DONE]\n\n",
                vec![data("1"), error("{\"code\":1}"), data("[DONE]")],
            ),
            (
                "event: error\ndata: no\n\nevent: x\ndata: yes\n\n",
                vec![error("no"), data("yes")],
            ),
            (
                "data: 1\n\n{\n  \"error\": {\n    \"code\": 4\n  }\n}\n",
                vec![data("1"), data("{\n  \"error\": {\n    \"code\": 4\n  }\n}")],
            ),
            ("{\"error\":\n \"x\"}", vec![data("{\"error\":\n \"x\"}")]),
            (
                "data: 1\n\n{\"error\":\"x\"}",
                vec![data("1"), data("{\"error\":\"x\"}")],
            ),
            ("{\"id\":\n{\"a\":1}\n", vec![other("{\"id\":"), data("{\"a\":1}")]),
            (
                "<html>\n\n<b>sign in: here</b>",
                vec![other("<html>\n<b>sign in: here</b>")],
            ),
            ("upstream error", vec![other("upstream error")]),
            ("data: 1\n\nfoo: bar\n\ndata: 2\n\n", vec![data("1"), data("2")]),
            ("{\"a\":1}\n[DONE]\n", vec![data("{\"a\":1}"), data("[DONE]")]),
        ] {
            for size in 1..=body.len() {
                assert_eq!(cut(body.as_bytes(), size), expected, "{body:?} by {size}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_rejected() {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        assert_eq!(frames.push(b"data: caf\xe9\n\n", &mut found), Err(FrameError::NotUtf8));
    }

    #[test]
    fn a_frame_without_end_is_rejected_before_it_fills_the_memory() {
        for start in ["", "data: ", "{\"a\":1,\n"] {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            frames.push(start.as_bytes(), &mut found).expect("sound");
            let piece = vec![b'x'; 1 << 20];
            let refused = (0..32).find_map(|_| frames.push(&piece, &mut found).err());
            assert_eq!(refused, Some(FrameError::TooLong), "{start}");
        }
    }
}
