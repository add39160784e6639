//! Takes FHIR JSON apart, wherever in a text it stands, and cuts out what the profile does not name.

use super::json::{Kind, Member, Node, Reader, Stop};
use super::{Cuts, Element, Profile, Unread, marker, words};
use std::ops::Range;

const TYPE: &str = "resourceType";

/// No element of FHIR has a longer name.
const LONGEST_NAME: usize = 48;

/// The JSON values in a text that hold a resource, each as far as it goes.
///
/// # Errors
/// [`Unread`] when the text has so many brackets that lead nowhere that looking further costs too much.
pub(super) fn documents(text: &str) -> Result<Vec<Node<'_>>, Unread> {
    let mut found = Vec::new();
    if !text.contains("resourceType") && !text.contains("\\u00") {
        return Ok(found);
    }
    let mut reader = Reader::new(text);
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(['{', '['])) {
        match reader.value_at(at + next) {
            Ok(node) => {
                at = node.end;
                if holds_resource(&node) {
                    found.push(node);
                }
            }
            Err(Stop::NotJson) => at += next + 1,
            Err(Stop::Spent) => return Err(Unread),
        }
    }
    Ok(found)
}

fn holds_resource(node: &Node<'_>) -> bool {
    match &node.kind {
        Kind::Word | Kind::Text(_) => false,
        Kind::List(items) => items.iter().any(holds_resource),
        Kind::Map(members) => members.iter().any(|it| it.name == TYPE || holds_resource(&it.value)),
    }
}

/// What is known of the place at which a value stands.
#[derive(Clone, Copy)]
enum Place<'p> {
    /// Around resources: what stands there is like the prose around a document.
    Around,
    /// Only resources may stand here, as in the entries of a Bundle.
    OnlyResources,
    /// The profile names it, or members of it.
    Named(&'p Element),
}

/// Cuts what the profile does not name out of a value that holds resources.
///
/// # Errors
/// [`Unread`] when a resource does not say of which type it is, or says it twice.
pub(super) fn cut(profile: &Profile, node: &Node<'_>, cuts: &mut Cuts) -> Result<(), Unread> {
    let mut cutter = Cutter { profile, cuts, path: Vec::new() };
    if let Kind::Map(members) = &node.kind
        && let Some(name) = resource_type(members)?
        && profile.resource(name).is_none()
    {
        cutter
            .cuts
            .take(node.start + 1..node.end - 1, words::resource(name).unwrap_or(words::OTHER));
        return Ok(());
    }
    cutter.value(node, Place::Around).map(drop)
}

struct Cutter<'p, 'c> {
    profile: &'p Profile,
    cuts: &'c mut Cuts,
    path: Vec<&'p str>,
}

/// Whether a value stays, or something of it.
type Stays = bool;

impl<'p> Cutter<'p, '_> {
    fn value(&mut self, node: &'p Node<'p>, place: Place<'p>) -> Result<Stays, Unread> {
        match &node.kind {
            Kind::Map(members) => match resource_type(members)? {
                Some(name) => self.resource(name, members),
                None => self.members(members, place),
            },
            Kind::List(items) => {
                let spans: Vec<_> = items.iter().map(|item| item.start..item.end).collect();
                let stay: Vec<Stays> =
                    items.iter().map(|item| self.value(item, place)).collect::<Result<_, _>>()?;
                self.leave_out(&spans, &stay);
                Ok(stay.contains(&true) || items.is_empty() && whole(place))
            }
            Kind::Text(text) if whole(place) => {
                // A document inside a text inside a document would pass under the outer one's name.
                if marker::is_in(text) { Err(Unread) } else { Ok(true) }
            }
            Kind::Word if whole(place) => Ok(true),
            Kind::Text(_) | Kind::Word => {
                self.count();
                Ok(false)
            }
        }
    }

    /// A resource is judged by its own type, wherever it stands.
    fn resource(&mut self, name: &'p str, members: &'p [Member<'p>]) -> Result<Stays, Unread> {
        let Some(element) = self.profile.resource(name) else {
            self.cuts.note(words::resource(name).unwrap_or(words::OTHER));
            return Ok(false);
        };
        let around =
            std::mem::replace(&mut self.path, vec![self.profile.said(name, words::resource)]);
        let stays = self.members(members, Place::Named(element));
        self.path = around;
        stays.map(|_| true)
    }

    fn members(&mut self, members: &'p [Member<'p>], place: Place<'p>) -> Result<Stays, Unread> {
        let mut stay = Vec::with_capacity(members.len());
        for member in members {
            let name = &*member.name;
            // Nor may it pass as a name.
            if name.len() > LONGEST_NAME && marker::is_in(name) {
                return Err(Unread);
            }
            let within = match place {
                Place::Around => Some(Place::Around),
                Place::OnlyResources => None,
                Place::Named(element) if element.whole => Some(place),
                Place::Named(element) => element.member(name),
            };
            self.path.push(self.profile.said(name, words::element));
            stay.push(match within {
                // It is why the resource is one.
                _ if name == TYPE && matches!(place, Place::Named(_)) => true,
                Some(within) => self.value(&member.value, within)?,
                None => {
                    self.count();
                    false
                }
            });
            self.path.pop();
        }
        let spans: Vec<_> = members.iter().map(|it| it.start..it.value.end).collect();
        self.leave_out(&spans, &stay);
        Ok(stay.contains(&true) || members.is_empty() && whole(place))
    }

    /// Cuts the items that do not stay, each with one comma, so that what is left is JSON.
    fn leave_out(&mut self, spans: &[Range<usize>], stay: &[Stays]) {
        let mut kept = false;
        for (index, (span, stays)) in spans.iter().zip(stay).enumerate() {
            if *stays {
                kept = true;
                continue;
            }
            let before = index.checked_sub(1).and_then(|at| spans.get(at));
            let after = spans.get(index + 1);
            let range = match (kept, before, after) {
                (true, Some(before), _) => before.end..span.end,
                (_, _, Some(after)) => span.start..after.start,
                (_, _, None) => span.clone(),
            };
            self.cuts.cut(range);
        }
    }

    fn count(&mut self) {
        let path = self.path.join(".");
        self.cuts.note(&path);
    }
}

const fn whole(place: Place<'_>) -> bool {
    match place {
        Place::Around => true,
        Place::OnlyResources => false,
        Place::Named(element) => element.whole,
    }
}

impl Element {
    fn member(&self, name: &str) -> Option<Place<'_>> {
        let member = self.members.get(name)?;
        Some(if member.only_resources && !member.whole {
            Place::OnlyResources
        } else {
            Place::Named(member)
        })
    }
}

/// The type of the resource that an object is; absent when it is none.
fn resource_type<'n>(members: &'n [Member<'n>]) -> Result<Option<&'n str>, Unread> {
    let mut types = members.iter().filter(|member| member.name == TYPE);
    let Some(first) = types.next() else { return Ok(None) };
    match (&first.value.kind, types.next()) {
        (Kind::Text(name), None) => Ok(Some(name)),
        (Kind::Text(_) | Kind::Word | Kind::List(_) | Kind::Map(_), _) => Err(Unread),
    }
}
