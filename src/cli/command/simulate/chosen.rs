//! `--faults`: which faults were chosen.
use std::collections::BTreeSet;

use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Said};
use crate::coordinator::outcome::Problem;
use crate::sim::faults::Fault;

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// In the simulator's order, whatever the order they were typed in: the same faults are the
    /// same nights.
    Faults(Vec<Fault>),
    Help,
}

/// `all`, `none`, names, and names to be left out, from left to right.
///
/// # Errors
/// Every name that no fault has, with those near it.
pub(super) fn read(list: &str) -> Result<Chosen, Failure> {
    if list == "help" {
        return Ok(Chosen::Help);
    }
    let mut chosen = BTreeSet::new();
    let mut problems = Vec::new();
    for (at, item) in list.split(',').map(str::trim).enumerate() {
        match (item, item.strip_prefix('-')) {
            ("all", _) => chosen.extend(Fault::all()),
            ("none", _) => chosen.clear(),
            (_, Some(_)) if at == 0 => problems.push(Problem {
                what: format!("--faults {list}: left out of nothing"),
                cure: format!("write all,{list}"),
                is_transient: false,
            }),
            (item, left_out) => match left_out.unwrap_or(item).parse::<Fault>() {
                Ok(fault) if left_out.is_some() => {
                    chosen.remove(&fault);
                }
                Ok(fault) => {
                    chosen.insert(fault);
                }
                Err(unknown) => problems.push(Problem {
                    what: format!("--faults: {unknown}"),
                    cure: cure(&unknown.name),
                    is_transient: false,
                }),
            },
        }
    }
    if !problems.is_empty() {
        return Err(Failure {
            exit: Exit::Usage,
            said: Said::Problems(problems),
        });
    }
    let all = Fault::all().into_iter();
    Ok(Chosen::Faults(
        all.filter(|fault| chosen.contains(fault)).collect(),
    ))
}

fn cure(name: &str) -> String {
    let all = "`cleanslate simulate --faults help` shows all";
    match near(name).as_slice() {
        [] => all.to_owned(),
        near => format!("did you mean {}? {all}", near.join(" or ")),
    }
}

/// Names that may have been meant: nearly the same letters, or the same word in them.
fn near(name: &str) -> Vec<String> {
    let names = Fault::all().into_iter().map(|fault| fault.to_string());
    let mut near: Vec<(f64, String)> = names
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .filter(|(likeness, known)| {
            let has_word = name.len() > 3 && known.contains(name.trim_end_matches('s'));
            *likeness > 0.8 || has_word
        })
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter().take(3).map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(list: &str) -> Vec<Fault> {
        match read(list).unwrap() {
            Chosen::Faults(faults) => faults,
            Chosen::Help => Vec::new(),
        }
    }

    #[test]
    fn faults_are_chosen_from_left_to_right_and_come_in_one_order() {
        assert_eq!(faults("all"), Fault::all());
        assert_eq!(faults("none"), []);
        assert_eq!(faults("kills,busy"), [Fault::Busy, Fault::Kills]);
        let mut but_two = Fault::all();
        but_two.retain(|fault| !matches!(fault, Fault::Kills | Fault::Freezes));
        assert_eq!(faults("all,-kills, -freezes"), but_two);
        assert_eq!(read("help").unwrap(), Chosen::Help);
    }

    #[test]
    fn a_name_that_no_fault_has_is_told_with_those_near_it() {
        let said = |list| match read(list).unwrap_err().said {
            Said::Problems(problems) => problems
                .iter()
                .map(|problem| format!("{}\n  {}\n", problem.what, problem.cure))
                .collect::<String>(),
            Said::Report(_) | Said::Nothing => String::new(),
        };
        insta::assert_snapshot!(said("kill,all,frogs,-updates"), @r#"
        --faults: no fault is called "kill"
          did you mean kills? `cleanslate simulate --faults help` shows all
        --faults: no fault is called "frogs"
          `cleanslate simulate --faults help` shows all
        --faults: no fault is called "updates"
          did you mean nsupdate or lost-updates or late-updates? `cleanslate simulate --faults help` shows all
        "#);
        insta::assert_snapshot!(said("-kills"), @r"
        --faults -kills: left out of nothing
          write all,-kills
        ");
    }
}
