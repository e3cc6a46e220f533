//! Limits of the machine and of a request: threads, schemas, deadlines. None of them ends in a panic or in silence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program::{Program, Ran, smollm2};

/// Writes a schema to a file and asks for an answer that follows it.
fn ask_with_schema(schema: &Value) -> Ran {
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("schema.json");
    fs::write(&file, schema.to_string()).expect("written");
    let file = file.to_string_lossy().into_owned();
    let question = "Name a river and its length.";
    program.run([
        "chat",
        &smollm2(),
        "-p",
        question,
        "--json-schema",
        &file,
        "--seed",
        "1",
        "--max-tokens",
        "60",
    ])
}

#[test]
fn a_schema_that_allows_anything_gives_json() {
    for schema in [json!({}), json!({"title": "anything"})] {
        let ran = ask_with_schema(&schema);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let text = ran.out.trim_start();
        // The answer may be cut at its limit: then it is the beginning of a JSON value.
        let parsed = serde_json::from_str::<Value>(text);
        assert!(
            parsed.as_ref().map_or_else(serde_json::Error::is_eof, |_| true),
            "{schema}: {text}"
        );
        assert!(!text.starts_with("The "), "{schema}: {text}");
    }
}

#[test]
fn an_unusable_schema_is_told_where_and_why_and_nothing_else_is_printed() {
    let refers = |a: Value| json!({"$ref": "#/$defs/a", "$defs": {"a": a}});
    for (schema, expected) in [
        (
            json!({"type": "object", "properties": {"n": {"type": "nonsense"}}}),
            "`#/properties/n`: unknown `type`",
        ),
        (
            json!({"$ref": "https://example.org/river.json"}),
            "leads out of the schema",
        ),
        (refers(json!({"$ref": "#/$defs/a"})), "it has no end"),
        (
            refers(json!({"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]})),
            "it has no end",
        ),
        (
            json!({"type": "string", "pattern": "^(?=a)b$"}),
            "cannot be held to this `pattern`",
        ),
        (json!({"type": "string", "pattern": "^(a$"}), "no regular expression"),
    ] {
        let ran = ask_with_schema(&schema);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{schema}: {ran:?}");
        assert!(ran.err.contains(expected), "{schema}: {}", ran.err);
        assert!(
            !ran.err.contains("WARNING") && !ran.err.contains("llama.cpp"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn digits_in_a_pattern_are_kept_to() {
    let schema = json!({"type": "object", "properties": {"year": {"type": "string", "pattern": "^\\d{4}$"}},
        "required": ["year"], "additionalProperties": false});
    let ran = ask_with_schema(&schema);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer: Value = serde_json::from_str(ran.out.trim()).expect("JSON");
    let year = answer["year"].as_str().expect("a text");
    assert!(
        year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()),
        "{year}"
    );
    assert!(!ran.err.contains("WARNING"), "{}", ran.err);
}

#[test]
fn a_deadline_of_a_millisecond_is_kept() {
    let ran = Program::new().run([
        "chat",
        &smollm2(),
        "-p",
        "Tell a story.",
        "--deadline",
        "0.001",
        "--max-tokens",
        "24",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("deadline"), "{}", ran.err);
}

#[test]
fn with_few_threads_there_is_an_answer_or_an_error_and_never_a_panic() {
    // As another user, because root has no limit; so everything lies where that user can read it.
    let folder = tempfile::tempdir().expect("a folder");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    open(folder.path(), 0o777);
    let (program, model) = (folder.path().join("nearside"), folder.path().join("smollm2.gguf"));
    fs::copy(super::program::path(), &program).expect("the program");
    fs::copy(smollm2(), &model).expect("the model");
    open(&program, 0o755);
    open(&model, 0o644);
    let mut ended = Vec::new();
    for limit in [1, 2, 3, 4, 5, 6, 7, 16] {
        let home = folder.path().join(format!("home-{limit}"));
        fs::create_dir(&home).expect("a folder");
        open(&home, 0o777);
        let script = format!("ulimit -u {limit}; exec \"$0\" chat \"$1\" -p hello --max-tokens 2 --threads 2");
        let started = Instant::now();
        let child = Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups", "bash", "-c", &script])
            .args([&program, &model])
            .env("HOME", &home)
            .env("NEARSIDE_HOME", home.join("data"))
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&child.stderr).into_owned();
        assert!(started.elapsed() < Duration::from_secs(100), "{limit}: {text}");
        assert!(
            !text.contains("panicked") && matches!(child.status.code(), Some(0 | 1)),
            "{limit}: {child:?}"
        );
        if child.status.code() == Some(1) {
            assert!(text.contains("threads"), "{limit}: {text}");
        }
        ended.push(child.status.code());
    }
    println!("{ended:?}");
    assert_eq!(ended.first(), Some(&Some(1)), "no thread at all");
    assert_eq!(ended.last(), Some(&Some(0)), "enough threads");
}

/// Rust ends a process that cannot allocate, so that less is not tried.
#[test]
fn without_memory_to_load_the_model_the_error_blames_the_memory_and_not_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut told = 0;
    for megabytes in [80, 90, 100, 110, 120, 140, 180] {
        let script = format!(
            "ulimit -v {}; exec \"$0\" chat \"$1\" -p hello --max-tokens 2 --threads 1",
            megabytes * 1000
        );
        let child = Command::new("bash")
            .args(["-c", &script])
            .arg(super::program::path())
            .arg(smollm2())
            .env("NEARSIDE_HOME", folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&child.stderr).into_owned();
        assert!(!text.contains("download it again"), "{megabytes} MB: {text}");
        told += u32::from(text.contains("not enough memory"));
        println!("{megabytes} MB: {:?} {text}", child.status.code());
    }
    assert!(told > 0);
}
