//! The library in a folder of its own, for tests of answers on this device. Its models compute with one thread: other tests may
//! run beside it.

use std::sync::Arc;

use nearside::device::Host;
use nearside::{Config, Nearside};

use crate::memory::FixedHost;

/// The library, and the folder that goes with it.
#[derive(Debug)]
pub struct ScratchLibrary {
    /// The library.
    pub nearside: Nearside,
    /// Its folder, which may hold models as well.
    pub folder: tempfile::TempDir,
}

impl ScratchLibrary {
    /// Opens it with contexts of this many tokens.
    ///
    /// # Panics
    /// If it does not open.
    #[must_use]
    pub fn open(context: u32) -> Self {
        let host = Arc::new(FixedHost(None));
        Self::configured(host, |config| Config {
            context: Some(context),
            ..config
        })
    }

    /// Opens it on this device, with a changed configuration.
    ///
    /// # Panics
    /// If it does not open.
    #[must_use]
    pub fn configured(host: Arc<dyn Host>, change: impl FnOnce(Config) -> Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = change(Config {
            threads: Some(1),
            ..Config::new(folder.path().to_string_lossy())
        });
        let nearside = Nearside::with_host(config, host).expect("the library opens");
        Self { nearside, folder }
    }
}
