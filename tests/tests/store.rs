//! The store: its models are complete, whatever happened to the process or to the directory.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::path::{Path, PathBuf};

use nearside::ErrorKind;
use nearside::model::store::Store;
use nearside::model::{InstalledModel, ModelRef};
use nearside_tests::fixtures::{self, TestDevice};
use nearside_tests::hub::Hub;
use nearside_tests::{models, tiny_models};

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("written");
    path
}

fn name(name: &str) -> ModelRef {
    ModelRef::parse(name).expect("a name")
}

/// Creates a store, and a folder for other files.
fn fresh() -> (tempfile::TempDir, Store, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let store = Store::open(&home).expect("a store");
    (folder, store, home)
}

/// Imports a tiny model under the name `m`.
fn import_tiny(store: &Store, folder: &Path, seed: u64) -> InstalledModel {
    let file = write(folder, "m.gguf", &tiny_models::model(1000, seed));
    store.import(&file).expect("imported")
}

/// Starts a hub with one tiny model under this name.
fn hub(name: &str, weights: usize) -> Hub {
    let builder = Hub::builder().bytes("o/r", name, tiny_models::model(weights, 1));
    builder.start().expect("a hub")
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).expect("listed").count()
}

#[test]
fn an_imported_model_is_a_copy_found_by_its_id_and_path() {
    let (_folder, store, home) = fresh();
    let model = store.import(&models::path("smollm2.gguf")).expect("imported");
    assert_eq!(model.id, "smollm2");
    assert_eq!(model.sha256, models::SMOLLM2_SHA256);
    assert_eq!((model.size_bytes, model.quantization.as_str()), (98_362_432, "Q4_1"));
    for reference in ["smollm2", "SmolLM2", &model.path] {
        assert_eq!(store.find(&name(reference)), Ok(Some(model.clone())), "{reference}");
    }
    assert_eq!(store.find(&name("other")), Ok(None));
    let again = store.import(&models::path("smollm2.gguf"));
    assert_eq!(again, Ok(model.clone()), "twice is once");
    assert_eq!(store.list(), Ok(vec![model]));
    assert_eq!(count(&home.join("partial")), 0, "nothing is left over");
}

#[test]
fn two_files_of_one_name_are_two_models() {
    let (folder, store, _) = fresh();
    let one = import_tiny(&store, folder.path(), 1);
    let two = import_tiny(&store, folder.path(), 2);
    assert_eq!(one.id, "m");
    assert_eq!(two.id, format!("m-{}", &two.sha256[..8]));
    assert_eq!(store.list().map(|list| list.len()), Ok(2));
    assert_eq!(store.remove(&name("m")), Ok(one));
    assert_eq!(store.list(), Ok(vec![two]));
}

