//! Nights in the simulator, from the command line: what is said, and how it ends.
use std::path::Path;
use std::process::Output;

use anyhow::{Result, ensure};

const SITE: &str = r#"[fleet]
name = "edge"
compose = "compose.yaml"
[dns]
server = "10.0.0.53:53"
zone = "example.com."
records = ["www.example.com."]
ttl = "30s"
key = { file = "tsig.key" }
nameservers = ["10.0.0.53", "10.0.1.53"]
[[probe]]
name = "front"
http = "http://{address}/healthz"
[traffic]
engine = true
[site.fra]
addresses = ["192.0.2.1"]
hosts = ["tcp://10.1.0.1:2375"]
[site.nyc]
addresses = ["192.0.2.2"]
hosts = ["tcp://10.2.0.1:2375"]
[site.sin]
addresses = ["192.0.2.3"]
hosts = ["tcp://10.3.0.1:2375"]
"#;

const COMPOSE: &str = "services:\n  front:\n    image: registry.example.com/web:${CHANNEL}\n";

const KEY: &str =
    "key \"k.\" { algorithm hmac-sha256; secret \"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=\"; };";

fn fleet() -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("site.toml"), SITE)?;
    std::fs::write(dir.path().join("compose.yaml"), COMPOSE)?;
    std::fs::write(dir.path().join("tsig.key"), KEY)?;
    Ok(dir)
}

fn run(dir: &Path, args: &[&str]) -> Result<Output> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cleanslate"));
    command.arg("--config").arg(dir.join("site.toml"));
    command.arg("--state").arg(dir.join("state"));
    Ok(command.arg("simulate").args(args).output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn nights_on_a_sound_fleet_exit_0_and_need_no_store() -> Result<()> {
    let dir = fleet()?;
    let output = run(dir.path(), &["--nights", "20", "--json"])?;
    ensure!(output.status.code() == Some(0), "{}", said(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let numbers = |key: &str| told[key].as_u64();
    ensure!(
        numbers("v") == Some(1) && numbers("nights_played") == Some(20),
        "{told}"
    );
    ensure!(
        numbers("nights_broken") == Some(0) && told["broken"].is_null(),
        "{told}"
    );
    let rules = told["rules"].as_array().map_or(0, Vec::len);
    ensure!(
        rules > 30 && told["faults"].as_array().is_some_and(|all| all.len() > 30),
        "{told}"
    );
    ensure!(!dir.path().join("state").exists(), "a store was made");
    Ok(())
}

#[test]
fn one_night_is_told_step_by_step_and_the_same_each_time() -> Result<()> {
    let dir = fleet()?;
    let night = || run(dir.path(), &["--nights", "1", "--seed", "5"]);
    let (first, second) = (night()?, night()?);
    ensure!(first.stdout == second.stdout, "{}", said(&second));
    let told = said(&first);
    ensure!(
        told.starts_with("the night of seed 5:\n00:00:00  person "),
        "{told}"
    );
    ensure!(
        told.contains("every fault stops; everything must come back"),
        "{told}"
    );
    let other = run(dir.path(), &["--nights", "1", "--seed", "6"])?;
    ensure!(first.stdout != other.stdout, "{told}");
    Ok(())
}

#[test]
fn a_fault_that_is_not_known_exits_2_with_those_near_it() -> Result<()> {
    let dir = fleet()?;
    let output = run(dir.path(), &["--faults", "all,-freeze"])?;
    let told = said(&output);
    ensure!(output.status.code() == Some(2), "{told}");
    ensure!(
        told.contains("freezes") && told.contains("--faults help"),
        "{told}"
    );
    let output = run(dir.path(), &["--faults", "help"])?;
    let told = said(&output);
    ensure!(output.status.code() == Some(0), "{told}");
    ensure!(
        told.contains("a coordinator stands still, and goes on later"),
        "{told}"
    );
    let output = run(dir.path(), &["nosuchplaybook"])?;
    ensure!(output.status.code() == Some(2), "{}", said(&output));
    Ok(())
}
