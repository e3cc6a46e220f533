//! Runs thousands of damaged model files through the library's parser and, if it accepts them, llama.cpp's plan. Each must
//! end with an error text or a plausible verdict; none may end the process, hang, or take more than 200 MB.
//!
//! The files are processed in child processes (this program again), so that crashes are counted, and so that the peak
//! memory is that of the library alone.

mod damage;
mod decode;
mod nonsense;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nearside::device::{self, DeviceFacts};
use nearside::model::fit::fit_file;
use nearside::model::gguf::{Head, ParseOutcome, parse_head};
use nearside::model::{FitOptions, FitVerdict, MemoryBudget};
use nearside_tests::gguf::Layout;
use nearside_tests::models;

use damage::Damage;

#[test]
fn every_damaged_file_is_refused_or_judged_and_none_ends_the_process() {
    if let Ok(batch) = std::env::var(BATCH) {
        return judge_batch(&batch);
    }
    let mut judged = 0;
    let mut counts = BTreeMap::<String, u32>::new();
    let mut failures = String::new();
    for model in ["smollm2.gguf", "r1-7b.gguf"] {
        let damages = damages_of(model, &Layout::read(&models::path(model)));
        let children: Vec<_> = (0..CHILDREN).map(|part| Child::start(model, part)).collect();
        for child in children {
            let report = child.finish(&mut failures);
            for line in report.lines() {
                judged += 1;
                let outcome = line.split('\t').nth(1).expect("an outcome");
                *counts.entry(outcome.to_owned()).or_default() += 1;
            }
        }
        println!("{model}: {} files", damages.len());
    }
    println!("{judged} files judged: {counts:?}");
    assert!(failures.is_empty(), "{failures}");
    assert!(judged >= 2_000, "{judged}");
}

/// Returns the damages for a model: all for the small one, every sixth for the large one, whose head takes ten times as
/// long.
fn damages_of(model: &str, layout: &Layout) -> Vec<Damage> {
    let step = if model.starts_with("smollm2") { 1 } else { 6 };
    damage::all(layout).into_iter().step_by(step).collect()
}

/// A child process that handles its share of the damages of one model.
struct Child {
    process: std::process::Child,
    folder: tempfile::TempDir,
    name: String,
}

impl Child {
    fn start(model: &str, part: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = format!("{model}:{part}");
        let process = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "every_damaged_file_is_refused_or_judged_and_none_ends_the_process",
            ])
            .env(BATCH, format!("{name}:{}", folder.path().display()))
            .stdout(File::create(folder.path().join("output")).expect("a file"))
            .stderr(File::create(folder.path().join("errors")).expect("a file"))
            .spawn()
            .expect("a child");
        Self { process, folder, name }
    }

    /// Waits for the process, adds its problems to `failures`, and returns the output lines.
    fn finish(mut self, failures: &mut String) -> String {
        let status = self.process.wait().expect("an end");
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let (judged, now) = (read("judged"), read("now"));
        if !status.success() {
            let text = read("errors") + &read("output");
            let _ = writeln!(failures, "{}: {status} at `{now}`: {text}", self.name);
        }
        let peak: u64 = read("peak").trim().parse().unwrap_or_default();
        println!("{}: peak {} MB", self.name, peak / 1_000_000);
        if peak > MAX_MEMORY_BYTES {
            let _ = writeln!(failures, "{}: took {peak} bytes", self.name);
        }
        for line in judged.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let (milliseconds, text) = (fields[2].parse::<u64>().expect("a number"), fields[3]);
            if text.trim().is_empty() || text.contains("GGML_ASSERT") || fields[1] == "Internal" || milliseconds > 5_000
            {
                let _ = writeln!(failures, "{}: {line}", self.name);
            }
        }
        judged
    }
}

