//! `[release]`: what a promotion asks for.
use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use crate::model::release::Terms;

impl<'a> FromToml<'a> for Terms {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Terms> {
        let mut table = Table::from_toml(value, findings)?;
        let soak = table.optional("soak", findings).unwrap_or_default();
        let approvals = table.optional("approvals", findings).unwrap_or_default();
        table.finish(findings);
        Some(Terms { soak, approvals })
    }
}
