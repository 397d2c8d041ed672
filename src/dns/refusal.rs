//! What the refusal of an UPDATE means, and the server configuration that cures it.
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::tsig::TsigError;

use super::tsig::{Answer, FUDGE_S};
use crate::model::fleet::{self, TsigAlgorithm};

/// A refusal in words.
pub(super) struct Refusal {
    pub(super) why: String,
    pub(super) hint: String,
}

/// Says what a code other than NOERROR means.
pub(super) fn refusal(declared: &fleet::Dns, answer: &Answer) -> Refusal {
    let (server, zone, key) = (declared.server, &declared.zone, &declared.key.name);
    let (why, hint) = match (answer.tsig_error, answer.code) {
        (Some(TsigError::BadKey), _) => (
            format!("{server} does not know the TSIG key {key}, or has no use for it (BADKEY)"),
            format!(
                "name and algorithm of [dns].key must be those of the server: {key} {}; Knot \
                 answers so where no ACL allows the whole update, too:\n{}",
                algorithm(declared.key.algorithm),
                knot(declared)
            ),
        ),
        (Some(TsigError::BadSig), _) => (
            format!("{server} has another secret for the TSIG key {key} (BADSIG)"),
            "put the key file of the server into [dns].key".to_owned(),
        ),
        (Some(TsigError::BadTime), _) => bad_time(declared, answer),
        (Some(error), code) => (
            format!("{server} does not accept the signature: {code}, {error:?}"),
            "see the server's log".to_owned(),
        ),
        (None, ResponseCode::Refused) => (
            format!("{server} refuses the update of {zone} (REFUSED)"),
            format!(
                "grant key {key} just what is needed; BIND, in the zone:\n{}\nPowerDNS answers so \
                 to a wrong TSIG key or clock too",
                bind(declared)
            ),
        ),
        (None, ResponseCode::NotAuth) => (
            format!("{server} is no primary of {zone} (NOTAUTH)"),
            "[dns].server must name the primary, and [dns].zone a zone that it serves".to_owned(),
        ),
        (None, ResponseCode::NotZone) => (
            format!("{server}: a record is not in the zone {zone} (NOTZONE)"),
            "check [dns].zone: a record may belong to a zone below it".to_owned(),
        ),
        (None, ResponseCode::NotImp) => (
            format!("{server} takes no updates (NOTIMP)"),
            "allow dynamic updates (RFC 2136); PowerDNS: dnsupdate=yes".to_owned(),
        ),
        (None, code) => (
            format!("{server} answers the update of {zone} with {code}"),
            "see the server's log".to_owned(),
        ),
    };
    Refusal { why, hint }
}

fn bad_time(declared: &fleet::Dns, answer: &Answer) -> (String, String) {
    let server = declared.server;
    let why = match answer.clocks {
        Some(clocks) => format!(
            "the clocks are {} s apart: {} here, {} at {server} (BADTIME)",
            clocks.server_ahead_s().unsigned_abs(),
            utc(clocks.ours_s),
            utc(clocks.server_s),
        ),
        None => format!("the clocks here and at {server} are too far apart (BADTIME)"),
    };
    let hint = format!("set both by NTP; {FUDGE_S} s are allowed and stay allowed");
    (why, hint)
}

fn utc(unix_s: u64) -> String {
    let seconds = i64::try_from(unix_s).ok();
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{unix_s} s"), |time| time.to_string())
}

/// The server configurations that grant a key just what cleanslate needs, one a server software.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    pub bind: String,
    pub knot: String,
    pub powerdns: String,
}

/// The grants for one fleet. PowerDNS grants a key the whole zone; its Lua policies are no way
/// out, for it answers NOERROR to what they leave out.
pub fn grants(declared: &fleet::Dns) -> Grants {
    Grants {
        bind: bind(declared),
        knot: knot(declared),
        powerdns: powerdns(declared),
    }
}

pub(super) fn bind(declared: &fleet::Dns) -> String {
    let key = &declared.key.name;
    let grants = declared.records.keys().map(|record| {
        let marker = record.marker();
        format!("    grant {key} name {record} A AAAA;\n    grant {key} name {marker} TXT;\n")
    });
    format!("update-policy {{\n{}}};", grants.collect::<String>())
}

/// One rule for records and markers alike: Knot wants a single rule that allows the whole message.
pub(super) fn knot(declared: &fleet::Dns) -> String {
    let (key, zone) = (declared.key.name.as_str(), &declared.zone);
    let key = key.trim_end_matches('.');
    let records = declared.records.keys();
    let owners: Vec<String> = records
        .flat_map(|record| [record.to_string(), record.marker()])
        .collect();
    let owners = owners.join(", ");
    format!(
        "acl:\n  - id: cleanslate\n    key: {key}\n    action: update\n    update-type: [A, AAAA, \
         TXT]\n    update-owner: name\n    update-owner-match: equal\n    update-owner-name: \
         [{owners}]\nzone:\n  - domain: {zone}\n    acl: cleanslate"
    )
}

fn powerdns(declared: &fleet::Dns) -> String {
    let zone = declared.zone.as_str().trim_end_matches('.');
    let key = declared.key.name.as_str().trim_end_matches('.');
    format!(
        "# pdns.conf: dnsupdate=yes and allow-dnsupdate-from=ADDRESS-OF-THE-COORDINATOR\n\
         pdnsutil set-meta {zone} TSIG-ALLOW-DNSUPDATE {key}\n\
         pdnsutil set-meta {zone} SOA-EDIT-DNSUPDATE INCREASE"
    )
}

fn algorithm(algorithm: TsigAlgorithm) -> &'static str {
    match algorithm {
        TsigAlgorithm::HmacSha256 => "hmac-sha256",
        TsigAlgorithm::HmacSha384 => "hmac-sha384",
        TsigAlgorithm::HmacSha512 => "hmac-sha512",
    }
}
