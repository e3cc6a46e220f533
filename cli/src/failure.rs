//! Why a command stops: its message and its exit code.

use std::io;
use std::process::ExitCode;

use nearside::{Error, ErrorKind};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library refused or failed.
    Library(Error),
    /// Ctrl-C.
    Interrupted,
    /// The reader closed standard output (EPIPE); not an error.
    ReaderLeft,
    /// Standard output could not be written.
    Output(io::Error),
}

impl Failure {
    /// What a script sees.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Library(_) | Self::Output(_) => ExitCode::FAILURE,
            Self::Interrupted => ExitCode::from(INTERRUPTED),
            Self::ReaderLeft => ExitCode::SUCCESS,
        }
    }

    /// What happened and what helps; nothing where nothing needs saying.
    pub(crate) fn words(&self) -> Option<(String, String)> {
        match self {
            Self::Library(error) => Some(words(error)),
            Self::Output(cause) => Some((
                format!("could not write to standard output: {cause}"),
                "check where the output goes".to_owned(),
            )),
            Self::Interrupted | Self::ReaderLeft => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// Only for writes to standard output.
impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::Output(cause),
        }
    }
}

/// Splits an error text into message and help, at the last semicolon. Replaces help that only a program can follow,
/// such as a call to `download`, by the CLI's own.
pub(crate) fn words(error: &Error) -> (String, String) {
    let text = error.to_string();
    let (what, help) = match text.rsplit_once("; ") {
        Some((what, help)) => (what.to_owned(), Some(help.to_owned())),
        None => (text, None),
    };
    match (error.kind(), help) {
        (ErrorKind::NotInstalled, Some(help)) if help.contains("download") => {
            (what, remedy(ErrorKind::NotInstalled).to_owned())
        }
        (_, Some(help)) => {
            let place = SETTINGS.into_iter().find(|(setting, _)| help.contains(setting));
            let help = place.map_or(help.clone(), |(_, place)| format!("{help} ({place})"));
            (what, help)
        }
        (kind, None) => (what, remedy(kind).to_owned()),
    }
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotInstalled => "`nearside pull REF` downloads a model, `nearside ls` shows what is installed",
        ErrorKind::TooLarge => "take a smaller quantization, or a smaller context with `--context`",
        ErrorKind::Storage => {
            "check the path and its rights; `nearside doctor` looks at the data directory and the free space"
        }
        ErrorKind::Network => "check the connection and run it again; what came is kept",
        ErrorKind::Provider => "try again later, or ask another hub with `--hub URL`",
        ErrorKind::Unauthorized => "set HF_TOKEN to a token that may read this model",
        ErrorKind::RateLimited => "wait a while, then run it again",
        ErrorKind::Corrupt => "remove the file and pull the model again",
        ErrorKind::Unsupported => "`nearside doctor` shows what this build and machine can do",
        ErrorKind::InvalidRequest => "`nearside help` shows what is accepted",
        ErrorKind::Blocked => "a policy forbids it: change the policy or the request",
        ErrorKind::Busy => "wait until the other program is done",
        ErrorKind::Internal => "this is a bug: please report it, with the output of `nearside doctor --json`",
    }
}

/// What the library's remedies speak of, and how a person sets it.
const SETTINGS: [(&str, &str); 7] = [
    ("hub token", "HF_TOKEN holds it"),
    ("check the token", "HF_TOKEN holds it"),
    ("provider's key", "`nearside providers add NAME --key-file FILE`"),
    ("set a new one for", "`nearside providers add NAME --key-file FILE`"),
    ("policy", "`nearside policy set KEY=VALUE`"),
    ("the cap", "`nearside policy` shows the caps"),
    ("set up a provider", "`nearside providers add NAME`"),
];

/// What shells give for a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_what_stands_behind_the_last_semicolon() {
        let error = Error::storage("could not write `a; b`: the disk is full; free some space");
        assert_eq!(
            words(&error),
            (
                "could not write `a; b`: the disk is full".to_owned(),
                "free some space".to_owned()
            )
        );
    }

    #[test]
    fn every_kind_has_a_remedy_of_its_own_and_a_missing_model_never_names_a_library_call() {
        let (what, help) = words(&Error::not_installed(
            "model `a` is not installed; call `download` first",
        ));
        assert_eq!(what, "model `a` is not installed");
        assert!(help.contains("nearside pull"), "{help}");
        let (_, help) = words(&Error::not_installed(
            "there is no file `a`; give the path of a GGUF file",
        ));
        assert_eq!(help, "give the path of a GGUF file");
        for text in [
            "the hub wants a login",
            "`a` is private; give a hub token that may read it",
        ] {
            let (_, help) = words(&Error::unauthorized(text));
            assert!(help.contains("HF_TOKEN"), "{help}");
        }
    }
}