#[test]
fn what_is_no_model_is_not_imported_and_leaves_nothing() {
    let (folder, store, home) = fresh();
    let sound = tiny_models::model(5000, 1);
    let cut = &sound[..sound.len() - 100];
    for (path, kind) in [
        (write(folder.path(), "text.gguf", b"not a model"), ErrorKind::Corrupt),
        (write(folder.path(), "empty.gguf", b""), ErrorKind::Corrupt),
        (write(folder.path(), "cut.gguf", cut), ErrorKind::Corrupt),
        (folder.path().join("missing.gguf"), ErrorKind::InvalidRequest),
        (folder.path().to_owned(), ErrorKind::InvalidRequest),
    ] {
        let error = store.import(&path).expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(store.list(), Ok(Vec::new()));
    assert_eq!(count(&home.join("partial")), 0);
}

#[test]
fn foreign_and_damaged_files_are_neither_listed_nor_touched() {
    let (folder, store, home) = fresh();
    let model = import_tiny(&store, folder.path(), 1);
    let cut = write(folder.path(), "cut.gguf", &tiny_models::model(2000, 2));
    let cut = store.import(&cut).expect("imported");
    fs::write(&cut.path, b"GGUF").expect("cut");
    let foreign = home.join("models/mine");
    fs::create_dir_all(&foreign).expect("a folder");
    write(&foreign, "model.json", b"{");
    write(&foreign, "notes.txt", b"keep me");
    write(&home.join("models"), ".DS_Store", b"x");
    let outside = home.join("models/outside");
    fs::create_dir_all(&outside).expect("a folder");
    let record = fs::read_to_string(home.join("models/m/model.json")).expect("a record");
    let record = record.replace("\"m.gguf\"", "\"../m/m.gguf\"");
    write(&outside, "model.json", record.as_bytes());
    let reopened = Store::open(&home).expect("opened");
    assert_eq!(reopened.list(), Ok(vec![model]));
    assert!(foreign.join("notes.txt").exists());
}

#[test]
fn a_model_whose_directory_name_is_taken_gets_another_id() {
    let (folder, store, home) = fresh();
    fs::create_dir_all(home.join("models/m")).expect("a folder");
    let model = import_tiny(&store, folder.path(), 1);
    assert_eq!(model.id, format!("m-{}", &model.sha256[..8]));
}

#[test]
fn removing_says_what_went_and_a_second_time_that_it_is_not_there() {
    let (folder, store, home) = fresh();
    let model = import_tiny(&store, folder.path(), 1);
    assert_eq!(store.remove(&name("m")), Ok(model.clone()));
    assert!(!Path::new(&model.path).exists());
    let again = store.remove(&name("m")).map_err(|error| error.kind());
    assert_eq!(again, Err(ErrorKind::NotInstalled));
    assert_eq!(count(&home.join("trash")), 0);
}

#[test]
fn a_kill_between_any_two_steps_of_installing_or_removing_leaves_absent_or_whole() {
    let (folder, store, home) = fresh();
    let model = import_tiny(&store, folder.path(), 1);

    // Staged with its record and file: opening completes the last rename.
    fs::rename(home.join("models/m"), home.join("staging/key")).expect("staged");
    assert_eq!(store.list(), Ok(Vec::new()));
    let store = Store::open(&home).expect("opened");
    assert_eq!(store.list(), Ok(vec![model.clone()]));

    // Staged with its record only: the file is still a partial.
    fs::create_dir_all(home.join("staging/key")).expect("staged");
    fs::copy(home.join("models/m/model.json"), home.join("staging/key/model.json")).expect("a record");
    let store = Store::open(&home).expect("opened");
    assert_eq!(store.list(), Ok(vec![model]));
    assert_eq!(count(&home.join("staging")), 0);

    // Being removed: it and its bytes are gone.
    fs::rename(home.join("models/m"), home.join("trash/m-1")).expect("moved");
    let store = Store::open(&home).expect("opened");
    assert_eq!(store.list(), Ok(Vec::new()));
    assert_eq!(count(&home.join("trash")), 0);

    // An interrupted copy, which is never resumed.
    write(&home.join("partial"), "import-1-2.part", b"GGUF");
    write(&home.join("partial"), "import-1-2.lock", b"");
    Store::open(&home).expect("opened");
    assert_eq!(count(&home.join("partial")), 0);
}

#[test]
fn the_directory_may_move_and_the_models_go_with_it() {
    let (folder, store, home) = fresh();
    let model = import_tiny(&store, folder.path(), 1);
    let new_home = folder.path().join("elsewhere");
    fs::rename(&home, &new_home).expect("moved");
    let moved = Store::open(&new_home).expect("opened").find(&name("m"));
    let moved = moved.expect("listed").expect("found");
    assert!(Path::new(&moved.path).starts_with(fs::canonicalize(&new_home).expect("a path")));
    assert_eq!((moved.id, moved.sha256), (model.id, model.sha256));
}

#[tokio::test]
async fn names_from_the_network_stay_names() {
    for listed in ["a/../../../evil.gguf", "..\\..\\evil.gguf", "evil\n.gguf"] {
        let hub = hub(listed, 1000);
        let device = TestDevice::new(&hub);
        let error = device.download("hf:o/r").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Provider, "{listed:?}: {error}");
        assert!(!error.to_string().contains('\n'), "{error:?}");
    }
    let long = format!("{}.gguf", "long-".repeat(90));
    let hub = hub(&long, 1000);
    let device = TestDevice::new(&hub);
    let model = fixtures::installed(&device.download("hf:o/r").await.expect("a download"));
    assert!(model.id.len() < 100, "{}", model.id);
    assert!(Path::new(&model.path).starts_with(fs::canonicalize(device.directory.path()).expect("a path")));
}

#[tokio::test]
async fn a_partial_of_a_changed_file_without_a_hash_is_begun_again() {
    let hub = hub("m.gguf", 100_000);
    let device = TestDevice::new(&hub);
    let url = hub.direct_url("o/r", "m.gguf");
    let mut remote = device.resolve(&url).await;
    remote.version = Some("yesterday".to_owned());
    device.fetch_head(&remote).await;
    assert!(device.partial_bytes() > 0);
    let events = device.download(&url).await.expect("a download");
    let progress = fixtures::progress(&events);
    assert_eq!(progress.first(), Some(&0), "yesterday's bytes are not today's");
}

