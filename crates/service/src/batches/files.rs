//! Files that callers bring.

use super::{KEPT_DAYS, MAX_FILE_BYTES, MAX_FILES, MAX_PAGE, Output, Unserved};
use crate::house::House;
use crate::identity::Principal;
use gate::Code;
use ledger::{ContentClass, ConversationId, FileId, Time};
use phi::Text;
use std::sync::Arc;
use store::{Change, FileKind, FileRow};

/// The longest name of a file that is kept.
const MAX_NAME_BYTES: usize = 512;

/// A file as a caller brings it.
pub struct NewFile {
    /// The caller.
    pub principal: Principal,
    /// What it is for, as the caller says.
    pub purpose: Text,
    /// Its name.
    pub name: Text,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for NewFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewFile")
    }
}

/// A file, for its caller.
#[derive(Debug)]
pub struct FileView {
    /// The file.
    pub id: FileId,
    /// Its bytes.
    pub bytes: u64,
    /// When it came.
    pub created: Time,
    /// From then on it is gone.
    pub expires: Time,
    /// Its name.
    pub name: Text,
    /// `batch` or `batch_output`.
    pub purpose: &'static str,
}

impl House {
    /// Keeps a file, sealed, for batches to be made of.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn add_file(&self, file: NewFile) -> Result<FileView, Unserved> {
        let NewFile { principal, purpose, name, bytes } = file;
        if purpose.expose() != "batch" {
            return Err(Unserved::fixed(
                Code::UnsupportedContent,
                "A file's purpose is \"batch\" here: what cannot be searched line by line is not taken.",
            ));
        }
        self.keeps_content()?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Unserved::fixed(Code::TooLarge, "A file has at most 16 MiB."));
        }
        if bytes.is_empty() || std::str::from_utf8(&bytes).is_err() {
            let message = "A file for batches is UTF-8 text, one JSON document in each line.";
            return Err(Unserved::fixed(Code::InvalidRequest, message));
        }
        if name.len() > MAX_NAME_BYTES {
            let message = "The name of a file has at most 512 bytes.";
            return Err(Unserved::fixed(Code::InvalidRequest, message));
        }
        let key = principal.key();
        let others = self.tenant.files(key, None, MAX_FILES).await?;
        if others.len() >= MAX_FILES as usize {
            let message = "An API key has at most 100 files. Delete one.";
            return Err(Unserved::fixed(Code::InvalidRequest, message));
        }
        let now = self.clock.now();
        let id = FileId::mint(now, &*self.entropy);
        // Its unit is its own: nothing else goes with it.
        let unit = Some(ConversationId::from_bytes(*id.as_bytes()));
        let (keys, new_unit) = self.content_keys.begin_unit(unit).await?;
        let seal = |part: &str, bytes: &[u8]| {
            let binding = binding(self, id, part);
            keys.key(ContentClass::Prompts).seal_small(&binding, bytes, &*self.entropy)
        };
        let row = FileRow {
            id,
            key,
            kind: FileKind::Input,
            batch: None,
            created: now,
            expires: now.plus_seconds(KEPT_DAYS * 86_400),
            bytes: bytes.len() as u64,
            unit: Some(keys.id()),
            label: Some(seal("name", name.expose().as_bytes())),
        };
        let sealed = seal("bytes", &bytes);
        let change = Change::AddInput { row: row.clone(), sealed, new_unit };
        self.tenant.change(vec![change]).await?;
        Ok(view(&row, name))
    }

    /// A file.
    ///
    /// # Errors
    /// [`Unserved`]; one of another key is not there.
    pub async fn read_file(&self, principal: &Principal, id: FileId) -> Result<FileView, Unserved> {
        let row = self.own_file(principal, id).await?;
        self.file_view(&row).await
    }

    /// The files of a key, the newest first, and whether there are more.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn list_files(
        &self,
        principal: &Principal,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<(Vec<FileView>, bool), Unserved> {
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = self.tenant.files(principal.key(), after, limit + 1).await?;
        let more = rows.len() > limit as usize;
        let mut views = Vec::new();
        for row in rows.iter().take(limit as usize) {
            views.push(self.file_view(row).await?);
        }
        Ok((views, more))
    }

    /// What is in a file: what the caller brought, or the answers of a batch, each of which was recorded
    /// before.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn file_content(
        self: &Arc<Self>,
        principal: &Principal,
        id: FileId,
    ) -> Result<Output, Unserved> {
        let row = self.own_file(principal, id).await?;
        match row.batch {
            Some(batch) => Ok(Output::lines(Arc::clone(self), batch, row.kind)),
            None => Ok(Output::whole(self.input(&row).await?)),
        }
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn delete_file(&self, principal: &Principal, id: FileId) -> Result<(), Unserved> {
        let row = self.own_file(principal, id).await?;
        let change = Change::DropFile { id: row.id, key: row.key };
        Ok(self.tenant.change(vec![change]).await?)
    }

    pub(super) async fn own_file(
        &self,
        principal: &Principal,
        id: FileId,
    ) -> Result<FileRow, Unserved> {
        let now = self.clock.now();
        let row = self.tenant.file(id).await?;
        row.filter(|row| row.key == principal.key() && now < row.expires).ok_or(Unserved::no_file())
    }

    /// What a caller brought.
    pub(super) async fn input(&self, row: &FileRow) -> Result<Text, Unserved> {
        let sealed = self.tenant.file_bytes(row.id).await?.ok_or(Unserved::no_file())?;
        let unit = row.unit.ok_or(Unserved::no_file())?;
        let opened = self.opened_under(unit, &binding(self, row.id, "bytes"), &sealed).await?;
        opened.ok_or(Unserved::no_file())
    }

    async fn file_view(&self, row: &FileRow) -> Result<FileView, Unserved> {
        let name = match (row.unit, &row.label) {
            (Some(unit), Some(label)) => {
                self.opened_under(unit, &binding(self, row.id, "name"), label).await?
            }
            _ => row.batch.map(|batch| match row.kind {
                FileKind::Output => Text::new(format!("{batch}_output.jsonl")),
                FileKind::Errors | FileKind::Input => Text::new(format!("{batch}_error.jsonl")),
            }),
        };
        Ok(view(row, name.unwrap_or_default()))
    }
}

fn view(row: &FileRow, name: Text) -> FileView {
    let purpose = match row.kind {
        FileKind::Input => "batch",
        FileKind::Output | FileKind::Errors => "batch_output",
    };
    let FileRow { id, bytes, created, expires, .. } = *row;
    FileView { id, bytes, created, expires, name, purpose }
}

fn binding(house: &House, file: FileId, part: &str) -> String {
    format!("bulla-file-1|{}|{file}|{part}", house.log)
}
