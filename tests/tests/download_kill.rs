//! `kill -9` in the middle of `nearside pull`, again and again: the real program, the real model, real sockets.
//!
//! The program is the one that `NEARSIDE_BIN` names, else `nearside` beside this test in the target directory.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nearside_tests::hub::{Host, Hub};
use nearside_tests::scene::Scene;
use nearside_tests::{models, small};

const SMOLLM2_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Bytes a second. Twenty runs of at most [`LONGEST`] do not fetch the whole model, so every kill strikes in the middle.
const RATE: u64 = 40_000_000;
const LONGEST: Duration = Duration::from_millis(110);

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("NEARSIDE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("this test");
    let path = test.ancestors().nth(2).expect("the target directory").join("nearside");
    assert!(
        path.is_file(),
        "`{}` is missing; run `cargo build --release -p nearside-cli`",
        path.display()
    );
    path
}

fn pull(hub: &Hub, scene: &Scene) -> Child {
    Command::new(program())
        .args(["--json", "--hub", &hub.url(), "--data-dir"])
        .arg(scene.directory.path())
        .args(["pull", "hf:o/smol"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

#[test]
fn killed_at_twenty_random_moments_every_pull_goes_on_and_the_last_is_whole() {
    let file = models::path("smollm2.gguf");
    let hub = Hub::builder().file("o/smol", &file).rate(RATE).start().expect("a hub");
    let scene = Scene::new(&hub);
    let mut noise = small::noise(5);
    let mut fresh_starts = 0;
    for _ in 0..20 {
        let held = scene.held();
        fresh_starts += u32::from(held == 0);
        let mut child = pull(&hub, &scene);
        let share = f64::from(noise.next().unwrap_or_default()) / 255.0;
        // The moment itself is what is tested: no signal could choose it.
        std::thread::sleep(LONGEST.mul_f64(share));
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert!(scene.held() >= held, "what was held stays held");
    }
    assert!(scene.held() > 0, "some run came as far as the first byte");

    let last = pull(&hub, &scene).wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&last.stderr);
    assert!(last.status.success(), "{complaint}");
    let events = String::from_utf8(last.stdout).expect("text");
    let installed: serde_json::Value = serde_json::from_str(events.lines().last().expect("an event")).expect("JSON");
    assert_eq!(installed["type"], "installed");
    let bytes = std::fs::read(installed["path"].as_str().expect("a path")).expect("the model");
    assert_eq!(small::sha256(&bytes), SMOLLM2_SHA256);

    let starts: Vec<u64> = hub
        .log()
        .iter()
        .filter(|request| request.host == Host::Cdn)
        .filter_map(|request| {
            let range = request.range.as_deref()?.strip_prefix("bytes=")?;
            range.split('-').next()?.parse().ok()
        })
        .collect();
    let from_zero = starts.iter().filter(|start| **start == 0).count();
    assert!(
        from_zero <= fresh_starts as usize,
        "from zero only where nothing was held: {starts:?}"
    );
    assert!(scene.held() == 0, "nothing is left over");
}
