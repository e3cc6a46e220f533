//! Errors of commands: message, help and exit code.

use std::io;
use std::process::ExitCode;

use nearside::{Error, ErrorKind};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum CliError {
    /// Error of the library.
    Library(Error),
    /// Ctrl-C.
    Interrupted,
    /// The reader closed standard output (EPIPE); not an error.
    BrokenPipe,
    /// Standard output could not be written.
    Stdout(io::Error),
}

impl CliError {
    /// Returns the exit code of the program.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Library(_) | Self::Stdout(_) => ExitCode::FAILURE,
            Self::Interrupted => ExitCode::from(INTERRUPTED_EXIT_CODE),
            Self::BrokenPipe => ExitCode::SUCCESS,
        }
    }

    /// Returns the message and the help; `None` if nothing is printed.
    pub(crate) fn message_and_help(&self) -> Option<(String, String)> {
        match self {
            Self::Library(error) => Some(message_and_help(error)),
            Self::Stdout(cause) => Some((
                format!("could not write to standard output: {cause}"),
                "check where standard output is redirected to".to_owned(),
            )),
            Self::Interrupted | Self::BrokenPipe => None,
        }
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// Only for writes to standard output.
impl From<io::Error> for CliError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Stdout(cause),
        }
    }
}

/// Splits an error text into message and help, at the last semicolon. Replaces help that only a program can follow,
/// such as a call to `download`, by the CLI's own.
pub(crate) fn message_and_help(error: &Error) -> (String, String) {
    let text = error.to_string();
    let (what, help) = match text.rsplit_once("; ") {
        Some((what, help)) => (what.to_owned(), Some(help.to_owned())),
        None => (text, None),
    };
    match (error.kind(), help) {
        (ErrorKind::NotInstalled, Some(help)) if help.contains("download") => {
            (what, default_help(ErrorKind::NotInstalled).to_owned())
        }
        (_, Some(help)) => {
            let hint = SETTING_HINTS.into_iter().find(|(setting, _)| help.contains(setting));
            let help = hint.map_or(help.clone(), |(_, hint)| format!("{help} ({hint})"));
            (what, help)
        }
        (kind, None) => (what, default_help(kind).to_owned()),
    }
}

fn default_help(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotInstalled => "`nearside pull REF` downloads a model, `nearside ls` shows what is installed",
        ErrorKind::TooLarge => "take a smaller quantization, or a smaller context with `--context`",
        ErrorKind::Storage => {
            "check the path and its permissions; `nearside doctor` checks the data directory and the free space"
        }
        ErrorKind::Network => "check the connection and try again; received data is kept",
        ErrorKind::Provider => "try again later, or use another hub with `--hub URL`",
        ErrorKind::Unauthorized => "set HF_TOKEN to a token that may read this model",
        ErrorKind::RateLimited => "wait a while, then try again",
        ErrorKind::Corrupt => "remove the file and pull the model again",
        ErrorKind::Unsupported => "`nearside doctor` shows this build and device",
        ErrorKind::InvalidRequest => "`nearside help` lists the valid arguments",
        ErrorKind::Blocked => "a policy forbids it: change the policy or the request",
        ErrorKind::Busy => "wait until the other program has finished",
        ErrorKind::Internal => "this is a bug: please report it, with the output of `nearside doctor --json`",
    }
}

/// Terms in the help of library errors, and how a user sets each on the command line.
const SETTING_HINTS: [(&str, &str); 7] = [
    ("hub token", "HF_TOKEN holds it"),
    ("check the token", "HF_TOKEN holds it"),
    ("provider's key", "`nearside providers add NAME --key-file FILE`"),
    ("set a new one for", "`nearside providers add NAME --key-file FILE`"),
    ("policy", "`nearside policy set KEY=VALUE`"),
    ("the cap", "`nearside policy` shows the caps"),
    ("set up a provider", "`nearside providers add NAME`"),
];

/// Exit code that shells report after Ctrl-C: 128 plus the number of SIGINT.
const INTERRUPTED_EXIT_CODE: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_is_the_text_after_the_last_semicolon() {
        let error = Error::storage("could not write `a; b`: the disk is full; free some space");
        let (what, help) = message_and_help(&error);
        assert_eq!(what, "could not write `a; b`: the disk is full");
        assert_eq!(help, "free some space");
    }

    #[test]
    fn help_for_a_missing_model_names_a_command_and_never_a_library_call() {
        let not_installed = |text: &str| message_and_help(&Error::not_installed(text));
        let (what, help) = not_installed("model `a` is not installed; call `download` first");
        assert_eq!(what, "model `a` is not installed");
        assert!(help.contains("nearside pull"), "{help}");
        let (_, help) = not_installed("there is no file `a`; give the path of a GGUF file");
        assert_eq!(help, "give the path of a GGUF file");
        for text in [
            "the hub wants a login",
            "`a` is private; give a hub token that may read it",
        ] {
            let (_, help) = message_and_help(&Error::unauthorized(text));
            assert!(help.contains("HF_TOKEN"), "{help}");
        }
    }
}
