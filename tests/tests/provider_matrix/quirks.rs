//! Shapes of the field: each answer arrives whole, and each error is told from an answer, with its reason.

use nearside::ErrorReason;
use nearside::chat::StopReason;
use nearside_tests::provider::{Chunking, Dialect, Provider, Quirk, Scenario};
use nearside_tests::remote::{self, CollectedAnswer, chat_to_end, connected, question};

use super::{Outcome, holds, run, same};

pub(super) fn shapes_of_the_field(dialect: Dialect) -> Outcome {
    let mut failed = Vec::new();
    for quirk in Quirk::ALL.into_iter().filter(|quirk| quirk.applies_to(dialect)) {
        for chunking in [Chunking::Whole, Chunking::EveryByte, Chunking::Random(5)] {
            let played = run(async {
                let (provider, answer) = play(dialect, quirk, chunking).await;
                check(dialect, quirk, &answer)?;
                same("requests", provider.chats().len(), expected_requests(quirk))
            });
            failed.extend(played.err().map(|why| format!("{quirk:?}, {chunking:?}: {why}")));
        }
    }
    holds(&failed.join("\n"), failed.is_empty())
}

async fn play(dialect: Dialect, quirk: Quirk, chunking: Chunking) -> (Provider, CollectedAnswer) {
    let mut builder = Provider::builder(dialect).chunking(chunking).model(REASONING_MODEL);
    if dialect.is_hosted() {
        builder = builder.key(remote::KEY);
    }
    let provider = builder.start().expect("a provider");
    provider.otherwise(Scenario::Quirk {
        quirk,
        text: TEXT.into(),
    });
    let mut connection = connected(&provider);
    if quirk == Quirk::ClosingTag {
        connection.model.id = REASONING_MODEL.into();
    }
    let answer = chat_to_end(connection, question()).await;
    (provider, answer)
}

fn check(dialect: Dialect, quirk: Quirk, answer: &CollectedAnswer) -> Outcome {
    if let Err(error) = &answer.end {
        let text = error.to_string();
        holds(&format!("names the provider: {text}"), text.contains(dialect.name()))?;
        holds(
            &format!("repeats nothing of the provider: {text}"),
            !text.contains("zyx"),
        )?;
    }
    let fails = |reason: ErrorReason| {
        let got = answer.end.as_ref().map(|end| end.stop).map_err(nearside::Error::reason);
        same("end", got, Err(reason))
    };
    match quirk {
        Quirk::ErrorLine => {
            same("text", answer.text.as_str(), TEXT)?;
            fails(ErrorReason::ContextExceeded)
        }
        Quirk::ErrorLineFirst | Quirk::ErrorEvent | Quirk::BareError | Quirk::BareErrorPretty | Quirk::ErrorObject => {
            fails(ErrorReason::ContextExceeded)
        }
        Quirk::ErrorType => fails(ErrorReason::Overloaded),
        Quirk::NotUtf8 => fails(ErrorReason::ProviderFault),
        Quirk::Redirect => {
            let text = answer.error().to_string();
            holds(
                &format!("names the new address: {text}"),
                text.contains("`https://new.example"),
            )?;
            holds(&format!("without its query: {text}"), !text.contains('?'))?;
            fails(ErrorReason::Unreachable)
        }
        Quirk::SignInRedirect => {
            holds("speaks of a sign-in", answer.error().to_string().contains("sign in"))?;
            fails(ErrorReason::Unreachable)
        }
        Quirk::CallsAllZero | Quirk::CallsWithoutIndex => {
            same("stop", end(answer)?, StopReason::ToolCall)?;
            let arguments: Vec<_> = answer
                .calls
                .iter()
                .map(|(_, _, arguments)| arguments.as_str())
                .collect();
            same("calls", arguments, vec![r#"{"city":"1"}"#, r#"{"city":"2"}"#])?;
            holds("ids differ", answer.calls[0].0 != answer.calls[1].0)
        }
        Quirk::Refusal | Quirk::RefusalWithoutUsage => text(answer, "I cannot."),
        Quirk::HalfEmoji => text(answer, "a 😀 bye"),
        Quirk::ClosingTag if is_separated(dialect) => {
            same("reasoning", answer.reasoning.as_str(), "Let me think.")?;
            text(answer, "one two")
        }
        Quirk::ClosingTag => end(answer).map(|_| ()),
        Quirk::EmptyErrors
        | Quirk::ByteOrderMark
        | Quirk::EmptyData
        | Quirk::NullData
        | Quirk::CarriageReturns
        | Quirk::EventsAsJson
        | Quirk::JsonAsEvents => text(answer, TEXT),
    }
}

/// Returns whether the dialect's servers may send reasoning inside the content of a model that always reasons.
fn is_separated(dialect: Dialect) -> bool {
    !dialect.is_hosted() || dialect == Dialect::Fireworks
}

fn text(answer: &CollectedAnswer, expected: &str) -> Outcome {
    end(answer)?;
    same("text", answer.text.as_str(), expected)
}

fn end(answer: &CollectedAnswer) -> Result<StopReason, String> {
    answer.end.as_ref().map(|end| end.stop).map_err(ToString::to_string)
}

/// Only a passing failure that came before anything was generated is retried.
fn expected_requests(quirk: Quirk) -> usize {
    match quirk {
        Quirk::ErrorType => remote::TIMEOUTS.retry.attempts as usize,
        _ => 1,
    }
}

const TEXT: &str = "one two three";
const REASONING_MODEL: &str = "deepseek-r1:8b";
