//! OpenRouter's sign-in (PKCE): issues codes and exchanges them for a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::dialect::Dialect;
use super::errors;

/// Issued codes that were not exchanged yet.
#[derive(Debug, Default)]
pub(super) struct SignIn {
    /// Pairs of code and challenge.
    open: Vec<(String, String)>,
    issued: u32,
}

impl SignIn {
    /// Issues a code for this `S256` challenge, valid for one exchange.
    pub(super) fn issue_code(&mut self, challenge: &str) -> String {
        self.issued += 1;
        let code = format!("auth_code_{}", self.issued);
        self.open.push((code.clone(), challenge.to_owned()));
        code
    }

    /// Answers `POST /auth/keys`. A wrong verifier also consumes the code.
    pub(super) fn exchange(&mut self, request: &Value, key: &str) -> (u16, Value) {
        let found = self.open.iter().position(|(code, _)| request["code"] == code.as_str());
        let Some((_, challenge)) = found.map(|at| self.open.remove(at)) else {
            return refused("Invalid code");
        };
        let verifier = request["code_verifier"].as_str().unwrap_or_default();
        let hashed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        if request["code_challenge_method"] != "S256" || hashed != challenge {
            return refused("Invalid code_verifier or code_challenge_method");
        }
        (200, json!({ "key": key, "user_id": "user_recorded" }))
    }
}

fn refused(message: &str) -> (u16, Value) {
    let (_, mut body) = errors::invalid_request(Dialect::OpenRouter, message);
    body["error"]["code"] = json!(403);
    (403, body)
}
