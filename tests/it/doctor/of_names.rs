//! Name servers, the key, the zone, clocks and the marker.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::told::{
    SITES, Told, UNASKED, WELL, WRONG, broken, doctor, edited, fleet, two, weak_key,
};
use crate::lab::ground::program::run as execute;
use crate::lab::spec::{CORE, PRIMARY, SECONDARY};
use crate::lab::{FleetOptions, Lab, LabSpec, Server};
use crate::program::Run;
use crate::scene::{check_at_rest, nsupdate, run};

#[test]
fn everything_of_dns_that_breaks_is_told() -> Result<()> {
    let mut spec = LabSpec::sites(&SITES).desks(1);
    spec.zone_lines = [
        "static 2 IN A 10.53.1.1",
        "shop 2 IN A 10.53.2.1",
        "shop 2 IN HTTPS 1 . alpn=h2 ipv4hint=10.53.2.1",
        "alias 2 IN CNAME www",
    ]
    .map(str::to_owned)
    .to_vec();
    // Nobody uses it, so nothing is measured: a drain lasts as long as it may.
    let options = FleetOptions {
        meter: false,
        drain_at_least: "8s".to_owned(),
        drain_at_most: "8s".to_owned(),
        ..two()
    };
    let lab = fleet(spec, &options)?;
    let well = doctor(&lab, &[])?;
    well.ends(WELL)?;
    well.told(
        "noted",
        "other names with our addresses",
        "static.example.com. has 10.53.1.1, of fra",
    )?;

    the_key(&lab)?;
    the_policy(&lab)?;
    the_servers(&lab)?;
    the_records(&lab)?;
    the_clock(&lab)?;
    doctor(&lab, &[])?.ends(WELL)?;
    the_marker(&lab)
}

fn the_key(lab: &Lab) -> Result<()> {
    let key = lab.fleet_dir().join("tsig.key");
    let right = std::fs::read_to_string(&key)?;
    let weak = weak_key(lab)?;
    broken(
        lab,
        WRONG,
        "wrong",
        "DNS rights",
        "may not change _cleanslate.www.example.com. TXT",
    )?
    .cures("grant addresses-only. name _cleanslate.www.example.com. TXT;")?;

    std::fs::write(&key, weak.replace("addresses-only.", "cleanslate."))?;
    broken(
        lab,
        WRONG,
        "wrong",
        "DNS rights",
        "another secret for the TSIG key cleanslate. (BADSIG)",
    )?
    .cures("key file")?;
    std::fs::write(&key, right.replace("cleanslate.", "nobody."))?;
    broken(
        lab,
        WRONG,
        "wrong",
        "DNS rights",
        "does not know the TSIG key nobody.",
    )?;

    std::fs::write(&key, &right)?;
    execute(&["chmod", "644", &key.display().to_string()])?;
    broken(
        lab,
        WELL,
        "noted",
        "site.toml",
        "the key file can be read by others",
    )?
    .cures("chmod 600")?;
    execute(&["chmod", "600", &key.display().to_string()]).map(drop)
}

/// What the primary takes from us, and hands out.
fn the_policy(lab: &Lab) -> Result<()> {
    let conf = lab.dir.join("ns1/named.conf");
    let right = std::fs::read_to_string(&conf)?;
    let policy = {
        let from = right.find("update-policy {").context("a policy")?;
        let length = right[from..].find("};").context("its end")? + 2;
        right[from..from + length].to_owned()
    };
    reconfigure(lab, &right.replace(&policy, "allow-update { none; };"))?;
    broken(
        lab,
        WRONG,
        "wrong",
        "DNS rights",
        "may not change www.example.com. A",
    )?;

    let transfer = format!("allow-transfer {{ {SECONDARY}; {CORE}; }}");
    ensure!(right.contains(&transfer), "{right}");
    let only = format!("allow-transfer {{ {SECONDARY}; }}");
    reconfigure(lab, &right.replace(&transfer, &only))?;
    broken(
        lab,
        WELL,
        "noted",
        "other names with our addresses",
        "cannot be asked",
    )?;

    let scratch = ["--scratch", "scratch.example.com"];
    doctor(lab, &scratch)?
        .told(
            "wrong",
            "scratch name scratch.example.com.",
            "may not change scratch.example.com. A",
        )?
        .cures("grant cleanslate. name _cleanslate.scratch.example.com. TXT;")?;
    let wider = policy.replace(
        "update-policy {",
        "update-policy {\n grant cleanslate. name scratch.example.com. A AAAA;\n \
         grant cleanslate. name _cleanslate.scratch.example.com. TXT;\n",
    );
    reconfigure(lab, &right.replace(&policy, &wider))?;
    the_scratch(lab, &scratch)?;
    reconfigure(lab, &right)
}

