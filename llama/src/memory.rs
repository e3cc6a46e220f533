//! What a model and a context take of memory, as llama.cpp itself counts it.

#![allow(unsafe_code)]

use llama_cpp_sys_2 as sys;
use serde_json::Value;

use crate::{Error, ffi};

/// Bytes by kind of buffer. Their sum over all parts is what llama.cpp allocates; vocabulary, graph and stacks come on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPart {
    /// llama.cpp's name of the buffer type: `CPU`, `CPU_REPACK`, `CPU_Mapped`, `Metal`, …
    pub buffer: String,
    /// Bytes of weights.
    pub weights: u64,
    /// Bytes of the context's cache (keys and values, recurrent states).
    pub cache: u64,
    /// Bytes of the buffers that a computation needs.
    pub compute: u64,
}

/// # Safety
/// `context` must be live, and no other thread may use it during the call.
pub(crate) unsafe fn breakdown(context: *const sys::llama_context) -> Result<Vec<MemoryPart>, Error> {
    // SAFETY: the caller vouches for `context`; both texts outlive the call.
    let json = ffi::text(|out, error| unsafe { ffi::ns_memory(context, out, error) }).map_err(Error::Context)?;
    let parts: Vec<Value> = serde_json::from_str(&json).map_err(|error| Error::Context(error.to_string()))?;
    let bytes = |part: &Value, key: &str| part[key].as_u64().unwrap_or_default();
    Ok(parts
        .iter()
        .map(|part| MemoryPart {
            buffer: part["buffer"].as_str().unwrap_or_default().to_owned(),
            weights: bytes(part, "weights"),
            cache: bytes(part, "cache"),
            compute: bytes(part, "compute"),
        })
        .collect())
}
