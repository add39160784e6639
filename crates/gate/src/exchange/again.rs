//! Answering with what was kept of an earlier answer, so that nothing leaves.

use super::{Api, Cleared, Departed, Ended, Exchange};
use crate::outcome::Outcome;
use crate::prompt::Answer;
use phi::surrogate::{SurrogateMap, look_alikes};
use phi::{Detector, Text};
use std::collections::BTreeSet;

impl Exchange<Cleared> {
    /// The destination's interface that would be called.
    #[must_use]
    pub const fn called(&self) -> Api {
        self.stage.outbound.api
    }

    /// Ends the exchange with an answer that was kept: restores it as it was restored before, and scans
    /// it. Cannot fail.
    ///
    /// `map` holds the surrogates that stand in the answer, which are those of the exchange that it
    /// came to.
    pub fn answer_again(
        self,
        answer: Answer,
        map: &SurrogateMap,
        detector: &Detector,
    ) -> Exchange<Ended> {
        let Self { mut matter, stage: Cleared { .. } } = self;
        matter.content.stays();
        Exchange::<Departed>::settle(matter, answer, map, None, detector, Outcome::Cached)
    }
}

impl Exchange<Departed> {
    /// The surrogates that stand in a text that came, each as [`SurrogateMap::remember`] takes it. They
    /// are content as the text is.
    #[must_use]
    pub fn surrogates_in(&self, received: &Text) -> Vec<Text> {
        let text = received.expose();
        let used: BTreeSet<&str> =
            look_alikes(text).into_iter().filter_map(|range| text.get(range)).collect();
        let entries = self.stage.map.entries();
        let entries = entries.filter(|(surrogate, _, _)| used.contains(surrogate));
        entries
            .map(|(surrogate, label, value)| {
                Text::new(format!("{surrogate}\n{label}\n{}", value.expose()))
            })
            .collect()
    }
}
