//! What a command is given: the global flags, the output, Ctrl-C, and the library.

use nearside::chat::{ChatMessage, ChatRequest};
use nearside::engine::remote::Secret;
use nearside::{Config, Error, Nearside};

use crate::args::{GlobalArgs, RequestArgs};
use crate::env::{flag_or_variable, network_config, read_variable};
use crate::error::CliError;
use crate::input;
use crate::interrupt::Interrupt;
use crate::keys::KeyFiles;
use crate::output::Printer;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct CliSession {
    pub(crate) global: GlobalArgs,
    pub(crate) output: Printer,
    pub(crate) interrupt: Interrupt,
}

impl CliSession {
    /// Opens the library with the global flags only, and sets the hub token.
    pub(crate) fn open_library(&self) -> Result<Nearside, CliError> {
        let nearside = Nearside::new(self.config()?)?;
        if let Some(token) = read_variable("HF_TOKEN")? {
            nearside.set_hub_token(Secret::new(token))?;
        }
        Ok(nearside)
    }

    /// Opens the library for a request with these flags. Reads keys only if content may leave this device.
    pub(crate) fn open_for_request(&self, args: &RequestArgs) -> Result<Nearside, CliError> {
        let nearside = Nearside::new(args.apply_to(self.config()?))?;
        if args.allows_remote() {
            self.keys()?.load_into(&nearside)?;
        }
        Ok(nearside)
    }

    /// Opens the library with the keys of all providers.
    pub(crate) fn open_with_keys(&self) -> Result<Nearside, CliError> {
        let nearside = self.open_library()?;
        self.keys()?.load_into(&nearside)?;
        Ok(nearside)
    }

    /// Builds the request with this prompt and the images; `-` reads the prompt from standard input.
    pub(crate) async fn build_request(&mut self, args: &RequestArgs, prompt: &str) -> Result<ChatRequest, CliError> {
        let mut request = args.to_request(&mut self.interrupt).await?;
        let images = args.read_images()?;
        let mut message = ChatMessage::user(self.read_prompt(prompt).await?);
        message.parts.extend(images);
        request.messages.push(message);
        Ok(request)
    }

    /// Returns this prompt; `-` reads it from standard input.
    pub(crate) async fn read_prompt(&mut self, prompt: &str) -> Result<String, CliError> {
        match prompt {
            "-" => input::read_all(&mut self.interrupt).await,
            _ => Ok(prompt.to_owned()),
        }
    }

    /// Returns the key files of providers, in the data directory.
    pub(crate) fn keys(&self) -> Result<KeyFiles, CliError> {
        Ok(KeyFiles::in_directory(self.directory()?.as_ref()))
    }

    /// Ends the library in order: frees the loaded models, because a thread that is still inside llama.cpp while the process
    /// ends can crash it, and waits for what is recorded after an answer. Ctrl-C stops the wait.
    pub(crate) async fn shut_down(&mut self, nearside: &Nearside) {
        // The end of the process frees what could not be freed here.
        let _ = self.interrupt.race(nearside.shut_down()).await;
    }

    /// Returns the library's configuration: flags first, then the environment, then defaults.
    pub(crate) fn config(&self) -> Result<Config, CliError> {
        Ok(Config {
            directory: self.directory()?,
            hub: flag_or_variable(&self.global.hub, "HF_ENDPOINT")?,
            network: network_config()?,
            ..Config::default()
        })
    }

    /// Returns the data directory.
    pub(crate) fn directory(&self) -> Result<String, CliError> {
        if let Some(directory) = flag_or_variable(&self.global.data_dir, "NEARSIDE_HOME")? {
            return Ok(directory);
        }
        directories::ProjectDirs::from("", "", "nearside")
            .and_then(|folders| folders.data_local_dir().to_str().map(str::to_owned))
            .ok_or_else(|| {
                let error = Error::storage("this account has no home directory");
                CliError::with_help(error, "set the data directory with `--data-dir DIR`")
            })
    }
}
