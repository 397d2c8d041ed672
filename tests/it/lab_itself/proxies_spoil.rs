//! The proxies do to messages and streams what they say, and nothing else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::lab::faultd::{Fault, Flow, FlowProxy, Kind, NamesProxy, Speaks};
use crate::lab::ground::bind::{Bind, KEY};
use crate::lab::ground::program::{finish, wait_until};
use crate::lab::spec::{PRIMARY, RECORD, REGISTRY};
use crate::lab::{Lab, LabSpec};

const SOON: Duration = Duration::from_secs(20);
/// NXRRSET: what was stated does not hold.
const NOT_AS_STATED: u8 = 8;

#[test]
fn a_proxy_of_names_loses_doubles_holds_resets_and_replays_messages() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&[]))?;
    let proxy = NamesProxy::before(&lab, (PRIMARY, 53).into())?;
    let shown = || lab.query(PRIMARY.into(), RECORD).map(|it| it.marker);
    let codes = |at: usize| proxy.caught()[at].codes.clone();

    update(&lab, &proxy, "-", "a")?;
    ensure!(shown()? == ["a"] && codes(0) == [0], "it passes");
    ensure!(ask(&lab, &proxy, "+tcp")? && ask(&lab, &proxy, "+notcp")?);

    proxy.next(Kind::Update, &[Fault::DropRequest, Fault::DropAnswer]);
    ensure!(update(&lab, &proxy, "a", "b").is_err() && shown()? == ["a"]);
    ensure!(codes(1).is_empty(), "the server never heard of it");
    ensure!(update(&lab, &proxy, "a", "c").is_err() && shown()? == ["c"]);
    ensure!(codes(2) == [0], "carried out, and its answer lost");

    proxy.next(Kind::Update, &[Fault::Reset]);
    ensure!(update(&lab, &proxy, "c", "d").is_err() && shown()? == ["d"]);

    proxy.next(Kind::Update, &[Fault::Double]);
    update(&lab, &proxy, "d", "e")?;
    let doubled = || codes(4).len() == 2;
    wait_until("the second is answered", SOON, doubled)?;
    ensure!(codes(4) == [0, NOT_AS_STATED]);

    proxy.next(Kind::Update, &[Fault::Hold]);
    ensure!(update(&lab, &proxy, "e", "f").is_err() && shown()? == ["e"]);
    proxy.release();
    proxy.await_answer(5, SOON)?;
    ensure!(shown()? == ["f"], "late, and after its sender gave up");

    let again = proxy.replay(&lab, &proxy.caught()[5].message)?;
    ensure!(again == NOT_AS_STATED, "{again}");

    let by = Duration::from_millis(700);
    proxy.next(Kind::Update, &[Fault::Delay(by)]);
    let begun = Instant::now();
    update(&lab, &proxy, "f", "g")?;
    ensure!(begun.elapsed() >= by && shown()? == ["g"]);

    proxy.all(Kind::Question, Fault::DropRequest);
    ensure!(!ask(&lab, &proxy, "+tcp")? && !ask(&lab, &proxy, "+notcp")?);
    update(&lab, &proxy, "g", "h")?;
    proxy.all(Kind::Question, Fault::Pass);
    ensure!(ask(&lab, &proxy, "+tcp")?, "it is mended");
    Ok(())
}

#[test]
fn a_proxy_of_streams_cuts_flips_refuses_and_holds_what_flows() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&[]))?;
    let registry: SocketAddr = REGISTRY.parse()?;
    let proxy = FlowProxy::before(&lab, registry, Speaks::Http)?;
    let url = format!("http://{}/v2/web/tags/list", proxy.address);
    let whole = get(&lab, &url)?;
    ensure!(whole.0 == 200 && whole.1.contains("master"), "{whole:?}");

    proxy.on("/tags/", 1, Flow::FlipAt(2));
    let flipped = get(&lab, &url)?;
    let differ = |(one, other): &(u8, u8)| one != other;
    let pairs = whole.1.bytes().zip(flipped.1.bytes());
    ensure!(pairs.filter(differ).count() == 1, "{flipped:?}");
    ensure!(get(&lab, &url)? == whole, "once");

    let status = "429 Too Many Requests";
    let header = "Retry-After: 7";
    proxy.on("/tags/", 1, Flow::Say { status, header });
    ensure!(get(&lab, &url)?.0 == 429);
    for flow in [
        Flow::CutAfter(3),
        Flow::Reset,
        Flow::Mute,
        Flow::DropAnswer,
        Flow::Hold,
    ] {
        proxy.on("/tags/", 1, flow.clone());
        ensure!(get(&lab, &url).is_err(), "{flow:?}");
        ensure!(
            get(&lab, &format!("http://{}/v2/", proxy.address))?.0 == 200,
            "another path"
        );
        proxy.mend();
    }
    proxy.on("", 1, Flow::Delay(Duration::from_millis(700)));
    proxy.on("", 1, Flow::Trickle(50));
    for _ in 0..2 {
        let begun = Instant::now();
        ensure!(get(&lab, &url)? == whole);
        ensure!(begun.elapsed() >= Duration::from_millis(300));
    }
    ensure!(proxy.seen()[0].starts_with("GET /v2/web/tags/list"));

    let plain = FlowProxy::before(&lab, registry, Speaks::Plain)?;
    let url = format!("http://{}/v2/web/tags/list", plain.address);
    ensure!(get(&lab, &url)? == whole);
    plain.on("", 1, Flow::Reset);
    ensure!(get(&lab, &url).is_err());
    ensure!(get(&lab, &url)? == whole);
    Ok(())
}

/// Status and body, by a client that waits for a second.
fn get(lab: &Lab, url: &str) -> Result<(u16, String)> {
    let argv = ["curl", "-sS", "-m", "1", "-w", "\\n%{http_code}", url];
    let printed = finish(&mut lab.on("core", &argv))?;
    let (body, status) = printed.rsplit_once('\n').context("curl wrote no status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// One question through the proxy; whether it was answered.
fn ask(lab: &Lab, proxy: &NamesProxy, transport: &str) -> Result<bool> {
    let (server, port) = (
        format!("@{}", proxy.address.ip()),
        proxy.address.port().to_string(),
    );
    let dig = [
        "dig",
        transport,
        "+time=1",
        "+tries=1",
        &server,
        "-p",
        &port,
        "example.com.",
        "SOA",
    ];
    Ok(lab.on("core", &dig).output()?.status.success())
}

/// Through the proxy: the marker of [`RECORD`] becomes another text, where it is the one stated.
fn update(lab: &Lab, proxy: &NamesProxy, from: &str, to: &str) -> Result<()> {
    let key = Bind::key_file(&lab.dir, KEY).display().to_string();
    let name = format!("_cleanslate.{RECORD}");
    let (ip, port) = (proxy.address.ip(), proxy.address.port());
    let stated = match from {
        "-" => format!("nxrrset {name} TXT"),
        text => format!("yxrrset {name} TXT \"{text}\""),
    };
    let script = format!(
        "server {ip} {port}\nzone example.com.\nprereq {stated}\n\
         update delete {name} TXT\nupdate add {name} 2 TXT \"{to}\"\nsend\n"
    );
    let file = lab.dir.join("nsupdate.txt");
    std::fs::write(&file, script)?;
    let file = file.display().to_string();
    let argv = ["nsupdate", "-v", "-t", "1", "-k", &key, &file];
    finish(&mut lab.on("core", &argv)).map(drop)
}
