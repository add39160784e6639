//! Moments as people write them.

use ledger::{Day, Time};

/// A time, `2026-11-23T09:00:00Z`, or the beginning of a day, `2026-11-23`.
pub(crate) fn read(text: &str) -> Option<Time> {
    if let Ok(day) = text.parse::<Day>() {
        return Some(day.start());
    }
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_moment_is_a_time_or_a_day() {
        let said = |text| read(text).map(|time| time.to_string());
        let nine = Some("2026-11-23T09:00:00.000000Z".to_owned());
        assert_eq!(said("2026-11-23T09:00:00Z"), nine);
        assert_eq!(said("2026-11-23T10:00:00+01:00"), nine);
        assert_eq!(said("2026-11-23").as_deref(), Some("2026-11-23T00:00:00.000000Z"));
        for wrong in ["", "yesterday", "2026-11-31", "2026-11-23T09:00:00", "1795424400"] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }
}
