//! The proxy of the environment: used for what is on the internet, and only there.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use super::program::{Program, Ran};

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
    let (what, _) = ran.error();
    assert!(what.contains("proxy"), "{what}");
}
