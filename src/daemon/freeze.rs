//! Frozen days: the schedule begins nothing on them, and a person only with a reason. Who brings a
//! site back is never held by them.
use jiff::Timestamp;

use super::request::Request;
use crate::coordinator::plan::Mode;
use crate::coordinator::safety::Refusal;
use crate::model::fleet::Fleet;
use crate::model::playbook::Playbook;

/// Lets what a person asks pass, and notes the freeze that they set aside with it.
///
/// # Errors
/// The rule *freeze*, with the reason of the freeze and the words that set it aside.
pub(super) fn heed(
    request: &mut Request,
    fleet: &Fleet,
    playbook: &Playbook,
    now: Timestamp,
) -> Result<(), Refusal> {
    if !is_held(&request.mode) {
        return Ok(());
    }
    let Some(freeze) = fleet.freeze(playbook, now) else {
        return Ok(());
    };
    let has_reason = request.reason.as_ref().is_some_and(|text| !text.is_empty());
    if request.in_freeze && has_reason {
        request.options.in_freeze = Some(freeze.reason.clone());
        return Ok(());
    }
    let what = match request.in_freeze {
        true => "to rotate in a freeze takes a reason",
        false => "no rotation begins",
    };
    Err(Refusal::new(
        "freeze",
        format!("{what}: {} (until {})", freeze.reason, freeze.until),
        format!(
            "wait for its end, or say why it cannot: `cleanslate rotate {} --in-freeze --reason \
             TEXT`; `rebuild` of one site is not held",
            playbook.name
        ),
    ))
}

/// Responders are not locked out.
fn is_held(mode: &Mode) -> bool {
    match mode {
        Mode::Rotate => true,
        Mode::Rebuild
        | Mode::Restore { .. }
        | Mode::Recover
        | Mode::Withdraw
        | Mode::Cordon { .. }
        | Mode::TakeOver => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{fleet, playbook, site};
    use crate::model::cron::Cron;
    use crate::model::fleet::Freeze;
    use crate::model::playbook::Schedule;
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use std::time::Duration;

    fn heeded(request: &mut Request, now: &str) -> Result<(), Refusal> {
        let mut fleet = fleet();
        fleet.freezes.push(Freeze {
            from: date(2026, 12, 24),
            until: date(2026, 12, 26),
            reason: "holidays".to_owned(),
        });
        let mut playbook = playbook();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        playbook.schedule = Some(Schedule {
            cron: Cron::parse("0 3 * * *", berlin).unwrap(),
            finish_by: None,
            catch_up: Duration::ZERO,
            rehearse: None,
        });
        heed(request, &fleet, &playbook, now.parse().unwrap())
    }

    fn rotate() -> Request {
        Request::rotate(&"nightly".parse().unwrap(), None)
    }

    #[test]
    fn a_persons_rotation_is_refused_on_frozen_days_of_the_playbooks_zone() {
        for (now, is_frozen) in [
            ("2026-12-23T22:59:59Z", false),
            ("2026-12-23T23:00:00Z", true),
            ("2026-12-26T22:59:59Z", true),
            ("2026-12-26T23:00:00Z", false),
        ] {
            let refused = heeded(&mut rotate(), now).err();
            assert_eq!(refused.is_some(), is_frozen, "{now}: {refused:?}");
        }
        let refusal = heeded(&mut rotate(), "2026-12-25T12:00:00Z").unwrap_err();
        assert_eq!(
            (refusal.rule.as_str(), refusal.is_transient),
            ("freeze", false)
        );
        let why = "no rotation begins: holidays (until 2026-12-26)";
        assert_eq!(refusal.why, why);
        assert!(refusal.cure.contains("--in-freeze --reason"), "{refusal:?}");
    }

    #[test]
    fn a_word_with_a_reason_sets_it_aside_and_stands_in_the_plan() {
        let day = "2026-12-25T12:00:00Z";
        let mut request = rotate();
        request.in_freeze = true;
        for reason in [None, Some(String::new())] {
            request.reason = reason;
            let refusal = heeded(&mut request, day).unwrap_err();
            assert!(refusal.why.contains("takes a reason"), "{refusal:?}");
        }
        request.reason = Some("a hole in openssl".to_owned());
        assert_eq!(heeded(&mut request, day), Ok(()));
        assert_eq!(request.options.in_freeze.as_deref(), Some("holidays"));
        // On any other day there is nothing to set aside.
        request.options.in_freeze = None;
        assert_eq!(heeded(&mut request, "2026-12-27T12:00:00Z"), Ok(()));
        assert_eq!(request.options.in_freeze, None);
    }

    #[test]
    fn whoever_brings_a_site_back_is_never_held() {
        let modes = [
            Mode::Rebuild,
            Mode::Restore { unverified: false },
            Mode::Recover,
            Mode::Withdraw,
            Mode::Cordon { cordoned: true },
            Mode::TakeOver,
        ];
        for mode in modes {
            let mut request = Request::of(&site("fra"), mode, None);
            assert_eq!(heeded(&mut request, "2026-12-25T12:00:00Z"), Ok(()));
        }
    }
}
