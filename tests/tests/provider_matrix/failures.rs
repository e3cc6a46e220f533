//! Failing answers: a typed error in time, and a retry only before visible content and only for transient failures.

use std::time::Instant;

use nearside::ErrorKind;
use nearside_tests::provider::{self, Dialect, Provider, Scenario};
use nearside_tests::remote::{self, TIMEOUTS, chat_to_end, connected, question};

use super::success::provider;
use super::{Outcome, holds, run, same};

pub(super) fn documented_errors(dialect: Dialect) -> Outcome {
    run(async {
        for error in provider::documented_errors(dialect) {
            let about = format!("{} `{}`", error.status, error.name);
            let retryable = error.body["error"]["availability"]["retryable"].as_bool();
            // An account without credit and a server without memory fail again.
            let is_lasting = matches!(error.name, "insufficient_quota" | "no_memory");
            let by_status = matches!(error.status, 408 | 429 | 500 | 502 | 503 | 504 | 524 | 529);
            let transient = retryable.unwrap_or(by_status && !is_lasting);
            let texts = longest_texts(&error.body);
            // A `Retry-After` above the limit of this test is not honoured.
            let rest = error.body["error"]["availability"]["retry_after"].as_f64();
            let waits = error.retry_after.is_some() || rest.is_some();
            let provider = provider(dialect);
            provider.otherwise(error.into());
            let answer = chat_to_end(connected(&provider), question()).await;
            let error = answer.error();
            holds(
                &format!("{about} is not `Internal`: {error}"),
                error.kind() != ErrorKind::Internal,
            )?;
            holds(
                &format!("{about} names the provider: {error}"),
                error.to_string().contains(dialect.name()),
            )?;
            holds(
                &format!("{about} repeats the provider's text: {error}"),
                texts.iter().all(|text| !error.to_string().contains(text.as_str())),
            )?;
            let attempts = if transient && !waits {
                TIMEOUTS.retry.attempts as usize
            } else {
                1
            };
            same(&format!("{about}: requests"), provider.chats().len(), attempts)?;
        }
        Ok(())
    })
}

/// Returns the sentences of an error body, which could quote a prompt.
fn longest_texts(body: &serde_json::Value) -> Vec<String> {
    match body {
        serde_json::Value::String(text) if text.contains(' ') => vec![text.clone()],
        serde_json::Value::Array(list) => list.iter().flat_map(longest_texts).collect(),
        serde_json::Value::Object(map) => map.values().flat_map(longest_texts).collect(),
        _ => vec![],
    }
}

pub(super) fn mid_stream_error(dialect: Dialect) -> Outcome {
    run(async {
        for code_is_text in [false, true] {
            let provider = provider(dialect);
            provider.play(Scenario::MidStreamError {
                text: "So far".into(),
                status: 429,
                code_is_text,
            });
            let answer = chat_to_end(connected(&provider), question()).await;
            same("text", answer.text.as_str(), "So far")?;
            let kind = answer.error().kind();
            holds(
                &format!("a typed error: {}", answer.error()),
                matches!(kind, ErrorKind::RateLimited | ErrorKind::Provider | ErrorKind::Busy),
            )?;
            same("no retry after text", provider.chats().len(), 1)?;
        }
        Ok(())
    })
}

pub(super) fn stall(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::Stall {
            text: "So far".into(),
            provider: None,
        });
        let begun = Instant::now();
        let answer = chat_to_end(connected(&provider), question()).await;
        same("text", answer.text.as_str(), "So far")?;
        same("kind", answer.error().kind(), ErrorKind::Network)?;
        holds("within its deadline", begun.elapsed() < TIMEOUTS.total)?;
        same("no retry after text", provider.chats().len(), 1)
    })
}

pub(super) fn never_a_byte(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::NeverFirstByte);
        provider.play(Scenario::plain("At last."));
        let answer = chat_to_end(connected(&provider), question()).await;
        same("the second attempt answers", answer.text.as_str(), "At last.")?;
        let provider = self::provider(dialect);
        provider.otherwise(Scenario::NeverFirstByte);
        let answer = chat_to_end(connected(&provider), question()).await;
        same("kind", answer.error().kind(), ErrorKind::Network)
    })
}

pub(super) fn truncated(dialect: Dialect) -> Outcome {
    run(async {
        for scenario in [
            Scenario::Truncated { text: "So far".into() },
            Scenario::Unfinished { text: "So far".into() },
            Scenario::BrokenJson { text: "So far".into() },
        ] {
            let provider = provider(dialect);
            provider.play(scenario.clone());
            let answer = chat_to_end(connected(&provider), question()).await;
            same("text", answer.text.as_str(), "So far")?;
            let kind = answer.error().kind();
            holds(
                &format!("{scenario:?}: {kind:?}"),
                matches!(kind, ErrorKind::Network | ErrorKind::Provider),
            )?;
        }
        let provider = provider(dialect);
        provider.play(Scenario::Truncated { text: String::new() });
        provider.play(Scenario::plain("Whole."));
        let answer = chat_to_end(connected(&provider), question()).await;
        same("a retry before text", answer.text.as_str(), "Whole.")
    })
}

pub(super) fn reset_and_half_closed(dialect: Dialect) -> Outcome {
    run(async {
        for scenario in [
            Scenario::Reset { text: "So far".into() },
            Scenario::HalfClosed { text: "So far".into() },
        ] {
            let provider = provider(dialect);
            // A reset may overtake the text before it; then nothing was visible, and the request is retried.
            provider.otherwise(scenario.clone());
            let answer = chat_to_end(connected(&provider), question()).await;
            let kind = answer.error().kind();
            holds(&format!("{scenario:?}: {kind:?}"), kind == ErrorKind::Network)?;
            holds("only what came", "So far".starts_with(&answer.text))?;
        }
        Ok(())
    })
}

pub(super) fn wrong_content(dialect: Dialect) -> Outcome {
    run(async {
        for scenario in [Scenario::WrongContentType, Scenario::Garbage] {
            let provider = provider(dialect);
            provider.otherwise(scenario.clone());
            let answer = chat_to_end(connected(&provider), question()).await;
            let kind = answer.error().kind();
            holds(
                &format!("{scenario:?}: {}", answer.error()),
                matches!(kind, ErrorKind::Provider | ErrorKind::Network),
            )?;
            same("text", answer.text.as_str(), "")?;
        }
        Ok(())
    })
}

pub(super) fn cold_start(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::NoContent);
        provider.play(Scenario::plain("Warm now."));
        let answer = chat_to_end(connected(&provider), question()).await;
        same("an empty answer is retried", answer.text.as_str(), "Warm now.")
    })
}

pub(super) fn wrong_key(dialect: Dialect) -> Outcome {
    run(async {
        let provider = Provider::builder(dialect).key("another").start().expect("a provider");
        let answer = chat_to_end(connected(&provider), question()).await;
        same("kind", answer.error().kind(), ErrorKind::Unauthorized)?;
        holds(
            "the key is in no error",
            !answer.error().to_string().contains(remote::KEY),
        )
    })
}
