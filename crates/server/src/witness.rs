//! A witness: it remembers the largest checkpoint that it saw of each log, and cosigns only what grew from
//! there (C2SP tlog-witness). A customer or an auditor runs it on a machine that the log's operator does
//! not control.
//!
//! A folder holds all of it:
//!
//! | file | content |
//! |---|---|
//! | `name`, `key` | under which name it cosigns, and the 32-byte Ed25519 seed, hexadecimal, for its owner only |
//! | `logs` | C2SP verifier keys of the logs that it knows, one a line |
//! | `seen/<SHA-256 of the origin>` | the last checkpoint of a log, with the log's signature and its own |
//! | `evidence/...` | requests that contradict what was seen, with what was seen |
//!
//! What was seen is on the disk before a cosignature leaves. A file that cannot be read stops the answer:
//! a witness that forgot would cosign a fork.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ledger::checkpoint::{Checkpoint, Cosigner, MalformedKey, MalformedName, VerifierKey};
use ledger::witness::{AddCheckpoint, MAX_REQUEST_BYTES, Refusal, judge};
use ledger::{Clock, Entropy, Hash};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Evidence files that are kept; a log that goes on contradicting itself adds nothing to them.
const MAX_EVIDENCE: usize = 1000;

/// A witness cannot be made, opened, or asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WitnessError {
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not of its form.
    #[error("{} is not of its form", .0.display())]
    Malformed(PathBuf),
    /// Another process serves from this folder.
    #[error("another process serves from this folder")]
    InUse,
    /// The name cannot be that of a key.
    #[error(transparent)]
    Name(#[from] MalformedName),
    /// Not the key of a log.
    #[error(transparent)]
    Key(#[from] MalformedKey),
}

/// A witness, opened.
pub(crate) struct Witness {
    folder: PathBuf,
    cosigner: Cosigner,
    logs: Vec<VerifierKey>,
    clock: Arc<dyn Clock + Send + Sync>,
    /// From the look at what was seen to its replacement nobody else may look.
    turn: Mutex<()>,
    _lock: File,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Witness({:?})", self.cosigner)
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WitnessError {
    let path = path.to_owned();
    move |source| WitnessError::File { doing, path, source }
}

impl Witness {
    /// Makes the folder of a witness with a new key; returns its verifier key.
    ///
    /// # Errors
    /// [`WitnessError`], also when the folder holds a witness already.
    pub(crate) fn create(
        folder: &Path,
        name: &str,
        entropy: &dyn Entropy,
    ) -> Result<String, WitnessError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let cosigner = Cosigner::from_seed(name, &seed)?;
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
        write_new(&folder.join("key"), Hash::from_bytes(seed).to_string().as_bytes())?;
        write_new(&folder.join("name"), name.as_bytes())?;
        write_new(&folder.join("logs"), b"")?;
        for part in ["seen", "evidence"] {
            let path = folder.join(part);
            fs::create_dir(&path).map_err(failed("make", &path))?;
        }
        synchronise(folder)?;
        Ok(cosigner.verifier_key())
    }

    /// Adds a log to those that the witness in this folder knows.
    ///
    /// # Errors
    /// [`WitnessError::Key`] when the text is not a log's verifier key.
    pub(crate) fn add_log(folder: &Path, key: &str) -> Result<VerifierKey, WitnessError> {
        let key = VerifierKey::parse(key)?;
        let path = folder.join("logs");
        let mut logs = fs::read_to_string(&path).map_err(failed("read", &path))?;
        if !logs.lines().any(|line| line == key.to_string()) {
            logs = logs + &key.to_string() + "\n";
            replace(&path, logs.as_bytes())?;
        }
        Ok(key)
    }

    /// Opens the witness in a folder, for this process alone.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub(crate) fn open(
        folder: &Path,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Result<Self, WitnessError> {
        let read = |name: &str| {
            let path = folder.join(name);
            let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
            Ok::<_, WitnessError>((path, text))
        };
        let (path, seed) = read("key")?;
        let seed: Hash = seed.trim().parse().map_err(|_| WitnessError::Malformed(path))?;
        let (_, name) = read("name")?;
        let (_, logs) = read("logs")?;
        let lines = logs.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| WitnessError::InUse)?;
        Ok(Self {
            cosigner: Cosigner::from_seed(name.trim(), seed.as_bytes())?,
            logs: lines.map(VerifierKey::parse).collect::<Result<_, _>>()?,
            folder: folder.to_owned(),
            clock,
            turn: Mutex::new(()),
            _lock: lock,
        })
    }

    /// The public key of this witness.
    #[must_use]
    pub(crate) fn verifier_key(&self) -> String {
        self.cosigner.verifier_key()
    }

    /// The logs that it knows.
    #[must_use]
    pub(crate) fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    fn seen_path(&self, origin: &str) -> PathBuf {
        self.folder.join("seen").join(Hash::of(origin.as_bytes()).to_string())
    }

    /// The last checkpoint of a log, with its note.
    fn seen(&self, origin: &str) -> Result<Option<(Checkpoint, String)>, WitnessError> {
        let path = self.seen_path(origin);
        let note = match fs::read_to_string(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        // Its own signatures are read again, so that a damaged file is no other past.
        let mut keys = self.logs.iter().filter(|key| key.name() == origin);
        keys.find_map(|key| key.open(&note).ok())
            .map(|checkpoint| Some((checkpoint, note)))
            .ok_or(WitnessError::Malformed(path))
    }

    /// Judges a request and, when it may be, keeps the checkpoint and cosigns it.
    fn add(&self, body: &str) -> Result<Result<String, Refusal>, WitnessError> {
        let Ok(request) = body.parse::<AddCheckpoint>() else {
            return Ok(Err(Refusal::Malformed));
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = request.note.lines().next().unwrap_or_default().to_owned();
        let seen = self.seen(&origin)?;
        let last = seen.as_ref().map(|(checkpoint, _)| checkpoint.clone());
        let checkpoint = match judge(&self.logs, |_| last, &request) {
            Ok(checkpoint) => checkpoint,
            Err(refusal) => {
                if refusal == Refusal::Contradiction {
                    let seen = seen.map_or_else(String::new, |(_, note)| note);
                    self.keep_evidence(&origin, &seen, body)?;
                }
                return Ok(Err(refusal));
            }
        };
        let micros = self.clock.now().as_micros();
        let seconds = u64::try_from(micros / 1_000_000).unwrap_or_default().max(1);
        let line = self.cosigner.cosign(&checkpoint, seconds);
        let note = format!("{}{line}", own_signatures(&self.logs, &request.note));
        replace(&self.seen_path(&origin), note.as_bytes())?;
        Ok(Ok(line))
    }

    /// Keeps two signed contradictory statements of a log.
    fn keep_evidence(&self, origin: &str, seen: &str, body: &str) -> Result<(), WitnessError> {
        let folder = self.folder.join("evidence");
        let kept = fs::read_dir(&folder).map_err(failed("read", &folder))?.count();
        let text = format!(
            "# Two statements that one log signed and that cannot both be true (or the second came without\n\
             # a proof). Seen first:\n\n{seen}\n# The request that contradicts it:\n\n{body}"
        );
        let name = format!("{}.txt", Hash::of(text.as_bytes()));
        tracing::error!(
            origin,
            evidence = name,
            "a log contradicts what was seen of it; nothing was cosigned"
        );
        if kept >= MAX_EVIDENCE || folder.join(&name).exists() {
            return Ok(());
        }
        replace(&folder.join(name), text.as_bytes())
    }

    /// The last checkpoint of the log whose origin has this SHA-256, with both signatures.
    fn latest(&self, origin_hash: &str) -> Result<Option<String>, WitnessError> {
        let log =
            self.logs.iter().find(|key| Hash::of(key.name().as_bytes()).to_string() == origin_hash);
        match log {
            Some(log) => Ok(self.seen(log.name())?.map(|(_, note)| note)),
            None => Ok(None),
        }
    }
}

/// The note with the signatures of known logs alone: others' lines are not this witness's to spread.
fn own_signatures(logs: &[VerifierKey], note: &str) -> String {
    let Some((text, lines)) = note.rsplit_once("\n\n") else { return note.to_owned() };
    let mut out = format!("{text}\n\n");
    for line in lines.lines() {
        let alone = format!("{text}\n\n{line}\n");
        if logs.iter().any(|key| key.open(&alone).is_ok()) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Writes a file that must not exist yet, for its owner only, and waits for the disk.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), WitnessError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(failed("write", path))
}

/// Puts a file in the place of another, or of none, durably and at once.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), WitnessError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(failed("write", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))?;
    path.parent().map_or(Ok(()), synchronise)
}

fn synchronise(folder: &Path) -> Result<(), WitnessError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("synchronise", folder))
}

