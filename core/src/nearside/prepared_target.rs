//! One target of a route, prepared to run: an engine with its model, address and credential.

use std::sync::Arc;

use super::Inner;
use super::facts::gone;
use crate::chat::{ChatRequest, Target};
use crate::engine::Engine;
use crate::engine::remote::{Connection, Price, RemoteEngine, Timeouts};
use crate::error::Result;
use crate::model::ModelRef;
use crate::route::estimate;

/// A prepared target.
pub(super) struct Place {
    pub(super) engine: Arc<dyn Engine>,
    /// Prices of the target; `None` if it never charges.
    pub(super) tariff: Option<Tariff>,
    /// Maximum tokens of the prompt and of the answer.
    pub(super) most: (u32, u32),
}

/// Prices, as far as they are known.
pub(super) struct Tariff {
    pub(super) price: Option<Price>,
}

impl Inner {
    /// Prepares a target.
    pub(super) fn place(&self, target: &Target, request: &ChatRequest) -> Result<Place> {
        let (prompt, completion) = estimate::tokens(request);
        let most = (prompt.high, completion.high);
        match target {
            Target::Local { model } => {
                let ready = self.ready(&ModelRef::parse(model)?)?;
                let engine = self.engine(&ready)?;
                Ok(Place {
                    engine,
                    tariff: None,
                    most,
                })
            }
            Target::Remote { provider, model } => {
                let settings = self.provider(provider)?;
                let model = self.model_of(&settings, &self.models_of(provider)?, model);
                let data_policy = self.data_policy(&settings, &model)?;
                // A self-hosted server charges nothing: no reservation.
                let tariff = (!data_policy.is_own()).then(|| Tariff {
                    price: model.price.clone(),
                });
                let (mut upstreams, _) = self.upstreams(&settings)?;
                // The reservation uses this price, so no upstream may cost more.
                upstreams.max_price = model.price.clone().filter(|price| !price.is_free());
                let connection = Connection {
                    http: self.http(&settings)?,
                    secret: self.secret(provider),
                    upstreams,
                    circuit: self.circuit(provider),
                    timeouts: Timeouts::default(),
                    data_policy,
                    model,
                    settings,
                };
                Ok(Place {
                    engine: Arc::new(RemoteEngine::new(connection, self.handle.clone())),
                    tariff,
                    most,
                })
            }
            Target::Scripted => Err(gone(target)),
        }
    }
}
