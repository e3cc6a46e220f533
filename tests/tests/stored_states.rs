//! States of conversations on the disk: a conversation goes on after a restart without being read again, and no file has
//! anything of one that is not stored, or no more.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nearside::chat::{
    AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, ConversationSettings, RequestLimits, SamplingOptions,
};
use nearside::{AppEvent, Config, Conversations, Nearside};
use nearside_llama::{Model, ModelParams};
use nearside_tests::models;
use nearside_tests::tiny_models::{self, TinyShape};

/// A directory that outlives the library objects that open it, and the model's file.
struct Phone {
    folder: Arc<tempfile::TempDir>,
    /// The library's directory in it.
    name: String,
    model: PathBuf,
    context: u32,
    saved_state_bytes: Option<u64>,
}

impl Phone {
    fn with_model(model: PathBuf, context: u32) -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().expect("a folder")),
            name: "library".into(),
            model,
            context,
            saved_state_bytes: None,
        }
    }

    fn tiny(shape: TinyShape) -> Self {
        let phone = Self::with_model(PathBuf::new(), 4096);
        let model = phone.folder.path().join("tiny.gguf");
        std::fs::write(&model, tiny_models::runnable(shape, None)).expect("a file");
        Self { model, ..phone }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Copies the directory as it is.
    fn copy(&self) -> Self {
        let copied = COPIES.fetch_add(1, Ordering::Relaxed);
        let copy = Self {
            name: format!("copy {copied}"),
            folder: Arc::clone(&self.folder),
            model: self.model.clone(),
            ..*self
        };
        copy_directory(&self.directory(), &copy.directory());
        copy
    }

    fn open(&self) -> Nearside {
        let config = Config {
            context: Some(self.context),
            saved_state_bytes: self.saved_state_bytes,
            ..Config::new(self.directory().to_string_lossy())
        };
        Nearside::new(config).expect("the library opens")
    }

    fn ask(&self, text: &str, max_tokens: u32) -> ChatRequest {
        ChatRequest {
            model: Some(self.model.to_string_lossy().into_owned()),
            sampling: SamplingOptions {
                temperature: Some(0.0),
                ..SamplingOptions::default()
            },
            limits: RequestLimits {
                max_tokens: Some(max_tokens),
                ..RequestLimits::default()
            },
            ..ChatRequest::new(vec![ChatMessage::user(text)])
        }
    }

    async fn create(&self, conversations: &Conversations) -> u64 {
        let created = conversations.create(ConversationSettings::default()).await;
        created.expect("created").id
    }

    async fn say(&self, conversations: &Conversations, id: u64, text: &str) -> Answer {
        Answer::read(conversations.send(id, self.ask(text, 16))).await
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory().join("states"));
        let paths = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.extension().is_some_and(|own| own == extension))
            .collect()
    }

    fn states(&self) -> Vec<PathBuf> {
        self.files("state")
    }

    /// Returns whether a file of states has this text, as its tokens or as itself.
    fn has_tokens_of(&self, text: &str) -> bool {
        let model = Model::load(&self.model, &ModelParams::default(), &mut |_| true).expect("a model");
        let tokens = model.tokenize(text, false, false).expect("tokens");
        let tokens: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        let everything = [self.files("state"), self.files("draft")].concat();
        everything.iter().any(|path| {
            let bytes = std::fs::read(path).expect("a file");
            let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
            has(&tokens) || has(text.as_bytes())
        })
    }
}

static COPIES: AtomicU32 = AtomicU32::new(0);

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("created");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_directory(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("copied")),
        }
    }
}

/// An answer and its end.
struct Answer {
    text: String,
    summary: AnswerSummary,
}

impl Answer {
    async fn read(stream: ChatStream) -> Self {
        let mut text = String::new();
        loop {
            for chunk in stream.next_batch().await.expect("chunks") {
                match chunk {
                    Chunk::Text { text: more } => text.push_str(&more),
                    Chunk::Done { summary } => return Self { text, summary },
                    _ => {}
                }
            }
        }
    }

