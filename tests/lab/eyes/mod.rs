//! Who judges from outside: users that make requests, and a watcher of the name servers.

pub mod ask;
pub mod checks;
pub mod load;
pub mod request;
pub mod resolver;
pub mod tally;
pub mod users;
pub mod watch;
pub mod watcher;
