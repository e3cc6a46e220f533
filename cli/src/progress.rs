//! How far a download is: a bar on a terminal, and lines that a log can hold everywhere else. Always on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::bytes::human;
use crate::output::{Output, dim};

/// One download. Dropping it takes the bar away.
#[derive(Debug)]
pub(crate) enum Progress {
    /// For a terminal.
    Bar(ProgressBar),
    /// For a log.
    Lines {
        /// When the last line was written, and how many tenths it told.
        told: Option<(Instant, u64)>,
    },
}

impl Progress {
    /// A bar if a person looks at standard error.
    pub(crate) fn new(output: &Output) -> Self {
        if !output.notes_to_terminal() {
            return Self::Lines { told: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant: should it ever be wrong, the default bar is right enough.
        bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    /// So much is here, of so much, so fast (bytes).
    pub(crate) fn show(&mut self, done: u64, total: u64, bytes_per_second: u64, output: &mut Output) {
        match self {
            Self::Bar(bar) => {
                let first = bar.length().is_none();
                bar.update(|state| {
                    state.set_len(total);
                    state.set_pos(done);
                });
                if first {
                    // What was here before must not count as speed.
                    bar.reset_eta();
                }
                bar.set_message(sum(done, total, bytes_per_second));
            }
            Self::Lines { told } => {
                let tenth = (done * 10).checked_div(total).unwrap_or(10);
                let due = match *told {
                    None => true,
                    Some((when, before)) => tenth > before || when.elapsed() >= SILENCE,
                };
                if due {
                    *told = Some((Instant::now(), tenth));
                    let percent = (done * 100).checked_div(total).unwrap_or(100);
                    let sum = sum(done, total, bytes_per_second);
                    output.note(&[dim(format!("downloading: {percent} %, {sum}"))]);
                }
            }
        }
    }

    /// Takes the bar away, so that other words can be written.
    pub(crate) fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `34.1 MB of 98.4 MB, 11.2 MB/s`; no speed where none is known yet.
fn sum(done: u64, total: u64, bytes_per_second: u64) -> String {
    let sum = format!("{} of {}", human(done), human(total));
    match bytes_per_second {
        0 => sum,
        rate => format!("{sum}, {}/s", human(rate)),
    }
}

/// The bar takes the width that the words leave, on a narrow terminal none.
const TEMPLATE: &str = "{wide_bar} {percent:>3} %  {msg}  {eta}";

/// A log that says nothing for longer than this looks dead; more lines than this would drown it.
const SILENCE: Duration = Duration::from_secs(10);
