//! `nearside providers add`: sets a provider up. Its key comes from a file, a variable or the terminal, never from an
//! argument: those can be seen by everyone on the machine, and shells remember them.

use std::path::Path;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use nearside::engine::remote::{ProviderKind, ProviderSettings, base_url};
use nearside::{Error, Nearside};

use super::ls;
use crate::failure::Failure;
use crate::keys::{self, Keys, Source};
use crate::output::{dim, doubtful, good, plain};
use crate::person;
use crate::session::{Session, variable};

/// What `providers add` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Add {
    /// What to call it here; lower-case letters, digits, `-`, `_` and `.`
    #[arg(value_parser = keys::name)]
    name: String,
    /// Whose interface it speaks [default: NAME]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Where it is [default: where that kind of provider is]
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    base_url: Option<String>,
    /// The model that answers where a question names none [default: a well-known one of theirs]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Let words travel unencrypted to it; only for a server in a network of your own
    #[arg(long)]
    allow_http: bool,
    /// Keep the key that this file holds [default: a hosted provider's key is asked for on the terminal]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "key_env")]
    key_file: Option<String>,
    /// Keep no key: read it from this variable at each start
    #[arg(long, value_name = "VAR")]
    key_env: Option<String>,
}

/// `--kind`.
#[derive(Debug, Clone, Copy)]
struct Kind(ProviderKind);

/// What becomes of the key.
enum Key {
    Keep(String),
    Name(String),
    /// As it was.
    Leave,
}

pub(crate) async fn run(arguments: Add, session: &mut Session<'_>) -> Result<(), Failure> {
    let settings = arguments.settings()?;
    let url = base_url(&settings)?;
    let nearside = session.open()?;
    let keys = session.keys()?;
    let providers = session.interrupt.or(nearside.providers()).await?;
    let before = providers.iter().find(|one| one.settings.name == settings.name);
    // A key is for one place: it does not follow the name to another.
    let moved = before.is_some_and(|one| one.base_url != url.as_str());
    let has_key = before.is_some() && !moved && keys.source(&settings.name)? != Source::None;
    let key = key(&arguments, settings.kind, has_key, session)?;
    if moved || before.is_none() {
        keys.forget(&settings.name)?;
    }
    session.interrupt.or(nearside.add_provider(settings)).await?;
    let kept = keep(&keys, &arguments.name, key)?;
    told(&arguments.name, &kept, &nearside, session).await
}

impl Add {
    fn settings(&self) -> Result<ProviderSettings, Failure> {
        let kind = match self.kind {
            Some(kind) => kind.0,
            None => ProviderKind::from_name(&self.name).ok_or_else(|| {
                let kinds = ProviderKind::ALL.map(ProviderKind::name).join(", ");
                let name = &self.name;
                Error::invalid_request(format!(
                    "`{name}` is no kind of provider; say which it is with `--kind`: {kinds}"
                ))
            })?,
        };
        Ok(ProviderSettings {
            name: self.name.clone(),
            kind,
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            allow_http: self.allow_http,
            data_policy: None,
            pins: vec![],
            root_certificate: None,
        })
    }
}

/// Where the key comes from: the flags, what is there already, or the person.
fn key(arguments: &Add, kind: ProviderKind, has_key: bool, session: &mut Session<'_>) -> Result<Key, Failure> {
    let name = &arguments.name;
    if let Some(file) = &arguments.key_file {
        return keys::read(Path::new(file)).map(Key::Keep);
    }
    if let Some(name) = &arguments.key_env {
        return variable_name(name).map(Key::Name);
    }
    if has_key || !kind.is_hosted() {
        return Ok(Key::Leave);
    }
    if !person::is_there(session.output) {
        let text = format!(
            "`{name}` needs a key, and there is no terminal to ask on; give one with `--key-file FILE` or `--key-env VAR`"
        );
        return Err(Error::unauthorized(text).into());
    }
    let typed = person::secret(&format!("the key for `{name}` (it is not shown): "))?;
    keys::checked(&typed, "what was typed").map(Key::Keep)
}

fn keep(keys: &Keys, name: &str, key: Key) -> Result<Source, Failure> {
    match key {
        Key::Keep(key) => keys.keep(name, &key).map(Source::File),
        Key::Name(variable) => keys.keep_variable(name, &variable).map(|()| Source::Variable(variable)),
        Key::Leave => keys.source(name),
    }
}

async fn told(name: &str, kept: &Source, nearside: &Nearside, session: &mut Session<'_>) -> Result<(), Failure> {
    if let Source::Variable(from) = kept
        && variable(from)?.is_none()
    {
        let text = format!(": `{from}` is not set now; without it `{name}` has no key");
        session.output.note(&[doubtful("note"), plain(text)]);
    }
    session.keys()?.give(nearside)?;
    let all = session.interrupt.or(nearside.providers()).await?;
    let Some(status) = all.into_iter().find(|one| one.settings.name == name) else {
        return Err(Error::internal(format!("`{name}` was set up and is gone")).into());
    };
    let listed = ls::Listed::new(status, kept, None);
    if session.output.json() {
        return session.output.object(&listed);
    }
    session.output.line(&[good("added"), plain(format!(" {name}"))])?;
    listed.show(session.output)?;
    let next = format!("`nearside providers models {name}` lists what it offers; nothing was sent yet");
    session.output.note(&[dim(next)]);
    Ok(())
}

/// Validated here and not by clap, which repeats a rejected value: a key that is passed by mistake must not end up in a
/// log.
fn variable_name(text: &str) -> Result<String, Failure> {
    // Capitals only: a key that is made of letters has small ones, and passes for no variable.
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let text = "`--key-env` was given something else than a name; give the name of a variable, such as `GROQ_API_KEY`, \
                and not the key";
    Err(Error::invalid_request(text).into())
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        static KINDS: [Kind; 8] = {
            let [a, b, c, d, e, f, g, h] = ProviderKind::ALL;
            [Kind(a), Kind(b), Kind(c), Kind(d), Kind(e), Kind(f), Kind(g), Kind(h)]
        };
        &KINDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            ProviderKind::OpenRouter => "openrouter.ai: many models, run by many others",
            ProviderKind::DeepSeek => "DeepSeek's own service",
            ProviderKind::Groq => "Groq",
            ProviderKind::Fireworks => "Fireworks AI",
            ProviderKind::OpenAi => "OpenAI",
            ProviderKind::Ollama => "An Ollama server",
            ProviderKind::LlamaServer => "llama.cpp's server",
            ProviderKind::Compatible => "Any other server that speaks OpenAI's chat completions: vLLM, LM Studio",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

const EXAMPLE: &str = "\
Example:
  nearside providers add openrouter
  nearside providers add groq --key-file ~/groq.key
  nearside providers add work --kind openai --key-env WORK_OPENAI_KEY --model gpt-5.2
  nearside providers add studio --kind ollama --base-url http://192.168.1.5:11434 --allow-http

A key is kept in the data directory, where only you may read it; with `--key-env` only the variable's name is kept. Servers
of your own need none.";
