//! OpenRouter's sign-in without a secret in the app (PKCE): a page that hands out codes, and their exchange for a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::errors;

/// Codes that were handed out and not yet exchanged.
#[derive(Debug, Default)]
pub(super) struct SignIn {
    /// Code and challenge.
    open: Vec<(String, String)>,
    handed_out: u32,
}

impl SignIn {
    /// A code for this challenge (`S256`), good for one exchange.
    pub(super) fn code(&mut self, challenge: &str) -> String {
        self.handed_out += 1;
        let code = format!("auth_code_{}", self.handed_out);
        self.open.push((code.clone(), challenge.to_owned()));
        code
    }

    /// `POST /auth/keys`. A code is used up whether the verifier is right or not.
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
    let (_, mut body) = errors::invalid_request(super::Dialect::OpenRouter, message);
    body["error"]["code"] = json!(403);
    (403, body)
}
