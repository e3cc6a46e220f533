//! `nearside providers`: providers of remote models. Stored are their settings, a key that only its owner may read, and
//! their model list. No key is ever printed.

mod add;
mod ls;
mod models;
mod redirect;
mod rm;
mod sign_in;

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ProvidersArgs {
    #[command(subcommand)]
    command: ProvidersCommand,
}

#[derive(Debug, Subcommand)]
enum ProvidersCommand {
    /// List the providers, whether they are reachable, and their data policies
    Ls(ls::ListProvidersArgs),
    /// Set a provider up, or replace the one of that name
    Add(add::AddProviderArgs),
    /// Get a key by a sign-in in the browser, instead of a typed one
    SignIn(sign_in::SignInArgs),
    /// Remove a provider and its key
    Rm(rm::RemoveProviderArgs),
    /// List the models of a provider, with prices
    Models(models::ProviderModelsArgs),
}

impl ProvidersArgs {
    /// Returns the provider that is named.
    pub(crate) fn provider(&self) -> Option<&str> {
        match &self.command {
            ProvidersCommand::Ls(_) => None,
            ProvidersCommand::Add(args) => Some(args.name()),
            ProvidersCommand::SignIn(args) => Some(args.name()),
            ProvidersCommand::Rm(args) => Some(args.name()),
            ProvidersCommand::Models(args) => Some(args.name()),
        }
    }
}

/// Executes the subcommand.
pub(crate) async fn manage_providers(args: ProvidersArgs, session: &mut CliSession) -> Result<(), CliError> {
    match args.command {
        ProvidersCommand::Ls(args) => ls::list_providers(args, session).await,
        ProvidersCommand::Add(args) => add::add_provider(args, session).await,
        ProvidersCommand::SignIn(args) => sign_in::sign_in_user(args, session).await,
        ProvidersCommand::Rm(args) => rm::remove_provider(args, session).await,
        ProvidersCommand::Models(args) => models::list_provider_models(args, session).await,
    }
}

const EXAMPLES: &str = "\
Example:
  nearside providers add openrouter
  nearside providers sign-in openrouter
  nearside providers add groq --key-file ~/groq.key
  nearside providers add studio --kind ollama --base-url http://192.168.1.5:11434 --allow-http
  nearside providers ls
  nearside providers models groq

Setting a provider up sends nothing: `nearside policy`, `--mode` and your consent control what is sent.";
