//! Reasoning on the device: budget and effort reach the sampler and the template, and reasoning tokens are counted.

use std::path::Path;

use nearside::chat::{
    ChatMessage, ChatRequest, Chunk, ReasoningEffort, ReasoningMode, RequestLimits, SamplingOptions, TokenUsage,
};
use nearside::{Config, Nearside};
use nearside_tests::gguf;

/// Returns reasoning, text and usage of a greedy answer of at most 60 tokens.
async fn ask(nearside: &Nearside, model: &Path, reasoning: ReasoningMode) -> (String, String, TokenUsage) {
    let stream = nearside.chat(ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        reasoning,
        sampling: SamplingOptions {
            temperature: Some(0.0),
            ..SamplingOptions::default()
        },
        limits: RequestLimits {
            max_tokens: Some(60),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user("Why do the tides come twice a day?")])
    });
    let (mut thought, mut said) = (String::new(), String::new());
    loop {
        for chunk in stream.next_batch().await.expect("no error") {
            match chunk {
                Chunk::Reasoning { text } => {
                    assert!(said.is_empty(), "the thought comes first");
                    thought.push_str(&text);
                }
                Chunk::Text { text } => said.push_str(&text),
                Chunk::Done { summary } => return (thought, said, summary.usage),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_budget_ends_the_thought_and_an_effort_reaches_the_template() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(1024),
        threads: Some(1),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    let model = gguf::with_chat_template(folder.path(), THINKING);

    let (thought, said, endless) = ask(&nearside, &model, ReasoningMode::Auto).await;
    assert!(
        !thought.is_empty() && said.is_empty(),
        "it never ends its thought: {said}"
    );
    assert_eq!(endless.reasoning_tokens, endless.completion_tokens);

    let (thought, said, usage) = ask(&nearside, &model, ReasoningMode::Budget { tokens: 12 }).await;
    assert!(!thought.is_empty() && !said.is_empty(), "{thought} | {said}");
    assert!(
        !said.contains("think>") && !thought.contains("think>"),
        "{thought} | {said}"
    );
    // Those of the budget, and the mark that ends it.
    assert!((12..=18).contains(&usage.reasoning_tokens), "{usage:?}");
    assert_eq!(usage.prompt_tokens, endless.prompt_tokens);

    let effort = ReasoningMode::Effort {
        effort: ReasoningEffort::High,
    };
    let (_, _, usage) = ask(&nearside, &model, effort).await;
    assert!(usage.prompt_tokens > endless.prompt_tokens, "{usage:?}");
}

/// Begins each answer with an open thought.
const THINKING: &str = "{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if reasoning_effort is defined %}Effort: {{ reasoning_effort }}
{% endif %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}";
