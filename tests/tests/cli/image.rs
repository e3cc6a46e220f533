//! `nearside chat --image`, at a server of one's own and with a model on this machine.

use std::path::PathBuf;

use nearside_tests::provider::{Dialect, Provider};
use serde_json::{Value, json};

use super::conversations::{converse, listed};
use super::program::{Program, smollm2};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand the rest";

/// A place with a server of one's own, whose model takes images and calls tools.
pub(super) fn own_server() -> (Program, Provider) {
    let program = Program::new();
    let provider = Provider::start(Dialect::Compatible);
    let add = [
        "providers",
        "add",
        "studio",
        "--kind",
        "compatible",
        "--base-url",
        &provider.url(),
    ];
    assert_eq!(program.run(add).code, Some(0));
    (program, provider)
}

/// Writes a file beside the data directory; returns its path.
pub(super) fn file(program: &Program, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path: PathBuf = program.data_dir().with_file_name(name);
    std::fs::write(&path, bytes).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// The messages of the last chat that the provider received.
pub(super) fn last_messages(provider: &Provider) -> Vec<Value> {
    let chats = provider.chats();
    let messages = &chats.last().expect("a chat")["messages"];
    messages.as_array().expect("messages").clone()
}

#[test]
fn images_go_with_the_prompt_in_their_order_and_by_their_content() {
    let (program, provider) = own_server();
    // The name of a file says nothing.
    let (png, gif) = (file(&program, "a.jpg", PNG), file(&program, "b", b"GIF89a..."));
    let chat = [
        "chat",
        "-p",
        "What is this?",
        "--provider",
        "studio",
        "--image",
        &png,
        "--image",
        &gif,
    ];
    let ran = program.run(chat);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let content = &last_messages(&provider)[0]["content"];
    assert_eq!(content[0], json!({ "type": "text", "text": "What is this?" }));
    let url = |at: usize| content[at]["image_url"]["url"].as_str().unwrap_or_default().to_owned();
    assert!(url(1).starts_with("data:image/png;base64,iVBORw0KGgp"), "{content}");
    assert!(url(2).starts_with("data:image/gif;base64,R0lGODlh"), "{content}");
    assert_eq!(content.as_array().map(Vec::len), Some(3));
}

#[test]
fn in_a_conversation_images_go_with_the_first_prompt_only_and_are_stored() {
    let (program, provider) = own_server();
    let png = file(&program, "a.png", PNG);
    let chat = ["chat", "--provider", "studio", "--image", &png, "--json"];
    let ran = converse(&program, &chat, "What is this?\nAnd its colour?\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let messages = last_messages(&provider);
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[0]["content"][1]["type"], "image_url");
    assert_eq!(messages[2]["content"], "And its colour?");
    let id = listed(&program)[0]["id"].to_string();
    let shown = program.run(["conversations", "show", &id, "--json"]).object();
    assert_eq!(shown["messages"][0]["parts"][0]["media_type"], "image/png");
}

#[test]
fn a_file_that_is_no_image_is_refused_before_anything_is_sent() {
    let (program, provider) = own_server();
    let text = file(&program, "notes.png", "these are words");
    let empty = file(&program, "empty.png", "");
    let mut bytes = PNG.to_vec();
    bytes.resize(20_000_001, 0);
    let large = file(&program, "large.png", bytes);
    let folder = program.data_dir().to_str().expect("UTF-8").to_owned();
    let missing = program
        .data_dir()
        .join("nowhere.png")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    for (image, named) in [
        (text.as_str(), "no PNG, JPEG, WebP or GIF image"),
        (&empty, "no PNG"),
        (&large, "larger than 20.0 MB"),
        (&folder, "directory"),
        (&missing, "nowhere.png"),
        ("/dev/zero", "larger than 20.0 MB"),
    ] {
        for chat in [vec!["chat", "-p", "Hello"], vec!["chat"]] {
            let ran = program.run(chat.into_iter().chain(["--provider", "studio", "--image", image]));
            assert!(ran.error().0.contains(named), "{image}: {ran:?}");
        }
    }
    assert_eq!(provider.chats().len(), 0);
}

#[test]
fn an_image_counts_for_the_route_and_a_model_on_this_device_takes_none() {
    let (program, _provider) = own_server();
    let png = file(&program, "a.png", PNG);
    let local = smollm2();
    let ran = program.run(["chat", &local, "-p", "What is this?", "--image", &png]);
    assert!(ran.error().0.contains("image"), "{ran:?}");
    let route = [
        "route",
        "-p",
        "What is this?",
        "--image",
        &png,
        "--provider",
        "studio",
        "--json",
    ];
    assert_eq!(program.run(route).object()["target"]["provider"], "studio");
}
