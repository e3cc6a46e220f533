//! The end of the library waits for templates that run on after a cancel: the end of the process destroys what they read. They
//! are counted for the whole process, so these tests have one of their own and run one after the other.

use std::sync::Mutex;
use std::time::Instant;

use nearside::chat::{ChatMessage, ChatRequest};
use nearside::{Config, Nearside};
use nearside_llama::running_templates;
use nearside_tests::tiny_models;

/// Runs for hours, and takes little memory.
const LOOPS: &str = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";

static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// Opens the library, and cancels an answer whose template does not end.
async fn leave_a_template(folder: &std::path::Path) -> Nearside {
    let config = Config {
        context: Some(512),
        threads: Some(1),
        ..Config::new(folder.to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    let path = folder.join("sometimes.gguf");
    let template = format!("{{% if 'endless' in messages[-1].content %}}{LOOPS}{{% endif %}}hello");
    std::fs::write(&path, tiny_models::with_chat_template(&template)).expect("a file");
    let stream = nearside.chat(ChatRequest {
        model: Some(path.to_string_lossy().into_owned()),
        ..ChatRequest::new(vec![ChatMessage::user("endless")])
    });
    assert!(!stream.next_batch().await.expect("a start").is_empty());
    // The trial messages of the load run it before, without the loops.
    let begun = Instant::now();
    let mut since = None;
    while since.is_none_or(|since: Instant| since.elapsed().as_millis() < 500) {
        assert!(begun.elapsed().as_secs() < 60, "no template runs");
        since = (running_templates() > 0).then(|| since.unwrap_or_else(Instant::now));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stream.cancel();
    nearside
}

#[test]
fn no_template_runs_after_a_shut_down() {
    let _one = ONE_BY_ONE.lock().expect("the other test ended well");
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let nearside = leave_a_template(folder.path()).await;
        nearside.shut_down().await.expect("an end");
        assert_eq!(running_templates(), 0);
    });
}

#[test]
fn no_template_runs_after_a_drop() {
    let _one = ONE_BY_ONE.lock().expect("the other test ended well");
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let nearside = runtime.block_on(leave_a_template(folder.path()));
    drop(nearside);
    assert_eq!(running_templates(), 0);
}
