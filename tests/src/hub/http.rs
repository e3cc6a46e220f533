//! The subset of HTTP/1.1 that a hub needs: reads request heads, writes response heads, keeps connections alive.

use std::io::{self, BufRead, Write};

/// The head of a request.
#[derive(Debug, Default)]
pub(super) struct RequestHead {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) range: Option<String>,
    pub(super) bearer: Option<String>,
}

impl RequestHead {
    /// Reads one head; `None` if the client closed the connection.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other("not a request line"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = Self {
            method: method.to_owned(),
            path: percent_decoded(path),
            query: query.to_owned(),
            ..Self::default()
        };
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "range" => head.range = Some(value.to_owned()),
                "authorization" => head.bearer = Some(value.trim_start_matches("Bearer ").to_owned()),
                _ => {}
            }
        }
        Ok(Some(head))
    }

    /// Returns the path with its query, for the log.
    pub(super) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// Returns a value of the query.
    pub(super) fn query_value(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Writes a response head. Without a `length` the body ends with the connection.
pub(super) fn write_head(
    to: &mut impl Write,
    status: u16,
    headers: &[(String, String)],
    length: Option<u64>,
) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", if status < 400 { "OK" } else { "Error" });
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match length {
        Some(length) => text.push_str(&format!("Content-Length: {length}\r\n\r\n")),
        None => text.push_str("Connection: close\r\n\r\n"),
    }
    to.write_all(text.as_bytes())
}

/// Parses `bytes=A-B` or `bytes=A-` into first and end (exclusive); `Err` if the range is not satisfiable (416).
pub(super) fn parse_range(range: &str, size: u64) -> Result<(u64, u64), ()> {
    let (first, last) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .ok_or(())?;
    let first: u64 = first.parse().map_err(|_| ())?;
    let end = if last.is_empty() {
        size
    } else {
        last.parse::<u64>().map_err(|_| ())?.saturating_add(1).min(size)
    };
    if first < end { Ok((first, end)) } else { Err(()) }
}

fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| {
                after
                    .get(..2)
                    .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())
            })
            .flatten();
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
