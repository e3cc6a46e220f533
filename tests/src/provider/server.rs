//! A listener of 127.0.0.1 with a thread for each connection, that ends all of them when it is dropped.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running listener.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

/// What becomes of a connection that is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// An end that the other side can read.
    Close,
    /// A reset: the socket was told so, and must only be dropped.
    Reset,
}

/// The connections of a server.
#[derive(Debug, Default)]
pub(super) struct Connections {
    closing: AtomicBool,
    open: Mutex<Open>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    /// By a number of their own.
    connections: Vec<(u64, TcpStream)>,
    ever: u64,
}

impl Server {
    /// Listens, and has every connection served on a thread of its own.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub(super) fn start<Serve>(listen: SocketAddr, serve: Serve) -> io::Result<Self>
    where
        Serve: Fn(&TcpStream, &Connections) -> Farewell + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Connections::default());
        let accepting = {
            let connections = Arc::clone(&connections);
            std::thread::spawn(move || accept(&listener, &connections, &Arc::new(serve)))
        };
        Ok(Self {
            address,
            connections,
            accepting: Some(accepting),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.connections.locked().connections.len()
    }

    /// Connections that were ever opened.
    pub(super) fn ever_opened(&self) -> u64 {
        self.connections.locked().ever
    }

    /// Waits until no more than so many are open; false after so long.
    pub(super) fn wait_for_open(&self, most: usize, at_most: Duration) -> bool {
        let open = self.connections.locked();
        let waited = self
            .connections
            .changed
            .wait_timeout_while(open, at_most, |open| open.connections.len() > most);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connections.closing.store(true, Ordering::SeqCst);
        for (_, connection) in &self.connections.locked().connections {
            // Already closed is closed.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the listener, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Connections {
    /// Whether the server closes its connections itself just now.
    pub(super) fn closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Nothing is left half done behind this lock, so a panic elsewhere does not spoil it.
    fn locked(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, connection: &TcpStream) -> io::Result<u64> {
        let handle = connection.try_clone()?;
        let mut open = self.locked();
        open.ever += 1;
        let number = open.ever;
        open.connections.push((number, handle));
        if self.closing() {
            // The server was dropped since the connection was accepted: nobody would close it any more.
            connection.shutdown(Shutdown::Both)?;
        }
        Ok(number)
    }

    fn unregister(&self, number: u64) {
        self.locked().connections.retain(|(one, _)| *one != number);
        self.changed.notify_all();
    }
}

fn accept<Serve>(listener: &TcpListener, connections: &Arc<Connections>, serve: &Arc<Serve>)
where
    Serve: Fn(&TcpStream, &Connections) -> Farewell + Send + Sync + 'static,
{
    for connection in listener.incoming() {
        if connections.closing() {
            return;
        }
        let Ok(connection) = connection else { continue };
        let (connections, serve) = (Arc::clone(connections), Arc::clone(serve));
        std::thread::spawn(move || {
            let Ok(number) = connections.register(&connection) else {
                return;
            };
            // Small writes are the point here: none may wait for another.
            let farewell = match connection.set_nodelay(true) {
                Ok(()) => serve(&connection, &connections),
                Err(_) => Farewell::Close,
            };
            if farewell == Farewell::Close {
                // Dropping is not enough: the register has a handle of its own.
                let _ = connection.shutdown(Shutdown::Both);
            }
            drop(connection);
            connections.unregister(number);
        });
    }
}
