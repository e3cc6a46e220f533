//! Tests of the directory of states: what is found, replaced, evicted and deleted.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::engine::local::state_file::HASH_BYTES;

/// Conversations 1 to 9, but for those that were deleted.
#[derive(Debug, Default)]
struct Index(Mutex<HashSet<u64>>, AtomicBool);

impl Index {
    /// Has it fail, or answer again.
    fn fail(&self, fails: bool) {
        self.1.store(fails, Ordering::SeqCst);
    }
}

impl ConversationIndex for Index {
    fn identity(&self) -> Option<u32> {
        Some(77)
    }

    fn has_conversation(&self, conversation: u64) -> Option<bool> {
        let is_present = conversation < 10 && !lock(&self.0).contains(&conversation);
        (!self.1.load(Ordering::SeqCst)).then_some(is_present)
    }
}

static KEY: LazyLock<StateKey> = LazyLock::new(|| StateKey {
    model: hash_known("the model"),
    params: [2; HASH_BYTES],
});

struct Stored {
    files: StateFiles,
    index: Arc<Index>,
    folder: tempfile::TempDir,
}

impl Stored {
    fn new(limit: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let index = Arc::<Index>::default();
        let files = StateFiles::new(folder.path().join("states"), Some(limit), Arc::clone(&index) as _);
        Self { files, index, folder }
    }

    fn reopened(&self) -> StateFiles {
        StateFiles::new(
            self.folder.path().join("states"),
            self.files.limit,
            Arc::clone(&self.index) as _,
        )
    }

    fn store(&self, conversation: u64, tokens: &[Token], bytes: usize) -> bool {
        self.store_while(conversation, tokens, bytes, &|| false)
    }

    fn store_while(&self, conversation: u64, tokens: &[Token], bytes: usize, is_stopped: &dyn Fn() -> bool) -> bool {
        let state = NewState {
            conversation,
            key: *KEY,
            tokens,
            cache: &vec![conversation as u8; bytes],
            checkpoints: vec![(100, &[5; 10])],
        };
        self.files.store(&state, is_stopped)
    }

    fn count(&self, extension: &str) -> usize {
        self.files.paths(extension).len()
    }

    fn conversations(&self) -> Vec<u64> {
        let mut all: Vec<_> = self
            .files
            .candidates(&KEY)
            .iter()
            .map(|state| state.header.conversation)
            .collect();
        all.sort_unstable();
        all
    }

    fn only_path(&self) -> PathBuf {
        let paths = self.files.paths(EXTENSION);
        assert_eq!(paths.len(), 1);
        paths[0].clone()
    }
}

fn tokens(first: Token) -> Vec<Token> {
    (first..first + 200).collect()
}

#[test]
fn a_state_is_found_and_read_by_the_next_process_and_only_with_its_key() {
    let stored = Stored::new(1 << 20);
    assert!(stored.store(1, &tokens(0), 1000));
    let next = stored.reopened();
    let found = next.candidates(&KEY);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].header.tokens, tokens(0));
    let body = next.read_body(&found[0], &|| false).expect("valid");
    assert_eq!((body.cache, body.checkpoints), (vec![1; 1000], vec![vec![5; 10]]));
    for other in [
        StateKey {
            model: [9; HASH_BYTES],
            ..*KEY
        },
        StateKey {
            params: [9; HASH_BYTES],
            ..*KEY
        },
    ] {
        assert!(next.candidates(&other).is_empty());
    }
    assert_eq!(next.candidates(&KEY).len(), 1, "it is kept for its own");
}

#[test]
fn a_longer_state_replaces_the_older_one_of_its_conversation_only() {
    let stored = Stored::new(1 << 20);
    assert!(stored.store(1, &tokens(0), 1000));
    assert!(stored.store(2, &tokens(0), 1000));
    let longer: Vec<_> = (0..400).collect();
    assert!(!stored.store(1, &longer[..220], 1100), "too little is new");
    assert!(stored.store(1, &longer, 2000));
    let lengths = |conversation| {
        let all = stored.files.candidates(&KEY);
        let own = all
            .into_iter()
            .filter(|state| state.header.conversation == conversation);
        own.map(|state| state.header.tokens.len()).collect::<Vec<_>>()
    };
    assert_eq!((lengths(1), lengths(2)), (vec![400], vec![200]));
    assert!(!stored.store(3, &longer[..MIN_STORED_TOKENS - 1], 10), "too short");
}

#[test]
fn a_conversation_that_was_cut_does_not_get_a_second_state() {
    let stored = Stored::new(5000);
    let whole = tokens(1000);
    assert!(stored.store(1, &whole, 1000));
    assert!(!stored.store(1, &whole[..140], 1000));
    assert!(!stored.store(1, &whole, 1000));
    assert_eq!(stored.count(EXTENSION), 1);
    assert!(stored.store(2, &whole[..140], 1000), "another one does");
}

