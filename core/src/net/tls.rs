//! TLS configuration, independent of the platform: compiled-in roots, ring, HTTP/2 if offered, and optional pins.
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
    /// An additional root certificate, in PEM.
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
    if let Some(pem) = trust.root {
        let invalid = || Error::invalid_request("`root_certificate` is not a certificate in PEM");
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| invalid())?;
        roots.add(root).map_err(|_| invalid())?;
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::internal(format!("could not set TLS up: {cause}")))?;
    let mut config = if trust.pins.is_empty() {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), ring)
            .build()
            .map_err(|cause| Error::internal(format!("could not set TLS up: {cause}")))?;
        let pins = trust.pins.iter().map(|pin| decode_pin(pin)).collect::<Result<_>>()?;
        let verifier = Arc::new(PinVerifier { usual, pins });
        // rustls calls every verifier except its own "dangerous"; this one runs the usual one first.
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth()
    };
    // reqwest does not modify a preconfigured TLS configuration: without this line there would be no HTTP/2.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn decode_pin(pin: &str) -> Result<[u8; 32]> {
    let bytes = STANDARD.decode(pin.trim_start_matches("sha256/")).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::invalid_request(format!(
            "the pin `{pin}` is not the base64 of a SHA-256 digest (44 characters)"
        ))
    })
}

/// Verifier that checks the pins after the usual checks.
#[derive(Debug)]
struct PinVerifier {
    usual: Arc<WebPkiServerVerifier>,
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .usual
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let key_hash: [u8; 32] = Sha256::digest(key.as_ref()).into();
        if self.pins.contains(&key_hash) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
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
