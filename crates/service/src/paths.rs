//! The paths of prompts, as an officer or an auditor reads them.

use crate::house::House;
use gate::agreement::Registry;
use gate::path::{Boundary, CoveredBy, Features, Hop, PLAIN};

/// One route's path to one destination.
#[derive(Clone, Debug)]
pub struct PathView {
    /// The name that callers use.
    pub route: String,
    /// The destination.
    pub destination: String,
    /// The model, as the destination calls it.
    pub model: String,
    /// The hops in order, hosting first.
    pub hops: Vec<HopView>,
    /// Why nothing may leave on it now; absent when every hop is covered.
    pub gap: Option<String>,
}

/// One hop of a path.
#[derive(Clone, Debug)]
pub struct HopView {
    /// Its id.
    pub id: String,
    /// The legal entity.
    pub entity: String,
    /// What it does.
    pub role: &'static str,
    /// What it sees.
    pub sees: &'static str,
    /// On which side of the organisation's boundary it lies.
    pub boundary: &'static str,
    /// The agreement or evidence that is to cover it, or a dash.
    pub cover: String,
    /// The terms of the data under which it gets requests, one for each scope that is about it.
    pub terms: Vec<String>,
}

impl House {
    /// Every path of the configuration in force, with its state at this moment.
    #[must_use]
    pub fn paths(&self) -> Vec<PathView> {
        let in_force = self.in_force.load();
        let Some(in_force) = in_force.as_ref() else { return Vec::new() };
        let (now, registry) = (self.clock.now(), in_force.rules.registry());
        let mut paths = Vec::new();
        for route in in_force.rules.routes() {
            for target in route.every_target() {
                let Some(destination) = in_force.rules.destination(target.destination().as_str())
                else {
                    continue;
                };
                let model = target.model().as_str();
                let features = Features {
                    api: destination.main_api().as_str(),
                    model,
                    modality: "text",
                    capabilities: PLAIN,
                };
                let covered = in_force.rules.cover(destination, &features, now);
                paths.push(PathView {
                    route: route.model().to_string(),
                    destination: destination.id().to_owned(),
                    model: model.to_owned(),
                    hops: destination.path().hops().map(|hop| view(hop, registry)).collect(),
                    gap: covered.err().map(|gap| gap.to_string()),
                });
            }
        }
        paths
    }
}

fn view(hop: &Hop, registry: &Registry) -> HopView {
    HopView {
        id: hop.id().to_string(),
        entity: hop.entity().to_string(),
        role: hop.role().as_str(),
        sees: hop.sees().as_str(),
        boundary: match hop.boundary() {
            Boundary::Inside { .. } => "inside",
            Boundary::Outside => "outside",
        },
        cover: match hop.cover() {
            CoveredBy::Agreement(id) => format!("agreement {id}"),
            CoveredBy::Evidence(id) => format!("evidence {id}"),
            CoveredBy::Nothing => "-".to_owned(),
        },
        terms: hop.terms(registry).iter().map(ToString::to_string).collect(),
    }
}
