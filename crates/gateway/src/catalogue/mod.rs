//! What programs and people are told of this node's interface, made from one description: OpenAPI, AsyncAPI, JSON
//! Schemas, TypeScript types and the tables of `docs/`.
//!
//! Messages are described in `hookswitch_protocol::catalogue`, routes in the files called `described.rs` beside the
//! types that they take and answer. All of it is made by `cargo xtask golden -p hookswitch-gateway`; a node embeds and
//! serves what was made, so that no server carries the making.

mod asyncapi;
mod golden;
mod openapi;
pub(crate) mod operation;
mod schemas;
mod tables;
mod typescript;

use std::collections::BTreeSet;

use crate::routes::{Access, Endpoint, ROUTES, Route};
use crate::{pages, publish, webhooks_api};
use operation::Operation;

/// Everything that is described of endpoints.
fn operations() -> Vec<Operation> {
    let all = [pages::described::operations(), publish::described::operations(), webhooks_api::described::operations()];
    all.into_iter().flatten().collect()
}

/// The routes with their descriptions, in the order of the table.
fn described_routes() -> Vec<(&'static Route, Operation)> {
    let of = |endpoint: Endpoint| operations().into_iter().find(|operation| operation.endpoint == endpoint);
    ROUTES.iter().filter_map(|route| Some((route, of(route.endpoint)?))).collect()
}

/// The path that is documented; other prefixes lead to the same.
fn path_of(route: &Route) -> String {
    format!("{}{}", route.prefixes[0], route.path)
}

/// The names in a path's pattern.
fn names_in(path: &str) -> BTreeSet<&str> {
    let segments = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    segments.collect()
}

/// Who may use a route, in words.
fn roles_of(access: Access) -> Vec<&'static str> {
    match access {
        Access::Node | Access::Session => Vec::new(),
        Access::Tenant(roles) | Access::Operator(roles) => roles.iter().map(|role| role.as_str()).collect(),
    }
}

#[test]
fn routes_and_descriptions_are_the_same() {
    let described: Vec<Endpoint> = operations().iter().map(|operation| operation.endpoint).collect();
    // The console's files are for people, and no interface.
    for route in ROUTES.iter().filter(|route| route.endpoint != Endpoint::Console) {
        let n_times = described.iter().filter(|endpoint| **endpoint == route.endpoint).count();
        let (method, path, endpoint) = (&route.method, path_of(route), route.endpoint);
        assert_eq!(
            n_times, 1,
            "{method} {path} (Endpoint::{endpoint:?}) has {n_times} descriptions: it needs one, in a file described.rs"
        );
    }
    for endpoint in described {
        let is_routed = ROUTES.iter().any(|route| route.endpoint == endpoint);
        assert!(is_routed, "Endpoint::{endpoint:?} is described and no route leads to it");
    }
}

#[test]
fn a_description_names_the_parameters_of_its_path() {
    for (route, operation) in described_routes() {
        let path = path_of(route);
        let in_path = names_in(&path);
        let described: BTreeSet<&str> =
            operation.params.iter().filter(|param| param.place == "path").map(|param| param.name).collect();
        // A session key may stand in the query instead.
        let is_fine = described == in_path || (route.access == Access::Session && in_path.is_empty());
        assert!(is_fine, "{path} has {in_path:?}, its description {described:?}");
        assert!(!operation.answers.is_empty(), "{path} has no answer");
    }
}
