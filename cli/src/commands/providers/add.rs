//! `nearside providers add`: sets a provider up. Its key comes from a file, a variable or the terminal, never from an
//! argument: other users of the machine can see arguments, and shells store them.

use std::path::Path;

use clap::Args;
use nearside::engine::remote::{ModelPrice, ProviderKind, ProviderSettings, TokenPrice, origin};
use nearside::{Error, ErrorReason, Nearside};

use super::ls;
use crate::args::values::{kind_parser, parse_usd};
use crate::env::read_variable;
use crate::error::CliError;
use crate::input::{read_on_thread, read_text};
use crate::interrupt::Interrupt;
use crate::keys::{self, KeyFiles, KeySource};
use crate::output::{dim, good, plain, warning};
use crate::prompt;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AddProviderArgs {
    /// Name of the provider: lower-case letters, digits, `-`, `_` and `.`
    #[arg(value_parser = keys::parse_provider_name)]
    name: String,
    /// Kind of provider, which sets the protocol [default: NAME]
    #[arg(long, value_name = "KIND", value_parser = kind_parser())]
    kind: Option<ProviderKind>,
    /// Base URL [default: the one of that kind of provider]
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    base_url: Option<String>,
    /// Model of requests that name none [default: a well-known model of the provider]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Allow unencrypted HTTP; only for a server in your own network
    #[arg(long)]
    allow_http: bool,
    /// It is your own server: content may be sent to it without consent [default: decided by its address]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    own_server: Option<bool>,
    /// Trust the certificates in this PEM file: a root, or the server's own, which may be self-signed
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    certificate: Option<String>,
    /// Largest context to request from an Ollama server, in tokens [default: 32768]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(256..))]
    max_context: Option<u32>,
    /// Price of a million prompt tokens in US dollars [default: the published one]
    #[arg(long, value_name = "USD", requires = "price_out", value_parser = parse_usd, allow_negative_numbers = true)]
    price_in: Option<f64>,
    /// Price of a million generated tokens in US dollars
    #[arg(long, value_name = "USD", requires = "price_in", value_parser = parse_usd, allow_negative_numbers = true)]
    price_out: Option<f64>,
    /// Read the key from this file and store it [default: the key of a hosted provider is asked for on the terminal]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "key_env")]
    key_file: Option<String>,
    /// Store no key: read it from this environment variable at each start
    #[arg(long, value_name = "VAR")]
    key_env: Option<String>,
}

impl AddProviderArgs {
    /// Returns the name of the provider.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Change of the stored key.
enum KeyChange {
    StoreKey(String),
    StoreVariable(String),
    Keep,
}

/// Stores the key and the settings, and prints the provider.
pub(crate) async fn add_provider(args: AddProviderArgs, session: &mut CliSession) -> Result<(), CliError> {
    let settings = args.to_settings(&mut session.interrupt).await?;
    let server = origin(&settings)?;
    let nearside = session.open_library()?;
    let keys = session.keys()?;
    let providers = session.interrupt.race(nearside.providers()).await?;
    let before = providers.iter().find(|one| one.settings.name == settings.name);
    // A key belongs to one server: it is not reused for another one of the same name.
    let has_moved = before.is_some_and(|one| one.origin != server);
    let has_key = before.is_some() && !has_moved && keys.source(&settings.name)? != KeySource::None;
    let change = resolve_key_change(&args, settings.kind, has_key, session).await?;
    if has_moved || before.is_none() {
        keys.remove_key(&settings.name)?;
    }
    session.interrupt.race(nearside.add_provider(settings)).await?;
    let source = apply_key_change(&keys, &args.name, change)?;
    print_summary("added", &args.name, &source, &nearside, session).await
}

impl AddProviderArgs {
    async fn to_settings(&self, interrupt: &mut Interrupt) -> Result<ProviderSettings, CliError> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => ProviderKind::from_name(&self.name).ok_or_else(|| {
                let kinds = ProviderKind::ALL.map(ProviderKind::name).join(", ");
                let name = &self.name;
                CliError::with_help(
                    Error::invalid_request(format!("`{name}` is no kind of provider")),
                    format!("set the kind with `--kind`: {kinds}"),
                )
            })?,
        };
        let root_certificate = match self.certificate.clone() {
            Some(file) => Some(read_on_thread(interrupt, move || read_text(&file, "read")).await?),
            None => None,
        };
        Ok(ProviderSettings {
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            allow_http: self.allow_http,
            own_server: self.own_server,
            root_certificate,
            max_context: self.max_context,
            prices: self.stated_price().into_iter().collect(),
            ..ProviderSettings::new(&self.name, kind)
        })
    }

    /// Returns the price that holds for all models of the provider.
    fn stated_price(&self) -> Option<ModelPrice> {
        let (usd_in, usd_out) = self.price_in.zip(self.price_out)?;
        Some(ModelPrice {
            model: None,
            price: TokenPrice {
                usd_in,
                usd_out,
                ..TokenPrice::default()
            },
        })
    }
}

