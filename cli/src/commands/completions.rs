//! `nearside completions`: prints a completion script for a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::error::CliError;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script for `program`.
pub(crate) fn print_script(
    args: &CompletionsArgs,
    mut program: Command,
    session: &mut CliSession,
) -> Result<(), CliError> {
    // Generate into memory first: the generator panics if the writer fails, as on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "nearside", &mut script);
    session.output.print_bytes(&script)
}

const EXAMPLES: &str = "\
Example:
  nearside completions bash > ~/.local/share/bash-completion/completions/nearside
  nearside completions zsh > \"${fpath[1]}/_nearside\"
  nearside completions fish > ~/.config/fish/completions/nearside.fish";
