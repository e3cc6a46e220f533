//! Chat templates in the shapes of models in use, for the tests of replies: with thoughts, with tool calls, with both.

use nearside_llama::{ChatTemplate, Prompt, Rendered};

/// A template, and the end of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct TestTemplate {
    pub(super) name: &'static str,
    source: &'static str,
    end: &'static str,
}

impl TestTemplate {
    /// Renders a question.
    pub(super) fn render(&self, with_tools: bool) -> Rendered {
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
pub(super) const QWEN: TestTemplate = TestTemplate {
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
pub(super) const LLAMA: TestTemplate = TestTemplate {
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
pub(super) const LFM: TestTemplate = TestTemplate {
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
pub(super) const GEMMA: TestTemplate = TestTemplate {
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
pub(super) const SMOL: TestTemplate = TestTemplate {
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
