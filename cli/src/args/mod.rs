//! Arguments that several commands share. Names of flags are a contract: scripts use them.

mod image;
mod request;
mod tools;
pub(crate) mod values;

use clap::Args;

pub(crate) use request::RequestArgs;

/// Arguments of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Data directory with the models [default: NEARSIDE_HOME, else the platform's data directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) data_dir: Option<String>,
    /// Hub for `hf:` references [default: HF_ENDPOINT, else huggingface.co]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// Print JSON: one object, or one per line for what streams
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log to standard error; never prompts or answers
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}
