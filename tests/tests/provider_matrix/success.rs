//! Successful answers: content, usage, cost and model lists.

use nearside::chat::{CostSource, StopReason};
use nearside::engine::remote::list_models;
use nearside::{ErrorKind, chat::ChatRequest};
use nearside_tests::provider::{Chunking, Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{self, chat_to_end, connected, question};

use super::{Outcome, holds, run, same};

/// Starts a provider that splits its bytes randomly and requires a key if the real one does.
pub(super) fn provider(dialect: Dialect) -> Provider {
    let builder = Provider::builder(dialect).chunking(Chunking::Random(7));
    let builder = if dialect.is_hosted() {
        builder.key(remote::KEY)
    } else {
        builder
    };
    builder.start().expect("a provider")
}

pub(super) fn plain(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::plain(
            "Because the moon pulls, and the Earth turns: «twice» 🌊.",
        ));
        let answer = chat_to_end(connected(&provider), question()).await;
        same(
            "text",
            answer.text.as_str(),
            "Because the moon pulls, and the Earth turns: «twice» 🌊.",
        )?;
        same("reasoning", answer.reasoning.as_str(), "")?;
        same("stop", answer.done().stop, StopReason::End)
    })
}

pub(super) fn reasoning(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::Reasoning {
            thoughts: "The moon. <b>Gravity</b>?".into(),
            text: "The moon.".into(),
        });
        let answer = chat_to_end(connected(&provider), question()).await;
        let thoughts = dialect.reasoning_field().map_or("", |_| "The moon. <b>Gravity</b>?");
        same("reasoning", answer.reasoning.as_str(), thoughts)?;
        same("text", answer.text.as_str(), "The moon.")?;
        let usage = answer.done().usage;
        holds(
            "reasoning tokens are part of the completion",
            usage.reasoning_tokens <= usage.completion_tokens,
        )
    })
}

pub(super) fn think_tags(dialect: Dialect) -> Outcome {
    // These two separate reasoning themselves; a tag in their text is text.
    let verbatim = matches!(dialect, Dialect::OpenAi | Dialect::DeepSeek);
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::InlineThink {
            thoughts: "hm".into(),
            text: "Say <think> aloud.".into(),
        });
        let answer = chat_to_end(connected(&provider), question()).await;
        if verbatim {
            return holds("the tag stays in the text", answer.text.contains("<think>"));
        }
        same("reasoning", answer.reasoning.trim(), "hm")?;
        same("text", answer.text.as_str(), "Say <think> aloud.")
    })
}

pub(super) fn finish_reasons(dialect: Dialect) -> Outcome {
    run(async {
        for reason in dialect.finish_reasons() {
            let provider = provider(dialect);
            provider.otherwise(Scenario::FinishReason {
                text: "So far".into(),
                reason: (*reason).to_owned(),
            });
            let answer = chat_to_end(connected(&provider), question()).await;
            let got = answer.end.as_ref().map(|end| end.stop).map_err(nearside::Error::kind);
            let expected = match *reason {
                "length" => Ok(StopReason::MaxTokens),
                "tool_calls" | "function_call" => Ok(StopReason::ToolCall),
                "content_filter" => Ok(StopReason::Filtered),
                "error" => Err(ErrorKind::Provider),
                "insufficient_system_resource" => Err(ErrorKind::Busy),
                _ => Ok(StopReason::End),
            };
            same(reason, got, expected)?;
        }
        Ok(())
    })
}

pub(super) fn usage_and_cost(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::Many { tokens: 50 });
        let answer = chat_to_end(connected(&provider), question()).await;
        let end = answer.done();
        holds("the prompt is counted", end.usage.prompt_tokens > 0)?;
        same("completion tokens", end.usage.completion_tokens, 50)?;
        same("cost source", end.receipt.cost_source, remote::cost_source(dialect))?;
        let expected = match end.receipt.cost_source {
            CostSource::Free => 0.0,
            CostSource::Computed => remote::PRICE.cost(&end.usage),
            _ => return holds("the provider's own figure", end.receipt.cost_usd > 0.0),
        };
        same("cost", end.receipt.cost_usd, expected)
    })
}

pub(super) fn web_search(dialect: Dialect) -> Outcome {
    let request = ChatRequest {
        web_search: true,
        ..question()
    };
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::WebSearch {
            text: "As NASA says.".into(),
            citations: vec![("https://example.org/tides".into(), "Tides".into())],
            unreported: vec![],
        });
        let answer = chat_to_end(connected(&provider), request).await;
        if !matches!(dialect, Dialect::OpenRouter | Dialect::DeepSeek) {
            same("refused", answer.error().kind(), ErrorKind::Unsupported)?;
            return same("requests", provider.requests().len(), 0);
        }
        let tools = provider.chats()[0]["tools"].to_string();
        holds("the search is requested", tools.contains("web_search"))?;
        holds(
            "the receipt reports it",
            answer.done().receipt.data_policy.note.contains("not covered"),
        )?;
        // DeepSeek documents the position of citations only for other APIs.
        match dialect {
            Dialect::OpenRouter => same(
                "citations",
                answer.citations,
                vec![("https://example.org/tides".into(), "Tides".into())],
            ),
            _ => Ok(()),
        }
    })
}

pub(super) fn model_list(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        let connection = connected(&provider);
        let listed = list_models(&connection.http, &connection.settings, &connection.secret, "2026-11-22").await;
        let models = listed.map_err(|error| error.to_string())?;
        let model = models.iter().find(|model| model.id == dialect.model());
        let model = model.ok_or_else(|| format!("`{}` is missing among {models:?}", dialect.model()))?;
        match dialect {
            Dialect::OpenRouter => {
                let price = model.price.as_ref().ok_or("no price")?;
                holds(
                    "prices are per million tokens",
                    price.usd_in > 0.001 && price.usd_in < 1000.0,
                )?;
                holds(
                    "abilities are reported",
                    model.abilities.is_some_and(|can| can.reasoning),
                )?;
                holds(
                    "a retirement date is reported",
                    models.iter().any(|model| model.retires.is_some()),
                )?;
                holds("a context is reported", model.context.is_some())
            }
            Dialect::Ollama => {
                holds(
                    "abilities are requested",
                    model.abilities.is_some_and(|can| can.reasoning && can.tools),
                )?;
                holds("a context is reported", model.context.is_some())
            }
            Dialect::Groq | Dialect::LlamaServer => holds("a context is reported", model.context.is_some()),
            _ => Ok(()),
        }
    })
}
