//! Replies with templates in the shapes of models in use: with thoughts, with tool calls, with both.

use nearside_llama::{ChatTemplate, Prompt};

use super::*;

fn assembler(template: TestTemplate, with_tools: bool) -> ReplyAssembler {
    let rendered = template.render(with_tools);
    ReplyAssembler::new(&rendered, StopWords::new(&[], &[]), Arc::default()).expect("a parser")
}

/// Reads a reply of a template, one token per item, and returns its chunks. Each token is parsed.
fn read_with(template: TestTemplate, with_tools: bool, tokens: &[&str], is_cut: bool) -> Vec<Chunk> {
    let (mut reply, mut chunks) = (assembler(template, with_tools), vec![]);
    for token in tokens {
        reply.last_parse = None;
        reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
    }
    reply.end_reply(is_cut, &mut chunks);
    chunks
}

/// Reads a reply, one token per item, and returns its chunks and reasoning tokens. Each token is parsed.
fn read(with_tools: bool, tokens: &[&str], is_cut: bool) -> (Vec<Chunk>, u32) {
    let (mut reply, mut chunks) = (assembler(QWEN, with_tools), vec![]);
    for token in tokens {
        reply.last_parse = None;
        reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
    }
    reply.end_reply(is_cut, &mut chunks);
    (chunks, reply.reasoning_tokens())
}

fn calls(chunks: &[Chunk]) -> Vec<&str> {
    let mut found = vec![];
    for chunk in chunks {
        if let Chunk::ToolCall { arguments, .. } = chunk {
            found.push(arguments.as_str());
        }
    }
    found
}

fn text(chunks: &[Chunk]) -> String {
    let text = |chunk: &Chunk| match chunk {
        Chunk::Text { text } => Some(text.clone()),
        _ => None,
    };
    chunks.iter().filter_map(text).collect()
}

#[test]
fn a_call_is_told_whole_or_not_at_all_wherever_it_is_cut() {
    let before = "I look.\n";
    let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";
    let whole = format!("{before}{call}");
    let arguments_end = before.len() + call.find("}}").expect("an end") + 1;
    for end in before.len()..=whole.len() {
        let (chunks, _) = read(true, &[&whole[..end]], true);
        for arguments in calls(&chunks) {
            assert!(end >= arguments_end, "told after {:?}", &whole[..end]);
            let value: serde_json::Value = serde_json::from_str(arguments).expect("whole");
            assert_eq!(value, serde_json::json!({ "city": "Paris" }));
        }
        assert!(
            !text(&chunks).contains("weather"),
            "{:?} shows {chunks:?}",
            &whole[..end]
        );
    }
    let (chunks, _) = read(true, &[&whole], false);
    assert_eq!((calls(&chunks).len(), text(&chunks).trim()), (1, "I look."));
}

#[test]
fn a_call_that_the_model_itself_leaves_open_is_shown_as_text() {
    let open = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Par";
    let (chunks, _) = read(true, &[open], false);
    assert_eq!((calls(&chunks), text(&chunks).as_str()), (vec![], open));
}

#[test]
fn the_tokens_of_a_thought_are_counted_with_its_marks_and_paragraphs() {
    let thought = [
        "<think>", "\n", "First", " one", ".", "\n\n", "Then", " two", ".", "\n", "</think>", "\n\n",
    ];
    let said = ["It", " is", " late", "."];
    let tokens: Vec<_> = thought.iter().chain(&said).copied().collect();
    assert_eq!(read(false, &tokens, false).1, thought.len() as u32);
    // A reply that is only a thought.
    assert_eq!(read(false, &thought[..8], true).1, 8);
    assert_eq!(read(false, &said, false).1, 0);
    // The whole thought and the first word in one parse.
    let (mut reply, mut chunks) = (assembler(QWEN, false), vec![]);
    for token in &tokens {
        reply.last_parse = Some(Instant::now());
        reply.parse_cost = Duration::from_secs(3600);
        reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
    }
    reply.end_reply(false, &mut chunks);
    let counted = reply.reasoning_tokens();
    assert!(thought.len().abs_diff(counted as usize) <= 1, "{counted}");
}

#[test]
fn a_call_after_a_thought_is_not_counted_as_reasoning() {
    let tokens = [
        "<think>",
        "\n",
        "I",
        " look",
        ".",
        "\n",
        "</think>",
        "\n\n",
        "<tool_call>",
        "\n",
        "{\"name\": \"",
        "weather",
    ];
    let more = [
        "\", \"arguments\": ",
        "{\"city\": \"",
        "Paris",
        "\"}}",
        "\n",
        "</tool_call>",
    ];
    let all: Vec<_> = tokens.iter().chain(&more).copied().collect();
    let (chunks, counted) = read(true, &all, false);
    assert_eq!(calls(&chunks).len(), 1, "{chunks:?}");
    assert!((5..=8).contains(&counted), "{counted}");
}

