//! Writes a response script to a connection with its timing, chunking and end.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::http::{self, Framing};
use crate::server::wait_for_disconnect;

use super::chunking::Chunker;
use super::script::{ConnectionEnd, ResponseScript};

/// The result of [`play`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlayResult {
    /// Sent completely; the connection can carry another request.
    Whole,
    /// Sent completely; the connection must be closed.
    Close,
    /// The client disconnected before the end.
    ClientLeft,
}

/// Writes the script to the connection.
pub(super) fn play(
    script: &ResponseScript,
    connection: &mut TcpStream,
    common_headers: &[(String, String)],
    chunker: &mut Chunker,
) -> PlayResult {
    let begun = Instant::now();
    // A write fails only if the client disconnected.
    write_script(script, connection, common_headers, chunker, begun).unwrap_or(PlayResult::ClientLeft)
}

fn write_script(
    script: &ResponseScript,
    connection: &mut TcpStream,
    common_headers: &[(String, String)],
    chunker: &mut Chunker,
    begun: Instant,
) -> io::Result<PlayResult> {
    let first = script.sends.first().map_or(Duration::ZERO, |(at, _)| *at);
    if !wait(connection, begun, first)? {
        return Ok(PlayResult::ClientLeft);
    }
    let mut framing = Framing::Chunked;
    if let Some(head) = &script.head {
        let headers: Vec<_> = common_headers.iter().chain(&head.headers).cloned().collect();
        if head.status >= 400 && script.end == ConnectionEnd::Whole {
            framing = Framing::Length(script.sends.iter().map(|(_, bytes)| bytes.len() as u64).sum());
        }
        http::write_head(connection, head.status, &headers, framing)?;
    }
    for (at, bytes) in &script.sends {
        if !wait(connection, begun, *at)? {
            return Ok(PlayResult::ClientLeft);
        }
        send(connection, bytes, framing == Framing::Chunked, chunker)?;
    }
    match &script.end {
        ConnectionEnd::Whole => {
            if framing == Framing::Chunked {
                send_pieces(connection, http::LAST_CHUNK, chunker)?;
            }
            return Ok(PlayResult::Whole);
        }
        ConnectionEnd::Truncated => connection.shutdown(Shutdown::Both)?,
        ConnectionEnd::HalfClosed => {
            connection.shutdown(Shutdown::Write)?;
            wait_for_disconnect(connection);
        }
        ConnectionEnd::Reset => socket2::SockRef::from(&*connection).set_linger(Some(Duration::ZERO))?,
        ConnectionEnd::Silence => {
            wait_for_disconnect(connection);
            return Ok(PlayResult::ClientLeft);
        }
        ConnectionEnd::Repeat(bytes, every) => {
            for n in 1_u32.. {
                send(connection, bytes, true, chunker)?;
                if !wait(connection, begun, *every * n)? {
                    break;
                }
            }
            return Ok(PlayResult::ClientLeft);
        }
    }
    Ok(PlayResult::Close)
}

fn send(connection: &mut TcpStream, bytes: &[u8], chunked: bool, chunker: &mut Chunker) -> io::Result<()> {
    for piece in chunker.pieces(bytes) {
        if chunked {
            send_pieces(connection, &http::chunk(piece), chunker)?;
        } else {
            connection.write_all(piece)?;
        }
    }
    Ok(())
}

fn send_pieces(connection: &mut TcpStream, bytes: &[u8], chunker: &mut Chunker) -> io::Result<()> {
    chunker
        .pieces(bytes)
        .into_iter()
        .try_for_each(|piece| connection.write_all(piece))
}

/// Waits until `at` after `begun`; `false` if the client disconnected meanwhile.
fn wait(connection: &TcpStream, begun: Instant, at: Duration) -> io::Result<bool> {
    let left = at.saturating_sub(begun.elapsed());
    if left < MIN_SOCKET_TIMEOUT {
        // Socket timeouts are too coarse for this; the next write detects a disconnect.
        std::thread::sleep(left);
        return Ok(true);
    }
    connection.set_read_timeout(Some(left))?;
    let is_connected = match connection.peek(&mut [0]) {
        Ok(0) => false,
        // The client sent its next request early.
        Ok(_) => {
            std::thread::sleep(at.saturating_sub(begun.elapsed()));
            true
        }
        Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    };
    connection.set_read_timeout(None)?;
    Ok(is_connected)
}

const MIN_SOCKET_TIMEOUT: Duration = Duration::from_millis(20);
