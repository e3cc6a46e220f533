//! Download progress on standard error: a bar on a terminal, else log lines.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::format::format_bytes;
use crate::output::{Printer, dim};

/// Progress of one download. Dropping it removes the bar.
#[derive(Debug)]
pub(crate) enum DownloadProgress {
    /// For a terminal.
    Bar(ProgressBar),
    /// For a log.
    Lines {
        /// Time of the last line, and the tenths of the download that it showed.
        last: Option<(Instant, u64)>,
    },
}

impl DownloadProgress {
    /// Returns a bar if standard error is a terminal, else log lines.
    pub(crate) fn new(output: &Printer) -> Self {
        if !output.is_note_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant; the default bar is only a fallback.
        bar.set_style(ProgressStyle::with_template(BAR_TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    /// Updates the bar, or writes a line if one is due. All sizes are bytes.
    pub(crate) fn update(&mut self, done: u64, total: u64, bytes_per_second: u64, output: &mut Printer) {
        match self {
            Self::Bar(bar) => {
                let first = bar.length().is_none();
                bar.update(|state| {
                    state.set_len(total);
                    state.set_pos(done);
                });
                if first {
                    // Bytes of an earlier run must not count as speed.
                    bar.reset_eta();
                }
                bar.set_message(format_progress(done, total, bytes_per_second));
            }
            Self::Lines { last } => {
                let tenth = (done * 10).checked_div(total).unwrap_or(10);
                let is_due = match *last {
                    None => true,
                    Some((when, before)) => tenth > before || when.elapsed() >= MAX_LINE_INTERVAL,
                };
                if is_due {
                    *last = Some((Instant::now(), tenth));
                    let percent = (done * 100).checked_div(total).unwrap_or(100);
                    let progress = format_progress(done, total, bytes_per_second);
                    output.print_note(&[dim(format!("downloading: {percent} %, {progress}"))]);
                }
            }
        }
    }

    /// Removes the bar, so that other lines can be printed.
    pub(crate) fn remove_bar(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for DownloadProgress {
    fn drop(&mut self) {
        self.remove_bar();
    }
}

/// Formats `34.1 MB of 98.4 MB, 11.2 MB/s`; omits an unknown speed.
fn format_progress(done: u64, total: u64, bytes_per_second: u64) -> String {
    let text = format!("{} of {}", format_bytes(done), format_bytes(total));
    match bytes_per_second {
        0 => text,
        rate => format!("{text}, {}/s", format_bytes(rate)),
    }
}

/// The bar takes the width that the text leaves; on a narrow terminal none.
const BAR_TEMPLATE: &str = "{wide_bar} {percent:>3} %  {msg}  {eta}";

/// Longest time between two lines: a silent log looks stuck, and more lines would flood it.
const MAX_LINE_INTERVAL: Duration = Duration::from_secs(10);
