//! Forgetting: disposal by destroying keys, the retention schedule, and holds that suspend both.
//!
//! A disposal has two parts: its record, and then the destruction of the keys. The record comes first,
//! so nothing becomes unreadable without one; a destruction that was cut off is finished by the next
//! sweep, and by the next start before anything is served.
//!
//! A shelf's key wraps the keys of all units of a day, so destroying it is enough for a whole day. A
//! unit that goes alone takes its shelf along: the others are first moved to the key store, under the
//! organisation's key. Either way an old copy of the database holds only what no key opens.

#![expect(clippy::similar_names, reason = "no other word for a shelf says so much")]

use crate::house::{Error, House};
use crate::identity::is_name;
use crate::keys::Held;
use gate::rules::{Decision, Retention};
use ledger::seal::{OpenKeys, PerClass};
use ledger::{
    Actor, ActorKind, ContentClass, ContentKeyId, ConversationId, Day, Disposal, Entry, Event,
    Hash, Receipt, Record, Unit, WrappedUnit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::{Destruction, Forgotten, HoldRow, OpenDisposal, ShelfRow};

/// How long a shelf that is closed waits until every process has noticed; they look five times a second.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Tries against another process that changes the same keys.
const TRIES: usize = 4;

/// By which right the schedule disposes.
pub(crate) const SCHEDULE: &str = "retention schedule";

/// Why something is disposed of before the schedule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisposalReason {
    /// A person or customer asks for it.
    Request,
    /// It should never have come in.
    Error,
    /// A court or regulator orders it.
    Order,
}

impl DisposalReason {
    const fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Error => "error",
            Self::Order => "order",
        }
    }
}

/// What is to be disposed of alone.
#[derive(Clone, Debug)]
pub struct DisposalRequest {
    /// The exchange or conversation.
    pub unit: Unit,
    /// Which classes of its content.
    pub classes: Vec<ContentClass>,
    /// By which right, in at most 128 bytes; never a person's name or number.
    pub authority: String,
    /// Why.
    pub reason: DisposalReason,
    /// SHA-256 of the signed decision; needed before the schedule's time.
    pub decision: Option<Hash>,
}

/// Nothing was disposed of.
#[derive(Debug, thiserror::Error)]
pub enum DisposeError {
    /// The house failed.
    #[error(transparent)]
    House(#[from] Error),
    /// No such content is kept.
    #[error("no content of that exchange or conversation is kept")]
    Unknown,
    /// The exchange goes only with its conversation, which shares its keys.
    #[error("the exchange is part of the conversation {0}, which is disposed of as a whole")]
    InConversation(ConversationId),
    /// It is too early.
    #[error(
        "{class} of that day are kept until {due}; to dispose of them before takes a signed decision"
    )]
    Early {
        /// The class.
        class: ContentClass,
        /// The first day on which it may go.
        due: Day,
    },
    /// A hold covers it.
    #[error("the hold \"{hold}\" covers it")]
    Held {
        /// The hold.
        hold: String,
    },
    /// A name or authority cannot be shown, or no class is named.
    #[error("a hold and an authority are names of 1 to 128 bytes without control characters")]
    Name,
    /// A hold of this name was placed before, or is not in force.
    #[error("a hold of that name was placed before, or none of that name is in force")]
    Hold,
}

impl From<store::Error> for DisposeError {
    fn from(error: store::Error) -> Self {
        Self::House(error.into())
    }
}

/// What was disposed of.
#[derive(Clone, Copy, Debug)]
pub struct Disposed {
    /// Where it is recorded.
    pub receipt: Receipt,
    /// Conversations, and exchanges outside of any, whose keys are destroyed.
    pub units: u64,
}

/// What there is to destroy.
#[derive(Default)]
struct Plan {
    destruction: Destruction,
    forgotten: Vec<Forgotten>,
}

pub(crate) fn in_force(holds: &[HoldRow]) -> impl Iterator<Item = &HoldRow> {
    holds.iter().filter(|hold| hold.released.is_none())
}

