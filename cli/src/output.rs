//! Everything the program says, in one place.
//!
//! - Standard output is for what was asked; standard error for everything around it.
//! - Colour only decorates: the words alone say it all. `NO_COLOR`, `TERM` and pipes are respected (anstream decides).
//! - Foreign text (names from a hub, answers of a model) can hold control characters that steer a terminal. None reaches
//!   one: whatever is shown to a person goes through [`harmless`]. What goes into a pipe as data is left as it is.
//! - Lines and pieces are flushed as they are written, so that a reader sees them at once.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

/// Where the program's words go.
pub(crate) struct Output {
    json: bool,
    out: Channel,
    err: Channel,
}

/// A piece of a line, in one style.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    style: Style,
    text: String,
}

struct Channel {
    writer: Box<dyn Write>,
    colour: bool,
    terminal: bool,
}

impl Output {
    /// Looks at both channels once.
    pub(crate) fn new(json: bool) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        Self {
            json,
            out: Channel::new(out.is_terminal(), AutoStream::choice(&out), out),
            err: Channel::new(err.is_terminal(), AutoStream::choice(&err), err),
        }
    }

    /// Whether a program reads: then only [`Self::object`] writes to standard output.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether a person looks at standard output.
    pub(crate) fn to_terminal(&self) -> bool {
        self.out.terminal
    }

    /// Whether a person looks at standard error.
    pub(crate) fn notes_to_terminal(&self) -> bool {
        self.err.terminal
    }

    /// One JSON object on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(object)
            .map_err(|cause| nearside::Error::internal(format!("could not write JSON: {cause}")))?;
        line.push(b'\n');
        self.out.raw(&line)?;
        Ok(())
    }

    /// One line for a person.
    pub(crate) fn line(&mut self, spans: &[Span]) -> Result<(), Failure> {
        let line = self.out.render(spans, "\n");
        self.out.raw(line.as_bytes())?;
        Ok(())
    }

    /// Columns under their headings, each as wide as its widest cell; those named in `right` end at the same column.
    pub(crate) fn table(&mut self, headings: &[&str], right: &[usize], rows: &[Vec<String>]) -> Result<(), Failure> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .chain([headings[column].len()])
                .max()
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
        self.line(&[bold(align(&headings))])?;
        rows.iter().try_for_each(|row| self.line(&[plain(align(row))]))
    }

    /// A piece of an answer, at once and without a line end. A pipe gets it to the byte.
    pub(crate) fn piece(&mut self, span: Span) -> Result<(), Failure> {
        if self.out.terminal {
            let piece = self.out.render(&[span], "");
            self.out.raw(piece.as_bytes())?;
        } else {
            self.out.raw(span.text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes bytes unchanged, such as a completion script.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.raw(bytes)?)
    }

    /// Prints one line on standard error; write errors are ignored.
    pub(crate) fn note(&mut self, spans: &[Span]) {
        let line = self.err.render(spans, "\n");
        let _ = self.err.raw(line.as_bytes());
    }

    /// A note that the next one overwrites; only for a terminal.
    pub(crate) fn passing_note(&mut self, span: Span) {
        if self.err.terminal {
            let line = self.err.render(&[span], "");
            let _ = self.err.raw(format!("\r{line}").as_bytes());
        }
    }

    /// `error: …` and `help: …`.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if let Some((what, help)) = failure.words() {
            self.problem(&what, &help);
        }
    }

    /// What went wrong and what helps, in the shape that every error has.
    pub(crate) fn problem(&mut self, what: &str, help: &str) {
        self.note(&[bad("error"), plain(format!(": {what}"))]);
        self.note(&[good("help"), plain(format!(": {help}"))]);
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
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
        // Without colour nothing may be filtered either: a pipe gets the bytes as they are.
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

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.writer.flush()
    }

    fn render(&self, spans: &[Span], end: &str) -> String {
        let mut line = String::new();
        for Span { style, text } in spans {
            let text = harmless(text);
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

/// Sends what the library tells through `tracing` to standard error, for `--verbose`. Only Nearside's own words: what
/// HTTP libraries log can hold headers, and a header can hold a token.
pub(crate) fn log_to_stderr() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;

    let colour = AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colour);
    let ours = Targets::new().with_target("nearside", LevelFilter::DEBUG);
    // Fails only if a subscriber is set already; this is the only place that sets one.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
}

/// As it is.
pub(crate) fn plain(text: impl Into<String>) -> Span {
    styled(Style::new(), text)
}

/// Less important than what stands beside it.
pub(crate) fn dim(text: impl Into<String>) -> Span {
    styled(Style::new().dimmed(), text)
}

/// More important than what stands beside it.
pub(crate) fn bold(text: impl Into<String>) -> Span {
    styled(Style::new().bold(), text)
}

/// All is well.
pub(crate) fn good(text: impl Into<String>) -> Span {
    styled(AnsiColor::Green.on_default().bold(), text)
}

/// It works, but not well.
pub(crate) fn doubtful(text: impl Into<String>) -> Span {
    styled(AnsiColor::Yellow.on_default().bold(), text)
}

/// It does not work.
pub(crate) fn bad(text: impl Into<String>) -> Span {
    styled(AnsiColor::Red.on_default().bold(), text)
}

fn styled(style: Style, text: impl Into<String>) -> Span {
    Span {
        style,
        text: text.into(),
    }
}

/// The text without anything that steers a terminal.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(steers, "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_foreign_text_can_steer_a_terminal() {
        assert_eq!(
            harmless("a\x1b[2Jb\u{9b}c\r\x07\nd\té"),
            "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}\u{FFFD}\nd\té"
        );
    }
}
