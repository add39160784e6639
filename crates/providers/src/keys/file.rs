//! Keys in a file, and the reading and writing of files that are for their owner only.
//!
//! A line is one key: its id and 64 hexadecimal digits. The first wraps, and each opens what it
//! wrapped, so that during a rotation the old key and the new one lie in one file.

use super::{Environment, Fault, KEY_BYTES, KeyServiceError, key_bytes, sealer};
use ledger::seal::ContentKey;
use ledger::{ContentKeyId, Entropy, Time};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The key file in a data directory, unless another place is named.
const IN_DATA_DIRECTORY: &str = "operator.key";

/// The key file among the credentials that systemd hands to a service.
const AMONG_CREDENTIALS: &str = "bulla-operator-key";

/// Where systemd says that those are (systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A key file is some lines; anything longer is not one.
const MAX_FILE_BYTES: u64 = 16 << 10;

/// A rotation needs two keys, and some that nobody finished are kept readable.
const MAX_KEYS: usize = 16;

const ID_BYTES: usize = 16;

/// Permission bits of everybody but the owner.
const ANYBODY_ELSE: u32 = 0o077;

/// Those of them by which a file is written.
const ANYBODY_ELSE_WRITES: u32 = 0o022;

/// All of them without the one by which a file's group reads.
const ALL_BUT_READING_GROUP: u32 = 0o037;

/// Where the key file is when nobody says: among systemd's credentials when there is one, else in
/// the data directory.
#[must_use]
pub fn default_path(dir: &Path, environment: &Environment<'_>) -> PathBuf {
    environment(CREDENTIALS)
        .map(|folder| Path::new(&folder).join(AMONG_CREDENTIALS))
        .filter(|path| path.exists())
        .unwrap_or_else(|| dir.join(IN_DATA_DIRECTORY))
}

/// Makes a file with one fresh key. It must not exist yet.
///
/// # Errors
/// [`KeyServiceError::File`].
pub fn create_file(
    path: &Path,
    entropy: &dyn Entropy,
    now: Time,
) -> Result<ContentKeyId, KeyServiceError> {
    let key = fresh_key(entropy, now);
    write_new(path, line(&key).as_bytes())?;
    Ok(key.id)
}

/// Puts a fresh key before those of a key file: it wraps from here on, and what the others wrapped
/// still opens.
///
/// # Errors
/// [`KeyServiceError`]; the file is as it was.
pub fn begin_rotation(
    path: &Path,
    entropy: &dyn Entropy,
    now: Time,
) -> Result<ContentKeyId, KeyServiceError> {
    let text = read_private(path)?;
    let keys = parse(&text).map_err(|fault| fault.of(&shown(path)))?;
    if keys.len() >= MAX_KEYS {
        return Err(Fault::Malformed("it holds too many keys to add one").of(&shown(path)));
    }
    let key = fresh_key(entropy, now);
    let text = Zeroizing::new([line(&key).as_str(), text.as_str()].concat());
    replace(path, text.as_bytes())?;
    Ok(key.id)
}

/// Drops all keys of a file but the first. What they wrapped opens no more, so everything must have
/// been wrapped anew before.
///
/// # Errors
/// [`KeyServiceError`]; the file is as it was.
pub fn finish_rotation(path: &Path) -> Result<ContentKeyId, KeyServiceError> {
    let text = read_private(path)?;
    let keys = parse(&text).map_err(|fault| fault.of(&shown(path)))?;
    let first = keys.first().ok_or_else(|| Fault::Malformed(NO_KEY).of(&shown(path)))?;
    replace(path, line(first).as_bytes())?;
    Ok(first.id)
}

/// A file of keys, which is read at each use.
pub(super) struct KeyFile {
    path: PathBuf,
    place: Place,
}

/// Whose file it is: that decides who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The operator's: nobody but its owner.
    Own,
    /// Handed over by systemd, in a folder that only the service can enter. Where systemd lets the
    /// service's user in by an access list, the file is root's, and the list's mask shows as read
    /// permission of root's group: 0440.
    Credential,
}

