//! The state that the hub's connections share.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

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
    /// Bytes of files that the CDN has sent, also of responses under way.
    pub(super) sent: AtomicU64,
    /// Maximum rate of the CDN per connection, in bytes per second.
    pub(super) rate: Option<u64>,
    /// Tickets of presigned addresses, and the number of responses that each has left.
    pub(super) tickets: Mutex<Vec<(u64, u32)>>,
    /// Acts as a mirror that has files and no API.
    pub(super) without_api: bool,
    /// Address of the hub that every request is redirected to.
    pub(super) alias_of: Option<String>,
    /// Address of the hub that has the further pages of a listing.
    pub(super) next_pages_at: Option<String>,
}
