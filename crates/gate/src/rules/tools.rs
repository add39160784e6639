//! The tools of a server that speaks the Model Context Protocol: which of them may be called.
//!
//! A server adds tools and changes what it says of them whenever it likes, and what it says of a tool is
//! read by a model as an instruction. So each tool that may be called is named in the file, and may be
//! pinned to the definition that somebody read.

use super::destination::{Destination, Dialect};
use super::name::{Fault, Name, Slug, word};
use super::route::Route;
use ledger::Hash;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tools of one server. A model that is offered more chooses badly among them.
const MAX_TOOLS: usize = 256;

/// The tools that may be called, and the definition of each that was approved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools(BTreeMap<Name, Option<Hash>>);

impl Tools {
    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.keys()
    }

    /// Whether a tool of this name, whose definition has this SHA-256, may be shown to a caller.
    #[must_use]
    pub fn shows(&self, name: &str, definition: &Hash) -> bool {
        self.0.get(name).is_some_and(|pin| pin.is_none_or(|pin| pin == *definition))
    }

    /// Whether a tool of this name may be called.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn parse(dialect: Dialect, raws: &[RawTool]) -> Result<Option<Self>, Fault> {
        if dialect != Dialect::Mcp {
            return if raws.is_empty() {
                Ok(None)
            } else {
                Err(Fault::new("tools", "belongs to dialect = \"mcp\" only"))
            };
        }
        // What a server offers tomorrow nobody has looked at, so there is no word for all of them.
        if raws.is_empty() {
            return Err(Fault::new("tools", "names no tool, so nothing can be called"));
        }
        if raws.len() > MAX_TOOLS {
            return Err(Fault::new("tools", format!("at most {MAX_TOOLS}")));
        }
        let mut tools = BTreeMap::new();
        for raw in raws {
            let pin = raw.sha256.as_ref().map(|text| {
                let problem = "a SHA-256 is 64 lower-case hexadecimal digits";
                text.parse().map_err(|_| Fault::new("tools", problem))
            });
            if tools.insert(word("tools", &raw.name)?, pin.transpose()?).is_some() {
                return Err(Fault::new("tools", "names one tool twice"));
            }
        }
        Ok(Some(Self(tools)))
    }
}

/// The routes to servers of tools: one by the server's id, and one for each of its tools, `id/tool`. Nobody
/// writes them, because there is nothing to choose.
pub(super) fn routes(
    destinations: &BTreeMap<Slug, Arc<Destination>>,
) -> Result<BTreeMap<Name, Route>, Fault> {
    let mut routes = BTreeMap::new();
    for (id, destination) in destinations {
        let Some(tools) = destination.tools() else { continue };
        let server: Name = word("id", id.as_str())?;
        routes.insert(server.clone(), Route::to_tools(server.clone(), id.clone(), server));
        for tool in tools.names() {
            let name: Name = word("tools", &format!("{id}/{tool}"))?;
            routes.insert(name.clone(), Route::to_tools(name, id.clone(), tool.clone()));
        }
    }
    Ok(routes)
}

/// A tool as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTool {
    name: String,
    sha256: Option<String>,
}

#[cfg(test)]
mod tests {
    use crate::rules::Rules;
    use ledger::Hash;

    const SERVER: &str = r#"
[[hop]]
id = "chart-tools"
entity = "Lakeside Family Clinic (synthetic)"
role = "tools"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["127.0.0.1:9000"]

[[destination]]
id = "charts"
title = "Charts"
dialect = "mcp"
url = "http://127.0.0.1:9000/mcp"
credential = "none"
hops = ["chart-tools"]
tools = [{ name = "find" }, { name = "read.chart", sha256 = "HASH" }]
"#;

    fn read(from: &str, to: &str) -> Result<Rules, String> {
        let minimal = include_str!("../../../../examples/minimal.toml");
        assert!(SERVER.contains(from), "{from}");
        let hash = Hash::of(b"approved").to_string();
        let text = format!("{minimal}\n{}", SERVER.replacen(from, to, 1).replace("HASH", &hash));
        Rules::parse(&text).map_err(|error| error.to_string())
    }

