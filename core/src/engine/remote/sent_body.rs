//! The body of a request, which tells when it leaves: the connection takes it only once it is established.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::engine::SentMark;

/// A body in one piece. Sets the mark when it is taken.
#[derive(Debug)]
pub(super) struct SentBody {
    content: Option<Bytes>,
    sent: SentMark,
}

impl SentBody {
    /// Creates the body of one attempt.
    pub(super) fn new(content: Bytes, sent: &SentMark) -> Self {
        Self {
            content: Some(content),
            sent: sent.clone(),
        }
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let content = self.content.take();
        if content.is_some() {
            self.sent.set(true);
        }
        Poll::Ready(content.map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    /// Exact, so that the request has a length.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}
