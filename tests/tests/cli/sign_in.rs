//! `nearside providers sign-in`, with a browser that is played here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use nearside_tests::provider::{Dialect, Provider};
use nearside_tests::remote::KEY;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::program::{Program, Ran};

/// OpenRouter, set up with a key that is not there.
fn openrouter() -> (Program, Provider) {
    let program = Program::new();
    let provider = Provider::builder(Dialect::OpenRouter).key(KEY).start().expect("a port");
    let add = [
        "providers",
        "add",
        "openrouter",
        "--base-url",
        &provider.url(),
        "--key-env",
        "NOT_SET",
    ];
    assert_eq!(program.run(add).code, Some(0));
    (program, provider)
}

/// A sign-in under way, and the address to open.
struct SigningIn {
    child: Child,
    notes: BufReader<std::process::ChildStderr>,
    page: String,
}

impl SigningIn {
    fn start(program: &Program, flags: &[&str]) -> Self {
        let arguments = ["providers", "sign-in", "openrouter"].iter().chain(flags);
        let mut child = program
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut notes = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut page = String::new();
        while !page.trim_start().starts_with("http") {
            page.clear();
            assert!(
                notes.read_line(&mut page).expect("UTF-8") > 0,
                "it ended without an address"
            );
        }
        let page = page.trim().to_owned();
        Self { child, notes, page }
    }

    fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.page.split_once('?')?;
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
        Some(value.replace("%3A", ":").replace("%2F", "/"))
    }

    /// What the browser is redirected to, without its query.
    fn callback(&self) -> String {
        self.query("callback_url").expect("a callback")
    }

    fn end(mut self) -> Ran {
        let mut rest = String::new();
        self.notes.read_to_string(&mut rest).expect("UTF-8");
        let output = self.child.wait_with_output().expect("it ends");
        Ran {
            err: rest,
            ..Ran::new(output)
        }
    }
}

/// Gets a page as a browser does. Returns status line, headers and body.
fn get(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("http");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host.replace("localhost", "127.0.0.1");
    let mut connection = TcpStream::connect(address).expect("it listens");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // The provider keeps the connection open after its head.
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = connection.read(&mut buffer).expect("an answer");
        assert!(read > 0, "a whole head");
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(answer).expect("UTF-8")
}

fn redirect_of(page: &str) -> String {
    let answer = get(page);
    let found = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("a redirect: {answer}"))
}

#[test]
fn a_browser_brings_the_code_and_the_key_is_stored_for_its_owner() {
    let (program, provider) = openrouter();
    let signing_in = SigningIn::start(&program, &["--json"]);
    assert!(signing_in.page.starts_with(&provider.origin()), "{}", signing_in.page);
    // Browsers ask for an icon, and open connections that they do not use.
    let port = signing_in.callback();
    let host = port.strip_prefix("http://localhost:").expect("a loopback address");
    let port = host.split('/').next().expect("a port");
    let _unused = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    assert!(get(&format!("http://localhost:{port}/favicon.ico")).starts_with("HTTP/1.1 404"));
    assert!(get(&format!("http://localhost:{port}/?code=stray")).starts_with("HTTP/1.1 404"));
    let redirect = redirect_of(&signing_in.page);
    assert!(get(&redirect).starts_with("HTTP/1.1 200"));
    let ran = signing_in.end();
    let added = ran.object();
    assert_eq!(
        (&added["name"], &added["has_key"], &added["key"]),
        (&json!("openrouter"), &json!(true), &json!("file"))
    );
    assert!(!ran.out.contains(KEY) && !ran.err.contains(KEY), "{ran:?}");
    let kept = program.data_dir().join("keys/openrouter");
    assert_eq!(std::fs::read_to_string(&kept).expect("the key"), KEY);
    assert_eq!(kept.metadata().expect("the key").permissions().mode() & 0o777, 0o600);
    assert!(!kept.with_extension("env").exists(), "the variable is replaced");
    let models = program.run(["providers", "models", "openrouter", "--json"]);
    assert_eq!(models.code, Some(0), "the key is accepted: {models:?}");
}

#[test]
fn with_code_the_user_types_what_the_page_shows() {
    let (program, provider) = openrouter();
    let mut signing_in = SigningIn::start(&program, &["--code"]);
    assert_eq!(signing_in.query("callback_url"), None);
    let code = provider.sign_in(&signing_in.query("code_challenge").expect("a challenge"));
    let mut typed = signing_in.child.stdin.take().expect("a pipe");
    writeln!(typed, "  {code} ").expect("it reads");
    let ran = signing_in.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("signed in at openrouter\n"), "{ran:?}");
    assert!(program.data_dir().join("keys/openrouter").is_file());
}

#[test]
fn a_code_that_is_wrong_or_missing_stores_nothing() {
    let (program, _provider) = openrouter();
    for (typed, named) in [
        ("auth_code_9\n", "the code is wrong"),
        ("\n", "no code"),
        ("", "no code"),
    ] {
        let mut signing_in = SigningIn::start(&program, &["--code"]);
        let mut input = signing_in.child.stdin.take().expect("a pipe");
        input.write_all(typed.as_bytes()).expect("it reads");
        drop(input);
        let ran = signing_in.end();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(named) && ran.err.contains("\nhelp: "), "{ran:?}");
    }
    let refused = SigningIn::start(&program, &[]);
    assert!(get(&format!("{}?error=access_denied", refused.callback())).starts_with("HTTP/1.1 400"));
    let ran = refused.end();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("not confirmed") && ran.err.contains("--code"),
        "{ran:?}"
    );
    assert!(!program.data_dir().join("keys/openrouter").exists());
}

#[test]
fn a_sign_in_that_is_interrupted_sets_nothing_up() {
    for flags in [vec![], vec!["--code"]] {
        let program = Program::new();
        let signing_in = SigningIn::start(&program, &flags);
        assert!(
            signing_in.page.starts_with("https://openrouter.ai/auth?"),
            "{}",
            signing_in.page
        );
        kill(Pid::from_raw(signing_in.child.id().cast_signed()), Signal::SIGINT).expect("it runs");
        let ran = signing_in.end();
        assert_eq!((ran.code, ran.out.as_str()), (Some(130), ""), "{ran:?}");
        let listed = program.run(["providers", "ls", "--offline", "--json"]).object();
        assert_eq!(listed["providers"], json!([]));
        assert!(!program.data_dir().join("keys").exists());
    }
}

#[test]
fn a_provider_without_a_sign_in_is_told_with_the_command_that_sets_a_key() {
    let program = Program::new();
    let server = Provider::start(Dialect::Groq);
    let add = [
        "providers",
        "add",
        "groq",
        "--base-url",
        &server.url(),
        "--key-env",
        "NOT_SET",
    ];
    assert_eq!(program.run(add).code, Some(0));
    let ran = program.run(["providers", "sign-in", "groq"]);
    let (what, help) = ran.error();
    assert!(
        what.contains("`groq` has no sign-in") && help.contains("providers add"),
        "{what}; {help}"
    );
    let unknown = program.run(["providers", "sign-in", "nobody"]);
    assert!(unknown.error().0.contains("`nobody`"), "{unknown:?}");
    let wrong = program.run(["providers", "sign-in", "../openrouter"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
