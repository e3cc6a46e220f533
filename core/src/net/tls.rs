//! TLS configuration, independent of the platform: compiled-in roots, ring, HTTP/1.1, and optional pins.
//!
//! The platform's own verifier would need a start-up call on Android, so the roots are Mozilla's (webpki-roots).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Trust settings beyond the compiled-in roots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trust<'a> {
    /// Additional certificates, in PEM: roots, or servers' own ones, which may be self-signed.
    pub(crate) root: Option<&'a str>,
    /// SHA-256 of `SubjectPublicKeyInfo`, in base64; the server's must be one of them. Empty: not checked.
    pub(crate) pins: &'a [String],
}

/// Builds the TLS configuration of one client.
///
/// # Errors
/// `InvalidRequest` for an invalid root certificate or pin.
pub(crate) fn client_config(trust: &Trust<'_>) -> Result<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let own = trust.root.map(read_certificates).transpose()?.unwrap_or_default();
    for certificate in &own {
        // A certificate that cannot be a root can still be a server's own.
        let _ = roots.add(certificate.clone());
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::internal(format!("could not set TLS up: {cause}")))?;
    let mut config = if trust.pins.is_empty() && own.is_empty() {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), ring)
            .build()
            .map_err(|cause| Error::internal(format!("could not set TLS up: {cause}")))?;
        let pins = trust.pins.iter().map(|pin| decode_pin(pin)).collect::<Result<_>>()?;
        let verifier = Arc::new(OwnVerifier { usual, own, pins });
        // rustls calls every verifier except its own "dangerous"; this one adds to the usual one.
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth()
    };
    // reqwest does not modify a preconfigured TLS configuration. A server that offers HTTP/2 only must know at the handshake.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Reads all certificates of a PEM text.
fn read_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.unwrap_or_default();
    let is_sound = |certificate: &CertificateDer<'_>| ParsedCertificate::try_from(certificate).is_ok();
    if certificates.is_empty() || !certificates.iter().all(is_sound) {
        return Err(Error::invalid_request(
            "the certificate is not one in PEM, which begins with `-----BEGIN CERTIFICATE-----`",
        ));
    }
    Ok(certificates)
}

fn decode_pin(pin: &str) -> Result<[u8; 32]> {
    let bytes = STANDARD.decode(pin.trim_start_matches("sha256/")).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::invalid_request(format!(
            "the pin `{pin}` is not the base64 of a SHA-256 digest (44 characters)"
        ))
    })
}

/// Verifier that accepts the user's own certificates, and checks the pins after that or after the usual checks.
#[derive(Debug)]
struct OwnVerifier {
    usual: Arc<WebPkiServerVerifier>,
    /// A server with exactly one of these certificates is trusted: by equality, because the usual self-signed certificate
    /// claims to be a root, which the usual checks reject in a server.
    own: Vec<CertificateDer<'static>>,
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for OwnVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = match self.own.contains(end_entity) {
            true => ServerCertVerified::assertion(),
            false => self
                .usual
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?,
        };
        if self.pins.is_empty() {
            return Ok(verified);
        }
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let key_hash: [u8; 32] = Sha256::digest(key.as_ref()).into();
        match self.pins.contains(&key_hash) {
            true => Ok(verified),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
