//! A host whose network a test sets.

use std::sync::{Arc, Mutex};

use nearside::device::{Connectivity, DeviceFacts, Host};

use nearside_fakes::server::lock;

/// A host that reports the network that a test set, and nothing else.
#[derive(Debug, Default)]
pub struct NetworkHost(Mutex<Connectivity>);

impl NetworkHost {
    /// Creates a host that reports this network.
    pub fn new(network: Connectivity) -> Arc<Self> {
        Arc::new(Self(Mutex::new(network)))
    }

    /// Changes the network.
    pub fn set(&self, network: Connectivity) {
        *lock(&self.0) = network;
    }
}

impl Host for NetworkHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            network: *lock(&self.0),
            ..DeviceFacts::default()
        }
    }
}