/// Runs in the child: classifies every damage of its share and prints a line for each.
fn judge_batch(batch: &str) {
    let mut fields = batch.splitn(3, ':');
    let mut field = || fields.next().expect("model, part and folder").to_owned();
    let (model, part) = (field(), field().parse::<usize>().expect("a number"));
    let folder = PathBuf::from(field());
    let layout = Layout::read(&models::path(&model));
    let snapshot = device::snapshot(&DeviceFacts::default()).expect("a snapshot");
    let budget = MemoryBudget {
        bytes: snapshot.memory_available,
        source: snapshot.memory_source,
    };
    let mut judged = File::create(folder.join("judged")).expect("a file");
    watch(folder.clone());
    let damages = damages_of(&model, &layout);
    for (number, damage) in damages.iter().enumerate().skip(part).step_by(CHILDREN) {
        fs::write(folder.join("now"), &damage.what).expect("a file");
        STARTED.store(now_ms(), Ordering::SeqCst);
        let began = Instant::now();
        let (outcome, text) = judge(&layout, damage, &folder, &budget, number);
        let line = format!("{}\t{outcome}\t{}\t{text}\n", damage.what, began.elapsed().as_millis());
        judged.write_all(line.as_bytes()).expect("a line");
    }
    STARTED.store(0, Ordering::SeqCst);
    fs::write(folder.join("peak"), peak_memory().to_string()).expect("a file");
    for entry in fs::read_dir(&folder).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.contains("outline"), "left behind: {name}");
    }
}

/// Uses the import of a whole file for every other damage, and the head of a remote file for the rest.
fn judge(layout: &Layout, damage: &Damage, folder: &Path, budget: &MemoryBudget, number: usize) -> (String, String) {
    let (bytes, size) = damage.apply(layout);
    let path = folder.join("damaged.gguf");
    fs::write(&path, &bytes).expect("a file");
    let head = if number % 4 < 2 {
        let file = File::options().write(true).open(&path).expect("the file");
        file.set_len(size).expect("its size");
        Head::read_file(&path)
    } else {
        let mut parsed = parse_head(&bytes, size);
        if let Ok(ParseOutcome::Incomplete { at_least }) = parsed {
            // A download that delivers no more: the rest of the file is weights, which are zero here.
            let mut longer = bytes;
            longer.resize(usize::try_from(at_least.min(80 << 20)).expect("small"), 0);
            parsed = parse_head(&longer, size);
            if let Ok(ParseOutcome::Incomplete { at_least: more }) = parsed {
                assert!(more > at_least && more <= size, "{more} after {at_least} of {size}");
                return ("More".into(), format!("wants {more} bytes"));
            }
        }
        parsed.map(|outcome| match outcome {
            ParseOutcome::Complete(head) => *head,
            ParseOutcome::Incomplete { .. } => unreachable!("it returned above"),
        })
    };
    let report = head.and_then(|head| fit_file(&path, &head, size, &FitOptions::default(), budget, 2));
    match report {
        Ok(report) => {
            let need = &report.need;
            assert_eq!(need.total, need.weights + need.cache + need.compute + need.other);
            assert!(report.context >= 1 && report.context <= 4096 && !report.reason.is_empty());
            assert!(report.verdict != FitVerdict::Fits || need.total <= report.budget.bytes);
            (format!("{:?}", report.verdict), report.reason)
        }
        Err(error) => {
            let text = error.to_string().replace(['\n', '\t'], " ");
            (format!("{:?}", error.kind()), text)
        }
    }
}

/// Ends the process if a file exceeds its time limit: a hang must not block the others.
fn watch(folder: PathBuf) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let started = STARTED.load(Ordering::SeqCst);
            if started != 0 && now_ms().saturating_sub(started) > 20_000 {
                let _ = fs::write(folder.join("errors"), "hangs");
                std::process::exit(3);
            }
        }
    });
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Returns the peak memory of this process in bytes; 0 if unknown.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Start of the current file in milliseconds since 1970; 0 for none.
static STARTED: AtomicU64 = AtomicU64::new(0);
/// Environment variable with the share of a child: model, part, folder.
const BATCH: &str = "NEARSIDE_TEST_BATCH";
const CHILDREN: usize = 2;
const MAX_MEMORY_BYTES: u64 = 200_000_000;
