//! Requests with tools, schemas and reasoning options, and cancelled answers. Checks the requests on the wire, too.

use std::time::Duration;

use nearside::ErrorKind;
use nearside::chat::{
    ChatMessage, ChatRequest, Chunk, ContentPart, MessageRole, OutputFormat, ReasoningEffort, ReasoningMode,
    StopReason, ToolDefinition,
};
use nearside_tests::provider::{Dialect, Scenario};
use nearside_tests::remote::{chat_to_end, collect_answer, connected, question, start_chat};

use super::success::provider;
use super::{Outcome, holds, run, same};

const ARGUMENTS: &str = r#"{"city":"Saint-Malo","days":[1,2]}"#;

fn with_tool() -> ChatRequest {
    ChatRequest {
        tools: vec![ToolDefinition {
            name: "tides".into(),
            description: "The tides of a place.".into(),
            parameters: r#"{"type":"object","properties":{"city":{"type":"string"}}}"#.into(),
        }],
        ..question()
    }
}

/// The provider validates the second turn like the real one: DeepSeek requires the reasoning, Groq rejects it.
pub(super) fn tools_over_two_turns(dialect: Dialect) -> Outcome {
    run(async {
        for thoughts in ["Ask the tool.", ""] {
            let provider = provider(dialect);
            provider.play(Scenario::ToolCall {
                id: "call_1".into(),
                name: "tides".into(),
                arguments: ARGUMENTS.into(),
                thoughts: thoughts.into(),
            });
            provider.play(Scenario::plain("At six and at half past six."));
            let answer = chat_to_end(connected(&provider), with_tool()).await;
            same("stop", answer.done().stop, StopReason::ToolCall)?;
            let [(id, name, arguments)] = &answer.calls[..] else {
                return Err(format!("calls: {:?}", answer.calls));
            };
            same("name", name.as_str(), "tides")?;
            let parsed: serde_json::Value = serde_json::from_str(arguments).map_err(|cause| cause.to_string())?;
            same("arguments", parsed, serde_json::from_str(ARGUMENTS).expect("JSON"))?;

            let mut second = with_tool();
            second.messages.push(ChatMessage {
                role: MessageRole::Assistant,
                parts: vec![
                    ContentPart::Reasoning {
                        text: answer.reasoning.clone(),
                    },
                    ContentPart::ToolCall {
                        id: id.clone(),
                        name: name.clone(),
                        arguments: arguments.clone(),
                    },
                ],
            });
            second.messages.push(ChatMessage {
                role: MessageRole::Tool,
                parts: vec![ContentPart::ToolResult {
                    id: id.clone(),
                    name: name.clone(),
                    content: "06:00, 18:25".into(),
                }],
            });
            let answer = chat_to_end(connected(&provider), second).await;
            if let Err(error) = &answer.end {
                return Err(format!("the second turn was refused: {error}"));
            }
            same("text", answer.text.as_str(), "At six and at half past six.")?;
        }
        Ok(())
    })
}

pub(super) fn two_calls_at_once(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        let call = |n: u32| (format!("call_{n}"), "tides".to_owned(), format!(r#"{{"city":"{n}"}}"#));
        provider.play(Scenario::TwoToolCalls {
            calls: [call(1), call(2)],
        });
        let answer = chat_to_end(connected(&provider), with_tool()).await;
        let cities: Vec<_> = answer
            .calls
            .iter()
            .map(|(_, name, arguments)| (name.as_str(), arguments.as_str()))
            .collect();
        same(
            "calls",
            cities,
            vec![("tides", r#"{"city":"1"}"#), ("tides", r#"{"city":"2"}"#)],
        )?;
        holds("ids differ", answer.calls[0].0 != answer.calls[1].0)
    })
}

pub(super) fn json_schema(dialect: Dialect) -> Outcome {
    let schema = r#"{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}"#;
    let request = ChatRequest {
        output: OutputFormat::JsonSchema { schema: schema.into() },
        ..question()
    };
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::Json {
            text: r#"{"answer":"the moon"}"#.into(),
        });
        let answer = chat_to_end(connected(&provider), request).await;
        if dialect == Dialect::DeepSeek {
            same("refused", answer.error().kind(), ErrorKind::Unsupported)?;
            return same("requests", provider.requests().len(), 0);
        }
        same("text", answer.text.as_str(), r#"{"answer":"the moon"}"#)?;
        let body = &provider.chats()[0];
        let sent = match dialect {
            Dialect::Ollama => &body["format"],
            _ => &body["response_format"]["json_schema"]["schema"],
        };
        same(
            "the schema on the wire",
            sent.clone(),
            serde_json::from_str(schema).expect("JSON"),
        )
    })
}

