//! `nearside providers`: set up, listed and removed by the real program, with keys that only their owner may read and that
//! nothing ever prints.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nearside_tests::provider::{Dialect, Provider, WireFormat};
use nearside_tests::remote::KEY;
use serde_json::{Value, json};

use super::program::{Program, Ran};
use super::routing::on_terminal;

#[test]
fn a_key_is_kept_for_its_owner_alone_and_printed_by_no_command() {
    let (program, provider) = groq();
    let kept = key_file(&program);
    assert_eq!(std::fs::read_to_string(&kept).expect("the key"), KEY);
    assert_eq!((mode(&kept), mode(kept.parent().expect("a folder"))), (0o600, 0o700));
    for arguments in [
        "providers ls",
        "providers ls --json --verbose",
        "providers ls --offline",
        "providers models groq",
        "providers models groq --json --verbose",
        "providers add groq --base-url URL --model openai/gpt-oss-20b --json --verbose",
        "route -p Hello --provider groq --verbose",
        "route -p Hello --provider groq --yes --json",
        "cost -p Hello --json --verbose",
        "cost --spent",
        "policy --json --verbose",
        "chat -p Hello --provider groq --yes --json --verbose",
        "chat -p Hello --provider groq --yes",
        "doctor --json",
        "providers rm groq --yes --verbose",
    ] {
        let url = provider.url();
        let words = arguments.split(' ').map(|word| if word == "URL" { &url } else { word });
        let ran = program.run(words);
        assert_eq!(ran.code, Some(0), "{arguments}: {ran:?}");
        assert!(!ran.out.contains(KEY) && !ran.err.contains(KEY), "{arguments}: {ran:?}");
    }
    let bearer = format!("Bearer {KEY}");
    let all = provider.requests();
    assert!(!all.is_empty());
    for request in all {
        assert_eq!(
            request.header("authorization"),
            Some(bearer.as_str()),
            "{}",
            request.path
        );
    }
    assert!(!kept.exists(), "the key goes with its provider");
    assert!(!holds_key(&program.data_dir()), "and is nowhere else");
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_remedy() {
    let (program, provider) = groq();
    let kept = key_file(&program);
    for open in [0o640, 0o604, 0o644] {
        std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(open)).expect("set");
        for arguments in [
            vec!["chat", "-p", "Hello", "--provider", "groq", "--yes"],
            vec!["providers", "ls"],
        ] {
            let ran = program.run(arguments);
            let (what, help) = ran.error();
            assert!(
                what.contains("others may read") && help.contains("chmod 600"),
                "{what}; {help}"
            );
            assert!(!ran.err.contains(KEY), "{ran:?}");
        }
    }
    assert_eq!(provider.connections(), 0);
    // What needs no key goes on.
    assert_eq!(program.run(["ls"]).code, Some(0));
    assert_eq!(program.run(["providers", "rm", "--yes", "groq"]).code, Some(0));

    let given = write_key(&program, KEY);
    std::fs::set_permissions(&given, std::fs::Permissions::from_mode(0o644)).expect("set");
    let ran = add(&program, "groq", &["--key-file", &given.to_string_lossy()]);
    assert!(ran.error().1.contains("chmod 600"), "{ran:?}");
    assert_eq!(listed(&program), json!([]), "nothing is set up by halves");
}

#[test]
fn a_name_for_this_device_and_a_price_that_is_none_are_refused() {
    let program = Program::new();
    for name in ["device", "local", "on-device", "this-device"] {
        let ran = add(&program, name, &["--kind", "ollama"]);
        assert!(ran.error().0.contains("means this device"), "{ran:?}");
    }
    for price in ["-1", "1e308", "NaN"] {
        let ran = add(&program, "ollama", &["--price-in", price, "--price-out", "1"]);
        assert!(ran.code == Some(2) && ran.err.contains("1000000"), "{ran:?}");
    }
    assert_eq!(listed(&program), json!([]));
}

