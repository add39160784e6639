//! Tokenization: random surrogates, and the text back exactly as it was.
//!
//! Text that only looks like a surrogate gets one of its own, so that nothing is restored into it by
//! mistake and the whole text comes back, whatever was written in it. Tokenized text is still PHI.

use super::{Found, Label, Transformed};
use crate::surrogate::{Escape, MapFull, Restorer, SurrogateMap, look_alikes};
use crate::{Class, Text};
use std::collections::{BTreeMap, BTreeSet};

/// Text to replace. Without a class it only looks like a surrogate.
struct Stretch {
    start: usize,
    end: usize,
    class: Option<Class>,
}

/// Replaces every finding by its surrogate in `map`; `fill` writes unpredictable bytes.
///
/// # Errors
/// [`MapFull`] when the map can hold no more.
pub fn tokenize(
    found: &Found<'_>,
    map: &mut SurrogateMap,
    fill: &dyn Fn(&mut [u8]),
) -> Result<Transformed, MapFull> {
    let text = found.text();
    let fakes = look_alikes(text);
    let taken: BTreeSet<String> =
        fakes.iter().filter_map(|it| text.get(it.clone())).map(str::to_owned).collect();
    let mut all: Vec<Stretch> = fakes
        .into_iter()
        .map(|it| Stretch { start: it.start, end: it.end, class: None })
        .chain(found.findings().iter().map(|it| Stretch {
            start: it.start,
            end: it.end,
            class: Some(it.class),
        }))
        .collect();
    all.sort_by_key(|it| (it.start, it.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for Stretch { start, end, class } in merged(all) {
        out.push_str(text.get(done..start).unwrap_or_default());
        let value = text.get(start..end).unwrap_or_default();
        out.push_str(map.surrogate(class, value, &taken, fill)?);
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    let mut counts = BTreeMap::new();
    for finding in found.findings() {
        *counts.entry(finding.class).or_default() += 1;
    }
    Ok(Transformed { text: Text::new(out), counts, label: Label::StillPhi })
}

/// Where two overlap they become one: nothing between them may stay behind.
fn merged(all: Vec<Stretch>) -> Vec<Stretch> {
    let mut apart: Vec<Stretch> = Vec::with_capacity(all.len());
    for next in all {
        match apart.last_mut() {
            Some(last) if next.start < last.end => {
                last.end = last.end.max(next.end);
                last.class = last.class.or(next.class);
            }
            _ => apart.push(next),
        }
    }
    apart
}

/// Puts every value back in a text with surrogates of `map`.
#[must_use]
pub fn restore(text: &str, map: &SurrogateMap) -> Text {
    let mut restorer = Restorer::new(Escape::Plain);
    let mut out = restorer.feed(map, text).into_exposed();
    out.push_str(restorer.finish(map).expose());
    Text::new(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{finding, marked, scattered, seeded};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_leave_and_come_back() {
        let (text, findings) =
            marked("{NAME:Ann Lee}, SSN {SSN:078-05-1120}, [NAME_7K3QF9ZD] [NAME_1]");
        let mut map = SurrogateMap::new();
        let found = Found::new(&text, findings).unwrap();
        let sent = tokenize(&found, &mut map, &seeded(1)).unwrap();
        let shown = sent.text().expose();
        for value in ["Ann", "078-05-1120", "[NAME_7K3QF9ZD]"] {
            assert!(!shown.contains(value), "{shown}");
        }
        assert_eq!(sent.label(), &Label::StillPhi);
        assert_eq!(sent.counts().len(), 2);
        assert_eq!(restore(shown, &map).expose(), text);
    }

    #[test]
    fn a_finding_inside_a_look_alike_is_replaced_with_it() {
        let text = "a [NAME_7K3QF9ZD] b";
        for (start, end) in [(0, 5), (4, 8), (10, 19), (2, 17), (0, 19)] {
            let mut map = SurrogateMap::new();
            let found = Found::new(text, vec![finding(Class::Email, start, end)]).unwrap();
            let sent = tokenize(&found, &mut map, &seeded(3)).unwrap();
            assert_eq!((map.len(), restore(sent.text().expose(), &map).expose()), (1, text));
        }
    }

    #[test]
    fn two_runs_share_no_surrogate() {
        let (text, findings) = marked("SSN {SSN:078-05-1120}");
        let found = Found::new(&text, findings).unwrap();
        let run = |seed| {
            let mut map = SurrogateMap::new();
            tokenize(&found, &mut map, &seeded(seed)).unwrap().text().expose().to_owned()
        };
        assert_ne!(run(1), run(2));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_whatever_was_found_in_it(
            pieces in prop::collection::vec(
                "[\\[\\]A-Z_ é0-9]{0,12}|\\[(NAME|DATE|TEXT)_[0-9A-Z]{8}\\]|\\[NAME_[12]\\]|\\PC{0,6}",
                0..8,
            ),
            picks in prop::collection::vec((0_usize..6, 0_usize..9, 0_usize..20), 0..8),
            seed in 0_u64..1000,
        ) {
            let text = pieces.concat();
            let found = Found::new(&text, scattered(&text, &picks)).unwrap();
            let mut map = SurrogateMap::new();
            let sent = tokenize(&found, &mut map, &seeded(seed)).unwrap();
            let restored = restore(sent.text().expose(), &map);
            prop_assert_eq!(restored.expose(), &text);
        }

        #[test]
        fn a_text_that_was_tokenized_before_is_tokenized_and_comes_back(
            values in prop::collection::vec("[A-Za-z ]{1,8}", 1..5),
            seed in 0_u64..1000,
        ) {
            let text = values.join("|");
            let mut map = SurrogateMap::new();
            let fill = seeded(seed);
            let first = Found::new(&text, vec![finding(Class::Name, 0, values[0].len())]).unwrap();
            let first = tokenize(&first, &mut map, &fill).unwrap();
            let again = Found::new(first.text().expose(), Vec::new()).unwrap();
            let again = tokenize(&again, &mut map, &fill).unwrap();
            let once = restore(again.text().expose(), &map);
            prop_assert_eq!(once.expose(), first.text().expose());
        }
    }
}
