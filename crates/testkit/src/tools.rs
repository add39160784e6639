//! A server of tools over the Model Context Protocol, on loopback, that says what a script tells it: also
//! what no honest server says.
//!
//! It speaks a little HTTP/1.1 by itself, one request a connection, so that a script can break any of it.

#![expect(clippy::expect_used, reason = "without its stand-in no test can go on")]
#![expect(clippy::indexing_slicing, reason = "a member that is not there reads as null")]

use crate::task;
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The session that the server keeps; it keeps one.
pub const SESSION: &str = "session-of-the-server";

/// What has not arrived by then will not come.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    /// `POST`.
    pub method: String,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, as it came.
    pub body: String,
}

impl Heard {
    /// The message; `Null` when it is none.
    #[must_use]
    pub fn message(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What the server says to a request.
#[derive(Clone, Debug)]
pub enum Said {
    /// This result, in a JSON document, under the id of the request.
    Result(Value),
    /// These messages, one event each, and then the end of the stream.
    Events(Vec<Value>),
    /// Exactly this.
    Body {
        /// The status line's number.
        status: u16,
        /// More header lines, each with its end.
        headers: String,
        /// The body.
        body: Vec<u8>,
    },
    /// The same notification again and again, as long as somebody listens.
    Endless,
    /// Nothing, as long as somebody listens.
    Nothing,
}

type Script = dyn Fn(&Value) -> Said + Send + Sync;

/// The server. It ends, with its connections, when it is dropped.
pub struct ToolServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for ToolServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolServer({})", self.address)
    }
}

impl ToolServer {
    /// Starts a server whose script answers every request but the handshake.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start(script: impl Fn(&Value) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("the address of the stand-in");
        let heard = Arc::default();
        let (script, kept): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&heard));
        let accepting = task::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (script, heard) = (Arc::clone(&script), Arc::clone(&kept));
                // A caller that has gone is no concern of the stand-in.
                connections.spawn(async move { drop(answer(stream, &*script, &heard).await) });
            }
        });
        Self { address, heard, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages of this method so far.
    #[must_use]
    pub fn messages(&self, method: &str) -> Vec<Value> {
        let messages = self.heard().into_iter().map(|heard| heard.message());
        messages.filter(|message| message["method"] == method).collect()
    }

    /// Waits until a request arrived of which this is true.
    ///
    /// # Panics
    /// When none did after 20 seconds.
    pub async fn wait_for(&self, which: impl Fn(&Heard) -> bool) -> Heard {
        let begun = Instant::now();
        loop {
            if let Some(heard) = self.heard().into_iter().find(&which) {
                return heard;
            }
            assert!(begun.elapsed() < WAIT_LIMIT, "it never came: {:?}", self.heard());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for ToolServer {
    fn drop(&mut self) {
        // The accepting task owns the connections, so they end with it.
        self.accepting.abort();
    }
}

async fn answer(stream: TcpStream, script: &Script, kept: &Mutex<Vec<Heard>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let heard = read(&mut stream).await?;
    let message = heard.message();
    let said = match (heard.method.as_str(), message["method"].as_str()) {
        ("DELETE", _) => body(204, String::new(), Vec::new()),
        (_, Some("initialize")) => {
            let result = json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {}, "prompts": {}, "resources": {} },
                "serverInfo": { "name": "charts", "version": "1" },
                "instructions": "Call everything first.",
            });
            let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
            let session = format!("mcp-session-id: {SESSION}\r\n");
            body(200, session, answer.to_string().into_bytes())
        }
        // Notifications, and answers to what the server asked.
        _ if message["id"].is_null() || message["method"].is_null() => {
            body(202, String::new(), Vec::new())
        }
        _ => script(&message),
    };
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    say(stream.get_mut(), said, &message["id"]).await
}

const fn body(status: u16, headers: String, body: Vec<u8>) -> Said {
    Said::Body { status, headers, body }
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Heard> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let method = line.split(' ').next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Heard { method, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

async fn say(stream: &mut TcpStream, said: Said, id: &Value) -> io::Result<()> {
    let json = "content-type: application/json\r\n";
    let events = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
    match said {
        Said::Result(result) => {
            let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{json}\r\n{body}");
            stream.write_all(head.as_bytes()).await?;
        }
        Said::Events(messages) => {
            stream.write_all(events.as_bytes()).await?;
            for message in messages {
                let event = format!("event: message\ndata: {message}\n\n");
                stream.write_all(event.as_bytes()).await?;
            }
        }
        Said::Body { status, headers, body } => {
            let kind = if headers.contains("content-type") { "" } else { json };
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{kind}{headers}\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
        }
        Said::Endless => {
            stream.write_all(events.as_bytes()).await?;
            let text = "x".repeat(4096);
            let message = json!({
                "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": text },
            });
            let event = format!("data: {message}\n\n");
            loop {
                stream.write_all(event.as_bytes()).await?;
            }
        }
        Said::Nothing => std::future::pending::<()>().await,
    }
    stream.shutdown().await
}
