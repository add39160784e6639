//! Takes an HL7 v2 message apart, segment by segment.
//!
//! The separators stay, so that every field that stays keeps its number.

use super::{Cuts, Profile, Unread, words};
use std::ops::Range;

/// The fields of the header without which nobody can read the rest: separators, type, version.
const HEADER: [u32; 4] = [1, 2, 9, 12];

/// A message that was found in a text: where it stands, and the lines of its segments.
pub(super) struct Message {
    pub(super) range: Range<usize>,
    lines: Vec<Range<usize>>,
}

/// The messages in a text, each from its `MSH` to its last segment.
///
/// # Errors
/// [`Unread`] when something follows a message that may belong to it: a field with line breaks looks
/// like prose after a message.
pub(super) fn messages(text: &str) -> Result<Vec<Message>, Unread> {
    let mut found: Vec<Message> = Vec::new();
    let mut open: Option<Message> = None;
    for line in lines(text) {
        let content = text.get(line.clone()).unwrap_or_default();
        let begins = separator(content).is_some();
        match open.take() {
            Some(mut message) if is_segment(content) && !begins => {
                message.lines.push(line.clone());
                message.range.end = line.end;
                open = Some(message);
            }
            Some(message) => {
                if !begins && !ends_a_message(content) {
                    return Err(Unread);
                }
                found.push(message);
            }
            None => {}
        }
        if begins {
            open = Some(Message { range: line.clone(), lines: vec![line] });
        }
    }
    found.extend(open);
    Ok(found)
}

/// What may stand in the line after a message without belonging to it.
fn ends_a_message(line: &str) -> bool {
    let line = line.trim_matches(['\u{1c}', ' ', '\t']);
    line.is_empty() || ["```", "\"\"\"", "</"].iter().any(|fence| line.starts_with(fence))
}

/// The lines of a text without their ends. An empty line between CR and LF is not one.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let rest = text.get(at..)?;
        let start = at;
        let length = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let ending = rest.get(length..).unwrap_or_default();
        at += length + if ending.starts_with("\r\n") { 2 } else { 1 };
        over = ending.is_empty();
        Some(start..start + length)
    })
}

/// The separator of fields, when the line is the header of a message.
fn separator(line: &str) -> Option<char> {
    let rest = line.trim_start_matches('\u{b}').strip_prefix("MSH")?;
    let separators = rest.as_bytes().get(..4)?;
    separators.iter().all(u8::is_ascii_punctuation).then(|| rest.chars().next())?
}

fn is_segment(line: &str) -> bool {
    let name = line.as_bytes().get(..3).unwrap_or_default();
    let of_name =
        |(at, byte): (usize, &u8)| byte.is_ascii_uppercase() || at > 0 && byte.is_ascii_digit();
    name.len() == 3
        && name.iter().enumerate().all(of_name)
        && line.as_bytes().get(3).is_none_or(u8::is_ascii_punctuation)
}

/// Cuts what the profile does not name out of a message.
pub(super) fn cut(profile: &Profile, text: &str, message: &Message, cuts: &mut Cuts) {
    let header = message.lines.first().and_then(|line| text.get(line.clone()));
    let Some(separator) = header.and_then(separator) else { return };
    let mut last = None;
    for line in &message.lines {
        let content = text.get(line.clone()).unwrap_or_default();
        let marked = content.len() - content.trim_start_matches('\u{b}').len();
        let name = content.get(marked..marked + 3).unwrap_or_default();
        let fields = profile.segment(name);
        let said = words::segment(name).unwrap_or(words::OTHER);
        if fields.is_none() && name != "MSH" {
            // With the end of the line before, so that no empty line ends the message.
            let start = last.unwrap_or(line.start);
            cuts.take(start..line.end, said);
        } else {
            // The header's first field is the separator itself.
            let offset = u32::from(name == "MSH");
            let mut at = line.start + marked;
            for (index, field) in
                content.get(marked..).unwrap_or_default().split(separator).enumerate()
            {
                let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(offset);
                let needed = index == 0
                    || name == "MSH" && HEADER.contains(&number)
                    || fields.is_some_and(|fields| fields.keeps(number));
                if !needed && !field.is_empty() {
                    cuts.take(at..at + field.len(), &format!("{said}-{number}"));
                }
                at += field.len() + separator.len_utf8();
            }
        }
        last = Some(line.end);
    }
}
