//! Errors of commands: message, help and exit code.

use std::io;
use std::process::ExitCode;

use nearside::{Error, ErrorKind, ErrorReason};
use serde::Serialize;

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum CliError {
    /// Error of the library.
    Library(Error),
    /// Error of this program, with its own help.
    Own(Error, String),
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
            Self::Library(_) | Self::Own(..) | Self::Stdout(_) => ExitCode::FAILURE,
            Self::Interrupted => ExitCode::from(INTERRUPTED_EXIT_CODE),
            Self::BrokenPipe => ExitCode::SUCCESS,
        }
    }

    /// Creates an error of this program, with its own help.
    pub(crate) fn with_help(error: Error, help: impl Into<String>) -> Self {
        Self::Own(error, help.into())
    }

    /// Returns the message and the help; `None` if nothing is printed.
    pub(crate) fn message_and_help(&self, context: &HelpContext) -> Option<(String, String)> {
        match self {
            Self::Library(error) => Some((error.to_string(), help(error, context))),
            Self::Own(error, help) => Some((error.to_string(), help.clone())),
            Self::Stdout(cause) => Some((
                format!("could not write to standard output: {cause}"),
                "check where standard output is redirected to".to_owned(),
            )),
            Self::Interrupted | Self::BrokenPipe => None,
        }
    }

    /// Returns the line that ends the output with `--json`; `None` if nothing failed, or nothing more can be written.
    pub(crate) fn to_json(&self, context: &HelpContext) -> Option<JsonFailure> {
        match self {
            Self::Library(error) => Some(JsonFailure::new(error, help(error, context))),
            Self::Own(error, help) => Some(JsonFailure::new(error, help.clone())),
            Self::Stdout(_) | Self::Interrupted | Self::BrokenPipe => None,
        }
    }
}

/// The last line of standard output of a command that fails with `--json`. Its fields are a contract: scripts read them.
#[derive(Debug, Serialize)]
pub(crate) struct JsonFailure {
    error: JsonError,
}

/// An error as JSON. Unknown values are `null`.
#[derive(Debug, Serialize)]
struct JsonError {
    kind: ErrorKind,
    reason: ErrorReason,
    text: String,
    help: String,
    retry_after_ms: Option<u64>,
    help_url: Option<String>,
}

