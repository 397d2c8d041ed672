//! The API of a coordinator that runs: held against its description by a tool of others.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

const SITE: &str = r#"[fleet]
name = "edge"
compose = "compose.yaml"
[dns]
server = "127.0.0.1:1"
zone = "example.com."
records = ["www.example.com."]
ttl = "2s"
key = { file = "tsig.key" }
nameservers = ["127.0.0.1:1"]
[api]
listen = "127.0.0.1:PORT"
[[probe]]
name = "front"
http = "http://{address}:1/healthz"
[site.fra]
addresses = ["127.0.0.1"]
[[site.fra.host]]
name = "fra1"
engine = "tcp://127.0.0.1:1"
[site.nyc]
addresses = ["127.0.0.2"]
[[site.nyc.host]]
name = "nyc1"
engine = "tcp://127.0.0.2:1"
"#;

const COMPOSE: &str = "services:\n  front:\n    image: 127.0.0.1:1/web:${CHANNEL}\n";

const KEY: &str =
    "key \"k.\" { algorithm hmac-sha256; secret \"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=\"; };";

/// A coordinator of a fleet of which nothing answers: every question is answered by itself.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Server {
    fn start() -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("site.toml", &SITE.replace("PORT", &port.to_string()))?;
        write("compose.yaml", COMPOSE)?;
        write("tsig.key", KEY)?;
        let child = cleanslate(folder.path()).arg("serve").spawn()?;
        let server = Server {
            folder,
            port,
            child,
        };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(
                began.elapsed() < Duration::from_secs(20),
                "it does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = cleanslate(self.folder.path()).args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(text.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _is_killed = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

fn cleanslate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanslate"));
    command
        .current_dir(folder)
        .env("CLEANSLATE_STATE", folder.join("state"))
        .stderr(Stdio::null());
    command
}

#[test]
fn whatever_is_asked_is_answered_as_it_is_described() -> Result<()> {
    let server = Server::start()?;
    let token = server.run(&["token", "create", "--role", "admin", "--name", "tester"])?;
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let tool = tools.join("bin/schemathesis");
    // `make setup` installs it beside the build.
    let began = Instant::now();
    while !tools.join(".ready").exists() {
        let is_late = began.elapsed() > Duration::from_secs(300);
        ensure!(
            !is_late,
            "no schemathesis: see target/tools.log, and run `make setup`"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let output = Command::new(&tool)
        .current_dir(server.folder.path())
        .args(["run", &format!("{}/v1/openapi.json", server.url())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        // It never ends: the tests of watchers read it.
        .args(["--exclude-path", "/v1/events"])
        .args([
            "--max-examples",
            "25",
            "--seed",
            "1",
            "--request-timeout",
            "30",
            "--no-color",
        ])
        .output()
        .with_context(|| format!("{}: install it with `make setup`", tool.display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stdout));
    }
    // It is still there, and nothing that was tried made it forget who it is.
    let status = server.run(&["status", "--json"])?;
    ensure!(status.contains("\"fleet\":\"edge\""), "{status}");
    Ok(())
}

#[test]
fn the_command_line_asks_from_another_machine() -> Result<()> {
    let server = Server::start()?;
    let token = server.run(&["token", "create", "--role", "operator", "--name", "ana"])?;
    // No site.toml is there.
    let elsewhere = tempfile::tempdir()?;
    let ask = |arguments: &[&str], token: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cleanslate"))
            .current_dir(elsewhere.path())
            .args(["--api", &server.url()])
            .args(arguments)
            .env("CLEANSLATE_TOKEN", token)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        anyhow::Ok((output.status.code(), said))
    };
    for (arguments, code, word) in [
        (&["status"][..], 0, "fleet edge"),
        (&["history", "--json"], 0, ""),
        (&["pause", "--reason", "x"], 5, "no rotation is running"),
        (&["rotate", "nihgtly", "--yes"], 4, "nihgtly"),
        (&["take-over", "--reason", "x", "--yes"], 4, "role admin"),
        (&["check"], 2, "--api"),
        (&["rotate", "--dry-run"], 2, "--api"),
    ] {
        let (found, said) = ask(arguments, &token)?;
        ensure!(
            found == Some(code) && said.contains(word),
            "{arguments:?}: {found:?} {said}"
        );
    }
    let (code, said) = ask(&["status"], "cleanslate_wrong")?;
    ensure!(
        code == Some(4) && said.contains("not known"),
        "{code:?} {said}"
    );
    server.run(&["token", "revoke", "ana"])?;
    let (code, said) = ask(&["status"], &token)?;
    ensure!(
        code == Some(4) && said.contains("revoked"),
        "{code:?} {said}"
    );
    let listed = server.run(&["token", "list"])?;
    ensure!(
        listed.contains("ana") && listed.contains("operator"),
        "{listed}"
    );
    Ok(())
}