#[test]
fn what_a_killed_fit_left_behind_is_swept_up_and_what_runs_is_left_alone() {
    let (_folder, _store, home) = fresh();
    let old = write(&home.join("partial"), "key.part.1-0.outline", b"");
    let young = write(&home.join("partial"), "key.part.1-1.outline", b"");
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let file = fs::File::options().write(true).open(&old).expect("the file");
    file.set_modified(hour_ago).expect("its time");
    drop(file);
    Store::open(&home).expect("a store");
    assert!(!old.exists() && young.exists());
}

#[test]
fn stray_files_and_directories_anywhere_neither_fail_the_start_nor_hide_a_model() {
    let (folder, store, home) = fresh();
    let model = import_tiny(&store, folder.path(), 1);
    drop(store);
    let litter = [
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "._m.gguf",
        "x.lock",
        "y.part",
        "z.json",
    ];
    for directory in ["", "models", "models/m", "partial", "staging", "trash"] {
        for name in litter {
            write(&home.join(directory), name, b"x");
        }
        let foreign = home.join(directory).join("New folder");
        fs::create_dir_all(foreign.join("deeper")).expect("a folder");
        write(&foreign, "notes.txt", b"keep me");
        // A directory where a lock is expected.
        fs::create_dir_all(home.join(directory).join("d.lock/inside")).expect("a folder");
    }
    for _ in 0..2 {
        let store = Store::open(&home).expect("opened");
        assert_eq!(store.list(), Ok(vec![model.clone()]));
        let second = write(folder.path(), "second.gguf", &tiny_models::model(2000, 2));
        let second = store.import(&second).expect("imported");
        assert_eq!(store.remove(&name(&second.id)), Ok(second));
        for directory in ["", "models", "partial", "staging"] {
            let kept = home.join(directory).join("New folder/notes.txt");
            assert!(kept.exists(), "{} is not ours", kept.display());
        }
    }
}

#[test]
fn a_model_that_lost_bytes_is_told_can_be_removed_and_makes_way_for_a_whole_one() {
    let (folder, store, _home) = fresh();
    let model = import_tiny(&store, folder.path(), 1);
    assert_eq!(store.damaged(), Ok(vec![]));
    fs::write(&model.path, b"GGUF").expect("cut");
    assert_eq!(store.list(), Ok(vec![]));
    assert_eq!(store.damaged(), Ok(vec![model.clone()]));
    let whole = import_tiny(&store, folder.path(), 1);
    assert_eq!(whole, model, "under the same id");
    assert_eq!(store.damaged(), Ok(vec![]));

    fs::remove_file(&model.path).expect("lost");
    assert_eq!(store.damaged(), Ok(vec![model.clone()]));
    assert_eq!(store.remove(&name(&model.id)), Ok(model));
    assert_eq!(store.damaged(), Ok(vec![]));
}

#[tokio::test]
async fn a_partial_download_is_listed_and_removed_by_its_reference() {
    let hub = hub("W.gguf", 100_000);
    let device = TestDevice::new(&hub);
    let address = hub.direct_url("o/r", "W.gguf") + "?token=secret";
    let store = &device.store;
    for (reference, others) in [
        ("hf:o/r/W.gguf", ["hf:o/other", "hf:o/r@v2", "other", "./W.gguf"]),
        (&address, ["hf:o/r", "https://o.example/W.gguf", "other", "./W.gguf"]),
    ] {
        assert_eq!(store.partial_downloads(), Ok(vec![]));
        let file = device.resolve(reference).await;
        device.fetch_head(&file).await;
        let [partial] = store.partial_downloads().expect("listed").try_into().expect("one");
        assert_eq!((partial.done, partial.total), (device.partial_bytes(), file.size_bytes));
        assert!(!partial.source.contains("secret"), "{}", partial.source);
        for other in others {
            let error = store.remove_partial(Some(&name(other))).expect_err(other);
            assert_eq!(error.kind(), ErrorKind::NotInstalled, "{other}");
        }
        let removed = store.remove_partial(Some(&name(reference))).expect("removed");
        assert_eq!(removed, [partial]);
        assert_eq!(count(&device.directory.path().join("partial")), 0);
        device.fetch_head(&file).await;
        assert_eq!(
            store.remove_partial(Some(&name("w"))).expect("removed").len(),
            1,
            "by its name"
        );
    }
}
