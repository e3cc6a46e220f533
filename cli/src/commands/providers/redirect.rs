//! The address on this device to which a browser is redirected after a sign-in.
//!
//! Listens on the loopback interface only, and takes a code only at a random path: other requests (icons, other programs) get
//! a 404. Each connection has a task of its own, because browsers also open connections that they do not use.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::Duration;

use nearside::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Listener for one redirect.
#[derive(Debug)]
pub(super) struct RedirectListener {
    listener: TcpListener,
    port: u16,
    path: String,
}

/// A code, or why there is none.
type Redirected = Result<String, Error>;

impl RedirectListener {
    /// Listens on the port that OpenRouter documents, else on any free one.
    ///
    /// # Errors
    /// `Storage` if no port is available.
    pub(super) async fn bind() -> Result<Self, Error> {
        let map_error = |cause| Error::storage(format!("could not listen on this device: {cause}"));
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, DOCUMENTED_PORT)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(map_error)?,
        };
        let port = listener.local_addr().map_err(map_error)?.port();
        // Keeps stray requests out; PKCE, not this path, protects the code.
        let path = format!("/sign-in-{:016x}", RandomState::new().hash_one(port));
        Ok(Self { listener, port, path })
    }

    /// Returns the address for the provider.
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}{}", self.port, self.path)
    }

    /// Waits for the redirect and returns its code.
    ///
    /// # Errors
    /// `Unauthorized` for a redirect without a code: the user refused.
    pub(super) async fn next_code(&self) -> Redirected {
        let (sender, mut redirects) = mpsc::channel(1);
        loop {
            tokio::select! {
                Some(redirected) = redirects.recv() => return redirected,
                accepted = self.listener.accept() => match accepted {
                    Ok((connection, _)) => {
                        let answer = answer_browser(connection, self.path.clone(), sender.clone());
                        tokio::spawn(tokio::time::timeout(REQUEST_TIMEOUT, answer));
                    }
                    // Such as too many open files: the next one may succeed.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

/// Answers one request, and passes its code on. Errors of the connection are the browser's.
async fn answer_browser(mut connection: TcpStream, path: String, sender: mpsc::Sender<Redirected>) {
    let Some(target) = read_target(&mut connection).await else {
        return;
    };
    let redirected = find_code(&target, &path);
    let (status, text) = match &redirected {
        None => ("404 Not Found", "There is nothing here."),
        Some(Ok(_)) => ("200 OK", "Nearside has the code. You can close this page."),
        Some(Err(_)) => ("400 Bad Request", "Nearside got no code. Sign in again."),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nReferrer-Policy: no-referrer\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    );
    // The page first: the program may end with the code.
    let _ = connection.write_all(answer.as_bytes()).await;
    let _ = connection.shutdown().await;
    if let Some(redirected) = redirected {
        let _ = sender.send(redirected).await;
    }
}

/// Reads the head of a request and returns its target: path and query of a `GET`.
async fn read_target(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD_BYTES || connection.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next() == Some("GET")).then(|| words.next().map(str::to_owned))?
}

/// Returns the code in the query of the target; `None` for another path.
fn find_code(target: &str, path: &str) -> Option<Redirected> {
    let (at, query) = target.split_once('?').unwrap_or((target, ""));
    if at != path {
        return None;
    }
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    // A code consists of characters that need no escapes.
    let is_code =
        |code: &&str| !code.is_empty() && code.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c));
    Some(match code.filter(is_code) {
        Some(code) => Ok(code.to_owned()),
        None => Err(Error::unauthorized(
            "the browser came back without a code: the sign-in was not confirmed",
        )),
    })
}

/// The port in OpenRouter's documentation of the sign-in.
const DOCUMENTED_PORT: u16 = 3000;
/// Time for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Maximum length of the head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_path_with_a_code_is_a_redirect() {
        for (target, code) in [
            ("/sign-in-1?code=auth_code_1", Some(Some("auth_code_1"))),
            ("/sign-in-1?x=y&code=a.b-c", Some(Some("a.b-c"))),
            ("/sign-in-1", Some(None)),
            ("/sign-in-1?code=", Some(None)),
            ("/sign-in-1?error=access_denied", Some(None)),
            ("/sign-in-1?code=%0a", Some(None)),
            ("/sign-in-2?code=auth_code_1", None),
            ("/favicon.ico", None),
            ("/", None),
        ] {
            let found = find_code(target, "/sign-in-1").map(Result::ok);
            assert_eq!(found.as_ref().map(Option::as_deref), code, "{target}");
        }
    }
}
