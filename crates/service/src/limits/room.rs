//! Room for requests: how many are taken at once, and how many bytes of them.
//!
//! Requests wait here before they cost memory. Room for a body is taken as its bytes arrive, not for the
//! length that its head declares: a caller that declares much and sends slowly holds only what it sent.
//! No key takes all of it ([`super::share`]), however many connections it has and however slowly it sends.

use super::share::{Pool, Taken};
use crate::house::House;
use crate::identity::Principal;
use gate::Code;
use ledger::ApiKeyId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Exchanges at once, those included whose caller is gone. Half as many as connections, so that health
/// checks and auditors get an answer while every place is taken.
const MAX_EXCHANGES: usize = 2048;

/// Bytes of bodies that are held at once, until their exchange ended. While a body is taken apart, scanned,
/// treated and sealed it costs up to 17 times its bytes (docs/limits.md), so this is about one GiB: room for
/// 16 of the largest requests, which keep 16 cores busy, or for 1024 of 64 KiB.
const HELD_BYTES: usize = 64 << 20;

/// Exchanges that run on without their caller. Those are held by nobody's patience, so they get a few of the
/// places only.
const MAX_BACKGROUND: usize = 256;

/// How long a request waits for room: long enough for a burst to pass, shorter than any client waits.
const WAIT: Duration = Duration::from_secs(2);

/// There was no room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for one more request")]
pub struct Overloaded;

/// What is free, and who has the rest.
#[derive(Debug)]
pub(crate) struct Room {
    exchanges: Arc<Pool>,
    bytes: Arc<Pool>,
    background: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(MAX_EXCHANGES, HELD_BYTES)
    }
}

/// A request's place, with room for as much of its body as has arrived. It is free again when this is
/// dropped.
#[derive(Debug)]
pub struct Place {
    _exchange: Taken,
    key: ApiKeyId,
    free: Arc<Pool>,
    held: Option<Taken>,
    background: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn of(exchanges: usize, bytes: usize) -> Self {
        let background = Arc::new(Semaphore::new(MAX_BACKGROUND));
        Self { exchanges: Pool::of(exchanges), bytes: Pool::of(bytes), background }
    }

    async fn enter(&self, key: ApiKeyId) -> Result<Place, Overloaded> {
        let exchange = self.exchanges.take(key, 1, WAIT).await.ok_or(Overloaded)?;
        let free = Arc::clone(&self.bytes);
        Ok(Place { _exchange: exchange, key, free, held: None, background: None })
    }
}

impl Place {
    async fn grow(&mut self, bytes: usize) -> Result<(), Overloaded> {
        let more = self.free.take(self.key, bytes, WAIT).await.ok_or(Overloaded)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

impl House {
    /// Takes a place for a request, or waits a short while for one. A refusal is counted, and the count is
    /// recorded.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn enter(&self, principal: &Principal) -> Result<Place, Overloaded> {
        let entered = self.room.enter(principal.key()).await;
        self.count_overload(principal, entered)
    }

    /// Takes room for so many more bytes of its body, or waits a short while for it.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn make_room(
        &self,
        principal: &Principal,
        place: &mut Place,
        bytes: usize,
    ) -> Result<(), Overloaded> {
        let grown = place.grow(bytes).await;
        self.count_overload(principal, grown)
    }

