//! Partial downloads: listed by `nearside ls`, removed by `nearside rm --partial`.

use nearside_tests::hub::Hub;
use serde_json::{Value, json};

use super::program::{FILE, Program, REFERENCE, REPO, SIZE, hub};

/// The partial downloads that `ls` lists.
fn partial(program: &Program) -> Vec<Value> {
    let listed = program.run(["ls", "--json"]).object();
    listed["partial"].as_array().expect("a list").clone()
}

#[test]
fn nothing_is_removed_without_a_terminal_and_without_a_yes() {
    let (program, id) = Program::with_model();
    let added = program.run(["providers", "add", "groq", "--key-env", "KEY"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let conversation = super::conversations::converse(&program, &["chat", &id, "--max-tokens", "2"], "Hello\n");
    assert_eq!(conversation.code, Some(0), "{conversation:?}");
    for arguments in [
        vec!["rm", &id],
        vec!["rm", "--partial"],
        vec!["conversations", "rm", "1"],
        vec!["providers", "rm", "groq"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = program.run(arguments.iter().chain(json));
            let (what, help) = ran.error();
            assert!(
                what.contains("no terminal") && help.contains("`--yes`"),
                "{what}; {help}"
            );
        }
    }
    let ran = program.run(["providers", "rm", "nobody"]);
    let (what, _) = ran.error();
    assert!(what.contains("nobody") && !what.contains("terminal"), "{what}");
    assert_eq!(program.run(["ls", "--json"]).object()["models"][0]["id"], json!(id));
    assert_eq!(super::conversations::listed(&program).len(), 1);
    let providers = program.run(["providers", "ls", "--offline", "--json"]).out;
    assert!(providers.contains("groq"), "{providers}");
}

/// Fetches the head of SmolLM2, as a check does.
fn fetch_head(program: &Program, hub: &Hub) {
    let ran = program.run(["fit", REFERENCE, "--hub", &hub.url()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_partial_download_is_listed_with_size_and_age_and_removed_on_request() {
    let hub = hub(|hub| hub);
    let program = Program::new();
    assert_eq!(partial(&program), Vec::<Value>::new());
    fetch_head(&program, &hub);
    let [one] = partial(&program).try_into().expect("one");
    assert_eq!(one["source"], format!("hf:{REPO}/{FILE}"));
    assert_eq!(one["total"], SIZE);
    let done = one["done"].as_u64().expect("bytes");
    assert!(done > 1_000_000 && done < 8_000_000, "{one}");
    assert!(one["updated_at_ms"].as_u64() > Some(1_700_000_000_000), "{one}");
    let table = program.run(["ls"]);
    let row = table.out.lines().nth(1).expect("a row");
    assert!(
        row.starts_with("hf:local/") && row.contains("98.4 MB") && row.ends_with(" s"),
        "{table:?}"
    );
    assert!(
        table.err.contains("no models are installed") && table.err.contains("rm --partial"),
        "{table:?}"
    );

    let removed = program.run(["rm", "--yes", "--partial", REFERENCE, "--json"]).object();
    assert_eq!((&removed["freed_bytes"], &removed["removed"][0]), (&json!(done), &one));
    assert_eq!(partial(&program), Vec::<Value>::new());
    let folder = program.data_dir().join("partial");
    assert_eq!(
        std::fs::read_dir(folder).expect("a folder").count(),
        0,
        "no file is left"
    );
    let again = program.run(["rm", "--yes", "--partial", REFERENCE]);
    let (what, help) = again.error();
    assert!(
        what.contains("no partial download") && help.contains("nearside ls"),
        "{what}; {help}"
    );
}

#[test]
fn a_partial_download_is_found_by_repository_file_and_name_and_by_nothing_else() {
    let hub = hub(|hub| hub);
    let program = Program::new();
    let file = format!("hf:{REPO}/{FILE}");
    let repository = format!("hf:{REPO}");
    for reference in [&file, &repository, REFERENCE, "smollm2-135m-instruct.q4_1"] {
        fetch_head(&program, &hub);
        for other in [
            "hf:local/Other-GGUF",
            "hf:local/SmolLM2-135M-Instruct-GGUF:Q8_0",
            "other",
            "./nowhere.gguf",
        ] {
            assert_eq!(
                program.run(["rm", "--yes", "--partial", other]).code,
                Some(1),
                "{other}"
            );
        }
        let ran = program.run(["rm", "--yes", "--partial", reference]);
        assert_eq!(ran.code, Some(0), "{reference}: {ran:?}");
        assert!(ran.out.starts_with("removed hf:local/"), "{ran:?}");
    }
}

#[test]
fn all_partial_downloads_are_removed_without_a_reference_and_models_stay() {
    let hub = hub(|hub| hub);
    let (program, id) = Program::with_model();
    let none = program.run(["rm", "--yes", "--partial"]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""), "{none:?}");
    let none = program.run(["rm", "--yes", "--partial", "--json"]).object();
    assert_eq!(none, json!({ "removed": [], "freed_bytes": 0 }));
    fetch_head(&program, &hub);
    let ran = program.run(["rm", "--yes", "--partial"]);
    assert!(ran.out.contains("freed"), "{ran:?}");
    let listed = program.run(["ls", "--json"]).object();
    assert_eq!(
        (&listed["partial"], &listed["models"][0]["id"]),
        (&json!([]), &json!(id))
    );
    let wrong = program.run(["rm"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn a_download_in_progress_is_not_removed() {
    let hub = hub(|hub| hub.rate(4_000_000));
    let program = Program::new();
    let mut pull = program.start(["pull", REFERENCE, "--hub", &hub.url(), "--json"]);
    pull.until("progress");
    let busy = program.run(["rm", "--yes", "--partial", REFERENCE]);
    assert!(busy.error().0.contains("another download"), "{busy:?}");
    let kept = program.run(["rm", "--yes", "--partial", "--json"]);
    assert_eq!(kept.object()["removed"], json!([]));
    assert!(kept.err.contains("in progress; stop it first"), "{kept:?}");
    pull.interrupt();
    assert_eq!(pull.end().1.code(), Some(130));
    let removed = program.run(["rm", "--yes", "--partial", "--json"]).object();
    assert!(removed["freed_bytes"].as_u64() > Some(0), "{removed}");
}

#[test]
fn foreign_files_in_the_folder_are_neither_listed_nor_removed() {
    let program = Program::new();
    assert_eq!(program.run(["ls"]).code, Some(0));
    let folder = program.data_dir().join("partial");
    for (name, text) in [
        ("notes.json", "{}"),
        ("broken.json", "{"),
        ("x.part", "bytes"),
        ("y.json", "\u{0}"),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    assert_eq!(partial(&program), Vec::<Value>::new());
    assert_eq!(program.run(["rm", "--yes", "--partial"]).code, Some(0));
    assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 4);
}
