//! The command line's outer shape: what every command takes, and which commands there are.
//!
//! Names of commands and flags are a contract: scripts use them. Each command's own arguments are in its file.

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use nearside::model::CacheType;

use crate::commands::{bench, chat, completions, cost, doctor, fit, import, ls, policy, providers, pull, rm, route};

/// Language models on this machine: pull one, see whether it fits, and talk to it.
#[derive(Debug, Parser)]
#[command(name = "nearside", version, after_long_help = REFERENCES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Where models are kept [default: NEARSIDE_HOME, else the platform's data folder]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) data_dir: Option<String>,
    /// The hub that `hf:` references are asked from [default: HF_ENDPOINT, else huggingface.co]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// Print JSON: one object, or one a line for what streams
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say on standard error what happens inside; never what was asked or answered
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Download a model, after saying whether it fits this machine
    Pull(pull::Pull),
    /// Take a GGUF file that is already here into the store
    Import(import::Import),
    /// List the installed models
    Ls(ls::Ls),
    /// Remove an installed model
    Rm(rm::Rm),
    /// Say whether a model fits this machine, before any download
    Fit(fit::Fit),
    /// Ask one question with `-p`, or hold a conversation
    Chat(Box<chat::Chat>),
    /// Say who would answer, and why nobody else; asks nobody
    Route(Box<route::Route>),
    /// Say what a question would cost everywhere, or what was spent
    Cost(Box<cost::Cost>),
    /// Set up, list and remove those who answer elsewhere
    Providers(providers::Providers),
    /// Show or change what may leave this machine, where to, and for how much
    Policy(policy::PolicyCommand),
    /// Measure the speed and the memory of a model here
    Bench(bench::Bench),
    /// Say what this machine is, what is installed and what is wrong
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// `--cache`: how the keys and values of the context are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cache(pub(crate) CacheType);

impl ValueEnum for Cache {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(CacheType::F16), Self(CacheType::Q8_0)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            CacheType::F16 => PossibleValue::new("f16").help("Exact, the default"),
            CacheType::Q8_0 => PossibleValue::new("q8_0").help("About half the memory, nearly the same answers"),
        })
    }
}

const REFERENCES: &str = "\
A model (REF) is one of
  hf:ORG/REPO                  a repository on the hub, its usual quantization
  hf:ORG/REPO:Q4_K_M           the same in this quantization
  hf:ORG/REPO/FILE.gguf        one file of it
  hf:ORG/REPO@REVISION…        the same as of a branch, tag or commit
  https://HOST/FILE.gguf       any address, with #sha256=… to check it against
  ./FILE.gguf                  a file on this machine
  NAME                         an installed model, as `nearside ls` names it

Nothing leaves this machine until a provider is set up (`nearside providers add NAME`), the policy allows it
(`nearside policy`) and you agree, each time.

HF_TOKEN is sent to the hub where it is set, for models that want a login.

Example:
  nearside pull hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0
  nearside chat -p \"Why do the tides come twice a day?\"";
