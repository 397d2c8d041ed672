//! A program that was built without: there is nobody to send to.
use std::future::Ready;

use crate::coordinator::outcome::Problem;
use crate::model::fleet::Traces;
use crate::model::id::FleetName;
use crate::model::span::{Span, TraceId};

/// Whoever collects traces: nobody.
#[derive(Debug)]
pub enum Collector {}

impl Collector {
    /// # Errors
    /// Always.
    pub fn new(_: &Traces, _: &FleetName) -> Result<Collector, Problem> {
        Err(Problem {
            what: "this program was built without traces".to_owned(),
            cure: "build it with `--features otlp`".to_owned(),
            is_transient: false,
        })
    }

    /// Never called: there is none.
    pub fn send(&self, _: TraceId, _: &[Span]) -> Ready<Result<(), Problem>> {
        match *self {}
    }
}
