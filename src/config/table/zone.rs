//! Time zones by their IANA names.
use jiff::tz::TimeZone;
use serde_spanned::Spanned;

use super::super::diagnostic::{Findings, nearest};
use super::value::{FromToml, Value};

impl<'a> FromToml<'a> for TimeZone {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<TimeZone> {
        let written: Spanned<String> = Spanned::from_toml(value, findings)?;
        let name = written.get_ref();
        if let Ok(zone) = jiff::tz::db().get(name) {
            return Some(zone);
        }
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|zone| zone.to_string())
            .collect();
        let finding = findings
            .error(written.span(), format!("there is no time zone {name:?}"))
            .hint("write a name of the IANA list, like \"Europe/Berlin\" or \"UTC\"");
        let all = known.iter().map(String::as_str);
        let cities = known.iter().filter_map(|zone| zone.rsplit_once('/'));
        let of_city = nearest(name, cities.map(|(_, city)| city));
        let of_city = of_city.and_then(|city| all.clone().find(|zone| zone.ends_with(city)));
        if let Some(zone) = nearest(name, all).or(of_city) {
            finding.hint(format!("did you mean {zone:?}?"));
        }
        None
    }
}
