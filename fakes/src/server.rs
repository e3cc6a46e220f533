//! A local listener with a thread for each connection. Dropping it closes all connections.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running listener.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

/// How a connection is closed after its last response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseMode {
    /// A regular shutdown.
    Close,
    /// A reset: `SO_LINGER` is set, so the socket only needs to be dropped.
    Reset,
}

/// The connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    closing: AtomicBool,
    open: Mutex<OpenConnections>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct OpenConnections {
    /// Open connections by number.
    connections: Vec<(u64, TcpStream)>,
    ever: u64,
}

impl Server {
    /// Serves every connection on its own thread.
    ///
    /// # Errors
    /// If the address is unknown.
    pub(crate) fn start<Serve>(listener: TcpListener, serve: Serve) -> io::Result<Self>
    where
        Serve: Fn(&TcpStream, &Connections) -> CloseMode + Send + Sync + 'static,
    {
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

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.connections.lock().connections.len()
    }

    /// Returns the number of connections ever opened.
    pub(crate) fn ever_opened(&self) -> u64 {
        self.connections.lock().ever
    }

    /// Waits until at most this many are open; `false` on timeout.
    pub(crate) fn wait_for_open(&self, most: usize, at_most: Duration) -> bool {
        let open = self.connections.lock();
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
        for (_, connection) in &self.connections.lock().connections {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wake the listener, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Connections {
    /// Returns whether the server is closing its connections.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        lock(&self.open)
    }

    fn register(&self, connection: &TcpStream) -> io::Result<u64> {
        let handle = connection.try_clone()?;
        let mut open = self.lock();
        open.ever += 1;
        let number = open.ever;
        open.connections.push((number, handle));
        if self.is_closing() {
            // The server was dropped after the connection was accepted and no longer closes it.
            connection.shutdown(Shutdown::Both)?;
        }
        Ok(number)
    }

    fn unregister(&self, number: u64) {
        self.lock().connections.retain(|(one, _)| *one != number);
        self.changed.notify_all();
    }
}

/// Waits until the client disconnects or the server stops. A client that receives an answer sends nothing.
pub(crate) fn wait_for_disconnect(connection: &TcpStream) {
    while matches!(connection.peek(&mut [0]), Ok(1..)) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Locks, ignoring poison: the data is consistent even if a holder panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept<Serve>(listener: &TcpListener, connections: &Arc<Connections>, serve: &Arc<Serve>)
where
    Serve: Fn(&TcpStream, &Connections) -> CloseMode + Send + Sync + 'static,
{
    for connection in listener.incoming() {
        if connections.is_closing() {
            return;
        }
        let Ok(connection) = connection else { continue };
        let (connections, serve) = (Arc::clone(connections), Arc::clone(serve));
        std::thread::spawn(move || {
            let Ok(number) = connections.register(&connection) else {
                return;
            };
            // Chunking tests need small writes to be sent at once.
            let close_mode = match connection.set_nodelay(true) {
                Ok(()) => serve(&connection, &connections),
                Err(_) => CloseMode::Close,
            };
            if close_mode == CloseMode::Close {
                // Dropping is not enough: the registry holds a cloned handle.
                let _ = connection.shutdown(Shutdown::Both);
            }
            drop(connection);
            connections.unregister(number);
        });
    }
}
