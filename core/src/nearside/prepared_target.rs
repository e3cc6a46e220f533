//! One target of a route, prepared to run: an engine with its model, address and credential.

use std::sync::Arc;

use super::Inner;
use super::facts::target_removed;
use crate::chat::{ChatRequest, RouteTarget};
use crate::engine::Engine;
use crate::engine::remote::{Connection, RemoteEngine, Timeouts, TokenPrice};
use crate::error::Result;
use crate::model::ModelRef;
use crate::route::estimate;

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
    /// Prepares a target: resolves its model, address and credential. Sends nothing.
    pub(super) fn prepare_target(&self, target: &RouteTarget, request: &ChatRequest) -> Result<PreparedTarget> {
        let (prompt, completion) = estimate::tokens(request);
        let max_tokens = MaxTokens {
            prompt: prompt.high,
            completion: completion.high,
        };
        match target {
            RouteTarget::Local { model } => {
                let local = self.resolve_local(&ModelRef::parse(model)?)?;
                let engine = self.engine(&local)?;
                Ok(PreparedTarget {
                    engine,
                    charges: false,
                    price: None,
                    max_tokens,
                })
            }
            RouteTarget::Remote { provider, model } => {
                let settings = self.provider(provider)?;
                let model = self.model_of(&settings, &self.models_of(provider)?, model);
                let data_policy = self.data_policy(&settings, &model)?;
                // A self-hosted server charges nothing: no reservation.
                let charges = !data_policy.is_own();
                let price = model.price.clone().filter(|_| charges);
                let (mut upstreams, _) = self.upstreams(&settings)?;
                // The reservation uses this price, so no upstream may cost more.
                upstreams.max_price = model.price.clone().filter(|price| !price.is_free());
                let connection = Connection {
                    http: self.http(&settings)?,
                    secret: self.secret(provider),
                    needed_tokens: prompt.high.saturating_add(completion.high),
                    upstreams,
                    circuit: self.circuit(provider),
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
            RouteTarget::Scripted => Err(target_removed(target)),
        }
    }
}
