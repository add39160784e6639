//! How far the log was delivered to its feeds.

use crate::support::{House, TENANT, add_tenant};
use ledger::{Hash, TenantId};
use store::{Error, LogPosition, Store};

fn at(next: u64) -> LogPosition {
    LogPosition { next, before: Hash::of(&next.to_be_bytes()) }
}

#[tokio::test]
async fn a_feed_goes_on_where_it_was_also_after_a_restart() {
    let house = House::new().await;
    assert_eq!(house.tenant.feed_position("siem").await.unwrap(), None);
    house.tenant.move_feed("siem", at(3)).await.unwrap();
    house.tenant.move_feed("siem", at(9)).await.unwrap();
    house.tenant.move_feed("other", at(1)).await.unwrap();
    let other = TenantId::from_bytes([8; 16]);
    add_tenant(&house.store, other, &house.entropy).await;
    assert_eq!(house.store.tenant(other).feed_position("siem").await.unwrap(), None);
    let folder = house.close();
    let tenant = Store::open(folder.path()).unwrap().tenant(TENANT);
    assert_eq!(tenant.feed_position("siem").await.unwrap(), Some(at(9)));
    assert_eq!(tenant.feed_position("other").await.unwrap(), Some(at(1)));
}

#[tokio::test]
async fn a_feed_only_moves_forward() {
    let house = House::new().await;
    house.tenant.move_feed("siem", at(5)).await.unwrap();
    for next in [4, 5] {
        let refused = house.tenant.move_feed("siem", at(next)).await;
        assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    }
    assert!(house.sql("UPDATE feeds SET next = 2").is_err());
    assert_eq!(house.tenant.feed_position("siem").await.unwrap(), Some(at(5)));
    let unknown = house.store.tenant(TenantId::from_bytes([1; 16]));
    assert!(matches!(unknown.move_feed("siem", at(1)).await, Err(Error::Conflict)));
}

#[tokio::test]
async fn a_copy_goes_on_where_it_was_and_only_moves_forward() {
    let house = House::new().await;
    assert_eq!(house.tenant.copy_position("worm").await.unwrap(), None);
    house.tenant.move_copy("worm", at(5)).await.unwrap();
    for next in [4, 5] {
        let refused = house.tenant.move_copy("worm", at(next)).await;
        assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    }
    assert!(house.sql("UPDATE copies SET next = 2").is_err());
    assert_eq!(house.tenant.feed_position("worm").await.unwrap(), None, "a feed is another thing");
    let folder = house.close();
    let tenant = Store::open(folder.path()).unwrap().tenant(TENANT);
    assert_eq!(tenant.copy_position("worm").await.unwrap(), Some(at(5)));
}

#[tokio::test]
async fn moving_a_feed_does_not_count_as_a_change_of_the_rules() {
    let house = House::new().await;
    let before = house.store.change_counter().await.unwrap();
    house.tenant.move_feed("siem", at(5)).await.unwrap();
    assert_eq!(house.store.change_counter().await.unwrap(), before);
}
