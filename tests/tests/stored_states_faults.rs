//! States of conversations on the disk, and what can go wrong with them: damage, a full disk, a kill while one is written. The
//! conversation goes on, as if there had been no state.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nearside::{Config, Nearside};
use nearside_tests::phone::{Phone, story};
use nearside_tests::tiny_models::TinyShape;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_and_that_of_another_context_are_not_used_and_the_answer_is_the_same() {
    let original = Phone::tiny(TinyShape::Full);
    let nearside = original.open();
    let id = original.create(&nearside.conversations()).await;
    original.say(&nearside.conversations(), id, &story(900)).await;
    nearside.shut_down().await.expect("ended");
    drop(nearside);
    let length = std::fs::read(&original.states()[0]).expect("a file").len();
    let mut texts = Vec::new();
    for at in [
        None,
        Some(0),
        Some(20),
        Some(90),
        Some(400),
        Some(length / 2),
        Some(length - 1),
    ] {
        let phone = original.copy();
        let path = phone.states()[0].clone();
        if let Some(at) = at {
            let mut bytes = std::fs::read(&path).expect("a file");
            bytes[at] ^= 4;
            std::fs::write(&path, bytes).expect("written");
        }
        let nearside = phone.open();
        let answer = phone.say(&nearside.conversations(), id, "Go on.").await;
        assert_eq!(answer.cached() > 900, at.is_none(), "{at:?}: {}", answer.cached());
        // What does not begin as a state may be of something else, and stays.
        assert_eq!(path.exists(), at.is_none_or(|at| at == 0), "{at:?}");
        texts.push(answer.text[..4].to_owned());
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
    let larger = Phone {
        context: 4352,
        ..original.copy()
    };
    let nearside = larger.open();
    let answer = larger.say(&nearside.conversations(), id, "Go on.").await;
    assert_eq!(answer.cached(), 0);
    assert_eq!(larger.states().len(), 1, "it is kept for its own context");
}

/// A limit on the size of files, in a process of its own: the limit is the process's.
#[cfg(unix)]
#[test]
fn on_a_full_disk_nothing_is_stored_and_nothing_fails() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::signal::{SigSet, Signal};
    const CHILD: &str = "NEARSIDE_TEST_FULL_DISK";
    const NAME: &str = "on_a_full_disk_nothing_is_stored_and_nothing_fails";
    if std::env::var_os(CHILD).is_none() {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        let output = child
            .args(["--exact", NAME])
            .env(CHILD, "1")
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}", output.status);
        return;
    }
    // The threads that are started from here on inherit it: the write fails then, and ends no process.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGXFSZ);
    blocked.thread_block().expect("blocked");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let phone = Phone::tiny(TinyShape::Full);
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let id = phone.create(&conversations).await;
        let first = phone.say(&conversations, id, &story(900)).await;
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("a limit");
        setrlimit(Resource::RLIMIT_FSIZE, 1 << 16, hard).expect("lowered");
        nearside.unload(None).await.expect("unloaded");
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).expect("raised");
        assert_eq!(phone.states().len() + phone.files("draft").len(), 0);
        let answer = phone.say(&conversations, id, "Go on.").await;
        assert_eq!(answer.cached(), 0);
        nearside.unload(None).await.expect("unloaded");
        assert!(phone.states()[0].metadata().expect("a file").len() > 1 << 16);
        assert!(first.prompt() < answer.prompt());
    });
}

/// Kills the process as soon as a file is being written. The next one answers, and clears up.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_writes_a_state_the_next_process_answers_and_clears_up() {
    const CHILD: &str = "NEARSIDE_TEST_STATE_WRITER";
    const NAME: &str = "killed_while_it_writes_a_state_the_next_process_answers_and_clears_up";
    let mut phone = Phone::tiny(TinyShape::Full);
    if let Some(paths) = std::env::var_os(CHILD) {
        let paths = paths.to_string_lossy().into_owned();
        let (directory, model) = paths.split_once('\n').expect("two paths");
        phone.model = model.into();
        let nearside = Nearside::new(Config {
            context: Some(phone.context),
            threads: phone.threads,
            ..Config::new(directory)
        });
        let nearside = nearside.expect("the library opens");
        let id = phone.create(&nearside.conversations()).await;
        phone.say(&nearside.conversations(), id, &story(3600)).await;
        nearside.shut_down().await.expect("ended");
        return;
    }
    let mut cut = 0;
    for _ in 0..6 {
        let paths = format!("{}\n{}", phone.directory().display(), phone.model.display());
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", NAME])
            .env(CHILD, paths)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        while phone.files("draft").is_empty() && child.try_wait().expect("a child").is_none() {
            // No signal says that a file is there.
            std::thread::sleep(Duration::from_micros(100));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        cut += u32::from(!phone.files("draft").is_empty());
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let last = conversations.list(Some(1), 0).await.expect("a list")[0].id;
        let answer = phone.say(&conversations, last, "Go on.").await;
        assert!(answer.cached() == 0 || answer.cached() > 3000, "{}", answer.cached());
        conversations.delete(last).await.expect("deleted");
        assert!(phone.files("draft").is_empty());
    }
    println!("{cut} of 6 kills came while a file was written");
    assert!(cut > 0);
}

/// Opens a library where nothing can be written beside what exists.
#[tokio::test(flavor = "multi_thread")]
async fn where_states_cannot_be_stored_conversations_go_on() {
    let phone = Phone::tiny(TinyShape::Full);
    std::fs::create_dir_all(phone.directory()).expect("created");
    std::fs::write(phone.directory().join("states"), "a file").expect("written");
    for _ in 0..2 {
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let id = phone.create(&conversations).await;
        phone.say(&conversations, id, &story(600)).await;
        nearside.unload(None).await.expect("unloaded");
        phone.say(&conversations, id, "Go on.").await;
        conversations.delete(id).await.expect("deleted");
        conversations.purge().await.expect("purged");
        nearside.shut_down().await.expect("ended");
    }
    assert!(is_file(&phone.directory().join("states")));
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file())
}
