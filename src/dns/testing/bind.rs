//! BIND: primaries with an update policy of exact names and types, and secondaries of them.
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use super::process::{Server, free_port};
use super::zone::{ZONE, declared, secret_base64};
use crate::dns::grants;
use crate::model::fleet::Dns;

/// Starts BIND; needs the Debian package bind9.
pub(crate) struct Bind;

impl Bind {
    /// A primary with [`ZONE`] and just the grants that `doctor` prints.
    pub(crate) fn primary() -> Server {
        let address = free_port();
        Bind::start(address, &grants(&declared(address)).bind, &[])
    }

    /// The same for a fleet that is declared otherwise.
    pub(crate) fn primary_for(change: &dyn Fn(&mut Dns)) -> Server {
        let address = free_port();
        let mut declared = declared(address);
        change(&mut declared);
        Bind::start(address, &grants(&declared).bind, &[])
    }

    /// A primary with another update policy.
    pub(crate) fn primary_with(policy: &str) -> Server {
        Bind::start(free_port(), policy, &[])
    }

    /// A primary that notifies one secondary, and the secondary.
    pub(crate) fn pair() -> (Server, Server) {
        let (first, second) = (free_port(), free_port());
        let policy = grants(&declared(first)).bind;
        let primary = Bind::start(first, &policy, &[second]);
        let zone = format!(
            "type secondary; file \"copy\"; masterfile-format text;\n\
             primaries {{ 127.0.0.1 port {}; }};\n\
             min-refresh-time 1; max-refresh-time 2; min-retry-time 1; max-retry-time 1;\n\
             allow-notify {{ any; }}; notify no;",
            first.port()
        );
        let secondary = Bind::run(second, &zone);
        (primary, secondary)
    }

    fn start(address: SocketAddr, policy: &str, notified: &[SocketAddr]) -> Server {
        let notified = notified.iter();
        let notified: String = notified
            .map(|server| format!("127.0.0.1 port {}; ", server.port()))
            .collect();
        let zone = format!(
            "type primary; file \"zone\"; notify explicit; also-notify {{ {notified} }};\n{policy}"
        );
        Bind::run(address, &zone)
    }

    fn run(address: SocketAddr, zone: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let conf = format!(
            "options {{ directory \"{dir}\"; pid-file none; lock-file none;\n\
             session-keyfile \"{dir}/session.key\"; managed-keys-directory \"{dir}\";\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             recursion no; dnssec-validation no; allow-transfer {{ any; }}; notify-delay 0;\n\
             notify-rate 1000; startup-notify-rate 1000; serial-query-rate 1000; }};\n\
             controls {{ }};\n\
             key cleanslate. {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
             zone example.com {{ {zone} }};\n",
            dir = dir.path().display(),
            port = address.port(),
            secret = secret_base64(),
        );
        fs::write(dir.path().join("zone"), ZONE).unwrap();
        fs::write(dir.path().join("named.conf"), conf).unwrap();
        let mut command = Command::new("named");
        command.args(["-f", "-n", "1", "-c", "named.conf"]);
        Server::start(address, "bind9", dir, command)
    }
}
