//! `bulla deid`: transformed copies, a manifest without values, and the way back.

mod copies;
mod map;
mod names;
mod restore;

use super::Failure;
use super::draw::{Draw, MIN_SEED_BYTES};
use super::input::{self, Input, Unreadable};
use super::window::{Cut, Windows};
use crate::world::SystemClock;
use aws_lc_rs::digest::{SHA256, digest};
use clap::{Args, ValueEnum};
use copies::{Copies, Copy};
use ledger::Clock as _;
use phi::quasi::QuasiDetector;
use phi::surrogate::SurrogateMap;
use phi::transform::{
    Acknowledgement, Coverage, Day, DayShift, Found, Method, Realistic, Redactor, SafeHarbor,
    Transformed, shift, tokenize,
};
use phi::{Class, Detector, Finding, Roster, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A transform needs its whole text, so that it is the same at its end as at its beginning.
const MAX_TEXT_MIB: u64 = 256;

/// Redacted, tokenized, shifted and invented text is still PHI. Only safe-harbor makes a claim, and it
/// is the claim of whoever acknowledges it. No detector finds everything.
#[derive(Debug, Args)]
pub(super) struct Deid {
    /// Files and folders; `-` is standard input
    #[arg(value_name = "FILE|DIR|-", default_value = "-")]
    inputs: Vec<PathBuf>,
    /// How identifiers are treated
    #[arg(long, value_enum, required_unless_present = "restore", conflicts_with = "restore")]
    method: Option<MethodName>,
    /// The folder for the copies and `manifest.json`; it must be new or empty. Without it, one input
    /// goes to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The token map, which is PHI: written by `tokenize`, read by `--restore`
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Put the values back by a token map
    #[arg(long, requires = "map")]
    restore: bool,
    /// 32 or more secret bytes, so that `surrogate` and `shift` repeat: who has them can undo a shift
    #[arg(long, value_name = "FILE")]
    seed_file: Option<PathBuf>,
    /// Whose dates move together under `shift`
    #[arg(long, value_enum, default_value = "file")]
    subject: Subject,
    /// Do not look for a class, for instance `PROFESSION`; safe-harbor is refused then
    #[arg(long, value_name = "CLASS")]
    disable: Vec<Class>,
    /// safe-harbor: the statement that there is no actual knowledge (45 CFR 164.514(b)(2)(ii))
    #[arg(long, value_name = "TEXT")]
    acknowledge: Option<String>,
    /// safe-harbor: who makes that statement
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodName {
    /// Typed placeholders, numbered by kind
    Redact,
    /// Random surrogates that `--restore` undoes exactly
    Tokenize,
    /// Invented values of the same shape
    Surrogate,
    /// Dates moved by one secret offset for each subject, all else redacted
    Shift,
    /// Only what 45 CFR 164.514(b)(2) lets stay
    SafeHarbor,
}

impl From<MethodName> for Method {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::Redact => Self::Redact,
            MethodName::Tokenize => Self::Tokenize,
            MethodName::Surrogate => Self::Surrogate,
            MethodName::Shift => Self::Shift,
            MethodName::SafeHarbor => Self::SafeHarbor,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Each file is about one subject
    File,
    /// Each folder directly below the one that was named is about one subject
    Folder,
}

fn usage(message: impl Into<String>) -> Failure {
    Failure { code: 2, message: message.into() }
}

impl Deid {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.restore {
            return restore::run(&self);
        }
        let method: Method = self.method.map_or(Method::Redact, Method::from);
        let mut run = Run::new(&self, method)?;
        let mut inputs = input::collect(&self.inputs);
        if self.out.is_none() && inputs.len() != 1 {
            return Err(usage("several inputs need a folder for their copies: --out DIR"));
        }
        run.bar = input::bar(&inputs, 2);
        let read: Vec<_> = inputs.iter_mut().map(|input| run.read(input)).collect();
        let outcome = match &self.out {
            Some(out) => run.copies(out, &inputs, read),
            None => run.one(read),
        };
        if let Some(bar) = run.bar.take() {
            bar.finish_and_clear();
        }
        outcome
    }
}

/// What was read of one input before anything is written.
struct Scanned {
    sha256: String,
    findings: Vec<Finding>,
    /// Of the parts of its path, from the first.
    names: Vec<Vec<Finding>>,
    /// Only of what cannot be read twice: standard input, a pipe.
    text: Option<Text>,
}

type Read = Result<Scanned, Unreadable>;

/// One run of the command.
struct Run<'a> {
    deid: &'a Deid,
    method: Method,
    detector: Detector,
    quasi: QuasiDetector,
    disabled: BTreeSet<Class>,
    seed: Option<Vec<u8>>,
    safe_harbor: Option<SafeHarbor>,
    map: SurrogateMap,
    shifts: BTreeMap<String, DayShift>,
    /// The names that folders were given.
    folders: BTreeMap<PathBuf, String>,
    of_folders: Option<(Session, Draw)>,
    bar: Option<indicatif::ProgressBar>,
}

