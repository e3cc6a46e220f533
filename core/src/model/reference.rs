//! References that name a model.
//!
//! | form | means |
//! |---|---|
//! | `hf:ORG/REPO[@REV][:QUANT]`, `hf:ORG/REPO[@REV]/FILE.gguf` | a file in a hub repository |
//! | `hf.co/ORG/REPO…`, `https://huggingface.co/ORG/REPO/resolve/REV/FILE.gguf` | the same, as a web address |
//! | `https://HOST/FILE.gguf[#sha256=HEX]` | a file anywhere (plain `http` only on this machine) |
//! | `./FILE.gguf`, `DIR/FILE` | a file on this device; `~` is not expanded, the shell does that |
//! | `smollm2-135m` | an installed model, by its id |
//!
//! Parsing does no I/O. [`ModelRef`]'s `Display` writes the shortest form, and that parses back to the same value.
//! A slash inside a revision is written `%2F`, as in the hub's own addresses.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, Result};
use crate::net::url::{is_loopback, redact_url};

/// A reference to a model. See the module for the forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelRef {
    /// An installed model.
    Name {
        /// Id in the store.
        name: String,
    },
    /// A file on this device.
    Path {
        /// As given; relative to the working directory.
        path: String,
    },
    /// A file in a repository of the hub.
    Hub {
        /// `ORG/REPO`.
        repo: String,
        /// A branch, tag or commit; unset: `main`.
        revision: Option<String>,
        /// File of the repository.
        file: HubFile,
    },
    /// A file at an address.
    Url {
        /// Ends in `.gguf`; `http` only for this machine; without a fragment.
        url: String,
        /// Expected SHA-256, 64 lower-case hex digits. Unset: only size and format can be checked.
        sha256: Option<String>,
    },
}

/// Selects a file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum HubFile {
    /// The hub's default: Q4_K_M, else Q8_0, else the first.
    Default,
    /// The first whose name contains this label.
    Quantization {
        /// Such as `Q4_K_M`; case does not matter.
        label: String,
    },
    /// The file at this path.
    Path {
        /// From the root of the repository.
        path: String,
    },
}

impl ModelRef {
    /// Parses a reference.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the reason and the accepted forms.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::invalid_request(format!(
                "the name of the model is empty; {ACCEPTED_FORMS}"
            )));
        }
        parse_reference(text).map_err(|wrong| {
            Error::invalid_request(format!(
                "`{}` does not name a model: {wrong}; {ACCEPTED_FORMS}",
                redact_url(text)
            ))
        })
    }

    /// Validates a value that an app may have built itself, by the rules of [`Self::parse`]. Call it before building an
    /// address or a path from its parts.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`], as [`Self::parse`].
    pub fn validate(&self) -> Result<()> {
        let text = self.to_string();
        if Self::parse(&text)? == *self {
            return Ok(());
        }
        Err(Error::invalid_request(format!(
            "`{}` does not name a model; {ACCEPTED_FORMS}",
            redact_url(&text)
        )))
    }
}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => out.write_str(name),
            Self::Path { path } if looks_like_path(path) => out.write_str(path),
            Self::Path { path } => write!(out, "./{path}"),
            Self::Hub { repo, revision, file } => {
                write!(out, "hf:{repo}")?;
                if let Some(revision) = revision {
                    write!(out, "@{}", utf8_percent_encode(revision, REVISION_ESCAPES))?;
                }
                match file {
                    HubFile::Default => Ok(()),
                    HubFile::Quantization { label } => write!(out, ":{label}"),
                    HubFile::Path { path } => write!(out, "/{path}"),
                }
            }
            Self::Url { url, sha256: None } => out.write_str(url),
            Self::Url {
                url,
                sha256: Some(hash),
            } => write!(out, "{url}#sha256={hash}"),
        }
    }
}

/// Returns whether this is a SHA-256 in lower-case hex.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse_reference(text: &str) -> Result<ModelRef, String> {
    if let Some(rest) = text.strip_prefix("hf:") {
        return parse_hub(rest);
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return parse_address(text);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("`{scheme}` addresses are not supported"));
    }
    if text.starts_with("hf.co/") || text.starts_with("huggingface.co/") {
        return parse_address(&format!("https://{text}"));
    }
    if looks_like_path(text) {
        if text.contains('\0') {
            return Err("a path cannot hold a zero byte".to_owned());
        }
        return Ok(ModelRef::Path { path: text.to_owned() });
    }
    if !is_plain(text, 128) {
        return Err("an id has letters, digits, `.`, `_` and `-` only".to_owned());
    }
    Ok(ModelRef::Name { name: text.to_owned() })
}

