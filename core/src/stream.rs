//! A pull-based, cancellable stream of bounded memory, used by answers and downloads. The producer holds the
//! [`StreamSender`], the consumer the [`Stream`].
//!
//! # Consumer
//! - [`Stream::next_batch`] waits for one item and returns it with everything else already queued; an empty batch means
//!   the end. Cancel-safe: dropping the future loses no item. Concurrent calls are serialized.
//! - An error is returned once, by the call after the items that preceded it; then the stream has ended.
//! - [`Stream::cancel`] is synchronous, idempotent and callable from any thread. Dropping the stream does the same.
//!
//! # Producer
//! A producer chooses how a slow consumer affects it:
//! - [`StreamSender::send`] waits while the queue holds 64 items, so that the producer becomes as slow as its consumer. For
//!   downloads, and for providers, whose network has back-pressure too.
//! - [`StreamSender::send_merged`] never waits. Beyond 64 items it keeps the rest of the text in one item, so that an answer
//!   that is not read takes about the memory of its text. For a model on this device, which has other answers to
//!   generate, and whose context bounds the text.
//!
//! Both return `false` once the consumer cancelled or dropped the stream; then stop. [`StreamSender::finish`] never blocks.
//! A sender that is dropped without `finish` ends the stream with an error: after a panic `Bug`, else `Closed`.
//!
//! # Attempts
//! `StreamSender::attempt` creates a sender for one producer of several: its items enter the same queue, past a `Tap`, and its
//! end goes to the caller, who may start another producer. So a stream has one queue, however many parts watch its items.

mod cancel;

use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::atomic::Ordering;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub use cancel::CancelToken;

use crate::error::{Error, Result};
use crate::sync::lock;

/// The consumer's end. See the module for its promises.
#[derive(Debug)]
pub struct Stream<T> {
    state: Mutex<Reader<T>>,
    cancel: CancelToken,
}

/// The producer's end, passed to an engine or a download.
#[derive(Debug)]
pub struct StreamSender<T> {
    queue: ItemSender<T>,
    /// A permit for each item that the queue has space for.
    space: Arc<Semaphore>,
    /// Merged items that the queue had no space for.
    unsent: std::sync::Mutex<Option<T>>,
    end: StreamEnd<T>,
    tap: Option<Arc<dyn Tap<T>>>,
    cancel: CancelToken,
}

type ItemSender<T> = mpsc::UnboundedSender<QueuedItem<T>>;

/// An item in the queue, with the space that it takes; an item beyond the limit has none.
#[derive(Debug)]
struct QueuedItem<T> {
    item: Result<T>,
    _space: Option<OwnedSemaphorePermit>,
}

/// Items of which two can become one, for [`StreamSender::send_merged`].
pub trait Merge: Sized {
    /// Appends `next`. Returns it if this item cannot hold it.
    fn merge(&mut self, next: Self) -> Option<Self>;
}

/// Sees each item of an attempt before the consumer does, on the producer's thread. Must not block.
pub(crate) trait Tap<T>: Send + Sync + std::fmt::Debug {
    /// Called with an item that is about to enter the queue.
    fn observe(&self, item: &T);
}

/// Receiver of a producer's final item or error; `None` once it was sent.
#[derive(Debug)]
enum StreamEnd<T> {
    /// The stream itself.
    Consumer(Option<ItemSender<T>>),
    /// The caller of [`StreamSender::attempt`].
    Caller(Option<oneshot::Sender<Result<T>>>),
}

#[derive(Debug)]
struct Reader<T> {
    queue: mpsc::UnboundedReceiver<QueuedItem<T>>,
    /// Error received after other items of the same batch; returned by the next call.
    pending_error: Option<Error>,
}

impl<T> Stream<T> {
    /// Creates a stream and its sender.
    pub fn new() -> (Self, StreamSender<T>) {
        let (queue, items) = mpsc::unbounded_channel();
        #[cfg(feature = "testing")]
        LIVE_STREAMS.fetch_add(1, Ordering::SeqCst);
        let cancel = CancelToken::default();
        let stream = Self {
            state: Mutex::new(Reader {
                queue: items,
                pending_error: None,
            }),
            cancel: cancel.clone(),
        };
        let sender = StreamSender {
            end: StreamEnd::Consumer(Some(queue.clone())),
            queue,
            space: Arc::new(Semaphore::new(QUEUE_ITEMS)),
            unsent: std::sync::Mutex::new(None),
            tap: None,
            cancel,
        };
        (stream, sender)
    }

