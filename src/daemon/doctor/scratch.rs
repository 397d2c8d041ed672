//! The proofs on a scratch name, as checks: the only thing in here that writes anything.
use super::super::adapters::Adapters;
use super::Check;
use crate::dns::Proof;
use crate::model::rrset::RecordName;

/// Proves on `name` what every change rests on, and takes away what it wrote there, also when `stop`
/// comes first. Each check is told as soon as it is known.
pub async fn scratch(
    adapters: &Adapters,
    name: &RecordName,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Check),
) {
    let asked = format!("scratch name {name}");
    let scratch = match adapters.dns.scratch(name) {
        Ok(scratch) => scratch,
        Err(problem) => return tell(Check::problem(asked, &problem)),
    };
    if let Err(problems) = Box::pin(scratch.is_free()).await {
        for problem in &problems {
            tell(Check::problem(&asked, problem));
        }
        return;
    }
    tell(Check::well(
        &asked,
        "nothing stands there, and the key may write there",
    ));
    let proving = Box::pin(scratch.prove(|proof: Proof| {
        tell(match proof.result {
            Ok(answer) => Check::well(proof.of, answer),
            Err(problem) => Check::problem(proof.of, &problem),
        });
    }));
    let ended = tokio::select! {
        ended = proving => Some(ended),
        () = stop => None,
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(problem)) => tell(Check::problem("the other proofs", &problem)),
        None => tell(Check::unasked(
            "the other proofs",
            "called off",
            "ask again: cleanslate doctor --scratch NAME",
        )),
    }
    tell(match Box::pin(scratch.clean()).await {
        Ok(()) => Check::well(&asked, "what was written there is taken away"),
        Err(problem) => Check::problem(&asked, &problem),
    });
}
