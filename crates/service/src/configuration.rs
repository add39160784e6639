//! Governed configuration: what may go where, as versions that are never changed.

use crate::house::{Error, House, InForce};
use crate::identity::KeyRing;
use gate::path::Gap;
use gate::rules::{Credential, Destination, Rules, RulesError};
use ledger::{Actor, Change, Entry, Event, Hash, Receipt};
use providers::{Login, Secret, Wire};
use std::fs;
use std::sync::Arc;
use store::{ConfigurationRow, Effect};

/// A file that is larger than this holds no credential and no certificates.
const MAX_SECRET_FILE_BYTES: u64 = 1 << 20;

/// A version of the configuration that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its version, from 1.
    pub version: u64,
    /// SHA-256 of the file; every exchange names it as its `policy`.
    pub sha256: Hash,
    /// What differs from the version before; empty when the file is the one in force.
    pub changes: Vec<Change>,
    /// Where it is recorded; absent when nothing changed.
    pub receipt: Option<Receipt>,
}

/// A configuration was not applied. The one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is not a configuration.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The receiver of a feed is not covered, so nothing may be sent there.
    #[error("feed \"{feed}\": {gap}")]
    Feed {
        /// The feed.
        feed: String,
        /// What is not covered.
        gap: Gap,
    },
    /// Whoever keeps a copy of the log is not covered, so nothing may be written there.
    #[error("copy \"{copy}\": {gap}")]
    Copy {
        /// The copy.
        copy: String,
        /// What is not covered.
        gap: Gap,
    },
    /// The collector of traces is not covered, so nothing may be sent there.
    #[error("traces: {0}")]
    Traces(Gap),
    /// The house failed.
    #[error(transparent)]
    House(#[from] Error),
}

impl House {
    /// Makes `text` the governed configuration in force. A running server follows within a second.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn apply(&self, text: &str, actor: Actor) -> Result<Applied, ApplyError> {
        let rules = Rules::parse(text)?;
        // Whether a prompt may leave is asked for each prompt; feeds and copies go on by themselves.
        for feed in rules.feeds() {
            feed.cover(rules.registry(), self.clock.now())
                .map_err(|gap| ApplyError::Feed { feed: feed.id().to_owned(), gap })?;
        }
        for copy in rules.copies() {
            copy.cover(rules.registry(), self.clock.now())
                .map_err(|gap| ApplyError::Copy { copy: copy.id().to_owned(), gap })?;
        }
        if let Some(traces) = rules.traces() {
            traces.cover(rules.registry(), self.clock.now()).map_err(ApplyError::Traces)?;
        }
        let sha256 = rules.sha256();
        let before = self.tenant.configuration().await.map_err(Error::from)?;
        let (version, old) = match &before {
            None => (1, None),
            Some(row) if row.sha256 == sha256 => {
                let unchanged =
                    Applied { version: row.version, sha256, changes: Vec::new(), receipt: None };
                return Ok(unchanged);
            }
            // A stored file of another version of the program may not parse; everything then counts
            // as new.
            Some(row) => {
                let text = std::str::from_utf8(&row.bytes).unwrap_or_default();
                (row.version + 1, Rules::parse(text).ok())
            }
        };
        let changes = Rules::diff(old.as_ref(), &rules);
        let now = self.clock.now();
        let event =
            Event::ConfigurationApplied { actor, version, sha256, changes: changes.clone() };
        let row =
            ConfigurationRow { version, sha256, applied_at: now, bytes: text.as_bytes().to_vec() };
        let receipt = self
            .tenant
            .append_with(Entry::bare(now, event), vec![Effect::AddConfiguration(row)])
            .await
            .map_err(Error::from)?;
        Ok(Applied { version, sha256, changes, receipt: Some(receipt) })
    }

    /// Reads the keys and the configuration anew.
    ///
    /// # Errors
    /// [`Error`]; then no configuration is in force, so that nothing may leave.
    pub async fn reload(&self) -> Result<(), Error> {
        match self.tenant.api_keys().await {
            Ok(rows) => self.keys.store(Arc::new(KeyRing::new(rows))),
            Err(error) => {
                self.forget_keys();
                return Err(error.into());
            }
        }
        let row = self.tenant.configuration().await?;
        let in_force = row.map(|row| self.put_in_force(&row)).transpose();
        match in_force {
            Ok(in_force) => {
                self.cache.follow(in_force.as_ref().map(|it| it.rules.sha256()));
                self.in_force.store(in_force.map(Arc::new));
                Ok(())
            }
            Err(error) => {
                // Fail closed: rules that cannot be read permit nothing.
                self.in_force.store(None);
                self.cache.follow(None);
                Err(error)
            }
        }
    }

    /// Lets nobody in until the keys are read again: one that was revoked meanwhile is not known from others
    /// (45 CFR 164.308(a)(3)(ii)(C)).
    pub(crate) fn forget_keys(&self) {
        self.keys.store(Arc::default());
    }

    fn put_in_force(&self, row: &ConfigurationRow) -> Result<InForce, Error> {
        let text = std::str::from_utf8(&row.bytes).unwrap_or_default();
        let rules = Rules::parse(text)
            .map_err(|source| Error::Configuration { version: row.version, source })?;
        let wires = rules
            .destinations()
            .filter_map(|destination| Some((destination.id().to_owned(), self.wire(destination)?)))
            .collect();
        Ok(InForce { rules, version: row.version, wires })
    }

    /// What a destination needs from the world; absent when it cannot be had, so that requests to it
    /// fail instead of going out without it.
    fn wire(&self, destination: &Destination) -> Option<Wire> {
        let credential = match destination.credential() {
            Credential::None => None,
            Credential::Env(name) => Some(Secret::new(&(self.environment)(name)?)),
            Credential::File(path) => Some(Secret::new(&read_small(path)?)),
        };
        let authority_pem = match destination.ca_file() {
            None => None,
            Some(path) => Some(read_small(path)?.into_bytes()),
        };
        let login = Login::new(destination, credential)?;
        Some(Wire { login, authority_pem, patience: destination.timeouts().into() })
    }
}

pub(crate) fn read_small(path: &std::path::Path) -> Option<String> {
    let readable = fs::metadata(path).is_ok_and(|file| file.len() <= MAX_SECRET_FILE_BYTES);
    let text = if readable { fs::read_to_string(path).ok() } else { None };
    if text.is_none() {
        tracing::warn!(path = %path.display(), "a file that the configuration names cannot be read");
    }
    text
}