/// Conditional updates, on a name of their own.
fn the_scratch(lab: &Lab, scratch: &[&str]) -> Result<()> {
    let proved = doctor(lab, scratch)?;
    proved.ends(WELL)?;
    proved.told(
        "well",
        "a message that comes again changes nothing",
        "nothing changed",
    )?;
    proved.told(
        "well",
        "of several at once exactly one is carried out",
        "5 times of 8",
    )?;
    proved.told("well", "scratch name scratch.example.com.", "is taken away")?;
    nothing_at_scratch(lab)?;

    for name in [
        "www.example.com",
        "static.example.com",
        "scratch.example.org",
    ] {
        let refused = doctor(lab, &["--scratch", name])?;
        let asked = format!("scratch name {name}.");
        refused.told("wrong", &asked, "is not free")?;
        refused.ends(WRONG)?;
    }

    // Ctrl-C as soon as it is at it.
    let mut args = vec!["doctor", "--json"];
    args.extend(scratch);
    let mut proving = Run::start(lab, &args)?;
    proving.await_line("are created where none are", Duration::from_secs(60))?;
    proving.signal("INT")?;
    let stopped = Told::of(proving.end()?)?;
    stopped.told("unasked", "the other proofs", "called off")?;
    stopped.told("well", "scratch name scratch.example.com.", "is taken away")?;
    stopped.ends(UNASKED)?;
    nothing_at_scratch(lab)
}

fn nothing_at_scratch(lab: &Lab) -> Result<()> {
    let server = format!("@{PRIMARY}");
    let asked = ["dig", "+tcp", &server, "scratch.example.com", "A"];
    let said = lab.net.run_in("core", &asked)?;
    ensure!(said.contains("NXDOMAIN"), "{said}");
    Ok(())
}

fn the_servers(lab: &Lab) -> Result<()> {
    lab.kill_server(Server::Primary)?;
    broken(
        lab,
        UNASKED,
        "unasked",
        "primary 10.53.0.53:53",
        "no connection",
    )?
    .cures("[dns].server")?;
    lab.start_server(Server::Primary)?;

    lab.kill_server(Server::Secondary)?;
    broken(
        lab,
        UNASKED,
        "unasked",
        "name server 10.53.0.54:53",
        "no connection",
    )?;
    lab.start_server(Server::Secondary)?;

    lab.deafen_secondary()?;
    nsupdate(lab, "update add www.example.com. 2 AAAA fd53::9")?;
    broken(
        lab,
        WRONG,
        "wrong",
        "name server 10.53.0.54:53",
        "behind: serial",
    )?
    .told(
        "wrong",
        "name server 10.53.0.54:53",
        "www.example.com. AAAA is none, the primary has fd53::9",
    )?
    .cures("secondary-does-not-follow.md")?;
    nsupdate(lab, "update delete www.example.com. 2 AAAA fd53::9")?;
    lab.unblock("ns2")?;
    lab.kill_server(Server::Secondary)?;
    lab.start_server(Server::Secondary)?;

    let both = format!("nameservers = [\"{PRIMARY}\", \"{SECONDARY}\"]");
    let one = format!("nameservers = [\"{PRIMARY}\"]");
    edited(lab, &both, &one, || {
        let told = broken(
            lab,
            WRONG,
            "wrong",
            "delegation",
            "an NS record names ns2.example.com.",
        )?;
        told.cures("[dns].nameservers")
    })?;
    let more = format!("nameservers = [\"{PRIMARY}\", \"{SECONDARY}\", \"10.53.0.99\"]");
    edited(lab, &both, &more, || {
        let told = broken(
            lab,
            UNASKED,
            "noted",
            "delegation",
            "10.53.0.99:53 is in [dns].nameservers",
        )?;
        told.told("unasked", "name server 10.53.0.99:53", "")
            .map(drop)
    })
}

