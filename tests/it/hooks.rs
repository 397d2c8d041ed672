//! Hooks in a real night: who is asked is waited for, who is told is told.
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::ground::program::wait_until;
use crate::program::Run;
use crate::scene::{check_at_rest, edit, run, status, two_sites};

/// Writes down what it was called with; the first who is to make room says not yet, once.
const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
echo "$CLEANSLATE_HOOK $CLEANSLATE_STEP $CLEANSLATE_SITE${1:+ at $1} next=$CLEANSLATE_NEXT_SITE end=$CLEANSLATE_END" >> told
case "$CLEANSLATE_DIGEST" in *@sha256:*) ;; *) exit 1 ;; esac
if [ "$CLEANSLATE_HOOK" = make-room ] && [ ! -e deferred ]; then
    touch deferred
    echo "$1 still scales up"
    exit 75
fi
"#;

#[test]
fn a_night_asks_and_tells_whom_site_toml_names() -> Result<()> {
    let (lab, _) = two_sites()?;
    let folder = lab.fleet_dir();
    let script = folder.join("hook");
    std::fs::write(&script, SCRIPT)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let script = script.display();
    let mut hooks = format!(
        "[[hook]]\nname = \"make-room\"\non = \"before_withdraw\"\npeers = true\n\
         command = [\"{script}\", \"{{peer}}\"]\n\n"
    );
    for on in [
        "after_restore",
        "next_site",
        "visit_ended",
        "rotation_ended",
    ] {
        let name = on.replace('_', "-");
        hooks.push_str(&format!(
            "[[hook]]\nname = \"{name}\"\non = \"{on}\"\ncommand = [\"{script}\"]\n\n"
        ));
    }
    edit(&lab, "site.toml", "[dns]", &format!("{hooks}[dns]"))?;
    let doctor = run(&lab, &["doctor"])?.expect(0)?;
    doctor.says(&["hook make-room"])?;
    let night = Run::start(&lab, &["rotate"])?;
    let waits = "hook make-room, which says not yet: nyc still scales up";
    wait_until(waits, Duration::from_secs(25), || {
        let why = status(&lab).map(|status| status["sites"].to_string());
        why.is_ok_and(|why| why.contains(waits))
    })?;
    night.end()?.expect(0)?.says(&["completed: 2 sites"])?;
    let told = std::fs::read_to_string(folder.join("told"))?;
    let of = |hook: &str| -> Vec<&str> {
        let lines = told.lines().filter(|line| line.starts_with(hook));
        lines
            .map(|line| line.split_once(' ').map_or("", |(_, rest)| rest))
            .collect()
    };
    ensure!(
        of("make-room")
            == [
                "before_withdraw fra at nyc next=nyc end=",
                "before_withdraw fra at nyc next=nyc end=",
                "before_withdraw nyc at fra next= end=",
            ],
        "{told}"
    );
    ensure!(
        of("after-restore")
            == [
                "after_restore fra next=nyc end=",
                "after_restore nyc next= end="
            ],
        "{told}"
    );
    ensure!(
        of("next-site") == ["next_site fra next=fra end=", "next_site nyc next=nyc end="],
        "{told}"
    );
    ensure!(
        of("visit-ended")
            == [
                "visit_ended fra next=nyc end=completed",
                "visit_ended nyc next= end=completed"
            ],
        "{told}"
    );
    ensure!(
        of("rotation-ended") == ["rotation_ended  next= end=completed"],
        "{told}"
    );

    // Who may not be passed over ends the night, and nothing has left.
    edit(&lab, "hook", "touch deferred", "exit 3")?;
    std::fs::remove_file(folder.join("deferred"))?;
    let halted = run(&lab, &["rotate"])?.expect(3)?;
    halted.says(&["hook make-room of fra at nyc", "ended with exit status: 3"])?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}
