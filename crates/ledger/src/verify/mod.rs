//! Verification of a bundle, in one pass and with flat memory.
//!
//! What is checked: every record is in its one canonical form, of this log, at its position, made
//! after the one before it (the chain); the root of all records is the one that the checkpoint
//! signs; the key that signs is the one that the first record names, and the trusted one when one
//! is given; every earlier checkpoint fits the log's beginning; every outcome ends an intent that
//! is open, of the same exchange; records that are absent were pruned by a record, under no hold, and their
//! leaf hashes are under the signed root; content in the bundle is what the records commit to, and what is absent
//! from a bundle that claims to hold all was disposed of by a record, under no hold; the manifest
//! says what the log says; every anchor leads from a checkpoint of this log to a stamp that holds, and no
//! record is dated against one.
//!
//! What no log can show: what was never recorded.

mod anchors;
mod content;
mod diagnosis;
mod disposals;
mod finish;
mod pruned;
mod trust;
mod verdict;

pub use anchors::{Anchored, Exposure, MAX_SKEW_SECONDS, Witnessed};
pub use disposals::DisposedAt;
pub use pruned::PrunedAt;
pub use trust::{MAX_TRUST_BYTES, MalformedTrust, Trust};
pub use verdict::{KeySource, Problem, ProblemKind, Verdict};

use crate::bundle::{CONTENT_CLAIM, Listed, MAX_SMALL_FILE_BYTES, Manifest, Part};
use crate::checkpoint::{self, Checkpoint, VerifierKey};
use crate::glance::{Body, Glance, Sealed};
use crate::tree::Frontier;
use crate::{ContentClass, ExchangeId, Hash, LogId, MAX_RECORD_BYTES};
pub(crate) use anchors::Anchors;
use anchors::{Bounds, Misdated, Settled};
use aws_lc_rs::digest;
use content::{Checked, Content};
use diagnosis::{Break, Fitted, Line, RECENT};
use disposals::Disposals;
use pruned::Pruned;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read};
use trust::Note;

/// How far the time of a record may lie before the latest time seen, in seconds. Records are given
/// their time before they queue for their position, so small steps back are ordinary.
pub const MAX_STEP_BACK_SECONDS: i64 = 5;

/// Problems at records that are named one by one, and as many others; the rest is counted. A person needs
/// the first.
pub const MAX_PROBLEMS: usize = 20;

/// Intents that may be open at one point of a log. A server has thousands of exchanges at once, not
/// millions; the limit bounds memory at about 100 MB.
pub const MAX_OPEN_INTENTS: usize = 1_000_000;

/// Exchanges whose content one bundle may hold; bounds memory at about 600 MB.
pub const MAX_EXCHANGES_WITH_CONTENT: usize = 4_000_000;

/// Bytes of a leaf hash.
const LEAF_BYTES: usize = 32;

/// Files other than content that one bundle may hold: a checkpoint a day for 20 years, and anchors.
pub const MAX_FILES: usize = 20_000;

/// A checkpoint that the log's beginning must fit.
#[derive(Debug)]
struct Mark {
    note: Note,
    trusted: bool,
    fits: Option<bool>,
}

/// A verification under way. Files are handed over in the order of [`Part`].
#[derive(Debug)]
pub struct Verification {
    trust_given: bool,
    keys: Vec<VerifierKey>,
    marks: Vec<Mark>,
    next_mark: usize,
    last_part: Option<Part>,
    last_name: String,
    /// Files that are no part of a bundle, which take no room from other warnings.
    strangers: u64,
    first_stranger: String,
    seen: Vec<Listed>,
    note: Option<String>,
    claimed: Option<Checkpoint>,
    manifest: Option<Manifest>,
    content: Content,
    anchors: Anchors,
    bounds: Bounds,
    misdated: u64,
    clock_warned: bool,
    log: Option<LogId>,
    log_text: String,
    frontier: Frontier,
    pending: Option<Fitted>,
    recent: VecDeque<Hash>,
    broken: Option<Break>,
    open: BTreeMap<u64, ExchangeId>,
    disposals: Disposals,
    pruned: Pruned,
    steps_back: u64,
    verdict: Verdict,
}

