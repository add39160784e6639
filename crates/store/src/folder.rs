//! The data directory: its files, their modes, its locks, and the checkpoint beside the database.
//!
//! | file | what |
//! |---|---|
//! | `bulla.db`, `bulla.db-wal`, `bulla.db-shm` | the database |
//! | `keys/keys.db` | the key store; alone in a folder, so that a backup can leave it out |
//! | `checkpoint` | the last signed checkpoint of each log, as C2SP notes one after another |
//! | `anchor` | the last signed checkpoint of the deployment's own log, a C2SP note |
//! | `lock` | held by the one process that serves |
//! | `turn` | held by the process that begins the next write transaction |

use crate::error::Error;
use ledger::LogId;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files are for the account that serves only: the database holds the structure of all traffic.
const FILE_MODE: u32 = 0o600;
/// As [`FILE_MODE`], for the folder.
const FOLDER_MODE: u32 = 0o700;
/// The checkpoint file holds one note of about 200 bytes per tenant; beyond 16 MiB it is not ours.
const CHECKPOINT_FILE_BYTES: u64 = 16 << 20;
/// How often a waiting process looks whether it is its turn: short beside a commit.
const TURN_POLL: Duration = Duration::from_millis(1);
/// What a signature line of a C2SP note begins with.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// Held by the one process that serves from a data directory; released when dropped, also by a
/// killed process.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct ServeLock {
    _file: File,
}

/// Held while the checkpoint file and its table are read or changed together.
#[derive(Debug)]
pub(crate) struct CheckpointLock {
    _folder: File,
}

/// Who begins the next write transaction.
///
/// The database's own lock is polled and unfair: a process that commits all the time keeps others out
/// for ever. So whoever wants to write takes the turn first, gives it up once its transaction has
/// begun, and meanwhile others line up behind. This is a courtesy, the database's lock is what counts.
#[derive(Debug)]
pub(crate) struct Turn {
    file: File,
}

/// One note of the checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedNote {
    pub(crate) log: LogId,
    pub(crate) size: u64,
    pub(crate) note: String,
}

impl Folder {
    /// Makes the folder where it is missing, and an empty database file in it.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let folder = Self { path: path.to_path_buf() };
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(Error::file("create the data directory"))?;
        std::fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
            .map_err(Error::file("close the data directory to others"))?;
        // SQLite gives its other files the mode of this one.
        let made =
            OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(folder.database());
        match made {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Error::Exists),
            Err(error) => return Err(Error::file("create the database file")(error)),
        }
        folder.sync()?;
        Ok(folder)
    }

    /// A folder that holds a database.
    pub(crate) fn existing(path: &Path) -> Result<Self, Error> {
        let folder = Self { path: path.to_path_buf() };
        match std::fs::metadata(folder.database()) {
            Ok(_) => Ok(folder),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Absent),
            Err(error) => Err(Error::file("find the database file")(error)),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("bulla.db")
    }

    /// The key store's file.
    pub(crate) fn keys(&self) -> PathBuf {
        self.path.join("keys").join("keys.db")
    }

    /// Makes the key store's folder, where it is missing, and an empty file in it.
    pub(crate) fn create_keys(&self) -> Result<(), Error> {
        let doing = "create the key store";
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(self.path.join("keys"))
            .map_err(Error::file(doing))?;
        let made =
            OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(self.keys());
        made.map(drop).map_err(Error::file(doing))
    }

    /// Makes the names in the key store's folder durable.
    pub(crate) fn sync_keys(&self) -> Result<(), Error> {
        let doing = "synchronise the key store";
        File::open(self.path.join("keys"))
            .and_then(|folder| folder.sync_all())
            .map_err(Error::file(doing))?;
        self.sync()
    }

    fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    pub(crate) fn lock_for_serving(&self) -> Result<ServeLock, Error> {
        let doing = "lock the data directory";
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.path.join("lock"))
            .map_err(Error::file(doing))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(ServeLock { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(Error::AlreadyServing),
            Err(error) => Err(Error::file(doing)(error)),
        }
    }

    pub(crate) fn turn(&self) -> Result<Turn, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.path.join("turn"))
            .map_err(Error::file("open the queue of writers"))?;
        Ok(Turn { file })
    }

    /// Waits for the other processes that publish or open; each holds the lock for a few
    /// synchronisations of the disk.
    pub(crate) fn lock_checkpoint(&self) -> Result<CheckpointLock, Error> {
        let doing = "lock the checkpoint file";
        // The folder itself is locked: the file is replaced by each publication.
        let folder = File::open(&self.path).map_err(Error::file(doing))?;
        flock(&folder, FlockOperation::LockExclusive).map_err(Error::file(doing))?;
        Ok(CheckpointLock { _folder: folder })
    }

    /// The notes of the checkpoint file; none when it was never written.
    pub(crate) fn read_checkpoints(&self) -> Result<Vec<PublishedNote>, Error> {
        let doing = "read the checkpoint file";
        let file = match File::open(self.checkpoint()) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(doing)(error)),
        };
        let mut bytes = Vec::new();
        file.take(CHECKPOINT_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(Error::file(doing))?;
        if bytes.len() as u64 > CHECKPOINT_FILE_BYTES {
            return Err(Error::CheckpointMalformed);
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::CheckpointMalformed)?;
        parse_notes(&text).ok_or(Error::CheckpointMalformed)
    }

    /// Writes the notes to a file beside the checkpoint file, durably. [`Folder::put_checkpoints`]
    /// then replaces the one by the other, which needs no room on the disk.
    pub(crate) fn prepare_checkpoints(&self, notes: &[PublishedNote]) -> Result<(), Error> {
        let doing = "write the checkpoint file";
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(self.prepared_checkpoint())
            .map_err(Error::file(doing))?;
        for note in notes {
            file.write_all(note.note.as_bytes()).map_err(Error::file(doing))?;
        }
        file.sync_all().map_err(Error::file(doing))
    }

    pub(crate) fn put_checkpoints(&self) -> Result<(), Error> {
        std::fs::rename(self.prepared_checkpoint(), self.checkpoint())
            .map_err(Error::file("replace the checkpoint file"))?;
        self.sync()
    }

    /// The note of the anchor file; absent when it was never written.
    pub(crate) fn read_anchor(&self) -> Result<Option<String>, Error> {
        match std::fs::read_to_string(self.path.join("anchor")) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read the anchor file")(error)),
        }
    }

    /// Writes a note beside the anchor file, durably; [`Folder::put_anchor`] makes it the file.
    pub(crate) fn prepare_anchor(&self, note: &str) -> Result<(), Error> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(self.path.join("anchor.new"))
            .map_err(Error::file("write the anchor file"))?;
        file.write_all(note.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(Error::file("write the anchor file"))
    }

    pub(crate) fn put_anchor(&self) -> Result<(), Error> {
        std::fs::rename(self.path.join("anchor.new"), self.path.join("anchor"))
            .map_err(Error::file("replace the anchor file"))?;
        self.sync()
    }

    fn prepared_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.new")
    }

    /// Makes the names in the folder durable.
    fn sync(&self) -> Result<(), Error> {
        let doing = "synchronise the data directory";
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(Error::file(doing))
    }
}

