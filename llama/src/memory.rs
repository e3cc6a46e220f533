//! Memory use of a model and a context, as llama.cpp counts it.

#![allow(unsafe_code)]

use llama_cpp_sys_2 as sys;
use serde_json::Value;

use crate::{LlamaError, ffi};

/// Bytes in one type of buffer. The sum of all parts is what llama.cpp allocates, without vocabulary, graph and stacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPart {
    /// llama.cpp's name of the buffer type: `CPU`, `CPU_REPACK`, `CPU_Mapped`, `Metal`, …
    pub buffer: String,
    /// Bytes of weights.
    pub weights: u64,
    /// Bytes of the context's cache (keys and values, recurrent states).
    pub cache: u64,
    /// Bytes of the buffers for intermediate results.
    pub compute: u64,
}

/// Returns the memory use of `context` and its model, by buffer type.
///
/// # Safety
/// `context` must be live, and no other thread may use it during the call.
pub(crate) unsafe fn memory_breakdown(context: *const sys::llama_context) -> Result<Vec<MemoryPart>, LlamaError> {
    // SAFETY: the caller guarantees that `context` is live and unshared; both texts outlive the call.
    let parts =
        ffi::call_for_json(|out, error| unsafe { ffi::ns_memory(context, out, error) }).map_err(LlamaError::Context)?;
    let bytes = |part: &Value, key: &str| part[key].as_u64().unwrap_or_default();
    let parts = parts.as_array().into_iter().flatten();
    Ok(parts
        .map(|part| MemoryPart {
            buffer: part["buffer"].as_str().unwrap_or_default().to_owned(),
            weights: bytes(part, "weights"),
            cache: bytes(part, "cache"),
            compute: bytes(part, "compute"),
        })
        .collect())
}
