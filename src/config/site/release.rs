//! `[release]`: what a promotion asks for, and what is kept of what was good.
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use crate::model::release::{TagRule, Terms};

/// More than this nobody goes back to; and each of them is looked after at every registry.
const MOST: u32 = 50;

impl<'a> FromToml<'a> for Terms {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Terms> {
        let mut table = Table::from_toml(value, findings)?;
        let soak = table.optional("soak", findings).unwrap_or_default();
        let approvals = table.optional("approvals", findings).unwrap_or_default();
        let keep = table.optional("keep", findings);
        let tag = table.optional("tag", findings);
        table.finish(findings);
        let keep = keep.map_or(0, |keep| keep_of(&keep, findings));
        let tag = tag.and_then(|tag| rule_of(&tag, findings));
        Some(Terms {
            soak,
            approvals,
            keep: usize::try_from(keep).unwrap_or_default(),
            tag: tag.unwrap_or_default(),
        })
    }
}

fn keep_of(keep: &Spanned<u32>, findings: &mut Findings) -> u32 {
    if *keep.get_ref() > MOST {
        let what = format!("[release].keep is more than {MOST}");
        let error = findings.error(keep.span(), what);
        error.hint("write how many releases back you would go: 5 is many");
    }
    *keep.get_ref()
}

fn rule_of(tag: &Spanned<String>, findings: &mut Findings) -> Option<TagRule> {
    match tag.get_ref().parse::<TagRule>() {
        Ok(rule) => Some(rule),
        Err(error) => {
            let finding = findings.error(tag.span(), format!("[release].tag {error}"));
            finding.hint(error.cure());
            None
        }
    }
}
