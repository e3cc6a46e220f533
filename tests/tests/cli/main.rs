//! The command line as a contract: what scripts read (fields, exit codes, channels) and what people see, of the real
//! program with a real model and a hub on this machine.

#![cfg(unix)]

mod answers;
mod catalog;
mod contract;
mod conversations;
mod errors;
mod image;
mod interrupts;
mod limits;
mod partial;
mod policies;
mod presets;
mod program;
mod providers;
mod proxy;
mod read_only;
mod routing;
mod sign_in;
mod terminal;
mod tools;
mod words;
