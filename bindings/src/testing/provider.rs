//! A provider in this process that replays exchanges: `fakes/src/provider`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use nearside_fakes::provider::tape::{self, Exchange};
use nearside_fakes::provider::{Pace, Replayer};

use super::io_error;
use crate::error::Result;

/// A request to a [`TestProvider`], without its headers and thus without the key.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TestRequest {
    /// `GET`, `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// As received; empty if there was none.
    pub body: String,
}

/// A header.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TestHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A request and its response.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TestExchange {
    /// `GET`, `POST`.
    pub method: String,
    /// Path of the request, with the query.
    pub path: String,
    /// Body of the request, as JSON; empty: any.
    pub body: String,
    /// Status of the response.
    pub status: u16,
    /// Headers of the response, without those of HTTP framing.
    pub headers: Vec<TestHeader>,
    /// The body, in the pieces in which it is sent.
    pub pieces: Vec<Vec<u8>>,
    /// Whether the body is whole; if not, the connection ends after the last piece.
    pub is_whole: bool,
}

/// A provider on the loopback interface that replays exchanges until this object is released.
///
/// A request gets the first unplayed exchange with its method, path and body; otherwise the first unplayed one with its method
/// and path, since a body may contain a date; otherwise the last one with its method and path. A request without a match gets a
/// 404. Recorded pauses are not replayed.
#[derive(uniffi::Object)]
pub struct TestProvider(Replayer);

#[uniffi::export]
impl TestProvider {
    /// Replays these exchanges.
    #[uniffi::constructor]
    pub fn start(exchanges: Vec<TestExchange>) -> Result<Arc<Self>> {
        let exchanges = exchanges.into_iter().map(Into::into).collect();
        let replayer = Replayer::start(exchanges, Pace::AtOnce, (Ipv4Addr::LOCALHOST, 0).into());
        let replayer = replayer.map_err(|cause| io_error("the provider of a test could not start", &cause))?;
        Ok(Arc::new(Self(replayer)))
    }

    /// Returns the address, without a path.
    pub fn url(&self) -> Result<String> {
        Ok(self.0.url())
    }

    /// Returns all requests so far: the content that left the device.
    pub fn requests(&self) -> Result<Vec<TestRequest>> {
        let requests = self.0.requests().into_iter();
        Ok(requests
            .map(|request| TestRequest {
                method: request.method,
                path: request.path,
                body: request.body,
            })
            .collect())
    }
}

/// Parses a tape of `nearside-provider record`: one exchange per line. An error names the line and quotes nothing of it.
#[uniffi::export]
pub(crate) fn test_tape(text: String) -> Result<Vec<TestExchange>> {
    let parsed = tape::parse(&text).map_err(|cause| io_error("the tape cannot be read", &cause))?;
    parsed.into_iter().map(TestExchange::from_recorded).collect()
}

/// Returns a chat whose answer streams this text word by word in OpenAI's wire format. Not whole: the connection ends after the
/// last word.
#[uniffi::export]
pub(crate) fn test_chat(text: String, model: String, path: String, is_whole: bool) -> Result<TestExchange> {
    TestExchange::from_recorded(Exchange::chat(&text, &model, &path, is_whole))
}

/// Returns a chat that fails with this HTTP status.
#[uniffi::export]
pub(crate) fn test_refusal(status: u16, message: String, path: String) -> Result<TestExchange> {
    TestExchange::from_recorded(Exchange::refusal(status, &message, &path))
}

/// Returns a model list.
#[uniffi::export]
pub(crate) fn test_models(ids: Vec<String>, path: String) -> Result<TestExchange> {
    TestExchange::from_recorded(Exchange::models(&ids, &path))
}

impl TestExchange {
    fn from_recorded(recorded: Exchange) -> Result<Self> {
        let Exchange { request, response } = recorded;
        let decoded: std::io::Result<Vec<_>> = response.pieces.iter().map(|piece| piece.bytes.decode()).collect();
        let headers = response.headers.into_iter();
        Ok(Self {
            method: request.method,
            path: request.path,
            body: if request.body.is_null() {
                String::new()
            } else {
                request.body.to_string()
            },
            status: response.status,
            headers: headers.map(|(name, value)| TestHeader { name, value }).collect(),
            pieces: decoded.map_err(|cause| io_error("the tape cannot be read", &cause))?,
            is_whole: response.whole,
        })
    }
}

impl From<TestExchange> for Exchange {
    fn from(stated: TestExchange) -> Self {
        let headers = stated
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect();
        let mut exchange = Self::of(
            &stated.method,
            &stated.path,
            stated.status,
            headers,
            &stated.pieces,
            stated.is_whole,
        );
        exchange.set_body(&stated.body);
        exchange
    }
}
