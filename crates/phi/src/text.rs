//! Text that may hold PHI.

use std::fmt;
use zeroize::Zeroize;

/// Text that may hold PHI. It cannot be printed, compared or serialised by accident.
///
/// There is no `Display`, no `Serialize`, no `Deref`; `Debug` prints the length. The one way in is
/// [`Text::expose`], so that `grep expose` lists every place that reads content. The memory is
/// wiped when the text is dropped.
#[derive(Clone, Default)]
pub struct Text(String);

impl Text {
    /// Wraps text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads the content. Every call site answers for where the content goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Takes the content out, unwiped. Every call site answers for where the content goes.
    #[must_use]
    pub fn into_exposed(mut self) -> String {
        std::mem::take(&mut self.0)
    }

    /// Length in bytes of UTF-8.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