impl KeyFile {
    /// A key file with this text, and which of its keys wraps.
    pub(super) fn new(
        path: &Path,
        place: Place,
        text: &str,
    ) -> Result<(Self, ContentKeyId), Fault> {
        let first = parse(text)?.into_iter().next().ok_or(Fault::Malformed(NO_KEY))?;
        Ok((Self { path: path.to_owned(), place }, first.id))
    }

    /// The keys, as they are in the file at this moment.
    pub(super) async fn keys(&self) -> Result<Vec<Key>, Fault> {
        parse(&read_again(&self.path, self.place).await?)
    }
}

/// Wraps with the first of these keys, whose id stands before what it sealed.
pub(super) fn wrap(
    keys: &[Key],
    key: &[u8; KEY_BYTES],
    context: &str,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Fault> {
    let first = keys.first().ok_or(Fault::Malformed(NO_KEY))?;
    let mut wrapped = first.id.as_bytes().to_vec();
    wrapped.extend_from_slice(&first.sealer().seal_small(&binding(context), key, entropy));
    Ok(wrapped)
}

/// Opens with the one of these keys that wrapped.
pub(super) fn unwrap(
    keys: &[Key],
    wrapped: &[u8],
    context: &str,
) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
    let (id, sealed) = wrapped.split_first_chunk::<ID_BYTES>().ok_or(Fault::Unsealable)?;
    let key = keys.iter().find(|key| key.id.as_bytes() == id).ok_or(Fault::Unsealable)?;
    let opened =
        key.sealer().open_small(&binding(context), sealed).map_err(|_| Fault::Unsealable)?;
    key_bytes(&opened).ok_or(Fault::Unsealable)
}

/// Reads a key file that was read before.
pub(super) async fn read_again(path: &Path, place: Place) -> Result<Zeroizing<String>, Fault> {
    let path = path.to_owned();
    // The file may lie on a disk that is slow, or on one that was pulled out.
    let text = tokio::task::spawn_blocking(move || read(&path, place)).await;
    text.map_err(|_| Fault::Unreachable(UNREADABLE))?.map_err(gone)
}

const NO_KEY: &str = "it holds no key";
const UNREADABLE: &str = "its file cannot be read";

/// What it means that a key file cannot be read any more.
fn gone(error: KeyServiceError) -> Fault {
    match error {
        KeyServiceError::File { source, .. }
            if source.kind() != io::ErrorKind::PermissionDenied =>
        {
            Fault::Unreachable(UNREADABLE)
        }
        KeyServiceError::File { .. }
        | KeyServiceError::Refused { .. }
        | KeyServiceError::Unreachable { .. }
        | KeyServiceError::Malformed { .. }
        | KeyServiceError::Unsealable { .. } => Fault::Refused("its file is not ours to read"),
    }
}

pub(super) struct Key {
    pub(super) id: ContentKeyId,
    pub(super) bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    fn sealer(&self) -> ContentKey {
        sealer(self.bytes.clone())
    }
}

fn binding(context: &str) -> String {
    format!("bulla-file-1|{context}")
}

fn parse(text: &str) -> Result<Vec<Key>, Fault> {
    const NOT_A_LINE: Fault =
        Fault::Malformed("a line of a key file is an id and 64 hexadecimal digits");
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if keys.len() >= MAX_KEYS {
            return Err(Fault::Malformed("it holds too many keys"));
        }
        let (id, hex) = line.split_once(' ').ok_or(NOT_A_LINE)?;
        let decoded = data_encoding::HEXLOWER.decode(hex.as_bytes()).map(Zeroizing::new);
        let bytes = key_bytes(&decoded.map_err(|_| NOT_A_LINE)?).ok_or(NOT_A_LINE)?;
        keys.push(Key { id: id.parse().map_err(|_| NOT_A_LINE)?, bytes });
    }
    Ok(keys)
}

fn line(key: &Key) -> Zeroizing<String> {
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.bytes.as_ref()));
    Zeroizing::new(format!("{} {}\n", key.id, hex.as_str()))
}

pub(super) fn fresh_key(entropy: &dyn Entropy, now: Time) -> Key {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(bytes.as_mut());
    Key { id: ContentKeyId::mint(now, entropy), bytes }
}

