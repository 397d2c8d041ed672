//! What an image of the lab does once it is started, well-behaved or not.

use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The behaviours that images of the lab have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// nginx on port 80: `version=… site=… host=…` on `/`, `ok` on `/healthz`, and a slow
    /// answer of about 2 s on `/slow`. Ends its connections in order on SIGQUIT.
    Web,
    /// The same with a Docker health check every second.
    WebHealthcheck,
    /// Exits 1 as soon as it starts.
    DiesAtOnce,
    /// Serves, then exits 1 after so many seconds.
    DiesAfter(u32),
    /// Serves, but its health check always fails.
    Unhealthy,
    /// Its health check is content with anything, and it listens on another port.
    Lies,
    /// Serves and is healthy for so many seconds, then serves on and is unhealthy.
    SickAfter(u32),
    /// Answers every request with 500.
    Answers500,
    /// Serves only after so many seconds.
    SlowStart(u32),
    /// Serves, and declares an anonymous volume, `/data`, that it writes to.
    WithVolume,
    /// A web server, of which its image says that it is for other machines than ours.
    OtherMachine,
    /// Ends well at once, as a migration does.
    Job,
    /// Sleeps, and listens on nothing.
    Worker,
    /// As a worker, but only SIGKILL ends it.
    IgnoresSigterm,
}

impl ImageKind {
    /// The repository that it is pushed to when nothing else is said.
    pub fn repository(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Worker | Self::IgnoresSigterm => "worker",
            Self::Web
            | Self::WebHealthcheck
            | Self::DiesAtOnce
            | Self::DiesAfter(_)
            | Self::Unhealthy
            | Self::Lies
            | Self::SickAfter(_)
            | Self::Answers500
            | Self::SlowStart(_)
            | Self::WithVolume
            | Self::OtherMachine => "web",
        }
    }

    /// The processor that its image says it is for.
    pub fn architecture(self) -> &'static str {
        if self == Self::OtherMachine {
            "arm64"
        } else {
            "amd64"
        }
    }

    /// The script that the container starts with; busybox is its `sh`.
    pub fn script(self) -> String {
        let serve = "exec /nginx -c /tmp/nginx.conf -p /tmp/";
        let configure = |code: u32| {
            format!(
                "/bin/sed -e \"s/@VERSION@/$(/bin/cat /version)/\" -e \"s/@SITE@/$SITE/\" \
                 -e \"s/@HOST@/$HOSTNAME/\" -e 's/@CODE@/{code}/' /nginx.conf > /tmp/nginx.conf\n"
            )
        };
        let hello = "echo \"started version=$(/bin/cat /version) site=$SITE\"\n";
        let body = match self {
            Self::Web | Self::WebHealthcheck | Self::Unhealthy | Self::OtherMachine => {
                configure(200) + serve
            }
            Self::DiesAtOnce => "echo 'cannot open /etc/app.conf'; exit 1".to_owned(),
            // nginx stays the first process, so that a stop signal still reaches it.
            Self::DiesAfter(seconds) => {
                let die = format!("(/bin/sleep {seconds}; /bin/kill -9 -1) &\n");
                let serve = "/nginx -c /tmp/nginx.conf -p /tmp/ & wait $!; exit 1";
                configure(200) + &die + "trap 'exit 1' QUIT TERM\n" + serve
            }
            Self::Lies => {
                let elsewhere = "/bin/sed -i 's/80 backlog/18080 backlog/' /tmp/nginx.conf\n";
                configure(200) + elsewhere + serve
            }
            Self::SickAfter(seconds) => {
                let sicken = format!("(/bin/sleep {seconds}; : > /tmp/sick) &\n");
                configure(200) + &sicken + serve
            }
            Self::Answers500 => configure(500) + serve,
            Self::SlowStart(seconds) => configure(200) + &format!("/bin/sleep {seconds}\n") + serve,
            Self::WithVolume => configure(200) + "echo state > /data/state\n" + serve,
            Self::Job => "exit 0".to_owned(),
            Self::Worker => "trap 'exit 0' TERM QUIT\n/bin/sleep 1000000 & wait $!".to_owned(),
            Self::IgnoresSigterm => {
                "trap '' TERM QUIT\nwhile :; do /bin/sleep 1000000; done".to_owned()
            }
        };
        format!("#!/bin/sh\n{hello}{body}\n")
    }

    /// The `config` part of the image's configuration.
    pub fn config(self, version: &str) -> Value {
        let mut config = json!({
            "Cmd": ["/bin/sh", "/start"],
            "Env": ["PATH=/bin", format!("VERSION={version}")],
            "StopSignal": "SIGQUIT",
            "Labels": { "org.opencontainers.image.version": version },
        });
        let check = |test: Value| json!({ "Test": test, "Interval": 1_000_000_000u64, "Timeout": 2_000_000_000u64, "Retries": 2 });
        if self.repository() == "web" {
            config["ExposedPorts"] = json!({ "80/tcp": {} });
        }
        match self {
            Self::WebHealthcheck => {
                let url = "http://127.0.0.1/healthz";
                config["Healthcheck"] =
                    check(json!(["CMD", "/bin/wget", "-q", "-O", "/dev/null", url]));
            }
            Self::Unhealthy => config["Healthcheck"] = check(json!(["CMD", "/bin/false"])),
            Self::Lies => config["Healthcheck"] = check(json!(["CMD", "/bin/true"])),
            Self::SickAfter(_) => {
                let well = "! [ -e /tmp/sick ]";
                config["Healthcheck"] = check(json!(["CMD", "/bin/sh", "-c", well]));
            }
            Self::WithVolume => config["Volumes"] = json!({ "/data": {} }),
            Self::Worker | Self::IgnoresSigterm => config["StopSignal"] = json!("SIGTERM"),
            Self::Web
            | Self::DiesAtOnce
            | Self::DiesAfter(_)
            | Self::Answers500
            | Self::SlowStart(_)
            | Self::OtherMachine
            | Self::Job => {}
        }
        config
    }
}

