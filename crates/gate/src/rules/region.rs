//! In which regions text may be.

use super::name::{Fault, Name, word};

/// The regions in which a hop that gets text, or keeps it, may lie. Every region when none is named:
/// HIPAA forbids none, but some states (Texas, SB 1188) and many contracts do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regions(Vec<Allowed>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    One(Name),
    /// All that begin so.
    Begins(String),
}

impl Regions {
    pub(crate) fn parse(texts: Option<&[String]>) -> Result<Self, Fault> {
        let Some(texts) = texts else { return Ok(Self::default()) };
        if texts.is_empty() {
            return Err(Fault::new("regions", "names nothing, so nothing could leave; name some"));
        }
        let allowed = texts.iter().map(|text| match text.strip_suffix('*') {
            None => word("regions", text).map(Allowed::One),
            Some("") => Err(Fault::new("regions", "\"*\" allows every region; leave it out")),
            Some(begins) => {
                // With one more letter it must be a region's name.
                word::<Name>("regions", &format!("{begins}x"))?;
                Ok(Allowed::Begins(begins.to_owned()))
            }
        });
        Ok(Self(allowed.collect::<Result<_, _>>()?))
    }

    /// Whether a hop of this region may have text. Where regions are named, a hop that does not say
    /// where it lies may not.
    pub(crate) fn allow(&self, region: Option<&Name>) -> bool {
        self.0.is_empty()
            || region.is_some_and(|region| {
                self.0.iter().any(|allowed| match allowed {
                    Allowed::One(name) => name == region,
                    Allowed::Begins(begins) => region.as_str().starts_with(begins),
                })
            })
    }
}

#[cfg(test)]
mod tests;
