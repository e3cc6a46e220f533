//! `nearside chat --image`, at a server of one's own and with a model on this machine.

use std::path::{Path, PathBuf};

use nearside_tests::images::png;
use nearside_tests::provider::{Dialect, Provider};
use serde_json::{Value, json};

use super::conversations::{converse, listed};
use super::program::{Program, smollm2};

/// A GIF of 64 by 48 pixels.
const GIF: &[u8] = b"GIF89a\x40\0\x30\0\0\0\0\x2c\0\0\0\0\x40\0\x30\0\0\x02\0\x3b";

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

/// Makes a named pipe.
pub(super) fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo runs").success());
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
    let (png, gif) = (
        file(&program, "a.jpg", png(64, 48, b"pixels")),
        file(&program, "b", GIF),
    );
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
    assert!(url(1).starts_with("data:image/png;base64,iVBORw0KGgoA"), "{content}");
    assert!(url(2).starts_with("data:image/gif;base64,R0lGODlhQAAw"), "{content}");
    assert_eq!(content.as_array().map(Vec::len), Some(3));
}

#[test]
fn in_a_conversation_images_go_with_the_first_prompt_only_and_are_stored() {
    let (program, provider) = own_server();
    let png = file(&program, "a.png", png(64, 48, b"pixels"));
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
    let mut bytes = png(64, 48, b"pixels");
    bytes.resize(20_000_001, 0);
    let large = file(&program, "large.png", bytes);
    let folder = program.data_dir().to_str().expect("UTF-8").to_owned();
    let missing = program
        .data_dir()
        .join("nowhere.png")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let pipe = program.data_dir().with_file_name("pipe");
    make_pipe(&pipe);
    let pipe = pipe.to_str().expect("UTF-8");
    let tiny = file(&program, "tiny.png", png(1, 1, b"pixels"));
    let huge = file(&program, "huge.png", png(100_000, 100_000, b"pixels"));
    let cut = file(&program, "cut.png", &png(64, 48, b"pixels")[..40]);
    for (image, named) in [
        (text.as_str(), "no PNG, JPEG, WebP or GIF image"),
        (&empty, "no PNG"),
        (&large, "larger than 20.0 MB"),
        (&folder, "directory"),
        (&missing, "nowhere.png"),
        ("/dev/zero", "a device"),
        ("/dev/stdin", "a device"),
        (pipe, "a pipe"),
        (&tiny, "1 × 1 pixels"),
        (&huge, "at most 16384"),
        (&cut, "damaged or incomplete"),
    ] {
        for chat in [vec!["chat", "-p", "Hello"], vec!["chat"]] {
            let arguments: Vec<&str> = chat
                .into_iter()
                .chain(["--provider", "studio", "--image", image])
                .collect();
            let ran = converse(&program, &arguments, "Hello\n");
            assert!(ran.error().0.contains(named), "{image}: {ran:?}");
        }
    }
    assert_eq!(provider.chats().len(), 0);
}

#[test]
fn an_image_counts_for_the_route_and_a_model_on_this_device_takes_none() {
    let (program, _provider) = own_server();
    let png = file(&program, "a.png", png(64, 48, b"pixels"));
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
