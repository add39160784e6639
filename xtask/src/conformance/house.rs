//! A Bulla of its own, with rules that tokenize everything.

use crate::demo::product::{Product, Server, free_port};
use crate::demo::rules::ORGANISATION;
use crate::process::{self, Stop, Trouble, cargo, root};
use crate::target_folder;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The APIs and destinations of the dialects that Bulla speaks to model servers.
const DESTINATION: &str = r#"
[[destination]]
id = "vendor"
title = "The scripted model server"
dialect = "openai"
url = "http://UPSTREAM/v1"
credential = "none"
hops = ["vendor-inference"]
models = ["MODEL"]

[[route]]
model = "MODEL"
to = [{ destination = "vendor", model = "MODEL" }]
"#;

const RULES: &str = r#"schema = 1
organisation = "ORGANISATION"

[hosting]
hop = "clinic-server"

[[purpose]]
id = "treatment"
title = "Treatment of a patient"

[[hop]]
id = "clinic-server"
entity = "ORGANISATION"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "ORGANISATION"

[[hop]]
id = "vendor-inference"
entity = "ORGANISATION"
role = "inference"
sees = "content"
boundary = "inside"
owner = "ORGANISATION"
hosts = ["UPSTREAM"]

[[policy]]
id = "tokenize"
effect = "tokenize"
classes = ["*"]
destinations = ["vendor"]
purposes = ["treatment"]
"#;

/// A running Bulla; its folder goes with it.
pub(super) struct House {
    pub(super) url: String,
    pub(super) key: String,
    /// Where its model server is looked for.
    pub(super) upstream: SocketAddr,
    server: Server,
    _folder: Folder,
}

/// A scratch folder that is removed in the end, whatever happens.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

impl House {
    pub(super) fn start(model: &str, stop: &Stop) -> Result<Self, Trouble> {
        process::run(
            cargo().args(["build", "--locked", "--quiet", "-p", "server", "--bins"]),
            stop,
        )?;
        let folder =
            Folder(root().join("target").join(format!("conformance-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0)?;
        let product = Product {
            bulla: target_folder("debug").join("bulla"),
            verify: target_folder("debug").join("bulla-verify"),
            data: folder.0.join("data"),
            shown: false,
        };
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let file = folder.0.join("rules.toml");
        std::fs::write(&file, rules(model, upstream))?;
        let (data, file) = (product.data.display().to_string(), file.display().to_string());
        product.bulla(&["init", &data, "--org", ORGANISATION])?;
        product.bulla(&["apply", &file, "--data", &data])?;
        let owner = ["--owner", "Conformance suite", "--purpose", "treatment"];
        let said = product.bulla(&[&["key", "create", "--data", &data][..], &owner].concat())?;
        let key = said.lines().rev().find(|line| line.starts_with("bulla_"));
        let key = key.ok_or_else(|| Trouble::new("bulla printed no key"))?.to_owned();
        let server = Server::start(&product, None, folder.0.join("server.log"), stop)?;
        let url = format!("http://{}", server.address);
        Ok(Self { url, key, upstream, server, _folder: folder })
    }

    pub(super) fn end(self) -> Result<(), Trouble> {
        self.server.end()
    }
}

fn rules(model: &str, upstream: SocketAddr) -> String {
    format!("{RULES}{DESTINATION}")
        .replace("ORGANISATION", ORGANISATION)
        .replace("UPSTREAM", &upstream.to_string())
        .replace("MODEL", model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_send_the_model_to_the_scripted_server() {
        let table: toml::Table =
            rules("m", SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).parse().unwrap();
        assert_eq!(table["destination"][0]["url"].as_str(), Some("http://127.0.0.1:9/v1"));
        assert_eq!(table["hop"][1]["hosts"][0].as_str(), Some("127.0.0.1:9"));
        assert_eq!(table["route"][0]["model"].as_str(), Some("m"));
    }
}
