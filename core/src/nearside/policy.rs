//! The routing policy. Other processes may change the stored one, so each decision and each attempt of an answer reads it
//! anew, once.

use super::{Inner, Nearside, lock};
use crate::error::Result;
use crate::route::RoutingPolicy;

impl Nearside {
    /// Returns the routing policy as it was last set here or read for a request. Each request reads the stored one, so that a
    /// change by another process applies from the next request on.
    pub fn policy(&self) -> RoutingPolicy {
        self.inner.policy()
    }

    /// Sets the routing policy from the next request on, in all processes that use this data directory. Persisted.
    ///
    /// # Errors
    /// `InvalidRequest` for a value that cannot be meant, such as a country that does not exist; see
    /// [`RoutingPolicy::check`]. `Storage`.
    pub async fn set_policy(&self, policy: RoutingPolicy) -> Result<()> {
        self.blocking(move |inner| {
            policy.check()?;
            inner.state.save_policy(&policy)?;
            lock(&inner.policy).set(policy);
            Ok(())
        })
        .await
    }

    /// Sets the routing policy if the stored one is still `before`, so that of two changes at the same moment none is lost.
    /// Returns whether it was set; if not, [`Self::policy`] returns the present one.
    ///
    /// # Errors
    /// As [`Self::set_policy`].
    pub async fn replace_policy(&self, before: RoutingPolicy, policy: RoutingPolicy) -> Result<bool> {
        self.blocking(move |inner| {
            policy.check()?;
            let is_set = inner.state.replace_policy(&before, &policy)?;
            match is_set {
                true => lock(&inner.policy).set(policy),
                false => inner.read_policy()?,
            }
            Ok(is_set)
        })
        .await
    }
}

impl Inner {
    pub(super) fn policy(&self) -> RoutingPolicy {
        lock(&self.policy).policy().clone()
    }

    /// Reads the stored policy, which another process may have changed.
    ///
    /// # Errors
    /// `Storage`, also if it cannot be understood: an older one could allow what it forbids.
    pub(super) fn read_policy(&self) -> Result<()> {
        let changes = lock(&self.policy).changes();
        let stored = self.state.policy()?.unwrap_or_default();
        lock(&self.policy).update(stored, changes);
        Ok(())
    }
}