fn thought(chunks: &[Chunk]) -> String {
    let text = |chunk: &Chunk| match chunk {
        Chunk::Reasoning { text } => Some(text.clone()),
        _ => None,
    };
    chunks.iter().filter_map(text).collect()
}

/// Splits a text into pieces of this many characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

#[test]
fn braces_that_are_no_call_stream_on_where_calls_have_no_mark() {
    let said = "Look: fn main() { let a = {1}; }\nand {\"name\": \"x\"} \u{e9} {";
    for size in [1, 3, 7] {
        let (mut reply, mut chunks) = (assembler(LLAMA, true), vec![]);
        let mut written = String::new();
        for piece in pieces(said, size) {
            written += &piece;
            reply.last_parse = None;
            reply.push(|bytes| bytes.extend(piece.as_bytes()), &mut chunks);
            let shown = text(&chunks);
            assert!(written.starts_with(&shown), "{shown:?}");
            // What may become a call: a brace and white space.
            let withheld = written.len() - shown.len();
            assert!(withheld <= "{ ".len() + size, "{shown:?} of {written:?}");
        }
        for is_cut in [false, true] {
            let pieces = pieces(said, size);
            let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
            let chunks = read_with(LLAMA, true, &tokens, is_cut);
            assert_eq!((text(&chunks).as_str(), calls(&chunks).len()), (said, 0), "by {size}");
        }
    }
}

#[test]
fn a_call_without_a_mark_is_a_call_and_the_text_around_it_is_kept() {
    let call = "{\"name\": \"weather\", \"parameters\": {\"city\": \"Paris\"}}";
    for (said, before, after, count) in [
        (call.to_owned(), "", "", 1),
        (format!("I look. {call}"), "I look. ", "", 1),
        (format!("{call} That was it {{."), "", "That was it {.", 1),
        (
            "{\"name\": \"other\", \"parameters\": {}}".to_owned(),
            "{\"name\": \"other\", \"parameters\": {}}",
            "",
            0,
        ),
    ] {
        for size in [1, 4, 1000] {
            let pieces = pieces(&said, size);
            let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
            let chunks = read_with(LLAMA, true, &tokens, false);
            assert_eq!(calls(&chunks).len(), count, "{said:?} by {size}: {chunks:?}");
            let shown = text(&chunks);
            assert!(
                shown.starts_with(before) && shown.trim_end().ends_with(after),
                "{said:?} by {size}: {shown:?}"
            );
            assert_eq!(
                shown.trim().len(),
                before.trim().len() + after.len(),
                "{said:?} by {size}: {shown:?}"
            );
        }
    }
    // Cut off in the middle of a call: it is none, and no text either.
    let chunks = read_with(LLAMA, true, &["I look. ", &call[..call.len() - 8]], true);
    assert_eq!((text(&chunks).as_str(), calls(&chunks).len()), ("I look. ", 0));
}

