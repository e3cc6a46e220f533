//! `nearside completions`: the script that teaches a shell this program's words.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::session::Session;

/// What `completions` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(arguments: &Completions, session: &mut Session<'_>) -> Result<(), Failure> {
    // Into memory first: the generator panics where a writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "nearside", &mut script);
    session.output.verbatim(&script)
}

const EXAMPLE: &str = "\
Example:
  nearside completions bash > ~/.local/share/bash-completion/completions/nearside
  nearside completions zsh > \"${fpath[1]}/_nearside\"
  nearside completions fish > ~/.config/fish/completions/nearside.fish";
