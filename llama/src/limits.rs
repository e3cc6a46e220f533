//! Limits of work whose size a model file decides: running its chat template. `shim/limits.h` says how they hold.
//!
//! The work runs on a thread of its own, so that a caller that no longer wants it need not wait for its end: the result is
//! dropped when it comes, and only work that goes on for long after a cancel ([`LEFT_TIME`]) is ended like work that reaches a
//! limit: by an exception. If that cannot unwind, the thread is stopped for good and its memory is lost:
//! [`TemplateLimits::memory_bytes`] and the input at most. Few such threads run at once, few are stopped for good until no
//! template runs any more, and before the process ends [`wait_for_templates`] waits for those that run: the end destroys what
//! they read.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{LlamaError, ffi};

/// What a template may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateLimits {
    pub(crate) memory_bytes: usize,
    pub(crate) time: Duration,
}

impl TemplateLimits {
    /// Returns the limits for an input of this size. Templates in use stay far below them.
    pub(crate) fn for_input(bytes: usize) -> Self {
        Self {
            memory_bytes: MEMORY_BYTES.saturating_add(bytes.saturating_mul(MEMORY_FACTOR)),
            time: MAX_TIME,
        }
    }

    /// Returns the limits for the short trial messages of a load.
    pub(crate) fn for_trial() -> Self {
        Self {
            time: TRIAL_TIME,
            ..Self::for_input(0)
        }
    }

    /// Returns the limits for work that stayed within these in each of two parts, and does both again.
    pub(crate) fn for_both_again(self) -> Self {
        Self {
            time: self.time.saturating_mul(2),
            ..self
        }
    }
}

/// Asks whether the work is still wanted.
pub(crate) type IsWanted<'a> = &'a dyn Fn() -> bool;

/// What the thread of the work gives back: the result of the body, or the limit that was reached.
type Outcome<T> = Result<Result<T, String>, LlamaError>;

/// State of the callbacks of one call, on the thread of the work.
struct Watch<T> {
    begun: Instant,
    limit: Duration,
    /// When the caller stopped waiting.
    left: Arc<OnceLock<Instant>>,
    sender: SyncSender<Outcome<T>>,
    running: Cell<Option<Running>>,
}

/// A thread that counts as running, or will be started.
pub(crate) struct Running;

/// The threads of templates in this process.
struct TemplateThreads {
    running: usize,
    /// Those that were stopped for good.
    stuck: usize,
}

static THREADS: Mutex<TemplateThreads> = Mutex::new(TemplateThreads { running: 0, stuck: 0 });
/// Notified when one ends.
static ENDED: Condvar = Condvar::new();

impl Running {
    /// Waits until there are few enough others, as long as this one is wanted.
    ///
    /// # Errors
    /// [`LlamaError::Cancelled`]; [`LlamaError::TemplateBusy`] if the others do not end, or too many were stopped for good.
    pub(crate) fn begin(is_wanted: IsWanted<'_>) -> Result<Self, LlamaError> {
        Self::begin_within(MAX_TIME, is_wanted)
    }

    /// Like [`Self::begin`]; waits at most this long.
    fn begin_within(most: Duration, is_wanted: IsWanted<'_>) -> Result<Self, LlamaError> {
        let begun = Instant::now();
        loop {
            if !is_wanted() {
                return Err(LlamaError::Cancelled);
            }
            let mut threads = lock_threads();
            if threads.stuck >= MAX_STUCK_THREADS {
                return Err(LlamaError::TemplateBusy(format!(
                    "{} others had to be stopped and hold their memory; restart the app, and remove the models whose \
                     templates exceed their limits",
                    threads.stuck
                )));
            }
            if threads.running < MAX_THREADS {
                threads.running += 1;
                return Ok(Self);
            }
            if begun.elapsed() > most {
                return Err(LlamaError::TemplateBusy(format!(
                    "{MAX_THREADS} others run and do not end; try again in a minute"
                )));
            }
            drop(ENDED.wait_timeout(threads, POLL_INTERVAL));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock_threads().running -= 1;
        ENDED.notify_all();
    }
}

fn lock_threads() -> MutexGuard<'static, TemplateThreads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no template runs any more, but not longer than `most`. After a cancel one may still run, for up to three seconds.
/// The end of the process must not come before.
pub fn wait_for_templates(most: Duration) {
    let begun = Instant::now();
    let mut threads = lock_threads();
    while threads.running > 0 && begun.elapsed() < most {
        let waited = ENDED.wait_timeout(threads, POLL_INTERVAL);
        threads = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(threads, _)| threads);
    }
}

