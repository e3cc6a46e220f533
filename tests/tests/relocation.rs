//! The move of an earlier release's data into the data directory: whole, once, and whatever happens in the middle.

#![cfg(unix)]
#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nearside::state::{move_data, move_data_with};
use nearside::{Config, ErrorKind, ErrorReason, Nearside};
use nearside_tests::old_library;
use rusqlite::{Connection, OpenFlags};

const FILES: [&str; 2] = ["state.db", "conversations.db"];

/// An old library's directory, and a data directory that does not exist yet.
struct Old {
    _folder: tempfile::TempDir,
    directory: PathBuf,
    data: PathBuf,
}

fn old() -> Old {
    let folder = tempfile::tempdir().expect("a folder");
    let (directory, data) = (folder.path().join("library"), folder.path().join("data"));
    old_library::write(&directory);
    Old {
        _folder: folder,
        directory,
        data,
    }
}

fn mover(old: &Old, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nearside-mover"))
        .args(["--from".as_ref(), old.directory.as_os_str()])
        .args(["--to".as_ref(), old.data.as_os_str()])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Kills the program after this many steps. Returns whether it was still at work.
fn kill_after(steps: usize, old: &Old, flags: &[&str]) -> bool {
    let mut child = mover(old, &[flags, &["--step"]].concat());
    let mut go_on = child.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for step in 0..steps {
        if step > 0 {
            writeln!(go_on).expect("it waits");
        }
        if lines.next().is_none() {
            let status = child.wait().expect("gone");
            assert!(status.success(), "{status}");
            return false;
        }
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    true
}

/// Asserts that each file is in one directory or in both, and that the other has no half of it.
fn assert_some_whole(old: &Old, at: &str) {
    for file in FILES {
        let places = [old.directory.join(file), old.data.join(file)];
        let sound = |path: &Path| {
            // Without writing, so that a log is not copied into its file here.
            let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
            let result: String = file
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .expect("checked");
            result == "ok"
        };
        let present: Vec<_> = places.iter().filter(|path| path.exists()).collect();
        assert!(!present.is_empty(), "{at}: `{file}` is lost");
        assert!(present.iter().all(|path| sound(path)), "{at}: `{file}` is damaged");
    }
}

async fn assert_moved(old: &Old) {
    old_library::assert_complete(&old.directory, &old.data).await;
    for file in FILES {
        assert!(old.data.join(file).exists(), "`{file}` arrived");
        for rest in ["", "-wal", "-shm", "-journal"] {
            assert!(
                !old.directory.join(format!("{file}{rest}")).exists(),
                "`{file}{rest}` is left"
            );
        }
    }
    let left = ["moving", "state.incoming", "conversations.incoming"];
    assert!(left.iter().all(|name| !old.data.join(name).exists()));
    assert!(!old.directory.join("moving").exists());
}

#[tokio::test]
async fn an_old_library_opens_with_all_that_it_had_and_again() {
    let old = old();
    assert_moved(&old).await;
    assert_moved(&old).await;
    let unset = Nearside::new(Config::new(old.directory.to_string_lossy()));
    let error = unset.expect_err("its data is elsewhere");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
}

#[tokio::test]
async fn an_old_library_without_a_data_directory_stays_as_it_is() {
    let old = old();
    old_library::assert_complete(&old.directory, &old.directory).await;
    assert!(!old.data.exists());
}

#[tokio::test]
async fn killed_after_each_step_of_the_move_it_loses_nothing_and_the_next_start_completes_it() {
    let mut kills = 0;
    for flags in [&[][..], &["--copy"]] {
        for steps in 1.. {
            let old = old();
            // Enough for twenty steps of copying.
            old_library::enlarge(&old.directory, 4 << 20);
            let killed = kill_after(steps, &old, flags);
            assert_some_whole(&old, &format!("{flags:?}, killed after step {steps}"));
            if !killed {
                assert_moved(&old).await;
                break;
            }
            kills += 1;
            // The next attempt is killed, too, wherever it is by then.
            kills += usize::from(kill_after(steps % 3 + 1, &old, flags));
            assert_some_whole(&old, &format!("{flags:?}, killed after step {steps} and again"));
            assert_moved(&old).await;
        }
    }
    println!("{kills} kills");
    assert!(kills >= 40, "only {kills} kills");
}

#[tokio::test]
async fn a_move_that_was_killed_opens_only_with_its_data_directory() {
    let alone = |directory: &Path| Nearside::new(Config::new(directory.to_string_lossy()));
    for flags in [&[][..], &["--copy"]] {
        for steps in 1.. {
            let old = old();
            if !kill_after(steps, &old, flags) {
                break;
            }
            if old.directory.join("moving").exists() {
                let error = alone(&old.directory).expect_err("its data is on its way");
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "step {steps}: {error}");
                // Parts of a library are no library.
                let error = alone(&old.data).expect_err("its data is on its way here");
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "step {steps}: {error}");
            }
            assert_moved(&old).await;
        }
    }
}

