//! A configuration that is wrong is told with its place, and nothing at all is contacted.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// A fleet whose every outside system is one listener of ours.
fn write(dir: &Path, port: u16, site_toml: &str, compose: &str) -> Result<()> {
    let key =
        "key \"k.\" { algorithm hmac-sha256; secret \"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=\"; };";
    std::fs::write(dir.join("tsig.key"), key)?;
    std::fs::write(
        dir.join("site.toml"),
        site_toml.replace("PORT", &port.to_string()),
    )?;
    std::fs::write(
        dir.join("compose.yaml"),
        compose.replace("PORT", &port.to_string()),
    )?;
    Ok(())
}

const SITE: &str = r#"[fleet]
name = "edge"
compose = "compose.yaml"
[dns]
server = "127.0.0.1:PORT"
zone = "example.com."
records = ["www.example.com."]
ttl = "2s"
key = { file = "tsig.key" }
nameservers = ["127.0.0.1:PORT"]
[[probe]]
name = "front"
http = "http://{address}:PORT/healthz"
expect = 200
[site.fra]
addresses = ["127.0.0.1"]
[[site.fra.host]]
name = "fra1"
engine = "tcp://127.0.0.1:PORT"
[site.nyc]
addresses = ["127.0.0.2"]
[[site.nyc.host]]
name = "nyc1"
engine = "tcp://127.0.0.2:PORT"
"#;

const COMPOSE: &str = "services:\n  front:\n    image: 127.0.0.1:PORT/web:${CHANNEL}\n";

#[test]
fn it_exits_2_with_the_place_and_contacts_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    let wrong = [
        (
            SITE.replace("ttl =", "tttl ="),
            COMPOSE.to_owned(),
            "site.toml:8:1",
            "tttl",
        ),
        (
            SITE.replace("\"127.0.0.2\"", "\"127.0.0\""),
            COMPOSE.to_owned(),
            "site.toml:21:14",
            "127.0.0",
        ),
        (
            SITE.to_owned(),
            COMPOSE.replace("image:", "imagee:"),
            "compose.yaml:3:5",
            "imagee",
        ),
        (
            SITE.to_owned(),
            COMPOSE.to_owned() + "    build: .\n",
            "compose.yaml:4",
            "build",
        ),
        (
            SITE.replace("tsig.key", "no.key"),
            COMPOSE.to_owned(),
            "site.toml:9",
            "no.key",
        ),
        (
            SITE.replace("name = \"edge\"", "name = \"edge"),
            COMPOSE.to_owned(),
            "site.toml:2",
            "edge",
        ),
    ];
    for (site_toml, compose, place, word) in wrong {
        write(dir.path(), port, &site_toml, &compose)?;
        for args in [
            &["rotate", "nightly", "--json"][..],
            &["rebuild", "fra", "--reason", "x"],
            &["withdraw", "fra", "--reason", "x"],
            &["status"],
            &["plan"],
            &["doctor"],
            &["check"],
        ] {
            let output = run(dir.path(), args)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            let what = format!("{args:?} with {place}: {:?}\n{said}", output.status.code());
            ensure!(output.status.code() == Some(2), "{what}");
            ensure!(said.contains(place) && said.contains(word), "{what}");
        }
    }
    ensure!(listener.accept().is_err(), "somebody was contacted");

    // The proof that the listener would have heard it.
    write(dir.path(), port, SITE, COMPOSE)?;
    let output = run(dir.path(), &["check"])?;
    ensure!(
        output.status.code() == Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(listener.accept().is_err(), "`check` contacts nothing");
    let child = command(dir.path(), &["rotate", "nightly", "--json"]).spawn()?;
    let mut child = Killed(child);
    let heard = || listener.accept().is_ok();
    let within = std::time::Duration::from_secs(10);
    crate::lab::ground::program::wait_until("the primary is asked", within, heard)?;
    child.0.kill()?;
    Ok(())
}

#[test]
fn a_command_line_that_is_wrong_exits_2() -> Result<()> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), 9, SITE, COMPOSE)?;
    for args in [
        &["rotat"][..],
        &["rebuild", "fra"],
        &["rebuild", "moon", "--reason", "x"],
        &["rotate", "nosuchplaybook"],
        &["rotate", "--site", "moon"],
        &["restore", "fra", "--unverified"],
    ] {
        let output = run(dir.path(), args)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(2),
            "{args:?}: {:?}\n{said}",
            output.status.code()
        );
        ensure!(!said.is_empty(), "{args:?}");
    }
    let nowhere = tempfile::tempdir()?;
    let output = run(nowhere.path(), &["status"])?;
    ensure!(
        output.status.code() == Some(2),
        "{:?}",
        output.status.code()
    );
    Ok(())
}

/// A process that does not outlive its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("failed to end cleanslate: {error}");
        }
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanslate"));
    command
        .arg("--config")
        .arg(dir.join("site.toml"))
        .arg("--state")
        .arg(dir.join("state"));
    command
        .args(args)
        .env("DOCKER_CONFIG", dir)
        .stdin(std::process::Stdio::null());
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> Result<std::process::Output> {
    let mut command = command(dir, args);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    Ok(command.output()?)
}
