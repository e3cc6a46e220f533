//! A hub on this machine: real sockets that speak Hugging Face's protocol, with its faults.
//!
//! Two listeners stand for two hosts. The *hub* knows repositories: it lists them (`/api/models/…/tree/…`, with sizes
//! and SHA-256 of large files), and answers `/ORG/REPO/resolve/REV/FILE` with `X-Repo-Commit`, `X-Linked-Size`,
//! `X-Linked-ETag` and a redirect to a presigned address on the *CDN*, which sends bytes and ranges of them, without an
//! `ETag`, until the address expires. Both tell what they were asked ([`Hub::log`]; `GET /_log` from outside).
//!
//! Everything is blocking and on threads of its own, so that it serves tests in any language and with any runtime. It
//! stops when the value is dropped.

mod faults;
mod http;
mod log;
mod repository;
mod serve;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub use faults::{Fault, Refusal};
pub use log::{Host, Request};
use repository::{Content, Repositories};

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    hub: SocketAddr,
    cdn: SocketAddr,
    shared: Arc<Shared>,
    accepting: Vec<JoinHandle<()>>,
}

/// A hub to be started.
#[derive(Debug, Default)]
pub struct Builder {
    files: Vec<(String, String, Content)>,
    tokens: Vec<(String, String)>,
    page: Option<usize>,
    listen: Option<SocketAddr>,
    faults: Vec<Fault>,
    rate: Option<u64>,
    without_api: bool,
}

/// What every connection sees.
#[derive(Debug)]
struct Shared {
    repositories: Repositories,
    /// The CDN's base address.
    cdn: String,
    faults: Mutex<Vec<Fault>>,
    log: Mutex<Vec<Request>>,
    /// Bytes a second that the CDN sends at most, to each reader.
    rate: Option<u64>,
    /// Presigned addresses that hold: their tickets, and how many more answers each gives.
    tickets: Mutex<Vec<(u64, u32)>>,
    closing: AtomicBool,
    /// A mirror that has files and no programming interface.
    without_api: bool,
    /// Connections, by a number of their own.
    open: Mutex<Vec<(u64, TcpStream)>>,
}

impl Shared {
    fn register(&self, connection: &TcpStream) -> Option<u64> {
        let handle = connection.try_clone().ok()?;
        let mut open = locked(&self.open);
        let number = open.last().map_or(0, |(last, _)| last + 1);
        open.push((number, handle));
        Some(number)
    }

    fn unregister(&self, number: Option<u64>) {
        locked(&self.open).retain(|(one, _)| Some(*one) != number);
    }
}

impl Hub {
    /// A hub with nothing in it.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The base address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.hub)
    }

    /// The address of a file as a plain web server has it: `http://127.0.0.1:PORT/direct/ORG/REPO/FILE`.
    pub fn direct_url(&self, repo: &str, file: &str) -> String {
        format!("{}/direct/{repo}/{file}", self.shared.cdn)
    }

    /// What was asked so far, in the order in which answers ended.
    pub fn log(&self) -> Vec<Request> {
        locked(&self.shared.log).clone()
    }

    /// Forgets what was asked so far.
    pub fn clear_log(&self) {
        locked(&self.shared.log).clear();
    }

    /// Bytes of files that the CDN sent so far.
    pub fn bytes_sent(&self) -> u64 {
        self.log()
            .iter()
            .filter(|request| request.host == Host::Cdn)
            .map(|request| request.sent)
            .sum()
    }

    /// Adds a fault to those that are still to come.
    pub fn add_fault(&self, fault: Fault) {
        locked(&self.shared.faults).push(fault);
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        locked(&self.shared.faults).clear();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for (_, connection) in locked(&self.shared.open).drain(..) {
            // Already closed is closed.
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        for address in [self.hub, self.cdn] {
            // Wakes the listener, so that it sees the flag.
            let _ = TcpStream::connect(address);
        }
        for thread in self.accepting.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Builder {
    /// Serves a file from disk, under its own name.
    pub fn file(self, repo: &str, path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.file_as(repo, &name, path)
    }

    /// Serves a file from disk under another name.
    pub fn file_as(mut self, repo: &str, name: &str, path: &Path) -> Self {
        self.files
            .push((repo.to_owned(), name.to_owned(), Content::File(PathBuf::from(path))));
        self
    }

    /// Serves these bytes.
    pub fn bytes(mut self, repo: &str, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files
            .push((repo.to_owned(), name.to_owned(), Content::Bytes(bytes.into())));
        self
    }

    /// Only with this token: 401 without one, 403 with another.
    pub fn gated(mut self, repo: &str, token: &str) -> Self {
        self.tokens.push((repo.to_owned(), token.to_owned()));
        self
    }

    /// Lists so many files a page, with a `Link` to the next.
    pub fn page_size(mut self, files: usize) -> Self {
        self.page = Some(files);
        self
    }

    /// Files only: every question about repositories is answered with a bare 404, as a simple mirror does.
    pub fn without_api(mut self) -> Self {
        self.without_api = true;
        self
    }

    /// A fault from the start.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Bytes a second that the CDN sends at most.
    pub fn rate(mut self, bytes_per_second: u64) -> Self {
        self.rate = Some(bytes_per_second);
        self
    }

    /// Where the hub listens; else a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Hashes what is to be served and opens the sockets.
    ///
    /// # Errors
    /// A file that cannot be read, an address that cannot be had.
    pub fn start(self) -> io::Result<Hub> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let hub = TcpListener::bind(self.listen.unwrap_or(any))?;
        let cdn = TcpListener::bind(any)?;
        let (hub_at, cdn_at) = (hub.local_addr()?, cdn.local_addr()?);
        let shared = Arc::new(Shared {
            repositories: Repositories::new(self.files, self.tokens, self.page)?,
            // Another name for this machine: a client that compares hosts sees another host.
            cdn: format!("http://localhost:{}", cdn_at.port()),
            faults: Mutex::new(self.faults),
            log: Mutex::default(),
            rate: self.rate,
            without_api: self.without_api,
            tickets: Mutex::default(),
            closing: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = [(hub, Host::Hub), (cdn, Host::Cdn)]
            .map(|(listener, host)| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve::accept(&listener, host, &shared))
            })
            .into();
        Ok(Hub {
            hub: hub_at,
            cdn: cdn_at,
            shared,
            accepting,
        })
    }
}

/// Nothing is left half done behind these locks, so a panic elsewhere does not spoil them.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
