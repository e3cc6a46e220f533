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

/// Returns whether a server may be contacted now: the rule `reachable` and the fetches of model lists agree.
pub(crate) fn may_contact(network: Connectivity, policy: &RoutingPolicy, is_nearby: bool) -> bool {
    rules::forbids_contact(network, policy, is_nearby).is_none()
}
