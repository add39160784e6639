//! What was spent, day by day.

use crate::support::{House, TENANT, time};
use ledger::{Actor, ActorKind, ApiKeyId, Day, Entry, Event, Hash, Time};
use store::{ApiKeyRow, Effect, KeyRole, SpentRow, Store, Tenant};

const KEY: ApiKeyId = ApiKeyId::from_bytes([7; 16]);

fn entry() -> Entry {
    let actor = Actor { kind: ActorKind::System, id: "bulla".to_owned(), name: "bulla".to_owned() };
    Entry::bare(time(0), Event::Started { actor, version: "0".to_owned() })
}

fn row(day: &str, tokens: i64, micros: i64) -> SpentRow {
    let (route, currency) = ("assistant".to_owned(), "USD".to_owned());
    SpentRow { day: day.parse().unwrap(), key: KEY, route, currency, tokens, micros }
}

async fn spend(tenant: &Tenant, rows: Vec<SpentRow>) {
    let effects = rows.into_iter().map(Effect::Spend).collect();
    tenant.append_with(entry(), effects).await.unwrap();
}

async fn add_key(tenant: &Tenant) {
    let key = ApiKeyRow {
        id: KEY,
        secret_hash: Hash::of(b"secret"),
        owner: "Example Bot".to_owned(),
        purpose: None,
        role: KeyRole::Caller,
        created: Time::from_micros(0),
        expires: None,
        revoked_at: None,
    };
    tenant.append_with(entry(), vec![Effect::AddApiKey(key)]).await.unwrap();
}

async fn since(tenant: &Tenant, day: &str) -> Vec<(String, String, i64, i64)> {
    let day: Day = day.parse().unwrap();
    let add = |sum: &mut Vec<_>, row: SpentRow, owner| {
        sum.push((row.day.to_string(), owner, row.tokens, row.micros));
    };
    tenant.spent_since(day, Vec::new(), add).await.unwrap()
}

fn of(day: &str, tokens: i64, micros: i64) -> (String, String, i64, i64) {
    (day.to_owned(), "Example Bot".to_owned(), tokens, micros)
}

#[tokio::test]
async fn what_was_spent_adds_up_also_after_a_restart() {
    let house = House::new().await;
    add_key(&house.tenant).await;
    spend(&house.tenant, vec![row("2026-11-26", 100, 5), row("2026-11-27", 7, 1)]).await;
    // What an exchange did not use of what it might have used comes back.
    spend(&house.tenant, vec![row("2026-11-26", -40, -2)]).await;
    let folder = house.close();
    let tenant = Store::open(folder.path()).unwrap().tenant(TENANT);
    let both = [of("2026-11-26", 60, 3), of("2026-11-27", 7, 1)];
    assert_eq!(since(&tenant, "2026-11-01").await, both);
    assert_eq!(since(&tenant, "2026-11-27").await, both[1..]);
    assert_eq!(tenant.purge_spent("2026-11-27".parse().unwrap()).await.unwrap(), 1);
    assert_eq!(since(&tenant, "2026-11-01").await, both[1..]);
}

#[tokio::test]
async fn what_is_spent_is_kept_with_its_record_or_not_at_all() {
    let house = House::new().await;
    add_key(&house.tenant).await;
    let size = house.tenant.head().await.unwrap().size();
    let key = Effect::RevokeApiKey { id: ApiKeyId::from_bytes([9; 16]), at: time(0) };
    let effects = vec![Effect::Spend(row("2026-11-26", 100, 5)), key];
    assert!(house.tenant.append_with(entry(), effects).await.is_err());
    assert_eq!(house.tenant.head().await.unwrap().size(), size);
    assert_eq!(since(&house.tenant, "2026-11-01").await, []);
}

/// More than any sum may become.
const MOST: i64 = 1 << 62;

#[tokio::test]
async fn a_sum_that_is_too_large_stays_a_sum() {
    let house = House::new().await;
    add_key(&house.tenant).await;
    for _ in 0..3 {
        spend(&house.tenant, vec![row("2026-11-26", MOST, MOST)]).await;
    }
    assert_eq!(since(&house.tenant, "2026-11-26").await, [of("2026-11-26", MOST, MOST)]);
    assert!(house.store.health().is_ok());
}
