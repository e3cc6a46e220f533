//! All output of the program.
//!
//! - Standard output is for the answer of a command; standard error for everything else (notes).
//! - Colour carries no information. `NO_COLOR`, `TERM` and pipes are respected (anstream decides).
//! - Foreign text (names from a hub, answers of a model) can hold control characters that act on a terminal. All text for
//!   a terminal goes through [`sanitize`]; data for a pipe is left unchanged.
//! - Every write is flushed, so that a reader gets it at once.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::error::{CliError, HelpContext};

/// Writer of standard output and standard error.
pub(crate) struct Printer {
    json: bool,
    help: HelpContext,
    out: Channel,
    err: Channel,
}

/// Text in one style; a line is made of several.
#[derive(Debug, Clone)]
pub(crate) struct StyledText {
    style: Style,
    text: String,
}

struct Channel {
    writer: Box<dyn Write>,
    colour: bool,
    terminal: bool,
}

impl Printer {
    /// Detects terminals and colour support of both channels, once.
    pub(crate) fn new(json: bool, help: HelpContext) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        Self {
            json,
            help,
            out: Channel::new(out.is_terminal(), AutoStream::choice(&out), out),
            err: Channel::new(err.is_terminal(), AutoStream::choice(&err), err),
        }
    }

    /// Whether `--json` was given: then only [`Self::print_json`] writes to standard output.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.out.terminal
    }

    /// Whether standard error is a terminal.
    pub(crate) fn is_note_terminal(&self) -> bool {
        self.err.terminal
    }

    /// Prints one JSON object on its own line.
    pub(crate) fn print_json(&mut self, object: &impl Serialize) -> Result<(), CliError> {
        let mut line = serde_json::to_vec(object)
            .map_err(|cause| nearside::Error::internal(format!("could not write JSON: {cause}")))?;
        line.push(b'\n');
        self.out.write_flushed(&line)?;
        Ok(())
    }

    /// Prints one line.
    pub(crate) fn print_line(&mut self, texts: &[StyledText]) -> Result<(), CliError> {
        let line = self.out.render(texts, "\n");
        self.out.write_flushed(line.as_bytes())?;
        Ok(())
    }

    /// Prints columns under headings, each as wide as its widest cell. The columns in `right` are right-aligned.
    pub(crate) fn print_table(
        &mut self,
        headings: &[&str],
        right: &[usize],
        rows: &[Vec<String>],
    ) -> Result<(), CliError> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let lengths = cells.map(|cell| cell.chars().count());
            lengths.chain([headings[column].len()]).max()
        };
        let widths: Vec<usize> = (0..headings.len()).filter_map(width).collect();
        let align = |cells: &[String]| {
            let mut line = String::new();
            for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                // Writing to a string cannot fail.
                let _ = if right.contains(&column) {
                    write!(line, "{gap}{cell:>width$}")
                } else {
                    write!(line, "{gap}{cell:<width$}")
                };
            }
            line.trim_end().to_owned()
        };
        let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
        self.print_line(&[bold(align(&headings))])?;
        rows.iter().try_for_each(|row| self.print_line(&[plain(align(row))]))
    }

    /// Prints a chunk of an answer without a line end. A pipe gets its exact bytes.
    pub(crate) fn print_text(&mut self, text: StyledText) -> Result<(), CliError> {
        if self.out.terminal {
            let text = self.out.render(&[text], "");
            self.out.write_flushed(text.as_bytes())?;
        } else {
            self.out.write_flushed(text.text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes bytes unchanged, such as a completion script.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        Ok(self.out.write_flushed(bytes)?)
    }

    /// Prints one line on standard error; write errors are ignored.
    pub(crate) fn print_note(&mut self, texts: &[StyledText]) {
        let line = self.err.render(texts, "\n");
        let _ = self.err.write_flushed(line.as_bytes());
    }

    /// Prints a note that the next one overwrites; only on a terminal.
    pub(crate) fn print_transient_note(&mut self, text: StyledText) {
        if self.err.terminal {
            let line = self.err.render(&[text], "");
            let _ = self.err.write_flushed(format!("\r{line}").as_bytes());
        }
    }

    /// Prints `error: …` and `help: …`; with `--json` also the error as a line of standard output.
    pub(crate) fn print_error(&mut self, error: &CliError) {
        if let Some(line) = error.to_json(&self.help).filter(|_| self.json) {
            // The reader may have closed the pipe; the exit code says the same.
            let _ = self.print_json(&line);
        }
        if let Some((message, help)) = error.message_and_help(&self.help) {
            self.print_note(&[bad("error"), plain(format!(": {message}"))]);
            self.print_note(&[good("help"), plain(format!(": {help}"))]);
        }
    }
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Channel {
    fn new<S>(terminal: bool, choice: anstream::ColorChoice, stream: S) -> Self
    where
        S: anstream::stream::RawStream + anstream::stream::AsLockedWrite + 'static,
    {
        let colour = choice != anstream::ColorChoice::Never;
        // Without colour no filter either: a pipe gets the exact bytes.
        let writer: Box<dyn Write> = if colour {
            Box::new(AutoStream::new(stream, choice))
        } else {
            Box::new(stream)
        };
        Self {
            writer,
            colour,
            terminal,
        }
    }

    fn write_flushed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.writer.flush()
    }

    fn render(&self, texts: &[StyledText], end: &str) -> String {
        let mut line = String::new();
        for StyledText { style, text } in texts {
            let text = sanitize(text);
            // Writing to a string cannot fail.
            let _ = if self.colour && !style.is_plain() {
                write!(line, "{style}{text}{style:#}")
            } else {
                write!(line, "{text}")
            };
        }
        line.push_str(end);
        line
    }
}

/// Logs `tracing` events to standard error, for `--verbose`. Only those of Nearside: the logs of HTTP libraries can hold
/// headers, and a header can hold a token.
pub(crate) fn log_to_stderr() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;

    let colour = AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colour);
    let nearside = Targets::new().with_target("nearside", LevelFilter::DEBUG);
    // Fails only if a subscriber is already set; only this function sets one.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(nearside))
        .try_init();
}

/// Returns unstyled text.
pub(crate) fn plain(text: impl Into<String>) -> StyledText {
    styled(Style::new(), text)
}

/// Styles text that is less important than its neighbours.
pub(crate) fn dim(text: impl Into<String>) -> StyledText {
    styled(Style::new().dimmed(), text)
}

/// Styles text that is more important than its neighbours.
pub(crate) fn bold(text: impl Into<String>) -> StyledText {
    styled(Style::new().bold(), text)
}

/// Styles a success.
pub(crate) fn good(text: impl Into<String>) -> StyledText {
    styled(AnsiColor::Green.on_default().bold(), text)
}

/// Styles a warning.
pub(crate) fn warning(text: impl Into<String>) -> StyledText {
    styled(AnsiColor::Yellow.on_default().bold(), text)
}

/// Styles a failure.
pub(crate) fn bad(text: impl Into<String>) -> StyledText {
    styled(AnsiColor::Red.on_default().bold(), text)
}

fn styled(style: Style, text: impl Into<String>) -> StyledText {
    StyledText {
        style,
        text: text.into(),
    }
}

/// Replaces the control characters of a text, except line ends and tabs.
pub(crate) fn sanitize(text: &str) -> String {
    let is_unsafe = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(is_unsafe, "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_foreign_text_are_replaced() {
        assert_eq!(
            sanitize("a\x1b[2Jb\u{9b}c\r\x07\nd\té"),
            "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}\u{FFFD}\nd\té"
        );
    }
}