/// The state of a transform over one file and its name.
enum Session {
    Redact(Redactor),
    Tokenize,
    Surrogate(Box<Realistic>),
    Shift(Redactor, DayShift),
    SafeHarbor,
}

impl<'a> Run<'a> {
    fn new(deid: &'a Deid, method: Method) -> Result<Self, Failure> {
        let detector = Detector::new();
        let disabled: BTreeSet<Class> = deid.disable.iter().copied().collect();
        let coverage =
            Coverage::tested(&detector, &disabled).map_err(|error| Failure::control(&error))?;
        let seed = match &deid.seed_file {
            Some(_) if !matches!(method, Method::Surrogate | Method::Shift) => {
                return Err(usage(
                    "--seed-file is for surrogate and shift: nothing else may repeat",
                ));
            }
            Some(path) => Some(read_seed(path)?),
            None => None,
        };
        if method == Method::Tokenize && deid.out.is_none() && deid.map.is_none() {
            return Err(usage("tokenize needs a file for its token map: --map FILE"));
        }
        if method != Method::Tokenize && deid.map.is_some() {
            return Err(usage("--map is for tokenize and --restore"));
        }
        let safe_harbor = match method {
            Method::SafeHarbor => Some(safe_harbor(deid, &coverage)?),
            Method::Redact | Method::Tokenize | Method::Surrogate | Method::Shift => None,
        };
        Ok(Self {
            deid,
            method,
            detector,
            quasi: QuasiDetector::new(),
            disabled,
            seed,
            safe_harbor,
            map: SurrogateMap::new(),
            shifts: BTreeMap::new(),
            folders: BTreeMap::new(),
            of_folders: None,
            bar: None,
        })
    }

    /// Reads and scans an input: its text, and the parts of its path.
    fn read(&self, input: &mut Input) -> Read {
        let text = read_text(input)?;
        let sha256 = hex(text.expose().as_bytes());
        let parts = names::parts(&input.below)?;
        let together = text.len() + parts.iter().map(|it| 2 * it.len()).sum::<usize>();
        let (mut findings, mut names) = if together <= phi::detect::MAX_SCAN_BYTES {
            names::scan_together(&self.detector, text.expose(), &parts)?
        } else {
            let mut windows = Windows::new(text.expose().as_bytes(), Cut::WHOLE);
            let mut findings = Vec::new();
            while let Some(window) = windows.next(&self.detector, &Roster::default())? {
                findings.extend(window.findings);
            }
            (findings, names::scan_together(&self.detector, "", &parts)?.1)
        };
        for list in names.iter_mut().chain(std::iter::once(&mut findings)) {
            list.retain(|finding| !self.disabled.contains(&finding.class));
        }
        self.advance(text.len());
        // A pipe cannot be read twice either.
        let kept = (!input.path.is_file()).then_some(text);
        Ok(Scanned { sha256, findings, names, text: kept })
    }

