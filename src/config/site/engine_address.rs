//! Where an engine answers: `unix:///var/run/docker.sock`, `tcp://10.0.0.1:2375`.
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Value};
use crate::model::fleet::EngineAddress;

/// Why a text names no engine, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct EngineAddressError {
    what: String,
    hint: String,
}

impl<'a> FromToml<'a> for EngineAddress {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<EngineAddress> {
        let text = String::from_toml(value.clone(), findings)?;
        match parse(&text) {
            Ok(address) => Some(address),
            Err(error) => {
                findings.error(value.span, error.what).hint(error.hint);
                None
            }
        }
    }
}

/// The host part, as a host's name in the short form; `local` for a socket.
pub(crate) fn host_part(address: &EngineAddress) -> String {
    match address {
        EngineAddress::Unix(_) => "local".to_owned(),
        EngineAddress::Tcp(address) => address.ip().to_string(),
    }
}

fn parse(text: &str) -> Result<EngineAddress, EngineAddressError> {
    let error = |what: String, hint: String| Err(EngineAddressError { what, hint });
    match text.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => {
            Ok(EngineAddress::Unix(PathBuf::from(path)))
        }
        Some(("unix", path)) => error(
            format!("{text:?} needs an absolute path"),
            format!("write \"unix:///{path}\""),
        ),
        Some(("tcp", address)) => parse_tcp(address.strip_suffix('/').unwrap_or(address)),
        Some(("ssh", host)) => error(
            "engines over ssh:// are not built yet".to_owned(),
            format!(
                "use unix:// with a forwarded socket: \
                 ssh -nNT -L /run/engine.sock:/var/run/docker.sock {host}"
            ),
        ),
        Some((scheme @ ("http" | "https"), rest)) => error(
            format!("{scheme}:// is no engine address"),
            format!("write \"tcp://{rest}\""),
        ),
        Some((scheme, _)) => error(
            format!("{scheme:?} is no way to an engine"),
            "write \"unix:///var/run/docker.sock\" or \"tcp://10.0.0.1:2375\"".to_owned(),
        ),
        None => error(
            format!("{text:?} is no engine address"),
            "write \"unix:///var/run/docker.sock\" or \"tcp://10.0.0.1:2375\"".to_owned(),
        ),
    }
}

fn parse_tcp(text: &str) -> Result<EngineAddress, EngineAddressError> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(EngineAddress::Tcp(address));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Err(EngineAddressError {
            what: format!("\"tcp://{text}\" lacks its port"),
            hint: format!("write \"tcp://{}\"", SocketAddr::new(ip, 2375)),
        }),
        Err(_) => Err(EngineAddressError {
            what: format!("\"tcp://{text}\" does not name an IP address and a port"),
            hint: "write the address itself, \"tcp://10.0.0.1:2375\": an engine must be \
                   reachable while DNS is not"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_addresses_are_engines() {
        let parse = |text| parse(text).unwrap();
        let socket = parse("unix:///var/run/docker.sock");
        assert_eq!(socket, EngineAddress::Unix("/var/run/docker.sock".into()));
        assert_eq!(host_part(&socket), "local");
        let tcp = parse("tcp://[2001:db8::1]:2375");
        assert_eq!(tcp.to_string(), "tcp://[2001:db8::1]:2375");
        assert_eq!(host_part(&parse("tcp://10.0.0.1:2375/")), "10.0.0.1");
    }

    #[test]
    fn everything_else_is_refused_with_what_to_write() {
        let texts = [
            "unix://run/docker.sock",
            "ssh://root@fra1",
            "tcp://fra1.example.com:2375",
            "tcp://10.0.0.1",
            "tcp://2001:db8::1",
            "https://10.0.0.1:2376",
            "npipe:////./pipe/docker",
            "/var/run/docker.sock",
        ];
        let shown = texts.map(|text| {
            let error = parse(text).unwrap_err();
            format!("{}; {}", error.what, error.hint)
        });
        insta::assert_snapshot!(shown.join("\n"), @r#"
        "unix://run/docker.sock" needs an absolute path; write "unix:///run/docker.sock"
        engines over ssh:// are not built yet; use unix:// with a forwarded socket: ssh -nNT -L /run/engine.sock:/var/run/docker.sock root@fra1
        "tcp://fra1.example.com:2375" does not name an IP address and a port; write the address itself, "tcp://10.0.0.1:2375": an engine must be reachable while DNS is not
        "tcp://10.0.0.1" lacks its port; write "tcp://10.0.0.1:2375"
        "tcp://2001:db8::1" lacks its port; write "tcp://[2001:db8::1]:2375"
        https:// is no engine address; write "tcp://10.0.0.1:2376"
        "npipe" is no way to an engine; write "unix:///var/run/docker.sock" or "tcp://10.0.0.1:2375"
        "/var/run/docker.sock" is no engine address; write "unix:///var/run/docker.sock" or "tcp://10.0.0.1:2375"
        "#);
    }
}
