//! What characters look like.

/// What is seen of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Itself.
    Same,
    /// Nothing.
    Nothing,
    /// Another character.
    One(char),
    /// Several characters.
    Many(&'static str),
}

/// What is seen of a character, whatever stands around it.
pub(super) fn likeness(c: char) -> Likeness {
    if c.is_ascii() {
        return Likeness::Same;
    }
    match c {
        // Soft hyphens, joiners, marks of direction, selectors, tags, accents of the next letter.
        '\u{ad}'
        | '\u{300}'..='\u{36f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}'
        | '\u{e0100}'..='\u{e01ef}' => Likeness::Nothing,
        '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{2800}'
        | '\u{3000}' => Likeness::One(' '),
        '\u{85}' | '\u{2028}' | '\u{2029}' => Likeness::One('\n'),
        '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{2212}'
        | '\u{2796}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{2e3a}' => Likeness::One('-'),
        '\u{b4}' | '\u{2bb}'..='\u{2bd}' | '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' => {
            Likeness::One('\'')
        }
        '\u{201c}'..='\u{201f}' | '\u{2033}' => Likeness::One('"'),
        '\u{2024}' | '\u{3002}' | '\u{fe52}' | '\u{ff61}' => Likeness::One('.'),
        '\u{fe55}' | '\u{2236}' | '\u{a789}' => Likeness::One(':'),
        '\u{fe6b}' => Likeness::One('@'),
        '\u{fe5f}' => Likeness::One('#'),
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => Likeness::One('/'),
        '\u{fe59}' => Likeness::One('('),
        '\u{fe5a}' => Likeness::One(')'),
        '\u{ff01}'..='\u{ff5e}' => ascii(c as u32 - 0xfee0),
        '\u{fb00}' => Likeness::Many("ff"),
        '\u{fb01}' => Likeness::Many("fi"),
        '\u{fb02}' => Likeness::Many("fl"),
        '\u{fb03}' => Likeness::Many("ffi"),
        '\u{fb04}' => Likeness::Many("ffl"),
        '\u{fb05}' | '\u{fb06}' => Likeness::Many("st"),
        '\u{2116}' => Likeness::Many("No"),
        '\u{24b6}'..='\u{24cf}' => ascii(c as u32 - 0x24b6 + 0x41),
        '\u{24d0}'..='\u{24e9}' => ascii(c as u32 - 0x24d0 + 0x61),
        '\u{1d400}'..='\u{1d6a3}' => mathematical(c as u32 - 0x1d400),
        '\u{1d7ce}'..='\u{1d7ff}' => ascii(0x30 + (c as u32 - 0x1d7ce) % 10),
        '\u{2102}' | '\u{212d}' => Likeness::One('C'),
        '\u{210b}'..='\u{210d}' => Likeness::One('H'),
        '\u{210e}' => Likeness::One('h'),
        '\u{2110}' | '\u{2111}' => Likeness::One('I'),
        '\u{2112}' => Likeness::One('L'),
        '\u{2113}' => Likeness::One('l'),
        '\u{2115}' => Likeness::One('N'),
        '\u{2119}' => Likeness::One('P'),
        '\u{211a}' => Likeness::One('Q'),
        '\u{211b}'..='\u{211d}' => Likeness::One('R'),
        '\u{2124}' | '\u{2128}' => Likeness::One('Z'),
        '\u{212a}' => Likeness::One('K'),
        '\u{212b}' => Likeness::One('A'),
        '\u{212c}' => Likeness::One('B'),
        '\u{212f}' => Likeness::One('e'),
        '\u{2130}' => Likeness::One('E'),
        '\u{2131}' => Likeness::One('F'),
        '\u{2133}' => Likeness::One('M'),
        '\u{2134}' => Likeness::One('o'),
        _ => digit(c).map_or(Likeness::Same, Likeness::One),
    }
}

fn ascii(code: u32) -> Likeness {
    char::from_u32(code).map_or(Likeness::Same, Likeness::One)
}

/// The alphabets of Unicode's mathematical block follow each other, 26 capitals and 26 small letters.
fn mathematical(place: u32) -> Likeness {
    let letter = place % 52;
    ascii(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
}

/// The first digit of each script's ten.
const ZEROES: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xaa50, 0xabf0,
];

/// A decimal digit of another script.
fn digit(c: char) -> Option<char> {
    let code = c as u32;
    if !(0x660..=0xabf9).contains(&code) {
        return None;
    }
    let zero = *ZEROES.get(ZEROES.partition_point(|z| *z <= code).checked_sub(1)?)?;
    char::from_digit(code - zero, 10)
}

/// The Latin letter that a Cyrillic or Greek letter cannot be told from.
pub(super) const fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' | 'Ϲ' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'У' | 'Υ' | 'Ү' => 'Y',
        'Ζ' => 'Z',
        'Ԛ' => 'Q',
        'Ԝ' => 'W',
        'а' | 'α' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'һ' | 'н' => 'h',
        'і' | 'ι' => 'i',
        'ј' | 'ϳ' => 'j',
        'ӏ' => 'l',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' => 's',
        'υ' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' => 'w',
        'х' => 'x',
        'у' | 'ү' => 'y',
        'κ' | 'к' => 'k',
        'т' | 'τ' => 't',
        'м' => 'm',
        'в' => 'b',
        'г' => 'r',
        _ => return None,
    })
}
