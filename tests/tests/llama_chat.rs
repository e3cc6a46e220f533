//! Chat templates and reply parsers of the safe layer, with the templates of real models.

use std::time::{Duration, Instant};

use nearside_llama::{
    ChatTemplate, Grammar, GrammarKind, LlamaError, Model, ModelParams, ParsedReply, Probe, Prompt, Rendered, Sampler,
    SamplerParams, json_schema_to_grammar,
};
use nearside_tests::likelihood::load_bytes;
use nearside_tests::{models, tiny_models};
use serde_json::{Value, json};

#[test]
fn an_opened_thought_counts_as_open() {
    let rendered = render(&opened_thinking(), &[("user", "Is it late?")]);
    assert!(rendered.prompt.ends_with("<think>\n"), "{:?}", rendered.prompt);
    assert!(rendered.supports_thinking);
    let marks = rendered.thinking.as_ref().unwrap();
    assert_eq!(
        (marks.start.as_str(), marks.ends.as_slice()),
        ("<think>", ["</think>".to_owned()].as_slice())
    );
    let mut parser = rendered.parser().unwrap();
    let reply = parser.parse_reply("I think</think>Yes", false).unwrap();
    assert_eq!((reply.reasoning.as_str(), reply.content.as_str()), ("I think", "Yes"));
    assert!(reply.tool_calls.is_empty());
    let endless = parser.parse_reply("Let me see, and", false).unwrap();
    assert_eq!(
        (endless.reasoning.as_str(), endless.content.as_str()),
        ("Let me see, and", "")
    );
}

#[test]
fn a_thought_that_the_model_opens_is_split_off_too() {
    let rendered = render(&thinking(), &[("user", "Is it late?")]);
    assert!(rendered.prompt.ends_with("<｜Assistant｜>"), "{:?}", rendered.prompt);
    assert!(rendered.supports_thinking);
    let mut parser = rendered.parser().unwrap();
    let reply = parser.parse_reply("<think>\nI think\n</think>\n\nYes", false).unwrap();
    assert_eq!((reply.reasoning.trim(), reply.content.trim()), ("I think", "Yes"));
    let bare = parser.parse_reply("Yes", false).unwrap();
    assert_eq!((bare.reasoning.as_str(), bare.content.as_str()), ("", "Yes"));
}

#[test]
fn no_part_of_a_mark_is_ever_shown() {
    let text = "First 1 < 2, so\n\nno.\n</think>\n\nIt is </late> & done.";
    for (template, start) in [(opened_thinking(), ""), (thinking(), "<think>\n")] {
        let mut parser = render(&template, &[("user", "Is it late?")]).parser().unwrap();
        let text = format!("{start}{text}");
        let mut before = ParsedReply::default();
        for (end, _) in text.char_indices() {
            let reply = parser.parse_reply(&text[..end], true).unwrap();
            for shown in [&reply.reasoning, &reply.content] {
                let open = shown.contains("</t") || shown.contains("<t");
                assert!(!open, "{:?} shows {shown:?}", &text[..end]);
            }
            let kept = reply.reasoning.starts_with(&before.reasoning);
            assert!(kept, "a thought was taken back at {end}");
            let kept = reply.content.starts_with(&before.content);
            assert!(kept, "a word was taken back at {end}");
            before = reply;
        }
        let whole = parser.parse_reply(&text, false).unwrap();
        assert_eq!(
            (whole.reasoning.trim(), whole.content.trim()),
            ("First 1 < 2, so\n\nno.", "It is </late> & done.")
        );
    }
}

#[test]
fn the_models_own_template_is_used() {
    let model = model();
    let rendered = render(&ChatTemplate::from_model(&model).unwrap(), &[("user", "Hello")]);
    let expected = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
    assert!(rendered.prompt.contains(expected));
    assert!(!rendered.supports_thinking);
    assert_eq!(rendered.grammar, None);
    let reply = rendered.parser().unwrap().parse_reply("Hi <there>", false).unwrap();
    assert_eq!((reply.reasoning.as_str(), reply.content.as_str()), ("", "Hi <there>"));
}

