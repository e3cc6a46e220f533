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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, Notify, mpsc};

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
    /// Permit reserved for the final item; `None` once it was used.
    final_permit: Option<mpsc::OwnedPermit<Result<T>>>,
    cancel: CancelToken,
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
            final_permit,
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
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => false,
            sent = self.queue.send(Ok(item)) => sent.is_ok(),
        }
    }

    /// Queues an item like [`Self::send`], for a producer on a thread of its own. Never call it from async code.
    pub fn send_blocking(&self, item: T) -> bool {
        match self.queue.try_send(Ok(item)) {
            _ if self.cancel.is_cancelled() => false,
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(Ok(item))) => futures_executor::block_on(self.send(item)),
            Err(_) => false,
        }
    }

    /// Ends the stream with a final item or an error. Never blocks.
    pub fn finish(mut self, last: Result<T>) {
        self.final_permit.take().map(|permit| permit.send(last));
    }

    /// Ends the stream without a final item: the consumer's next batch is empty.
    pub fn close(mut self) {
        self.final_permit = None;
    }

    /// Returns the token that the consumer cancels.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }
}

impl<T> Drop for StreamSender<T> {
    fn drop(&mut self) {
        if let Some(permit) = self.final_permit.take() {
            permit.send(Err(Error::unfinished(std::thread::panicking())));
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

    #[tokio::test]
    async fn dropping_the_stream_is_cancelling_it() {
        let (stream, sink) = Stream::new();
        drop(stream);
        assert!(!sink.send(()).await);
        sink.cancel().cancelled().await;
    }
}
