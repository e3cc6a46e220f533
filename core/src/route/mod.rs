//! Selects the target of a request and estimates its cost. [`choose`] is a pure function from [`Needs`], [`Facts`] and
//! [`RoutingPolicy`] to a [`RouteDecision`]: no I/O, no clock; the same facts give the same decision.

mod choose;
mod countries;
mod decision;
pub mod estimate;
mod facts;
mod policy;
mod price;
pub mod privacy;
mod provider_table;
mod rules;

pub use choose::choose;
pub(crate) use choose::choose_with_estimates;
pub use decision::{ConsentRequest, RouteDecision};
pub use facts::{
    CandidateError, Facts, LocalCandidate, ModelListing, Needs, RemoteCandidate, Speed, SpendingTotals, TokenRange,
};
pub use policy::{ConsentPolicy, RoutingPolicy};
pub use price::{CostRow, compare};

use crate::device::DeviceFacts;
use crate::engine::remote::{self, ProviderSettings, RemoteModel};
use crate::error::Result;

/// Checks that a provider may be contacted now: the rule `reachable`, the fetches of model lists and the moment of sending
/// agree.
///
/// # Errors
/// `Network` without a connection, and without the permission for the local network; `Blocked` if the policy does not allow a
/// metered one.
pub(crate) fn check_contact(
    device: &DeviceFacts,
    policy: &RoutingPolicy,
    path: NetworkPath,
    provider: &str,
) -> Result<()> {
    rules::forbids_contact(device, policy, path).map_or(Ok(()), |rejection| Err(rejection.into_error(provider)))
}

/// The networks between this device and the model that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NetworkPath {
    /// As [`RemoteCandidate::is_nearby`].
    pub(crate) is_nearby: bool,
    /// As [`RemoteCandidate::needs_local_network`].
    pub(crate) needs_local_network: bool,
}

impl NetworkPath {
    /// Returns the path to a provider's model: one that runs in the user's own network is reached without the internet.
    pub(crate) fn to(settings: &ProviderSettings, model: &RemoteModel) -> Self {
        Self {
            is_nearby: !model.proxied && !remote::needs_internet(settings),
            needs_local_network: remote::needs_local_network(settings),
        }
    }
}
