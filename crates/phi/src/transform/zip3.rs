//! The table of ZIP areas by their first three digits (45 CFR 164.514(b)(2)(i)(B)).

use super::Day;
use std::collections::BTreeSet;

/// The pack of data, with its source and the day on which it was checked.
const PACK: &str = include_str!("../../data/zip3.txt");

/// The table of ZIP areas cannot be read, so no ZIP code can be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of three-digit ZIP areas has no source, no date or no areas")]
pub struct BrokenPack;

/// Which first three digits of a ZIP code may stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zip3Table {
    source: &'static str,
    caveat: &'static str,
    verified_on: Day,
    above: BTreeSet<&'static str>,
}

impl Zip3Table {
    /// The table that is built in.
    ///
    /// # Errors
    /// [`BrokenPack`] when it lacks a source, a date or areas.
    pub fn built_in() -> Result<Self, BrokenPack> {
        Self::parse(PACK)
    }

    fn parse(pack: &'static str) -> Result<Self, BrokenPack> {
        let fields = || {
            let lines = pack.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| line.split_once(": "))
        };
        let field = |name: &str| fields().find(|(it, _)| *it == name).map(|(_, value)| value);
        let source = field("source").filter(|it| !it.is_empty()).ok_or(BrokenPack)?;
        let caveat = field("caveat").ok_or(BrokenPack)?;
        let verified_on = field("verified_on").and_then(|it| it.parse().ok()).ok_or(BrokenPack)?;
        let above: BTreeSet<_> = fields()
            .filter(|(name, _)| *name == "above")
            .flat_map(|(_, areas)| areas.split(' '))
            .collect();
        let digits = |area: &&str| area.len() == 3 && area.bytes().all(|b| b.is_ascii_digit());
        if above.is_empty() || !above.iter().all(digits) {
            return Err(BrokenPack);
        }
        Ok(Self { source, caveat, verified_on, above })
    }

    /// Where the numbers come from.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// What is to be kept in mind about them.
    #[must_use]
    pub const fn caveat(&self) -> &'static str {
        self.caveat
    }

    /// The day on which they were last checked against the source.
    #[must_use]
    pub const fn verified_on(&self) -> Day {
        self.verified_on
    }

    /// The three digits that may stand for a ZIP code, `62704` or `62704-1234`: its own, or `000`.
    #[must_use]
    pub fn area(&self, zip: &str) -> &'static str {
        let area = zip.get(..3).unwrap_or_default();
        self.above.get(area).copied().unwrap_or("000")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_of_20000_people_or_fewer_become_000() {
        let table = Zip3Table::built_in().unwrap();
        for (zip, area) in [
            ("62704", "627"),
            ("62704-1234", "627"),
            ("10001", "100"),
            ("03601", "000"),
            ("05901", "000"),
            ("10201", "000"),
            ("20301", "000"),
            ("89301", "000"),
            ("20201", "000"),
            ("09012", "000"),
            ("00000", "000"),
            ("é", "000"),
            ("", "000"),
        ] {
            assert_eq!(table.area(zip), area, "{zip}");
        }
        assert_eq!(table.above.len(), 876);
    }

    #[test]
    fn a_pack_without_source_or_date_is_refused() {
        assert!(Zip3Table::built_in().unwrap().source().contains("2020 Census"));
        for pack in [
            "",
            "caveat: x\nverified_on: 2026-11-26\nabove: 627",
            "source: x\ncaveat: x\nabove: 627",
            "source: x\ncaveat: x\nverified_on: soon\nabove: 627",
            "source: x\ncaveat: x\nverified_on: 2026-11-26",
            "source: x\ncaveat: x\nverified_on: 2026-11-26\nabove: 627 62",
        ] {
            assert_eq!(Zip3Table::parse(pack), Err(BrokenPack), "{pack}");
        }
    }
}
