//! Replays a tape for an app's own tests.
//!
//! A request gets the first unplayed exchange with its method, path and body; else the first unplayed one with its method
//! and path, because a body may contain a date; else the last one with these. An unknown request gets a 404.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::http::HttpRequest;
use crate::server::{CloseMode, Server, lock};

use super::chunking::{Chunker, Chunking};
use super::play::{PlayResult, play};
use super::script::{ConnectionEnd, ResponseHead, ResponseScript};
use super::tape::{self, Exchange};

/// A running replay.
#[derive(Debug)]
pub struct Replayer {
    server: Server,
    shared: Arc<ReplayerShared>,
}

/// A request that a replay received, without its headers and thus without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedRequest {
    /// `GET`, `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// As received; empty if there was none.
    pub body: String,
}

/// The speed of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// With the recorded pauses.
    Recorded,
    /// Without pauses.
    AtOnce,
}

/// State that all connections share.
#[derive(Debug)]
struct ReplayerShared {
    exchanges: Vec<Exchange>,
    played: Mutex<Vec<bool>>,
    received: Mutex<Vec<ReplayedRequest>>,
    pace: Pace,
}

impl Replayer {
    /// Starts to serve these exchanges.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(exchanges: Vec<Exchange>, pace: Pace, listen: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(ReplayerShared {
            played: Mutex::new(vec![false; exchanges.len()]),
            exchanges,
            received: Mutex::default(),
            pace,
        });
        let served = Arc::clone(&shared);
        let server = Server::start(TcpListener::bind(listen)?, move |connection, _| {
            // Ignore clients that disconnect.
            let _ = serve(connection, &served);
            CloseMode::Close
        })?;
        Ok(Self { server, shared })
    }

    /// Returns all requests so far, in the order in which they arrived.
    pub fn requests(&self) -> Vec<ReplayedRequest> {
        lock(&self.shared.received).clone()
    }

    /// Returns the address without a path: paths are those of the tape.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

fn serve(connection: &TcpStream, shared: &ReplayerShared) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection.try_clone()?;
    while let Some(request) = HttpRequest::read(&mut reader, &mut writer)? {
        lock(&shared.received).push(ReplayedRequest {
            method: request.method.clone(),
            path: request.target.clone(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        });
        let script = match shared.find(&request) {
            Some(exchange) => build_script(exchange, shared.pace)?,
            None => {
                let message = format!("the tape has no answer to `{} {}`", request.method, request.path());
                ResponseScript::refusal(404, &json!({ "error": { "message": message } }), None)
            }
        };
        if play(&script, &mut writer, &[], &mut Chunker::new(Chunking::Whole)) != PlayResult::Whole {
            return Ok(());
        }
    }
    Ok(())
}

impl ReplayerShared {
    fn find(&self, request: &HttpRequest) -> Option<&Exchange> {
        let body = tape::comparable(&request.body);
        let path = tape::comparable_path(&request.target);
        let same = |exchange: &Exchange| exchange.request.method == request.method && exchange.request.path == path;
        let mut played = lock(&self.played);
        let fresh = |wanted: &dyn Fn(&Exchange) -> bool| {
            let mut numbered = self.exchanges.iter().enumerate();
            numbered.find_map(|(n, exchange)| (!played[n] && wanted(exchange)).then_some(n))
        };
        let found = fresh(&|exchange| same(exchange) && exchange.request.body == body)
            .or_else(|| fresh(&|exchange| same(exchange)))
            .or_else(|| self.exchanges.iter().rposition(same))?;
        played[found] = true;
        Some(&self.exchanges[found])
    }
}

fn build_script(exchange: &Exchange, pace: Pace) -> io::Result<ResponseScript> {
    let response = &exchange.response;
    let mut at = Duration::ZERO;
    let mut sends = Vec::with_capacity(response.pieces.len());
    for piece in &response.pieces {
        if pace == Pace::Recorded {
            at += Duration::from_millis(piece.ms);
        }
        sends.push((at, piece.bytes.decode()?));
    }
    Ok(ResponseScript {
        head: Some(ResponseHead {
            status: response.status,
            headers: response.headers.clone(),
        }),
        sends,
        end: if response.whole {
            ConnectionEnd::Whole
        } else {
            ConnectionEnd::Truncated
        },
    })
}