fn parse_hub(text: &str) -> Result<ModelRef, String> {
    let (org, rest) = text.split_once('/').ok_or("it needs both ORG and REPO")?;
    let (rest, path) = match rest.split_once('/') {
        Some((rest, path)) => (rest, Some(path)),
        None => (rest, None),
    };
    let (rest, label) = match rest.split_once(':') {
        Some((rest, label)) => (rest, Some(label)),
        None => (rest, None),
    };
    let (name, revision) = match rest.split_once('@') {
        Some((name, revision)) => (name, Some(percent_decoded(revision)?)),
        None => (rest, None),
    };
    let file = match (path, label) {
        (Some(_), Some(_)) => return Err("give a quantization or a file, not both".to_owned()),
        (Some(path), None) => HubFile::Path { path: path.to_owned() },
        (None, Some(label)) => HubFile::Quantization {
            label: label.to_owned(),
        },
        (None, None) => HubFile::Default,
    };
    build_hub_ref(org, name, revision, file)
}

fn parse_address(text: &str) -> Result<ModelRef, String> {
    let mut url = Url::parse(text).map_err(|_| "the address is malformed")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address must not hold a user name or password".to_owned());
    }
    if matches!(url.host_str(), Some("huggingface.co" | "www.huggingface.co" | "hf.co")) {
        return parse_hub_url(&url);
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err("plain http is for this device only; use https".to_owned());
    }
    if !is_gguf(url.path()) {
        return Err("the address does not end in `.gguf`".to_owned());
    }
    let sha256 = match url.fragment() {
        None => None,
        Some(fragment) => {
            let hash = fragment
                .strip_prefix("sha256=")
                .unwrap_or_default()
                .to_ascii_lowercase();
            if !is_sha256(&hash) {
                return Err("what follows `#` must be `sha256=` and 64 hex digits".to_owned());
            }
            Some(hash)
        }
    };
    url.set_fragment(None);
    Ok(ModelRef::Url {
        url: url.into(),
        sha256,
    })
}

/// Parses `/ORG/REPO`, `/ORG/REPO:QUANT`, `/ORG/REPO/FILE.gguf`, or a web page's
/// `/ORG/REPO/resolve|blob|raw|tree/REV[/FILE]`.
fn parse_hub_url(url: &Url) -> Result<ModelRef, String> {
    let segments: Vec<String> = url
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|segment| !segment.is_empty())
        .map(percent_decoded)
        .collect::<Result<_, String>>()?;
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [org, name, "resolve" | "blob" | "raw", revision, file @ ..] if !file.is_empty() => {
            let path = file.join("/");
            build_hub_ref(org, name, Some((*revision).to_owned()), HubFile::Path { path })
        }
        [org, name, "tree", revision] => build_hub_ref(org, name, Some((*revision).to_owned()), HubFile::Default),
        _ => parse_hub(url.path().trim_matches('/')),
    }
}

fn build_hub_ref(org: &str, name: &str, revision: Option<String>, file: HubFile) -> Result<ModelRef, String> {
    if !is_plain(org, 96) || !is_plain(name, 96) {
        return Err("ORG and REPO have letters, digits, `.`, `_` and `-` only".to_owned());
    }
    if let Some(revision) = &revision {
        let valid_segments = revision.split('/').all(|s| !matches!(s, "" | "." | ".."));
        if !valid_segments || revision.len() > 200 || revision.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("the revision is malformed".to_owned());
        }
    }
    match &file {
        HubFile::Default => {}
        HubFile::Quantization { label } if is_plain(label, 64) => {}
        HubFile::Quantization { .. } => return Err("the quantization is malformed".to_owned()),
        HubFile::Path { path } if !is_gguf(path) => return Err(format!("`{path}` is not a `.gguf` file")),
        HubFile::Path { path } => {
            let valid_segments = path.split('/').all(|s| !matches!(s, "" | "." | ".."));
            if !valid_segments || path.len() > 500 || path.contains(|c: char| c.is_control() || c == '\\') {
                return Err("the file's path is malformed".to_owned());
            }
        }
    }
    let repo = format!("{org}/{name}");
    Ok(ModelRef::Hub { repo, revision, file })
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| "it is not UTF-8".to_owned())
}

fn is_plain(text: &str, max_len: usize) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= max_len && !text.starts_with('.') && text.bytes().all(plain)
}

fn looks_like_path(text: &str) -> bool {
    text.contains(std::path::is_separator) || is_gguf(text)
}

fn is_gguf(path: &str) -> bool {
    path.len() > 5 && path.as_bytes()[path.len() - 5..].eq_ignore_ascii_case(b".gguf")
}

/// Characters to escape in a revision, which stands between `@` and `:` or `/`.
const REVISION_ESCAPES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'/')
    .add(b':')
    .add(b'@')
    .add(b'#')
    .add(b'?');

