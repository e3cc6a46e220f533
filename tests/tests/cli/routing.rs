//! What leaves the machine, as the program decides it: who is asked first, what `--json` says of a decision and of its
//! cost, and that caps hold. With a recorded provider on a real socket, and once with a real model beside it.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nearside_tests::provider::{Dialect, Provider, Scenario};
use nearside_tests::remote::KEY;
use rexpect::session::{PtySession, spawn_command};
use serde_json::{Value, json};

use super::program::{Program, Ran, smollm2, turn};
use super::providers::{groq, with_key};

const TIDES: &str = "Why do the tides come twice a day?";

#[test]
fn without_a_terminal_words_leave_only_with_yes() {
    let (program, provider) = groq();
    for flags in [
        "--mode only-in-cloud",
        "--provider groq --json",
        "--mode prefer-in-cloud --json",
    ] {
        let ran = chat(&program, flags);
        let (what, help) = ran.error();
        assert!(what.contains("no terminal") && what.contains("groq"), "{what}");
        assert!(help.contains("`--yes`") && help.contains("only-on-device"), "{help}");
        assert_eq!(provider.chats().len(), 0, "nothing is sent");
        if flags.contains("--json") {
            let error = ran.json_error();
            assert_eq!(error["reason"], "consent_required", "{ran:?}");
            assert!(what == error["text"] && help == error["help"], "{ran:?}");
        } else {
            assert_eq!(ran.out, "");
        }
    }
    let ran = chat(&program, "--mode only-in-cloud --yes");
    assert_eq!((ran.code, provider.chats().len()), (Some(0), 1), "{ran:?}");
    assert!(ran.out.contains("the moon"), "{ran:?}");
    let [measured, terms, _note] = ran.err.lines().collect::<Vec<_>>()[..] else {
        panic!("a receipt of three lines: {ran:?}");
    };
    assert!(measured.starts_with("at groq · openai/gpt-oss-120b · "), "{measured}");
    assert!(measured.contains("$0.0"), "a cost: {measured}");
    for part in [
        "region ",
        "retained",
        "trained on",
        "as of 20",
        "rule mode of policy custom-1",
    ] {
        assert!(terms.contains(part), "{part}: {terms}");
    }
}

#[test]
fn a_person_on_a_terminal_is_asked_and_a_no_sends_nothing() {
    let (program, provider) = groq();
    for (answer, code, sent) in [("n", 1, 0), ("", 1, 0), ("y", 0, 1)] {
        let mut session = on_terminal(&program, &["chat", "-p", TIDES, "--mode", "only-in-cloud"]);
        session.exp_string("[y/N]").expect("the question");
        session.send(&format!("{answer}\r")).expect("an open terminal");
        session.flush().expect("an open terminal");
        let rest = session.exp_eof().expect("it ends");
        let ended = session.process().wait().expect("it ends");
        assert!(
            format!("{ended:?}").contains(&format!(", {code})")),
            "{ended:?}: {rest}"
        );
        assert_eq!(provider.chats().len(), sent, "after `{answer}`: {rest}");
    }
}

#[test]
fn a_yes_in_a_pipe_holds_for_every_question_of_the_conversation() {
    let (program, provider) = groq();
    let ran = converse(&program, "--mode only-in-cloud --yes --json", "One?\nTwo?\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lengths: Vec<_> = provider.chats().iter().map(|chat| messages(chat).len()).collect();
    assert_eq!(lengths, [1, 3], "the second carries the first and its answer");
}

#[test]
fn what_must_stay_here_opens_no_connection() {
    let (program, provider) = groq();
    for flags in ["--mode only-on-device --yes", "--sensitivity sensitive --yes"] {
        for command in ["chat", "route"] {
            let ran = run(&program, command, flags);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.err.contains("nearside pull"), "{ran:?}");
        }
    }
    assert_eq!(provider.connections(), 0);
}

