//! One file per command: what it takes, and what it does.

pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod doctor;
pub(crate) mod fit;
pub(crate) mod import;
pub(crate) mod ls;
pub(crate) mod policy;
pub(crate) mod providers;
pub(crate) mod pull;
pub(crate) mod rm;
pub(crate) mod route;
