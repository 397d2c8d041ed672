//! Everything that is proved against real BIND, Docker and registry: one binary, linked once.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests wait for the real world"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so and ends"
)]

#[path = "../lab/mod.rs"]
mod lab;
mod lab_itself;

mod browser;
mod program;
mod scene;

mod api;
mod audit;
mod brands;
mod by_hand;
mod compose;
mod data;
mod doctor;
mod drains;
mod drift;
mod dry_run;
mod first_night;
mod hooks;
mod hosts_fail;
mod images;
mod kept;
mod killed;
mod lines_fail;
mod monitoring;
mod moving;
mod names_fail;
mod new_fleet;
mod nights;
mod on_call;
mod packaging;
mod page;
mod refusals;
mod registry_fails;
mod release_terms;
mod releases;
mod remembered;
mod rolls_back;
mod serving;
mod shapes;
mod simulate;
mod stopping;
mod store_lost;
mod two_coordinators;
mod while_it_runs;
mod wrong_files;
mod wrong_inputs;
