//! Templates that had to be stopped for good are counted for the whole process: so this test has one of its own.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use nearside_llama::{ChatTemplate, LlamaError, running_templates, stop_a_template};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_four_stopped_templates_no_other_runs_and_each_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    for stopped in 1..=6 {
        let error = stop_a_template().expect_err("a limit");
        match error {
            LlamaError::Template(_) => assert!(stopped <= 4, "{stopped}"),
            LlamaError::TemplateBusy(reason) => {
                assert!(stopped > 4, "{stopped}");
                assert!(reason.contains("restart the app"), "{reason}");
            }
            other => panic!("{other}"),
        }
    }
    let source = "{{ messages[0].content }}";
    let refused = [
        ChatTemplate::check_syntax(source).err(),
        ChatTemplate::from_source(source, "", "").err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(LlamaError::TemplateBusy(_))), "{error:?}");
    }
    // The threads log after their callers have their errors.
    let lines = || {
        let text = log.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).matches("had to be stopped").count()
    };
    for _ in 0..100 {
        if lines() == 4 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(lines(), 4);
    assert_eq!(running_templates(), 0);
}
