//! Who may answer, and what it costs. [`choose`] is a pure function from [`Needs`], [`Facts`] and [`Policy`] to a
//! [`Decision`]: no I/O, no clock, the same facts give the same answer.

mod choose;
mod decision;
pub mod estimate;
mod facts;
mod policy;
mod price;
pub mod privacy;
mod provider_table;
mod rules;

pub use choose::choose;
pub use decision::{Decision, Question};
pub use facts::{Facts, LocalCandidate, Needs, RemoteCandidate, Speed, Spent, TokenRange};
pub use policy::{Consent, Policy};
pub use price::{CostRow, compare};
