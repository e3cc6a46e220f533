//! Hubs with several origins: an address that redirects to the hub proper, and a mirror whose listing goes on elsewhere. The
//! token stays at the address that was configured.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use nearside::engine::remote::Secret;
use nearside::model::{DownloadEvent, InstalledModel, ModelRef};
use nearside::{Config, Error, ErrorKind, Nearside};
use nearside_tests::hub::Hub;
use nearside_tests::tiny_models;

/// Downloads `hf:o/r` from the hub at this address, with a token.
async fn download(url: &str) -> Result<InstalledModel, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        hub: Some(url.to_owned()),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    nearside.set_hub_token(Secret::new("token")).expect("set");
    let stream = nearside.download(ModelRef::parse("hf:o/r").expect("a reference"));
    loop {
        let batch = stream.next_batch().await?;
        assert!(!batch.is_empty(), "it ends with the model");
        for event in batch {
            if let DownloadEvent::Installed { model } = event {
                return Ok(model);
            }
        }
    }
}

fn model() -> Vec<u8> {
    tiny_models::model(4000, 3)
}

#[tokio::test]
async fn an_address_that_redirects_to_the_hub_works_and_the_token_stays_with_it() {
    let hub = Hub::builder()
        .bytes("o/r", "m-Q4_K_M.gguf", model())
        .start()
        .expect("a hub");
    let alias = Hub::builder().alias_of(&hub.url()).start().expect("a hub");
    let installed = download(&alias.url()).await.expect("installed");
    assert_eq!(installed.sha256, tiny_models::sha256(&model()));
    assert!(
        alias.log().iter().all(|request| request.authorized),
        "{:?}",
        alias.log()
    );
    assert!(hub.log().iter().all(|request| !request.authorized), "{:?}", hub.log());
}

#[tokio::test]
async fn a_repository_behind_a_redirect_that_needs_the_token_says_where_it_was_not_sent() {
    let hub = Hub::builder()
        .bytes("o/r", "m-Q4_K_M.gguf", model())
        .gated("o/r", "token")
        .start()
        .expect("a hub");
    let alias = Hub::builder().alias_of(&hub.url()).start().expect("a hub");
    let error = download(&alias.url()).await.expect_err("no token there");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    let other = hub.url().replace("http://", "");
    assert!(
        error.to_string().contains(&other) && error.to_string().contains("was not sent"),
        "{error}"
    );
    download(&hub.url()).await.expect("with the hub's own address");
}

#[tokio::test]
async fn a_listing_that_goes_on_at_another_origin_is_read_to_its_end_without_the_token() {
    let hub = || {
        Hub::builder()
            .bytes("o/r", "a-F16.gguf", tiny_models::model(9000, 4))
            .bytes("o/r", "m-Q4_K_M.gguf", model())
            .page_size(1)
    };
    let other = hub().start().expect("a hub");
    let mirror = hub().next_pages_at(&other.url()).start().expect("a hub");
    let installed = download(&mirror.url()).await.expect("installed");
    assert_eq!(installed.id, "m-q4_k_m", "from the second page");
    let pages: Vec<_> = other
        .log()
        .into_iter()
        .filter(|request| request.path.contains("cursor=1"))
        .collect();
    assert!(pages.len() == 1 && !pages[0].authorized, "{pages:?}");
    assert!(mirror.log().iter().any(|request| request.authorized));
}

#[tokio::test]
async fn a_hub_that_redirects_to_itself_ends_in_an_error() {
    let hub = Hub::builder().start().expect("a hub");
    let port = hub.url().rsplit(':').next().expect("a port").to_owned();
    drop(hub);
    let listen = format!("127.0.0.1:{port}").parse().expect("an address");
    let hub = Hub::builder()
        .listen(listen)
        .alias_of(&format!("http://127.0.0.1:{port}"))
        .start()
        .expect("a hub");
    let error = download(&hub.url()).await.expect_err("without end");
    assert!(error.to_string().contains("redirects without end"), "{error}");
}
