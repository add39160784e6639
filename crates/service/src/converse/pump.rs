//! A stream on its way from the model to the caller: read on while a window becomes durable, shown when it
//! is.

use super::{Recorder, Step, commit};
use crate::house::House;
use gate::UpstreamFailure;
use gate::exchange::{Exchange, StreamEnd, Streaming, World};
use gate::prompt::StreamEvent;
use ledger::ExchangeId;
use providers::AnswerStream;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::mpsc;

/// Windows that wait for a slow caller. More would be memory spent on somebody who does not read.
pub(super) const MAX_WAITING_WINDOWS: usize = 16;

/// Events read from the model while a window is being made durable. A window of so many is large
/// enough to be worth its write.
const MAX_EVENTS_AHEAD: usize = 256;

/// A caller that takes nothing for this long is gone.
const CALLER_TIMEOUT: Duration = Duration::from_mins(1);

impl House {
    /// Moves a stream from the model to the caller, window by window, to its recorded end.
    pub(super) async fn pump(
        &self,
        exchange: ExchangeId,
        mut streaming: Exchange<Streaming>,
        mut stream: Box<AnswerStream>,
        caller: mpsc::Sender<Step>,
        world: &World<'_, Recorder<'_>>,
    ) {
        let (ahead, mut events) = mpsc::channel(MAX_EVENTS_AHEAD);
        let end = tokio::select! {
            end = release_windows(&mut streaming, &mut events, &caller, world) => end,
            // It is polled while a window is being made durable, and has nothing to say itself.
            () = read_ahead(&mut stream, ahead) => StreamEnd::Failed(UpstreamFailure::Cut),
        };
        let said = streaming.said_bytes();
        world.journal.hold.lock().unwrap_or_else(PoisonError::into_inner).said(said);
        let ended = commit(exchange, streaming.end(end, &self.detector), world).await;
        // A caller that is gone cannot be told; the record says so.
        let _gone = caller.send_timeout(Step::Ended(ended), CALLER_TIMEOUT).await.is_err();
    }
}

/// What the model sent: events, or the last ones and how the stream ended.
enum Read {
    Events(Vec<StreamEvent>),
    End(Vec<StreamEvent>, StreamEnd),
}

/// Reads the model's stream while windows are being made durable, so that a window holds all that came
/// in the meantime. Never returns: whoever takes the events knows when they are over.
async fn read_ahead(stream: &mut AnswerStream, ahead: mpsc::Sender<Read>) {
    loop {
        let read = match stream.next().await {
            Ok(Some(events)) => Read::Events(events),
            Ok(None) => Read::End(Vec::new(), StreamEnd::Complete),
            Err(failure) => Read::End(stream.tail(), StreamEnd::Failed(failure)),
        };
        let over = matches!(read, Read::End(..));
        if ahead.send(read).await.is_err() || over {
            return std::future::pending().await;
        }
    }
}

/// Hands out window after window until the stream ends; says how it ended.
async fn release_windows(
    streaming: &mut Exchange<Streaming>,
    events: &mut mpsc::Receiver<Read>,
    caller: &mpsc::Sender<Step>,
    world: &World<'_, Recorder<'_>>,
) -> StreamEnd {
    loop {
        let read = tokio::select! {
            biased;
            () = caller.closed() => return StreamEnd::CallerGone,
            read = events.recv() => read,
        };
        if let Some(end) = gather(streaming, events, read) {
            return end;
        }
        if !streaming.has_text() {
            continue;
        }
        let Ok(window) = streaming.release(world).await else { return StreamEnd::Unrecorded };
        if caller.send_timeout(Step::Window(window), CALLER_TIMEOUT).await.is_err() {
            return StreamEnd::CallerGone;
        }
    }
}

/// Takes `read` and everything that is there without waiting; says how the stream ended, if it did.
fn gather(
    streaming: &mut Exchange<Streaming>,
    events: &mut mpsc::Receiver<Read>,
    read: Option<Read>,
) -> Option<StreamEnd> {
    let mut next = read;
    while let Some(read) = next {
        let (taken, end) = match read {
            Read::Events(events) => (events, None),
            Read::End(events, end) => (events, Some(end)),
        };
        if taken.iter().any(|event| streaming.take(event).is_err()) {
            return Some(StreamEnd::Failed(UpstreamFailure::TooLarge));
        }
        if end.is_some() {
            return end;
        }
        next = events.try_recv().ok();
    }
    None
}