#[tokio::test]
async fn the_move_goes_to_another_file_system_as_well() {
    let other = Path::new("/dev/shm");
    let folder = match other.is_dir() {
        true => tempfile::tempdir_in(other),
        false => tempfile::tempdir(),
    };
    let folder = folder.expect("a folder");
    let old = Old {
        data: folder.path().join("data"),
        ..old()
    };
    assert_moved(&old).await;
}

#[tokio::test]
async fn processes_that_start_at_once_move_it_once() {
    for flags in [&[][..], &["--copy"]] {
        let old = old();
        let movers: Vec<Child> = (0..4).map(|_| mover(&old, flags)).collect();
        let here = std::thread::spawn({
            let (from, to) = (old.directory.clone(), old.data.clone());
            move || move_data(&from, &to)
        });
        here.join().expect("no panic").expect("moved, or already moved");
        let mut arrived = 0;
        for child in movers {
            let output = child.wait_with_output().expect("gone");
            assert!(output.status.success(), "{}", output.status);
            let steps = String::from_utf8(output.stdout).expect("text");
            arrived += steps.lines().filter(|step| *step == "Arrived").count();
        }
        // This process may have moved them.
        assert!([0, FILES.len()].contains(&arrived), "{arrived} files arrived");
        assert_moved(&old).await;
    }
}

#[tokio::test]
async fn a_file_that_is_in_use_stays_and_the_error_says_so() {
    let old = old();
    let user = Connection::open(old.directory.join("state.db")).expect("opened");
    let providers: i64 = user
        .query_row("SELECT count(*) FROM provider", [], |row| row.get(0))
        .expect("read");
    assert_eq!(providers, 2);
    let error = move_data(&old.directory, &old.data).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(old.directory.join("state.db").exists() && !old.data.join("state.db").exists());
    drop(user);
    assert_moved(&old).await;
}

#[tokio::test]
async fn what_the_data_directory_has_is_not_replaced_and_an_unfinished_move_goes_nowhere_else() {
    let old = old();
    assert!(kill_after(3, &old, &[]));
    // Another account of the same app, with the same models.
    let other = old.directory.with_extension("other");
    let open = |data: &Path| {
        Nearside::new(Config {
            data_directory: Some(data.to_string_lossy().into_owned()),
            ..Config::new(old.directory.to_string_lossy())
        })
    };
    let nearside = open(&other).expect("it opens");
    assert!(nearside.providers().await.expect("listed").is_empty());
    drop(nearside);
    assert_moved(&old).await;

    // A file that an older release wrote into the first directory later.
    std::fs::write(old.directory.join("state.db"), "not moved").expect("written");
    old_library::assert_complete(&old.directory, &old.data).await;
    assert_eq!(
        std::fs::read(old.directory.join("state.db")).expect("there"),
        b"not moved"
    );
}

#[test]
fn a_copy_that_fails_leaves_the_original_and_no_half() {
    let old = old();
    std::fs::create_dir_all(old.data.join("state.incoming")).expect("in the way");
    let error = move_data_with(&old.directory, &old.data, true, &mut |_| {}).expect_err("in the way");
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(old.directory.join("state.db").exists() && !old.data.join("state.db").exists());
    std::fs::remove_dir(old.data.join("state.incoming")).expect("removed");
    move_data(&old.directory, &old.data).expect("moved");
}

#[tokio::test]
async fn a_damaged_file_arrives_as_it_is_and_keeps_the_others_from_nothing() {
    for copy in [false, true] {
        for damaged in FILES {
            let old = old();
            let noise: Vec<u8> = nearside_tests::tiny_models::noise(5).take(20_000).collect();
            let both = [damaged.to_owned(), format!("{damaged}-wal")];
            for file in &both {
                std::fs::write(old.directory.join(file), &noise).expect("written");
            }
            move_data_with(&old.directory, &old.data, copy, &mut |_| {}).expect("moved");
            for file in &both {
                let arrived = std::fs::read(old.data.join(file))
                    .unwrap_or_else(|cause| panic!("`{file}`, copied {copy}: {cause}"));
                assert!(arrived == noise, "`{file}`, copied {copy}");
                assert!(!old.directory.join(file).exists(), "`{file}` is left");
            }
            let opened = Nearside::new(Config {
                data_directory: Some(old.data.to_string_lossy().into_owned()),
                ..Config::new(old.directory.to_string_lossy())
            });
            if damaged == "state.db" {
                assert_eq!(opened.expect_err("damaged").reason(), ErrorReason::Damaged);
                continue;
            }
            let nearside = opened.expect("the other file is sound");
            assert_eq!(nearside.providers().await.expect("listed").len(), 2);
            let listed = nearside.conversations().list(None, 0).await;
            assert_eq!(listed.expect_err("damaged").reason(), ErrorReason::Damaged);
        }
    }
}
