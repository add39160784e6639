//! A client that takes for granted that HTTP/2 is spoken here is told that it is not.
//!
//! The HTTP server closes such a connection without a word, and its user learns nothing. Nothing of HTTP/2 is
//! read: there are no streams to reset, no settings to change and no headers to continue.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// With what such a client begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// What it is told: empty settings, and a GOAWAY frame with `HTTP_1_1_REQUIRED` (RFC 9113, sections 6.5, 6.8
/// and 7).
const HTTP1_REQUIRED: [u8; 26] = [
    0, 0, 0, 4, 0, 0, 0, 0, 0, // SETTINGS without any
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, // GOAWAY after stream 0
];

/// A connection whose first bytes are looked at.
#[derive(Debug)]
pub(super) struct Fronted<S> {
    stream: S,
    begun: bool,
}

impl<S> Fronted<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, begun: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Fronted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if std::mem::replace(&mut self.begun, true) {
            return Poll::Ready(Ok(()));
        }
        let first = buffer.filled().get(before..).unwrap_or_default();
        if first.starts_with(PREFACE) {
            buffer.set_filled(before);
            // Nothing was written yet, so there is room for it; a client that left first needs no answer.
            if let Poll::Ready(Err(error)) =
                Pin::new(&mut self.stream).poll_write(context, &HTTP1_REQUIRED)
            {
                return Poll::Ready(Err(error));
            }
            // Nothing was read: to the HTTP server the connection has ended, and it closes its side.
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fronted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
