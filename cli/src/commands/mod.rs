//! The command line and its commands: one file each, with its arguments and its function.
//!
//! Names of commands and flags are a contract: scripts use them.

mod bench;
mod catalog;
mod chat;
mod completions;
mod conversations;
mod cost;
mod doctor;
mod fit;
mod import;
mod ls;
mod policy;
mod presets;
mod providers;
mod pull;
mod rm;
mod route;

use clap::{CommandFactory, Parser, Subcommand};

use crate::args::GlobalArgs;
use crate::env::proxy_fault;
use crate::error::{CliError, HelpContext};
use crate::session::CliSession;

/// Run language models on this device: download one, check whether it fits, and chat with it.
#[derive(Debug, Parser)]
#[command(name = "nearside", version, after_long_help = REFERENCES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// List recommended models, and whether they fit this device
    Catalog(catalog::CatalogArgs),
    /// Download a model, after checking whether it fits this device
    Pull(pull::PullArgs),
    /// Add a local GGUF file to the store
    Import(import::ImportArgs),
    /// List the installed models
    Ls(ls::LsArgs),
    /// Remove an installed model
    Rm(rm::RmArgs),
    /// Check whether a model fits this device, before any download
    Fit(fit::FitArgs),
    /// Answer one prompt with `-p`, or start a conversation
    Chat(Box<chat::ChatArgs>),
    /// List, show, search, export and erase stored conversations
    Conversations(conversations::ConversationsArgs),
    /// Show which target would answer and why; sends nothing
    Route(Box<route::RouteArgs>),
    /// Estimate the cost of a prompt on every target, or show spending
    Cost(Box<cost::CostArgs>),
    /// Add, list and remove providers of remote models
    Providers(providers::ProvidersArgs),
    /// Show or change the policy: what may leave this device, where to, at what cost
    Policy(policy::PolicyArgs),
    /// List the sampling presets and their values
    Presets(presets::PresetsArgs),
    /// Measure the speed and the memory of a model on this device
    Bench(bench::BenchArgs),
    /// Show this device, the installed models and problems
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

impl CliCommand {
    /// Returns what the help of an error needs to know of the command.
    pub(crate) fn help_context(&self) -> HelpContext {
        let (command, provider) = match self {
            Self::Catalog(_) => ("catalog", None),
            Self::Pull(_) => ("pull", None),
            Self::Import(_) => ("import", None),
            Self::Ls(_) => ("ls", None),
            Self::Rm(_) => ("rm", None),
            Self::Fit(_) => ("fit", None),
            Self::Chat(args) => ("chat", args.provider()),
            Self::Route(args) => ("route", args.provider()),
            Self::Cost(args) => ("cost", args.provider()),
            Self::Conversations(_) => ("conversations", None),
            Self::Providers(args) => ("providers", args.provider()),
            Self::Policy(_) => ("policy", None),
            Self::Presets(args) => ("presets", args.provider()),
            Self::Bench(_) => ("bench", None),
            Self::Doctor(_) => ("doctor", None),
            Self::Completions(_) => ("completions", None),
        };
        HelpContext {
            command: Some(command.to_owned()),
            provider: provider.map(str::to_owned),
            is_about_hub: matches!(self, Self::Catalog(_) | Self::Pull(_) | Self::Fit(_) | Self::Bench(_)),
            proxy_fault: proxy_fault(),
        }
    }
}

/// Executes the command.
pub(crate) async fn execute_command(command: CliCommand, session: &mut CliSession) -> Result<(), CliError> {
    match command {
        CliCommand::Catalog(args) => catalog::list_catalog(args, session).await,
        CliCommand::Pull(args) => pull::pull_model(args, session).await,
        CliCommand::Import(args) => import::import_file(args, session).await,
        CliCommand::Ls(args) => ls::list_models(args, session).await,
        CliCommand::Rm(args) => rm::remove_model(args, session).await,
        CliCommand::Fit(args) => fit::check_fit(args, session).await,
        CliCommand::Chat(args) => chat::chat_with_model(args, session).await,
        CliCommand::Conversations(args) => conversations::manage_conversations(args, session).await,
        CliCommand::Route(args) => route::print_route(args, session).await,
        CliCommand::Cost(args) => cost::print_cost(args, session).await,
        CliCommand::Providers(args) => providers::manage_providers(args, session).await,
        CliCommand::Policy(args) => policy::print_or_change_policy(args, session).await,
        CliCommand::Presets(args) => presets::list_presets(args, session).await,
        CliCommand::Bench(args) => bench::bench_model(args, session).await,
        CliCommand::Doctor(args) => doctor::diagnose_device(args, session).await,
        CliCommand::Completions(args) => completions::print_script(&args, Cli::command(), session),
    }
}

const REFERENCES: &str = "\
A model (REF) is one of
  hf:ORG/REPO                  a repository on the hub, its default quantization
  hf:ORG/REPO:Q4_K_M           the same in this quantization
  hf:ORG/REPO/FILE.gguf        one file of it
  hf:ORG/REPO@REVISION…        the same at a branch, tag or commit
  https://HOST/FILE.gguf       any address, with #sha256=… to verify it
  ./FILE.gguf                  a local file
  NAME                         an installed model, as `nearside ls` names it

Nothing leaves this device until a provider is set up (`nearside providers add NAME`), the policy allows it
(`nearside policy`) and you consent. Consent is for one target, until `/new` or the end of the chat.

HF_TOKEN is sent to the hub if it is set, for models that require a login. HTTPS_PROXY, else ALL_PROXY, is the proxy of all
requests except those to this device and to the hosts of NO_PROXY.

Example:
  nearside pull hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0
  nearside chat -p \"Why do the tides come twice a day?\"";
