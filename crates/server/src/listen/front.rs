//! What stands before the HTTP server on each connection: it tells a client that takes for granted that HTTP/2
//! is spoken here that it is not, and it lets go of one that takes nothing of its answer.
//!
//! The HTTP server closes a connection of HTTP/2 without a word, and its user learns nothing. Nothing of HTTP/2
//! is read: there are no streams to reset, no settings to change and no headers to continue. And it waits for
//! ever for a client to take its answer, which costs a connection and the answer's memory.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A client that takes nothing for this long is gone, whether it gets a stream or one document.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// With what such a client begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// What it is told: empty settings, and a GOAWAY frame with `HTTP_1_1_REQUIRED` (RFC 9113, sections 6.5, 6.8
/// and 7).
const HTTP1_REQUIRED: [u8; 26] = [
    0, 0, 0, 4, 0, 0, 0, 0, 0, // SETTINGS without any
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, // GOAWAY after stream 0
];

/// A connection whose first bytes are looked at, and whose client is not waited for without end.
#[derive(Debug)]
pub(super) struct Fronted<S> {
    stream: S,
    begun: bool,
    /// Until when a client may take what waits for it.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> Fronted<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, begun: false, waits: None }
    }

    /// What became of a write, which ends with an error when nothing was taken for too long.
    fn waited<T>(&mut self, context: &mut Context<'_>, poll: Poll<Result<T>>) -> Poll<Result<T>> {
        if poll.is_ready() {
            self.waits = None;
            return poll;
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        waits.as_mut().poll(context).map(|()| Err(Error::from(ErrorKind::TimedOut)))
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
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.waited(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.waited(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.waited(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_its_answer_is_let_go_and_a_slow_one_is_not() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Fronted::new(ours);
        let reading = async {
            let mut taken = [0; 8];
            // A piece every half a minute is slow, and not gone.
            for _ in 0..8 {
                sleep(WRITE_TIMEOUT / 2).await;
                theirs.read_exact(&mut taken).await.unwrap();
            }
            Instant::now()
        };
        let writing = async { (ours.write_all(&[0; 1000]).await, Instant::now()) };
        let (last, (written, ended)) = tokio::join!(reading, writing);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(ended - last, WRITE_TIMEOUT);
    }

    #[tokio::test]
    async fn a_client_of_http2_is_told_and_not_read() {
        let (ours, mut theirs) = duplex(256);
        let mut ours = Fronted::new(ours);
        theirs.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        assert_eq!(ours.read(&mut [0; 64]).await.unwrap(), 0);
        let mut said = [0; HTTP1_REQUIRED.len()];
        theirs.read_exact(&mut said).await.unwrap();
        assert_eq!(said, HTTP1_REQUIRED);
        // Only what comes first is a preface.
        let (ours, mut theirs) = duplex(256);
        let mut ours = Fronted::new(ours);
        for piece in [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/2.0\r\n"] {
            theirs.write_all(piece).await.unwrap();
            let mut read = vec![0; piece.len()];
            ours.read_exact(&mut read).await.unwrap();
            assert_eq!(read, piece);
        }
    }
}
