//! What each role may do.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::api::wire::Command;

/// What the owner of a token is to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything, changes nothing.
    Viewer,
    /// On-call: begins, holds and ends rotations, rebuilds sites, within the safety rules.
    Operator,
    /// Releases: says that images were pushed, moves their tags; sees everything.
    Release,
    /// Everything, overriding the floor and other coordinators too.
    Admin,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    See,
    /// Steer rotations and sites.
    Steer,
    /// Tell of images, and move their tags.
    Release,
    /// Override a rule.
    Force,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Release, Role::Admin];

    /// Whether the role has the right.
    pub fn may(self, right: Right) -> bool {
        match self {
            Role::Viewer => right == Right::See,
            Role::Operator => matches!(right, Right::See | Right::Steer),
            Role::Release => matches!(right, Right::See | Right::Release),
            Role::Admin => true,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Release => "release",
            Role::Admin => "admin",
        }
    }
}

impl Right {
    /// What it takes to ask for this.
    pub fn to_ask(command: &Command) -> Right {
        match command {
            Command::Status {}
            | Command::Watch { .. }
            | Command::History { .. }
            | Command::ReleaseHistory { .. }
            | Command::ReleaseStatus {}
            | Command::Report { .. } => Right::See,
            Command::Pushed { .. }
            | Command::Promote(_)
            | Command::Rollback(_)
            | Command::ReleaseApprove { .. }
            | Command::ReleaseCancel { .. }
            | Command::ReleaseClear { .. } => Right::Release,
            Command::Withdraw {
                below_floor: true, ..
            }
            | Command::Restore {
                unverified: true, ..
            }
            | Command::Rotate {
                in_freeze: true, ..
            }
            | Command::Retry {
                in_freeze: true, ..
            }
            | Command::TakeOver { .. }
            | Command::Recover { .. } => Right::Force,
            Command::Rebuild(rebuild) if rebuild.below_floor => Right::Force,
            Command::Rotate { .. }
            | Command::Abort { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Retry { .. }
            | Command::Cordon { .. }
            | Command::Uncordon { .. }
            | Command::Withdraw { .. }
            | Command::Restore { .. }
            | Command::Rebuild(_) => Right::Steer,
        }
    }

    /// The least role that has it.
    pub fn least(self) -> Role {
        match self {
            Right::See => Role::Viewer,
            Right::Steer => Role::Operator,
            Right::Release => Role::Release,
            Right::Force => Role::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let words = Role::ALL.map(Role::word).join(", ");
        let mut all = Role::ALL.into_iter();
        all.find(|role| role.word() == text)
            .ok_or_else(|| format!("no role is called so; use one of: {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_take_an_administrator_and_looking_takes_anybody() {
        let command = |name, body: &str| Command::read(name, body.as_bytes()).unwrap();
        let withdraw = command("withdraw", r#"{"site":"fra","reason":"x"}"#);
        let forced = r#"{"site":"fra","reason":"x","below_floor":true}"#;
        for (command, role) in [
            (Command::Status {}, Role::Viewer),
            (withdraw, Role::Operator),
            (command("withdraw", forced), Role::Admin),
            (command("rebuild", forced), Role::Admin),
            (command("take-over", r#"{"reason":"x"}"#), Role::Admin),
        ] {
            let right = Right::to_ask(&command);
            assert_eq!(right.least(), role, "{command:?}");
            assert!(role.may(right) && Role::Admin.may(right));
            assert_eq!(Role::Viewer.may(right), role == Role::Viewer);
            assert_eq!(Role::Release.may(right), role == Role::Viewer);
        }
        let promote = command("release/promote", r#"{"from":"staging","to":"master"}"#);
        assert_eq!(Right::to_ask(&promote).least(), Role::Release);
        assert!(!Role::Operator.may(Right::Release));
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
        }
    }
}