impl Display for ImageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web => f.write_str("web"),
            Self::WebHealthcheck => f.write_str("web-healthcheck"),
            Self::DiesAtOnce => f.write_str("dies-at-once"),
            Self::DiesAfter(seconds) => write!(f, "dies-after:{seconds}"),
            Self::Unhealthy => f.write_str("unhealthy"),
            Self::Lies => f.write_str("lies"),
            Self::SickAfter(seconds) => write!(f, "sick-after:{seconds}"),
            Self::Answers500 => f.write_str("answers-500"),
            Self::SlowStart(seconds) => write!(f, "slow-start:{seconds}"),
            Self::WithVolume => f.write_str("with-volume"),
            Self::OtherMachine => f.write_str("other-machine"),
            Self::Job => f.write_str("job"),
            Self::Worker => f.write_str("worker"),
            Self::IgnoresSigterm => f.write_str("ignores-sigterm"),
        }
    }
}

impl FromStr for ImageKind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, seconds) = text.split_once(':').unwrap_or((text, "0"));
        let seconds = || {
            seconds
                .parse()
                .with_context(|| format!("no seconds in \"{text}\""))
        };
        Ok(match name {
            "web" => Self::Web,
            "web-healthcheck" => Self::WebHealthcheck,
            "dies-at-once" => Self::DiesAtOnce,
            "dies-after" => Self::DiesAfter(seconds()?),
            "unhealthy" => Self::Unhealthy,
            "lies" => Self::Lies,
            "sick-after" => Self::SickAfter(seconds()?),
            "answers-500" => Self::Answers500,
            "slow-start" => Self::SlowStart(seconds()?),
            "with-volume" => Self::WithVolume,
            "other-machine" => Self::OtherMachine,
            "job" => Self::Job,
            "worker" => Self::Worker,
            "ignores-sigterm" => Self::IgnoresSigterm,
            _ => bail!("the lab has no image kind \"{text}\""),
        })
    }
}
