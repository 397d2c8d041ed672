//! By what way somebody said what they want.
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How somebody came to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A command that was typed, and did it itself.
    Terminal,
    /// The same, begun by something else: a timer, a script.
    Program,
    /// The control socket; the kernel says who.
    Socket,
    /// The API, with a token of that name.
    Token,
    /// The schedule of a playbook.
    Schedule,
    /// A registry, or a CI, said that an image was pushed.
    Push,
    /// It follows from a rotation that they began.
    Rotation,
    /// Nobody asked: a process began, ended or was signalled.
    Coordinator,
}

impl Way {
    const ALL: [Way; 8] = [
        Way::Terminal,
        Way::Program,
        Way::Socket,
        Way::Token,
        Way::Schedule,
        Way::Push,
        Way::Rotation,
        Way::Coordinator,
    ];

    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Terminal => "terminal",
            Way::Program => "program",
            Way::Socket => "socket",
            Way::Token => "token",
            Way::Schedule => "schedule",
            Way::Push => "push",
            Way::Rotation => "rotation",
            Way::Coordinator => "coordinator",
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Way, String> {
        let way = Way::ALL.into_iter().find(|way| way.as_str() == text);
        way.ok_or_else(|| "it is no way in which anybody asks".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_back() {
        for way in Way::ALL {
            assert_eq!(way.as_str().parse(), Ok(way));
        }
        assert!("Terminal".parse::<Way>().is_err());
    }
}
