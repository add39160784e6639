//! How a page is written for the terminal that reads it: its width, its colours, its signs.

use super::Environment;
use std::io::{self, IsTerminal as _};

/// What is written when nobody says how wide the screen is.
const USUAL_COLUMNS: usize = 80;

/// Narrower than this nothing can be read anyway.
pub(super) const LEAST_COLUMNS: usize = 40;

/// What the terminal can show.
pub(super) struct Screen {
    pub(super) columns: usize,
    pub(super) colour: bool,
    /// Whether the terminal knows more than ASCII.
    pub(super) signs: bool,
}

impl Screen {
    pub(super) fn new(environment: &Environment) -> Self {
        let terminal = io::stdout().is_terminal();
        let told = rustix::termios::tcgetwinsize(io::stdout()).map(|it| usize::from(it.ws_col));
        let told = told.ok().filter(|columns| *columns > 0);
        let set = || environment.get("COLUMNS").and_then(|text| text.parse().ok());
        let language = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| environment.get(name).filter(|text| !text.is_empty()));
        let language = language.unwrap_or_default().to_ascii_lowercase();
        let dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
        Self {
            columns: told.or_else(set).unwrap_or(USUAL_COLUMNS).max(LEAST_COLUMNS),
            colour: terminal && !dumb && environment.get("NO_COLOR").is_none(),
            signs: language.contains("utf-8") || language.contains("utf8"),
        }
    }

    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Breaks a text between words, into lines of at most so many characters where words allow it.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}