    /// Creates a stream that returns this error and nothing else.
    pub fn failed(error: Error) -> Self {
        let (stream, sink) = Self::new();
        sink.finish(Err(error));
        stream
    }

    /// Waits for the next item and returns it with all queued ones, in order. Empty: the stream has ended.
    ///
    /// # Errors
    /// The error that ended the stream, once, after all items that preceded it.
    pub async fn next_batch(&self) -> Result<Vec<T>> {
        let mut reader = self.state.lock().await;
        if let Some(error) = reader.pending_error.take() {
            return Err(error);
        }
        let mut received = Vec::new();
        // Cancel-safe: `recv_many` takes nothing until it returns, and nothing is awaited after it.
        reader.queue.recv_many(&mut received, usize::MAX).await;
        let mut batch = Vec::with_capacity(received.len());
        for queued in received {
            match queued.item {
                Ok(item) => batch.push(item),
                Err(error) if batch.is_empty() => return Err(error),
                Err(error) => reader.pending_error = Some(error),
            }
        }
        Ok(batch)
    }

    /// Cancels the work. The stream then ends in order, with the producer's final item.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl<T> Drop for Stream<T> {
    fn drop(&mut self) {
        #[cfg(feature = "testing")]
        LIVE_STREAMS.fetch_sub(1, Ordering::SeqCst);
        self.cancel.cancel();
    }
}

impl<T> StreamSender<T> {
    /// Queues an item, waiting while the queue is full. See the module for `false`.
    pub async fn send(&self, item: T) -> bool {
        if self.cancel.is_cancelled() {
            return false;
        }
        self.observe(&item);
        let space = Arc::clone(&self.space);
        let space = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return false,
            space = space.acquire_owned() => space.ok(),
        };
        enqueue(&self.queue, Ok(item), space)
    }

    /// Ends the stream with a final item or an error. Never blocks.
    pub fn finish(mut self, last: Result<T>) {
        self.flush();
        self.end.send(last);
    }

    /// Ends the stream without a final item: the consumer's next batch is empty.
    pub fn close(mut self) {
        self.end = StreamEnd::Consumer(None);
    }

    /// Creates a sender for one producer. Its items enter this stream past `tap`; its final item or error is returned
    /// by the receiver and does not end the stream. A producer that is dropped returns an error.
    pub(crate) fn attempt(&self, tap: Arc<dyn Tap<T>>) -> (Self, oneshot::Receiver<Result<T>>) {
        let (end, ended) = oneshot::channel();
        let sender = Self {
            queue: self.queue.clone(),
            space: Arc::clone(&self.space),
            unsent: std::sync::Mutex::new(None),
            end: StreamEnd::Caller(Some(end)),
            tap: Some(tap),
            cancel: self.cancel.clone(),
        };
        (sender, ended)
    }

    fn observe(&self, item: &T) {
        if let Some(tap) = &self.tap {
            tap.observe(item);
        }
    }

    /// Queues the merged items, however full the queue is.
    fn flush(&self) {
        if let Some(unsent) = lock(&self.unsent).take() {
            enqueue(&self.queue, Ok(unsent), None);
        }
    }

    /// Returns the token that the consumer cancels.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }
}

impl<T: Merge> StreamSender<T> {
    /// Queues an item without waiting: merges it with the next ones while the queue is full. See the module for `false`.
    pub fn send_merged(&self, item: T) -> bool {
        !self.cancel.is_cancelled() && self.send_last(item)
    }

    /// Like [`Self::send_merged`], also after a cancel: for content that was withheld until then.
    pub fn send_last(&self, item: T) -> bool {
        self.observe(&item);
        let mut unsent = lock(&self.unsent);
        let item = match unsent.take() {
            None => item,
            Some(mut earlier) => match earlier.merge(item) {
                None => earlier,
                Some(item) => {
                    enqueue(&self.queue, Ok(earlier), None);
                    item
                }
            },
        };
        if let Ok(space) = Arc::clone(&self.space).try_acquire_owned() {
            return enqueue(&self.queue, Ok(item), Some(space));
        }
        *unsent = Some(item);
        true
    }
}

/// Returns whether the consumer still has the stream.
fn enqueue<T>(queue: &ItemSender<T>, item: Result<T>, space: Option<OwnedSemaphorePermit>) -> bool {
    queue.send(QueuedItem { item, _space: space }).is_ok()
}

