//! `nearside chat --tools`: calls as they are printed, and how their results are given.

use nearside_tests::provider::Scenario;
use serde_json::json;

use super::conversations::{converse, listed};
use super::image::{file, last_messages, make_pipe, own_server};
use super::program::{Program, smollm2};

const TIDES: &str = r#"[{"name":"tides","description":"Times of high tide","parameters":
    {"type":"object","properties":{"port":{"type":"string"}},"required":["port"]}}]"#;

fn call(id: &str, port: &str) -> (String, String, String) {
    (id.to_owned(), "tides".to_owned(), format!(r#"{{"port":"{port}"}}"#))
}

fn one_call() -> Scenario {
    let (id, name, arguments) = call("call_1", "Brest");
    let thoughts = String::new();
    Scenario::ToolCall {
        id,
        name,
        arguments,
        thoughts,
    }
}

#[test]
fn a_call_is_a_chunk_and_a_line_and_ends_the_answer() {
    let (program, provider) = own_server();
    let tools = file(&program, "tools.json", TIDES);
    let chat = [
        "chat",
        "-p",
        "When is high tide at Brest?",
        "--provider",
        "studio",
        "--tools",
        &tools,
    ];
    provider.play(one_call());
    let ran = program.run(chat.iter().chain(&["--json"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let chunks = ran.lines();
    let made = chunks
        .iter()
        .find(|chunk| chunk["type"] == "tool_call")
        .expect("a call");
    assert_eq!((&made["id"], &made["name"]), (&json!("call_1"), &json!("tides")));
    assert_eq!(made["arguments"], r#"{"port":"Brest"}"#);
    assert_eq!(chunks.last().expect("a chunk")["stop"], "tool_call");
    let sent = &provider.chats()[0]["tools"][0]["function"];
    assert_eq!(
        (&sent["name"], &sent["parameters"]["required"][0]),
        (&json!("tides"), &json!("port"))
    );

    provider.play(one_call());
    let ran = program.run(chat);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "tool call: tides {\"port\":\"Brest\"}\n"),
        "{ran:?}"
    );
}

#[test]
fn in_a_conversation_the_next_line_is_the_result() {
    let (program, provider) = own_server();
    let tools = file(&program, "tools.json", TIDES);
    provider.play(one_call());
    let chat = ["chat", "--provider", "studio", "--tools", &tools];
    // A result may look like a command.
    let ran = converse(
        &program,
        &chat,
        "When is high tide?\n/tmp {\"at\": \"06:12\"}\nThank you.\n",
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.starts_with("tool call: tides {\"port\":\"Brest\"}\n"),
        "{ran:?}"
    );
    assert!(ran.err.contains("the next line is the result of `tides`"), "{ran:?}");
    let messages = last_messages(&provider);
    let roles: Vec<_> = messages
        .iter()
        .map(|message| message["role"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant", "user"]);
    assert_eq!(messages[2]["tool_call_id"], "call_1");
    assert_eq!(messages[2]["content"], "/tmp {\"at\": \"06:12\"}");
    assert_eq!(messages[4]["content"], "Thank you.");
}

#[test]
fn a_result_can_be_given_later_to_a_stored_conversation() {
    let (program, provider) = own_server();
    let tools = file(&program, "tools.json", TIDES);
    provider.play(one_call());
    let chat = ["chat", "--provider", "studio", "--tools", &tools, "--json"];
    assert_eq!(converse(&program, &chat, "When is high tide?\n").code, Some(0));
    let id = listed(&program)[0]["id"].to_string();
    let later = [
        "chat",
        "--conversation",
        &id,
        "--tools",
        &tools,
        "-p",
        "06:12",
        "--json",
    ];
    let ran = program.run(later);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let messages = last_messages(&provider);
    assert_eq!(
        (&messages[2]["role"], &messages[2]["content"]),
        (&json!("tool"), &json!("06:12"))
    );
    // The calls have their results now.
    assert_eq!(program.run(later).code, Some(0));
    assert_eq!(last_messages(&provider).last().expect("a message")["role"], "user");
}

#[test]
fn several_calls_take_a_line_each() {
    let (program, provider) = own_server();
    let tools = file(&program, "tools.json", TIDES);
    let two = || Scenario::TwoToolCalls {
        calls: [call("call_1", "Brest"), call("call_2", "Dover")],
    };
    provider.play(two());
    let chat = ["chat", "--provider", "studio", "--tools", &tools, "--json"];
    let ran = converse(&program, &chat, "When is high tide?\n06:12\n11:40\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(provider.chats().len(), 2, "one request with both results");
    let messages = last_messages(&provider);
    let results: Vec<_> = messages[2..]
        .iter()
        .map(|result| (&result["tool_call_id"], &result["content"]))
        .collect();
    let expected = [(json!("call_1"), json!("06:12")), (json!("call_2"), json!("11:40"))];
    assert_eq!(results, expected.each_ref().map(|(id, content)| (id, content)));

    provider.play(two());
    assert_eq!(converse(&program, &chat, "And tomorrow?\n06:50\n").code, Some(0));
    let id = listed(&program)[0]["id"].to_string();
    let one = program.run(["chat", "--conversation", &id, "-p", "06:50"]);
    assert_eq!(one.code, Some(1), "{one:?}");
    assert!(
        one.err.contains("2 results: tides, tides") && one.err.contains("a line"),
        "{one:?}"
    );
    let both = converse(&program, &["chat", "--conversation", &id, "--json"], "06:50\n12:20\n");
    assert_eq!(both.code, Some(0), "{both:?}");
    assert_eq!(last_messages(&provider).last().expect("a message")["content"], "12:20");
}

#[test]
fn a_file_that_holds_no_tools_is_refused_with_the_position() {
    let (program, provider) = own_server();
    for (text, named) in [
        ("", "EOF"),
        ("{\"name\": \"tides\"}", "sequence"),
        ("[]", "empty"),
        (
            "[{\"name\": \"tides\"}, {\"nmae\": \"now\"}]",
            "tool 2: missing field `name`",
        ),
        ("[{\"name\": \"\"}]", "no name of a tool"),
        ("[{\"name\": \"tides\", \"parameters\": []}]", "`tides`"),
        (
            "[{\"name\": \"tides\"}, {\"name\": \"tides\"}]",
            "two tools of the name `tides`",
        ),
        ("[{\"name\": \"two words\"}]", "`two words` is no name of a tool"),
    ] {
        let tools = file(&program, "tools.json", text);
        let ran = program.run(["chat", "-p", "Hello", "--provider", "studio", "--tools", &tools]);
        assert!(ran.error().0.contains(named), "{text}: {ran:?}");
    }
    for tools in ["/nowhere/tools.json", "/", "/dev/zero"] {
        let ran = program.run(["chat", "-p", "Hello", "--provider", "studio", "--tools", tools]);
        assert!(ran.error().0.contains(tools), "{ran:?}");
    }
    let empty = program.run(["chat", "-p", " ", "--provider", "studio"]);
    assert!(empty.error().0.contains("the prompt is empty"), "{empty:?}");
    assert_eq!(provider.chats().len(), 0);
}

#[test]
fn a_file_of_a_flag_may_be_a_pipe_that_ends_and_ctrl_c_ends_the_wait_for_one_that_does_not() {
    let (program, provider) = own_server();
    let arguments = ["chat", "-p", "Hello", "--provider", "studio", "--tools", "/dev/stdin"];
    let ran = converse(&program, &arguments, TIDES);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(provider.chats()[0]["tools"][0]["function"]["name"], "tides");

    let pipe = program.data_dir().with_file_name("pipe");
    make_pipe(&pipe);
    let path = pipe.to_str().expect("UTF-8");
    for arguments in [
        vec!["chat", "-p", "Hello", "--provider", "studio", "--tools", path],
        vec!["chat", "-p", "Hello", "--provider", "studio", "--json-schema", path],
        vec!["chat", "--provider", "studio", "--tools", path],
        vec!["providers", "add", "groq", "--key-file", path],
        vec!["providers", "add", "groq", "--key-env", "KEY", "--certificate", path],
    ] {
        let running = program.start(&arguments);
        // Opens as soon as the program reads; nothing is written.
        let writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("a reader");
        running.interrupt();
        let (lines, status) = running.end();
        drop(writer);
        assert_eq!((lines, status.code()), (vec![], Some(130)), "{arguments:?}");
    }
    let model = program.run(["fit", path]);
    assert!(model.error().0.contains("pipe"), "{model:?}");
    assert_eq!(provider.chats().len(), 1);
}

#[test]
fn a_model_on_this_device_that_knows_no_tools_is_told_before_it_is_loaded() {
    let program = Program::new();
    let tools = file(&program, "tools.json", TIDES);
    let model = smollm2();
    let chat = [
        "chat",
        &model,
        "-p",
        "Hello",
        "--max-tokens",
        "8",
        "--json",
        "--tools",
        &tools,
    ];
    let ran = program.run(chat);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.error().0.contains("it does not support tools"), "{ran:?}");
}
