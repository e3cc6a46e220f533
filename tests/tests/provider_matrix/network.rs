//! The network below the exchange: a proxy, and servers with the user's own certificates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use nearside::engine::remote::{ProviderClient, ProviderKind, ProviderSettings, RemoteModel, Secret, list_models};
use nearside::model::ModelRef;
use nearside::{Config, Nearside, NetworkConfig, Result};
use nearside_tests::provider::{Dialect, Provider, WireFormat};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Lists the models of a provider at this address.
fn list(settings: &ProviderSettings, network: &NetworkConfig) -> Result<Vec<RemoteModel>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let http = ProviderClient::in_network(settings, network)?;
    let secret = Secret::default();
    let listed = list_models(&http, settings, &secret, "2026-11-29");
    runtime.expect("a runtime").block_on(listed)
}

fn at(base_url: &str) -> ProviderSettings {
    ProviderSettings {
        base_url: Some(base_url.to_owned()),
        allow_http: true,
        ..ProviderSettings::new("own", ProviderKind::Compatible)
    }
}

/// Starts a proxy that answers every request itself with a model list, and refuses to connect further. Returns its
/// address and the heads that it received.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let head = read_head(&connection);
            let answer = match head.starts_with("CONNECT ") {
                true => "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                false => list_response(),
            };
            seen.lock().expect("heads").push(head);
            let _ = (&connection).write_all(answer.as_bytes());
        }
    });
    (address.to_string(), heads)
}

fn read_head(connection: impl Read) -> String {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let mut head = String::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        head += &(line + "\n");
    }
    head
}

fn list_response() -> String {
    let body = r#"{"data":[{"id":"m"}]}"#;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn requests_go_through_the_proxy_with_its_password_and_those_to_this_device_do_not() {
    let (address, heads) = proxy();
    let network = NetworkConfig {
        proxy: Some(format!("http://user:canary@{address}")),
        no_proxy: Some("direct.example.invalid".into()),
        ..NetworkConfig::default()
    };
    let models = list(&at("http://llm.example.invalid/v1"), &network).expect("the proxy answers");
    assert_eq!(models[0].id, "m");
    let head = heads.lock().expect("heads").remove(0);
    assert!(head.starts_with("GET http://llm.example.invalid/v1/models "), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("proxy-authorization: basic "),
        "{head}"
    );

    // Encrypted requests are tunnelled.
    let error = list(&at("https://llm.example.invalid/v1"), &network).expect_err("no tunnel");
    assert!(
        error.to_string().contains("proxy") && !error.to_string().contains("canary"),
        "{error}"
    );
    let head = heads.lock().expect("heads").remove(0);
    assert!(head.starts_with("CONNECT llm.example.invalid:443 "), "{head}");

    let local = Provider::start(Dialect::Compatible);
    let listed = list(&at(&local.url()), &network).expect("a local provider");
    assert!(listed.iter().any(|model| model.id == Dialect::Compatible.model()));
    list(&at("http://direct.example.invalid/v1"), &network).expect_err("there is no such host");
    assert!(
        heads.lock().expect("heads").is_empty(),
        "neither of these uses the proxy"
    );
}

#[test]
fn the_hub_is_reached_through_the_proxy() {
    let (address, heads) = proxy();
    let directory = tempfile::tempdir().expect("a directory");
    let nearside = Nearside::new(Config {
        hub: Some("https://hub.example.invalid".into()),
        network: NetworkConfig {
            proxy: Some(format!("http://{address}")),
            ..NetworkConfig::default()
        },
        ..Config::new(directory.path().to_string_lossy())
    })
    .expect("a library object");
    let model = ModelRef::parse("hf:org/name:Q8_0").expect("a reference");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let fit = nearside.fit(model, Default::default());
    runtime
        .expect("a runtime")
        .block_on(fit)
        .expect_err("the proxy refuses");
    let heads = heads.lock().expect("heads");
    assert!(heads[0].starts_with("CONNECT hub.example.invalid:443 "), "{heads:?}");
}

/// A certificate in PEM and the configuration of a server with it.
struct TlsServer {
    base_url: String,
    pem: String,
}

impl TlsServer {
    /// Serves a model list with this certificate.
    fn start(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!(
            "https://localhost:{}/v1",
            listener.local_addr().expect("an address").port()
        );
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                serve(connection, &config);
            }
        });
        Self {
            base_url,
            pem: certificate.pem(),
        }
    }

    fn list_with(&self, pem: Option<&str>, pins: &[String]) -> Result<Vec<RemoteModel>> {
        let settings = ProviderSettings {
            root_certificate: pem.map(str::to_owned),
            pins: pins.to_vec(),
            ..at(&self.base_url)
        };
        list(&settings, &NetworkConfig::default())
    }
}

fn serve(connection: TcpStream, config: &Arc<rustls::ServerConfig>) {
    let Ok(tls) = rustls::ServerConnection::new(Arc::clone(config)) else {
        return;
    };
    let mut stream = rustls::StreamOwned::new(tls, connection);
    if !read_head(&mut stream).is_empty() {
        let _ = stream.write_all(list_response().as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn params(is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

#[test]
fn a_self_signed_certificate_is_accepted_where_it_is_the_one_that_was_given() {
    for is_ca in [true, false] {
        let (key, other_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let certificate = params(is_ca).self_signed(&key).expect("a certificate");
        let other = params(is_ca).self_signed(&other_key).expect("a certificate").pem();
        let server = TlsServer::start(&certificate, &key);
        server.list_with(Some(&server.pem), &[]).expect("its own certificate");
        let both = format!("# two certificates\n{other}\r\n{}", server.pem);
        server.list_with(Some(&both), &[]).expect("one of two");
        for pem in [None, Some(other.as_str())] {
            let error = server.list_with(pem, &[]).expect_err("not trusted");
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        let pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
        server
            .list_with(Some(&server.pem), &[pin])
            .expect_err("pins apply, too");
        server.list_with(Some("no certificate"), &[]).expect_err("not PEM");
    }
}

#[test]
fn a_private_authority_is_a_root_among_others() {
    let (ca_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let ca = params(true).self_signed(&ca_key).expect("a certificate").pem();
    let issuer = Issuer::new(params(true), ca_key);
    let certificate = params(false).signed_by(&key, &issuer).expect("a certificate");
    let server = TlsServer::start(&certificate, &key);
    let unrelated = params(true)
        .self_signed(&KeyPair::generate().expect("a key"))
        .expect("a certificate")
        .pem();
    server
        .list_with(Some(&format!("{unrelated}{ca}")), &[])
        .expect("a chain to the second root");
    server.list_with(Some(&unrelated), &[]).expect_err("another root");
}
