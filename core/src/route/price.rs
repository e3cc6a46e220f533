//! stub
use super::{LocalCandidate, RemoteCandidate, TokenRange};
use crate::chat::Target;
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
/// x
pub struct CostRow {
    pub target: Target,
    pub usd_in: Option<f64>,
    pub usd_out: Option<f64>,
    pub usd_total: Option<f64>,
    pub as_of: String,
}
/// x
pub fn compare(_: TokenRange, _: TokenRange, _: &[RemoteCandidate], _: &[LocalCandidate]) -> Vec<CostRow> {
    vec![]
}