#[test]
fn a_real_model_answers_here_and_steps_in_where_a_provider_fails() {
    let (program, provider) = groq();
    program.run(["import", &smollm2(), "--json"]).object();
    let here = chat(&program, "--max-tokens 4 --json");
    let chunks = here.lines();
    assert_eq!(chunks[0]["route"]["target"]["place"], "local", "{here:?}");
    assert_eq!(
        provider.connections(),
        0,
        "where it can be answered here nobody is asked"
    );

    provider.otherwise(Scenario::Refused {
        status: 400,
        body: json!({ "error": { "message": "no" } }),
        retry_after: None,
    });
    let flags = "--max-tokens 4 --mode prefer-in-cloud --yes";
    let places: Vec<_> = chat(&program, &format!("{flags} --json"))
        .lines()
        .iter()
        .filter(|chunk| chunk["type"] == "started")
        .map(|chunk| chunk["route"]["target"]["place"].clone())
        .collect();
    assert_eq!(places, ["remote", "local"]);
    let told = chat(&program, flags);
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines: Vec<_> = told.err.lines().collect();
    assert!(
        lines[0].starts_with("falling back to ") && lines[0].contains(" on this device: "),
        "{told:?}"
    );
    assert!(
        lines.iter().any(|line| line.starts_with("on this device · ")),
        "{told:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("rule failed")), "{told:?}");
}

#[test]
fn consent_is_for_one_target_until_another_conversation_and_the_help_says_so() {
    let (program, provider) = groq();
    let mut session = on_terminal(&program, &["chat", "--mode", "only-in-cloud"]);
    let say = |session: &mut PtySession, line: &str| {
        session.send(&format!("{line}\r")).expect("an open terminal");
        session.flush().expect("an open terminal");
    };
    let mut agreed = 0;
    for (line, asks, sent) in [
        ("One?", true, 1),
        ("Two?", false, 2),
        ("/new", false, 2),
        ("Three?", true, 3),
    ] {
        session.exp_string("> ").expect("the prompt");
        say(&mut session, line);
        if asks {
            session.exp_string("[y/N]").expect("the question");
            say(&mut session, "y");
            agreed += 1;
        }
        let ended = if line == "/new" {
            "a new conversation"
        } else {
            "at groq"
        };
        session.exp_string(ended).expect("its end");
        assert_eq!(provider.chats().len(), sent, "{line}");
    }
    assert_eq!(agreed, 2);
    say(&mut session, "/quit");
    session.exp_eof().expect("it ends");

    for help in [vec!["--help"], vec!["chat", "--help"]] {
        let words: Vec<String> = program.run(help).out.split_whitespace().map(str::to_owned).collect();
        let text = words.join(" ");
        assert!(
            text.contains("Consent is for one target, until `/new` or the end of the chat."),
            "{text}"
        );
    }
}

#[test]
fn flags_become_what_the_provider_is_asked() {
    let (program, provider) = groq();
    let schema = program.data_dir().join("schema.json");
    std::fs::write(
        &schema,
        r#"{"type":"object","properties":{"tides":{"type":"integer"}}}"#,
    )
    .expect("a file");
    let flags = format!(
        "--provider groq --model openai/gpt-oss-20b --yes --json --reasoning-effort low --max-tokens 9 --json-schema {}",
        schema.display()
    );
    let ran = chat(&program, &flags);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = &provider.chats()[0];
    assert_eq!(asked["model"], "openai/gpt-oss-20b");
    assert_eq!(asked["reasoning_effort"], "low");
    assert!(asked["response_format"].to_string().contains("tides"), "{asked}");
    let missing = chat(&program, "--json-schema nowhere.json --json");
    assert!(missing.error().0.contains("nowhere.json"), "{missing:?}");
}

#[test]
fn route_says_who_would_answer_and_why_nobody_else() {
    let (program, provider) = groq();
    let asks = run(&program, "route", "--json").object();
    assert_eq!(
        (asks["decision"].as_str(), asks["rule"].as_str()),
        (Some("ask"), Some("candidates"))
    );
    assert!(
        asks["question"].as_str().is_some_and(|text| text.contains("groq")),
        "{asks}"
    );
    let words = run(&program, "route", "");
    assert!(words.out.starts_with("would answer, if you consent"), "{words:?}");
    let goes = run(&program, "route", "--mode prefer-in-cloud --yes --json").object();
    assert_eq!(goes["decision"], "go");
    assert_eq!(
        goes["target"],
        json!({ "place": "remote", "provider": "groq", "model": "openai/gpt-oss-120b" })
    );
    assert_eq!(
        (&goes["rule"], &goes["policy"]),
        (&json!("preferred"), &json!("custom-1"))
    );
    assert!(
        goes["reason"].is_string() && goes["then"].is_array() && goes["expected"].is_object(),
        "{goes}"
    );
    let never = program.run(["policy", "set", "never=groq"]);
    assert_eq!(never.code, Some(0), "{never:?}");
    let nowhere = run(&program, "route", "--mode only-in-cloud --json");
    let (what, help) = nowhere.error();
    assert!(
        what.contains("never allows `groq`") && help.contains("nearside policy set"),
        "{what}; {help}"
    );
    let said = &nowhere.lines()[0];
    assert_eq!((&said["decision"], &said["target"]), (&json!("nowhere"), &Value::Null));
    let skipped = &said["skipped"][0];
    assert!(
        ["target", "rule", "reason"].iter().all(|key| !skipped[key].is_null()),
        "{said}"
    );
    assert_eq!(skipped["rule"], "allowed");

    let words = run(&program, "route", "--mode only-in-cloud");
    assert!(
        words
            .out
            .starts_with("no target can answer (rule allowed of policy custom-2)"),
        "{words:?}"
    );
    assert_eq!(provider.chats().len(), 0, "deciding sends no word");
}

#[test]
fn cost_is_an_array_with_what_each_place_would_take_and_when_that_was_known() {
    let (program, provider) = groq();
    let rows = run(&program, "cost", "--max-tokens 100 --json").object();
    let rows = rows.as_array().expect("an array").clone();
    for row in &rows {
        let (target, figures) = (
            &row["target"],
            ["usd_in", "usd_out", "usd_total", "usd_least", "usd_most"],
        );
        assert!(
            target["place"].is_string() && row["as_of"].is_string() && row["set_up"].is_boolean(),
            "{row}"
        );
        assert!(
            figures.iter().all(|key| row[key].is_number() || row[key].is_null()),
            "{row}"
        );
    }
    let mine: Vec<_> = rows.iter().filter(|row| row["set_up"] == true).collect();
    assert!(
        mine.iter().all(|row| row["target"]["provider"] == "groq") && !mine.is_empty(),
        "{mine:?}"
    );
    assert!(
        rows.iter().any(|row| row["target"]["provider"] == "deepseek"),
        "others are compared"
    );
    let table = run(&program, "cost", "");
    assert!(
        table.out.starts_with("TARGET") && table.out.contains("openai/gpt-oss-120b at groq"),
        "{table:?}"
    );
    assert_eq!(provider.connections(), 0, "nobody is asked for a price");
    let wrong = program.run(["cost", "--by", "day"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn what_was_spent_is_what_receipts_said() {
    let (program, _provider) = groq();
    let mut usd = 0.0;
    for _ in 0..2 {
        let chunks = chat(&program, "--mode only-in-cloud --yes --json").lines();
        let done = chunks.last().expect("chunks");
        assert_eq!(done["receipt"]["policy"], "custom-1");
        usd += done["receipt"]["cost_usd"].as_f64().expect("a cost");
    }
    assert!(usd > 0.0);
    for (by, key) in [
        ("model", "openai/gpt-oss-120b at groq"),
        ("provider", "groq"),
        ("purpose", "chat"),
    ] {
        let rows = program.run(["cost", "--spent", "--by", by, "--json"]).object();
        assert_eq!(
            (&rows[0]["key"], &rows[0]["requests"]),
            (&json!(key), &json!(2)),
            "{rows}"
        );
        let spent = rows[0]["usd"].as_f64().expect("a sum");
        assert!((spent - usd).abs() < 1e-8, "{spent} {usd}");
    }
    let words = program.run(["cost", "--spent"]);
    assert!(
        words.out.starts_with("DAY") && words.err.starts_with("today $0.0"),
        "{words:?}"
    );
}

#[test]
fn caps_that_are_set_hold_before_anything_is_sent() {
    let (program, provider) = groq();
    let set = program.run([
        "policy",
        "set",
        "max-usd-request=0.0000001",
        "max-usd-month=5",
        "--json",
    ]);
    let policy = set.object();
    assert_eq!(
        (&policy["version"], &policy["max_usd_month"]),
        (&json!("custom-2"), &json!(5.0))
    );
    let capped = chat(&program, "--mode only-in-cloud --yes");
    let (what, help) = capped.error();
    assert!(
        what.contains("the policy allows") && help.contains("raise the cap"),
        "{what}; {help}"
    );
    let lifted = program.run(["policy", "set", "max-usd-request=none", "version=lifted"]);
    assert!(
        lifted.out.contains("version=lifted") && lifted.out.contains("max-usd-request=none"),
        "{lifted:?}"
    );
    let asked = chat(&program, "--mode only-in-cloud --yes --max-usd 0.0000001");
    assert!(asked.error().0.contains("the request may cost"), "{asked:?}");
    assert_eq!(provider.chats().len(), 0);
    let ran = chat(&program, "--mode only-in-cloud --yes --max-usd 0.5 --json");
    assert_eq!(
        ran.lines().last().expect("chunks")["receipt"]["policy"],
        "lifted",
        "{ran:?}"
    );
    for (wrong, hint) in [
        ("colour=red", "no key"),
        ("regions=Germany", "two letters"),
        ("regions=,", "empty"),
        ("regions=DE,,FR", "empty"),
        ("regions=UK", "`GB`"),
        ("regions=XX", "two letters"),
        ("max-usd-day=much", "0.05"),
        ("max-usd-day=1e308", "1000000"),
        ("max-usd-day=-1", "1000000"),
    ] {
        let ran = program.run(["policy", "set", wrong]);
        assert_eq!(ran.code, Some(2), "{wrong}");
        assert!(ran.err.contains(hint), "{wrong}: {ran:?}");
    }
    let zero = program.run(["policy", "set", "max-usd-day=-0", "regions=gb,EU"]);
    assert!(
        zero.out.contains("max-usd-day=0 ") && zero.out.contains("regions=GB,EU"),
        "{zero:?}"
    );
    assert_eq!(chat(&program, "--max-usd 1e308").code, Some(2));
}

#[test]
fn a_kind_that_is_excluded_is_excluded_under_any_name_and_an_unknown_name_is_told() {
    let program = Program::new();
    let provider = Provider::builder(Dialect::Groq).key(KEY).start().expect("a port");
    let key = program.data_dir().with_file_name("key");
    std::fs::write(&key, KEY).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    let key = key.to_str().expect("UTF-8");
    let add = [
        "providers",
        "add",
        "work",
        "--kind",
        "groq",
        "--base-url",
        &provider.url(),
        "--key-file",
        key,
    ];
    assert_eq!(program.run(add).code, Some(0));
    let set = program.run([
        "policy",
        "set",
        "allow-retention=true",
        "never=Groq,Mistral",
        "providers=",
    ]);
    assert!(set.err.contains("`Mistral`") && !set.err.contains("`Groq`"), "{set:?}");
    let ran = chat(&program, "--mode only-in-cloud --yes");
    let (what, _) = ran.error();
    assert!(what.contains("never allows `groq`, the kind of `work`"), "{what}");
    assert_eq!(provider.connections(), 0, "not even its list is fetched");
    let only = program.run(["policy", "set", "never=", "providers=groq"]);
    assert!(only.err.contains("exactly this name"), "{only:?}");
    assert!(
        chat(&program, "--mode only-in-cloud --yes")
            .error()
            .0
            .contains("`work` is not among")
    );
    let known = program.run(["policy", "set", "never=work", "providers=work"]);
    assert_eq!((known.code, known.err.as_str()), (Some(0), ""), "{known:?}");
}

#[test]
fn a_key_that_a_provider_refuses_is_told_with_the_command_that_sets_one() {
    let (program, _provider) = with_key("sk-another");
    let ran = chat(&program, "--mode only-in-cloud --yes");
    let (what, help) = ran.error();
    assert!(
        what.contains("groq") && help.contains("nearside providers add"),
        "{what}; {help}"
    );
    assert!(!ran.err.contains("HF_TOKEN") && !ran.err.contains(KEY), "{ran:?}");
}

/// A question, with these flags.
fn run(program: &Program, command: &str, flags: &str) -> Ran {
    let flags = flags.split_whitespace();
    program.run([command, "-p", TIDES].into_iter().chain(flags))
}

fn chat(program: &Program, flags: &str) -> Ran {
    run(program, "chat", flags)
}

/// Runs a conversation whose prompts come from a pipe.
fn converse(program: &Program, flags: &str, prompts: &str) -> Ran {
    let (reading, mut writing) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut writing, prompts.as_bytes()).expect("room in the pipe");
    drop(writing);
    let mut command = program.command(["chat"].into_iter().chain(flags.split_whitespace()));
    let _turn = turn(&command);
    Ran::new(command.stdin(reading).output().expect("it runs"))
}

fn messages(chat: &Value) -> &Vec<Value> {
    chat["messages"].as_array().expect("messages")
}

/// The program with a terminal for all three of its channels.
pub(super) fn on_terminal(program: &Program, arguments: &[&str]) -> PtySession {
    let mut command = program.command(arguments);
    command.stdin(Stdio::inherit()).env("TERM", "xterm-256color");
    spawn_command(command, Some(PATIENCE_MS)).expect("a terminal")
}

/// How long to wait for something to be shown.
const PATIENCE_MS: u64 = 60_000;
