//! One target of a route, prepared to run: an engine with its model, address and credential.

use std::sync::Arc;

use super::Inner;
use super::facts::{PlannedRemote, PlannedSource, PlannedTarget};
use crate::chat::ChatRequest;
use crate::engine::Engine;
use crate::engine::remote::{Connection, RemoteEngine, Timeouts, TokenPrice};
use crate::error::Result;
use crate::route::{estimate, privacy};

/// A prepared target.
pub(super) struct PreparedTarget {
    pub(super) engine: Arc<dyn Engine>,
    /// Whether the target may charge.
    pub(super) charges: bool,
    /// Its price, if it charges and the price is known.
    pub(super) price: Option<TokenPrice>,
    pub(super) max_tokens: MaxTokens,
}

/// Maximum tokens of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxTokens {
    pub(super) prompt: u32,
    pub(super) completion: u32,
}

impl Inner {
    /// Prepares a target: its engine, or its connection with the credential. Sends nothing.
    ///
    /// # Errors
    /// `Blocked` if the policy changed since the decision and forbids the target now; those of starting an engine.
    pub(super) fn prepare_target(&self, planned: PlannedTarget, request: &ChatRequest) -> Result<PreparedTarget> {
        let (prompt, completion) = estimate::tokens(request);
        let max_tokens = MaxTokens {
            prompt: prompt.high,
            completion: completion.high,
        };
        let remote = match planned.source {
            PlannedSource::Local(local) => {
                return Ok(PreparedTarget {
                    engine: Arc::new(self.local_models.lease(&local)?),
                    charges: false,
                    price: None,
                    max_tokens,
                });
            }
            PlannedSource::Remote(remote) => *remote,
        };
        let PlannedRemote {
            settings,
            model,
            data_policy,
            mut upstreams,
        } = remote;
        privacy::check_terms(&self.policy(), &settings.name, &data_policy)?;
        // A self-hosted server charges nothing: no reservation.
        let charges = !data_policy.is_own();
        let price = model.price.clone().filter(|_| charges);
        // The reservation uses this price, so no upstream may cost more.
        upstreams.max_price = model.price.clone().filter(|price| !price.is_free());
        let connection = Connection {
            http: self.http(&settings)?,
            secret: self.secret(&settings.name),
            needed_tokens: prompt.high.saturating_add(completion.high),
            upstreams,
            circuit: self.circuit(&settings.name),
            timeouts: Timeouts::default(),
            data_policy,
            model,
            settings,
        };
        Ok(PreparedTarget {
            engine: Arc::new(RemoteEngine::new(connection, self.handle.clone())),
            charges,
            price,
            max_tokens,
        })
    }
}
