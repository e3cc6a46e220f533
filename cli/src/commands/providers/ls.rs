//! `nearside providers ls`: who is set up, whether they can be reached, and what happens to words there, with the day and
//! the page that say so. As `{"providers": […]}` for programs.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use nearside::chat::DataPolicy;
use nearside::engine::remote::ProviderKind;
use nearside::{Nearside, ProviderStatus};
use serde::Serialize;

use crate::commands::chat::terms;
use crate::failure::Failure;
use crate::keys::Source;
use crate::output::{Output, bad, bold, dim, good, plain};
use crate::session::Session;

/// What `providers ls` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Ls {
    /// Ask nobody: say only what is known here
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Serialize)]
struct Listing {
    providers: Vec<Listed>,
}

/// A provider as it is listed.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    name: String,
    kind: ProviderKind,
    base_url: String,
    /// The model that answers where a question names none.
    model: Option<String>,
    /// A key is there, or none is needed.
    has_key: bool,
    /// Where the key comes from: `file`, `variable` or `none`.
    key: &'static str,
    /// The file, or the variable's name.
    key_from: Option<String>,
    /// Unset: it was not asked.
    reachable: Option<bool>,
    /// Why it could not be reached.
    problem: Option<String>,
    /// How many models its list has.
    models: u32,
    data_policy: DataPolicy,
}

pub(crate) async fn run(arguments: Ls, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open_with_keys()?;
    let mut statuses = session.interrupt.or(nearside.providers()).await?;
    let mut asked: Vec<Option<Asked>> = vec![None; statuses.len()];
    if !arguments.offline {
        let all = join_all(statuses.iter().map(|one| ask(&nearside, &one.settings.name)));
        let all = async { Ok::<_, Failure>(all.await) };
        asked = session.interrupt.or(all).await?.into_iter().map(Some).collect();
        // Lists came in, and what follows from them.
        statuses = session.interrupt.or(nearside.providers()).await?;
    }
    let keys = session.keys()?;
    let providers = statuses.into_iter().zip(asked).map(|(status, asked)| {
        let source = keys.source(&status.settings.name)?;
        Ok(Listed::new(status, &source, asked))
    });
    let providers = providers.collect::<Result<Vec<_>, Failure>>()?;
    if session.output.json() {
        return session.output.object(&Listing { providers });
    }
    if providers.is_empty() {
        let text = "no provider is set up; `nearside providers add NAME` sets one up";
        session.output.note(&[plain(text)]);
    }
    for one in providers {
        let about = format!("  {} at {}", one.kind.name(), one.base_url);
        session.output.line(&[bold(one.name.as_str()), dim(about)])?;
        one.show(session.output)?;
    }
    Ok(())
}

/// Reachable, or why not.
type Asked = Result<(), String>;

async fn ask(nearside: &Nearside, name: &str) -> Asked {
    match tokio::time::timeout(PATIENCE, nearside.provider_models(name.to_owned())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

impl Listed {
    pub(super) fn new(status: ProviderStatus, source: &Source, asked: Option<Asked>) -> Self {
        let (key, key_from) = match source {
            Source::File(path) => ("file", Some(path.display().to_string())),
            Source::Variable(name) => ("variable", Some(name.clone())),
            Source::None => ("none", None),
        };
        Self {
            name: status.settings.name,
            kind: status.settings.kind,
            base_url: status.base_url,
            model: status.default_model,
            has_key: status.has_key,
            key,
            key_from,
            reachable: asked.as_ref().map(Result::is_ok),
            problem: asked.and_then(Result::err),
            models: status.models,
            data_policy: status.data_policy,
        }
    }

    /// What is behind its name, for a person.
    pub(super) fn show(&self, output: &mut Output) -> Result<(), Failure> {
        let key = match (self.key, &self.key_from) {
            ("file", Some(path)) => format!("kept in {path}"),
            (_, Some(variable)) if self.has_key => format!("in the variable {variable}"),
            (_, Some(variable)) => format!("missing: the variable {variable} is not set"),
            _ if self.has_key => "none, and none is needed".to_owned(),
            _ => format!("missing: `nearside providers add {}` asks for it", self.name),
        };
        output.line(&[dim("  key    "), plain(key)])?;
        match (self.reachable, &self.problem) {
            (Some(true), _) => output.line(&[dim("  state  "), good("reachable")])?,
            (_, Some(why)) => output.line(&[dim("  state  "), bad("not reachable"), plain(format!(": {why}"))])?,
            _ => {}
        }
        let model = match &self.model {
            Some(model) => format!("{model}, where none is named; {} are listed", self.models),
            None => format!("none is known; `nearside providers models {}` asks", self.name),
        };
        output.line(&[dim("  model  "), plain(model)])?;
        output.line(&[dim("  terms  "), plain(terms(&self.data_policy))])?;
        for more in [&self.data_policy.note, &self.data_policy.source] {
            if !more.is_empty() {
                output.line(&[dim(format!("         {more}"))])?;
            }
        }
        Ok(())
    }
}

/// Longer than a reachable provider takes for its list.
const PATIENCE: Duration = Duration::from_secs(5);

const EXAMPLE: &str = "\
Example:
  nearside providers ls
  nearside providers ls --offline --json | jq -r '.providers[].name'

Each is asked for its model list, and for nothing else. Terms are those under the policy of now, as published on the day
and the page that are named.";