pub(super) fn reasoning_switches(dialect: Dialect) -> Outcome {
    run(async {
        let mut sent = Vec::new();
        for wish in [
            ReasoningMode::Off,
            ReasoningMode::Effort {
                effort: ReasoningEffort::High,
            },
            ReasoningMode::Budget { tokens: 900 },
        ] {
            let provider = provider(dialect);
            let mut connection = connected(&provider);
            // Reasoning may be enabled only for a model that is known to support it.
            connection.model.abilities = Some(nearside::engine::remote::ModelCapabilities {
                reasoning: true,
                ..Default::default()
            });
            let answer = chat_to_end(
                connection,
                ChatRequest {
                    reasoning: wish,
                    ..question()
                },
            )
            .await;
            answer.end.map_err(|error| error.to_string())?;
            let body = provider.chats()[0].clone();
            let field = |name: &str| body.get(name).map(ToString::to_string).unwrap_or_default();
            let names = [
                "reasoning",
                "thinking",
                "reasoning_effort",
                "think",
                "chat_template_kwargs",
            ];
            sent.push(names.map(field).join("|"));
        }
        let expected = match dialect {
            Dialect::OpenRouter => [
                r#"{"effort":"none"}||||"#,
                r#"{"effort":"high"}||||"#,
                r#"{"max_tokens":900}||||"#,
            ],
            Dialect::DeepSeek => [
                r#"|{"type":"disabled"}|||"#,
                r#"|{"type":"enabled"}|"high"||"#,
                r#"|{"type":"enabled"}|"low"||"#,
            ],
            Dialect::Groq => [r#"||"low"||"#, r#"||"high"||"#, r#"||"low"||"#],
            Dialect::Fireworks => [r#"||"none"||"#, r#"||"high"||"#, "||900||"],
            Dialect::OpenAi => [r#"||"minimal"||"#, r#"||"high"||"#, r#"||"low"||"#],
            Dialect::Ollama => ["|||false|", "|||true|", "|||true|"],
            _ => [
                r#"||||{"enable_thinking":false}"#,
                r#"||"high"||{"enable_thinking":true}"#,
                r#"||"low"||{"enable_thinking":true}"#,
            ],
        };
        same("off, effort, budget", sent, expected.map(str::to_owned).to_vec())
    })
}

pub(super) fn cancel(dialect: Dialect) -> Outcome {
    run(async {
        let provider = provider(dialect);
        provider.play(Scenario::Slow {
            tokens: 10_000,
            per_second: 100.0,
        });
        let stream = start_chat(connected(&provider), question());
        loop {
            let batch = stream.next_batch().await.map_err(|error| error.to_string())?;
            if batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })) {
                break;
            }
        }
        stream.cancel();
        let answer = collect_answer(&stream).await;
        let end = answer.done();
        same("stop", end.stop, StopReason::Cancelled)?;
        holds("generated tokens are counted", end.usage.completion_tokens > 0)?;
        same("billed in full", end.receipt.billed_in_full, dialect == Dialect::Groq)?;
        holds(
            "the server sees the disconnect",
            provider.wait_for_closed_early(1, Duration::from_secs(5)),
        )?;
        same("there is no retry", provider.chats().len(), 1)?;
        Ok(())
    })
}
