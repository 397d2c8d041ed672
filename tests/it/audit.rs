//! What the audit tells of what was asked of a coordinator that is gone.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::Lab;
use crate::scene::run;

/// Fails unless each command stands in it with who asked and why, and each effect at fra with what was
/// before and after.
pub(crate) fn check_that_all_was_told(lab: &Lab) -> Result<()> {
    let records = records(lab, &[])?;
    let numbers: Vec<u64> = records.iter().filter_map(|it| it["n"].as_u64()).collect();
    ensure!(numbers == (1..=records.len() as u64).collect::<Vec<_>>());
    let asked = |command: &str, kind: &str| {
        let is_it = |it: &&Value| it["kind"] == kind && it["body"]["asked"]["command"] == command;
        let found = records.iter().find(is_it);
        found.with_context(|| format!("{kind} {command}"))
    };
    for command in [
        "rebuild", "cordon", "uncordon", "rotate", "withdraw", "restore",
    ] {
        let record = asked(command, "command")?;
        ensure!(record["by"]["way"] == "socket", "{record}");
        ensure!(
            record["by"]["who"] == "root" && record["by"]["pid"].is_u64(),
            "{record}"
        );
    }
    let rebuild = asked("rebuild", "command")?;
    ensure!(
        rebuild["body"]["asked"]["reason"] == "kernel oops",
        "{rebuild}"
    );
    let refused = asked("pause", "refused")?;
    ensure!(refused["body"]["rule"] == "one rotation", "{refused}");

    let id = rebuild["rotation"].as_str().context("rotation")?;
    let of_rebuild = self::records(lab, &["--rotation", id, "--site", "fra"])?;
    ensure!(of_rebuild.iter().all(|it| it["reason"] == "kernel oops"));
    let one = |kind: &str| {
        let found = of_rebuild.iter().find(|it| it["kind"] == kind);
        found.map(|it| &it["body"]).with_context(|| kind.to_owned())
    };
    let withdrawn = one("update_sent")?;
    ensure!(withdrawn["purpose"] == "withdraw", "{withdrawn}");
    let record = &withdrawn["records"][0];
    let count = |key: &str| record[key].as_array().map_or(0, Vec::len);
    ensure!((count("before"), count("after")) == (2, 1), "{withdrawn}");
    let marker = withdrawn["marker"]["after"].as_str().context("marker")?;
    ensure!(marker.contains("out=fra"), "{withdrawn}");
    ensure!(one("update_applied")?["seq"] == withdrawn["seq"]);
    let old = &one("removal_sent")?["hosts"]["fra1"][0];
    let new = &one("start_sent")?["hosts"]["fra1"][0];
    ensure!(
        old["id"] != new["id"] && old["name"] == new["name"],
        "{old} {new}"
    );
    let digest = lab.digest("web", "master")?;
    ensure!(new["digests"][0] == digest.as_str(), "{new}");

    let text = run(lab, &["audit", "--since", "1h", "--site", "fra"])?.expect(0)?;
    ensure!(text.stdout.contains("UPDATE sent, withdraw"), "{text}");
    ensure!(
        text.stdout
            .contains("to be stopped and removed: fra1 edge-front-1"),
        "{text}"
    );
    Ok(())
}

/// Fails unless a head that was kept proves what was before it, and what was altered is named.
pub(crate) fn check_that_tampering_is_noticed(lab: &Lab) -> Result<()> {
    let records = records(lab, &[])?;
    let early = records[4]["hash"].as_str().context("hash")?;
    let verified = run(lab, &["audit", "verify", "--head", early])?.expect(0)?;
    ensure!(verified.stdout.contains("is record 5, of"), "{verified}");
    let unknown = run(lab, &["audit", "verify", "--head", &"0".repeat(64)])?.expect(1)?;
    unknown.says(&["no record of the audit has the hash"])?;

    let store = rusqlite::Connection::open(lab.state_dir().join("edge/journal.db"))?;
    store.execute_batch(
        "DROP TRIGGER audit_is_not_altered; UPDATE audit SET who = 'nobody' WHERE seq = 7",
    )?;
    drop(store);
    let broken = run(lab, &["audit", "verify", "--head", early])?.expect(1)?;
    ensure!(broken.stdout.contains("is record 5, of"), "{broken}");
    broken.says(&["record 7 of the audit is broken: it is not what was written"])?;
    let shown = run(lab, &["audit", "--json"])?;
    ensure!(
        shown.code == Some(1) && shown.stdout.contains(r#""sound":false"#),
        "{shown}"
    );
    run(lab, &["cordon", "fra", "--reason", "goes on all the same"])?.expect(0)?;
    run(lab, &["uncordon", "fra", "--reason", "done"])?.expect(0)?;
    let after = run(lab, &["audit", "--json"])?;
    let last = after.stdout.lines().rev().nth(1).context("lines")?;
    ensure!(last.contains("stopped"), "{after}");
    Ok(())
}

fn records(lab: &Lab, args: &[&str]) -> Result<Vec<Value>> {
    let told = run(lab, &[&["audit", "--json"], args].concat())?.expect(0)?;
    let read = |line| serde_json::from_str(line).context("a record");
    told.stdout.lines().map(read).collect()
}
