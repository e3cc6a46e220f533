//! Resolves references with the hub's API, or with `HEAD` requests if a mirror lacks it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, header::HeaderMap};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::client::{self, Follow, HubRequest, HubResponse, is_commit};
use super::error::{self, HubError, header_text};
use super::listing::{TreeEntry, select_file};
use super::range::ContentRange;
use super::{Hub, Remote};
use crate::error::{Error, Result};
use crate::model::reference::{HubFile, ModelRef};
use crate::net::url::redact_url;

impl Hub {
    /// Resolves a reference to a file of the hub. Retries transient errors.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it does not exist, or is a path; [`Error::NotInstalled`] for an id;
    /// [`Error::Unauthorized`], [`Error::RateLimited`], [`Error::Network`] and [`Error::Provider`] for errors of the hub;
    /// [`Error::Unsupported`] for a split model.
    pub async fn resolve(&self, reference: &ModelRef) -> Result<Remote> {
        reference.validate()?;
        match reference {
            ModelRef::Hub { repo, revision, file } => self.resolve_file(repo, revision.as_deref(), file).await,
            ModelRef::Url { url, sha256 } => self.resolve_address(url, sha256.as_deref()).await,
            ModelRef::Path { path } => Err(Error::invalid_request(format!(
                "`{path}` is a file on this device, which needs no download; import it instead"
            ))),
            ModelRef::Name { name } => Err(Error::not_installed(format!(
                "model `{name}` is not installed; name where it comes from, such as `hf:ORG/REPO`"
            ))),
        }
    }

    async fn resolve_file(&self, repo: &str, revision: Option<&str>, file: &HubFile) -> Result<Remote> {
        let requested = revision.unwrap_or("main");
        let mut commit = self.fetch_commit(repo, requested).await?;
        let entries = self.fetch_listing(repo, commit.as_deref().unwrap_or(requested)).await;
        let (path, size, mut sha256) = match (entries, file) {
            (Ok(entries), _) => {
                let entry = select_file(repo, &entries, file)?;
                (entry.path.clone(), Some(entry.size()), entry.sha256())
            }
            (Err(failure), HubFile::Path { path }) if failure.status == Some(404) && !failure.has_error_code => {
                (path.clone(), None, None)
            }
            (Err(failure), _) => return Err(failure.error),
        };
        let exact = HubFile::Path { path: path.clone() };
        let source = ModelRef::Hub {
            repo: repo.to_owned(),
            revision: revision.map(str::to_owned),
            file: exact,
        };
        // The listing comes from the network, so validate its file name like a user's.
        source.validate().map_err(|_| {
            Error::provider(format!(
                "repository `{repo}` lists a file with a malformed name; report it to the hub"
            ))
        })?;

        let mut url = self.file_url(repo, commit.as_deref().unwrap_or(requested), &path)?;
        let size_bytes = match (size, &sha256) {
            (Some(size), Some(_)) => size,
            _ => {
                let response = self
                    .send_head(&url, Follow::SameHost)
                    .await
                    .map_err(|failure| failure.error)?;
                sha256 = sha256.or(response.file.sha256.clone());
                if let (None, Some(pinned)) = (&commit, response.file.commit.clone()) {
                    url = self.file_url(repo, &pinned, &path)?;
                    commit = Some(pinned);
                }
                match size.or(response.file.size) {
                    Some(size) => size,
                    None => {
                        // The headers about the file may come from behind a redirect to another origin.
                        let (size, response) = self.fetch_size(&url).await?;
                        sha256 = sha256.or(response.file.sha256);
                        size
                    }
                }
            }
        };
        Ok(Remote {
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            source,
            url: url.into(),
            size_bytes,
            sha256,
            commit,
            version: None,
        })
    }

    async fn resolve_address(&self, address: &str, sha256: Option<&str>) -> Result<Remote> {
        let malformed = |_| Error::invalid_request(format!("the address `{}` is malformed", redact_url(address)));
        let url = Url::parse(address).map_err(malformed)?;
        let (size_bytes, response) = self.fetch_size(&url).await?;
        let headers = response.http.headers();
        let version = header_text(headers, "etag").or(header_text(headers, "last-modified"));
        let name = url.path_segments().and_then(|mut parts| parts.next_back());
        Ok(Remote {
            name: name.unwrap_or_default().to_owned(),
            source: ModelRef::Url {
                url: address.to_owned(),
                sha256: sha256.map(str::to_owned),
            },
            url: url.into(),
            size_bytes,
            sha256: sha256.map(str::to_owned).or(response.file.sha256.clone()),
            commit: None,
            version: version.map(str::to_owned),
        })
    }

