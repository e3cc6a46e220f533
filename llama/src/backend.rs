//! The global state of llama.cpp: its initialization, its log, and the processor it was compiled for.
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

use crate::{LlamaError, ffi};

/// Returns the versions of llama.cpp and ggml, and the processor features that this build uses.
pub fn version() -> String {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(read_version).clone()
}

fn read_version() -> String {
    init_backend();
    // SAFETY: all three return pointers to terminated strings with static lifetime; called once, because
    // `llama_print_system_info` rewrites its own.
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

/// Returns the number of physical cores: those of the fastest kind on Apple's systems and on Windows, all on Linux. `None` if
/// the system does not say.
pub fn performance_cores() -> Option<u32> {
    #[cfg(windows)]
    if let Some(cores) = crate::windows_cores::fastest_cores() {
        return Some(cores);
    }
    // SAFETY: only asks the system; throws nothing.
    let cores = unsafe { ffi::ns_performance_cores() };
    (cores > 0).then_some(cores)
}

/// Checks that this processor has the features that llama.cpp was compiled for.
///
/// # Errors
/// [`LlamaError::Unsupported`] names the missing features. Called before every load, because computing without them ends
/// the process with an illegal instruction.
pub fn check_cpu() -> Result<(), LlamaError> {
    static MISSING: OnceLock<Vec<&'static str>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        cpu_features()
            .into_iter()
            .filter(|(_, needed, present)| *needed && !present)
            .map(|(name, ..)| name)
            .collect()
    });
    if missing.is_empty() {
        return Ok(());
    }
    Err(LlamaError::Unsupported(format!(
        "this processor lacks {}, which this build needs",
        missing.join(", ")
    )))
}

/// Fails a `GGML_ASSERT` on purpose and returns its error text. For tests.
#[doc(hidden)]
pub fn fail_an_assert() -> String {
    init_backend();
    // SAFETY: the error text outlives the call.
    ffi::call(|error| unsafe { ffi::ns_assert_for_test(error) })
        .err()
        .unwrap_or_default()
}

/// Initializes llama.cpp once per process.
pub(crate) fn init_backend() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        // SAFETY: called once, before any other function of llama.cpp; `on_log` has static lifetime.
        unsafe { ffi::ns_init(Some(on_log)) }
    });
}

/// What llama.cpp is doing on this thread; determines which of its log lines are forwarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogScope {
    /// Processing text: no lines.
    Text,
    /// Loading a file or creating a context: all lines.
    Load,
    /// Computing: warnings and errors, which [`with_compute_log`] holds back until the outcome is known.
    Compute,
}

/// Runs `body` in `scope`. Returns its output, and the first error that llama.cpp logged on this thread meanwhile.
pub(crate) fn with_log_scope<T>(scope: LogScope, body: impl FnOnce() -> T) -> (T, String) {
    let outer_scope = SCOPE.replace(scope);
    let outer_error = ERROR.take();
    let out = body();
    SCOPE.set(outer_scope);
    (out, ERROR.replace(outer_error))
}

/// Runs a computation in its scope. Returns its output, and the first error that llama.cpp logged on this thread meanwhile.
///
/// Its lines are dropped if `is_abort` says that the computation ended as requested: llama.cpp logs errors then, too.
pub(crate) fn with_compute_log<T>(body: impl FnOnce() -> T, is_abort: impl FnOnce(&T) -> bool) -> (T, String) {
    let (out, error) = with_log_scope(LogScope::Compute, body);
    let lines = HELD.take();
    if !lines.is_empty() && !is_abort(&out) {
        for (level, line) in lines {
            forward_line(level, &line);
        }
    }
    (out, error)
}

thread_local! {
    static SCOPE: Cell<LogScope> = const { Cell::new(LogScope::Text) };
    static HELD: RefCell<Vec<(sys::ggml_log_level, String)>> = const { RefCell::new(Vec::new()) };
    static ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

unsafe extern "C" fn on_log(level: sys::ggml_log_level, text: *const c_char, _: ffi::UserData) {
    if text.is_null() {
        return;
    }
    let scope = SCOPE.get();
    let severe = matches!(level, sys::GGML_LOG_LEVEL_WARN | sys::GGML_LOG_LEVEL_ERROR);
    if scope == LogScope::Text || (scope == LogScope::Compute && !severe) {
        return;
    }
    // SAFETY: llama.cpp passes a terminated string that lives until this function returns.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if level == sys::GGML_LOG_LEVEL_ERROR {
        ERROR.with_borrow_mut(|first| keep_first_error(first, text));
    }
    if scope == LogScope::Compute {
        HELD.with_borrow_mut(|held| {
            if held.len() < MAX_HELD_LINES {
                held.push((level, text.to_owned()));
            }
        });
    } else {
        forward_line(level, text);
    }
}

fn forward_line(level: sys::ggml_log_level, text: &str) {
    // A subscriber's panic must not unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(|| match level {
        sys::GGML_LOG_LEVEL_ERROR => tracing::error!(target: "llama.cpp", "{text}"),
        sys::GGML_LOG_LEVEL_WARN => tracing::warn!(target: "llama.cpp", "{text}"),
        // llama.cpp logs pages of information at every load.
        sys::GGML_LOG_LEVEL_INFO => tracing::debug!(target: "llama.cpp", "{text}"),
        _ => tracing::trace!(target: "llama.cpp", "{text}"),
    }));
}

/// Stores the first error line, which names the cause, without the C++ function name at its start.
fn keep_first_error(first: &mut String, line: &str) {
    if first.is_empty() {
        let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
        first.push_str(line.strip_prefix("error loading model: ").unwrap_or(line));
    }
}

/// Name, whether this build uses it, whether this processor has it.
#[cfg(target_arch = "x86_64")]
fn cpu_features() -> [(&'static str, bool, bool); 6] {
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
fn cpu_features() -> [(&'static str, bool, bool); 3] {
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

/// Returns nothing: on other processors no feature is known to be missing.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> [(&'static str, bool, bool); 0] {
    []
}

/// Lines of one computation that are held back; llama.cpp logs two to four for a failed one.
const MAX_HELD_LINES: usize = 16;