#[test]
fn the_limit_is_kept_and_the_least_recently_used_goes_first() {
    let stored = Stored::new(5000);
    let at = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    for conversation in 1..=2 {
        assert!(stored.store(conversation, &tokens(conversation as Token * 1000), 1000));
    }
    for (seconds, state) in stored.files.candidates(&KEY).iter().enumerate() {
        let file = File::options().append(true).open(&state.path).expect("a file");
        file.set_modified(at(seconds as u64)).expect("a time");
    }
    // The oldest one is used.
    let oldest = stored
        .files
        .candidates(&KEY)
        .into_iter()
        .min_by_key(StoredState::used_at)
        .expect("two");
    stored.files.read_body(&oldest, &|| false).expect("valid");
    assert!(stored.store(3, &tokens(3000), 1000));
    assert_eq!(stored.conversations(), [oldest.header.conversation, 3]);
    for conversation in 4..=9 {
        stored.store(
            conversation,
            &tokens(conversation as Token * 1000),
            500 * conversation as usize - 1000,
        );
        let sizes = stored
            .files
            .paths(EXTENSION)
            .into_iter()
            .map(|path| path.metadata().expect("a file").len());
        assert!(sizes.sum::<u64>() <= 5000);
    }
    assert!(!stored.store(9, &tokens(90_000), 5000), "more than all may take");
    let off = Stored::new(0);
    assert!(!off.store(1, &tokens(0), 10) && !off.folder.path().join("states").exists());
}

#[test]
fn a_damaged_an_oversized_and_a_file_of_another_archive_are_deleted() {
    let stored = Stored::new(10_000);
    type Damage = fn(&mut Vec<u8>);
    let damage: [(&str, Damage); 4] = [
        ("version", |bytes| bytes[8] ^= 1),
        ("tokens", |bytes| bytes[200] ^= 1),
        ("cut", |bytes| bytes.truncate(bytes.len() - 1)),
        ("oversized", |bytes| bytes.resize(10_001, 0)),
    ];
    for (name, damage) in damage {
        assert!(stored.store(1, &tokens(0), 1000));
        let path = stored.only_path();
        let mut bytes = fs::read(&path).expect("read");
        damage(&mut bytes);
        fs::write(&path, bytes).expect("written");
        assert!(stored.reopened().candidates(&KEY).is_empty(), "{name}");
        assert!(!path.exists(), "{name}");
        assert!(stored.conversations().is_empty(), "{name}");
    }
    // In the content, which is read only when it is used.
    assert!(stored.store(1, &tokens(0), 1000));
    let path = stored.only_path();
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("written");
    let next = stored.reopened();
    let found = next.candidates(&KEY);
    assert!(next.read_body(&found[0], &|| false).is_none() && !path.exists());
    assert!(next.candidates(&KEY).is_empty());

    #[derive(Debug)]
    struct Another;
    impl ConversationIndex for Another {
        fn identity(&self) -> Option<u32> {
            Some(78)
        }
        fn has_conversation(&self, _: u64) -> Option<bool> {
            Some(true)
        }
    }
    assert!(stored.store(1, &tokens(0), 1000));
    let another = StateFiles::new(stored.folder.path().join("states"), None, Arc::new(Another));
    assert!(another.candidates(&KEY).is_empty() && !path.exists());
    assert!(stored.conversations().is_empty());
}

#[test]
fn a_deleted_conversation_has_no_state_and_gets_none() {
    let stored = Stored::new(1 << 20);
    for conversation in [1, 2, 3] {
        assert!(stored.store(conversation, &tokens(0), 1000));
    }
    lock(&stored.index.0).extend([1, 2]);
    stored.files.remove_conversation(1);
    assert_eq!(stored.conversations(), [2, 3]);
    stored.files.remove_gone();
    assert_eq!(stored.conversations(), [3]);
    assert!(!stored.store(1, &tokens(0), 1000));
    // Another process deleted it, and did not know of states.
    lock(&stored.index.0).insert(3);
    assert!(stored.reopened().candidates(&KEY).is_empty());
    assert!(stored.files.paths(EXTENSION).is_empty());
    assert!(stored.store(4, &tokens(0), 1000));
    stored.files.remove_model("another");
    assert_eq!(stored.conversations(), [4]);
    stored.files.remove_model("the model");
    assert!(stored.files.paths(EXTENSION).is_empty());
}

#[test]
fn what_a_killed_writer_left_is_deleted_by_the_next() {
    let stored = Stored::new(1 << 20);
    assert!(stored.store(1, &tokens(0), 1000));
    for content in [&b""[..], b"near", b"nearside and half of a state", &[0; 100]] {
        let draft = stored.folder.path().join("states/1-2.draft");
        fs::write(&draft, content).expect("written");
        stored.files.remove_conversation(1);
        assert!(!draft.exists(), "{content:?}");
    }
}

