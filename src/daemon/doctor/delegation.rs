//! Whom the zone sends resolvers to, beside whom a visit waits for.
use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Check;
use crate::dns::NameServer;
use crate::model::fleet;

const ASKED: &str = "delegation";

/// Both ways. A server is one, however many addresses it has: it is waited for if one of them is
/// listed. A primary that no NS record names is *hidden*, which is usual.
pub(super) fn checks(dns: &fleet::Dns, named: &[NameServer]) -> Vec<Check> {
    let Some(listed) = &dns.nameservers else {
        let names: Vec<&str> = named.iter().map(|server| server.name.as_str()).collect();
        let answer = format!("the NS records say who must agree: {}", names.join(", "));
        return vec![Check::well(ASKED, answer)];
    };
    let listed: BTreeSet<SocketAddr> = listed.iter().copied().collect();
    let mut checks = Vec::new();
    for server in named {
        checks.extend(not_listed(server, &listed, dns.server));
    }
    let known: BTreeSet<SocketAddr> = named
        .iter()
        .flat_map(|server| server.addresses.iter().flatten().copied())
        .collect();
    for server in listed.difference(&known) {
        if *server != dns.server {
            let answer = format!("{server} is in [dns].nameservers, and no NS record names it");
            let cure = format!(
                "if no resolver is sent there, take it out: every visit waits for it; else add an \
                 NS record for it to {}",
                dns.zone
            );
            checks.push(Check::noted(ASKED, answer).cured_by(cure));
        }
    }
    if checks.is_empty() {
        let answer = "the NS records name those of [dns].nameservers";
        checks.push(Check::well(ASKED, answer));
    }
    checks
}

fn not_listed(
    server: &NameServer,
    listed: &BTreeSet<SocketAddr>,
    primary: SocketAddr,
) -> Option<Check> {
    let name = &server.name;
    let addresses = match &server.addresses {
        Ok(addresses) => addresses,
        Err(why) => {
            let answer = format!("the NS record names {name}, which has no address: {why}");
            let cure =
                "give it one, or take the NS record away: resolvers that are sent there wait";
            return Some(Check::noted(ASKED, answer).cured_by(cure));
        }
    };
    let is_waited_for = |address: &SocketAddr| listed.contains(address) || *address == primary;
    if addresses.iter().any(is_waited_for) {
        return None;
    }
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let all = all.join(", ");
    let answer = format!("an NS record names {name} ({all}), and [dns].nameservers does not");
    let cure = "add it to [dns].nameservers, or leave that key out: no visit waits until it has \
                followed, so it sends users to a site that is being rebuilt";
    Some(Check::wrong(ASKED, answer, cure))
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;
    use crate::coordinator::tests::world::fleet;

    #[test]
    fn a_server_that_resolvers_are_sent_to_and_nobody_waits_for_is_wrong() {
        let found = found(
            &["192.0.2.53"],
            &[("ns1.", &["192.0.2.53"]), ("ns2.", &["192.0.2.54"])],
        );
        let [(Found::Wrong, answer)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            answer,
            "an NS record names ns2. (192.0.2.54:53), and [dns].nameservers does not"
        );
    }

    #[test]
    fn one_address_of_a_server_is_enough_and_a_hidden_primary_is_usual() {
        let named: &[(&str, &[&str])] = &[("ns1.", &["192.0.2.53", "2001:db8::53"])];
        let found = found(&["192.0.2.53"], named);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Found::Well);
    }

    #[test]
    fn a_server_that_no_ns_record_names_is_noted() {
        let named: &[(&str, &[&str])] = &[("ns1.", &["192.0.2.53"])];
        let found = found(&["192.0.2.53", "192.0.2.99"], named);
        let [(Found::Noted, answer)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(answer.starts_with("192.0.2.99:53 is in"), "{answer}");
    }

    #[test]
    fn a_name_without_an_address_is_noted() {
        let found = found(
            &["192.0.2.53"],
            &[("ns1.", &["192.0.2.53"]), ("gone.", &[])],
        );
        let [(Found::Noted, answer)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(answer.contains("gone., which has no address"), "{answer}");
    }

    fn found(listed: &[&str], named: &[(&str, &[&str])]) -> Vec<(Found, String)> {
        let at = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), 53);
        let dns = fleet::Dns {
            nameservers: Some(listed.iter().map(at).collect()),
            ..fleet().dns
        };
        let named = named.iter().map(|(name, addresses)| NameServer {
            name: (*name).to_owned(),
            addresses: match addresses {
                [] => Err("neither A nor AAAA".to_owned()),
                some => Ok(some.iter().map(at).collect()),
            },
        });
        let checks = checks(&dns, &named.collect::<Vec<_>>());
        checks
            .into_iter()
            .map(|check| (check.found, check.answer))
            .collect()
    }
}
