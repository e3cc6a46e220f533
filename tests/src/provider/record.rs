//! The recorder: a proxy on this machine that passes questions on to a provider and writes a tape of the answers.
//!
//! Nothing is held back: pieces go to the client as they come. An exchange is on the tape when it is over, also one that
//! either side broke off. See [`super::tape`] for what is kept and what is removed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::http::{self, Request};
use super::server::{Farewell, Server};
use super::tape::{Answered, Asked, Bytes, Exchange, Piece};
use super::upstream::Upstream;

/// A running recorder.
#[derive(Debug)]
pub struct Recorder {
    server: Server,
    path: String,
}

/// What every connection sees.
struct Shared {
    upstream: Upstream,
    tape: Mutex<File>,
}

impl Recorder {
    /// Passes on to the provider at this base address, and appends to the tape at this path.
    ///
    /// # Errors
    /// `InvalidInput` for a base address that is neither `http` nor `https`; an address or a file that cannot be had.
    pub fn start(upstream: &str, tape: &Path, listen: SocketAddr) -> io::Result<Self> {
        let upstream = Upstream::parse(upstream)?;
        let path = upstream.path().to_owned();
        let tape = OpenOptions::new().create(true).append(true).open(tape)?;
        let shared = Shared {
            upstream,
            tape: Mutex::new(tape),
        };
        let server = Server::start(listen, move |connection, _| {
            // A broken exchange is on the tape as far as it came; there is nobody else to tell.
            let _ = serve(connection, &shared);
            Farewell::Close
        })?;
        Ok(Self { server, path })
    }

    /// What to give the client in place of the provider's base address.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.server.address(), self.path)
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut client = connection.try_clone()?;
    while let Some(request) = Request::read(&mut reader, &mut client)? {
        let begun = Instant::now();
        let upstream = match ask(&request, &shared.upstream) {
            Ok(upstream) => upstream,
            // Not the provider's words: nothing for the tape.
            Err(error) => {
                refuse(&mut client, &error)?;
                continue;
            }
        };
        let mut exchange = Exchange {
            request: Asked {
                method: request.method.clone(),
                path: request.target.clone(),
                body: serde_json::from_slice(&request.body).unwrap_or_default(),
            },
            response: Answered {
                status: 0,
                headers: Vec::new(),
                pieces: Vec::new(),
                whole: false,
            },
        };
        let passed = pass(&request, begun, upstream, &mut client, &mut exchange.response);
        if exchange.response.status == 0 {
            // It hung up without an answer.
            return passed;
        }
        let exchange = exchange.cleaned(&request.headers)?;
        let mut tape = shared.tape.lock().unwrap_or_else(PoisonError::into_inner);
        exchange.write(&mut *tape)?;
        drop(tape);
        // Broken off: the connection closes in the middle of the body, so that the client sees it.
        passed?;
    }
    Ok(())
}

fn refuse(client: &mut TcpStream, error: &io::Error) -> io::Result<()> {
    let message = format!("the upstream cannot be reached: {error}");
    let body = serde_json::json!({ "error": { "message": message } }).to_string();
    http::write_head(client, 502, &[], Some(body.len()))?;
    client.write_all(body.as_bytes())
}

/// Hands the answer on, and keeps it.
fn pass(
    request: &Request,
    begun: Instant,
    upstream: impl Read,
    client: &mut TcpStream,
    answered: &mut Answered,
) -> io::Result<()> {
    let mut upstream = BufReader::new(upstream);
    let mut line = String::new();
    upstream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    answered.status = status.ok_or_else(|| io::Error::other("not a status line"))?;
    let headers = http::read_headers(&mut upstream)?;
    let framing = |name: &str| {
        matches!(
            name,
            "connection" | "keep-alive" | "transfer-encoding" | "content-length"
        )
    };
    let kept = headers.iter().filter(|(name, _)| !framing(name));
    answered.headers = kept.cloned().collect();
    if request.method == "HEAD" || matches!(answered.status, 204 | 304) {
        answered.whole = true;
        return http::write_head(client, answered.status, &answered.headers, Some(0));
    }
    http::write_head(client, answered.status, &answered.headers, None)?;
    let mut before = Duration::ZERO;
    let mut keep = |bytes: &[u8]| {
        answered.pieces.push(piece(&mut before, begun, bytes));
        client.write_all(&http::chunk(bytes))
    };
    if http::header(&headers, "transfer-encoding").is_some() {
        while let Some(size) = http::read_chunk_size(&mut upstream)? {
            each_read(&mut upstream, Some(size), &mut keep)?;
            http::read_headers(&mut upstream)?;
        }
    } else {
        let length = http::header(&headers, "content-length").and_then(|length| length.parse().ok());
        each_read(&mut upstream, length, &mut keep)?;
    }
    answered.whole = true;
    client.write_all(http::LAST_CHUNK)
}

/// Sends the question on, on a connection of its own.
fn ask(request: &Request, to: &Upstream) -> io::Result<impl Read + use<>> {
    let mut upstream = to.connect()?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\n",
        request.method,
        request.target,
        to.host()
    );
    // Compressed answers could be neither read nor cleaned.
    let ours = [
        "host",
        "connection",
        "accept-encoding",
        "content-length",
        "transfer-encoding",
        "expect",
    ];
    for (name, value) in request
        .headers
        .iter()
        .filter(|(name, _)| !ours.contains(&name.as_str()))
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = request.body.len();
    head.push_str(&format!(
        "accept-encoding: identity\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    ));
    upstream.write_all(head.as_bytes())?;
    upstream.write_all(&request.body)?;
    upstream.flush()?;
    Ok(upstream)
}

/// Hands on what each read gives, until so many bytes came, or the end where nothing says how many.
fn each_read(
    from: &mut impl BufRead,
    length: Option<usize>,
    keep: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut left = length.unwrap_or(usize::MAX);
    while left > 0 {
        let available = from.fill_buf()?;
        let count = available.len().min(left);
        if count == 0 {
            return if length.is_none() {
                Ok(())
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        keep(&available[..count])?;
        from.consume(count);
        left -= count;
    }
    Ok(())
}

fn piece(before: &mut Duration, begun: Instant, bytes: &[u8]) -> Piece {
    let now = begun.elapsed();
    let ms = now.saturating_sub(*before).as_millis();
    *before = now;
    Piece {
        ms: u64::try_from(ms).unwrap_or(u64::MAX),
        bytes: Bytes::new(bytes),
    }
}
