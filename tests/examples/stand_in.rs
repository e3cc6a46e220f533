//! Throwaway.
use nearside::model::{DownloadStream, ModelRef, download, head, hub::Hub, store::Store};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let rt = tokio::runtime::Runtime::new().expect("rt");
    rt.block_on(async {
        let hub = Hub::new(&a[3], None).expect("hub");
        let store = Store::open(std::path::Path::new(&a[5])).expect("store");
        let r = ModelRef::parse(&a[7]).expect("ref");
        if store.find(&r).expect("find").is_none() {
            let remote = hub.resolve(&r).await.expect("remote");
            head::fetch_head(&hub, &store, &remote).await.expect("head");
        }
        let (stream, sink) = DownloadStream::new();
        tokio::spawn(async move { download::run(&hub, &store, &r, sink).await });
        loop {
            let b = stream.next_batch().await.expect("ok");
            if b.is_empty() {
                break;
            }
            for e in b {
                println!("{}", serde_json::to_string(&e).expect("json"));
            }
        }
    });
}