/// Returns how many templates run. For tests.
#[doc(hidden)]
pub fn running_templates() -> usize {
    lock_threads().running
}

/// Has a thread reach a limit where it has to be stopped for good, and returns its caller's error. For tests.
#[doc(hidden)]
pub fn stop_a_template() -> Result<(), LlamaError> {
    crate::backend::init_backend();
    with_limits(TemplateLimits::for_input(0), &|| true, |limits| {
        // SAFETY: the limits outlive the call.
        ffi::call(|error| unsafe { ffi::ns_stuck_for_test(limits, error) })
    })
}

/// Runs a call of the shim within limits, as long as it is wanted. `is_wanted` is polled on the calling thread.
///
/// # Errors
/// [`LlamaError::Cancelled`] once it is not wanted; [`LlamaError::Template`] beyond a limit, and with the text of `body`;
/// [`LlamaError::Threads`] if the system starts no thread for it, [`LlamaError::TemplateBusy`] if others take all.
pub(crate) fn with_limits<T: Send + 'static>(
    limits: TemplateLimits,
    is_wanted: IsWanted<'_>,
    body: impl FnOnce(*mut ffi::RawLimits) -> Result<T, String> + Send + 'static,
) -> Result<T, LlamaError> {
    run_limited(limits, is_wanted, body)?.map_err(LlamaError::Template)
}

/// Like [`with_limits`], and returns an error of `body` apart from those of the limits.
///
/// # Errors
/// Those of [`with_limits`], except the text of `body`.
pub(crate) fn run_limited<T: Send + 'static>(
    limits: TemplateLimits,
    is_wanted: IsWanted<'_>,
    body: impl FnOnce(*mut ffi::RawLimits) -> Result<T, String> + Send + 'static,
) -> Outcome<T> {
    run_reserved(Running::begin(is_wanted)?, limits, is_wanted, body)
}

/// Like [`run_limited`], with a thread that is already counted.
///
/// # Errors
/// Those of [`run_limited`].
pub(crate) fn run_reserved<T: Send + 'static>(
    running: Running,
    limits: TemplateLimits,
    is_wanted: IsWanted<'_>,
    body: impl FnOnce(*mut ffi::RawLimits) -> Result<T, String> + Send + 'static,
) -> Outcome<T> {
    // A place for the only result, so that the thread never waits for a caller that has left.
    let (sender, receiver) = sync_channel(1);
    let left = Arc::new(OnceLock::new());
    let begun = Instant::now();
    let mut watch = Watch {
        begun,
        limit: limits.time,
        left: Arc::clone(&left),
        sender,
        running: Cell::new(Some(running)),
    };
    let work = move || {
        let mut raw = ffi::RawLimits {
            is_stopped: on_poll::<T>,
            on_stuck: on_stuck::<T>,
            data: ptr::from_mut(&mut watch).cast(),
            memory: limits.memory_bytes,
            stack: STACK_BYTES,
            reached: ffi::LIMIT_NONE,
        };
        let done = body(&raw mut raw);
        // Fails if the caller has left; that drops the result here.
        let _ = watch.sender.send(outcome(done, raw.reached));
    };
    let spawned = thread::Builder::new()
        .name("nearside-template".to_owned())
        .stack_size(STACK_BYTES + SPARE_STACK_BYTES)
        .spawn(work);
    if spawned.is_err() {
        return Err(LlamaError::Threads(1));
    }
    loop {
        match receiver.recv_timeout(POLL_INTERVAL) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) if !is_wanted() => {
                let _ = left.set(Instant::now());
                return Err(LlamaError::Cancelled);
            }
            // Without the shim's checks, or where nothing allocates, the thread does not see its end.
            Err(RecvTimeoutError::Timeout) if begun.elapsed() > limits.time + LEFT_TIME => {
                let _ = left.set(Instant::now());
                return Err(takes_too_long());
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Not reached: the shim lets no panic and no exception out.
            Err(RecvTimeoutError::Disconnected) => return Err(exceeds_limits()),
        }
    }
}

fn outcome<T>(done: Result<T, String>, reached: i32) -> Outcome<T> {
    match (done, reached) {
        (done, ffi::LIMIT_NONE) => Ok(done),
        (_, ffi::LIMIT_STOPPED) => Err(takes_too_long()),
        (Err(reason), _) => Err(LlamaError::Template(reason)),
        // A stream of C++ swallowed the exception, so that the result lacks a part.
        (Ok(_), _) => Err(exceeds_limits()),
    }
}

fn takes_too_long() -> LlamaError {
    LlamaError::Template("it takes too long".to_owned())
}

