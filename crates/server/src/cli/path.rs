//! `bulla path`.

use super::{Data, Environment, Failure, say};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct ShowPath {
    #[command(flatten)]
    data: Data,
    /// One route only
    route: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl ShowPath {
    /// Exit code 1 says that a path is broken: something on it is covered by nothing.
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let mut paths = house.paths();
        paths.retain(|path| self.route.as_ref().is_none_or(|route| *route == path.route));
        let broken = paths.iter().any(|path| path.gap.is_some());
        if self.json {
            let documents: Vec<_> = paths
                .iter()
                .map(|path| {
                    let hops: Vec<_> = path
                        .hops
                        .iter()
                        .map(|hop| {
                            json!({
                                "id": hop.id, "entity": hop.entity, "role": hop.role,
                                "sees": hop.sees, "boundary": hop.boundary, "cover": hop.cover,
                                "terms": hop.terms,
                            })
                        })
                        .collect();
                    json!({
                        "route": path.route, "destination": path.destination, "model": path.model,
                        "state": if path.gap.is_some() { "broken" } else { "covered" },
                        "gap": path.gap, "hops": hops,
                    })
                })
                .collect();
            say(json!(documents))?;
        } else if paths.is_empty() {
            say("There is no such route. bulla apply FILE puts routes in force.")?;
        } else {
            for path in &paths {
                let state = if path.gap.is_some() { "BROKEN" } else { "covered" };
                say(format_args!(
                    "{} -> {} ({})  {state}",
                    path.route, path.destination, path.model
                ))?;
                for hop in &path.hops {
                    say(format_args!(
                        "  {:28} {:14} sees {:10} {:8} {}",
                        hop.id, hop.role, hop.sees, hop.boundary, hop.cover
                    ))?;
                    for terms in &hop.terms {
                        say(format_args!("    {terms}"))?;
                    }
                }
                if let Some(gap) = &path.gap {
                    say(format_args!("  Nothing leaves on it: {gap}"))?;
                }
            }
        }
        Ok(if broken || paths.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}