/// Takes the key from the flags, keeps the stored one, or asks the user.
async fn resolve_key_change(
    args: &AddProviderArgs,
    kind: ProviderKind,
    has_key: bool,
    session: &mut CliSession,
) -> Result<KeyChange, CliError> {
    let name = &args.name;
    if let Some(file) = args.key_file.clone() {
        let read = move || keys::read_key(Path::new(&file));
        return read_on_thread(&mut session.interrupt, read)
            .await
            .map(KeyChange::StoreKey);
    }
    if let Some(variable) = &args.key_env {
        return validate_variable_name(variable).map(KeyChange::StoreVariable);
    }
    if has_key || !kind.is_hosted() {
        return Ok(KeyChange::Keep);
    }
    if !prompt::is_interactive(&session.output) {
        let text = format!("`{name}` needs a key, and there is no terminal to ask on");
        let error = Error::of(ErrorReason::KeyMissing, text);
        let help = match kind {
            ProviderKind::OpenRouter => {
                "set one with `--key-file FILE` or `--key-env VAR`, or sign in with `nearside providers sign-in`"
            }
            _ => "set one with `--key-file FILE` or `--key-env VAR`",
        };
        return Err(CliError::with_help(error, help));
    }
    let typed = prompt::read_secret(&format!("key for `{name}` (not shown): "))?;
    keys::validate_key(&typed, "the input").map(KeyChange::StoreKey)
}

/// Applies the change and returns the source of the key.
fn apply_key_change(keys: &KeyFiles, name: &str, change: KeyChange) -> Result<KeySource, CliError> {
    match change {
        KeyChange::StoreKey(key) => keys.store_key(name, &key).map(KeySource::File),
        KeyChange::StoreVariable(variable) => keys
            .store_variable(name, &variable)
            .map(|()| KeySource::Variable(variable)),
        KeyChange::Keep => keys.source(name),
    }
}

/// Prints the event and the provider.
pub(super) async fn print_summary(
    event: &str,
    name: &str,
    source: &KeySource,
    nearside: &Nearside,
    session: &mut CliSession,
) -> Result<(), CliError> {
    if let KeySource::Variable(variable) = source
        && read_variable(variable)?.is_none()
    {
        let text = format!(": `{variable}` is not set now; without it `{name}` has no key");
        session.output.print_note(&[warning("note"), plain(text)]);
    }
    session.keys()?.load_into(nearside)?;
    let all = session.interrupt.race(nearside.providers()).await?;
    let Some(status) = all.into_iter().find(|one| one.settings.name == name) else {
        return Err(Error::internal(format!("`{name}` was set up and is missing")).into());
    };
    let listed = ls::ListedProvider::new(status, source, None);
    if session.output.is_json() {
        return session.output.print_json(&listed);
    }
    session.output.print_line(&[good(event), plain(format!(" {name}"))])?;
    listed.print_details(&mut session.output)?;
    let next = format!("`nearside providers models {name}` lists its models; nothing was sent yet");
    session.output.print_note(&[dim(next)]);
    Ok(())
}

/// Validates the name here and not in clap, which repeats a rejected value: a key that is passed by mistake must not end
/// up in a log.
fn validate_variable_name(text: &str) -> Result<String, CliError> {
    // Capitals only: a key has lower-case letters as well, and so is never taken for a variable.
    let is_valid = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if !text.is_empty() && text.chars().all(is_valid) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(CliError::with_help(
        Error::invalid_request("the value of `--key-env` is not the name of a variable"),
        "pass the name of a variable, such as `GROQ_API_KEY`, and not the key",
    ))
}

const EXAMPLES: &str = "\
Example:
  nearside providers add openrouter
  nearside providers add groq --key-file ~/groq.key
  nearside providers add work --kind openai --key-env WORK_OPENAI_KEY --model gpt-5.2
  nearside providers add studio --kind ollama --base-url http://192.168.1.5:11434 --allow-http

A key is stored in the data directory, readable by you only; with `--key-env` only the variable's name is stored. Your own
servers need none.";
