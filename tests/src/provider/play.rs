//! Plays a script to a connection: at the right moments, cut where the cut says, and ended as it ends.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::cut::Cutter;
use super::http;
use super::script::{End, Script};

/// How playing went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Played {
    /// All of it; the connection may carry another request.
    Whole,
    /// All of it, and the connection is of no more use.
    Over,
    /// The client left before the end.
    ClientLeft,
}

/// Plays the script to the connection.
pub(super) fn play(
    script: &Script,
    connection: &mut TcpStream,
    standing: &[(String, String)],
    cutter: &mut Cutter,
) -> Played {
    let begun = Instant::now();
    // A write that fails has one reason here: nobody is there any more.
    tell(script, connection, standing, cutter, begun).unwrap_or(Played::ClientLeft)
}

fn tell(
    script: &Script,
    connection: &mut TcpStream,
    standing: &[(String, String)],
    cutter: &mut Cutter,
    begun: Instant,
) -> io::Result<Played> {
    let first = script.sends.first().map_or(Duration::ZERO, |(at, _)| *at);
    if !wait(connection, begun, first)? {
        return Ok(Played::ClientLeft);
    }
    let mut whole_length = None;
    if let Some(head) = &script.head {
        let headers: Vec<_> = standing.iter().chain(&head.headers).cloned().collect();
        if head.status >= 400 && script.end == End::Whole {
            whole_length = Some(script.sends.iter().map(|(_, bytes)| bytes.len()).sum());
        }
        http::write_head(connection, head.status, &headers, whole_length)?;
    }
    for (at, bytes) in &script.sends {
        if !wait(connection, begun, *at)? {
            return Ok(Played::ClientLeft);
        }
        send(connection, bytes, whole_length.is_none(), cutter)?;
    }
    match &script.end {
        End::Whole => {
            if whole_length.is_none() {
                send_pieces(connection, http::LAST_CHUNK, cutter)?;
            }
            return Ok(Played::Whole);
        }
        End::Cut => connection.shutdown(Shutdown::Both)?,
        End::HalfClosed => {
            connection.shutdown(Shutdown::Write)?;
            until_the_client_leaves(connection);
        }
        End::Reset => socket2::SockRef::from(&*connection).set_linger(Some(Duration::ZERO))?,
        End::Silence => {
            until_the_client_leaves(connection);
            return Ok(Played::ClientLeft);
        }
        End::Again(bytes, every) => {
            for n in 1_u32.. {
                send(connection, bytes, true, cutter)?;
                if !wait(connection, begun, *every * n)? {
                    break;
                }
            }
            return Ok(Played::ClientLeft);
        }
    }
    Ok(Played::Over)
}

fn send(connection: &mut TcpStream, bytes: &[u8], chunked: bool, cutter: &mut Cutter) -> io::Result<()> {
    for piece in cutter.pieces(bytes) {
        if chunked {
            send_pieces(connection, &http::chunk(piece), cutter)?;
        } else {
            connection.write_all(piece)?;
        }
    }
    Ok(())
}

fn send_pieces(connection: &mut TcpStream, bytes: &[u8], cutter: &mut Cutter) -> io::Result<()> {
    cutter
        .pieces(bytes)
        .into_iter()
        .try_for_each(|piece| connection.write_all(piece))
}

/// Waits until so long after the beginning; false if the client left meanwhile.
fn wait(connection: &TcpStream, begun: Instant, at: Duration) -> io::Result<bool> {
    let left = at.saturating_sub(begun.elapsed());
    if left < COARSE {
        // The clock of a socket's time-out is too coarse for these; a client that left is noticed at the next write.
        std::thread::sleep(left);
        return Ok(true);
    }
    connection.set_read_timeout(Some(left))?;
    let there = match connection.peek(&mut [0]) {
        Ok(0) => false,
        // The next request, early.
        Ok(_) => {
            std::thread::sleep(at.saturating_sub(begun.elapsed()));
            true
        }
        Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    };
    connection.set_read_timeout(None)?;
    Ok(there)
}

/// A client in the middle of an answer sends nothing, so this returns when it leaves, or when the provider stops.
fn until_the_client_leaves(connection: &TcpStream) {
    while matches!(connection.peek(&mut [0]), Ok(1..)) {
        std::thread::sleep(COARSE);
    }
}

const COARSE: Duration = Duration::from_millis(20);
