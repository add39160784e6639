//! What is kept of what was said.

use serde::Deserialize;

/// What is kept of the prompts and answers of an exchange, beside its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// All of it, sealed, for as long as the retention schedule says.
    #[default]
    All,
    /// Nothing but digests under a key, with which a text that somebody presents can be compared.
    Digests,
}

impl Keep {
    /// As the file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Digests => "digests",
        }
    }
}

/// What is kept as the file writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawContent {
    #[serde(default)]
    pub(super) keep: Keep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_kept_unless_the_file_says_digests() {
        let keep = |text| toml::from_str::<RawContent>(text).map(|raw| raw.keep).ok();
        assert_eq!(keep(""), Some(Keep::All));
        assert_eq!(keep("keep = \"all\""), Some(Keep::All));
        assert_eq!(keep("keep = \"digests\""), Some(Keep::Digests));
        for wrong in ["keep = \"none\"", "keep = \"Digests\"", "keep = true", "kept = \"all\""] {
            assert_eq!(keep(wrong), None, "{wrong}");
        }
        for keep in [Keep::All, Keep::Digests] {
            let text = format!("keep = \"{}\"", keep.as_str());
            assert_eq!(toml::from_str::<RawContent>(&text).unwrap().keep, keep);
        }
    }
}
