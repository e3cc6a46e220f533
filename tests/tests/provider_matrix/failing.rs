//! Answers that go badly: a typed error in time, asked again only while nobody saw anything and only where it can help.

use std::time::Instant;

use nearside::ErrorKind;
use nearside_tests::provider::{self, Dialect, Provider, Scene};
use nearside_tests::remote::{self, TIMEOUTS, ask, connected, question};

use super::telling::provider;
use super::{Outcome, holds, run, same};

pub(super) fn documented_errors(dialect: Dialect) -> Outcome {
    run(async {
        for error in provider::documented_errors(dialect) {
            let about = format!("{} `{}`", error.status, error.name);
            let retryable = error.body["error"]["availability"]["retryable"].as_bool();
            let transient = retryable.unwrap_or(matches!(error.status, 408 | 429 | 500 | 502 | 503 | 504 | 524 | 529));
            let words = longest_words(&error.body);
            // A provider that asks for more than this test's patience is not asked again.
            let rest = error.body["error"]["availability"]["retry_after"].as_f64();
            let waits = error.retry_after.is_some() || rest.is_some();
            let provider = provider(dialect);
            provider.otherwise(error.into_scene());
            let answer = ask(connected(&provider), question()).await;
            let told = answer.error();
            holds(
                &format!("{about} is no bug of ours: {told}"),
                told.kind() != ErrorKind::Internal,
            )?;
            holds(
                &format!("{about} names the provider: {told}"),
                told.to_string().contains(dialect.name()),
            )?;
            holds(
                &format!("{about} repeats the provider's words: {told}"),
                words.iter().all(|words| !told.to_string().contains(words.as_str())),
            )?;
            let asked = if transient && !waits {
                TIMEOUTS.retry.attempts as usize
            } else {
                1
            };
            same(&format!("{about} was asked"), provider.chats().len(), asked)?;
        }
        Ok(())
    })
}

/// The sentences of an error body: what could quote a prompt.
fn longest_words(body: &serde_json::Value) -> Vec<String> {
    match body {
        serde_json::Value::String(text) if text.contains(' ') => vec![text.clone()],
        serde_json::Value::Array(list) => list.iter().flat_map(longest_words).collect(),
        serde_json::Value::Object(map) => map.values().flat_map(longest_words).collect(),
        _ => vec![],
    }
}

pub(super) fn mid_stream_error(dialect: Dialect) -> Outcome {
    run(async {
        for code_is_a_word in [false, true] {
            let provider = provider(dialect);
            provider.play(Scene::MidStreamError {
                text: "So far".into(),
                status: 429,
                code_is_a_word,
            });
            let answer = ask(connected(&provider), question()).await;
            same("text", answer.text.as_str(), "So far")?;
            let kind = answer.error().kind();
            holds(
                &format!("a typed error: {}", answer.error()),
                matches!(kind, ErrorKind::RateLimited | ErrorKind::Provider | ErrorKind::Busy),
            )?;
            same("after text nothing is asked again", provider.chats().len(), 1)?;
        }
        Ok(())
    })
}

pub(super) fn stall(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scene::Stall { text: "So far".into() });
        let begun = Instant::now();
        let answer = ask(connected(&provider), question()).await;
        same("text", answer.text.as_str(), "So far")?;
        same("kind", answer.error().kind(), ErrorKind::Network)?;
        holds("within its deadline", begun.elapsed() < TIMEOUTS.total)?;
        same("after text nothing is asked again", provider.chats().len(), 1)
    })
}

pub(super) fn never_a_byte(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scene::NeverFirstByte);
        provider.play(Scene::plain("At last."));
        let answer = ask(connected(&provider), question()).await;
        same("the second attempt answers", answer.text.as_str(), "At last.")?;
        let provider = self::provider(dialect);
        provider.otherwise(Scene::NeverFirstByte);
        let answer = ask(connected(&provider), question()).await;
        same("kind", answer.error().kind(), ErrorKind::Network)
    })
}

pub(super) fn truncated(dialect: Dialect) -> Outcome {
    run(async {
        for scene in [
            Scene::Truncated { text: "So far".into() },
            Scene::Unfinished { text: "So far".into() },
            Scene::BrokenJson { text: "So far".into() },
        ] {
            let provider = provider(dialect);
            provider.play(scene.clone());
            let answer = ask(connected(&provider), question()).await;
            same("text", answer.text.as_str(), "So far")?;
            let kind = answer.error().kind();
            holds(
                &format!("{scene:?}: {kind:?}"),
                matches!(kind, ErrorKind::Network | ErrorKind::Provider),
            )?;
        }
        let provider = provider(dialect);
        provider.play(Scene::Truncated { text: String::new() });
        provider.play(Scene::plain("Whole."));
        let answer = ask(connected(&provider), question()).await;
        same("before text it is asked again", answer.text.as_str(), "Whole.")
    })
}

pub(super) fn reset_and_half_closed(dialect: Dialect) -> Outcome {
    run(async {
        for scene in [
            Scene::Reset { text: "So far".into() },
            Scene::HalfClosed { text: "So far".into() },
        ] {
            let provider = provider(dialect);
            // A reset may overtake the words before it; then nobody saw anything, and the question is asked again.
            provider.otherwise(scene.clone());
            let answer = ask(connected(&provider), question()).await;
            let kind = answer.error().kind();
            holds(&format!("{scene:?}: {kind:?}"), kind == ErrorKind::Network)?;
            holds("only what came", "So far".starts_with(&answer.text))?;
        }
        Ok(())
    })
}

pub(super) fn wrong_content(dialect: Dialect) -> Outcome {
    run(async {
        for scene in [Scene::WrongContentType, Scene::Garbage] {
            let provider = provider(dialect);
            provider.otherwise(scene.clone());
            let answer = ask(connected(&provider), question()).await;
            let kind = answer.error().kind();
            holds(
                &format!("{scene:?}: {}", answer.error()),
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
        provider.play(Scene::NoContent);
        provider.play(Scene::plain("Warm now."));
        let answer = ask(connected(&provider), question()).await;
        same(
            "an answer of nothing is asked for again",
            answer.text.as_str(),
            "Warm now.",
        )
    })
}

pub(super) fn wrong_key(dialect: Dialect) -> Outcome {
    run(async {
        let provider = Provider::builder(dialect).key("another").start().expect("a provider");
        let answer = ask(connected(&provider), question()).await;
        same("kind", answer.error().kind(), ErrorKind::Unauthorized)?;
        holds(
            "the key is in no error",
            !answer.error().to_string().contains(remote::KEY),
        )
    })
}
