//! What is global in llama.cpp: its one-time start, its log, and the processor it was compiled for.
//!
//! llama.cpp's log goes to `tracing`, target `llama.cpp`. Some of its lines quote text, so the filter depends on what
//! the thread is doing: everything while a file is loaded (there is no prompt yet), warnings and errors while computing
//! (tokens only), nothing while text is tokenized, constrained, rendered or parsed.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use llama_cpp_sys_2 as sys;

use crate::{Error, ffi};

/// Versions of llama.cpp and ggml, and what of the processor this build uses.
pub fn version() -> String {
    start();
    // SAFETY: all three return pointers to terminated strings that live as long as the process.
    let [llama, ggml, system] = unsafe {
        [
            sys::llama_version(),
            sys::ggml_version(),
            sys::llama_print_system_info(),
        ]
        .map(|text| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    format!(
        "llama.cpp {llama}, ggml {ggml} ({})",
        system.trim().trim_end_matches('|').trim()
    )
}

/// Whether this processor has what llama.cpp was compiled for.
///
/// # Errors
/// [`Error::Unsupported`] names what is missing. Everything that loads asks this first, because computing on such a
/// processor ends the process with an illegal instruction.
pub fn check_cpu() -> Result<(), Error> {
    static MISSING: OnceLock<Vec<&'static str>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        compiled_for()
            .into_iter()
            .filter(|(_, needed, present)| *needed && !present)
            .map(|(name, ..)| name)
            .collect()
    });
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "this processor lacks {}, which this build needs",
        missing.join(", ")
    )))
}

/// Proves that a failed `GGML_ASSERT` comes back as an error. For tests.
#[doc(hidden)]
pub fn fail_an_assert() -> String {
    start();
    // SAFETY: the error text outlives the call.
    ffi::check(|error| unsafe { ffi::ns_assert_for_test(error) })
        .err()
        .unwrap_or_default()
}

/// Starts llama.cpp, once.
pub(crate) fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        // SAFETY: called once, before any other function of llama.cpp; `on_log` is a function and lives for ever.
        unsafe { ffi::ns_init(Some(on_log)) }
    });
}

/// What llama.cpp is doing on this thread; determines which of its log lines pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Touches text: no line is let through.
    Text,
    /// Loads a file or makes a context: all lines, and errors are kept for the caller.
    Load,
    /// Computes: warnings and errors.
    Compute,
}

/// Runs `body` as `work`. Returns its output, and the errors that llama.cpp logged meanwhile.
pub(crate) fn during<T>(work: Work, body: impl FnOnce() -> T) -> (T, String) {
    let before = WORK.replace(work);
    let kept = ERRORS.take();
    let out = body();
    WORK.set(before);
    (out, ERRORS.replace(kept))
}

thread_local! {
    static WORK: Cell<Work> = const { Cell::new(Work::Text) };
    static ERRORS: RefCell<String> = const { RefCell::new(String::new()) };
}

unsafe extern "C" fn on_log(level: sys::ggml_log_level, text: *const c_char, _: ffi::UserData) {
    if text.is_null() {
        return;
    }
    let work = WORK.get();
    let grave = matches!(level, sys::GGML_LOG_LEVEL_WARN | sys::GGML_LOG_LEVEL_ERROR);
    if work == Work::Text || (work == Work::Compute && !grave) {
        return;
    }
    // SAFETY: llama.cpp passes a terminated string that lives until this function returns.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    // A subscriber is foreign code: its panic must not unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        match level {
            sys::GGML_LOG_LEVEL_ERROR => {
                ERRORS.with_borrow_mut(|errors| reason(errors, text));
                tracing::error!(target: "llama.cpp", "{text}");
            }
            sys::GGML_LOG_LEVEL_WARN => tracing::warn!(target: "llama.cpp", "{text}"),
            // What llama.cpp calls information is pages of it for every load.
            sys::GGML_LOG_LEVEL_INFO => tracing::debug!(target: "llama.cpp", "{text}"),
            _ => tracing::trace!(target: "llama.cpp", "{text}"),
        }
    }));
}

/// Keeps the first error line, which names the cause, without the name of the C++ function that it begins with.
fn reason(errors: &mut String, line: &str) {
    if errors.is_empty() {
        let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
        errors.push_str(line.strip_prefix("error loading model: ").unwrap_or(line));
    }
}

/// Name, whether this build uses it, whether this processor has it.
#[cfg(target_arch = "x86_64")]
fn compiled_for() -> [(&'static str, bool, bool); 6] {
    use std::arch::is_x86_feature_detected as has;
    // SAFETY: these only report how they were compiled.
    let used = unsafe {
        [
            sys::ggml_cpu_has_avx(),
            sys::ggml_cpu_has_avx2(),
            sys::ggml_cpu_has_fma(),
            sys::ggml_cpu_has_f16c(),
            sys::ggml_cpu_has_bmi2(),
            sys::ggml_cpu_has_avx512(),
        ]
        .map(|used| used != 0)
    };
    [
        ("AVX", used[0], has!("avx")),
        ("AVX2", used[1], has!("avx2")),
        ("FMA", used[2], has!("fma")),
        ("F16C", used[3], has!("f16c")),
        ("BMI2", used[4], has!("bmi2")),
        ("AVX-512", used[5], has!("avx512f")),
    ]
}

/// Name, whether this build uses it, whether this processor has it.
#[cfg(target_arch = "aarch64")]
fn compiled_for() -> [(&'static str, bool, bool); 3] {
    use std::arch::is_aarch64_feature_detected as has;
    // SAFETY: these only report how they were compiled.
    let used = unsafe {
        [
            sys::ggml_cpu_has_dotprod(),
            sys::ggml_cpu_has_fp16_va(),
            sys::ggml_cpu_has_matmul_int8(),
        ]
        .map(|used| used != 0)
    };
    [
        ("dot product", used[0], has!("dotprod")),
        ("half precision", used[1], has!("fp16")),
        ("8-bit matrix multiplication", used[2], has!("i8mm")),
    ]
}

/// Elsewhere nothing is known to be missing.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn compiled_for() -> [(&'static str, bool, bool); 0] {
    []
}
