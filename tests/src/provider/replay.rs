//! Plays a tape: answers as they were recorded, for an app's own tests.
//!
//! A question is answered with the first exchange of its method, path and body that was not played yet; else with the first
//! of its method and path, since a body may hold a date; else with the last that was played for them. A question that the
//! tape does not know is answered with 404.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::cut::{Cut, Cutter};
use super::http::Request;
use super::play::{Played, play};
use super::script::{End, Head, Script};
use super::server::{Farewell, Server};
use super::tape::{self, Exchange};

/// A running tape.
#[derive(Debug)]
pub struct Replayer {
    server: Server,
}

/// How fast a tape is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// With the pauses that were recorded.
    Recorded,
    /// Without a pause.
    AtOnce,
}

/// What every connection sees.
struct Shared {
    exchanges: Vec<Exchange>,
    played: Mutex<Vec<bool>>,
    pace: Pace,
}

impl Replayer {
    /// Plays these exchanges.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn start(exchanges: Vec<Exchange>, pace: Pace, listen: SocketAddr) -> io::Result<Self> {
        let shared = Shared {
            played: Mutex::new(vec![false; exchanges.len()]),
            exchanges,
            pace,
        };
        let server = Server::start(listen, move |connection, _| {
            // A client that leaves has heard enough.
            let _ = serve(connection, &shared);
            Farewell::Close
        })?;
        Ok(Self { server })
    }

    /// Where it is, without a path: paths are those on the tape.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection.try_clone()?;
    while let Some(request) = Request::read(&mut reader, &mut writer)? {
        let script = match shared.find(&request) {
            Some(exchange) => script(exchange, shared.pace)?,
            None => {
                let message = format!("the tape has no answer to `{} {}`", request.method, request.path());
                Script::refusal(404, &json!({ "error": { "message": message } }), None)
            }
        };
        if play(&script, &mut writer, &[], &mut Cutter::new(Cut::Whole)) != Played::Whole {
            return Ok(());
        }
    }
    Ok(())
}

impl Shared {
    fn find(&self, request: &Request) -> Option<&Exchange> {
        let body = tape::comparable(&request.body);
        let path = tape::comparable_path(&request.target);
        let same = |exchange: &Exchange| exchange.request.method == request.method && exchange.request.path == path;
        let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
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

fn script(exchange: &Exchange, pace: Pace) -> io::Result<Script> {
    let answered = &exchange.response;
    let mut at = Duration::ZERO;
    let mut sends = Vec::with_capacity(answered.pieces.len());
    for piece in &answered.pieces {
        if pace == Pace::Recorded {
            at += Duration::from_millis(piece.ms);
        }
        sends.push((at, piece.bytes.decode()?));
    }
    Ok(Script {
        head: Some(Head {
            status: answered.status,
            headers: answered.headers.clone(),
        }),
        sends,
        end: if answered.whole { End::Whole } else { End::Cut },
    })
}
