//! An organisation leaves: it gets its data back, and then its keys are destroyed
//! (45 CFR 164.504(e)(2)(ii)(J)).
//!
//! The archive is a folder: `bundle.tar` (the log with the sealed content), `content.jsonl` (the same
//! content, opened, one exchange a line; it is PHI), `agreements` (the executed documents that are kept, as
//! they were filed), and `SHA256SUMS` over all of them. The record of the
//! departure names the digest of `SHA256SUMS`, so the log's signature and stamps vouch for the archive.
//! `certificate.tar` proves that record.

use crate::export::{ExchangeContent, ReadError, ReplyWindow, parse};
use crate::house::{Error, House};
use crate::identity::is_name;
use ledger::bundle::Committed;
use ledger::{Actor, Entry, Event, ExchangeId, Hash, Receipt, Unrecorded};
use phi::Text;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The organisation did not leave.
#[derive(Debug, thiserror::Error)]
pub enum OffboardError {
    /// The archive could not be made.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of the archive could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A hold covers something.
    #[error("a hold is in force: whoever leaves takes everything along, so release it first")]
    Held,
    /// The authority cannot be shown.
    #[error("an authority is a name of 1 to 128 bytes without control characters")]
    Name,
}

impl From<Error> for OffboardError {
    fn from(error: Error) -> Self {
        Self::Read(error.into())
    }
}

impl From<store::Error> for OffboardError {
    fn from(error: store::Error) -> Self {
        Error::from(error).into()
    }
}

/// An organisation that left.
#[derive(Clone, Copy, Debug)]
pub struct Offboarded {
    /// Where it is recorded.
    pub receipt: Receipt,
    /// SHA-256 of the archive's `SHA256SUMS`.
    pub sha256: Hash,
    /// Exchanges whose content was given back.
    pub exchanges: u64,
}

impl House {
    /// Writes the archive into the new folder `out`, then destroys the organisation's keys.
    ///
    /// # Errors
    /// [`OffboardError`]: then no key was destroyed.
    pub async fn offboard(
        &self,
        out: &Path,
        authority: &str,
        actor: Actor,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Offboarded, OffboardError> {
        if !is_name(authority) {
            return Err(OffboardError::Name);
        }
        if self.holds().await?.iter().any(|hold| hold.released.is_none()) {
            return Err(OffboardError::Held);
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OffboardError::File { path, source }
        };
        DirBuilder::new().mode(0o700).create(out).map_err(failed(out))?;
        let path = |name: &str| out.join(name);
        let bundle = path("bundle.tar");
        let file = create(&bundle).map_err(failed(&bundle))?;
        let records = self.export(file, true, actor.clone(), progress).await?;
        let content = path("content.jsonl");
        let mut file = create(&content).map_err(failed(&content))?;
        let exchanges = self.give_back(records, &mut file).await?;
        file.flush().map_err(failed(&content))?;
        let mut written = vec![bundle, content];
        let mut folders = vec![out.to_owned()];
        self.give_back_documents(&path("agreements"), &mut written, &mut folders).await?;

        let mut sums = String::new();
        for path in &written {
            let digest = File::open(path).and_then(Hash::of_read).map_err(failed(path))?;
            let name = path.strip_prefix(out).unwrap_or(path).to_string_lossy();
            // Writing to a String cannot fail.
            let _written = writeln!(sums, "{digest}  {name}").is_ok();
        }
        let list = path("SHA256SUMS");
        let mut file = create(&list).map_err(failed(&list))?;
        file.write_all(sums.as_bytes()).and_then(|()| file.flush()).map_err(failed(&list))?;
        drop(file);
        // What is given back is on the disk before anything is destroyed.
        for path in written.iter().chain([&list]).chain(&folders) {
            File::open(path).and_then(|file| file.sync_all()).map_err(failed(path))?;
        }

        let sha256 = Hash::of(sums.as_bytes());
        let event = Event::Offboarded { actor, authority: authority.to_owned(), sha256 };
        let entry = Entry::bare(self.clock.now(), event);
        let receipt = match self.tenant.append_with(entry, Vec::new()).await {
            Ok(receipt) => receipt,
            // A hold came in between.
            Err(Unrecorded::Conflict) => return Err(OffboardError::Held),
            Err(error) => return Err(Error::from(error).into()),
        };
        self.finish_disposals().await?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        self.anchor().await?;
        if let Some(proved) = self.prove(receipt.seq).await? {
            let certificate = path("certificate.tar");
            let mut file = create(&certificate).map_err(failed(&certificate))?;
            proved.write(&mut file).and_then(|()| file.flush()).map_err(failed(&certificate))?;
        }
        Ok(Offboarded { receipt, sha256, exchanges })
    }

    /// Writes the documents that are kept into the new folder `to`, when there are any; adds what it made
    /// to `written` and `folders`.
    async fn give_back_documents(
        &self,
        to: &Path,
        written: &mut Vec<PathBuf>,
        folders: &mut Vec<PathBuf>,
    ) -> Result<(), OffboardError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OffboardError::File { path, source }
        };
        for row in self.tenant.documents().await?.iter().filter(|row| row.kept) {
            let Some(document) = self.open_document(row).await? else { continue };
            if folders.iter().all(|folder| folder != to) {
                DirBuilder::new().mode(0o700).create(to).map_err(failed(to))?;
                folders.push(to.to_owned());
            }
            // Most are of this form, and whoever gets it wants to open it.
            let ending = if document.starts_with(b"%PDF-") { "pdf" } else { "bin" };
            let path = to.join(format!("{}-{}.{ending}", row.agreement, row.seq));
            let mut file = create(&path).map_err(failed(&path))?;
            file.write_all(&document).and_then(|()| file.flush()).map_err(failed(&path))?;
            written.push(path);
        }
        Ok(())
    }

    /// Writes the opened content of every exchange that still has some.
    async fn give_back(&self, records: u64, out: &mut impl Write) -> Result<u64, ReadError> {
        let mut committed = Committed::default();
        self.each_record(records, |_, bytes| {
            committed.add(&parse(bytes)?.event);
            Ok(())
        })
        .await?;
        let mut exchanges = 0;
        for exchange in committed.exchanges() {
            let blobs = self.tenant.blobs(exchange).await?;
            match self.open_content(exchange, &blobs).await {
                // There is nothing to give back where no more than digests was kept.
                Ok(ExchangeContent { digests: Some(_), .. })
                | Err(ReadError::Disposed | ReadError::NoContent) => {}
                Ok(content) => {
                    write_line(out, exchange, &content).map_err(ReadError::Write)?;
                    exchanges += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(exchanges)
    }
}

fn write_line(
    out: &mut impl Write,
    exchange: ExchangeId,
    content: &ExchangeContent,
) -> io::Result<()> {
    let window = |window: &ReplyWindow| window.received.expose().to_owned();
    let delivered = |window: &ReplyWindow| {
        window.delivered.as_ref().unwrap_or(&window.received).expose().to_owned()
    };
    let line = serde_json::json!({
        "exchange": exchange.to_string(),
        "written": content.written.as_ref().map(Text::expose),
        "left": content.left.as_ref().or(content.written.as_ref()).map(Text::expose),
        "received": content.reply.iter().map(window).collect::<String>(),
        "delivered": content.reply.iter().map(delivered).collect::<String>(),
    });
    writeln!(out, "{line}")
}

/// A new file, for its owner only.
fn create(path: &Path) -> io::Result<BufWriter<File>> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(BufWriter::new)
}