impl JsonFailure {
    /// Creates the line of an error with this help.
    pub(crate) fn new(error: &Error, help: String) -> Self {
        Self {
            error: JsonError {
                kind: error.kind(),
                reason: error.reason(),
                text: error.to_string(),
                help,
                retry_after_ms: error.retry_after_ms(),
                help_url: error.help_url().map(str::to_owned),
            },
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

/// What is known of the command when its error is printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct HelpContext {
    /// Name of the command.
    pub(crate) command: Option<String>,
    /// The provider that the arguments name.
    pub(crate) provider: Option<String>,
    /// Whether the command talks to a hub, and not to a provider.
    pub(crate) is_about_hub: bool,
    /// An invalid proxy: the cause of each error that contains its text.
    pub(crate) proxy_fault: Option<ProxyFault>,
}

/// A variable that holds no address of a proxy.
#[derive(Debug, Clone)]
pub(crate) struct ProxyFault {
    /// Name of the variable.
    pub(crate) variable: &'static str,
    /// The error of every request that would use it.
    pub(crate) error: Error,
}

/// Returns what the user of this program can do about an error of the library. The library's text is complete, and names
/// no command and no flag; this does.
pub(crate) fn help(error: &Error, context: &HelpContext) -> String {
    let hub = context.is_about_hub;
    let provider = context.provider.as_deref().unwrap_or("NAME");
    let fault = context.proxy_fault.as_ref();
    if let Some(fault) = fault.filter(|fault| error.detail().contains(fault.error.detail())) {
        return format!("the variable `{}` holds it: correct or unset it", fault.variable);
    }
    let text = match error.reason() {
        ErrorReason::ConsentRequired => "`--yes` consents to it, and `--mode only-on-device` stays on this device",
        ErrorReason::PolicyForbids => {
            "`nearside policy` shows the policy, `nearside policy set KEY=VALUE` changes it, and `nearside route` shows what it excludes"
        }
        ErrorReason::CostCap => {
            "raise the cap with `--max-usd` or `nearside policy set`, or shorten the answer with `--max-tokens`"
        }
        ErrorReason::ContentFiltered => "rephrase the prompt, or use another target with `--provider` or `--model`",
        ErrorReason::KeyMissing | ErrorReason::KeyRejected | ErrorReason::KeyForbidden if hub => {
            return match error.help_url() {
                Some(page) => format!("set HF_TOKEN to a token that may read this model; its page is {page}"),
                None => "set HF_TOKEN to a token that may read this model".to_owned(),
            };
        }
        ErrorReason::KeyMissing | ErrorReason::KeyRejected | ErrorReason::KeyForbidden => {
            return format!("`nearside providers add {provider} --key-file FILE` sets a key");
        }
        ErrorReason::NoCredit => "add credit at the provider, or use another target with `--provider` or `--model`",
        ErrorReason::TermsNotAccepted => {
            let page = error.help_url().unwrap_or("its page");
            return format!("accept the terms on {page}, and set HF_TOKEN to a token of that account");
        }
        ErrorReason::Offline => "connect this device, then try again; received data is kept",
        ErrorReason::Unreachable if hub => {
            "check the network, or use another hub with `--hub URL`; received data is kept"
        }
        ErrorReason::Unreachable => "check the network; `nearside providers ls` shows the addresses",
        ErrorReason::LocalNetworkDenied => "allow this program to use the local network in the settings of the system",
        ErrorReason::NoResponse | ErrorReason::Interrupted if hub => "try again; received data is kept",
        ErrorReason::NoResponse | ErrorReason::Interrupted => {
            "send the prompt again, or use another target with `--provider` or `--model`"
        }
        ErrorReason::DeadlineExceeded => "allow more time with `--deadline`, or shorten the answer with `--max-tokens`",
        ErrorReason::ProviderFault if hub => "try again later, or use another hub with `--hub URL`",
        ErrorReason::ProviderFault => "try again later, or use another target with `--provider` or `--model`",
        ErrorReason::ContextExceeded => {
            "shorten the prompt or start a new conversation; `--context` sets the size for a local model, up to what it was trained with"
        }
        ErrorReason::UnknownModel if hub => "`nearside pull --help` shows how a model is named",
        ErrorReason::UnknownModel => return format!("`nearside providers models {provider}` lists what it offers"),
        ErrorReason::NotFound => "`nearside providers ls` shows the providers, and `nearside ls` the installed models",
        ErrorReason::InvalidParameter => {
            return match &context.command {
                Some(command) => format!("`nearside {command} --help` lists the valid arguments"),
                None => "`nearside --help` lists the commands".to_owned(),
            };
        }
        ErrorReason::ModelNotInstalled => {
            "`nearside pull REF` downloads a model, and `nearside ls` shows what is installed"
        }
        ErrorReason::ModelTooLarge => {
            "take a smaller quantization, or a smaller context with `--context`; `nearside fit REF` shows what would fit"
        }
        ErrorReason::Unsupported => "use another model; `nearside doctor` shows this build and device",
        ErrorReason::DiskFull => "free some space, or set another data directory with `--data-dir DIR`",
        ErrorReason::AccessDenied => {
            "change the permissions of that path, or set another data directory with `--data-dir DIR`"
        }
        ErrorReason::Damaged => return damage_help(error, context).to_owned(),
        ErrorReason::NewerVersion => "install the newest version of this program",
        ErrorReason::StorageFailed => {
            "check the path and its permissions; `nearside doctor` checks the data directory and the free space"
        }
        ErrorReason::RateLimited | ErrorReason::Overloaded => return format!("wait {}, then try again", wait(error)),
        ErrorReason::CircuitOpen => {
            return format!(
                "wait {}, or use another target with `--provider` or `--model`",
                wait(error)
            );
        }
        ErrorReason::Busy => "wait until that is done, then try again",
        ErrorReason::Closed => "run the command again",
        ErrorReason::Bug => "this is a bug: please report it, with the output of `nearside doctor --json`",
    };
    text.to_owned()
}

/// Returns what helps against a damaged file: it depends on whether the file can be fetched again.
fn damage_help(error: &Error, context: &HelpContext) -> &'static str {
    if error.kind() == ErrorKind::Storage {
        return "restore the file from a backup, or move it away and keep it: without it the program starts without what it held";
    }
    match context.command.as_deref() {
        Some("pull") => {
            "nothing was installed: pull it again; if it arrives damaged again, its source is damaged, and another one is needed"
        }
        Some("import") => "the file was left unchanged: copy or download it again from its source",
        _ => {
            "`nearside rm REF` and `nearside pull REF` replace an installed model; copy or download a file of your own again"
        }
    }
}

/// Formats the time until a retry can succeed.
fn wait(error: &Error) -> String {
    match error.retry_after_ms() {
        Some(ms) => format!("{} s", ms.div_ceil(1_000)),
        None => "a while".to_owned(),
    }
}

/// Exit code that shells report after Ctrl-C: 128 plus the number of SIGINT.
const INTERRUPTED_EXIT_CODE: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_whole_and_the_help_is_the_programs_own() {
        let text = "could not write `a; b`: the disk is full; free some space and try again";
        let error = CliError::from(Error::storage(text).because(ErrorReason::DiskFull));
        let (what, help) = error.message_and_help(&HelpContext::default()).expect("an error");
        assert_eq!(what, text);
        assert!(help.contains("--data-dir"), "{help}");
        let own = CliError::with_help(Error::unauthorized("it holds no key"), "a key is one line");
        let (what, help) = own.message_and_help(&HelpContext::default()).expect("an error");
        assert_eq!((what.as_str(), help.as_str()), ("it holds no key", "a key is one line"));
    }

    #[test]
    fn help_names_the_hub_or_the_provider_that_was_asked() {
        let provider = HelpContext {
            command: Some("chat".to_owned()),
            provider: Some("groq".to_owned()),
            ..HelpContext::default()
        };
        let hub = HelpContext {
            is_about_hub: true,
            ..HelpContext::default()
        };
        for reason in ErrorReason::ALL {
            let error = Error::of(*reason, "x").with_help_url("https://example.org/o/r");
            let (here, there) = (help(&error, &hub), help(&error, &provider));
            assert!(
                !there.contains("--hub") && !there.contains("HF_TOKEN") || *reason == ErrorReason::TermsNotAccepted
            );
            assert!(
                !here.contains("--provider NAME") && !here.contains("providers add"),
                "{here}"
            );
            assert!(!here.is_empty() && !there.contains('\n'));
        }
        let help = |reason| help(&Error::of(reason, "x"), &provider);
        assert!(help(ErrorReason::UnknownModel).contains("nearside providers models groq"));
        assert!(help(ErrorReason::KeyRejected).contains("nearside providers add groq"));
        assert!(help(ErrorReason::InvalidParameter).contains("nearside chat --help"));
    }

    #[test]
    fn help_for_a_wait_says_how_long() {
        let error = Error::rate_limited("x").with_retry_after(Some(std::time::Duration::from_millis(1_200)));
        assert_eq!(help(&error, &HelpContext::default()), "wait 2 s, then try again");
    }
}
