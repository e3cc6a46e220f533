//! What a command is given: the flags that hold everywhere, the output, Ctrl-C, and the way to the library.
//!
//! The library reads no environment; this program does, here and only here.

use std::env::VarError;

use nearside::engine::remote::Secret;
use nearside::{Config, Error, Nearside};

use crate::arguments::Global;
use crate::asked::Asked;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::keys::Keys;
use crate::output::Output;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) global: Global,
    pub(crate) output: &'a mut Output,
    pub(crate) interrupt: Interrupt,
}

impl Session<'_> {
    /// The library with nothing but the flags that hold everywhere.
    pub(crate) fn open(&self) -> Result<Nearside, Failure> {
        let nearside = Nearside::new(self.config()?)?;
        if let Some(token) = variable("HF_TOKEN")? {
            nearside.set_hub_token(Secret::new(token))?;
        }
        Ok(nearside)
    }

    /// The library, ready to ask with these flags. Keys are read only if the words may leave this machine.
    pub(crate) fn open_to_ask(&self, asked: &Asked) -> Result<Nearside, Failure> {
        let nearside = Nearside::new(asked.config(self.config()?))?;
        if asked.may_leave() {
            self.keys()?.give(&nearside)?;
        }
        Ok(nearside)
    }

    /// The library with the keys of all providers.
    pub(crate) fn open_with_keys(&self) -> Result<Nearside, Failure> {
        let nearside = self.open()?;
        self.keys()?.give(&nearside)?;
        Ok(nearside)
    }

    /// The keys of providers, beside the models.
    pub(crate) fn keys(&self) -> Result<Keys, Failure> {
        Ok(Keys::beside(self.directory()?.as_ref()))
    }

    /// Frees the models that were loaded, and waits for it: a thread that is still inside llama.cpp while the process
    /// ends can crash it. Ctrl-C does not wait.
    pub(crate) async fn close(&mut self, nearside: &Nearside) {
        // Whatever could not be freed is freed by the end of the process.
        let _ = self.interrupt.or(nearside.unload()).await;
    }

    /// Flags first, then the environment, then the platform's and the library's own choices.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Ok(Config {
            directory: self.directory()?,
            hub: flag_or_variable(&self.global.hub, "HF_ENDPOINT")?,
            context: None,
            cache_type: None,
            threads: None,
        })
    }

    /// Where models are kept.
    pub(crate) fn directory(&self) -> Result<String, Failure> {
        if let Some(directory) = flag_or_variable(&self.global.data_dir, "NEARSIDE_HOME")? {
            return Ok(directory);
        }
        directories::ProjectDirs::from("", "", "nearside")
            .and_then(|folders| folders.data_local_dir().to_str().map(str::to_owned))
            .ok_or_else(|| {
                Error::storage("this account has no home directory; say where models go with `--data-dir DIR`").into()
            })
    }
}

fn flag_or_variable(flag: &Option<String>, name: &str) -> Result<Option<String>, Failure> {
    match flag {
        Some(value) => Ok(Some(value.clone())),
        None => variable(name),
    }
}

/// Returns a non-empty environment variable. An unreadable one is an error: ignoring it would put models in an
/// unexpected place. Its value is never in an error text, since it may be a token.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Error::invalid_request(format!("`{name}` is not UTF-8 text; set it anew, or unset it")).into())
        }
    }
}
