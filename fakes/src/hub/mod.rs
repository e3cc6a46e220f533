//! A local hub: real sockets that speak Hugging Face's protocol, with injectable faults.
//!
//! Two listeners act as two hosts. The *hub* serves repositories: it lists them (`/api/models/…/tree/…`, with sizes
//! and SHA-256 of large files), and answers `/ORG/REPO/resolve/REV/FILE` with `X-Repo-Commit`, `X-Linked-Size`,
//! `X-Linked-ETag` and a redirect to a presigned address on the *CDN*, which sends bytes and ranges of them, without an
//! `ETag`, until the address expires. Both log their requests ([`Hub::log`]; `GET /_log` for other processes).
//!
//! Uses blocking I/O on its own threads, so that it serves tests in any language and with any runtime. Dropping the
//! value stops it.

mod faults;
mod log;
mod repository;
mod serve;
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::server::{CloseMode, Server, lock};
pub use faults::{Fault, Refusal};
pub use log::{Host, LoggedRequest};
use repository::{Content, Repositories};
use state::HubShared;

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    hub: Server,
    _cdn: Server,
    shared: Arc<HubShared>,
}

/// Builder of a [`Hub`].
#[derive(Debug, Default)]
pub struct HubBuilder {
    files: Vec<(String, String, Content)>,
    tokens: Vec<(String, String)>,
    page: Option<usize>,
    listen: Option<SocketAddr>,
    faults: Vec<Fault>,
    rate: Option<u64>,
    without_api: bool,
    alias_of: Option<String>,
    next_pages_at: Option<String>,
}

impl Hub {
    /// Returns a builder of a hub without files.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// Returns the base address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.hub.address())
    }

    /// Returns the address of a file as on a plain web server: `http://127.0.0.1:PORT/direct/ORG/REPO/FILE`.
    pub fn direct_url(&self, repo: &str, file: &str) -> String {
        format!("{}/direct/{repo}/{file}", self.shared.cdn)
    }

    /// Returns the requests so far, ordered by the end of their responses.
    pub fn log(&self) -> Vec<LoggedRequest> {
        lock(&self.shared.log).clone()
    }

    /// Clears the log, and counts the bytes anew.
    pub fn clear_log(&self) {
        lock(&self.shared.log).clear();
        self.shared.sent.store(0, Ordering::SeqCst);
    }

    /// Returns the number of file bytes that the CDN has sent, also in responses under way.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }
}

impl HubBuilder {
    /// Serves a file from disk, under its own name.
    pub fn file(self, repo: &str, path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.file_as(repo, &name, path)
    }

    /// Serves a file from disk under another name.
    pub fn file_as(mut self, repo: &str, name: &str, path: &Path) -> Self {
        let content = Content::File(PathBuf::from(path));
        self.files.push((repo.to_owned(), name.to_owned(), content));
        self
    }

    /// Serves these bytes.
    pub fn bytes(mut self, repo: &str, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let content = Content::Bytes(bytes.into());
        self.files.push((repo.to_owned(), name.to_owned(), content));
        self
    }

    /// Requires this token: 401 without a token, 403 with another.
    pub fn gated(mut self, repo: &str, token: &str) -> Self {
        self.tokens.push((repo.to_owned(), token.to_owned()));
        self
    }

    /// Sets the number of files per page of a listing; a `Link` header leads to the next page.
    pub fn page_size(mut self, files: usize) -> Self {
        self.page = Some(files);
        self
    }

    /// Answers every API request with a bare 404, as a simple mirror does; files are still served.
    pub fn without_api(mut self) -> Self {
        self.without_api = true;
        self
    }

    /// Redirects every request to the hub at this address, as `hf.co` does to `huggingface.co`.
    pub fn alias_of(mut self, url: &str) -> Self {
        self.alias_of = Some(url.to_owned());
        self
    }

    /// Links the further pages of a listing to the hub at this address, as a mirror does that passes headers through.
    pub fn next_pages_at(mut self, url: &str) -> Self {
        self.next_pages_at = Some(url.to_owned());
        self
    }

    /// Adds an initial fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Limits the CDN's rate per connection, in bytes per second.
    pub fn rate(mut self, bytes_per_second: u64) -> Self {
        self.rate = Some(bytes_per_second);
        self
    }

    /// Sets the hub's address; the default is a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Hashes the files and opens the sockets.
    ///
    /// # Errors
    /// If a file cannot be read or an address cannot be bound.
    pub fn start(self) -> io::Result<Hub> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let hub = TcpListener::bind(self.listen.unwrap_or(any))?;
        let cdn = TcpListener::bind(any)?;
        let shared = Arc::new(HubShared {
            repositories: Repositories::new(self.files, self.tokens, self.page)?,
            // Another name of this machine, so that a client sees a different host.
            cdn: format!("http://localhost:{}", cdn.local_addr()?.port()),
            faults: Mutex::new(self.faults),
            log: Mutex::default(),
            sent: AtomicU64::default(),
            rate: self.rate,
            without_api: self.without_api,
            alias_of: self.alias_of,
            next_pages_at: self.next_pages_at,
            tickets: Mutex::default(),
        });
        let start = |listener, host| {
            let shared = Arc::clone(&shared);
            Server::start(listener, move |connection, _| {
                // Ignore clients that disconnect.
                let _ = serve::serve_connection(connection, host, &shared);
                CloseMode::Close
            })
        };
        Ok(Hub {
            hub: start(hub, Host::Hub)?,
            _cdn: start(cdn, Host::Cdn)?,
            shared,
        })
    }
}
