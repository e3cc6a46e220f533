//! The upstream of a recorder: an address, plain or with TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A parsed base address.
#[derive(Debug)]
pub(super) struct Upstream {
    /// The `Host` header: with the port if the address has one.
    host: String,
    port: u16,
    path: String,
    tls: Option<Arc<ClientConfig>>,
}

/// A plain or TLS connection.
pub(super) trait UpstreamStream: Read + Write + Send {}

impl<T: Read + Write + Send> UpstreamStream for T {}

impl Upstream {
    /// Parses `http://HOST[:PORT][/PATH]` or the same with `https`.
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub(super) fn parse(url: &str) -> io::Result<Self> {
        let invalid = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{url}` is not an http or https address"),
            )
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(invalid()),
        };
        // The colons of an IPv6 address are within brackets.
        let port = match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((_, port)) => port.parse().map_err(|_| invalid())?,
            None => usual,
        };
        if host.is_empty() || host.contains('@') {
            return Err(invalid());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
            tls: (scheme == "https").then(tls).transpose()?,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path; empty or starting with `/`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If the host is unknown, refuses the connection, or has a certificate that no web root signed.
    pub(super) fn connect(&self) -> io::Result<Box<dyn UpstreamStream>> {
        let name = self.host.strip_suffix(&format!(":{}", self.port)).unwrap_or(&self.host);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((name, self.port))?;
        socket.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(socket));
        };
        let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), server).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(session, socket)))
    }
}

fn tls() -> io::Result<Arc<ClientConfig>> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed() {
        let parsed = |url| {
            let upstream = Upstream::parse(url).expect("an address");
            (
                upstream.host.clone(),
                upstream.port,
                upstream.path.clone(),
                upstream.tls.is_some(),
            )
        };
        let of = |host: &str, port, path: &str, tls| (host.to_owned(), port, path.to_owned(), tls);
        assert_eq!(parsed("http://127.0.0.1:81/v1/"), of("127.0.0.1:81", 81, "/v1", false));
        assert_eq!(
            parsed("https://openrouter.ai/api/v1"),
            of("openrouter.ai", 443, "/api/v1", true)
        );
        assert_eq!(parsed("http://[::1]"), of("[::1]", 80, "", false));
        for wrong in ["openrouter.ai", "ftp://x", "http://", "http://x:port", "http://user@x"] {
            assert!(Upstream::parse(wrong).is_err(), "{wrong}");
        }
    }
}