/// Which classes are named.
fn set_of(classes: &[ContentClass]) -> PerClass<bool> {
    PerClass::make(|class| classes.contains(&class))
}

/// Of these keys, those of the named classes.
fn only(classes: &PerClass<bool>, mut keys: OpenKeys) -> OpenKeys {
    PerClass {
        prompts: keys.prompts.take().filter(|_| classes.prompts),
        answers: keys.answers.take().filter(|_| classes.answers),
        surrogates: keys.surrogates.take().filter(|_| classes.surrogates),
    }
}

/// Whether a key of a named class is there.
fn any_of<T>(classes: &PerClass<bool>, keys: &PerClass<Option<T>>) -> bool {
    ContentClass::ALL.iter().any(|class| *classes.get(*class) && keys.get(*class).is_some())
}

impl House {
    /// The retention schedule in force.
    pub(crate) fn retention(&self) -> Retention {
        let in_force = self.in_force.load();
        in_force.as_ref().map(|it| it.rules.retention().clone()).unwrap_or_default()
    }

    /// Disposes of one exchange or conversation.
    ///
    /// # Errors
    /// [`DisposeError`]: nothing was disposed of.
    pub async fn dispose(
        &self,
        request: DisposalRequest,
        actor: Actor,
    ) -> Result<Disposed, DisposeError> {
        let DisposalRequest { unit, mut classes, authority, reason, decision } = request;
        classes.sort_unstable();
        classes.dedup();
        if !is_name(&authority) || classes.is_empty() {
            return Err(DisposeError::Name);
        }
        let gone = set_of(&classes);
        let units = self.units_of(unit).await?;
        let mut count = 0;
        let (retention, today) = (self.retention(), self.clock.now().day());
        for one in &units {
            let (day, keys) = self.content_keys.open_unit(one).await.map_err(Error::from)?;
            count += u64::from(any_of(&gone, &keys));
            let due = |class: &ContentClass| (*class, retention.due(*class, day));
            let early = classes.iter().map(due).find(|(_, due)| *due > today);
            if let (Some((class, due)), None) = (early, decision) {
                return Err(DisposeError::Early { class, due });
            }
        }
        if count == 0 {
            return Err(DisposeError::Unknown);
        }
        let holds = self.tenant.holds().await?;
        let covers = |hold: &&HoldRow| hold.unit.is_none_or(|held| held == unit);
        if let Some(hold) = in_force(&holds).find(covers) {
            return Err(DisposeError::Held { hold: hold.name.clone() });
        }
        let event = Event::Disposed {
            actor,
            scope: unit.into(),
            classes,
            authority,
            reason: reason.word().to_owned(),
            count,
            held: 0,
            sha256: decision,
        };
        let receipt = self.record_disposal(event).await?;
        self.anchor().await?;
        Ok(Disposed { receipt, units: count })
    }

    /// The units of an exchange or conversation of which content is kept.
    async fn units_of(&self, unit: Unit) -> Result<Vec<WrappedUnit>, DisposeError> {
        match unit {
            Unit::Conversation(conversation) => Ok(self.tenant.units_of(conversation).await?),
            Unit::Exchange(exchange) => match self.tenant.unit_of(exchange).await? {
                Some(WrappedUnit { conversation: Some(of), .. }) => {
                    Err(DisposeError::InConversation(of))
                }
                found => Ok(found.into_iter().collect()),
            },
        }
    }

    /// Makes the record of a disposal durable and carries it out.
    pub(crate) async fn record_disposal(&self, event: Event) -> Result<Receipt, Error> {
        let entry = Entry::bare(self.clock.now(), event);
        let receipt = self.tenant.append_with(entry, Vec::new()).await?;
        self.finish_disposals().await?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        Ok(receipt)
    }

