//! `nearside providers sign-in`: gets a key by a sign-in in the browser, and stores it like a typed one.
//!
//! The browser is redirected to an address on this device; with `--code` the provider shows a code, which the user types.
//! The address holds a challenge only: the code is useless to other programs.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use nearside::engine::remote::{ProviderKind, ProviderSettings, SignIn};
use nearside::{Error, ErrorReason, Nearside};

use super::add::print_summary;
use super::redirect::RedirectListener;
use crate::error::CliError;
use crate::input::StdinLines;
use crate::keys::{self, KeySource};
use crate::output::{bold, dim, plain};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SignInArgs {
    /// Provider, as `nearside providers ls` names it, or `openrouter`, which is then set up
    #[arg(value_parser = keys::parse_provider_name)]
    name: String,
    /// Type the code that the provider shows: for a browser on another device
    #[arg(long)]
    code: bool,
}

impl SignInArgs {
    /// Returns the name of the provider.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Signs the user in, stores the key, and prints the provider.
pub(crate) async fn sign_in_user(args: SignInArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let added = add_missing(&args.name, &nearside, session).await?;
    match obtain_key(&args, &nearside, session).await {
        Ok(source) => print_summary("signed in at", &args.name, &source, &nearside, session).await,
        Err(error) => {
            if added {
                // Nothing is set up by halves. The first error is the one to show.
                let _ = nearside.remove_provider(args.name).await;
            }
            Err(error)
        }
    }
}

/// Sets the provider up if it is not, and its kind is the one with a sign-in. Returns whether it was added.
async fn add_missing(name: &str, nearside: &Nearside, session: &mut CliSession) -> Result<bool, CliError> {
    let providers = session.interrupt.race(nearside.providers()).await?;
    let kind = ProviderKind::from_name(name);
    if kind != Some(ProviderKind::OpenRouter) || providers.iter().any(|one| one.settings.name == name) {
        return Ok(false);
    }
    let settings = ProviderSettings::new(name, ProviderKind::OpenRouter);
    session.interrupt.race(nearside.add_provider(settings)).await?;
    Ok(true)
}

/// Waits for the code, exchanges it for a key, and stores that.
async fn obtain_key(args: &SignInArgs, nearside: &Nearside, session: &mut CliSession) -> Result<KeySource, CliError> {
    let name = &args.name;
    let listener = match args.code {
        true => None,
        false => Some(RedirectListener::bind().await?),
    };
    let callback = listener.as_ref().map(RedirectListener::address);
    let begun = session.interrupt.race(nearside.sign_in(name.clone(), callback)).await;
    let sign_in = Arc::new(begun.map_err(explain_kind)?);
    let code = match listener {
        Some(listener) => await_redirect(&listener, &sign_in, session).await?,
        None => ask_code(&sign_in, session).await?,
    };
    let finished = nearside.finish_sign_in(name.clone(), sign_in, code);
    let key = session
        .interrupt
        .race(finished)
        .await
        .map_err(|error| explain_code(name, error))?;
    let key = keys::validate_key(&key.into_text(), "the answer of the provider")?;
    session.keys()?.store_key(name, &key).map(KeySource::File)
}

async fn await_redirect(
    listener: &RedirectListener,
    sign_in: &SignIn,
    session: &mut CliSession,
) -> Result<String, CliError> {
    session
        .output
        .print_note(&[plain("open this address in a browser on this device:")]);
    session.output.print_note(&[bold(format!("  {}", sign_in.url()))]);
    session
        .output
        .print_note(&[dim("waiting for the browser; Ctrl-C stops")]);
    let code = async {
        tokio::time::timeout(SIGN_IN_TIMEOUT, listener.next_code())
            .await
            .unwrap_or_else(|_| {
                Err(Error::of(
                    ErrorReason::DeadlineExceeded,
                    "the browser did not return within ten minutes",
                ))
            })
    };
    session.interrupt.race(code).await.map_err(|error| match error {
        CliError::Library(error) => CliError::with_help(error, "sign in again, or type the code with `--code`"),
        other => other,
    })
}

async fn ask_code(sign_in: &SignIn, session: &mut CliSession) -> Result<String, CliError> {
    session.output.print_note(&[plain(
        "open this address in a browser, and type the code that it shows:",
    )]);
    session.output.print_note(&[bold(format!("  {}", sign_in.url()))]);
    let line = StdinLines::start_reading().next_line(&mut session.interrupt).await?;
    let code = line.map(|line| line.trim().to_owned()).filter(|code| !code.is_empty());
    code.ok_or_else(|| CliError::with_help(Error::unauthorized("no code was typed"), "sign in again"))
}

/// Names the command that sets a key, for a provider without a sign-in.
fn explain_kind(error: CliError) -> CliError {
    match error {
        CliError::Library(error) if error.reason() == ErrorReason::InvalidParameter => {
            CliError::with_help(error, "`nearside providers add NAME` asks for a key")
        }
        other => other,
    }
}

/// Names the command that signs in again.
fn explain_code(name: &str, error: CliError) -> CliError {
    match error {
        CliError::Library(error) if error.reason() == ErrorReason::KeyRejected => {
            CliError::with_help(error, format!("`nearside providers sign-in {name}` signs in again"))
        }
        other => other,
    }
}

/// Validity of a code.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(600);

const EXAMPLES: &str = "\
Example:
  nearside providers sign-in openrouter
  nearside providers sign-in openrouter --code

OpenRouter has a sign-in; the other providers need a key (`nearside providers add NAME`). Its page asks you to confirm, and
this device gets a key of your account, which is stored as `providers add` stores one and can be revoked there. No content is
sent.";
