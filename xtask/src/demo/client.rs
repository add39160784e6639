//! A small HTTP/1.1 client for loopback, so that the demo reaches the product
//! as any program would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::process::Trouble;

/// How long a reply may stay silent: longer than the model needs for a prompt.
const SILENCE_LIMIT: Duration = Duration::from_mins(2);
/// Largest reply that the demo reads.
const REPLY_BYTES_LIMIT: u64 = 4 * 1024 * 1024;

/// A reply, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The error's code in OpenAI's shape.
    pub(super) fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        body.get("error")?.get("code")?.as_str().map(str::to_owned)
    }

    /// The text of a streamed answer, and whether the stream came to its end.
    pub(super) fn streamed_text(&self) -> (String, bool) {
        let data =
            || self.body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
        let text = data()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok())
            .filter_map(|event| {
                event.pointer("/choices/0/delta/content")?.as_str().map(str::to_owned)
            })
            .collect();
        (text, data().any(|event| event == "[DONE]"))
    }
}

/// Asks for `path`.
///
/// # Errors
/// When the server cannot be reached or answers with something else than HTTP.
pub(super) fn get(server: SocketAddr, path: &str) -> Result<Reply, Trouble> {
    send(server, &format!("GET {path} HTTP/1.1\r\n"), "", |_| ())
}

/// Posts JSON with an API key; `arrived` is called for each line of the body as it comes.
///
/// # Errors
/// As [`get`].
pub(super) fn post(
    server: SocketAddr,
    path: &str,
    key: &str,
    body: &Value,
    arrived: impl FnMut(&str),
) -> Result<Reply, Trouble> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    );
    send(server, &head, &body.to_string(), arrived)
}

fn send(
    server: SocketAddr,
    head: &str,
    body: &str,
    arrived: impl FnMut(&str),
) -> Result<Reply, Trouble> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    let length = body.len();
    let request = format!(
        "{head}Host: {server}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    read(BufReader::new(stream.take(REPLY_BYTES_LIMIT)), arrived)
}

fn read(mut from: impl BufRead, mut arrived: impl FnMut(&str)) -> Result<Reply, Trouble> {
    let no_http = || Trouble::new("the server's reply is not HTTP/1.1");
    let first = line(&mut from)?;
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|status| status.parse().ok())
        .ok_or_else(no_http)?;
    let mut headers = Vec::new();
    loop {
        let header = line(&mut from)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(no_http)?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, body: String::new() };
    let chunked = reply.header("transfer-encoding") == Some("chunked");
    let length = reply.header("content-length").and_then(|length| length.parse::<u64>().ok());
    let mut body = Vec::new();
    let mut shown = 0;
    if chunked {
        loop {
            let size = line(&mut from)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(|_| no_http())?;
            from.by_ref().take(size).read_to_end(&mut body)?;
            line(&mut from)?;
            // Only whole lines are shown; the rest waits for the next chunk.
            while let Some(end) = body.iter().skip(shown).position(|&byte| byte == b'\n') {
                let whole = body.iter().skip(shown).take(end).copied().collect::<Vec<u8>>();
                arrived(&String::from_utf8_lossy(&whole));
                shown += end + 1;
            }
            if size == 0 {
                break;
            }
        }
    } else {
        from.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    }
    reply.body = String::from_utf8(body)
        .map_err(|_| Trouble::new("the server's reply is not valid UTF-8"))?;
    Ok(reply)
}

fn line(from: &mut impl BufRead) -> Result<String, Trouble> {
    let mut text = String::new();
    if from.read_line(&mut text)? == 0 {
        return Err(Trouble::new("the server cut its reply off"));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_line_by_line_whatever_its_chunks() {
        let events = "data: {\"choices\":[{\"delta\":{\"content\":\"Gr\\u00fc\"}}]}\n\n\
                      data: {\"choices\":[{\"delta\":{\"content\":\"\u{df}e\"}}]}\n\n\
                      data: [DONE]\n\n";
        for size in 1..events.len() {
            let mut reply =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n".to_vec();
            for chunk in events.as_bytes().chunks(size) {
                reply.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                reply.extend(chunk);
                reply.extend(b"\r\n");
            }
            reply.extend(b"0\r\n\r\n");
            let mut lines = Vec::new();
            let reply = read(reply.as_slice(), |line| lines.push(line.to_owned())).unwrap();
            assert_eq!((reply.status, reply.header("x-a")), (200, Some("b")));
            assert_eq!(reply.streamed_text(), ("Grü\u{df}e".to_owned(), true));
            assert_eq!(lines.join("\n") + "\n", events);
        }
    }

    #[test]
    fn a_refusal_is_read_with_its_code() {
        let body = r#"{"error":{"code":"baa_uncovered_hop"}}"#;
        let text = format!("HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{body}rest", body.len());
        let reply = read(text.as_bytes(), |_| ()).unwrap();
        assert_eq!(reply.status, 403);
        assert_eq!(reply.code().as_deref(), Some("baa_uncovered_hop"));
        assert_eq!(reply.streamed_text(), (String::new(), false));
    }

    #[test]
    fn what_is_not_http_is_trouble() {
        for text in
            ["", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"]
        {
            assert!(read(text.as_bytes(), |_| ()).is_err(), "{text}");
        }
    }
}