    fn advance(&self, bytes: usize) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes as u64);
        }
    }

    /// The transform for one subject; `key` names it within this run and never leaves it.
    fn session(&mut self, key: &str) -> (Session, Draw) {
        let draw = Draw::of(self.seed.as_deref(), key);
        let session = match self.method {
            Method::Redact => Session::Redact(Redactor::new()),
            Method::Tokenize => Session::Tokenize,
            Method::Surrogate => Session::Surrogate(Box::new(Realistic::new())),
            Method::Shift => {
                let subject = match self.deid.subject {
                    Subject::File => key,
                    Subject::Folder => key.split_once('/').map_or(key, |(folder, _)| folder),
                };
                let made = || {
                    let draw = Draw::of(self.seed.as_deref(), subject);
                    DayShift::random(&|bytes| draw.fill(bytes))
                };
                let by = *self.shifts.entry(subject.to_owned()).or_insert_with(made);
                Session::Shift(Redactor::new(), by)
            }
            Method::SafeHarbor => Session::SafeHarbor,
        };
        (session, draw)
    }

    fn apply(
        &mut self,
        session: &mut Session,
        draw: &Draw,
        text: &str,
        findings: &[Finding],
    ) -> Result<Transformed, Unreadable> {
        let found = Found::new(text, findings.to_vec())?;
        let fill = |bytes: &mut [u8]| draw.fill(bytes);
        Ok(match (session, &self.safe_harbor) {
            (Session::Redact(redactor), _) => redactor.redact(&found),
            (Session::Tokenize, _) => tokenize(&found, &mut self.map, &fill)?,
            (Session::Surrogate(realistic), _) => realistic.replace(&found, &fill),
            (Session::Shift(redactor, by), _) => shift(&found, *by, redactor),
            (Session::SafeHarbor, Some(safe_harbor)) => safe_harbor.apply(&found),
            // Fail closed: without a claim there is only redaction.
            (Session::SafeHarbor, None) => Redactor::new().redact(&found),
        })
    }

    /// One input to standard output.
    fn one(&mut self, read: Vec<Read>) -> Result<ExitCode, Failure> {
        let inputs = input::collect(&self.deid.inputs);
        let (Some(input), Some(read)) = (inputs.into_iter().next(), read.into_iter().next()) else {
            return Err(usage("there is nothing to read"));
        };
        let source = input.source();
        let done = read.and_then(|scanned| self.copy(input, &scanned));
        let (copy, text) = match done {
            Ok(done) => done,
            Err(fault) => {
                return Err(Failure { code: 3, message: format!("{source}: {fault}") });
            }
        };
        if let Some(path) = self.deid.map.as_deref().filter(|_| self.method == Method::Tokenize) {
            map::write(path, &self.map)?;
        }
        let mut out = io::stdout().lock();
        out.write_all(text.expose().as_bytes())?;
        out.flush()?;
        let found: u64 = copy.classes.values().sum();
        tell(&format!("{found} identifiers treated; {}", copy.label.words()))?;
        self.quasi_note(copy.quasi)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Transforms one input; its name is chosen by the caller.
    fn copy(&mut self, mut input: Input, scanned: &Scanned) -> Result<(Copy, Text), Unreadable> {
        let text = match &scanned.text {
            Some(text) => text.clone(),
            None => read_text(&mut input)?,
        };
        if hex(text.expose().as_bytes()) != scanned.sha256 {
            return Err(Unreadable::Changed);
        }
        let key = input.below.to_string_lossy().into_owned();
        let (mut session, draw) = self.session(&key);
        let made = self.apply(&mut session, &draw, text.expose(), &scanned.findings)?;
        let name = match (input.below.file_name(), scanned.names.last()) {
            (Some(name), Some(findings)) => {
                let name = name.to_str().ok_or(Unreadable::Name)?;
                self.apply(&mut session, &draw, name, findings)?.text().expose().to_owned()
            }
            _ => String::new(),
        };
        let quasi = self.quasi.report(made.text().expose());
        let copy = Copy {
            name,
            input_sha256: scanned.sha256.clone(),
            output_sha256: hex(made.text().expose().as_bytes()),
            classes: made.counts().clone(),
            label: made.label().clone(),
            quasi: quasi.may_single_out(),
            quasi_findings: quasi.findings().len(),
        };
        self.advance(text.len());
        Ok((copy, made.text().clone()))
    }

    fn quasi_note(&self, any: bool) -> Result<(), Failure> {
        if any {
            tell(
                "What is left may single somebody out (quasi-identifiers): have it read before it is \
                 given away.",
            )?;
        }
        if self.method == Method::SafeHarbor {
            tell("The claim rests on whoever acknowledged it. No detector finds everything.")
        } else {
            tell("Still PHI: treat it as such (45 CFR 164.514(a)). No detector finds everything.")
        }
    }

    /// Every input into a folder.
    fn copies(
        &mut self,
        out: &Path,
        inputs: &[Input],
        read: Vec<Read>,
    ) -> Result<ExitCode, Failure> {
        let folders = names::folders(inputs, &read);
        let mut copies = Copies::begin(out)?;
        let (mut faulty, mut any_quasi) = (0_u64, false);
        let fresh = input::collect(&self.deid.inputs);
        for ((input, again), read) in inputs.iter().zip(fresh).zip(read) {
            let source = input.source();
            let below = input.below.clone();
            let done = match read {
                Ok(scanned) if again.path == input.path => self.copy(again, &scanned),
                Ok(_) => Err(Unreadable::Changed),
                Err(fault) => Err(fault),
            };
            let done = done.and_then(|(copy, text)| {
                let folder = self.folder(&below, &folders)?;
                Ok((folder, copy, text))
            });
            match done {
                Ok((folder, copy, text)) => {
                    any_quasi |= copy.quasi;
                    copies.write(&folder, copy, &text)?;
                }
                Err(fault) => {
                    faulty += 1;
                    copies.fault(&fault);
                    tell(&format!("{source}: cannot be transformed: {fault}"))?;
                }
            }
        }
        if self.method == Method::Tokenize {
            let beside = self.deid.map.clone().unwrap_or_else(|| map::beside(out));
            map::write(&beside, &self.map)?;
            tell(&format!("The token map is PHI: {}", beside.display()))?;
        }
        copies.finish(self.manifest())?;
        tell(&copies.summary())?;
        self.quasi_note(any_quasi)?;
        Ok(if faulty > 0 { ExitCode::from(3) } else { ExitCode::SUCCESS })
    }

    /// The folder of a copy: the names of its parts, transformed alike for all files below them.
    fn folder(
        &mut self,
        below: &Path,
        folders: &BTreeMap<PathBuf, Vec<Finding>>,
    ) -> Result<PathBuf, Unreadable> {
        let (mut at, mut made) = (PathBuf::new(), PathBuf::new());
        for part in below.parent().unwrap_or(Path::new("")).components() {
            at.push(part);
            if !self.folders.contains_key(&at) {
                let name = part.as_os_str().to_str().ok_or(Unreadable::Name)?;
                let findings = folders.get(&at).map(Vec::as_slice).unwrap_or_default();
                let name = self.folder_name(name, findings)?;
                self.folders.insert(at.clone(), name);
            }
            made.push(self.folders.get(&at).map_or("folder", String::as_str));
        }
        Ok(made)
    }

    /// All folders share one session, so that two of them do not get one name.
    fn folder_name(&mut self, name: &str, findings: &[Finding]) -> Result<String, Unreadable> {
        let (mut session, draw) = match self.of_folders.take() {
            Some(session) => session,
            None => match self.method {
                // Beside a claim, names of folders have their identifiers removed whole.
                Method::SafeHarbor => (Session::Redact(Redactor::new()), Draw::System),
                Method::Redact | Method::Tokenize | Method::Surrogate | Method::Shift => {
                    self.session("/")
                }
            },
        };
        let made = self.apply(&mut session, &draw, name, findings);
        self.of_folders = Some((session, draw));
        Ok(copies::safe_name(made?.text().expose()))
    }

    /// What the manifest says of the whole run.
    fn manifest(&self) -> serde_json::Value {
        use serde_json::json;
        let disabled: Vec<&str> = self.disabled.iter().map(|class| class.label()).collect();
        json!({
            "tool": "bulla deid",
            "version": env!("CARGO_PKG_VERSION"),
            "detector": Detector::NAME,
            "method": self.method.label(),
            "parameters": {
                "subject": match self.deid.subject { Subject::File => "file", Subject::Folder => "folder" },
                "seeded": self.seed.is_some(),
                "disabled": disabled,
            },
        })
    }
}