fn the_records(lab: &Lab) -> Result<()> {
    edited(lab, "ttl = \"2s\"", "ttl = \"5s\"", || {
        broken(
            lab,
            WRONG,
            "wrong",
            "TTL of www.example.com. A",
            "2s is served, [dns].ttl says 5s",
        )
        .map(drop)
    })?;
    let records = "records = [\"www.example.com.\"]";
    let more = |name: &str| format!("records = [\"www.example.com.\", \"{name}.example.com.\"]");
    edited(lab, records, &more("shop"), || {
        broken(
            lab,
            WRONG,
            "wrong",
            "records with address hints",
            "shop.example.com. HTTPS has address hints",
        )
        .map(drop)
    })?;
    edited(lab, records, &more("alias"), || {
        broken(
            lab,
            WRONG,
            "wrong",
            "primary 10.53.0.53:53",
            "alias.example.com. is a CNAME",
        )
        .map(drop)
    })
}

/// A coordinator whose clock is a minute slow.
fn the_clock(lab: &Lab) -> Result<()> {
    let mut slow = lab.cleanslate(&["doctor", "--json"]);
    let library = "/usr/$LIB/faketime/libfaketime.so.1";
    slow.env("LD_PRELOAD", library)
        .env("FAKETIME", "-60s")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let told = Told::of(Run::of(lab, &mut slow, "doctor with a slow clock")?.end()?)?;
    told.told("wrong", "DNS rights", "(BADTIME)")?
        .cures("NTP")?;
    told.told("wrong", "the primary's clock", "ahead of ours")?;
    told.told("wrong", "clock of fra fra1", "ahead of ours")?;
    told.ends(WRONG)
}

fn the_marker(lab: &Lab) -> Result<()> {
    // Another coordinator works, and is then killed.
    let mut night = Run::start(lab, &["rotate", "nightly", "--site", "fra", "--json"])?;
    night.await_site("draining", "fra")?;
    let mut beside = lab.cleanslate_on(
        "ops1",
        &lab.fleet_dir(),
        &lab.dir.join("another-state"),
        &["doctor", "--json"],
    );
    let beside = Told::of(Run::of(lab, &mut beside, "doctor beside it")?.end()?)?;
    beside
        .told("noted", "marker", "held by another coordinator")?
        .cures("take-over")?;
    beside.told("noted", "site fra", "not in DNS")?;
    beside.ends(WELL)?;
    let own = doctor(lab, &[])?;
    own.told("well", "marker", "held here for nightly-")?;
    own.told("well", "owner of the store", "rotate nightly")?;
    night.kill()?;
    broken(lab, WELL, "noted", "marker", "no process works on it")?;
    run(lab, &["rotate", "nightly", "--site", "fra", "--json"])?.expect(0)?;
    check_at_rest(lab, &SITES)?;

    run(lab, &["withdraw", "nyc", "--reason", "to see it told"])?.expect(0)?;
    broken(lab, WELL, "noted", "site nyc", "held: a person took it out")?
        .cures("cleanslate restore nyc")?;
    run(lab, &["restore", "nyc", "--yes"])?.expect(0)?;
    run(lab, &["cordon", "nyc", "--reason", "to see it told"])?.expect(0)?;
    broken(lab, WELL, "noted", "site nyc", "cordoned")?.cures("cleanslate uncordon nyc")?;
    run(lab, &["uncordon", "nyc", "--reason", "seen"])?.expect(0)?;

    nsupdate(lab, "update add _cleanslate.www.example.com. 2 TXT hello")?;
    broken(lab, WRONG, "wrong", "marker", "2 TXT records stand there")?;
    nsupdate(lab, "update delete _cleanslate.www.example.com. TXT")?;
    broken(
        lab,
        WRONG,
        "wrong",
        "marker",
        "the zone went backwards: there is none",
    )?
    .cures("take-over")
    .map(drop)
}

/// The primary with another configuration.
fn reconfigure(lab: &Lab, text: &str) -> Result<()> {
    lab.kill_server(Server::Primary)?;
    std::fs::write(lab.dir.join("ns1/named.conf"), text)?;
    lab.start_server(Server::Primary)
}
