//! The state that the hub's connections share.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::faults::Fault;
use super::log::LoggedRequest;
use super::repository::Repositories;

/// State that all connections share.
#[derive(Debug)]
pub(super) struct HubShared {
    pub(super) repositories: Repositories,
    /// The CDN's base address.
    pub(super) cdn: String,
    pub(super) faults: Mutex<Vec<Fault>>,
    pub(super) log: Mutex<Vec<LoggedRequest>>,
    /// Maximum rate of the CDN per connection, in bytes per second.
    pub(super) rate: Option<u64>,
    /// Tickets of presigned addresses, and the number of responses that each has left.
    pub(super) tickets: Mutex<Vec<(u64, u32)>>,
    pub(super) closing: AtomicBool,
    /// Acts as a mirror that has files and no API.
    pub(super) without_api: bool,
    /// Open connections by number.
    pub(super) open: Mutex<Vec<(u64, TcpStream)>>,
}

impl HubShared {
    pub(super) fn register(&self, connection: &TcpStream) -> Option<u64> {
        let handle = connection.try_clone().ok()?;
        let mut open = lock(&self.open);
        let number = open.last().map_or(0, |(last, _)| last + 1);
        open.push((number, handle));
        Some(number)
    }

    pub(super) fn unregister(&self, number: Option<u64>) {
        lock(&self.open).retain(|(one, _)| Some(*one) != number);
    }
}

/// Locks, ignoring poison: the data is consistent even if a holder panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