fn exceeds_limits() -> LlamaError {
    LlamaError::Template("it exceeds its limits".to_owned())
}

/// The shim's poll. `watch` is the address of a live [`Watch`] of this type.
unsafe extern "C" fn on_poll<T>(watch: ffi::UserData) -> bool {
    // SAFETY: `run_limited` keeps it until the call that polls has returned.
    let watch = unsafe { &*watch.cast::<Watch<T>>() };
    let is_left = watch.left.get().is_some_and(|left| left.elapsed() >= LEFT_TIME);
    is_left || watch.begun.elapsed() >= watch.limit
}

/// The shim's last call before the thread is stopped for good. `watch` is the address of a live [`Watch`] of this type.
unsafe extern "C" fn on_stuck<T>(watch: ffi::UserData) {
    // SAFETY: as in `on_poll`.
    let watch = unsafe { &*watch.cast::<Watch<T>>() };
    let stuck = {
        let mut threads = lock_threads();
        threads.stuck += 1;
        threads.stuck
    };
    let _ = watch.sender.send(Err(exceeds_limits()));
    watch.running.take();
    // The app's subscriber must not panic into C++.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        tracing::warn!(
            stuck,
            most = MAX_STUCK_THREADS,
            "a chat template exceeded its limits and had to be stopped: its memory is lost"
        );
    }));
}

