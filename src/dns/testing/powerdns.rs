//! PowerDNS on SQLite, with the metadata that `doctor` prints.
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::{Server, free_port};
use super::zone::{ZONE, declared, secret_base64};
use crate::dns::grants;

/// Starts PowerDNS; needs the Debian packages pdns-server, pdns-backend-sqlite3 and sqlite3. The
/// zone is of kind *native*: a primary writes down whom it notified, and an UPDATE that meets this
/// in SQLite is answered with SERVFAIL.
pub(crate) struct PowerDns;

const PACKAGE: &str = "pdns-server, pdns-backend-sqlite3 and sqlite3";

impl PowerDns {
    pub(crate) fn primary() -> Server {
        let address = free_port();
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let conf = format!(
            "launch=gsqlite3\ngsqlite3-database={at}/zones\nlocal-address=127.0.0.1\n\
             local-port={}\nsocket-dir={at}\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\n\
             daemon=no\nguardian=no\nsetuid=\nsetgid=\nchroot=\n\
             cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n",
            address.port(),
        );
        fs::write(dir.path().join("pdns.conf"), conf).unwrap();
        fs::write(dir.path().join("zone"), ZONE).unwrap();
        let schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
        run(dir.path(), &format!("sqlite3 zones < {schema}"));
        run(
            dir.path(),
            "pdnsutil --config-dir=. load-zone example.com zone",
        );
        let secret = secret_base64();
        let import = format!("import-tsig-key cleanslate hmac-sha256 '{secret}'");
        run(dir.path(), &format!("pdnsutil --config-dir=. {import}"));
        for line in grants(&declared(address)).powerdns.lines() {
            if let Some(set) = line.strip_prefix("pdnsutil ") {
                run(dir.path(), &format!("pdnsutil --config-dir=. {set}"));
            }
        }
        let mut command = Command::new("pdns_server");
        command.arg("--config-dir=.");
        Server::start(address, PACKAGE, dir, command)
    }
}

fn run(dir: &Path, line: &str) {
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}: install {PACKAGE}");
}