#[test]
fn a_tool_call_grows_while_it_is_written() {
    let rendered = tool_prompt();
    let grammar = rendered.grammar.as_ref().unwrap();
    assert!(grammar.lazy && !grammar.triggers.is_empty());
    assert_eq!(grammar.kind, GrammarKind::Tools);
    let mut parser = rendered.parser().unwrap();
    let text = "I look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";
    let mut seen_partial = false;
    for (end, _) in text.char_indices() {
        let reply = parser.parse_reply(&text[..end], true).unwrap();
        let shown = &reply.content;
        assert!(!shown.contains("<tool"), "{:?} shows {shown:?}", &text[..end]);
        assert!(!reply.content.contains("weather"));
        if let [call] = reply.tool_calls.as_slice() {
            assert_eq!(call.name, "weather");
            seen_partial |= call.arguments.contains("Par") && !call.arguments.contains("Paris");
        }
    }
    assert!(seen_partial, "arguments came only whole");
    let reply = parser.parse_reply(text, false).unwrap();
    let [call] = reply.tool_calls.as_slice() else {
        panic!("{} calls", reply.tool_calls.len())
    };
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
    assert_eq!(arguments, json!({ "city": "Paris" }));
    assert_eq!(reply.content.trim(), "I look.");
}

#[test]
fn a_tool_call_that_opens_brackets_without_end_does_no_harm() {
    let mut parser = tool_prompt().parser().unwrap();
    for depth in [100, 1000, 20_000] {
        let open = "{\"a\":[".repeat(depth);
        let text = format!("<tool_call>\n{{\"name\": \"weather\", \"arguments\": {open}");
        let reply = parser.parse_reply(&text, true).unwrap_or_default();
        assert!(reply.content.is_empty());
        let _ = parser.parse_reply(&text, false);
        let reply = parser.parse_reply(&"[".repeat(depth), true).unwrap_or_default();
        assert_eq!(reply.tool_calls.len(), 0);
    }
    assert!(parser.parse_reply(&"[".repeat(10_000_000), true).is_err());
}

#[test]
fn a_finished_tool_call_and_its_result_are_rendered() {
    let messages = json!([
        { "role": "user", "content": "How is Paris?" },
        { "role": "assistant", "content": "", "tool_calls": [
            { "id": "a1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\": \"Paris\"}" } }
        ] },
        { "role": "tool", "tool_call_id": "a1", "content": "sunny" },
    ]);
    let prompt = render_with_tools(&messages.to_string()).prompt;
    assert!(prompt.contains("\"weather\"") && prompt.contains("sunny"), "{prompt}");
}

#[test]
fn a_started_reply_is_continued() {
    let messages = messages(&[("user", "Count."), ("assistant", "One, two,")]);
    let template = ChatTemplate::from_model(&model()).unwrap();
    let prompt = Prompt {
        messages_json: &messages,
        continue_final: true,
        ..Prompt::default()
    };
    let rendered = template.render(&prompt).unwrap();
    let prompt = &rendered.prompt;
    assert!(prompt.ends_with("assistant\nOne, two,"), "{prompt:?}");
    let reply = rendered.parser().unwrap().parse_reply(" three", false).unwrap();
    assert_eq!(reply.content, "One, two, three");
}

#[test]
fn an_effort_is_a_variable_of_the_template_and_text_in_it_stays_text() {
    let source = "{% for m in messages %}{{ m.content }}{% endfor %}[{{ reasoning_effort | default('none') }}]";
    let template = ChatTemplate::from_source(source, "", "").unwrap();
    for (effort, shown) in [
        (None, "[none]"),
        (Some("low"), "[low]"),
        (Some("\"}, \"x"), "[\"}, \"x]"),
    ] {
        let prompt = Prompt {
            messages_json: &messages(&[("user", "Hello")]),
            reasoning_effort: effort,
            ..Prompt::default()
        };
        let rendered = template.render(&prompt).unwrap();
        assert!(rendered.prompt.ends_with(shown), "{:?}", rendered.prompt);
    }
}