    fn prompt(&self) -> u32 {
        self.summary.usage.prompt_tokens
    }

    fn cached(&self) -> u32 {
        self.summary.usage.cached_tokens
    }
}

fn story(length: usize) -> String {
    let text: String = (0..length / 16 + 1).map(|n| format!("item {n:03} is here")).collect();
    text.chars().take(length).collect()
}

const CANARY: &str = "zyx canary qwv";

/// The first token needs a fraction of what reading the conversation takes, and says the same. Ratios are printed.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_conversation_of_a_real_model_goes_on_without_being_read_again() {
    let list: String = (0..190).map(|n| format!("Item {n} is a boat. ")).collect();
    let first = format!("This is a list. {list} Say in one word what the items are.");
    let question = "Now answer in one short sentence: what would you do with one of them in the summer?";
    let mut texts = Vec::new();
    let mut first_token_ms = Vec::new();
    for (restarts, saved_state_bytes) in [(true, None), (false, None), (true, Some(0))] {
        let phone = Phone {
            saved_state_bytes,
            ..Phone::with_model(models::path("smollm2.gguf"), 4096)
        };
        let mut nearside = phone.open();
        let id = phone.create(&nearside.conversations()).await;
        let told = phone.say(&nearside.conversations(), id, &first).await;
        assert!(told.prompt() >= 1500, "{}", told.prompt());
        if restarts {
            let begun = Instant::now();
            nearside.shut_down().await.expect("ended");
            let bytes: u64 = phone
                .states()
                .iter()
                .map(|path| path.metadata().expect("a file").len())
                .sum();
            println!("{bytes} bytes stored, closed in {} ms", begun.elapsed().as_millis());
            assert_eq!(bytes > 0, saved_state_bytes.is_none());
            nearside = phone.open();
            // Else the load would be a part of the figure.
            let warm_up = phone.ask("Hello.", 1);
            Answer::read(nearside.chat(warm_up)).await;
        }
        let answer = phone.say(&nearside.conversations(), id, question).await;
        match saved_state_bytes {
            None => assert!(
                answer.cached() >= told.prompt(),
                "{} of {}",
                answer.cached(),
                told.prompt()
            ),
            Some(_) => assert!(answer.cached() < 100, "{}", answer.cached()),
        }
        println!(
            "restarts: {restarts}, stored: {saved_state_bytes:?}: {} of {} tokens cached, first token after {:.0} ms",
            answer.cached(),
            answer.prompt(),
            answer.summary.timings.first_token_ms
        );
        first_token_ms.push(answer.summary.timings.first_token_ms);
        texts.push(answer.text);
    }
    println!(
        "after a restart: {:.3} of a cold prefill",
        first_token_ms[0] / first_token_ms[2]
    );
    assert_eq!(texts[0], texts[1], "as without the restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_of_every_shape_go_on_after_a_restart_also_from_an_edited_question() {
    for shape in TinyShape::ALL {
        let phone = Phone::tiny(shape);
        let mut texts = Vec::new();
        for restarts in [true, false] {
            let mut nearside = phone.open();
            let conversations = nearside.conversations();
            let ids = [phone.create(&conversations).await, phone.create(&conversations).await];
            let mut prompts = Vec::new();
            // The context holds the second one, and a copy the first one.
            for (id, name) in ids.iter().zip(["One", "Two"]) {
                phone.say(&conversations, *id, &format!("{name} {}", story(900))).await;
                prompts.push(phone.say(&conversations, *id, "Go on.").await.prompt());
            }
            if restarts {
                nearside.shut_down().await.expect("ended");
                assert_eq!(phone.states().len(), 2, "{shape:?}");
                nearside = phone.open();
            }
            let conversations = nearside.conversations();
            for (id, prompt) in ids.iter().zip(&prompts) {
                let answer = phone.say(&conversations, *id, "And then?").await;
                let read = answer.prompt() - answer.cached();
                assert!(
                    answer.cached() >= *prompt && read < 60,
                    "{shape:?}: {read} of {}",
                    answer.prompt()
                );
                texts.push(answer.text);
            }
            if restarts {
                // From what was stored before: the second question in other words.
                nearside.shut_down().await.expect("ended");
                let nearside = phone.open();
                let conversations = nearside.conversations();
                let messages = conversations.open(ids[0]).await.expect("it opens").messages;
                let edited = phone.ask("Say it in other words, please.", 16);
                let answer = Answer::read(conversations.edit(ids[0], messages[4].id, edited)).await;
                let read = answer.prompt() - answer.cached();
                assert!(read < 90, "{shape:?}: {read} of {}", answer.prompt());
                for id in ids {
                    conversations.delete(id).await.expect("deleted");
                }
                conversations.purge().await.expect("purged");
                assert!(phone.states().is_empty(), "{shape:?}");
            }
        }
        // The ring of a sliding window begins elsewhere, and sums are in another order.
        let compared = if shape == TinyShape::SlidingWindow { 4 } else { 16 };
        let compared: Vec<_> = texts.iter().map(|text| &text[..compared]).collect();
        assert_eq!(compared[..2], compared[2..], "{shape:?}: as without the restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_states_of_stored_conversations_reach_the_disk_and_none_is_left_of_a_deleted_one() {
    let phone = Phone::tiny(TinyShape::Full);
    let nearside = phone.open();
    let canary = format!("{CANARY} {}", story(600));
    Answer::read(nearside.chat(phone.ask(&canary, 16))).await;
    let temporary = nearside.temporary_conversations().expect("memory");
    let id = phone.create(&temporary).await;
    phone.say(&temporary, id, &canary).await;
    nearside.unload().await.expect("unloaded");
    assert!(phone.states().is_empty());

    // A request outside of a conversation that goes on from its content: only what the conversation has is stored.
    let conversations = nearside.conversations();
    let id = phone.create(&conversations).await;
    let kept = format!("kept {}", story(700));
    phone.say(&conversations, id, &kept).await;
    Answer::read(nearside.chat(phone.ask(&format!("{kept} {CANARY}"), 16))).await;
    nearside.unload().await.expect("unloaded");
    assert_eq!(phone.states().len(), 1);
    assert!(!phone.has_tokens_of(CANARY) && phone.has_tokens_of("item 007 is here"));
    conversations.delete(id).await.expect("deleted");
    assert!(phone.states().is_empty());

    for deleted_at in ["loaded", "copied", "unloaded"] {
        let id = phone.create(&conversations).await;
        phone.say(&conversations, id, &canary).await;
        match deleted_at {
            "loaded" => {}
            "copied" => drop(Answer::read(nearside.chat(phone.ask(&story(300), 4))).await),
            _ => {
                nearside.unload().await.expect("unloaded");
                assert!(phone.has_tokens_of(CANARY), "else the search proves nothing");
            }
        }
        conversations.delete(id).await.expect("deleted");
        nearside.unload().await.expect("unloaded");
        assert!(!phone.has_tokens_of(CANARY), "{deleted_at}");
        conversations.purge().await.expect("purged");
        assert!(phone.states().is_empty(), "{deleted_at}");
    }
    nearside.shut_down().await.expect("ended");
    assert!(phone.states().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_another_process_deleted_leaves_no_state() {
    let phone = Phone::tiny(TinyShape::Full);
    let (one, other) = (phone.open(), phone.open());
    let conversations = one.conversations();
    let ids = [phone.create(&conversations).await, phone.create(&conversations).await];
    for id in ids {
        phone
            .say(&conversations, id, &format!("{id} {CANARY} {}", story(600)))
            .await;
    }
    other.conversations().delete(ids[1]).await.expect("deleted");
    one.shut_down().await.expect("ended");
    assert_eq!(phone.states().len(), 1, "the first one's");
    // Where the file of conversations is replaced, the ids are those of others.
    drop((one, conversations));
    other.conversations().delete(ids[0]).await.expect("deleted");
    assert!(phone.states().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_of_conversations_has_no_state_of_the_old_one() {
    let phone = Phone::tiny(TinyShape::Full);
    let nearside = phone.open();
    let id = phone.create(&nearside.conversations()).await;
    phone
        .say(&nearside.conversations(), id, &format!("{CANARY} {}", story(600)))
        .await;
    nearside.shut_down().await.expect("ended");
    drop(nearside);
    assert_eq!(phone.states().len(), 1);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(phone.directory().join(format!("conversations.db{suffix}")));
    }
    let nearside = phone.open();
    assert_eq!(phone.create(&nearside.conversations()).await, id, "the same id");
    assert!(phone.states().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn background_and_memory_warnings_store_what_they_free() {
    let phone = Phone::tiny(TinyShape::Full);
    for (event, is_busy) in [
        (AppEvent::Background, false),
        (AppEvent::MemoryLow, true),
        (AppEvent::MemoryCritical, false),
    ] {
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let id = phone.create(&conversations).await;
        let first = phone.say(&conversations, id, &story(900)).await;
        // The copy is freed while another answer uses the context.
        let running = is_busy.then(|| nearside.chat(phone.ask("Count.", 3000)));
        if let Some(running) = &running {
            assert!(!running.next_batch().await.expect("a start").is_empty());
        }
        let begun = Instant::now();
        while phone.states().is_empty() {
            // Again, because the answer before it may have just ended.
            nearside.notify(event);
            assert!(begun.elapsed() < Duration::from_secs(20), "{event:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(running);
        let answer = phone.say(&conversations, id, "Go on.").await;
        assert!(answer.cached() >= first.prompt(), "{event:?}: {}", answer.cached());
        conversations.delete(id).await.expect("deleted");
        assert!(phone.states().is_empty());
        nearside.shut_down().await.expect("ended");
    }
}

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
        assert_eq!(path.exists(), at.is_none(), "{at:?}");
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
        nearside.unload().await.expect("unloaded");
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).expect("raised");
        assert_eq!(phone.states().len() + phone.files("draft").len(), 0);
        let answer = phone.say(&conversations, id, "Go on.").await;
        assert_eq!(answer.cached(), 0);
        nearside.unload().await.expect("unloaded");
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
    phone.context = 8192;
    let writer = |phone: &Phone| Config {
        context: Some(phone.context),
        ..Config::new(phone.directory().to_string_lossy())
    };
    if let Some(paths) = std::env::var_os(CHILD) {
        let paths = paths.to_string_lossy().into_owned();
        let (directory, model) = paths.split_once('\n').expect("two paths");
        phone.model = model.into();
        let nearside = Nearside::new(Config {
            directory: directory.to_owned(),
            ..writer(&phone)
        });
        let nearside = nearside.expect("the library opens");
        let id = phone.create(&nearside.conversations()).await;
        phone.say(&nearside.conversations(), id, &story(7000)).await;
        nearside.shut_down().await.expect("ended");
        return;
    }
    let mut cut = 0;
    for _ in 0..12 {
        let paths = format!("{}\n{}", phone.directory().display(), phone.model.display());
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", NAME])
            .env(CHILD, paths)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        while phone.files("draft").is_empty() && child.try_wait().expect("a child").is_none() {
            std::hint::spin_loop();
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        cut += u32::from(!phone.files("draft").is_empty());
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let last = conversations.list(Some(1), 0).await.expect("a list")[0].id;
        let answer = phone.say(&conversations, last, "Go on.").await;
        assert!(answer.cached() == 0 || answer.cached() > 6000, "{}", answer.cached());
        conversations.delete(last).await.expect("deleted");
        assert!(phone.files("draft").is_empty());
    }
    println!("{cut} of 12 kills came while a file was written");
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
        nearside.unload().await.expect("unloaded");
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
