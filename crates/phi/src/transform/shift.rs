//! The shift of dates: one secret offset for one subject.
//!
//! All intervals of a subject stay, and every date keeps its written form. Shifted dates are still
//! whole dates: this is not Safe Harbor, which leaves only the year (45 CFR 164.514(b)(2)(i)(C)),
//! and whoever learns one true date learns them all. So the text is still PHI.

use super::safe_harbor::age;
use super::written::{Order, Written, weekday_after, weekdays};
use super::{Found, Kind, Redactor, Transformed};
use crate::{Class, Finding};

/// How far the dates of one subject are moved. It is a secret of that subject.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DayShift {
    days: i32,
}

impl std::fmt::Debug for DayShift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DayShift(secret)")
    }
}

/// The smallest shift: with fewer days, a date without its day could keep its month.
const MIN_DAYS: u64 = 32;

/// The largest shift: with more, a date without its year could come back to its month.
const MAX_DAYS: u64 = 333;

impl DayShift {
    /// An offset out of unpredictable bytes, forwards or backwards, that changes every weekday.
    #[must_use]
    pub fn random(fill: &dyn Fn(&mut [u8])) -> Self {
        loop {
            let mut bytes = [0; 8];
            fill(&mut bytes);
            let number = u64::from_le_bytes(bytes);
            // 604 offsets out of 64 bits: the bias is below one in 10^16.
            let size = MIN_DAYS + (number >> 1) % (MAX_DAYS - MIN_DAYS + 1);
            let days = i32::try_from(size).unwrap_or(0);
            if days % 7 != 0 {
                return Self { days: if number & 1 == 0 { days } else { -days } };
            }
        }
    }

    /// A weekday in the text tells the offset modulo seven, so it moves too.
    pub(crate) fn weekdays(self, between: &str, next: Option<Class>, out: &mut String) {
        let dated = next == Some(Class::Date);
        weekdays(between, dated, out, |day| weekday_after(day, self.days));
    }

    /// The offset in days, for whoever keeps it to undo the shift.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.days
    }
}

/// The order of day and month in a document.
pub(crate) fn order(found: &Found<'_>) -> Order {
    let dates = found.values().filter(|(it, _)| it.class == Class::Date);
    Order::shown(dates.map(|(_, value)| value))
}

/// Moves the dates of one subject and redacts all else; what is no readable date is redacted too.
pub fn shift(found: &Found<'_>, by: DayShift, redactor: &mut Redactor) -> Transformed {
    redactor.meet(found);
    let order = order(found);
    let put = |finding: &Finding, value: &str| {
        let kept = match Kind::of(finding.class) {
            Kind::Date => Written::read(value, order).and_then(|date| date.moved(by.days)),
            Kind::Age => age(value),
            Kind::Place | Kind::Other => None,
        };
        kept.unwrap_or_else(|| redactor.placeholder(finding.class, value))
    };
    found.rewrite(put, |between, next, out| by.weekdays(between, next, out))
}

#[cfg(test)]
mod tests {
    use super::super::Label;
    use super::super::testing::{marked, seeded};
    use super::*;

    fn check(text: &str, days: i32, expected: &str) {
        let (text, findings) = marked(text);
        let found = Found::new(&text, findings).unwrap();
        let shifted = shift(&found, DayShift { days }, &mut Redactor::new());
        assert_eq!(shifted.text().expose(), expected);
        assert_eq!(shifted.label(), &Label::StillPhi);
    }

    #[test]
    fn dates_move_together_and_all_else_is_redacted() {
        check(
            "{NAME:Ann Lee}, {AGE:62}, admitted {DATE:03/14/2024}, left {DATE:March 20}. MRN {MRN:44120}",
            40,
            "[NAME_1], 62, admitted 04/23/2024, left April 29. MRN [MRN_1]",
        );
        check(
            "Monday, {DATE:3/18/2024}; Mon {DATE:3/18/2024}; the sun sat on TUESDAY, Fridays",
            40,
            "Saturday, 4/27/2024; Sat 4/27/2024; the sun sat on SUNDAY, Wednesdays",
        );
        check("{AGE:93} at {DATE:Easter 2019}", 40, "90+ at [DATE_1]");
    }

    #[test]
    fn an_offset_is_secret_and_changes_every_weekday_and_month() {
        let fill = seeded(5);
        let mut signs = [0, 0];
        for _ in 0..2000 {
            let days = DayShift::random(&fill).days();
            assert!(days % 7 != 0 && (32..=333).contains(&days.abs()), "{days}");
            signs[usize::from(days > 0)] += 1;
        }
        assert!(signs[0] > 800 && signs[1] > 800, "{signs:?}");
        assert_eq!(format!("{:?}", DayShift::random(&fill)), "DayShift(secret)");
    }
}
