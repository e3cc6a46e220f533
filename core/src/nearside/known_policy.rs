//! The routing policy in memory: as it was last read, or set by this process.

use crate::route::RoutingPolicy;

/// The policy as it was last read or set.
#[derive(Debug)]
pub(super) struct KnownPolicy {
    policy: RoutingPolicy,
    /// Number of policies that this process set.
    changes: u64,
}

impl KnownPolicy {
    pub(super) fn new(policy: RoutingPolicy) -> Self {
        Self { policy, changes: 0 }
    }

    pub(super) fn policy(&self) -> &RoutingPolicy {
        &self.policy
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes a policy that this process set and stored.
    pub(super) fn set(&mut self, policy: RoutingPolicy) {
        self.policy = policy;
        self.changes += 1;
    }

    /// Takes the stored policy, read when the number of changes was `changes`. One that was set meanwhile is newer.
    pub(super) fn update(&mut self, stored: RoutingPolicy, changes: u64) {
        if self.changes == changes {
            self.policy = stored;
        }
    }
}
