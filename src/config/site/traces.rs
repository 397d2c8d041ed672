//! `[traces]`: where rotations are sent as traces.
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::Traces;

/// Whether this program was built to send any.
const SENDS: bool = cfg!(feature = "otlp");

impl<'a> FromToml<'a> for Traces {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Traces> {
        let mut table = Table::from_toml(value, findings)?;
        let example = "\"http://127.0.0.1:4318/v1/traces\"";
        let otlp: Option<Spanned<String>> = table.required("otlp", example, findings);
        table.finish(findings);
        let otlp = otlp?;
        if otlp.get_ref().contains('@') {
            findings.hide(otlp.span());
            findings
                .error(otlp.span(), "[traces].otlp holds a name or a password")
                .label("not shown")
                .hint("put what the collector wants to know into OTEL_EXPORTER_OTLP_HEADERS");
            return None;
        }
        let url = reqwest::Url::parse(otlp.get_ref());
        let is_url =
            url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_url {
            findings
                .error(otlp.span(), "[traces].otlp is no URL")
                .hint("write http://HOST:4318/v1/traces, or https://…");
            return None;
        }
        if !SENDS {
            let found = findings.error(otlp.span(), "this program was built without traces");
            found.hint(
                "build it with `cargo build --release --features otlp`, or take [traces] out",
            );
            return None;
        }
        Some(Traces {
            otlp: otlp.into_inner(),
        })
    }
}