    fn check(from: &str, to: &str, words: &str) {
        let said = read(from, to).unwrap_err();
        assert!(said.contains(words), "{to}: {said}");
    }

    #[test]
    fn a_server_of_tools_has_a_route_of_its_own_and_one_for_each_tool() {
        let rules = read("", "").unwrap();
        let routes: Vec<&str> = rules.routes().map(|route| route.model().as_str()).collect();
        assert_eq!(routes, ["charts", "charts/find", "charts/read.chart", "local"]);
        for (name, model) in [("charts", "charts"), ("charts/find", "find")] {
            let route = rules.route(name).unwrap();
            let (target, others) = route.targets();
            assert_eq!((target.destination().as_str(), target.model().as_str()), ("charts", model));
            assert!(others.is_empty() && route.alternatives().is_empty());
            // A tool that was called is not called again because no answer came.
            assert_eq!(route.retry().attempts(), 1);
        }
        assert!(rules.route("charts/drop").is_none());
        assert!(rules.destination("local").unwrap().tools().is_none());
    }

    #[test]
    fn a_tool_is_shown_when_it_is_named_and_its_definition_is_the_approved_one() {
        let rules = read("", "").unwrap();
        let tools = rules.destination("charts").unwrap().tools().unwrap();
        let (approved, other) = (Hash::of(b"approved"), Hash::of(b"changed"));
        for (name, definition, shown) in [
            ("find", &other, true),
            ("read.chart", &approved, true),
            ("read.chart", &other, false),
            ("drop", &approved, false),
        ] {
            assert_eq!(tools.shows(name, definition), shown, "{name}");
        }
    }

    #[test]
    fn a_server_of_tools_names_tools_and_no_models_and_needs_no_route() {
        let tools = "tools = [{ name = \"find\" }, { name = \"read.chart\", sha256 = \"HASH\" }]";
        check(tools, "", "names no tool, so nothing can be called");
        check(tools, "tools = []", "names no tool, so nothing can be called");
        check(tools, "tools = [{ name = \"*\" }]", "field \"tools\"");
        check(tools, "tools = [{ name = \"a\" }, { name = \"a\" }]", "names one tool twice");
        check("\"HASH\"", "\"12\"", "64 lower-case hexadecimal digits");
        check(tools, &format!("{tools}\nmodels = [\"m\"]"), "has \"tools\", not models");
        let model = "dialect = \"openai_compatible\"\nmodels = [\"m\"]";
        check("dialect = \"mcp\"", model, "name a hop with role = \"inference\"");
        let other = SERVER.replace("role = \"tools\"", "role = \"inference\"");
        let other = other.replace("dialect = \"mcp\"", model);
        check(SERVER, &other, "belongs to dialect = \"mcp\" only");
        check("dialect = \"mcp\"", "dialect = \"mcp\"\napi_version = \"1\"", "\"2026-07-28\"");
        check("role = \"tools\"", "role = \"inference\"", "role = \"tools\"");
        let many: Vec<String> = (0..257).map(|i| format!("{{ name = \"t{i}\" }}")).collect();
        check(tools, &format!("tools = [{}]", many.join(",")), "at most 256");
        let route = |model, to| {
            format!(
                "\n[[route]]\nmodel = \"{model}\"\nto = [{{ destination = \"{to}\" , model = \"local\" }}]\n"
            )
        };
        let more = |more: String| format!("{tools}\n{more}");
        check(tools, &more(route("x", "charts")), "needs no route");
        check(tools, &more(route("charts/find", "local")), "has the name of a server of tools");
        for kept in ["charts", "charts/find"] {
            let cache = format!("\n[cache]\nttl_seconds = 60\nroutes = [\"{kept}\"]\n");
            check(tools, &more(cache), "a tool does something");
        }
        let reduced = "\n[[route]]\nmodel = \"x\"\nreduce = \"charts\"\nto = [{ destination = \"local\", model = \"local\" }]\n";
        check(tools, &more(reduced.to_owned()), "there is no [[route]] with this model");
    }
}
