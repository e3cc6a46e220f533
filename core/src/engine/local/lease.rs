//! Uses of an engine: an engine that is leased, answers or measures is not closed to free memory.

use std::ops::Deref;
use std::sync::Arc;

use super::LocalEngine;
use crate::engine::{Engine, Job};

/// A use of an engine, counted until it is dropped.
#[derive(Debug)]
pub struct EngineLease(Arc<LocalEngine>);

impl EngineLease {
    /// Counts one more use. Idle engines are closed under the lock under which leases are acquired.
    pub fn acquire(engine: &Arc<LocalEngine>) -> Self {
        engine.shared.uses.begin();
        Self(Arc::clone(engine))
    }
}

impl Deref for EngineLease {
    type Target = LocalEngine;

    fn deref(&self) -> &LocalEngine {
        &self.0
    }
}

impl Engine for EngineLease {
    fn answer(&self, job: Job) {
        self.0.answer(job);
    }
}

impl Drop for EngineLease {
    fn drop(&mut self) {
        self.0.shared.uses.end();
    }
}