#[test]
fn a_schema_becomes_a_grammar_that_samplers_accept() {
    let schema =
        json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] }).to_string();
    let model = model();
    let template = ChatTemplate::from_model(&model).unwrap();
    let messages = messages(&[("user", "A number?")]);
    let prompt = Prompt {
        messages_json: &messages,
        json_schema: Some(&schema),
        ..Prompt::default()
    };
    let rendered = template.render(&prompt).unwrap();
    assert_eq!(rendered.grammar.as_ref().unwrap().kind, GrammarKind::Format);
    let mut sampler = Sampler::new(&model, &rendered.constrain(SamplerParams::default())).unwrap();
    sampler.reset().unwrap();

    let gbnf = json_schema_to_grammar(&schema).unwrap();
    Sampler::new(&model, &sampler_params(gbnf)).unwrap();
    let tools = tool_prompt();
    Sampler::new(&model, &tools.constrain(SamplerParams::default())).unwrap();
}

#[test]
fn invalid_input_is_an_error_without_text_of_the_prompt() {
    const SECRET: &str = "canary-7f3a";
    let template = ChatTemplate::from_model(&model()).unwrap();
    let bad = [
        format!("[{{\"role\": \"user\", \"content\": \"{SECRET}\""),
        format!("{{\"role\": \"{SECRET}\"}}"),
        format!("[{{\"content\": \"{SECRET}\"}}]"),
        format!("[{{\"role\": \"user\", \"content\": {{\"{SECRET}\": 1}}}}]"),
        format!("[{{\"role\": \"user\", \"content\": [{{\"type\": \"{SECRET}\"}}]}}]"),
        format!("[\"{SECRET}\"]"),
        format!("{}\"{SECRET}\"{}", "[".repeat(100_000), "]".repeat(100_000)),
    ];
    for messages_json in &bad {
        let error = render_json(&template, messages_json).err().unwrap();
        assert!(!format!("{error:?}").contains(SECRET), "{error}");
    }
    let refusing = "{{ raise_exception('roles must alternate, not ' + messages[0].content) }}";
    let error = ChatTemplate::from_source(refusing, "", "")
        .and_then(|template| render_json(&template, &messages(&[("user", SECRET)])));
    let error = error.err().unwrap();
    assert!(matches!(error, LlamaError::Template(_)), "{error}");
    assert!(!format!("{error:?}").contains(SECRET), "{error}");

    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let messages = json!([{ "role": "assistant", "content": "", "tool_calls": [
        { "id": "a", "type": "function", "function": { "name": "f", "arguments": deep } }
    ] }]);
    assert!(render_json(&template, &messages.to_string()).is_err());
}

#[test]
fn a_template_may_say_why_it_refuses() {
    let source = "{% if messages %}{{ raise_exception('users come first') }}{% endif %}";
    let rendered = ChatTemplate::from_source(source, "", "")
        .and_then(|template| render_json(&template, &messages(&[("user", "a")])));
    let error = rendered.err().unwrap();
    assert!(error.to_string().contains("users come first"), "{error}");
}

#[test]
fn bad_templates_grammars_and_schemas_are_errors() {
    for source in [
        "",
        "{% if %}",
        "{{ messages[",
        "{% for a in b %}",
        &"{{ ((((".repeat(50_000),
        &"{% if a %}".repeat(50_000),
    ] {
        let template = ChatTemplate::from_source(source, "", "");
        assert!(matches!(template, Err(LlamaError::Template(_))), "{source:.40}");
    }
    let model = model();
    let grammars = [
        String::new(),
        "root ::= ".to_owned() + &"(".repeat(100_000),
        "rooot ::= \"a\"".to_owned(),
        "root ::= other".to_owned(),
        "root ::= \"a".to_owned(),
        "root ::= root \"a\"".to_owned(),
        "root ::= \"a\"{99999999}".to_owned(),
        "?".to_owned(),
    ];
    for gbnf in grammars {
        let shown = format!("{gbnf:.40}");
        let sampler = Sampler::new(&model, &sampler_params(gbnf));
        assert!(matches!(sampler, Err(LlamaError::Grammar(_))), "{shown}");
    }
    for schema in [
        "",
        "{",
        "[]",
        "{\"type\": \"nonsense\"}",
        "{\"$ref\": \"#/nowhere\"}",
        "{\"type\": 1}",
    ] {
        let grammar = json_schema_to_grammar(schema);
        assert!(matches!(grammar, Err(LlamaError::Grammar(_))), "{schema}");
    }
    let spoil: [fn(&mut SamplerParams); 5] = [
        |params| params.temperature = f32::NAN,
        |params| params.top_p = -1.0,
        |params| params.repeat_penalty = 0.0,
        |params| params.presence_penalty = f32::INFINITY,
        |params| params.penalty_last_n = u32::MAX,
    ];
    for spoil in spoil {
        let mut params = SamplerParams::default();
        spoil(&mut params);
        let sampler = Sampler::new(&model, &params);
        assert!(matches!(sampler, Err(LlamaError::Input(_))), "{params:?}");
    }
}

