//! The recorder: a local proxy that forwards requests to a provider and writes a tape of the exchanges.
//!
//! Pieces are forwarded as they arrive. An exchange is written when it ends, also if either side aborted it.
//! [`super::tape`] describes its content and the removal of secrets.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::http::{self, Framing, HttpRequest};
use crate::server::{CloseMode, Server, lock};

use super::tape::{Exchange, TapeBytes, TapePiece, TapeRequest, TapeResponse};
use super::upstream::Upstream;

/// A running recorder.
#[derive(Debug)]
pub struct Recorder {
    server: Server,
    path: String,
}

/// State that all connections share.
struct RecorderShared {
    upstream: Upstream,
    tape: Mutex<File>,
}

impl Recorder {
    /// Starts a proxy to the provider at this base address, which appends to the tape at this path.
    ///
    /// # Errors
    /// `InvalidInput` if the base address is neither `http` nor `https`; or if the address cannot be bound or the file
    /// cannot be opened.
    pub fn start(upstream: &str, tape: &Path, listen: SocketAddr) -> io::Result<Self> {
        let upstream = Upstream::parse(upstream)?;
        let path = upstream.path().to_owned();
        let tape = OpenOptions::new().create(true).append(true).open(tape)?;
        let shared = RecorderShared {
            upstream,
            tape: Mutex::new(tape),
        };
        let server = Server::start(TcpListener::bind(listen)?, move |connection, _| {
            // An aborted exchange is on the tape as far as it was received.
            let _ = serve(connection, &shared);
            CloseMode::Close
        })?;
        Ok(Self { server, path })
    }

    /// Returns the client's replacement for the provider's base address.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.server.address(), self.path)
    }
}

fn serve(connection: &TcpStream, shared: &RecorderShared) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut client = connection.try_clone()?;
    while let Some(request) = HttpRequest::read(&mut reader, &mut client)? {
        let begun = Instant::now();
        let upstream = match forward_request(&request, &shared.upstream) {
            Ok(upstream) => upstream,
            // Not a response of the provider: not recorded.
            Err(error) => {
                refuse(&mut client, &error)?;
                continue;
            }
        };
        let mut exchange = Exchange {
            request: TapeRequest {
                method: request.method.clone(),
                path: request.target.clone(),
                body: serde_json::from_slice(&request.body).unwrap_or_default(),
            },
            response: TapeResponse {
                status: 0,
                headers: Vec::new(),
                pieces: Vec::new(),
                whole: false,
            },
        };
        let forwarded = forward_response(&request, begun, upstream, &mut client, &mut exchange.response);
        if exchange.response.status == 0 {
            // The provider closed without a response.
            return forwarded;
        }
        let exchange = exchange.remove_secrets(&request.headers)?;
        let mut tape = lock(&shared.tape);
        exchange.write(&mut *tape)?;
        drop(tape);
        // After an abort, close the connection within the body, so that the client sees it.
        forwarded?;
    }
    Ok(())
}

fn refuse(client: &mut TcpStream, error: &io::Error) -> io::Result<()> {
    let message = format!("the upstream cannot be reached: {error}");
    let body = serde_json::json!({ "error": { "message": message } }).to_string();
    http::write_head(client, 502, &[], Framing::Length(body.len() as u64))?;
    client.write_all(body.as_bytes())
}

/// Forwards the response and stores it.
fn forward_response(
    request: &HttpRequest,
    begun: Instant,
    upstream: impl Read,
    client: &mut TcpStream,
    response: &mut TapeResponse,
) -> io::Result<()> {
    let mut upstream = BufReader::new(upstream);
    let mut line = String::new();
    upstream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    response.status = status.ok_or_else(|| io::Error::other("not a status line"))?;
    let headers = http::read_headers(&mut upstream)?;
    let framing = ["connection", "keep-alive", "transfer-encoding", "content-length"];
    let kept = headers.iter().filter(|(name, _)| !framing.contains(&name.as_str()));
    response.headers = kept.cloned().collect();
    if request.method == "HEAD" || matches!(response.status, 204 | 304) {
        response.whole = true;
        return http::write_head(client, response.status, &response.headers, Framing::Length(0));
    }
    http::write_head(client, response.status, &response.headers, Framing::Chunked)?;
    let mut before = Duration::ZERO;
    let mut keep = |bytes: &[u8]| {
        response.pieces.push(piece(&mut before, begun, bytes));
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
    response.whole = true;
    client.write_all(http::LAST_CHUNK)
}

/// Forwards the request on a new connection.
fn forward_request(request: &HttpRequest, to: &Upstream) -> io::Result<impl Read + use<>> {
    let mut upstream = to.connect()?;
    let HttpRequest { method, target, .. } = request;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", to.host());
    // A compressed response could not be searched for secrets.
    let ours = "host connection accept-encoding content-length transfer-encoding expect";
    let is_ours = |name: &str| ours.split(' ').any(|one| one == name);
    for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
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

/// Calls `keep` with the bytes of each read, up to `length` bytes or, without a length, to the end.
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
            return match length {
                None => Ok(()),
                Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        keep(&available[..count])?;
        from.consume(count);
        left -= count;
    }
    Ok(())
}

fn piece(before: &mut Duration, begun: Instant, bytes: &[u8]) -> TapePiece {
    let now = begun.elapsed();
    let ms = now.saturating_sub(*before).as_millis();
    *before = now;
    TapePiece {
        ms: u64::try_from(ms).unwrap_or(u64::MAX),
        bytes: TapeBytes::new(bytes),
    }
}
