//! Sign-in at OpenRouter with OAuth and PKCE (RFC 7636), so that an app ships no key of its own.
//!
//! The app opens [`SignIn::url`] in a browser, receives a code at its callback address (https or loopback; without one
//! OpenRouter shows the code), and [`SignIn::finish`] exchanges it for a key of the user. The PKCE verifier is known to
//! this process only, so an intercepted code is useless. A code is valid once, for ten minutes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::dialect::ProviderKind;
use super::error::{AttemptError, RequestContext};
use super::http::ProviderClient;
use super::provider::Secret;
use crate::error::{Error, Result};

/// A sign-in in progress.
#[derive(Debug)]
pub struct SignIn {
    http: ProviderClient,
    verifier: Secret,
    url: String,
}

impl SignIn {
    /// Starts a sign-in. `callback` is the address to which the browser is redirected.
    ///
    /// # Errors
    /// `InvalidRequest` for a callback that is neither `https` nor a loopback address.
    pub fn begin(http: ProviderClient, callback: Option<&str>) -> Result<Self> {
        let mut random = [0; 32];
        let provider = rustls::crypto::ring::default_provider();
        let filled = provider.secure_random.fill(&mut random);
        filled.map_err(|_| Error::internal("the system provides no random numbers"))?;
        let verifier = URL_SAFE_NO_PAD.encode(random);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));

        // The page is beside the API: `/auth`, where the API is `/api/v1`.
        let mut url = http.url("");
        url.set_path("/auth");
        {
            let mut query = url.query_pairs_mut();
            if let Some(callback) = callback {
                let fit =
                    Url::parse(callback).is_ok_and(|url| url.scheme() == "https" || crate::net::url::is_loopback(&url));
                if !fit {
                    return Err(Error::invalid_request(
                        "the callback must be an `https` address (a universal link or an app link) or a loopback address",
                    ));
                }
                query.append_pair("callback_url", callback);
            }
            query.append_pair("code_challenge", &challenge);
            query.append_pair("code_challenge_method", "S256");
        }
        Ok(Self {
            http,
            verifier: Secret::new(verifier),
            url: url.into(),
        })
    }

    /// Returns the page to open in a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Exchanges the code for a key.
    ///
    /// # Errors
    /// `Network`; `Unauthorized` for a code that is wrong, used or expired.
    pub async fn finish(&self, code: &str) -> Result<Secret> {
        let body = json!({
            "code": code.trim(),
            "code_verifier": self.verifier.expose(),
            "code_challenge_method": "S256",
        });
        let sent = self
            .http
            .request(Method::POST, "auth/keys", &Secret::default())?
            .timeout(super::list_request::LIST_TIMEOUT)
            .json(&body)
            .send()
            .await;
        let context = RequestContext {
            provider: "openrouter",
            kind: ProviderKind::OpenRouter,
            model: "",
            host: self.http.host(),
            proxy: self.http.proxy(),
            has_key: true,
            is_constrained: false,
        };
        let response = sent.map_err(|cause| AttemptError::from_connection(&context, &cause).error)?;
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        if matches!(status.as_u16(), 400 | 403 | 404) {
            return Err(Error::unauthorized(
                "the code is wrong, used or over ten minutes old; sign in again",
            ));
        }
        if !status.is_success() {
            return Err(AttemptError::from_response(&context, status.as_u16(), &body, None).error);
        }
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        match answer["key"].as_str() {
            Some(key) if !key.is_empty() => Ok(Secret::new(key)),
            _ => Err(Error::provider(
                "`openrouter` signed the user in but sent no key; try again",
            )),
        }
    }
}