    /// Lets a request keep its place after its caller is gone.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub(crate) fn stay(&self, principal: &Principal, place: &mut Place) -> Result<(), Overloaded> {
        let stays = Arc::clone(&self.room.background).try_acquire_owned();
        place.background = Some(self.count_overload(principal, stays.map_err(|_| Overloaded))?);
        Ok(())
    }

    fn count_overload<T>(
        &self,
        principal: &Principal,
        result: Result<T, Overloaded>,
    ) -> Result<T, Overloaded> {
        if result.is_err() {
            self.denied.add((principal.key(), Code::Overloaded.as_str()), principal.actor(), 1);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};

    const fn key(number: u8) -> ApiKeyId {
        ApiKeyId::from_bytes([number; 16])
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_never_holds_more_than_stays_for_the_others() {
        let room = Room::of(32, 64);
        let mut greedy = room.enter(key(1)).await.unwrap();
        greedy.grow(32).await.unwrap();
        assert_eq!(greedy.grow(1).await, Err(Overloaded));
        // The next that wants everything gets a third of it, and so on; the sixteenth part is always there.
        let mut second = room.enter(key(2)).await.unwrap();
        second.grow(16).await.unwrap();
        assert_eq!(second.grow(1).await, Err(Overloaded));
        let mut third = room.enter(key(3)).await.unwrap();
        third.grow(8).await.unwrap();
        assert_eq!(third.grow(1).await, Err(Overloaded));
        let (mut fourth, mut fifth) =
            (room.enter(key(4)).await.unwrap(), room.enter(key(5)).await.unwrap());
        fourth.grow(4).await.unwrap();
        fifth.grow(4).await.unwrap();
        assert_eq!(room.bytes.free(), 0);
        // What one gives back, another gets.
        drop(second);
        fourth.grow(4).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_has_half_of_the_places_and_others_are_let_in_at_once() {
        let room = Room::of(32, 64);
        let mut places = Vec::new();
        while let Ok(place) = room.enter(key(1)).await {
            places.push(place);
        }
        assert_eq!(places.len(), 16);
        let begun = Instant::now();
        let other = room.enter(key(2)).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop((places, other));
        assert_eq!(room.exchanges.free(), 32);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_room_in_time_is_refused_and_takes_none() {
        let room = Room::of(32, 16);
        let mut holders = Vec::new();
        for number in 0..16 {
            let mut place = room.enter(key(number)).await.unwrap();
            place.grow(1).await.unwrap();
            holders.push(place);
        }
        let begun = Instant::now();
        let mut late = room.enter(key(99)).await.unwrap();
        assert_eq!(late.grow(1).await, Err(Overloaded));
        assert_eq!(begun.elapsed(), WAIT);
        drop((holders, late));
        assert_eq!((room.bytes.free(), room.exchanges.free()), (16, 32));
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_comes_free_goes_to_who_waited_longest_and_past_who_is_beyond_its_share() {
        let room = Room::of(64, 160);
        let mut greedy = room.enter(key(1)).await.unwrap();
        greedy.grow(80).await.unwrap();
        let mut holders = Vec::new();
        for number in 2..10 {
            let mut holder = room.enter(key(number)).await.unwrap();
            holder.grow(10).await.unwrap();
            holders.push(holder);
        }
        assert_eq!(room.bytes.free(), 0);
        let mut more = room.enter(key(1)).await.unwrap();
        let mut large = room.enter(key(20)).await.unwrap();
        let mut small = room.enter(key(21)).await.unwrap();
        let (more, large, small, ()) = tokio::join!(
            more.grow(1),
            async {
                sleep(Duration::from_millis(10)).await;
                large.grow(10).await.map(|()| Instant::now())
            },
            async {
                sleep(Duration::from_millis(20)).await;
                small.grow(2).await.map(|()| Instant::now())
            },
            async {
                // What is free at first would do for the small one, which does not pass by.
                sleep(Duration::from_millis(100)).await;
                drop(room.enter(key(22)).await.unwrap());
                if let Some(last) = holders.last_mut() {
                    last.held = None;
                }
                sleep(Duration::from_secs(1)).await;
                holders.clear();
            }
        );
        assert_eq!(more, Err(Overloaded));
        assert!(large.unwrap() < small.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_stands_in_nobodys_way() {
        let room = Room::of(64, 160);
        let mut holders = Vec::new();
        for number in 0..16 {
            let mut place = room.enter(key(number)).await.unwrap();
            place.grow(10 - usize::from(number == 0) * 2).await.unwrap();
            holders.push(place);
        }
        let mut large = room.enter(key(20)).await.unwrap();
        let mut small = room.enter(key(21)).await.unwrap();
        let begun = Instant::now();
        let (gave_up, small) =
            tokio::join!(tokio::time::timeout(Duration::from_millis(500), large.grow(10)), async {
                sleep(Duration::from_millis(10)).await;
                small.grow(2).await
            });
        assert!(gave_up.is_err() && small.is_ok());
        assert_eq!(begun.elapsed(), Duration::from_millis(500));
        drop((holders, large));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_leaves_its_room() {
        let room = Room::of(2, 16);
        let mut place = room.enter(key(1)).await.unwrap();
        for _ in 0..4 {
            place.grow(2).await.unwrap();
        }
        assert_eq!(room.bytes.free(), 8);
        drop(place);
        assert_eq!((room.bytes.free(), room.exchanges.free()), (16, 2));
    }

    proptest! {
        /// Whoever comes and goes, no key holds more than its share, and in the end everything is free.
        #[test]
        fn no_key_takes_all_in_whatever_order_they_come(
            steps in prop::collection::vec((0_u8..5, 1_usize..12, any::<bool>()), 1..80),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let pool = Pool::of(64);
                let mut taken: Vec<(u8, usize, Taken)> = Vec::new();
                for (number, count, gives_back) in steps {
                    if gives_back && !taken.is_empty() {
                        taken.swap_remove(count % taken.len());
                    }
                    let held = |of: u8, taken: &[(u8, usize, Taken)]| -> usize {
                        taken.iter().filter(|it| it.0 == of).map(|it| it.1).sum()
                    };
                    let got = pool.take(key(number), count, Duration::from_millis(1)).await;
                    let fits = count <= 64 - taken.iter().map(|it| it.1).sum::<usize>();
                    let after = held(number, &taken) + count;
                    if let Some(got) = got {
                        taken.push((number, count, got));
                        let free = 64 - taken.iter().map(|it| it.1).sum::<usize>();
                        assert_eq!(pool.free(), free);
                        assert!(after <= free.max(4), "{after} of {free}");
                    } else {
                        let free = pool.free();
                        assert!(!fits || after > (free - count).max(4));
                    }
                }
                taken.clear();
                assert_eq!(pool.free(), 64);
            });
        }
    }
}
