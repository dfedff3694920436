//! Takes the body of a small request before anything is decided about it.
//!
//! A server that refuses without having read the body closes the connection, and
//! the peer may lose the refusal with it. So small bodies are always read.

use axum::body::Body as AnyBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes that are read of any body: as much as any message of a terminal has.
const FIRST: usize = 64 << 10;

/// Reads a small body whole, and of a larger one its first bytes. Either way the
/// result is the same body.
pub(crate) async fn gather(mut body: Incoming) -> Result<AnyBody, hyper::Error> {
    let mut first = BytesMut::new();
    while first.len() < FIRST {
        let Some(frame) = body.frame().await else { return Ok(first.freeze().into()) };
        if let Ok(bytes) = frame?.into_data() {
            first.extend_from_slice(&bytes);
        }
    }
    let first = Some(first.freeze());
    Ok(AnyBody::new(Begun { first, rest: body }))
}

/// A body of which the first bytes were read.
struct Begun {
    first: Option<Bytes>,
    rest: Incoming,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}