const ACCEPTED_FORMS: &str = "accepted are the id of an installed model, `hf:ORG/REPO[@REV][:QUANT or /FILE.gguf]`, \
                     `https://….gguf[#sha256=…]` and the path of a file";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn hub_ref(repo: &str, revision: Option<&str>, file: HubFile) -> ModelRef {
        ModelRef::Hub {
            repo: repo.to_owned(),
            revision: revision.map(str::to_owned),
            file,
        }
    }

    fn quant(label: &str) -> HubFile {
        HubFile::Quantization {
            label: label.to_owned(),
        }
    }

    fn file(path: &str) -> HubFile {
        HubFile::Path { path: path.to_owned() }
    }

    #[test]
    fn every_form_reads_as_documented_and_writes_back_to_itself() {
        let hash = "ab".repeat(32);
        let name = |name: &str| ModelRef::Name { name: name.to_owned() };
        let path = |path: &str| ModelRef::Path { path: path.to_owned() };
        let url = |url: &str, sha256: Option<&str>| ModelRef::Url {
            url: url.to_owned(),
            sha256: sha256.map(str::to_owned),
        };
        let table = [
            ("hf:Org/Repo-GGUF", hub_ref("Org/Repo-GGUF", None, HubFile::Default)),
            ("hf:o/r:q4_k_m", hub_ref("o/r", None, quant("q4_k_m"))),
            ("hf:o/r@v1.0:Q8_0", hub_ref("o/r", Some("v1.0"), quant("Q8_0"))),
            (
                "hf:o/r@refs%2Fpr%2F1",
                hub_ref("o/r", Some("refs/pr/1"), HubFile::Default),
            ),
            ("hf:o/r/sub/m.gguf", hub_ref("o/r", None, file("sub/m.gguf"))),
            (
                "hf:o/r@main/m@1:x.GGUF",
                hub_ref("o/r", Some("main"), file("m@1:x.GGUF")),
            ),
            ("hf.co/o/r:Q4_0", hub_ref("o/r", None, quant("Q4_0"))),
            ("https://hf.co/o/r", hub_ref("o/r", None, HubFile::Default)),
            ("huggingface.co/o/r/m.gguf", hub_ref("o/r", None, file("m.gguf"))),
            (
                "https://huggingface.co/o/r/resolve/main/a%20b.gguf?download=true",
                hub_ref("o/r", Some("main"), file("a b.gguf")),
            ),
            (
                "https://huggingface.co/o/r/blob/refs%2Fpr%2F2/q/m.gguf",
                hub_ref("o/r", Some("refs/pr/2"), file("q/m.gguf")),
            ),
            (
                "https://huggingface.co/o/r/tree/dev",
                hub_ref("o/r", Some("dev"), HubFile::Default),
            ),
            ("https://example.com/m.gguf", url("https://example.com/m.gguf", None)),
            (
                &format!("http://127.0.0.1:80/m.gguf?k=1#sha256={}", hash.to_uppercase()),
                url("http://127.0.0.1/m.gguf?k=1", Some(&hash)),
            ),
            ("  /models/m.gguf ", path("/models/m.gguf")),
            ("~/m.bin", path("~/m.bin")),
            ("M.GGUF", path("M.GGUF")),
            ("smollm2-135m", name("smollm2-135m")),
        ];
        for (text, expected) in table {
            let read = ModelRef::parse(text).expect(text);
            assert_eq!(read, expected, "{text}");
            assert_eq!(ModelRef::parse(&read.to_string()), Ok(expected), "{read}");
            assert_eq!(read.validate(), Ok(()));
        }
    }

    #[test]
    fn what_names_no_model_is_refused_with_the_accepted_forms() {
        let long = "x".repeat(300);
        let table = [
            "",
            "  ",
            "hf:",
            "hf:repo",
            "hf:o/",
            "hf:/r",
            "hf:../r",
            "hf:o/r:",
            "hf:o/r@",
            "hf:o/r@:Q4",
            "hf:o/r:a b",
            "hf:o/r/readme.md",
            "hf:o/r/../../x.gguf",
            "hf:o/r//x.gguf",
            "hf:o/r:Q4/x.gguf",
            "hf:o/r@..%2F..",
            "ftp://host/m.gguf",
            "http://example.com/m.gguf",
            "https://example.com/m.bin",
            "https://u:p@host/m.gguf",
            "https://host/m.gguf#sha256=12",
            "https://host/m.gguf#md5=1",
            "two words",
            "ollama:llama3",
            ".hidden",
            "..",
            &long,
            "a/\0.gguf",
            ".gguf",
        ];
        for text in table {
            let error = ModelRef::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{text}");
            assert!(error.to_string().contains("hf:ORG/REPO"), "{error}");
            assert!(!error.to_string().contains("u:p"), "no password in an error: {error}");
        }
    }

    #[test]
    fn a_reference_built_by_hand_is_checked_like_one_that_was_read() {
        for wrong in [
            hub_ref("o/../../x", None, HubFile::Default),
            hub_ref("o/r", Some("../.."), HubFile::Default),
            hub_ref("o/r", None, file("../m.gguf")),
            hub_ref("o/r", None, quant("Q4/../x")),
            ModelRef::Url {
                url: "http://example.com/m.gguf".to_owned(),
                sha256: None,
            },
        ] {
            assert_eq!(
                wrong.validate().map_err(|e| e.kind()),
                Err(ErrorKind::InvalidRequest),
                "{wrong:?}"
            );
        }
    }
}
