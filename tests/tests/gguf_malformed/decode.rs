//! Decodes with damaged files: whatever passes the parser and the plan is loaded and answers a few tokens, as the engine would
//! do it, in child processes. None may end its process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use nearside::device::{self, DeviceFacts};
use nearside::model::fit::fit_file;
use nearside::model::gguf::Head;
use nearside::model::{FitOptions, FitVerdict, MemoryBudget};
use nearside_llama::{
    ChatTemplate, Context, ContextParams, Decoded, LlamaError, Model, ModelParams, Sampler, SamplerParams,
};
use nearside_tests::gguf::Layout;
use nearside_tests::tiny_models::{self, TinyShape};

use crate::damage::{self, Damage};

#[test]
fn every_damaged_file_that_passes_the_plan_answers_or_is_refused() {
    if let Ok(batch) = std::env::var(BATCH) {
        return decode_batch(&batch);
    }
    let (mut tried, mut passed) = (0, 0);
    let mut counts = BTreeMap::<String, u32>::new();
    let mut aborts = String::new();
    for shape in TinyShape::ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let damages = damages_of(shape, folder.path());
        let mut next = 0;
        while next < damages.len() {
            let status = Command::new(std::env::current_exe().expect("this program"))
                .args([
                    "--exact",
                    "decode::every_damaged_file_that_passes_the_plan_answers_or_is_refused",
                ])
                .env(BATCH, format!("{shape:?}:{next}:{}", folder.path().display()))
                .stdout(File::create(folder.path().join("output")).expect("a file"))
                .stderr(File::create(folder.path().join("errors")).expect("a file"))
                .status()
                .expect("a child");
            if status.success() {
                break;
            }
            let now = fs::read_to_string(folder.path().join("now")).unwrap_or_default();
            let at: usize = now.parse().unwrap_or(next);
            let errors = fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
            let last = errors.lines().last().unwrap_or_default();
            let _ = writeln!(aborts, "{shape:?}: {status} with `{}`: {last}", damages[at].what);
            next = at + 1;
        }
        let lines = fs::read_to_string(folder.path().join("decoded")).unwrap_or_default();
        for outcome in lines.lines() {
            tried += 1;
            passed += u32::from(!outcome.starts_with("refused"));
            *counts.entry(outcome.to_owned()).or_default() += 1;
        }
    }
    let aborted = aborts.lines().count();
    println!("{tried} files tried, {passed} passed parser and plan, {aborted} aborts: {counts:?}");
    assert!(aborts.is_empty(), "{aborts}");
    assert!(tried > 1_500 && passed > 300, "{tried} tried, {passed} passed");
    assert!(
        counts.get("answered").is_some_and(|answered| *answered > 100),
        "{counts:?}"
    );
}

/// Writes a sound model, and returns its damages: all of one shape, every fourth of the others.
fn damages_of(shape: TinyShape, folder: &Path) -> Vec<Damage> {
    let sound = folder.join("sound.gguf");
    fs::write(&sound, tiny_models::runnable(shape, None)).expect("a file");
    let step = if shape == TinyShape::Full { 1 } else { 4 };
    damage::all(&Layout::read(&sound)).into_iter().step_by(step).collect()
}

/// Runs in the child: loads each file from `start` on, and writes a line for each.
fn decode_batch(batch: &str) {
    let mut fields = batch.splitn(3, ':');
    let mut field = || fields.next().expect("shape, start and folder").to_owned();
    let (shape, start) = (field(), field().parse::<usize>().expect("a number"));
    let folder = PathBuf::from(field());
    let shape = TinyShape::ALL.into_iter().find(|known| format!("{known:?}") == shape);
    let damages = damages_of(shape.expect("a shape"), &folder);
    let sound = folder.join("sound.gguf");
    let (layout, whole) = (Layout::read(&sound), fs::read(&sound).expect("a file"));
    let weights = &whole[layout.bytes.len()..];
    let snapshot = device::snapshot(&DeviceFacts::default()).expect("a snapshot");
    let budget = MemoryBudget {
        bytes: snapshot.memory_available.min(4 << 30),
        source: snapshot.memory_source,
    };
    let file = File::options().create(true).append(true).open(folder.join("decoded"));
    let mut decoded = file.expect("a file");
    for (number, damage) in damages.iter().enumerate().skip(start) {
        fs::write(folder.join("now"), number.to_string()).expect("a file");
        let (mut bytes, size) = damage.apply(&layout);
        bytes.extend_from_slice(weights);
        bytes.resize(usize::try_from(size).expect("small"), 0);
        let path = folder.join("damaged.gguf");
        fs::write(&path, &bytes).expect("a file");
        let planned =
            Head::read_file(&path).and_then(|head| fit_file(&path, &head, size, &FitOptions::default(), &budget, 2));
        let outcome = match planned {
            Err(_) => "refused by the parser or the plan".to_owned(),
            Ok(report) if report.verdict == FitVerdict::TooLarge => "refused as too large".to_owned(),
            Ok(_) => decode(&path).map_or_else(|error| kind(&error).to_owned(), |()| "answered".to_owned()),
        };
        writeln!(decoded, "{outcome}").expect("a line");
    }
}

/// Answers a question as the engine does.
fn decode(path: &Path) -> Result<(), LlamaError> {
    let model = Model::load(path, &ModelParams::default(), &mut |_| true)?;
    let template = ChatTemplate::from_model(&model)?;
    let prompt = nearside_llama::Prompt {
        messages_json: r#"[{"role": "user", "content": "When is high tide?"}]"#,
        ..nearside_llama::Prompt::default()
    };
    let rendered = template.render(&prompt)?;
    let tokens = model.tokenize(&rendered.prompt, true, true)?;
    let params = ContextParams {
        context: 256,
        threads: 1,
        ..ContextParams::default()
    };
    let mut context = Context::new(&model, &params)?;
    let mut sampler = Sampler::new(&model, &rendered.constrain(SamplerParams::default()))?;
    sampler.observe(&tokens)?;
    let stop = AtomicBool::new(false);
    let room = (context.capacity() as usize).saturating_sub(8);
    for batch in tokens[..tokens.len().min(room)].chunks(context.batch() as usize) {
        context.decode(batch, true, &stop)?;
    }
    for _ in 0..4 {
        let token = context.sample(&mut sampler)?;
        let mut bytes = vec![];
        model.push_piece(token, true, &mut bytes);
        if model.is_end(token) {
            break;
        }
        assert_eq!(context.decode(&[token], true, &stop)?, Decoded::Whole);
    }
    Ok(())
}

fn kind(error: &LlamaError) -> &'static str {
    match error {
        LlamaError::Load(_) | LlamaError::LoadMemory(_) => "not loaded",
        LlamaError::Template(_) => "no template",
        LlamaError::NotANumber => "no number",
        LlamaError::Decode(_) => "not decoded",
        LlamaError::Context(_) | LlamaError::ContextParams(_) => "no context",
        _ => "another error",
    }
}

/// Environment variable with the work of a child: shape, first damage, folder.
const BATCH: &str = "NEARSIDE_TEST_DECODE";
