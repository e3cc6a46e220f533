//! Limits of work whose size a model file decides: running its chat template. `shim/limits.h` says how they hold.

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use crate::{LlamaError, ffi};

/// What a template may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateLimits {
    pub(crate) memory_bytes: usize,
    pub(crate) stack_bytes: usize,
    pub(crate) time: Duration,
}

impl TemplateLimits {
    /// Returns the limits for an input of this size. Templates in use stay far below them.
    pub(crate) fn for_input(bytes: usize) -> Self {
        Self {
            memory_bytes: MEMORY_BYTES.saturating_add(bytes.saturating_mul(MEMORY_FACTOR)),
            stack_bytes: STACK_BYTES,
            time: MAX_TIME,
        }
    }
}

/// Asks whether the work is still wanted.
type IsWanted<'a> = &'a dyn Fn() -> bool;

/// State of the callback of one call.
struct Watch<'a> {
    is_wanted: IsWanted<'a>,
    /// From here on it is asked whether the work is wanted.
    grace_ends: Instant,
    deadline: Instant,
    is_late: bool,
}

/// Runs a call of the shim within limits, and as long as it is wanted.
///
/// # Errors
/// [`LlamaError::Cancelled`] once it is not wanted; [`LlamaError::Template`] beyond a limit, and with the text of `body`.
pub(crate) fn with_limits<T>(
    limits: TemplateLimits,
    is_wanted: IsWanted<'_>,
    body: impl FnOnce(*mut ffi::RawLimits) -> Result<T, String>,
) -> Result<T, LlamaError> {
    let mut watch = Watch {
        is_wanted,
        grace_ends: Instant::now() + GRACE,
        deadline: Instant::now() + limits.time,
        is_late: false,
    };
    let mut raw = ffi::RawLimits {
        is_stopped: on_poll,
        data: ptr::from_mut(&mut watch).cast(),
        memory: limits.memory_bytes,
        stack: limits.stack_bytes,
        reached: ffi::LIMIT_NONE,
    };
    let done = body(&raw mut raw);
    match (done, raw.reached) {
        (Ok(value), ffi::LIMIT_NONE) => Ok(value),
        (_, ffi::LIMIT_STOPPED) if watch.is_late => Err(LlamaError::Template("it runs without an end".to_owned())),
        (_, ffi::LIMIT_STOPPED) => Err(LlamaError::Cancelled),
        (Err(reason), _) => Err(LlamaError::Template(reason)),
        // A stream of C++ swallowed the exception, so that the result lacks a part.
        (Ok(_), _) => Err(LlamaError::Template("it exceeds its limits".to_owned())),
    }
}

/// The shim's poll. `watch` is the address of a live [`Watch`].
unsafe extern "C" fn on_poll(watch: ffi::UserData) -> bool {
    // SAFETY: `with_limits` owns it and waits for the call that polls.
    let watch = unsafe { &mut *watch.cast::<Watch<'_>>() };
    let now = Instant::now();
    watch.is_late = now >= watch.deadline;
    if watch.is_late || now < watch.grace_ends {
        return watch.is_late;
    }
    // A panic must not cross C++.
    !catch_unwind(AssertUnwindSafe(|| (watch.is_wanted)())).unwrap_or_default()
}

/// A template and its parser take some ten megabytes.
const MEMORY_BYTES: usize = 128 << 20;
/// The text of a prompt exists several times.
const MEMORY_FACTOR: usize = 64;
/// Threads of Rust have two megabytes.
const STACK_BYTES: usize = 1 << 20;
/// Before, work is not stopped, only limited: a template in use ends sooner. The exception that stops work ends the process if it
/// meets a destructor that allocates, as that of a JSON value does, so that no ordinary cancel may throw it.
const GRACE: Duration = Duration::from_secs(1);
/// A prompt of 100,000 tokens takes about a second on a phone.
const MAX_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatTemplate, Prompt};

    /// Renders a hello with this template.
    fn run(template: &str, limits: TemplateLimits, is_wanted: IsWanted<'_>) -> Result<String, LlamaError> {
        let template = ChatTemplate::from_text(template, limits, is_wanted)?;
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
                ..TemplateLimits::for_input(0)
            };
            let rendered = run(template, limits, &|| true);
            assert!(matches!(rendered, Err(LlamaError::Template(_))), "{name}: {rendered:?}");
            let rendered = run("{{ messages[0].content }}", limits, &|| true);
            assert_eq!(rendered.as_deref(), Ok("hello"), "after {name}");
        }
    }

    #[test]
    fn a_template_ends_when_it_is_not_wanted_any_more() {
        let (_, template) = ENDLESS[1];
        let polls = std::cell::Cell::new(0);
        let is_wanted = || {
            polls.set(polls.get() + 1);
            polls.get() < 100
        };
        let rendered = run(template, TemplateLimits::for_input(0), &is_wanted);
        assert_eq!(rendered, Err(LlamaError::Cancelled));
        assert_eq!(polls.get(), 100, "it ends at once");
    }

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