#[test]
fn a_model_that_a_server_does_not_have_is_answered_by_no_other() {
    for dialect in [Dialect::LlamaServer, Dialect::Compatible] {
        let program = Program::new();
        let provider = Provider::start(dialect);
        let url = provider.url();
        let added = add(&program, "n2", &["--kind", dialect.name(), "--base-url", &url]);
        assert_eq!(added.code, Some(0), "{added:?}");
        for model in ["glm-5", "nope"] {
            let ran = program.run(["chat", "-p", "Hello", "--provider", "n2", "--model", model, "--yes"]);
            let (what, help) = ran.error();
            assert!(
                what.contains("does not list it") && help.contains("providers models n2"),
                "{ran:?}"
            );
        }
        let cloud = program.run([
            "chat",
            "-p",
            "Hello",
            "--provider",
            "n2",
            "--model",
            "glm-5:cloud",
            "--yes",
        ]);
        assert!(cloud.error().0.contains("content would leave it"), "{cloud:?}");
        assert_eq!(provider.chats().len(), 0);
        let known = program.run(["chat", "-p", "Hello", "--provider", "n2", "--model", dialect.model()]);
        assert_eq!(known.code, Some(0), "{known:?}");
    }
}

#[test]
fn of_a_variable_only_its_name_is_kept() {
    let program = Program::new();
    let provider = Provider::builder(Dialect::Groq).key(KEY).start().expect("a port");
    let added = add(
        &program,
        "groq",
        &["--base-url", &provider.url(), "--key-env", "MY_GROQ"],
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(added.err.contains("`MY_GROQ` is not set now"), "{added:?}");
    let one = &listed(&program)[0];
    assert_eq!(
        (&one["has_key"], &one["key"], &one["key_from"]),
        (&json!(false), &json!("variable"), &json!("MY_GROQ"))
    );
    let mut command = program.command(["providers", "ls", "--json"]);
    let output = command.env("MY_GROQ", KEY).output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let one = &told["providers"][0];
    assert_eq!(
        (&one["has_key"], &one["reachable"]),
        (&json!(true), &json!(true)),
        "{told}"
    );
    assert!(!holds_key(&program.data_dir()));
    // A key that is passed for the name of a variable is not in a log.
    let mistaken = add(&program, "groq", &["--key-env", KEY]);
    assert!(mistaken.error().1.contains("name of a variable"), "{mistaken:?}");
    assert!(!mistaken.err.contains(KEY), "{mistaken:?}");
}

#[test]
fn a_typed_key_is_not_shown() {
    let program = Program::new();
    let mut session = on_terminal(&program, &["providers", "add", "openrouter"]);
    session.exp_string("not shown").expect("the question");
    session.send_line(KEY).expect("an open terminal");
    let shown = session.exp_eof().expect("it ends");
    assert!(shown.contains("added") && !shown.contains(KEY), "{shown}");
    let kept = program.data_dir().join("keys/openrouter");
    assert_eq!(
        (std::fs::read_to_string(&kept).expect("the key").as_str(), mode(&kept)),
        (KEY, 0o600)
    );
}

#[test]
fn a_question_for_a_key_can_be_interrupted() {
    let program = Program::new();
    let mut session = on_terminal(&program, &["providers", "add", "openrouter"]);
    session.exp_string("not shown").expect("the question");
    session.send_control('c').expect("an open terminal");
    session.exp_eof().expect("it ends");
    let ended = session.process().wait().expect("it ends");
    assert!(format!("{ended:?}").contains(", 130)"), "{ended:?}");
    assert_eq!(listed(&program), json!([]));
}

#[test]
fn a_hosted_provider_needs_a_key_and_a_server_of_ones_own_does_not() {
    let program = Program::new();
    let ran = add(&program, "groq", &[]);
    let (what, help) = ran.error();
    assert!(what.contains("`groq` needs a key"), "{what}");
    assert!(help.contains("--key-file") && help.contains("--key-env"), "{help}");
    let server = Provider::start(Dialect::Ollama);
    let added = add(
        &program,
        "studio",
        &["--kind", "ollama", "--base-url", &server.url(), "--json"],
    )
    .object();
    assert_eq!((&added["has_key"], &added["key"]), (&json!(true), &json!("none")));
    assert_eq!(added["data_policy"]["region"], "own server");
    assert_eq!(server.connections(), 0, "setting up asks nobody");
}

#[test]
fn a_key_stays_with_its_server_whatever_kind_and_path() {
    let (program, server) = groq();
    let base = format!("{}/other", server.url());
    let flags = ["--kind", "openai", "--base-url", &base, "--json"];
    let added = add(&program, "groq", &flags).object();
    assert_eq!(
        (&added["has_key"], &added["key"]),
        (&json!(true), &json!("file")),
        "{added}"
    );
}

#[test]
fn a_key_does_not_follow_a_name_to_another_address() {
    let (program, _first) = groq();
    let second = Provider::start(Dialect::Groq);
    let moved = add(&program, "groq", &["--base-url", &second.url()]);
    assert!(moved.error().0.contains("needs a key"), "{moved:?}");
    let given = write_key(&program, "sk-second");
    let flags = ["--base-url", &second.url(), "--key-file", &given.to_string_lossy()];
    assert_eq!(add(&program, "groq", &flags).code, Some(0));
    let listed = program.run(["providers", "models", "groq", "--json"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(second.requests()[0].header("authorization"), Some("Bearer sk-second"));
}

#[test]
fn ls_says_who_can_be_reached_and_what_happens_to_words_there() {
    let (program, provider) = groq();
    let gone = Provider::start(Dialect::Compatible);
    add(&program, "gone", &["--kind", "compatible", "--base-url", &gone.url()]);
    drop(gone);
    let offline = program.run(["providers", "ls", "--offline", "--json"]).object();
    assert_eq!(
        (provider.connections(), &offline["providers"][0]["reachable"]),
        (0, &Value::Null)
    );
    let all = program.run(["providers", "ls", "--json"]).object();
    let [lost, found] = all["providers"].as_array().expect("an array").as_slice() else {
        panic!("two by name: {all}");
    };
    assert_eq!((&lost["name"], &lost["reachable"]), (&json!("gone"), &json!(false)));
    assert!(
        lost["problem"]
            .as_str()
            .is_some_and(|why| why.contains("cannot be reached")),
        "{lost}"
    );
    assert_eq!(
        (&found["kind"], &found["reachable"], &found["problem"]),
        (&json!("groq"), &json!(true), &Value::Null)
    );
    assert_eq!(
        (&found["model"], &found["models"]),
        (&json!("openai/gpt-oss-120b"), &json!(2))
    );
    let terms = &found["data_policy"];
    assert!(
        terms["as_of"].as_str().is_some_and(|day| day.starts_with("20")),
        "{terms}"
    );
    assert!(
        terms["source"]
            .as_str()
            .is_some_and(|page| page.starts_with("https://")),
        "{terms}"
    );
    assert!(terms["region"].is_string() && terms["retained"].is_boolean() && terms["trained_on"].is_boolean());
    let words = program.run(["providers", "ls"]).out;
    for part in ["gone", "not reachable", "reachable", "region ", "as of 20", "https://"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn models_are_listed_with_their_context_price_abilities_and_end() {
    let program = Program::new();
    let provider = Provider::builder(Dialect::OpenRouter).key(KEY).start().expect("a port");
    set_up(&program, &provider, KEY);
    let models = program.run(["providers", "models", "openrouter", "--json"]).object();
    let models = models["models"].as_array().expect("an array").clone();
    let one = |id: &str| models.iter().find(|model| model["id"] == id).expect(id);
    let r1 = one("deepseek/deepseek-r1");
    assert!(
        r1["context"].is_u64() && r1["price"]["usd_in"].is_number() && r1["price"]["as_of"].is_string(),
        "{r1}"
    );
    assert!(r1["abilities"]["reasoning"].is_boolean(), "{r1}");
    assert!(one("vendor/retiring")["retires"].is_string());
    let table = program.run(["providers", "models", "openrouter"]).out;
    assert!(
        table.starts_with("ID") && table.contains("RETIRES") && table.contains("deepseek/deepseek-r1"),
        "{table}"
    );
    let unknown = program.run(["providers", "models", "nobody"]);
    assert!(unknown.error().0.contains("`nobody`"), "{unknown:?}");
}

#[test]
fn wrong_use_exits_2_and_names_what_is_wrong() {
    let program = Program::new();
    for (arguments, named) in [
        ("providers", "Usage"),
        ("providers add groq --kind grok", "openrouter"),
        ("providers add ../groq", "lower-case"),
        ("providers add ..", "lower-case"),
        ("providers add a/b", "lower-case"),
        ("providers add Groq", "lower-case"),
        ("providers add groq --key-file a --key-env B", "--key-env"),
        ("providers rm", "NAME"),
        ("chat -p Hello --mode anywhere", "only-on-device"),
        ("chat -p Hello --sensitivity secret", "sensitive"),
        ("chat -p Hello --max-usd -1", "--max-usd"),
        ("chat -p Hello --max-usd much", "0.05"),
        ("chat -p Hello --deadline 0", "seconds"),
        ("chat -p Hello --deadline -5", "seconds"),
        ("chat smol -p Hello --model smol", "--model"),
        ("route", "--prompt"),
        ("cost", "--prompt"),
    ] {
        let ran = program.run(arguments.split(' '));
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments}: {ran:?}");
        assert!(ran.err.contains(named), "{arguments}: {ran:?}");
    }
    let kindless = add(&program, "my-server", &[]);
    assert!(kindless.error().1.contains("`--kind`"), "{kindless:?}");
    let open = add(
        &program,
        "x",
        &["--kind", "ollama", "--base-url", "http://192.0.2.1:11434"],
    );
    assert!(open.err.contains("`https`"), "{open:?}");
    assert!(!program.data_dir().join("keys").exists(), "nothing was kept");
}

#[test]
fn new_commands_teach_by_example() {
    let program = Program::new();
    for command in [
        "route",
        "cost",
        "policy",
        "policy set",
        "providers",
        "providers add",
        "providers ls",
        "providers models",
        "providers rm",
        "providers sign-in",
    ] {
        let help = program.run(command.split(' ').chain(["--help"]));
        let example = format!("Example:\n  nearside {command}");
        assert!(help.out.contains(&example), "{}", help.out);
    }
}

/// A place with Groq set up, recorded, under a policy that lets words go there if the person agrees.
pub(super) fn groq() -> (Program, Provider) {
    with_key(KEY)
}

/// The same, where Groq wants this key.
pub(super) fn with_key(wanted: &str) -> (Program, Provider) {
    let program = Program::new();
    let provider = Provider::builder(Dialect::Groq).key(wanted).start().expect("a port");
    set_up(&program, &provider, KEY);
    let policy = program.run(["policy", "set", "allow-retention=true", "allow-training=true"]);
    assert_eq!(policy.code, Some(0), "{policy:?}");
    (program, provider)
}

/// Sets this provider up under the name of its kind.
fn set_up(program: &Program, provider: &Provider, key: &str) {
    let given = write_key(program, key);
    let flags = ["--base-url", &provider.url(), "--key-file", &given.to_string_lossy()];
    let added = add(program, provider.dialect().name(), &flags);
    assert_eq!(added.code, Some(0), "{added:?}");
    std::fs::remove_file(given).expect("it was only read");
}

fn add(program: &Program, name: &str, flags: &[&str]) -> Ran {
    program.run(["providers", "add", name].iter().chain(flags))
}

fn listed(program: &Program) -> Value {
    program.run(["providers", "ls", "--offline", "--json"]).object()["providers"].clone()
}

/// A file that holds this key, as a careful person would have one.
fn write_key(program: &Program, key: &str) -> PathBuf {
    let file = program.data_dir().with_extension("key");
    std::fs::write(&file, format!("{key}\n")).expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
    file
}

fn key_file(program: &Program) -> PathBuf {
    program.data_dir().join("keys/groq")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

/// Whether any file of this folder holds the key.
fn holds_key(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => holds_key(&path),
        false => {
            let bytes = std::fs::read(&path).expect("a file");
            bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes())
        }
    })
}