    /// Disposes of what the schedule says is due. Says how many conversations, and exchanges outside of
    /// any, that were.
    ///
    /// # Errors
    /// [`Error`] when keys or log cannot be read or written. What is recorded by then is carried out by
    /// the next sweep.
    pub async fn apply_retention(&self) -> Result<u64, Error> {
        self.finish_disposals().await?;
        let retention = self.retention();
        let today = self.clock.now().day();
        let mut groups: BTreeMap<Day, Vec<ContentClass>> = BTreeMap::new();
        for class in ContentClass::ALL {
            groups.entry(retention.kept_from(class, today)).or_default().push(class);
        }
        let mut disposed = 0;
        for (day, classes) in groups {
            let holds = self.tenant.holds().await?;
            if in_force(&holds).any(|hold| hold.unit.is_none()) {
                return Ok(disposed);
            }
            let (count, held) =
                self.due(day, &set_of(&classes), &self.held_units(&holds).await?).await?;
            if count == 0 {
                continue;
            }
            tracing::info!(%day, count, "the retention schedule disposes of content");
            let event = Event::Disposed {
                actor: system(),
                scope: Disposal::Before(day),
                classes,
                authority: SCHEDULE.to_owned(),
                reason: "retention".to_owned(),
                count,
                held,
                sha256: retention.decision().map(Decision::sha256),
            };
            self.record_disposal(event).await?;
            disposed += count;
        }
        Ok(disposed)
    }

    /// How many units of days before `day` still have keys of these classes, and how many of them are
    /// held.
    async fn due(
        &self,
        day: Day,
        gone: &PerClass<bool>,
        held: &BTreeSet<ContentKeyId>,
    ) -> Result<(u64, u64), Error> {
        let mut due = BTreeSet::new();
        for shelf in self.due_shelves(day, gone).await? {
            self.each_on(shelf.id, |unit| {
                if any_of(gone, &unit.keys) {
                    due.insert(unit.id);
                }
            })
            .await?;
        }
        for unit in self.store.keys().moved_units(self.log.tenant).await? {
            if unit.day < day && any_of(gone, &unit.keys) {
                due.insert(unit.id);
            }
        }
        let kept = due.intersection(held).count() as u64;
        Ok((due.len() as u64 - kept, kept))
    }

    /// Shelves of days before `day` that still have keys of these classes.
    async fn due_shelves(&self, day: Day, gone: &PerClass<bool>) -> Result<Vec<ShelfRow>, Error> {
        let shelves = self.store.keys().shelves(self.log.tenant).await?;
        let due = |shelf: &ShelfRow| shelf.day < day && any_of(gone, &shelf.keys);
        Ok(shelves.into_iter().filter(due).collect())
    }

    async fn each_on(
        &self,
        shelf: ContentKeyId,
        mut visit: impl FnMut(&WrappedUnit),
    ) -> Result<(), Error> {
        let mut after = None;
        loop {
            let units = self.tenant.units_on(shelf, after).await?;
            let Some(last) = units.last() else { return Ok(()) };
            after = Some(last.id);
            units.iter().for_each(&mut visit);
        }
    }

    /// The units that holds in force cover one by one.
    async fn held_units(&self, holds: &[HoldRow]) -> Result<BTreeSet<ContentKeyId>, Error> {
        let mut held = BTreeSet::new();
        for unit in in_force(holds).filter_map(|hold| hold.unit) {
            match unit {
                Unit::Conversation(conversation) => {
                    let units = self.tenant.units_of(conversation).await?;
                    held.extend(units.iter().map(|unit| unit.id));
                }
                Unit::Exchange(exchange) => {
                    held.extend(self.tenant.unit_of(exchange).await?.map(|unit| unit.id));
                }
            }
        }
        Ok(held)
    }

