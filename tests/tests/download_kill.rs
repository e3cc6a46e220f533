//! `kill -9` during `nearside pull`, repeatedly: the real program, a real model, real sockets.
//!
//! Runs the program in `NEARSIDE_BIN`, by default `nearside` in the target directory of this test.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nearside_tests::fixtures::TestDevice;
use nearside_tests::hub::{Host, Hub};
use nearside_tests::{models, tiny_models};

/// Bytes per second. Twenty runs of [`MAX_RUN_TIME`] do not fetch the whole model, so every kill hits the download.
const RATE: u64 = 40_000_000;
const MAX_RUN_TIME: Duration = Duration::from_millis(110);

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

fn pull(hub: &Hub, device: &TestDevice) -> Child {
    Command::new(program())
        .args(["--json", "--hub", &hub.url(), "--data-dir"])
        .arg(device.directory.path())
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
    let device = TestDevice::new(&hub);
    let mut noise = tiny_models::noise(5);
    let mut fresh_starts = 0;
    for _ in 0..20 {
        let held = device.partial_bytes();
        fresh_starts += u32::from(held == 0);
        let mut child = pull(&hub, &device);
        let share = f64::from(noise.next().unwrap_or_default()) / 255.0;
        // The random time of the kill is the point of the test, so no signal can replace the sleep.
        std::thread::sleep(MAX_RUN_TIME.mul_f64(share));
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert!(device.partial_bytes() >= held, "what was held stays held");
    }
    assert!(device.partial_bytes() > 0, "some run came as far as the first byte");

    let last = pull(&hub, &device).wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&last.stderr);
    assert!(last.status.success(), "{complaint}");
    let events = String::from_utf8(last.stdout).expect("text");
    let installed: serde_json::Value = serde_json::from_str(events.lines().last().expect("an event")).expect("JSON");
    assert_eq!(installed["type"], "installed");
    let bytes = std::fs::read(installed["path"].as_str().expect("a path")).expect("the model");
    assert_eq!(tiny_models::sha256(&bytes), models::SMOLLM2_SHA256);

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
    assert!(device.partial_bytes() == 0, "nothing is left over");
}