    /// Fetches the commit of a branch or tag. Returns `None` if the hub lacks this API.
    async fn fetch_commit(&self, repo: &str, revision: &str) -> Result<Option<String>> {
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        let url = self.api_url(&format!("api/models/{repo}/revision/{}", escape_segment(revision)))?;
        match self.fetch_json::<Revision>(&url).await {
            Ok((revision, _)) => Ok(revision.sha.filter(|sha| is_commit(sha))),
            Err(failure) if failure.status == Some(404) && !failure.has_error_code => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    async fn fetch_listing(&self, repo: &str, revision: &str) -> Result<Vec<TreeEntry>, HubError> {
        let path = format!("api/models/{repo}/tree/{}?recursive=true", escape_segment(revision));
        let mut next = Some(self.api_url(&path).map_err(HubError::permanent)?);
        let mut entries = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else {
                return Ok(entries);
            };
            let (page, headers) = self.fetch_json::<Vec<TreeEntry>>(&url).await?;
            entries.extend(page);
            // A mirror may pass the hub's own links through: `send` gives the token to no other origin.
            next = match header_text(&headers, "link").and_then(next_page_url) {
                Some(link) => Some(client::linked_url(
                    &self.base.origin(),
                    &url,
                    &link,
                    "continues its listing",
                )?),
                None => None,
            };
        }
        Err(HubError::permanent(Error::provider(format!(
            "the listing of `{repo}` has no end; name the file, as in `hf:{repo}/FILE.gguf`"
        ))))
    }

    /// Fetches size and headers of a file at its final address, for servers without the hub's API.
    async fn fetch_size(&self, url: &Url) -> Result<(u64, HubResponse)> {
        let announced = |response: &HubResponse| {
            let length = header_text(response.http.headers(), "content-length");
            response.file.size.or(length.and_then(|length| length.parse().ok()))
        };
        match self.send_head(url, Follow::All).await {
            Ok(response) => {
                if let Some(size) = announced(&response).filter(|size| *size > 0) {
                    return Ok((size, response));
                }
            }
            // No response at all: a GET would fail too.
            Err(failure) if failure.status.is_none() => return Err(failure.error),
            Err(_) => {}
        }
        // Some servers refuse HEAD, and presigned addresses are signed for GET alone.
        let response = self
            .retry(|| {
                let mut request = HubRequest::new(Method::GET, url, Follow::All);
                request.range = Some("bytes=0-0");
                self.client.send(request)
            })
            .await
            .map_err(|failure| failure.error)?;
        let range = header_text(response.http.headers(), "content-range");
        let total = range.and_then(ContentRange::from_header).and_then(|range| range.total);
        let whole = (response.http.status() == 200).then(|| announced(&response)).flatten();
        let size = response.file.size.or(total).or(whole);
        match size.filter(|size| *size > 0) {
            Some(size) => Ok((size, response)),
            None => Err(Error::provider(format!(
                "`{}` does not say how big `{}` is; use another source",
                error::host_and_port(url),
                redact_url(url.as_str())
            ))),
        }
    }

    async fn send_head(&self, url: &Url, follow: Follow) -> Result<HubResponse, HubError> {
        self.retry(|| self.client.send(HubRequest::new(Method::HEAD, url, follow)))
            .await
    }

    /// Fetches a document of the API. Follows redirects to another origin, too, without the token: `hf.co` is a name of
    /// `huggingface.co`.
    async fn fetch_json<T: DeserializeOwned>(&self, url: &Url) -> Result<(T, HeaderMap), HubError> {
        self.retry(|| async {
            let mut response = self.client.send(HubRequest::new(Method::GET, url, Follow::All)).await?;
            let mut body = Vec::new();
            let cut = |cause| error::connection_error(url, cause);
            while let Some(bytes) = response.http.chunk().await.map_err(cut)? {
                body.extend_from_slice(&bytes);
                if body.len() > MAX_JSON_BYTES {
                    break;
                }
            }
            let value = serde_json::from_slice(&body).map_err(|_| {
                HubError::permanent(Error::provider(format!(
                    "`{}` does not answer like a model hub; check its address, and whether this network wants a sign-in",
                    error::host_and_port(&response.url)
                )))
            })?;
            Ok((value, response.http.headers().clone()))
        })
        .await
    }

    /// Retries transient failures, at most 3 attempts: no transfer has started and the caller waits for the first
    /// event.
    async fn retry<T, F>(&self, request: impl Fn() -> F) -> Result<T, HubError>
    where
        F: Future<Output = Result<T, HubError>>,
    {
        let mut failed = 0;
        loop {
            match request().await {
                Err(failure) if failure.transient && failed + 1 < self.limits.retry.attempts.min(MAX_ATTEMPTS) => {
                    failed += 1;
                    tokio::time::sleep(self.limits.retry.backoff(failed)).await;
                }
                done => return done,
            }
        }
    }

    fn file_url(&self, repo: &str, revision: &str, path: &str) -> Result<Url> {
        let path: Vec<String> = path.split('/').map(escape_segment).collect();
        let (revision, path) = (escape_segment(revision), path.join("/"));
        self.api_url(&format!("{repo}/resolve/{revision}/{path}"))
    }

    fn api_url(&self, path: &str) -> Result<Url> {
        self.base
            .join(path)
            .map_err(|cause| Error::internal(format!("could not build the address of `{path}`: {cause}")))
    }
}

#[derive(Deserialize)]
struct Revision {
    sha: Option<String>,
}

fn escape_segment(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT_ESCAPES).to_string()
}

/// Returns the URL of the `rel="next"` link of a `Link` header.
fn next_page_url(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}

/// Characters to escape in a path segment.
const SEGMENT_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Maximum number of pages of a listing, of a thousand entries each.
const MAX_PAGES: usize = 100;

/// Maximum attempts of a metadata request.
const MAX_ATTEMPTS: u32 = 3;

/// Maximum size of one API response.
const MAX_JSON_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_and_path_stay_one_segment_each() {
        let hub = Hub::new("https://host/mirror", None).expect("a hub");
        let url = hub.file_url("o/r", "refs/pr/1", "a b/m?.gguf").expect("an address");
        assert_eq!(
            url.as_str(),
            "https://host/mirror/o/r/resolve/refs%2Fpr%2F1/a%20b/m%3F.gguf"
        );
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        let link = "<https://a/1>; rel=\"prev\", <https://a/2?c=x>; rel=\"next\"";
        assert_eq!(next_page_url(link).as_deref(), Some("https://a/2?c=x"));
        assert_eq!(next_page_url("<https://a/1>; rel=\"prev\""), None);
    }
}
