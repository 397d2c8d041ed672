//! A store that was made from a backup of another one: the change that was in hand there, and the
//! hold, are another holder's.
use crate::coordinator::event::Event;
use crate::coordinator::safety::Refusal;
use crate::coordinator::state::State;

/// The rotation that ran when the backup was made ends here, with nothing sent for it: the world has
/// gone on since. What it left out or dirty stands in the marker, and whoever has that next brings
/// it back.
pub(crate) fn moved(state: &State, why: &str) -> Vec<Event> {
    let deposed = |_| Event::Deposed {
        refusal: Refusal::new(
            "moved",
            why,
            "see `cleanslate status`; what is out is brought back by `cleanslate recover`",
        ),
    };
    state.running().map(deposed).into_iter().collect()
}
