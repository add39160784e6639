//! What a caller fetches: made of the sealed answers as they are sent, line by line, so that nothing of
//! them is kept twice or held whole.

use super::Unserved;
use super::line::{answer_line, error_line};
use crate::house::House;
use gate::Control;
use ledger::BatchId;
use phi::Text;
use std::collections::VecDeque;
use std::sync::Arc;
use store::{FileKind, LineRow, LineState};

/// Rows that are read at once.
const LINES_AT_ONCE: u32 = 64;

/// The content of a file.
#[derive(Debug)]
pub struct Output(Kind);

enum Kind {
    Whole(Option<Text>),
    Lines(Lines),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Lines(_) => "Lines",
        })
    }
}

struct Lines {
    house: Arc<House>,
    batch: BatchId,
    kind: FileKind,
    after: u64,
    ready: VecDeque<LineRow>,
    ended: bool,
}

impl Output {
    pub(super) const fn whole(text: Text) -> Self {
        Self(Kind::Whole(Some(text)))
    }

    pub(super) fn lines(house: Arc<House>, batch: BatchId, kind: FileKind) -> Self {
        let (after, ready, ended) = (0, VecDeque::new(), false);
        Self(Kind::Lines(Lines { house, batch, kind, after, ready, ended }))
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Unserved`]: what was given so far is not the whole.
    pub async fn next(&mut self) -> Result<Option<Text>, Unserved> {
        match &mut self.0 {
            Kind::Whole(text) => Ok(text.take()),
            Kind::Lines(lines) => lines.next().await,
        }
    }
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Text>, Unserved> {
        loop {
            while let Some(row) = self.ready.pop_front() {
                self.after = row.number;
                let wanted = match row.state {
                    LineState::Answered => self.kind == FileKind::Output,
                    LineState::Failed { .. } => self.kind == FileKind::Errors,
                    LineState::Waits => false,
                };
                if wanted {
                    return self.house.line_text(&row).await.map(Some);
                }
            }
            if self.ended {
                return Ok(None);
            }
            let rows = self.house.tenant.lines(self.batch, self.after, LINES_AT_ONCE).await?;
            self.ended = rows.len() < LINES_AT_ONCE as usize;
            self.ready = rows.into();
        }
    }
}

impl House {
    /// A line as its caller gets it.
    async fn line_text(&self, row: &LineRow) -> Result<Text, Unserved> {
        let custom = self.custom_of(row).await.map_err(|_| Unserved::Failed(Control::Keys))?;
        let custom = custom.unwrap_or_default();
        if row.state != LineState::Answered {
            return Ok(Text::new(error_line(row.exchange, &custom, &row.state)));
        }
        let blobs = self.tenant.blobs(row.exchange).await?;
        let content = self.open_content(row.exchange, &blobs).await;
        let answer = content.ok().filter(|content| !content.reply.is_empty());
        let Some(answer) = answer else {
            // It was disposed of since.
            let state = LineState::Failed {
                code: "not_found".to_owned(),
                message: "The answer was disposed of.".to_owned(),
            };
            return Ok(Text::new(error_line(row.exchange, &custom, &state)));
        };
        let body: String = answer.reply.iter().map(|window| window.shown().expose()).collect();
        Ok(Text::new(answer_line(row.exchange, &custom, &body)))
    }
}