fn safe_harbor(deid: &Deid, coverage: &Coverage) -> Result<SafeHarbor, Failure> {
    let seconds = SystemClock.now().as_micros().div_euclid(1_000_000);
    let today = Day::of_unix_seconds(seconds)
        .ok_or_else(|| Failure { code: 3, message: "the clock is not set".to_owned() })?;
    let (Some(who), Some(words)) = (&deid.by, &deid.acknowledge) else {
        return Err(usage(
            "safe-harbor makes a claim, and somebody must make it: --by NAME --acknowledge \"I have no \
             actual knowledge that ...\" (45 CFR 164.514(b)(2)(ii))",
        ));
    };
    let acknowledgement =
        Acknowledgement::new(who, today, words).map_err(|error| Failure::usage(&error))?;
    SafeHarbor::new(acknowledgement, coverage, today).map_err(|error| Failure::usage(&error))
}

fn read_seed(path: &Path) -> Result<Vec<u8>, Failure> {
    let seed =
        std::fs::read(path).map_err(|error| usage(format!("{}: {error}", path.display())))?;
    if seed.len() < MIN_SEED_BYTES {
        return Err(usage(format!("{}: a seed has at least 32 bytes", path.display())));
    }
    Ok(seed)
}

fn read_text(input: &mut Input) -> Result<Text, Unreadable> {
    let limit = MAX_TEXT_MIB << 20;
    let mut bytes = Vec::new();
    input.open()?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Unreadable::TooLong(MAX_TEXT_MIB));
    }
    if bytes.contains(&0) {
        return Err(Unreadable::Binary);
    }
    String::from_utf8(bytes).map(Text::new).map_err(|_| Unreadable::NotUtf8)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a String cannot fail.
        if write!(out, "{byte:02x}").is_err() {
            out.clear();
        }
    }
    out
}

/// Tells the person at the command line; standard output is for text.
fn tell(line: &str) -> Result<(), Failure> {
    writeln!(io::stderr().lock(), "{line}").map_err(Failure::from)
}
