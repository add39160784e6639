//! Letters: one plain form of a word, for lookups.

/// The longest word that is looked up, in bytes of its plain form. Longer ones are in no list.
pub(crate) const MAX_WORD_BYTES: usize = 40;

/// The plain form of a word: lower case, no accents, no apostrophes or full stops.
///
/// It lives on the stack, because one is made for most words of a text.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    bytes: [u8; MAX_WORD_BYTES],
    len: usize,
}

impl Plain {
    /// The plain form, or `None` when it would be empty, too long, or not of Latin letters.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let mut plain = Self { bytes: [0; MAX_WORD_BYTES], len: 0 };
        for c in word.chars() {
            if c.is_ascii_alphanumeric() {
                plain.push(c.to_ascii_lowercase() as u8)?;
            } else if matches!(c, '\'' | '\u{2019}' | '.' | '`') {
            } else {
                for &b in latin(c)? {
                    plain.push(b)?;
                }
            }
        }
        (plain.len > 0).then_some(plain)
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        Some(())
    }

    /// The bytes, all ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// The ASCII letters for a Latin letter with a mark; `None` for any other character.
fn latin(c: char) -> Option<&'static [u8]> {
    Some(match c {
        'à'..='å'
        | 'À'..='Å'
        | 'ā'
        | 'Ā'
        | 'ă'
        | 'Ă'
        | 'ą'
        | 'Ą'
        | 'ǎ'
        | 'ạ'
        | 'ả'
        | 'ấ'
        | 'ầ'
        | 'ắ'
        | 'ậ' => b"a",
        'æ' | 'Æ' => b"ae",
        'ç' | 'Ç' | 'ć' | 'Ć' | 'č' | 'Č' | 'ĉ' | 'ċ' => b"c",
        'ď' | 'Ď' | 'đ' | 'Đ' | 'ð' | 'Ð' => b"d",
        'è'..='ë'
        | 'È'..='Ë'
        | 'ē'
        | 'Ē'
        | 'ė'
        | 'Ė'
        | 'ę'
        | 'Ę'
        | 'ě'
        | 'Ě'
        | 'ế'
        | 'ề'
        | 'ệ'
        | 'ẹ'
        | 'ẻ'
        | 'ễ'
        | 'ể'
        | 'ə' => b"e",
        'ğ' | 'Ğ' | 'ģ' | 'Ģ' | 'ġ' => b"g",
        'ħ' | 'Ħ' => b"h",
        'ì'..='ï' | 'Ì'..='Ï' | 'ī' | 'Ī' | 'į' | 'Į' | 'ı' | 'İ' | 'ị' | 'ỉ' | 'ĩ' => {
            b"i"
        }
        'ķ' | 'Ķ' => b"k",
        'ł' | 'Ł' | 'ļ' | 'Ļ' | 'ľ' | 'Ľ' | 'ĺ' => b"l",
        'ñ' | 'Ñ' | 'ń' | 'Ń' | 'ň' | 'Ň' | 'ņ' | 'Ņ' => b"n",
        'ò'..='ö'
        | 'Ò'..='Ö'
        | 'ø'
        | 'Ø'
        | 'ō'
        | 'Ō'
        | 'ő'
        | 'Ő'
        | 'ọ'
        | 'ỏ'
        | 'ố'
        | 'ồ'
        | 'ộ'
        | 'ơ'
        | 'ớ'
        | 'ờ'
        | 'ợ'
        | 'ở' => b"o",
        'œ' | 'Œ' => b"oe",
        'ŕ' | 'ř' | 'Ř' => b"r",
        'ś' | 'Ś' | 'š' | 'Š' | 'ş' | 'Ş' | 'ș' | 'Ș' => b"s",
        'ß' => b"ss",
        'ť' | 'Ť' | 'ţ' | 'Ţ' | 'ț' | 'Ț' => b"t",
        'þ' | 'Þ' => b"th",
        'ù'..='ü'
        | 'Ù'..='Ü'
        | 'ū'
        | 'Ū'
        | 'ů'
        | 'Ů'
        | 'ű'
        | 'Ű'
        | 'ų'
        | 'Ų'
        | 'ụ'
        | 'ủ'
        | 'ư'
        | 'ứ'
        | 'ừ'
        | 'ữ' => b"u",
        'ý' | 'ÿ' | 'Ý' | 'ỳ' | 'ỹ' => b"y",
        'ź' | 'Ź' | 'ż' | 'Ż' | 'ž' | 'Ž' => b"z",
        _ => return None,
    })
}
