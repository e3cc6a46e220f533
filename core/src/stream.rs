//! A bounded, pull-based, cancellable stream, used by answers and downloads. The producer holds the [`StreamSender`],
//! the consumer the [`Stream`].
//!
//! # Consumer
//! - [`Stream::next_batch`] waits for one item and returns it with everything else already queued; an empty batch means
//!   the end. Cancel-safe: dropping the future loses no item. Concurrent calls are serialized.
//! - An error is returned once, by the call after the items that preceded it; then the stream has ended.
//! - [`Stream::cancel`] is synchronous, idempotent and callable from any thread. Dropping the stream has the same
//!   effect.
//! - The queue holds 64 items: a slow consumer blocks the producer, and memory stays bounded.
//!
//! # Producer
//! [`StreamSender::send`] waits while the queue is full and returns `false` once the consumer cancelled or dropped the
//! stream; then stop. [`StreamSender::finish`] uses a slot reserved at creation and never blocks. A sender that is
//! dropped without `finish` ends the stream with an error: after a panic `Bug`, else `Closed`.
//!
//! # Attempts
//! `StreamSender::attempt` creates a sender for one producer of several: its items enter the same queue, past a
//! `Tap`, and its end goes to the caller, who may start another producer. So a stream has one queue, however many
//! parts of the library watch its items.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, Notify, mpsc, oneshot};

use crate::error::{Error, Result};

/// The consumer's end. See the module for its promises.
#[derive(Debug)]
pub struct Stream<T> {
    state: Mutex<Reader<T>>,
    cancel: CancelToken,
}

/// The producer's end, passed to an engine or a download.
#[derive(Debug)]
pub struct StreamSender<T> {
    queue: mpsc::Sender<Result<T>>,
    end: StreamEnd<T>,
    tap: Option<Arc<dyn Tap<T>>>,
    cancel: CancelToken,
}

/// Sees each item of an attempt before the consumer does, on the producer's thread. Must not block.
pub(crate) trait Tap<T>: Send + Sync + std::fmt::Debug {
    /// Called with an item that is about to enter the queue.
    fn observe(&self, item: &T);
}

/// Receiver of a producer's final item or error; `None` once it was sent.
#[derive(Debug)]
enum StreamEnd<T> {
    /// The stream itself, by a permit reserved for it.
    Consumer(Option<mpsc::OwnedPermit<Result<T>>>),
    /// The caller of [`StreamSender::attempt`].
    Caller(Option<oneshot::Sender<Result<T>>>),
}

/// A cancel flag, which one side sets and the other polls or awaits. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    inner: Arc<CancelTokenState>,
}

#[derive(Debug, Default)]
struct CancelTokenState {
    cancelled: AtomicBool,
    waiters: Notify,
}

#[derive(Debug)]
struct Reader<T> {
    queue: mpsc::Receiver<Result<T>>,
    /// Error received after other items of the same batch; returned by the next call.
    pending_error: Option<Error>,
}