/// Runs for hours, and takes little memory.
const LOOPS: &str = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";

/// A thread that has the model cannot be left: so a template that takes long gets none.
#[test]
fn a_template_whose_trial_takes_long_is_refused_within_seconds() {
    let model = load_bytes(&tiny_models::with_chat_template(LOOPS));
    let begun = Instant::now();
    let refused = ChatTemplate::from_model(&model).err();
    assert!(matches!(refused, Some(LlamaError::Template(_))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

fn model() -> Model {
    Model::load(&models::path("smollm2.gguf"), &ModelParams::default(), &mut |_| true).unwrap()
}

/// The template in DeepSeek-R1-Distill-Qwen's first files: the model writes `<think>` itself.
fn thinking() -> ChatTemplate {
    ChatTemplate::from_source(&thinking_source(), "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>").unwrap()
}

/// The same in its later files, where the template opens the thought.
fn opened_thinking() -> ChatTemplate {
    let source = thinking_source();
    let opened = source.replace("{{'<｜Assistant｜>'}}", "{{'<｜Assistant｜><think>\\n'}}");
    assert_ne!(opened, source);
    ChatTemplate::from_source(&opened, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>").unwrap()
}

fn thinking_source() -> String {
    let probe = Probe::from_file(&models::path("r1-7b.gguf"), &ModelParams::default()).unwrap();
    probe.meta("tokenizer.chat_template").unwrap()
}

fn render(template: &ChatTemplate, said: &[(&str, &str)]) -> Rendered {
    let prompt = Prompt {
        messages_json: &messages(said),
        thinking: true,
        ..Prompt::default()
    };
    template.render(&prompt).unwrap()
}

fn messages(said: &[(&str, &str)]) -> String {
    said.iter()
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect::<Value>()
        .to_string()
}

/// Renders messages, with nothing else set.
fn render_json(template: &ChatTemplate, messages_json: &str) -> Result<Rendered, LlamaError> {
    let prompt = Prompt {
        messages_json,
        ..Prompt::default()
    };
    template.render(&prompt)
}

fn sampler_params(gbnf: String) -> SamplerParams {
    SamplerParams {
        grammar: Some(Grammar::new(gbnf)),
        ..SamplerParams::default()
    }
}

fn tool_prompt() -> Rendered {
    render_with_tools(&messages(&[("user", "How is Paris?")]))
}

fn render_with_tools(messages_json: &str) -> Rendered {
    let prompt = Prompt {
        messages_json,
        tools_json: Some(TOOLS),
        ..Prompt::default()
    };
    let template = ChatTemplate::from_source(TOOL_TEMPLATE, "", "<|im_end|>").unwrap();
    template.render(&prompt).unwrap()
}

const TOOLS: &str = r#"[{"type": "function", "function": {"name": "weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]"#;

/// ChatML with tool calls in `<tool_call>` tags, the way of Qwen 2.5 and Hermes.
const TOOL_TEMPLATE: &str = r#"{%- if tools %}<|im_start|>system
You may call these tools:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Answer a call as <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == "assistant" and message.tool_calls %}<|im_start|>assistant
{%- if message.content %}
{{ message.content }}
{%- endif %}
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"#;