#[test]
fn marks_of_an_unbalanced_thought_are_no_text_with_any_template() {
    let templates = [
        (QWEN, "<think>", "</think>"),
        (LFM, "<think>", "</think>"),
        (GEMMA, "<|channel>thought\n", "<channel|>"),
        (SMOL, "<think>", "</think>"),
    ];
    for (template, open, close) in templates {
        for with_tools in [false, true] {
            for (said, reasoning, shown) in [
                (format!("{open}Hm.{close}\n\nYes."), "Hm.", "Yes."),
                (format!("\n{open}Hm.{close}\n\nYes."), "Hm.", "Yes."),
                (format!("\n\n{open}Hm.{close}Yes."), "Hm.", "Yes."),
                (format!("{close}\nYes."), "", "Yes."),
                (format!("{open}Hm.{close}Yes.{close} And no."), "Hm.", "Yes. And no."),
                (format!("Well.\n{close}\nYes."), "", "Well.\n\nYes."),
                (format!("{open}Hm."), "Hm.", ""),
                ("1 <".to_owned(), "", "1 <"),
                ("1 < 2 <t 3 </".to_owned(), "", "1 < 2 <t 3 </"),
                (format!("{open}1 < 2 <t{close}3 <"), "1 < 2 <t", "3 <"),
            ] {
                for size in 1..=5 {
                    let pieces = pieces(&said, size);
                    let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
                    let chunks = read_with(template, with_tools, &tokens, false);
                    let case = format!("{} tools {with_tools}: {said:?} by {size}", template.name);
                    let (thought, text) = (thought(&chunks), text(&chunks));
                    assert!(!text.contains(close) && !text.contains(open.trim()), "{case}: {text:?}");
                    assert_eq!((thought.trim(), text.trim()), (reasoning, shown), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_mark_that_the_model_quotes_is_text() {
    for said in [
        "Use `</think>` to end it.",
        "So:\n```\n</think>\n```\nDone.",
        "Between <think> and </think> it thinks.",
    ] {
        for size in 1..=9 {
            let pieces = pieces(said, size);
            let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
            assert_eq!(text(&read_with(QWEN, false, &tokens, false)), said, "by {size}");
        }
    }
}

#[test]
fn a_reply_that_was_begun_goes_on_without_a_repetition() {
    let (mut reply, mut chunks) = (assembler(SMOL, false), vec![]);
    reply.set_begun("", "One, two,");
    // The parser is that of another prompt here; its text begins with what was begun.
    for token in ["One, two,", " three", "."] {
        reply.last_parse = None;
        reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
    }
    reply.end_reply(false, &mut chunks);
    assert_eq!(text(&chunks), " three.");
}

/// A template, and the end of a turn.
#[derive(Debug, Clone, Copy)]
struct TestTemplate {
    name: &'static str,
    source: &'static str,
    end: &'static str,
}

impl TestTemplate {
    /// Renders a question.
    fn render(&self, with_tools: bool) -> Rendered {
        let template = ChatTemplate::from_source(self.source, "<s>", self.end).expect("a template");
        let rendered = template.render(&Prompt {
            messages_json: r#"[{"role": "user", "content": "What is the weather in Paris?"}]"#,
            tools_json: with_tools.then_some(TOOLS),
            thinking: true,
            ..Prompt::default()
        });
        rendered.expect("a prompt")
    }
}

const TOOLS: &str = r#"[{"type": "function", "function": {"name": "weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]"#;

/// ChatML with thoughts and tool calls in tags, the way of Qwen 3.
const QWEN: TestTemplate = TestTemplate {
    name: "qwen",
    end: "<|im_end|>",
    source: r#"{%- if tools %}<|im_start|>system
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Answer a call as <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == "assistant" and message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}"#,
};

/// Tool calls as bare JSON, without any mark, the way of Llama 3.1 to 3.3.
const LLAMA: TestTemplate = TestTemplate {
    name: "llama",
    end: "<|eot_id|>",
    source: r#"{%- for message in messages %}
{%- if message.role == "tool" %}<|start_header_id|>ipython<|end_header_id|>

{{ message.content | tojson }}<|eot_id|>
{%- elif message.tool_calls %}<|start_header_id|>assistant<|end_header_id|>

{% set call = message.tool_calls[0].function %}{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}<|eot_id|>
{%- else %}<|start_header_id|>{{ message.role }}<|end_header_id|>

{% if loop.first and tools %}Answer with a JSON of a function call: {"name": function name, "parameters": arguments}.

{% for tool in tools %}{{ tool | tojson(indent=4) }}

{% endfor %}{% endif %}{{ message.content | trim }}<|eot_id|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"#,
};

/// The way of LFM 2.5, which writes its thought itself.
const LFM: TestTemplate = TestTemplate {
    name: "lfm",
    end: "<|im_end|>",
    source: r#"{%- if tools %}<|im_start|>system
List of tools: [{% for tool in tools %}{{ tool | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}]<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.thinking %}<think>{{ message.thinking }}</think>{% endif %}{{ message.content }}
{%- if message.tool_calls %}<|tool_call_start|>[{% for call in message.tool_calls %}{{ call.function.name }}(
{%- for name, value in call.function.arguments.items() %}{{ name }}={{ value | tojson }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- if not loop.last %}, {% endif %}{% endfor %}]<|tool_call_end|>{% endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"#,
};

/// Thoughts in a channel, the way of Gemma 4.
const GEMMA: TestTemplate = TestTemplate {
    name: "gemma",
    end: "<turn|>",
    // llama.cpp knows it by the first line.
    source: r#"{#- OpenAI Chat Completions: #}{%- for message in messages %}<|turn>{{ "model" if message.role == "assistant" else message.role }}
{% if message.reasoning_content %}<|channel>thought
{{ message.reasoning_content }}
<channel|>{% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ '<|tool_call>call:' + call.function.name + '{' }}
{%- for name, value in call.function.arguments.items() %}{{ name }}:<|"|>{{ value }}<|"|>{% endfor %}{{ '}<tool_call|>' }}{% endfor %}<turn|>
{% endfor %}
{%- for tool in tools or [] %}<|tool>{{ tool | tojson }}<tool|>{% endfor %}
{%- if add_generation_prompt %}<|turn>model
{% endif %}"#,
};

/// ChatML with thoughts and without tools, the way of SmolLM 3.
const SMOL: TestTemplate = TestTemplate {
    name: "smol",
    end: "<|im_end|>",
    source: r#"{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == "assistant" %}{% if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>
{% endif %}{{ message.content | trim }}{% else %}{{ message.content }}{% endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if not enable_thinking %}<think>

</think>
{% endif %}{% endif %}"#,
};