impl Verification {
    /// Begins a verification by someone who trusts `trust`.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        let trust_given = trust.vouches();
        let anchors = Anchors::new(&trust);
        let mark = |note| Mark { note, trusted: true, fits: None };
        Self {
            trust_given,
            keys: trust.keys,
            marks: trust.checkpoints.into_iter().map(mark).collect(),
            next_mark: 0,
            last_part: None,
            last_name: String::new(),
            strangers: 0,
            first_stranger: String::new(),
            seen: Vec::new(),
            note: None,
            claimed: None,
            manifest: None,
            content: Content::default(),
            anchors,
            bounds: Bounds::default(),
            misdated: 0,
            clock_warned: false,
            log: None,
            log_text: String::new(),
            frontier: Frontier::default(),
            pending: None,
            recent: VecDeque::with_capacity(RECENT),
            broken: None,
            open: BTreeMap::new(),
            disposals: Disposals::default(),
            pruned: Pruned::default(),
            steps_back: 0,
            verdict: Verdict::default(),
        }
    }

    /// Whether a file of a bundle was handed over at all.
    #[must_use]
    pub const fn saw_a_bundle(&self) -> bool {
        self.last_part.is_some()
    }

    /// What contradicts a stamp is a fault, but for what a wrong clock explains of which the log told.
    fn settle(&mut self, settled: Settled) {
        for Misdated { at, words, .. } in settled.faults {
            self.fault_at(at, ProblemKind::Misdated, &words);
        }
        for Misdated { at, words, .. } in settled.explained {
            if !std::mem::replace(&mut self.clock_warned, true) {
                self.warn(format!(
                    "the clock was wrong, as the log says itself; position {at}: {words}"
                ));
            }
        }
    }

    /// Notes that the bundle is damaged as a whole, in words: an archive that breaks off.
    pub fn damaged(&mut self, words: &str) {
        self.problem(Problem::nowhere(ProblemKind::Format, words));
    }

    /// Problems at a record and others are kept apart up to their number, so that the one kind does not
    /// hide the first of the other.
    fn problem(&mut self, problem: Problem) {
        let placed = problem.at.is_some();
        let alike = self.verdict.problems.iter().filter(|other| other.at.is_some() == placed);
        if alike.count() < MAX_PROBLEMS {
            self.verdict.problems.push(problem);
        } else {
            self.verdict.more_problems += 1;
        }
    }

    fn fault(&mut self, kind: ProblemKind, words: &str) {
        self.problem(Problem::nowhere(kind, words));
    }

    fn fault_at(&mut self, at: u64, kind: ProblemKind, words: &str) {
        self.problem(Problem::at(at, kind, words));
    }

    fn warn(&mut self, words: String) {
        if self.verdict.warnings.len() < MAX_PROBLEMS {
            self.verdict.warnings.push(words);
        }
    }

    /// Takes the next file of the bundle.
    ///
    /// # Errors
    /// Those of reading `content`. What is wrong with the bundle is in the [`Verdict`].
    pub fn file(&mut self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        let part = Part::of(name);
        if part == Part::Unknown {
            return self.unknown_file(name, content);
        }
        let before = |last| part < last || part == last && name <= self.last_name.as_str();
        if self.last_part.is_some_and(before) {
            self.fault(ProblemKind::Format, &format!("{name} stands twice or out of order"));
            return Ok(());
        }
        self.last_part = Some(part);
        name.clone_into(&mut self.last_name);
        if let Part::Blob(exchange, which) = part {
            return match self.content.read(exchange, which, content)? {
                Ok(()) => Ok(()),
                Err(problem) => {
                    self.problem(problem);
                    Ok(())
                }
            };
        }
        if self.seen.len() >= MAX_FILES {
            self.fault(ProblemKind::Format, "there are more files than a bundle may hold");
            return Ok(());
        }
        let mut content = Counting::new(content, part != Part::Records);
        match part {
            Part::Pruned => self.hashes(&mut content)?,
            Part::Records => self.records(&mut content)?,
            Part::Checkpoint => {
                let text = self.small(name, &mut content)?;
                self.claimed = checkpoint::claimed(&text);
                self.note = Some(text);
            }
            Part::EarlierCheckpoint(size) => {
                let text = self.small(name, &mut content)?;
                match checkpoint::claimed(&text) {
                    Some(claimed) if claimed.size == size => {
                        let note = Note { text, claimed };
                        self.marks.push(Mark { note, trusted: false, fits: None });
                    }
                    _ => self.fault(
                        ProblemKind::Format,
                        &format!("{name} is not a checkpoint of that size"),
                    ),
                }
            }
            Part::Manifest => {
                let text = self.small(name, &mut content)?;
                self.manifest = Manifest::from_bytes(text.as_bytes());
                if self.manifest.is_none() {
                    self.fault(ProblemKind::Format, "manifest.json is not a manifest");
                }
            }
            Part::ContentClaim => {
                if self.small(name, &mut content)? == CONTENT_CLAIM {
                    self.disposals.claim_complete();
                } else {
                    self.fault(ProblemKind::Format, "content does not say what it must say");
                }
            }
            Part::Archive => {
                let bytes = self.small_bytes(name, &mut content)?;
                if let Err(problem) = self.anchors.archive(&bytes) {
                    self.problem(problem);
                }
            }
            Part::Anchor(size, file) => {
                let bytes = self.small_bytes(name, &mut content)?;
                let (last, marks) = (self.note.as_ref().zip(self.claimed.as_ref()), &self.marks);
                let note = |size| {
                    let here = last.filter(|(_, claimed)| claimed.size == size);
                    let mut earlier =
                        marks.iter().filter(|mark| !mark.trusted && mark.note.claimed.size == size);
                    here.map(|(note, _)| note.clone())
                        .or_else(|| earlier.next().map(|mark| mark.note.text.clone()))
                };
                if let Err(problem) = self.anchors.file(size, file, &bytes, note) {
                    self.problem(problem);
                }
            }
            Part::Instructions | Part::Page | Part::Script | Part::Blob(..) | Part::Unknown => {
                io::copy(&mut content, &mut io::sink())?;
            }
        }
        self.seen.push(content.listed(name));
        Ok(())
    }

    fn unknown_file(&mut self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        io::copy(content, &mut io::sink())?;
        self.strangers += 1;
        if self.strangers == 1 {
            name.clone_into(&mut self.first_stranger);
        }
        Ok(())
    }

    /// A file that is held in memory. One that is too long is a fault and empty.
    fn small_bytes(&mut self, name: &str, content: &mut dyn Read) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        content.take(MAX_SMALL_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SMALL_FILE_BYTES {
            self.fault(ProblemKind::Format, &format!("{name} is too long"));
            io::copy(content, &mut io::sink())?;
            bytes.clear();
        }
        Ok(bytes)
    }

    /// As [`Verification::small_bytes`], of a file that must be text.
    fn small(&mut self, name: &str, content: &mut dyn Read) -> io::Result<String> {
        let bytes = self.small_bytes(name, content)?;
        let text = String::from_utf8(bytes).ok();
        if text.is_none() {
            self.fault(ProblemKind::Format, &format!("{name} is not UTF-8"));
        }
        Ok(text.unwrap_or_default())
    }

    /// Begins the tree: all that is checked on the way is known now.
    fn begin_chain(&mut self) {
        self.content.close_windows();
        self.bounds = self.anchors.bounds();
        self.marks.sort_by_key(|mark| mark.note.claimed.size);
        self.check_marks();
    }

    /// The leaf hashes of the log's first records, of which all but record 0 were pruned.
    fn hashes(&mut self, content: &mut dyn Read) -> io::Result<()> {
        self.begin_chain();
        let mut content = BufReader::with_capacity(64 * 1024, content);
        let (mut leaf, mut first) = (Vec::with_capacity(LEAF_BYTES), None);
        loop {
            leaf.clear();
            content.by_ref().take(LEAF_BYTES as u64).read_to_end(&mut leaf)?;
            let Ok(bytes) = <[u8; LEAF_BYTES]>::try_from(leaf.as_slice()) else { break };
            let hash = Hash::from_bytes(bytes);
            first.get_or_insert(hash);
            self.fits(hash);
        }
        if !leaf.is_empty() || self.verdict.records < 2 {
            self.fault(
                ProblemKind::Format,
                "pruned does not hold the hashes of two records or more",
            );
        }
        if let (Some(first), Some(last)) = (first, self.pending) {
            let mut tree = self.frontier.clone();
            tree.push(last.leaf);
            self.pruned.begins_with(tree.size(), first, tree.root());
        }
        Ok(())
    }

    fn records(&mut self, content: &mut dyn Read) -> io::Result<()> {
        if self.verdict.records == 0 {
            self.begin_chain();
        }
        // The leaf hash is over a zero byte and the record: with the zero in front of each line it
        // is one call over one piece.
        let mut content = BufReader::with_capacity(64 * 1024, content);
        let mut line = vec![0];
        loop {
            line.truncate(1);
            let limit = MAX_RECORD_BYTES as u64 + 1;
            if content.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let mut ended = line.last() == Some(&b'\n');
            if ended {
                line.pop();
            } else if line.len() as u64 > limit {
                // Longer than any record: its end is found, its bytes are not kept.
                line.truncate(2);
                ended = skip_line(&mut content)?;
            }
            self.line(&line, ended);
        }
    }

    /// Takes one line, a zero byte in front.
    fn line(&mut self, line: &[u8], ended: bool) {
        let leaf = Hash::of(line);
        let known = Some(self.log_text.as_str()).filter(|name| !name.is_empty());
        let record = line.get(1..).unwrap_or_default();
        let glance = Glance::read(record, known).ok().filter(|_| ended);
        let read = glance.as_ref().map(|glance| (glance.seq, glance.prev));
        if let Some(first) = self.pruned.opening() {
            match glance {
                Some(glance) if read == Some((0, Hash::ZERO)) && leaf == first => {
                    self.fitting(0, &glance);
                }
                _ => {
                    let words =
                        "the first line is not the record whose hash stands first in pruned";
                    self.fault_at(0, ProblemKind::Edited, words);
                }
            }
            return;
        }
        if let Some(broken) = &mut self.broken {
            broken.add(Line { read, leaf, ended });
            return;
        }
        let at = self.verdict.records;
        let last = self.pending.map_or(Hash::ZERO, |fitted| fitted.leaf);
        match glance {
            Some(glance) if (glance.seq, glance.prev) == (at, last) => {
                self.fits(leaf);
                self.pruned.kept(at, glance.time);
                self.fitting(at, &glance);
            }
            _ => {
                self.broken = Some(Break::new(
                    at,
                    self.pending,
                    self.frontier.clone(),
                    std::mem::take(&mut self.recent),
                    Line { read, leaf, ended },
                ));
            }
        }
    }

    /// Takes the leaf hash of the next record.
    fn fits(&mut self, leaf: Hash) {
        let prev = self.pending.map_or(Hash::ZERO, |fitted| fitted.leaf);
        self.verdict.records += 1;
        self.push_pending();
        self.pending = Some(Fitted { leaf, prev });
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(leaf);
    }

    /// Adds the last fitting line to the tree. It waits for the next line, because that one may
    /// show that it was altered.
    fn push_pending(&mut self) {
        if let Some(fitted) = self.pending.take() {
            self.frontier.push(fitted.leaf);
            self.check_marks();
        }
    }

    fn check_marks(&mut self) {
        let size = self.frontier.size();
        while let Some(mark) = self.marks.get_mut(self.next_mark)
            && mark.note.claimed.size <= size
        {
            mark.fits = Some(mark.note.claimed.root == self.frontier.root());
            self.next_mark += 1;
        }
    }

    /// Checks what a record that fits the chain says.
    fn fitting(&mut self, at: u64, glance: &Glance<'_>) {
        if at == 0 {
            self.opening(glance);
        } else if glance.log != self.log_text {
            self.fault_at(at, ProblemKind::Edited, "the record is of another log");
        }
        let latest = self.verdict.last.unwrap_or(glance.time);
        if glance.time.plus_seconds(MAX_STEP_BACK_SECONDS) < latest {
            self.steps_back += 1;
            if self.steps_back == 1 {
                self.warn(format!("the clock stepped back at position {at}, to {}", glance.time));
            }
        }
        self.verdict.last = Some(latest.max(glance.time));
        self.misdated += u64::from(self.bounds.see(at, glance.time));
        match &glance.body {
            Body::Opened { .. } if at > 0 => {
                self.fault_at(at, ProblemKind::Inconsistent, "the log begins a second time");
            }
            Body::Anchored { token } => {
                if let Some(settled) = self.bounds.anchored(token, glance.time) {
                    self.settle(settled);
                }
            }
            // A clock that jumped is noticed at the next stamp, so the log says so after the records that it
            // dated wrong.
            Body::Skewed { stamped } => {
                if let Some(settled) = self.bounds.skewed(at, glance.time, *stamped) {
                    self.settle(settled);
                }
            }
            Body::Opened { .. } => self.pruned.begun(at, glance.time),
            Body::Other => {}
            Body::Disposed { scope, classes, authority } => {
                let today = glance.time.day();
                let checked = self.disposals.dispose(at, *scope, *classes, authority, today);
                self.disposal_at(at, checked);
            }
            Body::Pruned { size, root, authority, decided } => {
                if !decided {
                    self.pruned.undecided(at, glance.time);
                }
                let checked = self.pruned.record(at, *size, *root, authority);
                self.disposal_at(at, checked.and_then(|()| self.disposals.prune()));
            }
            Body::AgreementDisposed => {
                let checked = self.disposals.dispose_of_agreement();
                self.disposal_at(at, checked);
            }
            Body::Offboarded { authority } => {
                let checked = self.disposals.dispose_of_everything(at, authority);
                self.disposal_at(at, checked);
            }
            Body::HoldPlaced { hold, unit } => {
                let checked = self.disposals.place(hold, *unit);
                self.disposal_at(at, checked);
            }
            Body::HoldReleased { hold } => {
                let checked = self.disposals.release(hold);
                self.disposal_at(at, checked);
            }
            Body::Intent { about } => {
                self.verdict.intents += 1;
                if self.open.len() >= MAX_OPEN_INTENTS {
                    self.fault_at(
                        at,
                        ProblemKind::Inconsistent,
                        "too many intents are open at once",
                    );
                } else {
                    self.open.insert(at, about.exchange);
                }
                self.check_prompt(at, about, true);
            }
            Body::Outcome { about, intent, reply } => {
                self.verdict.outcomes += 1;
                if let Some(intent) = intent {
                    self.end_intent(at, about.exchange, *intent);
                }
                // The intent said already that the prompt is absent.
                self.check_prompt(at, about, intent.is_none());
                if let Some(reply) = reply.filter(|reply| reply.windows > 0) {
                    let checked = self.content.check_answer(about.exchange, reply);
                    // An answer is sealed under the keys of its intent.
                    let since = intent.unwrap_or(at);
                    self.content_at(at, since, about, ContentClass::Answers, checked, true);
                }
            }
        }
    }

    fn opening(&mut self, glance: &Glance<'_>) {
        self.verdict.first = Some(glance.time);
        let Body::Opened { deployment, tenant, organisation, verifier_key } = &glance.body else {
            self.log_text = glance.log.to_string();
            self.log = glance.log.parse().ok();
            self.fault_at(0, ProblemKind::Inconsistent, "the log does not begin with log.opened");
            return;
        };
        self.log_text = format!("bulla/{deployment}/{tenant}");
        self.log = self.log_text.parse().ok();
        if self.log_text != glance.log {
            self.fault_at(0, ProblemKind::Inconsistent, "the first record names two logs");
        }
        self.verdict.log = Some(self.log_text.clone());
        self.verdict.organisation = Some(organisation.to_string());
        self.verdict.verifier_key = Some(verifier_key.to_string());
        if VerifierKey::parse(verifier_key).is_ok_and(|key| key.name() == self.log_text) {
            return;
        }
        self.fault_at(0, ProblemKind::Inconsistent, "the first record names no key of this log");
    }

    fn disposal_at(&mut self, at: u64, checked: Result<(), String>) {
        if let Err(words) = checked {
            self.fault_at(at, ProblemKind::Inconsistent, &words);
        }
    }

    fn check_prompt(&mut self, at: u64, about: &Sealed, first: bool) {
        if let Some(prompt) = about.prompt {
            let checked = self.content.check_prompt(about.exchange, prompt);
            self.content_at(at, at, about, ContentClass::Prompts, checked, first);
        }
    }

    /// Takes note of how sealed content compares with what a record names. `first`: no record named it
    /// before. `since`: the record from which on its keys were there.
    fn content_at(
        &mut self,
        at: u64,
        since: u64,
        about: &Sealed,
        class: ContentClass,
        checked: Checked,
        first: bool,
    ) {
        match checked {
            Checked::Fits => {}
            Checked::Differs(words) => self.fault_at(at, ProblemKind::Content, words),
            Checked::Absent => {
                if first && let Err(words) = self.disposals.misses(since, about, class) {
                    self.fault_at(at, ProblemKind::Content, &words);
                }
            }
        }
    }

    fn end_intent(&mut self, at: u64, exchange: ExchangeId, intent: u64) {
        let words = match self.open.get(&intent) {
            Some(open) if *open == exchange => {
                self.open.remove(&intent);
                return;
            }
            Some(_) => "the outcome names the intent of another exchange",
            None if intent >= at => "the outcome names an intent that comes after it",
            None => "the outcome names a position that is no intent, or one that has ended before",
        };
        self.fault_at(at, ProblemKind::Inconsistent, words);
    }
}

/// Reads on to the end of a line; whether a line feed ended it.
fn skip_line(content: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let piece = content.fill_buf()?;
        if piece.is_empty() {
            return Ok(false);
        }
        let feed = piece.iter().position(|byte| *byte == b'\n');
        let used = feed.map_or(piece.len(), |at| at + 1);
        content.consume(used);
        if feed.is_some() {
            return Ok(true);
        }
    }
}

/// A reader that counts, and hashes when asked to, what passes.
struct Counting<'r> {
    from: &'r mut dyn Read,
    context: Option<digest::Context>,
    size: u64,
}

impl<'r> Counting<'r> {
    fn new(from: &'r mut dyn Read, hashed: bool) -> Self {
        Self { from, context: hashed.then(|| digest::Context::new(&digest::SHA256)), size: 0 }
    }

    fn listed(self, name: &str) -> Listed {
        let sha256 = self.context.map(|context| Hash::from_digest(&context.finish()));
        Listed { name: name.to_owned(), size: self.size, sha256 }
    }
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if let Some(context) = &mut self.context {
            context.update(buffer.get(..count).unwrap_or_default());
        }
        self.size += count as u64;
        Ok(count)
    }
}
