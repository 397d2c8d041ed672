//! The page, in a real browser, on a real night: somebody with a phone at 03:40.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::browser::Browser;
use crate::data::tell;
use crate::lab::ground::program::wait_until;
use crate::lab::{FleetOptions, Lab, LabSpec};
use crate::program::Run;
use crate::scene::{Scene, check_at_rest, ids, run, serving};

const PAGE: &str = "http://127.0.0.1:8443/";

/// Would change the title if it were markup anywhere.
const HOSTILE: &str = "<img src=x onerror=document.title=666>";

#[test]
fn on_call_sees_a_night_holds_it_ends_it_and_rebuilds_a_sick_site() -> Result<()> {
    let lab = lab()?;
    let _server = Run::start(&lab, &["serve", "--json"])?;
    let create = ["token", "create", "--role", "operator", "--name", "ana"];
    let token = run(&lab, &create)?.expect(0)?.stdout;
    let mut page = Browser::phone(&lab)?;

    sign_in(&mut page, token.trim())?;
    begin_a_night(&mut page)?;
    watch_and_hold_it(&mut page)?;
    ask_for_what_is_refused(&mut page)?;
    go_on_and_end_it(&mut page)?;
    check_at_rest(&lab, &["fra", "nyc"])?;

    leave_something_hostile(&lab)?;
    make_sick(&lab)?;
    let before = ids(&lab, &["nyc1"])?;
    rebuild(&mut page)?;
    ensure!(ids(&lab, &["nyc1"])?.is_disjoint(&before), "it was rebuilt");
    check_at_rest(&lab, &["fra", "nyc"])?;
    read_what_was_left(&mut page)?;
    leave(&mut page)
}

fn lab() -> Result<Scene> {
    let options = FleetOptions {
        min_in_service: Some(1),
        more_site_toml: "[api]\nlisten = \"127.0.0.1:8443\"\n".to_owned(),
        ..FleetOptions::default()
    };
    serving(LabSpec::sites(&["fra", "nyc"]), &options)
}

fn sign_in(page: &mut Browser, token: &str) -> Result<()> {
    let answers = || page.open(PAGE).is_ok();
    wait_until("the page answers", Duration::from_secs(20), answers)?;
    page.type_into("#token", "cleanslate_nonsense")?;
    page.click("button.main")?;
    page.await_text("[role=alert]", "this token is not known")?;
    page.type_into("#token", token)?;
    page.click("button.main")?;
    page.await_text("#live", "All 2 sites serve.")?;
    fits(page)
}

fn begin_a_night(page: &mut Browser) -> Result<()> {
    page.ask("[formaction='/ask/rotate']")?;
    page.type_into("#reason", HOSTILE)?;
    fits(page)?;
    page.click("button.main")?;
    page.await_text(".said", "rotate: taken")
}

/// What happens is seen without loading the page again.
fn watch_and_hold_it(page: &mut Browser) -> Result<()> {
    page.run("window.isSame = true")?;
    page.await_text("#link", "Live.")?;
    page.await_text("#site-fra", "not in DNS")?;
    page.await_text("#rotation ~ p bdi", "ana")?;
    page.await_text("#rotation ~ p", HOSTILE)?;
    ensure!(
        page.run("return window.isSame")? == true,
        "it was loaded again"
    );
    ensure!(page.run("return !!document.querySelector('svg .step.ready')")? == true);
    page.ask("[formaction='/ask/pause']")?;
    page.type_into("#reason", "a look at fra")?;
    page.click("button.main")?;
    page.await_text("#live", "nightly is paused")?;
    page.await_text("#site-fra", "paused by token ana: a look at fra")?;
    fits(page)
}

fn ask_for_what_is_refused(page: &mut Browser) -> Result<()> {
    page.open(&format!("{PAGE}ask/restore?site=nyc"))?;
    page.type_into("#reason", "in a hurry")?;
    page.click("button.main")?;
    page.await_text("[role=alert]", "one rotation")?;
    page.await_text("[role=alert]", "a site is not put back beside it")?;
    let typed = page.run("return document.getElementById('reason').value")?;
    ensure!(typed == "in a hurry", "{typed}");
    fits(page)?;
    page.open(PAGE)
}

fn go_on_and_end_it(page: &mut Browser) -> Result<()> {
    page.ask("[formaction='/ask/resume']")?;
    page.type_into("#reason", "seen enough")?;
    page.click("button.main")?;
    page.await_text("#live", "nightly is running")?;
    page.ask("[formaction='/ask/abort']")?;
    page.type_into("#reason", "another night")?;
    page.click("button.main")?;
    page.await_text("#rotation", "No rotation runs")?;
    page.await_text("#live", "All 2 sites serve.")?;
    page.await_text(".nights", "aborted")
}

fn rebuild(page: &mut Browser) -> Result<()> {
    page.await_text("#site-nyc", "in service")?;
    page.ask("#site-nyc [formaction='/ask/rebuild']")?;
    page.type_into("#reason", "kernel oops on nyc1")?;
    page.click("button.main")?;
    page.await_text("#live", "nyc is")?;
    page.await_text("#site-nyc", "not in DNS")?;
    page.await_text("#rotation", "No rotation runs")?;
    page.await_text("#live", "All 2 sites serve.")
}

fn read_what_was_left(page: &mut Browser) -> Result<()> {
    page.click(".nights a[href^='/rotations/rebuild-']")?;
    page.await_text("h1", "rebuild-")?;
    page.run("document.querySelectorAll('details').forEach((it) => { it.open = true })")?;
    let text = page.text()?;
    for words in [
        "visit completed",
        "kernel oops on nyc1",
        &format!("A /tmp/{HOSTILE}"),
    ] {
        ensure!(text.contains(words), "{words}\n{text}");
    }
    fits(page)?;
    page.open(&format!("{PAGE}rotations"))?;
    page.await_text(".nights", HOSTILE)?;
    fits(page)
}

fn leave(page: &mut Browser) -> Result<()> {
    page.click(".who button")?;
    page.await_text("h1", "Sign in")?;
    page.open(PAGE)?;
    page.await_text("h1", "Sign in")
}

/// Nothing sticks out on a phone, and nothing that was written by others runs.
fn fits(page: &mut Browser) -> Result<()> {
    let width = page.run("return document.documentElement.scrollWidth")?;
    ensure!(
        width.as_u64().is_some_and(|it| it <= 360),
        "{width} wide\n{}",
        page.text()?
    );
    let drawn = "return document.querySelectorAll('img, [onerror], script:not([src])').length";
    ensure!(page.run(drawn)? == 0, "markup of others is on the page");
    Ok(())
}

/// In a container that goes next.
fn leave_something_hostile(lab: &Lab) -> Result<()> {
    let containers = lab.containers("nyc1")?;
    let id = &containers.first().context("a container")?.id;
    tell(lab, "nyc1", id, &format!("mkdir '/tmp/{HOSTILE}'")).map(drop)
}

/// Its containers do not come back with its engine.
fn make_sick(lab: &Lab) -> Result<()> {
    lab.kill_engine("nyc1")?;
    lab.start_engine("nyc1")
}
