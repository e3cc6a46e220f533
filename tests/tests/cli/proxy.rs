//! The proxy of the environment: used for what is on the internet, and only there.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use nearside_tests::provider::{Dialect, Provider};

use super::program::{Program, Ran, turn};

/// A proxy that takes the first line of each connection and closes it.
fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    (url, received)
}

#[test]
fn the_proxy_of_the_environment_is_asked_for_hosts_of_the_internet_and_not_for_those_of_no_proxy() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let (url, received) = proxy();
        let program = Program::new();
        let fit = |no_proxy: &str| {
            let mut command = program.command(["--hub", "https://hub.invalid", "fit", "hf:org/repo"]);
            command.env(variable, &url).env("NO_PROXY", no_proxy);
            Ran::new(command.output().expect("the program starts"))
        };
        let ran = fit("");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let line = received.recv_timeout(Duration::from_secs(20)).expect("a connection");
        assert!(line.starts_with("CONNECT hub.invalid:443 "), "{variable}: {line}");
        while received.try_recv().is_ok() {}
        let ran = fit("hub.invalid");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(received.recv_timeout(Duration::from_millis(300)).is_err(), "{variable}");
    }
}

#[test]
fn a_proxy_that_is_no_address_is_a_clear_error() {
    let program = Program::new();
    let mut command = program.command(["--hub", "https://hub.invalid", "fit", "hf:org/repo"]);
    let ran = Ran::new(
        command
            .env("HTTPS_PROXY", "not a proxy")
            .output()
            .expect("the program starts"),
    );
    let (what, help) = ran.error();
    assert!(what.contains("the proxy's address `not a proxy`"), "{what}");
    assert!(help.contains("`HTTPS_PROXY`"), "{help}");
}

#[test]
fn with_a_proxy_that_is_no_address_only_what_uses_the_network_fails_and_no_password_is_shown() {
    let (program, id) = Program::with_model();
    let server = Provider::start(Dialect::LlamaServer);
    for (variable, value) in [
        ("HTTPS_PROXY", ":::"),
        ("all_proxy", "user:canary@proxy.example:no-port"),
    ] {
        let run = |arguments: &[&str]| {
            let mut command = program.command(arguments);
            command.env(variable, value);
            let _turn = turn(&command);
            let ran = Ran::new(command.output().expect("the program starts"));
            assert!(!ran.err.contains("canary") && !ran.out.contains("canary"), "{ran:?}");
            ran
        };
        let url = server.url();
        for arguments in [
            &["ls"][..],
            &["fit", &id],
            &["policy"],
            &["chat", &id, "-p", "Hello", "--max-tokens", "2"],
            &["catalog", "--offline"],
            &["providers", "add", "groq", "--key-env", "KEY"],
            &["providers", "add", "llama-server", "--base-url", &url],
            // An own server in a private network is reached without the proxy.
            &["chat", "-p", "Hello", "--provider", "llama-server"],
        ] {
            let ran = run(arguments);
            assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        }
        for arguments in [
            &["--hub", "https://hub.invalid", "fit", "hf:org/repo"][..],
            &["--hub", "https://hub.invalid", "pull", "hf:org/repo"],
            &["providers", "models", "groq"],
        ] {
            let ran = run(arguments);
            let (what, help) = ran.error();
            assert!(what.contains("the proxy's address"), "{arguments:?}: {what}");
            assert!(help.contains(&format!("`{variable}`")), "{arguments:?}: {help}");
        }
        let problems = run(&["doctor", "--json"]).object()["problems"].to_string();
        assert!(
            problems.contains("the proxy's address") && problems.contains(variable),
            "{problems}"
        );
    }
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named_with_host_and_port() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let program = Program::new();
    assert_eq!(
        program.run(["providers", "add", "groq", "--key-env", "KEY"]).code,
        Some(0)
    );
    for scheme in ["http", "socks5h"] {
        let run = |arguments: &[&str]| {
            let mut command = program.command(arguments);
            command
                .env("HTTPS_PROXY", format!("{scheme}://user:canary@{address}"))
                .env("KEY", "sk-1");
            Ran::new(command.output().expect("the program starts"))
        };
        for arguments in [
            &["--hub", "https://hub.invalid", "fit", "hf:org/repo"][..],
            &["providers", "models", "groq"],
        ] {
            let ran = run(arguments);
            let (what, _) = ran.error();
            assert!(
                what.contains(&format!("through the proxy `{address}`")),
                "{scheme}: {what}"
            );
            assert!(!what.contains("canary"), "{what}");
        }
    }
}
