//! A request in one form: the same whatever its white space, the order of its members and the way in
//! which its strings are written, and another when anything that it says differs.

use aws_lc_rs::digest::{Context, SHA256};
use gate::shape::Json;
use ledger::Hash;
use phi::Text;

/// The digest of a request's canonical form; absent when it is no JSON document. It stays in memory, and
/// only keyed hashes of it are names of anything.
pub(super) fn digest(written: &Text) -> Option<Hash> {
    let json = Json::parse(written.expose().as_bytes()).ok()?;
    let mut context = Context::new(&SHA256);
    add(&mut context, &json);
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Some(Hash::from_bytes(bytes))
}

/// Each value is its kind, the number of what is in it, and that. So no two documents that say different
/// things are the same bytes.
fn add(to: &mut Context, json: &Json) {
    match json {
        Json::Null => to.update(b"n"),
        Json::Bool(false) => to.update(b"f"),
        Json::Bool(true) => to.update(b"t"),
        // A number is kept as it is written, so that 1 and 1.0 are two: a model may tell them apart.
        Json::Number(number) => add_bytes(to, b'#', number.to_string().as_bytes()),
        Json::Text(text) => add_bytes(to, b'"', text.expose().as_bytes()),
        Json::List(items) => {
            add_head(to, b'[', items.len());
            for item in items {
                add(to, item);
            }
        }
        Json::Map(members) => {
            add_head(to, b'{', members.len());
            let mut members: Vec<&(Text, Json)> = members.iter().collect();
            // A document that names a member twice does not parse.
            members.sort_by(|one, other| one.0.expose().cmp(other.0.expose()));
            for (name, value) in members {
                add_bytes(to, b'"', name.expose().as_bytes());
                add(to, value);
            }
        }
    }
}

fn add_head(to: &mut Context, kind: u8, length: usize) {
    to.update(&[kind]);
    to.update(&(length as u64).to_be_bytes());
}

fn add_bytes(to: &mut Context, kind: u8, bytes: &[u8]) {
    add_head(to, kind, bytes.len());
    to.update(bytes);
}