impl<T> Stream<T> {
    /// Creates a stream and its sender.
    pub fn new() -> (Self, StreamSender<T>) {
        let (queue, items) = mpsc::channel(QUEUE_ITEMS + 1);
        #[cfg(feature = "testing")]
        LIVE_STREAMS.fetch_add(1, Ordering::SeqCst);
        // The channel is new and empty: a slot is always free.
        let final_permit = queue.clone().try_reserve_owned().ok();
        let cancel = CancelToken::default();
        let stream = Self {
            state: Mutex::new(Reader {
                queue: items,
                pending_error: None,
            }),
            cancel: cancel.clone(),
        };
        let sender = StreamSender {
            queue,
            end: StreamEnd::Consumer(final_permit),
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
        reader.queue.recv_many(&mut received, QUEUE_ITEMS + 1).await;
        let mut batch = Vec::with_capacity(received.len());
        for item in received {
            match item {
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
        self.enqueue(item).await
    }

    /// Queues an item like [`Self::send`], for a producer on a thread of its own. Never call it from async code.
    pub fn send_blocking(&self, item: T) -> bool {
        if self.cancel.is_cancelled() {
            return false;
        }
        self.observe(&item);
        match self.queue.try_send(Ok(item)) {
            _ if self.cancel.is_cancelled() => false,
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(Ok(item))) => futures_executor::block_on(self.enqueue(item)),
            Err(_) => false,
        }
    }

    /// Ends the stream with a final item or an error. Never blocks.
    pub fn finish(mut self, last: Result<T>) {
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

    async fn enqueue(&self, item: T) -> bool {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => false,
            sent = self.queue.send(Ok(item)) => sent.is_ok(),
        }
    }

    /// Returns the token that the consumer cancels.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }
}

impl<T> Drop for StreamSender<T> {
    fn drop(&mut self) {
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
            Self::Consumer(permit) => {
                permit.take().map(|permit| permit.send(last()));
            }
            Self::Caller(end) => {
                // The caller no longer waits if the library was closed.
                let _ = end.take().map(|end| end.send(last()));
            }
        }
    }
}

impl CancelToken {
    /// Sets the flag and wakes every waiter.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        self.inner.waiters.notify_waiters();
    }

    /// Returns whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Returns whether both are clones of one token.
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Returns the bare flag, for code that polls it thousands of times a second.
    pub fn flag(&self) -> &AtomicBool {
        &self.inner.cancelled
    }

    /// Waits until the flag is set.
    pub async fn cancelled(&self) {
        loop {
            let woken = self.inner.waiters.notified();
            tokio::pin!(woken);
            // Register before reading the flag, or a cancel between the two would be missed.
            woken.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            woken.await;
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

/// Capacity of the queue, without the final item.
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

    #[tokio::test]
    async fn a_full_queue_holds_the_worker_until_cancel_and_the_last_word_still_arrives() {
        let (stream, sink) = Stream::new();
        let worker = std::thread::spawn(move || {
            let mut sent = 0;
            while sink.send_blocking(sent) {
                sent += 1;
            }
            sink.finish(Ok(-1));
            sent
        });
        while stream.state.lock().await.queue.len() < QUEUE_ITEMS {
            tokio::task::yield_now().await;
        }
        stream.cancel();
        assert_eq!(worker.join().expect("the worker ends"), QUEUE_ITEMS as i32);
        let batch = stream.next_batch().await.expect("no error");
        assert_eq!((batch.len(), batch.last()), (QUEUE_ITEMS + 1, Some(&-1)));
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
            crate::sync::lock(&self.0).push(*item);
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
        assert_eq!(*crate::sync::lock(&seen.0), [1, 2]);
    }

    #[tokio::test]
    async fn a_tap_sees_nothing_after_a_cancel_and_each_item_once_however_full_the_queue_is() {
        let (stream, sink) = Stream::new();
        let seen = Arc::new(Seen::default());
        let (attempt, _ended) = sink.attempt(Arc::clone(&seen) as _);
        let worker = std::thread::spawn(move || (0..200).take_while(|n| attempt.send_blocking(*n)).count());
        let mut read = 0;
        while read < 200 {
            read += stream.next_batch().await.expect("no error").len();
        }
        assert_eq!(worker.join().expect("the worker ends"), 200);
        assert_eq!(crate::sync::lock(&seen.0).len(), 200);
        stream.cancel();
        let (late, _ended) = sink.attempt(Arc::clone(&seen) as _);
        assert!(!late.send(7).await && !late.send_blocking(8));
        assert_eq!(crate::sync::lock(&seen.0).len(), 200);
    }

    #[tokio::test]
    async fn dropping_the_stream_is_cancelling_it() {
        let (stream, sink) = Stream::new();
        drop(stream);
        assert!(!sink.send(()).await);
        sink.cancel().cancelled().await;
    }
}
