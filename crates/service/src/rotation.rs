//! Replacing the keys that wrap other keys, while everything goes on.
//!
//! Nothing is sealed anew: what a key wrapped is wrapped by the next one, some hundred keys for an
//! organisation of any size, because the keys of content stand on shelves. A running server follows
//! within a second; what it has open meanwhile stays readable.

use crate::house::{Error, House, rewrap_signer};
use crate::keys::first_key_id;
use crate::retention::system;
use ledger::{Actor, Entry, Event, Receipt};
use providers::keys::{self, KeyService, Renewal};
use std::path::Path;
use std::sync::Arc;
use store::Effect;

/// A key that was replaced.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The name of the key before.
    pub from: String,
    /// The name of the key from now on.
    pub to: String,
    /// Where it is recorded.
    pub receipt: Receipt,
}

impl House {
    /// Replaces the organisation's key.
    ///
    /// # Errors
    /// [`Error`]; the former key is in force then, or the new one, never half of each.
    pub async fn rotate_organisation(&self, actor: Actor) -> Result<Rotated, Error> {
        let (from, to) = self.content_keys.rotate().await?;
        self.record_rotation("organisation", from.to_string(), to.to_string(), actor).await
    }

    /// Replaces the operator's key, by a fresh one in the same file, or by what `to` describes: another
    /// key file, another key service. The key file then holds what `to` holds.
    ///
    /// # Errors
    /// [`Error`]. A key file is left with both keys when it was cut off; trying again ends it.
    pub async fn rotate_operator(&self, to: Option<&Path>, actor: Actor) -> Result<Rotated, Error> {
        let before = self.content_keys.service();
        let from = before.name().to_owned();
        let environment = |name: &str| (self.environment)(name);
        let fresh = self.key_path.with_extension("next");
        let to = match (to, before.renewal()) {
            (Some(to), _) => Some(to),
            (None, Renewal::InFile) => {
                keys::begin_rotation(&self.key_path, &*self.entropy, self.clock.now())?;
                None
            }
            (None, Renewal::FreshFile) => {
                // One of a try that was cut off goes on.
                if !fresh.exists() {
                    keys::create(&fresh, &environment, &*self.entropy, self.clock.now())?;
                }
                Some(fresh.as_path())
            }
            (None, Renewal::ByService) => None,
        };
        let path = to.unwrap_or(&self.key_path);
        let after = KeyService::open(path, &environment, Arc::clone(&self.clock))?;
        for (file, name) in self.signer_files() {
            rewrap_signer(&file, &before, &after, &name, &*self.entropy).await?;
        }
        self.content_keys.rewrap(&after).await?;
        match to {
            Some(to) => keys::replace_by(&self.key_path, to)?,
            None if before.renewal() == Renewal::InFile => {
                keys::finish_rotation(&self.key_path)?;
            }
            None => {}
        }
        if fresh.exists() && std::fs::remove_file(&fresh).is_err() {
            tracing::warn!(path = %fresh.display(), "remove this copy of the operator's key");
        }
        self.record_rotation("operator", from, after.name().to_owned(), actor).await
    }

    async fn record_rotation(
        &self,
        level: &str,
        from: String,
        to: String,
        actor: Actor,
    ) -> Result<Rotated, Error> {
        let event = Event::KeyRotated {
            actor,
            level: level.to_owned(),
            former: from.clone(),
            current: to.clone(),
        };
        let effects = match level {
            "organisation" => vec![Effect::Notice(notice(&to))],
            _ => Vec::new(),
        };
        let entry = Entry::bare(self.clock.now(), event);
        let receipt = self.tenant.append_with(entry, effects).await?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        self.anchor().await?;
        Ok(Rotated { from, to, receipt })
    }

    /// Records a change of the organisation's key that was cut off before its record.
    pub(crate) async fn record_lost_rotation(&self) -> Result<(), Error> {
        let Some(current) = self.content_keys.current().await? else { return Ok(()) };
        let to = current.to_string();
        if current == first_key_id(self.log.tenant)
            || self.tenant.notice_given(&notice(&to)).await?
        {
            return Ok(());
        }
        let event = Event::KeyRotated {
            actor: system(),
            level: "organisation".to_owned(),
            former: "unknown".to_owned(),
            current: to.clone(),
        };
        let entry = Entry::bare(self.clock.now(), event);
        self.tenant.append_with(entry, vec![Effect::Notice(notice(&to))]).await?;
        Ok(())
    }
}

/// What says that the change to this key is recorded.
fn notice(key: &str) -> String {
    format!("key/{key}")
}
