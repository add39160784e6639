//! Reads HTTP/1.1 responses (RFC 9112) from a byte stream.

use super::Head;
use bytes::{Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Bytes of a head, or of one line of a chunked body, that are read before giving up.
const HEAD_LIMIT: usize = 256 * 1024;

/// Room made before each read.
const READ_BYTES: usize = 16 * 1024;

/// A TCP connection, plain or under TLS.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// What of the body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    Bytes(usize),
    ChunkHead,
    InChunk(usize),
    UntilClose,
}

/// A stream of responses.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    stream: S,
    buffer: BytesMut,
    rest: Rest,
}

impl Reader<Socket> {
    pub(crate) fn reset(self) -> io::Result<()> {
        match &self.stream {
            Socket::Plain(stream) => stream.set_zero_linger(),
            Socket::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new(), rest: Rest::Nothing }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The head of the next response that is not an interim one (1xx).
    pub(crate) async fn head(&mut self) -> io::Result<Head> {
        loop {
            let end = self.find(b"\r\n\r\n").await?;
            let head = self.buffer.split_to(end + 4);
            let (head, rest) = parsed(&head).ok_or_else(|| malformed("not an HTTP/1.1 head"))?;
            if head.status >= 200 {
                self.rest = rest;
                return Ok(head);
            }
        }
    }

    /// The next piece of the body; none at its end.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.rest {
                Rest::Nothing | Rest::Bytes(0) => return Ok(None),
                Rest::Bytes(left) => {
                    let piece = self.up_to(left).await?;
                    self.rest = Rest::Bytes(left - piece.len());
                    return Ok(Some(piece));
                }
                Rest::ChunkHead => self.rest = self.chunk_head().await?,
                Rest::InChunk(0) => {
                    if self.line().await?.is_empty() {
                        self.rest = Rest::ChunkHead;
                    } else {
                        return Err(malformed("a chunk longer than it said"));
                    }
                }
                Rest::InChunk(left) => {
                    let piece = self.up_to(left).await?;
                    self.rest = Rest::InChunk(left - piece.len());
                    return Ok(Some(piece));
                }
                Rest::UntilClose => {
                    if self.buffer.is_empty() && self.fill().await? == 0 {
                        self.rest = Rest::Nothing;
                        return Ok(None);
                    }
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }

    async fn chunk_head(&mut self) -> io::Result<Rest> {
        let line = self.line().await?;
        let size = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size).ok().map(str::trim);
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or_else(|| malformed("a chunk without a size"))?;
        if size > 0 {
            return Ok(Rest::InChunk(size));
        }
        // Trailer fields, then an empty line.
        while !self.line().await?.is_empty() {}
        Ok(Rest::Nothing)
    }

    async fn line(&mut self) -> io::Result<Bytes> {
        let end = self.find(b"\r\n").await?;
        let mut line = self.buffer.split_to(end + 2);
        line.truncate(end);
        Ok(line.freeze())
    }

    async fn find(&mut self, needle: &[u8]) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(searched..).unwrap_or_default();
            if let Some(place) = unread.windows(needle.len()).position(|it| it == needle) {
                return Ok(searched + place);
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(malformed("a line without an end"));
            }
            searched = self.buffer.len().saturating_sub(needle.len());
            self.more().await?;
        }
    }

    async fn up_to(&mut self, limit: usize) -> io::Result<Bytes> {
        if self.buffer.is_empty() {
            self.more().await?;
        }
        Ok(self.buffer.split_to(limit.min(self.buffer.len())).freeze())
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.fill().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.buffer).await
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn parsed(head: &[u8]) -> Option<(Head, Rest)> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.map(header).collect::<Option<Vec<_>>>()?;
    let head = Head { status, headers };
    let chunked = head.header("transfer-encoding").is_some_and(|it| it.contains("chunked"));
    let rest = match head.header("content-length") {
        _ if chunked => Rest::ChunkHead,
        Some(length) => Rest::Bytes(length.parse().ok()?),
        None if matches!(status, 100..=199 | 204 | 304) => Rest::Nothing,
        None => Rest::UntilClose,
    };
    Some((head, rest))
}
