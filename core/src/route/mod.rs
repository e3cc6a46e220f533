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

use crate::device::Connectivity;
use crate::error::Result;

/// Checks that a provider may be contacted now: the rule `reachable`, the fetches of model lists and the moment of sending
/// agree.
///
/// # Errors
/// `Network` without a connection; `Blocked` if the policy does not allow a metered one.
pub(crate) fn check_contact(
    network: Connectivity,
    policy: &RoutingPolicy,
    is_nearby: bool,
    provider: &str,
) -> Result<()> {
    rules::forbids_contact(network, policy, is_nearby).map_or(Ok(()), |rejection| Err(rejection.into_error(provider)))
}
