//! The primary: what it serves, what the key may change there, and its clock.
use super::super::adapters::Adapters;
use super::Check;
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Fleet;
use crate::model::rrset::ZoneView;

/// Clocks that are further apart make TSIG signatures fail.
const CLOCKS_APART_S: i64 = 20;

pub(super) async fn checks(adapters: &Adapters, view: &Result<ZoneView, Problem>) -> Vec<Check> {
    let (fleet, dns) = (adapters.fleet(), &adapters.dns);
    let asked = format!("primary {}", fleet.dns.server);
    let view = match view {
        Ok(view) => view,
        Err(problem) => return vec![Check::problem(asked, problem)],
    };
    let mut checks = vec![Check::well(
        asked,
        format!("answers, serial {}", view.serial),
    )];
    checks.extend(ttls(fleet, view));
    let report = dns.check_rights().await;
    let granted = report.granted.iter();
    checks.extend(granted.map(|right| Check::well(format!("right to change {right}"), "granted")));
    let rights = |problem: &Problem| Check::problem("DNS rights", problem);
    checks.extend(report.problems.iter().map(rights));
    if let Some(clocks) = report.clocks {
        checks.push(apart("the primary's clock", clocks.server_ahead_s()));
    }
    checks.extend(unserved(adapters).await);
    checks.extend(neighbours(adapters).await);
    checks
}

fn ttls(fleet: &Fleet, view: &ZoneView) -> Vec<Check> {
    let served = view
        .rrsets
        .iter()
        .filter_map(|(key, set)| Some((key, set.ttl?)));
    let check = served.map(|(key, ttl)| {
        let asked = format!("TTL of {key}");
        if ttl == fleet.dns.ttl {
            return Check::well(asked, ttl.to_string());
        }
        let answer = format!("{ttl} is served, [dns].ttl says {}", fleet.dns.ttl);
        let cure = "make both the same: cleanslate changes no TTL; after lowering it, ttl_was is \
                    the old one for a day";
        Check::wrong(asked, answer, cure)
    });
    check.collect()
}

async fn unserved(adapters: &Adapters) -> Vec<Check> {
    let asked = "records with address hints";
    match adapters.dns.unserved().await {
        Ok(problems) if problems.is_empty() => vec![Check::well(asked, "none")],
        Ok(problems) => problems
            .iter()
            .map(|problem| Check::problem(asked, problem))
            .collect(),
        Err(problem) => vec![Check::problem(asked, &problem)],
    }
}

/// A note, for the names of the hosts themselves are such names, and nobody's users ask for them.
async fn neighbours(adapters: &Adapters) -> Vec<Check> {
    let fleet = adapters.fleet();
    let sites = fleet.sites.keys();
    let addresses = sites.flat_map(|site| fleet.all_addresses(site)).collect();
    let asked = "other names with our addresses";
    let found = match adapters.dns.neighbours(&addresses).await {
        Ok(found) => found,
        Err(why) => {
            let answer = format!("cannot be asked: {why}");
            let cure = "if it is worth knowing, let the primary hand the zone to this machine \
                        (BIND: allow-transfer)";
            return vec![Check::noted(asked, answer).cured_by(cure)];
        }
    };
    if found.is_empty() {
        return vec![Check::well(asked, "none in the zone")];
    }
    let noted = found.iter().map(|neighbour| {
        let (name, address) = (&neighbour.name, neighbour.address);
        let of = |site: &&crate::model::id::SiteName| fleet.all_addresses(site).contains(&address);
        let sites: Vec<&str> = fleet
            .sites
            .keys()
            .filter(of)
            .map(|site| site.as_str())
            .collect();
        let answer = format!("{name} has {address}, of {}", sites.join(", "));
        let cure = format!(
            "users who ask for {name} go on to a site that was withdrawn: add it to \
             [dns].records; a host's own name may stay"
        );
        Check::noted(asked, answer).cured_by(cure)
    });
    noted.collect()
}

pub(super) fn apart(asked: &str, ahead_s: i64) -> Check {
    let answer = match ahead_s {
        0 => "the same as ours".to_owned(),
        ahead if ahead > 0 => format!("{ahead}s ahead of ours"),
        behind => format!("{}s behind ours", -behind),
    };
    if ahead_s.abs() < CLOCKS_APART_S {
        return Check::well(asked, answer);
    }
    Check::wrong(asked, answer, "set both clocks by NTP")
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;

    #[test]
    fn clocks_may_be_some_seconds_apart() {
        assert_eq!(apart("c", 19).found, Found::Well);
        let behind = apart("c", -40);
        assert_eq!(behind.found, Found::Wrong);
        assert_eq!(behind.answer, "40s behind ours");
    }
}