/// RetroArch has such files in a folder of this name.
#[test]
fn what_others_wrote_is_neither_used_nor_deleted() {
    let stored = Stored::new(1 << 20);
    let directory = stored.folder.path().join("states");
    fs::create_dir(&directory).expect("created");
    let foreign = [
        "x.state",
        "x.draft",
        "1-2.state",
        "1-2.draft",
        "empty.draft",
        "empty.state",
    ];
    for name in foreign {
        let content: &[u8] = if name.starts_with("empty") {
            b""
        } else {
            b"RASTATE a game"
        };
        fs::write(directory.join(name), content).expect("written");
    }
    // Its name is another one.
    fs::write(directory.join("notes.draft"), "nearside and farside").expect("written");
    assert!(stored.store(1, &tokens(0), 1000));
    for files in [&stored.files, &stored.reopened()] {
        for _ in 0..2 {
            assert_eq!(files.candidates(&KEY).len(), 1);
            files.remove_gone();
            files.remove_conversation(2);
        }
    }
    stored.files.remove_model("the model");
    assert!(stored.conversations().is_empty());
    for name in foreign.iter().chain(&["notes.draft"]) {
        assert!(directory.join(name).exists(), "{name}");
    }
}

#[test]
fn a_writer_that_must_give_up_leaves_nothing() {
    let stored = Stored::new(64 << 20);
    assert!(stored.store(1, &tokens(0), 1000));
    let longer: Vec<_> = (0..400).collect();
    for polls in 0..6 {
        let polled = AtomicUsize::new(0);
        let is_stopped = || polled.fetch_add(1, Ordering::SeqCst) >= polls;
        assert!(!stored.store_while(1, &longer, 4 << 20, &is_stopped), "{polls}");
        // It writes no block more.
        assert_eq!(polled.into_inner(), polls + 1);
        assert_eq!((stored.count(EXTENSION), stored.count(DRAFT)), (1, 0), "{polls}");
    }
    assert_eq!(stored.conversations(), [1], "the older one stays");
    assert!(stored.store(1, &longer, 4 << 20));
}

#[test]
fn while_the_index_fails_states_are_neither_used_nor_deleted() {
    let stored = Stored::new(1 << 20);
    assert!(stored.store(1, &tokens(0), 1000));
    stored.index.fail(true);
    let next = stored.reopened();
    assert!(next.candidates(&KEY).is_empty());
    next.remove_gone();
    stored.files.remove_gone();
    assert!(!stored.store(2, &tokens(0), 1000));
    assert_eq!(stored.count(EXTENSION), 1);
    stored.index.fail(false);
    assert_eq!(next.candidates(&KEY).len(), 1);
    // It fails when the state is on the disk: whether that may stay is not known.
    let fails_soon = || {
        stored.index.fail(true);
        false
    };
    assert!(!stored.store_while(2, &tokens(0), 1000, &fails_soon));
    assert_eq!((stored.count(EXTENSION), stored.count(DRAFT)), (1, 0));
}

#[test]
fn where_nothing_can_be_written_nothing_is_stored_and_nothing_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("states"), "a file").expect("written");
    let files = StateFiles::new(folder.path().join("states"), None, Arc::<Index>::default());
    let cache = vec![1; 1000];
    let state = NewState {
        conversation: 1,
        key: *KEY,
        tokens: &tokens(0),
        cache: &cache,
        checkpoints: vec![],
    };
    assert!(!files.store(&state, &|| false) && files.candidates(&KEY).is_empty());
    files.remove_gone();
}

#[test]
fn several_writers_at_once_leave_whole_files_within_the_limit() {
    let stored = Stored::new(20_000);
    std::thread::scope(|scope| {
        for conversation in 1..=4 {
            let files = stored.reopened();
            scope.spawn(move || {
                for round in 0..20 {
                    let tokens = tokens(conversation as Token * 10_000 + round * 300);
                    let state = NewState {
                        conversation,
                        key: *KEY,
                        tokens: &tokens,
                        cache: &vec![conversation as u8; 1500],
                        checkpoints: vec![],
                    };
                    files.store(&state, &|| false);
                    for found in files.candidates(&KEY) {
                        if let Some(body) = files.read_body(&found, &|| false) {
                            assert_eq!(body.cache, vec![found.header.conversation as u8; 1500]);
                        }
                    }
                }
            });
        }
    });
    let next = stored.reopened();
    let found = next.candidates(&KEY);
    assert!(found.len() >= 4, "{}", found.len());
    assert!(found.iter().all(|state| next.read_body(state, &|| false).is_some()));
    let bytes: u64 = found.iter().filter_map(|state| state.header.file_bytes()).sum();
    assert!(bytes <= 20_000, "{bytes}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_never_opened() {
    let stored = Stored::new(1 << 20);
    assert!(stored.store(1, &tokens(0), 1000));
    let directory = stored.folder.path().join("states");
    let pipe = directory.join("pipe.state");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let outside = stored.folder.path().join("outside");
    fs::write(&outside, "kept").expect("written");
    std::os::unix::fs::symlink(&outside, directory.join("link.state")).expect("linked");
    let (done, ended) = std::sync::mpsc::channel();
    let files = stored.reopened();
    std::thread::spawn(move || done.send(files.candidates(&KEY).len()));
    let found = ended.recv_timeout(std::time::Duration::from_secs(20));
    assert_eq!(found, Ok(1));
    assert!(pipe.exists() && outside.exists() && directory.join("link.state").exists());
}
