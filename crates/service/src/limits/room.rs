//! Room for requests: how many are taken at once, and how many bytes of them.
//!
//! Requests wait here before they cost memory. Room for a body is taken as its bytes arrive, not for the
//! length that its head declares: a caller that declares much and sends slowly holds only what it sent.

use crate::house::House;
use crate::identity::Principal;
use gate::Code;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Exchanges at once, those included whose caller is gone. Half as many as connections, so that health
/// checks and auditors get an answer while every place is taken.
const MAX_EXCHANGES: usize = 2048;

/// Bytes of bodies that are held at once, until their exchange ended. While a body is taken apart, scanned,
/// treated and sealed it costs up to 17 times its bytes (docs/limits.md), so this is about one GiB: room for
/// 16 of the largest requests, which keep 16 cores busy, or for 1024 of 64 KiB.
const HELD_BYTES: usize = 64 << 20;

/// How long a request waits for room: long enough for a burst to pass, shorter than any client waits.
const WAIT: Duration = Duration::from_secs(2);

/// There was no room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for one more request")]
pub struct Overloaded;

/// What is free.
#[derive(Debug)]
pub(crate) struct Room {
    exchanges: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
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
    _exchange: OwnedSemaphorePermit,
    free: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn of(exchanges: usize, bytes: usize) -> Self {
        Self {
            exchanges: Arc::new(Semaphore::new(exchanges)),
            bytes: Arc::new(Semaphore::new(bytes)),
        }
    }

    async fn enter(&self) -> Result<Place, Overloaded> {
        let exchange = wait_for(&self.exchanges, 1).await?;
        Ok(Place { _exchange: exchange, free: Arc::clone(&self.bytes), held: None })
    }
}

impl Place {
    async fn grow(&mut self, bytes: usize) -> Result<(), Overloaded> {
        // No piece of a body is that long; if one were, there would be no room for it.
        let more = wait_for(&self.free, u32::try_from(bytes).map_err(|_| Overloaded)?).await?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

/// Takes what is free, or waits for its turn.
async fn wait_for(free: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Overloaded> {
    // A timer costs more than a permit.
    if let Ok(permit) = Arc::clone(free).try_acquire_many_owned(count) {
        return Ok(permit);
    }
    match timeout(WAIT, Arc::clone(free).acquire_many_owned(count)).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Overloaded),
    }
}

impl House {
    /// Takes a place for a request, or waits a short while for one. A refusal is counted, and the count is
    /// recorded.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn enter(&self, principal: &Principal) -> Result<Place, Overloaded> {
        let entered = self.room.enter().await;
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
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_room_in_time_is_refused_and_takes_none() {
        let room = Room::of(2, 10);
        let mut first = room.enter().await.unwrap();
        let mut second = room.enter().await.unwrap();
        first.grow(6).await.unwrap();
        let begun = Instant::now();
        assert_eq!(second.grow(5).await, Err(Overloaded));
        assert_eq!(begun.elapsed(), WAIT);
        second.grow(4).await.unwrap();
        assert!(room.enter().await.is_err(), "both places are taken");
        drop((first, second));
        assert_eq!((room.bytes.available_permits(), room.exchanges.available_permits()), (10, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_comes_free_goes_to_who_waited_longest() {
        let room = Room::of(3, 10);
        let mut holder = room.enter().await.unwrap();
        holder.grow(10).await.unwrap();
        let (mut large, mut small) = (room.enter().await.unwrap(), room.enter().await.unwrap());
        let (large, small, ()) = tokio::join!(
            async { large.grow(9).await.map(|()| Instant::now()) },
            async {
                sleep(Duration::from_millis(10)).await;
                small.grow(1).await.map(|()| Instant::now())
            },
            async {
                sleep(Duration::from_secs(1)).await;
                drop(holder);
            }
        );
        // The small one does not pass by the large one for ever.
        assert!(large.unwrap() <= small.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_leaves_its_room() {
        let room = Room::of(1, 8);
        let mut place = room.enter().await.unwrap();
        for _ in 0..4 {
            place.grow(2).await.unwrap();
        }
        assert_eq!(room.bytes.available_permits(), 0);
        drop(place);
        assert_eq!(room.bytes.available_permits(), 8);
    }
}
