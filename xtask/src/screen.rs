//! What the commands show: colour and moving parts on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Narrowest and widest text that the panes are laid out for.
const WIDTH_RANGE: (usize, usize) = (40, 110);
/// The width where nobody says how wide the output is.
const PLAIN_WIDTH: usize = 80;
/// How often a spinner turns.
const SPINNER_TICK: Duration = Duration::from_millis(120);

/// The ways in which text is set off on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Good,
    Bad,
    /// A value that must not leave the house.
    Private,
    /// What stands for such a value outside.
    Surrogate,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Good => "32",
            Self::Bad => "31;1",
            Self::Private => "30;43",
            Self::Surrogate => "30;46",
        }
    }
}

/// Standard output, and what it can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    colour: bool,
    live: bool,
    width: usize,
}

impl Screen {
    /// Looks at standard output, `NO_COLOR` (no-color.org) and `COLUMNS`.
    pub(crate) fn detect() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let told = std::env::var_os("COLUMNS").and_then(|v| v.to_str()?.parse().ok());
        let asked = || rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        let width = told.or_else(|| asked().map(|size| usize::from(size.ws_col)));
        let (narrow, wide) = WIDTH_RANGE;
        Self {
            colour: terminal && !no_colour && !dumb,
            live: terminal && !dumb,
            width: width.filter(|&w| w > 0).unwrap_or(PLAIN_WIDTH).clamp(narrow, wide),
        }
    }

    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { colour: false, live: false, width: PLAIN_WIDTH }
    }

    /// Whether output goes to a terminal that can move its cursor.
    pub(crate) fn is_live(self) -> bool {
        self.live
    }

    /// Columns that text may take.
    pub(crate) fn width(self) -> usize {
        self.width
    }

    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }

    /// A line that begins a part of the work.
    pub(crate) fn heading(self, text: &str) {
        println!("\n{}", self.paint(Style::Heading, &format!("== {text}")));
    }

    /// A framed text, its lines folded at the width of the output; `marks` are
    /// set off wherever they occur.
    pub(crate) fn pane(self, title: &str, text: &str, marks: &[(String, Style)]) {
        let room = self.width - 4;
        let rule = "─".repeat(self.width.saturating_sub(title.chars().count() + 5));
        println!("\n┌─ {} {rule}", self.paint(Style::Heading, title));
        // What is set off is not folded: its spaces do not break until it is printed.
        let whole = |text: &str| text.replace(' ', "\u{a0}");
        let marks: Vec<(String, Style)> =
            marks.iter().map(|(mark, style)| (whole(mark), *style)).collect();
        let text = marks.iter().fold(text.to_owned(), |text, (mark, _)| {
            text.replace(&mark.replace('\u{a0}', " "), mark)
        });
        for line in fold(&text, room) {
            println!("│ {}", self.mark(&line, &marks).replace('\u{a0}', " "));
        }
        println!("└{}", "─".repeat(self.width - 1));
    }

    fn mark(self, line: &str, marks: &[(String, Style)]) -> String {
        let mut shown = String::new();
        let mut rest = line;
        while !rest.is_empty() {
            let next = marks
                .iter()
                .filter(|(mark, _)| !mark.is_empty())
                .filter_map(|(mark, style)| rest.find(mark).map(|at| (at, mark, *style)))
                .min_by_key(|(at, mark, _)| (*at, std::cmp::Reverse(mark.len())));
            let Some((at, mark, style)) = next else { break };
            let (before, from) = rest.split_at(at);
            let (found, after) = from.split_at(mark.len());
            shown.push_str(before);
            shown.push_str(&self.paint(style, found));
            rest = after;
        }
        shown + rest
    }

    /// Lines folded at the width of the output.
    pub(crate) fn say(self, text: &str) {
        for line in fold(text, self.width) {
            println!("{line}");
        }
    }

    /// Columns: the first is text, the others are numbers. The head and a last row `ALL` are set off.
    pub(crate) fn table(self, head: &[String], rows: &[Vec<String>]) {
        for (at, line) in columns(head, rows).iter().enumerate() {
            let last = rows.len() == at && line.starts_with("ALL ");
            let shown =
                if at == 0 || last { self.paint(Style::Heading, line) } else { line.clone() };
            println!("{shown}");
        }
    }

    /// Shows how far something is; the returned guard ends the show.
    pub(crate) fn bar(self, text: &str, length: u64) -> Bar {
        if !self.live {
            println!("{text} ...");
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(length).with_message(text.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} ({eta})") {
            bar.set_style(style);
        }
        Bar(bar)
    }

    /// Shows that something long is under way; the returned guard ends the show.
    pub(crate) fn spinner(self, text: &str) -> Spinner {
        if !self.live {
            println!("{text} ...");
            return Spinner(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(text.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(SPINNER_TICK);
        Spinner(bar)
    }
}

/// How far work of known length is; clears its line when dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn set(&self, at: u64) {
        self.0.set_position(at);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Clears its line when dropped.
pub(crate) struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Folds lines at spaces so that none is longer than `room` characters, where
/// a single word allows it.
fn fold(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split(' ') {
            let needed = current.chars().count() + 1 + word.chars().count();
            if !current.is_empty() && needed > room {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines
}

/// Lines whose cells stand below each other.
fn columns(head: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let all = || std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
    let width = |at: usize| {
        all().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    all()
        .map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        })
        .collect()
}

/// `3 min 20 s`, `12.3 s` or `45 ms`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f32()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Screen = Screen { colour: false, live: false, width: 80 };
    const COLOURED: Screen = Screen { colour: true, live: false, width: 80 };

    #[test]
    fn text_folds_at_spaces_and_keeps_its_own_lines() {
        assert_eq!(fold("one two three\n\nfour", 8), ["one two", "three", "", "four"]);
        assert_eq!(fold("a-very-long-word b", 4), ["a-very-long-word", "b"]);
    }

    #[test]
    fn marks_are_set_off_only_in_colour() {
        let marks = [("Ann".to_owned(), Style::Private), ("Anna".to_owned(), Style::Surrogate)];
        assert_eq!(PLAIN.mark("Anna and Ann", &marks), "Anna and Ann");
        assert_eq!(
            COLOURED.mark("Anna and Ann", &marks),
            "\x1b[30;46mAnna\x1b[0m and \x1b[30;43mAnn\x1b[0m"
        );
    }

    #[test]
    fn cells_stand_below_each_other() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let lines = columns(&row(&["class", "gold"]), &[row(&["NAME", "12"]), row(&["ALL", "7"])]);
        assert_eq!(lines, ["class  gold", "NAME     12", "ALL       7"]);
    }

    #[test]
    fn a_duration_is_read_at_a_glance() {
        assert_eq!(duration(Duration::from_millis(45)), "45 ms");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
    }
}