/// What the witness serves: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint`, `GET /healthz`.
pub(crate) fn router(witness: &Arc<Witness>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin_hash}/checkpoint", get(checkpoint))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(Arc::clone(witness))
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    let Ok(body) = String::from_utf8(body.to_vec()) else {
        return answer(Refusal::Malformed);
    };
    match tokio::task::spawn_blocking(move || witness.add(&body)).await {
        Ok(Ok(Ok(line))) => line.into_response(),
        Ok(Ok(Err(refusal))) => answer(refusal),
        Ok(Err(error)) => unable(&error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn answer(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refusal {
        Refusal::OtherSize(size) => {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            (status, kind, format!("{size}\n")).into_response()
        }
        Refusal::Malformed
        | Refusal::UnknownOrigin
        | Refusal::Unsigned
        | Refusal::Contradiction => (status, format!("{refusal}\n")).into_response(),
    }
}

fn unable(error: &WitnessError) -> Response {
    tracing::error!(%error, "nothing is cosigned");
    (StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot read or keep what it saw\n")
        .into_response()
}

async fn checkpoint(
    State(witness): State<Arc<Witness>>,
    UrlPath(origin_hash): UrlPath<String>,
) -> Response {
    match tokio::task::spawn_blocking(move || witness.latest(&origin_hash)).await {
        Ok(Ok(Some(note))) => note.into_response(),
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(error)) => unable(&error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