impl<T> Drop for StreamSender<T> {
    fn drop(&mut self) {
        self.flush();
        self.end.send_with(|| Err(Error::unfinished(std::thread::panicking())));
    }
}

impl<T> StreamEnd<T> {
    fn send(&mut self, last: Result<T>) {
        self.send_with(|| last);
    }

    /// Sends the final item unless one was sent already.
    fn send_with(&mut self, last: impl FnOnce() -> Result<T>) {
        match self {
            Self::Consumer(queue) => {
                queue.take().map(|queue| enqueue(&queue, last(), None));
            }
            Self::Caller(end) => {
                // The caller no longer waits if the library was closed.
                let _ = end.take().map(|end| end.send(last()));
            }
        }
    }
}

/// Returns the number of live streams in this process, for leak tests.
#[cfg(feature = "testing")]
pub fn live_streams() -> u64 {
    LIVE_STREAMS.load(Ordering::SeqCst)
}

#[cfg(feature = "testing")]
static LIVE_STREAMS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Space of the queue. The final item, and those of [`StreamSender::send_merged`] that cannot be merged, need none.
const QUEUE_ITEMS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, ErrorReason};

    #[tokio::test]
    async fn a_burst_comes_as_one_batch_and_then_the_end() {
        let (stream, sink) = Stream::new();
        for n in 0..5 {
            assert!(sink.send(n).await);
        }
        sink.finish(Ok(5));
        assert_eq!(stream.next_batch().await, Ok(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(stream.next_batch().await, Ok(vec![]));
    }

    #[tokio::test]
    async fn an_error_is_given_after_the_items_before_it_and_only_once() {
        let (stream, sink) = Stream::new();
        assert!(sink.send("text").await);
        sink.finish(Err(Error::network("gone")));
        assert_eq!(stream.next_batch().await, Ok(vec!["text"]));
        assert_eq!(stream.next_batch().await, Err(Error::network("gone")));
        assert_eq!(stream.next_batch().await, Ok(vec![]));
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_nothing() {
        let (stream, sink) = Stream::new();
        let wait = tokio::time::timeout(std::time::Duration::from_millis(1), stream.next_batch()).await;
        assert!(wait.is_err(), "nothing was sent yet");
        assert!(sink.send(1).await);
        assert_eq!(stream.next_batch().await, Ok(vec![1]));
    }

    impl Merge for String {
        fn merge(&mut self, next: Self) -> Option<Self> {
            self.push_str(&next);
            None
        }
    }

    #[tokio::test]
    async fn a_full_queue_holds_the_worker_until_cancel_and_the_last_word_still_arrives() {
        let (stream, sink) = Stream::new();
        let worker = tokio::spawn(async move {
            let mut sent = 0;
            while sink.send(sent).await {
                sent += 1;
            }
            sink.finish(Ok(-1));
            sent
        });
        while stream.state.lock().await.queue.len() < QUEUE_ITEMS {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        stream.cancel();
        assert_eq!(worker.await.expect("the worker ends"), QUEUE_ITEMS as i32);
        let batch = stream.next_batch().await.expect("no error");
        assert_eq!((batch.len(), batch.last()), (QUEUE_ITEMS + 1, Some(&-1)));
    }

    #[tokio::test]
    async fn an_unread_stream_of_merged_items_keeps_its_producer_going_and_loses_nothing() {
        let (stream, sink) = Stream::new();
        let words: Vec<String> = (0..10_000).map(|n| format!("{n} ")).collect();
        for word in &words[..9_000] {
            assert!(sink.send_merged(word.clone()));
        }
        assert_eq!(stream.state.lock().await.queue.len(), QUEUE_ITEMS);
        let mut read = stream.next_batch().await.expect("no error");
        // The next item brings those that were merged with it.
        assert!(sink.send_merged(words[9_000].clone()));
        let rest = stream.next_batch().await.expect("no error");
        assert_eq!((rest.len(), rest[0].ends_with(" 8999 9000 ")), (1, true));
        read.extend(rest);
        for word in &words[9_001..] {
            assert!(sink.send_merged(word.clone()));
        }
        sink.finish(Ok("the end".to_owned()));
        let last = stream.next_batch().await.expect("no error");
        assert_eq!(last.len(), QUEUE_ITEMS + 2);
        read.extend(last);
        assert_eq!(stream.next_batch().await, Ok(vec![]));
        assert_eq!(read.concat(), words.concat() + "the end");
    }

    #[tokio::test]
    async fn merged_items_arrive_before_the_end_also_after_a_cancel_and_a_panic() {
        for is_cancelled in [true, false] {
            let (stream, sink) = Stream::new();
            for _ in 0..100 {
                assert!(sink.send_merged("a".to_owned()));
            }
            if is_cancelled {
                stream.cancel();
                assert!(!sink.send_merged("b".to_owned()));
            }
            drop(sink);
            let batch = stream.next_batch().await.expect("the items first");
            assert_eq!(batch.concat(), "a".repeat(100));
            assert!(stream.next_batch().await.is_err());
        }
    }

    #[tokio::test]
    async fn a_worker_that_dies_leaves_an_error_and_one_that_closes_does_not() {
        let (stream, sink) = Stream::<()>::new();
        drop(sink);
        let ended = stream.next_batch().await.map_err(|error| error.reason());
        assert_eq!(ended, Err(ErrorReason::Closed));
        let (stream, sink) = Stream::<()>::new();
        let worker = tokio::spawn(async move {
            let _sink = sink;
            tokio::task::yield_now().await;
            panic!("a bug");
        });
        assert!(worker.await.is_err());
        let error = stream.next_batch().await.expect_err("an error");
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Internal, ErrorReason::Bug));
        let (stream, sink) = Stream::<()>::new();
        sink.close();
        assert_eq!(stream.next_batch().await, Ok(vec![]));
    }

    /// Remembers the items that it saw.
    #[derive(Debug, Default)]
    struct Seen(std::sync::Mutex<Vec<i32>>);

    impl Tap<i32> for Seen {
        fn observe(&self, item: &i32) {
            lock(&self.0).push(*item);
        }
    }

    #[tokio::test]
    async fn attempts_share_the_queue_and_end_at_the_caller() {
        let (stream, sink) = Stream::new();
        let seen = Arc::new(Seen::default());
        let (first, ended) = sink.attempt(Arc::clone(&seen) as _);
        assert!(first.send(1).await);
        first.finish(Err(Error::network("gone")));
        assert_eq!(ended.await, Ok(Err(Error::network("gone"))));
        let (second, ended) = sink.attempt(Arc::clone(&seen) as _);
        assert!(second.send(2).await);
        drop(second);
        assert!(ended.await.expect("an end").is_err());
        sink.finish(Ok(3));
        assert_eq!(stream.next_batch().await, Ok(vec![1, 2, 3]));
        assert_eq!(*lock(&seen.0), [1, 2]);
    }

    #[tokio::test]
    async fn a_tap_sees_nothing_after_a_cancel_and_each_item_once_however_full_the_queue_is() {
        let (stream, sink) = Stream::new();
        let seen = Arc::new(Seen::default());
        let (attempt, _ended) = sink.attempt(Arc::clone(&seen) as _);
        let worker = tokio::spawn(async move {
            let mut sent = 0;
            while sent < 200 && attempt.send(sent).await {
                sent += 1;
            }
            sent
        });
        let mut read = 0;
        while read < 200 {
            read += stream.next_batch().await.expect("no error").len();
        }
        assert_eq!(worker.await.expect("the worker ends"), 200);
        assert_eq!(lock(&seen.0).len(), 200);
        stream.cancel();
        let (late, _ended) = sink.attempt(Arc::clone(&seen) as _);
        assert!(!late.send(7).await);
        assert_eq!(lock(&seen.0).len(), 200);
    }

    #[tokio::test]
    async fn a_tap_sees_each_merged_item_when_it_is_sent() {
        #[derive(Debug, Default)]
        struct Length(std::sync::Mutex<usize>);
        impl Tap<String> for Length {
            fn observe(&self, item: &String) {
                *lock(&self.0) += item.len();
            }
        }
        let (stream, sink) = Stream::new();
        let length = Arc::new(Length::default());
        let (attempt, _ended) = sink.attempt(Arc::clone(&length) as _);
        for sent in 1..=200 {
            assert!(attempt.send_merged("a".to_owned()));
            assert_eq!(*lock(&length.0), sent);
        }
        attempt.finish(Ok(String::new()));
        assert_eq!(stream.next_batch().await.expect("no error").concat().len(), 200);
    }

    #[tokio::test]
    async fn dropping_the_stream_is_cancelling_it() {
        let (stream, sink) = Stream::new();
        drop(stream);
        assert!(!sink.send(()).await);
        sink.cancel().cancelled().await;
    }
}