impl Turn {
    /// Waits until it is this process's turn, or `limit` is over.
    pub(crate) fn take(&self, limit: Duration) {
        let mut waited = Duration::ZERO;
        while waited < limit
            && flock(&self.file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
        {
            std::thread::sleep(TURN_POLL);
            waited += TURN_POLL;
        }
    }

    pub(crate) fn give_up(&self) {
        if flock(&self.file, FlockOperation::Unlock).is_err() {
            tracing::debug!("the turn was not held");
        }
    }
}

/// Notes one after another: a line that follows a signature line and is none begins the next note.
fn parse_notes(text: &str) -> Option<Vec<PublishedNote>> {
    let mut notes = Vec::new();
    let mut current = String::new();
    let mut signed = false;
    for line in text.split_inclusive('\n') {
        let is_signature = line.starts_with(SIGNATURE_LINE);
        if signed && !is_signature {
            notes.push(parse_note(std::mem::take(&mut current))?);
        }
        current.push_str(line);
        signed = is_signature;
    }
    match (signed, current.is_empty()) {
        (true, _) => notes.push(parse_note(current)?),
        (false, true) => {}
        (false, false) => return None,
    }
    Some(notes)
}

/// Of a note only the origin and the size are read here: whether it is the one that was published
/// is decided by comparing all its bytes with those in the database.
pub(crate) fn parse_note(note: String) -> Option<PublishedNote> {
    if !note.ends_with('\n') {
        return None;
    }
    let mut lines = note.lines();
    let log = lines.next()?.parse().ok()?;
    let size = lines.next()?.parse().ok()?;
    Some(PublishedNote { log, size, note })
}

/// `notes` with `new` in the place of its log's former note.
pub(crate) fn replace_note(notes: Vec<PublishedNote>, new: PublishedNote) -> Vec<PublishedNote> {
    let mut notes: Vec<_> = notes.into_iter().filter(|note| note.log != new.log).collect();
    notes.push(new);
    notes.sort_by_key(|note| note.log);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{DeploymentId, TenantId};

    fn note(tenant: u8, size: u64, signatures: usize) -> PublishedNote {
        let log = LogId {
            deployment: DeploymentId::from_bytes([1; 16]),
            tenant: TenantId::from_bytes([tenant; 16]),
        };
        let signatures = format!("\u{2014} {log} AAAA\n").repeat(signatures);
        PublishedNote { log, size, note: format!("{log}\n{size}\nroot=\n\n{signatures}") }
    }

    #[test]
    fn notes_one_after_another_come_apart_again() {
        for notes in
            [vec![], vec![note(1, 5, 1)], vec![note(1, 5, 2), note(2, 9, 1), note(3, u64::MAX, 3)]]
        {
            let text: String = notes.iter().map(|note| note.note.as_str()).collect();
            assert_eq!(parse_notes(&text), Some(notes));
        }
    }

    #[test]
    fn a_cut_or_foreign_checkpoint_file_is_refused() {
        let text = note(1, 5, 1).note;
        // A cut inside the signature's text cannot be seen here; comparing with the table sees it.
        let signature_begins = text.find(SIGNATURE_LINE).unwrap() + SIGNATURE_LINE.len();
        for cut in (1..signature_begins).filter(|cut| text.is_char_boundary(*cut)) {
            assert_eq!(parse_notes(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(parse_notes(&text[..text.len() - 1]), None, "no line feed at the end");
        assert_eq!(parse_notes("hello\n"), None);
    }

    #[test]
    fn a_new_note_takes_the_place_of_its_logs_former_note() {
        let notes = replace_note(vec![note(1, 5, 1), note(2, 9, 1)], note(1, 7, 1));
        assert_eq!(notes, [note(1, 7, 1), note(2, 9, 1)]);
    }

    #[test]
    fn one_process_serves_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::create(scratch.path()).unwrap();
        let lock = folder.lock_for_serving().unwrap();
        assert!(matches!(folder.lock_for_serving(), Err(Error::AlreadyServing)));
        drop(lock);
        let _lock = folder.lock_for_serving().unwrap();
    }
}