    /// Carries out the disposals that are recorded and were cut off.
    ///
    /// # Errors
    /// [`Error`] when keys cannot be read or written; the disposals stay open.
    pub async fn finish_disposals(&self) -> Result<(), Error> {
        for disposal in self.tenant.open_disposals().await? {
            self.carry_out(&disposal).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, disposal: &OpenDisposal) -> Result<(), Error> {
        let Ok(Record { event, .. }) = Record::from_bytes(&disposal.record) else {
            tracing::error!(seq = disposal.seq, "an open disposal does not parse");
            return Ok(());
        };
        if matches!(event, Event::Offboarded { .. }) {
            self.store.keys().destroy_tenant_key(self.log.tenant).await?;
            self.content_keys.forget();
            return Ok(self.tenant.forget(disposal.seq, Vec::new()).await?);
        }
        if let Event::AgreementDisposed { agreement, sha256, .. } = &event {
            return self.destroy_documents(disposal.seq, agreement, *sha256).await;
        }
        let Event::Disposed { scope, classes, .. } = event else {
            tracing::error!(seq = disposal.seq, "an open disposal is none");
            return Ok(());
        };
        let gone = set_of(&classes);
        for _ in 0..TRIES {
            // A hold may have come between the record and this moment: then what it covers waits.
            let holds = self.tenant.holds().await?;
            let unit = match scope {
                Disposal::Exchange(exchange) => Some(Unit::Exchange(exchange)),
                Disposal::Conversation(conversation) => Some(Unit::Conversation(conversation)),
                Disposal::Before(_) => None,
            };
            let covers =
                |hold: &HoldRow| hold.unit.is_none() || unit.is_some() && hold.unit == unit;
            if in_force(&holds).any(covers) {
                return Ok(());
            }
            let keys = self.content_keys.held().await?;
            let Plan { destruction, forgotten } = match (scope, unit) {
                (Disposal::Before(day), _) => {
                    let held = self.held_units(&holds).await?;
                    self.plan_of_days(&keys, day, &gone, &held).await?
                }
                (_, Some(unit)) => self.plan_of_unit(&keys, unit, &gone).await?,
                (_, None) => Plan::default(),
            };
            let under = keys.organisation().id();
            match self.store.keys().destroy(self.log.tenant, under, destruction).await {
                Ok(()) => {
                    self.content_keys.forget();
                    return Ok(self.tenant.forget(disposal.seq, forgotten).await?);
                }
                // The organisation's key was replaced meanwhile.
                Err(store::Error::Conflict) => self.content_keys.forget(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(store::Error::Conflict.into())
    }

    /// From here on nothing new is put on these shelves.
    async fn close(&self, shelves: &[ShelfRow]) -> Result<(), Error> {
        let open: Vec<_> = shelves.iter().filter(|shelf| !shelf.closed).collect();
        for shelf in &open {
            self.store.keys().close_shelf(self.log.tenant, shelf.id).await?;
        }
        if !open.is_empty() {
            tokio::time::sleep(CLOSE_WAIT).await;
        }
        for shelf in shelves {
            // Whoever has not noticed is refused by the database.
            self.tenant.close_shelf(shelf.id).await?;
        }
        Ok(())
    }

    async fn plan_of_unit(
        &self,
        keys: &Held,
        unit: Unit,
        gone: &PerClass<bool>,
    ) -> Result<Plan, Error> {
        let units = match unit {
            Unit::Conversation(conversation) => self.tenant.units_of(conversation).await?,
            Unit::Exchange(exchange) => self.tenant.unit_of(exchange).await?.into_iter().collect(),
        };
        let going: BTreeSet<_> = units.iter().map(|unit| unit.id).collect();
        let mut shelves = BTreeMap::new();
        for id in units.iter().map(|unit| unit.shelf) {
            let shelf = self.store.keys().shelf(self.log.tenant, id).await?;
            // A shelf whose keys of these classes are gone already has nothing on it to save.
            shelves.extend(shelf.filter(|row| any_of(gone, &row.keys)).map(|row| (id, row)));
        }
        let shelves: Vec<_> = shelves.into_values().collect();
        self.close(&shelves).await?;
        let mut plan = Plan::default();
        for shelf in &shelves {
            let mut others = Vec::new();
            self.each_on(shelf.id, |unit| {
                if !going.contains(&unit.id) && any_of(gone, &unit.keys) {
                    others.push(unit.clone());
                }
            })
            .await?;
            self.save(keys, &others, gone, &mut plan).await?;
            plan.destruction.shelves.push((shelf.id, gone.clone()));
        }
        for unit in &units {
            plan.destruction.units.push((unit.id, gone.clone()));
            plan.forgotten.push(Forgotten::Unit(unit.id, gone.clone()));
        }
        if let (Unit::Conversation(conversation), true) = (unit, gone.surrogates) {
            plan.forgotten.push(Forgotten::Conversation(conversation));
        }
        Ok(plan)
    }

    async fn plan_of_days(
        &self,
        keys: &Held,
        day: Day,
        gone: &PerClass<bool>,
        held: &BTreeSet<ContentKeyId>,
    ) -> Result<Plan, Error> {
        let shelves = self.due_shelves(day, gone).await?;
        self.close(&shelves).await?;
        let mut plan = Plan::default();
        let going: BTreeSet<_> = shelves.iter().map(|shelf| shelf.id).collect();
        let mut kept = Vec::new();
        for id in held {
            let unit = self.tenant.unit(*id).await?;
            kept.extend(unit.filter(|unit| going.contains(&unit.shelf)));
        }
        self.save(keys, &kept, gone, &mut plan).await?;
        for shelf in shelves {
            plan.destruction.shelves.push((shelf.id, gone.clone()));
            plan.forgotten.push(Forgotten::Shelf(shelf.id, gone.clone()));
        }
        for unit in self.store.keys().moved_units(self.log.tenant).await? {
            if unit.day < day && !held.contains(&unit.id) && any_of(gone, &unit.keys) {
                plan.destruction.units.push((unit.id, gone.clone()));
                plan.forgotten.push(Forgotten::Unit(unit.id, gone.clone()));
            }
        }
        Ok(plan)
    }

    /// Plans to move the keys of these classes of units whose shelf goes.
    async fn save(
        &self,
        keys: &Held,
        units: &[WrappedUnit],
        gone: &PerClass<bool>,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        for unit in units {
            let (day, opened) = self.content_keys.open_unit(unit).await?;
            let moved = only(gone, opened);
            if any_of(gone, &moved) {
                plan.destruction.saved.push(self.content_keys.moved(keys, unit.id, day, &moved));
            }
        }
        Ok(())
    }

    /// Suspends the disposal of one exchange, one conversation, or everything.
    ///
    /// # Errors
    /// [`DisposeError::Hold`] when there was a hold of this name.
    pub async fn place_hold(
        &self,
        hold: &str,
        unit: Option<Unit>,
        authority: &str,
        actor: Actor,
    ) -> Result<Receipt, DisposeError> {
        let (hold, authority) = names(hold, authority)?;
        self.record_hold(Event::HoldPlaced { actor, hold, unit, authority }).await
    }

    /// Ends a hold.
    ///
    /// # Errors
    /// [`DisposeError::Hold`] when none of this name is in force.
    pub async fn release_hold(
        &self,
        hold: &str,
        authority: &str,
        actor: Actor,
    ) -> Result<Receipt, DisposeError> {
        let (hold, authority) = names(hold, authority)?;
        self.record_hold(Event::HoldReleased { actor, hold, authority }).await
    }

    async fn record_hold(&self, event: Event) -> Result<Receipt, DisposeError> {
        let entry = Entry::bare(self.clock.now(), event);
        match self.tenant.append_with(entry, Vec::new()).await {
            Ok(receipt) => Ok(receipt),
            Err(ledger::Unrecorded::Conflict) => Err(DisposeError::Hold),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    /// The holds, ended ones too, oldest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn holds(&self) -> Result<Vec<HoldRow>, Error> {
        Ok(self.tenant.holds().await?)
    }
}

fn names(hold: &str, authority: &str) -> Result<(String, String), DisposeError> {
    if is_name(hold) && is_name(authority) {
        Ok((hold.to_owned(), authority.to_owned()))
    } else {
        Err(DisposeError::Name)
    }
}

/// Bulla itself, at work by the schedule.
pub(crate) fn system() -> Actor {
    Actor { kind: ActorKind::System, id: "bulla".to_owned(), name: "Bulla".to_owned() }
}