pub(super) fn place(path: &Path, environment: &Environment<'_>) -> Place {
    let folder = environment(CREDENTIALS).and_then(|folder| fs::canonicalize(folder).ok());
    let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    if folder.is_some() && folder == parent { Place::Credential } else { Place::Own }
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads a file that nobody but its owner may read.
///
/// # Errors
/// [`KeyServiceError`], also when others may read it.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyServiceError> {
    read(path, Place::Own)
}

pub(super) fn read(path: &Path, place: Place) -> Result<Zeroizing<String>, KeyServiceError> {
    let (text, guard) = look(path, place)?;
    guard.private(path)?;
    Ok(text)
}

/// Who but its owner can do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nobody reads it.
    Private,
    /// Others read it, and none of them writes it.
    Readable,
    /// Others write it.
    Writable,
}

impl Guard {
    fn of(mode: u32, handed_over: bool) -> Self {
        if mode & ANYBODY_ELSE == 0 || (handed_over && mode & ALL_BUT_READING_GROUP == 0) {
            Self::Private
        } else if mode & ANYBODY_ELSE_WRITES == 0 {
            Self::Readable
        } else {
            Self::Writable
        }
    }

    /// Demands it for what holds a key.
    pub(super) fn private(self, path: &Path) -> Result<(), KeyServiceError> {
        match self {
            Self::Private => Ok(()),
            // Fail closed: a key that others may read is not a secret.
            Self::Readable | Self::Writable => {
                Err(Fault::Malformed("others than its owner may read it; its mode must be 0600")
                    .of(&shown(path)))
            }
        }
    }

    /// Demands it for what only says where a key is: whoever changes that file has keys wrapped by
    /// a service of his own.
    pub(super) fn steady(self, path: &Path) -> Result<(), KeyServiceError> {
        match self {
            Self::Private | Self::Readable => Ok(()),
            Self::Writable => {
                Err(Fault::Malformed("others than its owner may write it").of(&shown(path)))
            }
        }
    }
}

/// Reads a file, and says who else can.
pub(super) fn look(
    path: &Path,
    place: Place,
) -> Result<(Zeroizing<String>, Guard), KeyServiceError> {
    let failed = |source| KeyServiceError::File { doing: "read", path: path.to_owned(), source };
    let malformed = |reason| Err(Fault::Malformed(reason).of(&shown(path)));
    // What is judged is the file that was opened, not what lies there a moment later.
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return malformed("it is too long, or no file");
    }
    let root = metadata.uid() == 0 && metadata.gid() == 0;
    let guard = Guard::of(metadata.mode(), root && place == Place::Credential);
    // Room for all of it, so that no copy stays behind in a buffer that grew.
    let capacity = usize::try_from(MAX_FILE_BYTES).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let Ok(text) = std::str::from_utf8(&bytes) else { return malformed("it is no text") };
    Ok((Zeroizing::new(text.to_owned()), guard))
}

