//! `[channel.NAME]`: what follows when an image of a channel is pushed.
use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::OnPush;

const ON_PUSH: [(&str, OnPush); 2] = [("report", OnPush::Report), ("rebuild", OnPush::Rebuild)];

/// `[channel.NAME]` as written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelTable {
    pub(crate) on_push: OnPush,
}

impl<'a> FromToml<'a> for ChannelTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<ChannelTable> {
        let mut table = Table::from_toml(value, findings)?;
        let on_push = table.choice("on_push", &ON_PUSH, OnPush::Report, findings);
        table.finish(findings);
        Some(ChannelTable { on_push })
    }
}