/// A template and its parser take some ten megabytes.
const MEMORY_BYTES: usize = 128 << 20;
/// The text of a prompt exists several times.
const MEMORY_FACTOR: usize = 64;
/// The stack that a template may take: only address space until it is used.
const STACK_BYTES: usize = 8 << 20;
/// What follows nested values without allocating, and so without a check, gets more.
const SPARE_STACK_BYTES: usize = 56 << 20;
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Threads that run at once: each may take the memory of its limits.
const MAX_THREADS: usize = 4;
/// Threads that may be stopped for good: the memory of each is lost until the end of the process. The tests below stop many.
const MAX_STUCK_THREADS: usize = if cfg!(test) { 1 << 20 } else { 4 };
/// How long work may go on after its caller has left. Templates in use end sooner, also on a slow phone; only one without an end
/// is interrupted.
const LEFT_TIME: Duration = Duration::from_secs(3);
/// A prompt of 100,000 tokens takes about a second on a phone.
const MAX_TIME: Duration = Duration::from_secs(30);
/// Templates in use take some ten milliseconds for the trial messages of a load, on a phone too.
const TRIAL_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatTemplate, Prompt};

    /// Renders a hello with this template.
    fn run(template: &str, limits: TemplateLimits, is_wanted: IsWanted<'_>) -> Result<String, LlamaError> {
        let template = ChatTemplate::from_text([template, "", ""], limits, is_wanted)?;
        let prompt = Prompt {
            messages_json: r#"[{"role": "user", "content": "hello"}]"#,
            ..Prompt::default()
        };
        template
            .render_within(&prompt, limits, is_wanted)
            .map(|rendered| rendered.prompt)
    }

    const ENDLESS: [(&str, &str); 10] = [
        ("a long range", "{% for i in range(100000000000) %}a{% endfor %}"),
        (
            "loops in loops",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        ),
        (
            "a doubled text",
            "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
        ),
        ("a repeated text", "{{ 'ab' * 100000000000 }}"),
        (
            "a text that grows flat",
            "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = (n.t ~ n.t) | upper %}{% endfor %}",
        ),
        (
            "a text that grows by replacing",
            "{% set n = namespace(t='aa') %}{% for i in range(99) %}{% set n.t = n.t | replace('a', n.t) %}{% endfor %}",
        ),
        (
            "a list that grows",
            "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}",
        ),
        (
            "a macro without an end",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        ),
        (
            "two macros without an end",
            "{% macro f() %}a{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
        ),
        ("an endless indent", "{{ messages | tojson(indent=100000000000) }}"),
    ];

    #[test]
    fn a_template_without_an_end_is_an_error_and_the_next_one_runs() {
        for (name, template) in ENDLESS {
            let limits = TemplateLimits {
                memory_bytes: 64 << 20,
                time: Duration::from_secs(5),
            };
            let rendered = run(template, limits, &|| true);
            assert!(matches!(rendered, Err(LlamaError::Template(_))), "{name}: {rendered:?}");
            let rendered = run("{{ messages[0].content }}", limits, &|| true);
            assert_eq!(rendered.as_deref(), Ok("hello"), "after {name}");
        }
    }

    #[test]
    fn who_no_longer_wants_a_template_waits_for_nothing_and_it_ends_soon() {
        let (_, template) = ENDLESS[1];
        let polls = Cell::new(0);
        let is_wanted = || {
            polls.set(polls.get() + 1);
            polls.get() < 10
        };
        crate::backend::init_backend();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let ended = run_limited(TemplateLimits::for_input(0), &is_wanted, move |limits| {
            let _held = held;
            // SAFETY: the text and the limits outlive the call.
            ffi::call(|error| unsafe {
                ffi::ns_template_check(template.into(), "".into(), "".into(), true, limits, error)
            })
        });
        assert_eq!(ended, Err(LlamaError::Cancelled));
        assert_eq!(polls.get(), 10, "it returns at once");
        // It ends some seconds after it was left, and before the end of the process, which waits for it.
        wait_for_templates(Duration::from_secs(20));
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn work_that_cannot_unwind_is_told_and_its_thread_stopped_for_good() {
        crate::backend::init_backend();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let ended = run_limited(TemplateLimits::for_input(0), &|| true, move |limits| {
            let _held = held;
            // SAFETY: the limits outlive the call.
            ffi::call(|error| unsafe { ffi::ns_stuck_for_test(limits, error) })
        });
        assert_eq!(ended, Err(exceeds_limits()));
        // The thread sleeps with what it holds, and does not count as one that runs.
        assert_eq!(Arc::strong_count(&alive), 2);
        assert!(lock_threads().stuck > 0);
        let rendered = run("{{ messages[0].content }}", TemplateLimits::for_input(0), &|| true);
        assert_eq!(rendered.as_deref(), Ok("hello"));
    }

    #[test]
    fn where_others_take_all_threads_the_error_says_so() {
        let all: Result<Vec<_>, _> = (0..MAX_THREADS).map(|_| Running::begin(&|| true)).collect();
        let all = all.expect("threads");
        let refused = Running::begin_within(Duration::from_millis(20), &|| true).err();
        drop(all);
        assert!(matches!(refused, Some(LlamaError::TemplateBusy(_))), "{refused:?}");
        assert!(Running::begin(&|| true).is_ok());
    }

    /// The exception of the limits must not end the process wherever it is thrown, and ordinary cancels throw none.
    #[test]
    fn a_template_can_be_left_and_stopped_at_any_moment() {
        let message = r#"{"role": "user", "content": "a line", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": [1, [2, 3], {"b": "c"}]}}}]}"#;
        let messages_json = format!("[{}]", vec![message; 200].join(","));
        let source = "{% for m in messages %}{{ m | tojson }}{% endfor %}";
        let template = ChatTemplate::from_source(source, "", "").expect("a template");
        let prompt = Prompt {
            messages_json: &messages_json,
            ..Prompt::default()
        };
        let begun = Instant::now();
        let whole = template.render(&prompt).expect("a prompt");
        let duration = begun.elapsed();
        for step in 0..STEPS {
            let stop = duration * step / STEPS;
            let limits = TemplateLimits {
                time: stop,
                ..TemplateLimits::for_input(messages_json.len())
            };
            // A limit stops it where it is.
            match template.render_within(&prompt, limits, &|| true) {
                Ok(rendered) => assert!(rendered == whole),
                Err(error) => assert!(matches!(error, LlamaError::Template(_)), "{error}"),
            }
            let begun = Instant::now();
            match template.render_while(&prompt, &|| begun.elapsed() < stop) {
                Ok(rendered) => assert!(rendered == whole),
                Err(error) => assert_eq!(error, LlamaError::Cancelled),
            }
        }
        assert!(template.render(&prompt).is_ok_and(|rendered| rendered == whole));
    }

    #[test]
    fn a_value_that_nests_deep_is_followed_to_its_end() {
        let source = "{% set n = namespace(l=[1]) %}{% for i in range(20000) %}{% set n.l = [n.l] %}{% endfor %}done";
        let rendered = run(source, TemplateLimits::for_input(0), &|| true);
        assert_eq!(rendered.as_deref(), Ok("done"));
    }

    const STEPS: u32 = 200;

    #[test]
    fn a_long_conversation_stays_within_the_limits() {
        let message =
            r#"{"role": "user", "content": "One more line of a conversation that has been going on for days."}"#;
        let messages_json = format!("[{}]", vec![message; 4000].join(","));
        let template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}{% if not loop.last %}\n{% endif %}{% endfor %}";
        let template = ChatTemplate::from_source(template, "", "").expect("a template");
        let prompt = Prompt {
            messages_json: &messages_json,
            ..Prompt::default()
        };
        let rendered = template.render(&prompt).expect("a prompt");
        assert!(rendered.prompt.len() > 4000 * 60);
    }
}