/// Writes a file that must not exist yet, readable by its owner only, and waits for the disk.
///
/// # Errors
/// [`KeyServiceError::File`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyServiceError> {
    write(path, bytes).and_then(|()| sync_folder(path)).map_err(|source| KeyServiceError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

/// Gives a key file the content of another one, which [`KeyService::open`](super::KeyService::open) has
/// read before, in one step.
///
/// # Errors
/// [`KeyServiceError`]; the file is as it was.
pub fn replace_by(path: &Path, with: &Path) -> Result<(), KeyServiceError> {
    let bytes = fs::read(with).map(Zeroizing::new).map_err(|source| KeyServiceError::File {
        doing: "read",
        path: with.to_owned(),
        source,
    })?;
    replace(path, &bytes)
}

/// Replaces a file by another in one step, so that a crash leaves the one or the other. What a try that
/// was cut off left beside it, under the name with `.new`, is in the way.
///
/// # Errors
/// [`KeyServiceError`]; the file is as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyServiceError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // It must not exist: whoever made it rotates at this moment, or broke off and is looked after
    // by a person.
    write(&beside, bytes).map_err(|source| KeyServiceError::File {
        doing: "write",
        path: beside.clone(),
        source,
    })?;
    fs::rename(&beside, path)
        .or_else(|error| fs::remove_file(&beside).and(Err(error)))
        .and_then(|()| sync_folder(path))
        .map_err(|source| KeyServiceError::File { doing: "replace", path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    // Half a key in a file of ours would only stand in the way of the next try.
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .or_else(|error| fs::remove_file(path).and(Err(error)))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyService;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;
    use testkit::clock::TestClock;
    use testkit::entropy::Seeded;

    const KEY: [u8; 32] = [7; 32];

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn now() -> Time {
        Time::from_micros(1_795_424_400_000_000)
    }

    fn open(path: &Path) -> Result<KeyService, KeyServiceError> {
        KeyService::open(path, &nothing, Arc::new(TestClock::at(now())))
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    struct Scratch {
        folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn scratch() -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        create_file(&path, &Seeded::new(1), now()).unwrap();
        Scratch { folder, path }
    }

    #[tokio::test]
    async fn a_wrapped_key_opens_with_its_file_and_its_context_only() {
        let (one, other) = (scratch(), tempfile::tempdir().unwrap());
        let service = open(&one.path).unwrap();
        let wrapped = service.wrap(&KEY, "ten_1", &Seeded::new(2)).await.unwrap();
        assert_eq!(*service.unwrap(&wrapped, "ten_1").await.unwrap(), KEY);
        let error = service.unwrap(&wrapped, "ten_2").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Unsealable { .. }), "{error}");
        let path = other.path().join("operator.key");
        create_file(&path, &Seeded::new(3), now()).unwrap();
        let error = open(&path).unwrap().unwrap(&wrapped, "ten_1").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Unsealable { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_altered_or_cut_byte_never_opens() {
        let scratch = scratch();
        let service = open(&scratch.path).unwrap();
        let wrapped = service.wrap(&KEY, "ten_1", &Seeded::new(2)).await.unwrap();
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert!(service.unwrap(&altered, "ten_1").await.is_err(), "{at}");
            assert!(service.unwrap(&wrapped[..at], "ten_1").await.is_err(), "{at}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_taken_away_closes_what_its_key_wrapped() {
        let scratch = scratch();
        let service = open(&scratch.path).unwrap();
        let wrapped = service.wrap(&KEY, "ten_1", &Seeded::new(2)).await.unwrap();
        fs::remove_file(&scratch.path).unwrap();
        let error = service.unwrap(&wrapped, "ten_1").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let scratch = scratch();
        for (bits, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            mode(&scratch.path, bits);
            assert_eq!(open(&scratch.path).is_ok(), good, "{bits:o}");
        }
    }

    #[test]
    fn a_credential_of_systemd_may_be_root_s_and_shown_to_its_group() {
        let scratch = scratch();
        let folder = scratch.folder.path().display().to_string();
        let environment = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone());
        let own = fs::metadata(&scratch.path).unwrap();
        for (bits, good) in [
            (0o400, true),
            (0o440, own.uid() == 0 && own.gid() == 0),
            (0o460, false),
            (0o444, false),
        ] {
            mode(&scratch.path, bits);
            let place = place(&scratch.path, &environment);
            assert_eq!(place, Place::Credential);
            assert_eq!(read(&scratch.path, place).is_ok(), good, "{bits:o}");
        }
    }

    #[test]
    fn a_credential_of_systemd_comes_before_the_data_directory() {
        let scratch = scratch();
        let folder = scratch.folder.path().display().to_string();
        let environment = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone());
        let data = Path::new("/data");
        assert_eq!(default_path(data, &environment), data.join("operator.key"));
        let credential = scratch.folder.path().join("bulla-operator-key");
        fs::rename(&scratch.path, &credential).unwrap();
        assert_eq!(default_path(data, &environment), credential);
        assert_eq!(default_path(data, &nothing), data.join("operator.key"));
    }

    #[tokio::test]
    async fn a_rotation_wraps_with_the_new_key_and_opens_with_both_until_it_ends() {
        let scratch = scratch();
        let service = open(&scratch.path).unwrap();
        let old = service.wrap(&KEY, "ten_1", &Seeded::new(2)).await.unwrap();
        let id = begin_rotation(&scratch.path, &Seeded::new(3), now()).unwrap();
        assert_eq!(fs::metadata(&scratch.path).unwrap().mode() & 0o777, 0o600);
        let new = service.wrap(&KEY, "ten_1", &Seeded::new(4)).await.unwrap();
        assert_eq!(new[4..20], *id.as_bytes());
        assert_eq!(*service.unwrap(&old, "ten_1").await.unwrap(), KEY);
        assert_eq!(*service.unwrap(&new, "ten_1").await.unwrap(), KEY);
        assert_eq!(finish_rotation(&scratch.path).unwrap(), id);
        assert!(service.unwrap(&old, "ten_1").await.is_err());
        assert_eq!(*service.unwrap(&new, "ten_1").await.unwrap(), KEY);
        assert_eq!(open(&scratch.path).unwrap().name(), format!("file:{id}"));
    }

    #[test]
    fn a_rotation_that_broke_off_is_left_to_a_person() {
        let scratch = scratch();
        let before = fs::read(&scratch.path).unwrap();
        fs::write(scratch.folder.path().join("operator.key.new"), "").unwrap();
        assert!(begin_rotation(&scratch.path, &Seeded::new(3), now()).is_err());
        assert_eq!(fs::read(&scratch.path).unwrap(), before);
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_a_word_of_it() {
        let scratch = scratch();
        let good = fs::read_to_string(&scratch.path).unwrap();
        let (id, hex) = good.trim().split_once(' ').unwrap();
        for bad in [
            String::new(),
            "\n".to_owned(),
            format!("{id}\n"),
            format!("{id} {}\n", &hex[1..]),
            format!("{id} {}\n", hex.to_uppercase()),
            format!("{} {hex}\n", id.replace("kek", "key")),
            format!("{good}{hex}\n"),
            good.repeat(17),
        ] {
            fs::write(&scratch.path, &bad).unwrap();
            let error = open(&scratch.path).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(matches!(error, KeyServiceError::Malformed { .. }), "{text}");
            assert!(!text.contains(&hex[8..24]), "{text}");
        }
    }

    #[tokio::test]
    async fn what_was_wrapped_before_opens_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        let line = "kek_01a207a232807b7180021590ff0b4dc3 c15c0289ec2d0a9167ec8e65a18debbe5e5532fbeea293f80bc942ee9086c171";
        write_new(&path, line.as_bytes()).unwrap();
        let wrapped = "0101004c01a207a232807b7180021590ff0b4dc329fb173fb546c44fb3b2c77b4f8873039ba843787f4e323a68f5399317f7ceda76f2f99093bbf4fb3c0fb013577ba59e8d6a6d64d41e06dd14e1509986654aae7b4ff2b983e503f6e2223f1d0ad875d8da35e339587795af47673e157e5ae0e96ae5a7a93b7d29f509a2aef47a7962b1078ec698a9ced6d0";
        let wrapped = data_encoding::HEXLOWER.decode(wrapped.as_bytes()).unwrap();
        let opened = open(&path).unwrap().unwrap(&wrapped, "ten_1").await.unwrap();
        assert_eq!(*opened, KEY);
    }

    #[tokio::test]
    async fn a_context_has_a_length() {
        let scratch = scratch();
        let service = open(&scratch.path).unwrap();
        for (context, good) in [("", false), (&*"x".repeat(257), false), (&*"x".repeat(256), true)]
        {
            let wrapped = service.wrap(&KEY, context, &Seeded::new(2)).await;
            assert_eq!(wrapped.is_ok(), good, "{}", context.len());
        }
    }

    #[test]
    fn a_key_service_is_shared_among_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        fn sent<T: Send>(_: T) {}
        let scratch = scratch();
        let service = open(&scratch.path).unwrap();
        shared(&service);
        sent(service.wrap(&KEY, "ten_1", &Seeded::new(2)));
        sent(service.unwrap(&[], "ten_1"));
    }

    #[test]
    fn a_file_that_exists_is_not_written_over() {
        let scratch = scratch();
        assert!(create_file(&scratch.path, &Seeded::new(3), now()).is_err());
    }
}
