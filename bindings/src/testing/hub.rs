//! A hub in this process: `fakes/src/hub`.

use std::sync::Arc;

use nearside_fakes::hub::{Fault, Host, Hub, Refusal};

use super::io_error;
use crate::error::Result;

/// A file that a [`TestHub`] serves.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TestHubFile {
    /// `ORG/NAME`, as in a reference `hf:ORG/NAME`.
    pub repo: String,
    /// Name of the file in the repository.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A fault of a [`TestHub`]. Those that name the next response happen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TestHubFault {
    /// The connection of the next file ends after this many bytes.
    CutAfter { bytes: u64 },
    /// The next file stops after this many bytes, and its connection stays open.
    StallAfter { bytes: u64 },
    /// Every file has this byte inverted, so that its hash is wrong.
    WrongByteAt { byte: u64 },
    /// The next file is a web page, as behind the sign-in of a network.
    WebPage,
    /// The next request is refused with this HTTP status.
    Refuse { status: u16 },
}

/// A hub on the loopback interface with the protocol of Hugging Face, until this object is released: `Config.hub` is its
/// address. Downloads, resumes and verification are real.
#[derive(uniffi::Object)]
pub struct TestHub(Hub);

#[uniffi::export]
impl TestHub {
    /// Serves these files. With a rate, each connection sends as many bytes per second.
    #[uniffi::constructor(default(bytes_per_second = None))]
    pub fn start(files: Vec<TestHubFile>, bytes_per_second: Option<u64>) -> Result<Arc<Self>> {
        let mut builder = Hub::builder();
        for file in files {
            builder = builder.bytes(&file.repo, &file.name, file.bytes);
        }
        if let Some(rate) = bytes_per_second {
            builder = builder.rate(rate);
        }
        let hub = builder
            .start()
            .map_err(|cause| io_error("the hub of a test could not start", &cause))?;
        Ok(Arc::new(Self(hub)))
    }

    /// Returns the address for `Config.hub`.
    pub fn url(&self) -> Result<String> {
        Ok(self.0.url())
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: TestHubFault) -> Result<()> {
        self.0.add_fault(match fault {
            TestHubFault::CutAfter { bytes } => Fault::CutAfter(bytes),
            TestHubFault::StallAfter { bytes } => Fault::StallAfter(bytes),
            TestHubFault::WrongByteAt { byte } => Fault::WrongByteAt(byte),
            TestHubFault::WebPage => Fault::WebPage,
            TestHubFault::Refuse { status } => Fault::Refuse(Host::Hub, Refusal::status(status)),
        });
        Ok(())
    }

    /// Removes all faults.
    pub fn clear_faults(&self) -> Result<()> {
        self.0.clear_faults();
        Ok(())
    }

    /// Returns the number of bytes of files sent so far.
    pub fn bytes_sent(&self) -> Result<u64> {
        Ok(self.0.bytes_sent())
    }
}
