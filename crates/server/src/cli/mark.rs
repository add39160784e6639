//! Text with its identifiers marked, for people.

use phi::Finding;
use std::fmt::Write as _;

/// How marked text is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// With colour, in place of `<NAME>...</NAME>`.
    pub(super) colour: bool,
    /// For a terminal of so many columns: longer lines are folded at spaces, and characters that
    /// would steer the terminal are not sent to it. One character counts as one column.
    pub(super) columns: Option<usize>,
}

/// Writes marked text, window by window.
#[derive(Debug)]
pub(super) struct Marker {
    style: Style,
    column: usize,
}

/// Tab stops of terminals.
const TAB_COLUMNS: usize = 8;

impl Marker {
    pub(super) const fn new(style: Style) -> Self {
        Self { style, column: 0 }
    }

    /// A window's text, with marks; `start` is its place in the whole text.
    pub(super) fn window(&mut self, start: usize, text: &str, findings: &[Finding]) -> String {
        let mut out = String::with_capacity(text.len() + findings.len() * 24);
        let mut done = 0;
        for finding in findings {
            let (from, to) =
                (finding.start.saturating_sub(start), finding.end.saturating_sub(start));
            let label = finding.class.label();
            self.put(&mut out, text.get(done..from).unwrap_or_default());
            let value = text.get(from..to).unwrap_or_default();
            if self.style.colour {
                out.push_str("\u{1b}[1;33m");
                self.put(&mut out, value);
                // Writing to a String cannot fail.
                if write!(out, "\u{1b}[0m\u{1b}[2m[{label}]\u{1b}[0m").is_ok() {
                    self.column += label.len() + 2;
                }
            } else {
                self.put(&mut out, &format!("<{label}>{value}</{label}>"));
            }
            done = to;
        }
        self.put(&mut out, text.get(done..).unwrap_or_default());
        out
    }

    fn put(&mut self, out: &mut String, text: &str) {
        let Some(columns) = self.style.columns else {
            out.push_str(text);
            return;
        };
        for word in text.split_inclusive([' ', '\n', '\t']) {
            let len = word.trim_end_matches([' ', '\n', '\t']).chars().count();
            if self.column > 0 && self.column + len > columns {
                out.push('\n');
                self.column = 0;
            }
            for c in word.chars() {
                match c {
                    '\n' => self.column = 0,
                    '\t' => self.column += TAB_COLUMNS - self.column % TAB_COLUMNS,
                    _ => self.column += 1,
                }
                let plain = !c.is_control() || matches!(c, '\n' | '\t');
                out.push(if plain { c } else { '\u{fffd}' });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phi::{Class, Confidence};

    fn check(style: Style, text: &str, expected: &str) {
        let start = text.find("Ann").unwrap();
        let finding = Finding {
            start: start + 100,
            end: start + 107,
            class: Class::Name,
            confidence: Confidence::percent(90),
            recogniser: "test",
            why: "test",
        };
        assert_eq!(Marker::new(style).window(100, text, &[finding]), expected);
    }

    #[test]
    fn marks_stand_around_each_identifier() {
        let plain = Style { colour: false, columns: None };
        check(plain, "é Ann Lee\u{1b} x", "é <NAME>Ann Lee</NAME>\u{1b} x");
        let colour = Style { colour: true, columns: None };
        check(colour, "é Ann Lee x", "é \u{1b}[1;33mAnn Lee\u{1b}[0m\u{1b}[2m[NAME]\u{1b}[0m x");
    }

    #[test]
    fn a_terminal_s_width_is_kept_and_nothing_steers_it() {
        let terminal = Style { colour: false, columns: Some(20) };
        check(
            terminal,
            "seen today: Ann Lee is well\u{1b}[2J and home",
            "seen today: \n<NAME>Ann Lee</NAME> \nis well\u{fffd}[2J and home",
        );
    }
}
