//! A line to one server: its connection is kept from one reading to the next, and made anew where
//! the server has closed it meanwhile.
use std::net::SocketAddr;

use tokio::time::timeout;

use super::query::{EXCHANGE_WITHIN, QueryError};
use super::read::{Names, Reading, read};
use super::wire::{Connection, WireError};
use crate::model::rrset::ServerAnswer;

pub(super) struct Line {
    server: SocketAddr,
    connection: Option<Connection>,
}

impl Line {
    pub(super) fn new(server: SocketAddr) -> Line {
        Line {
            server,
            connection: None,
        }
    }

    /// The server at the other end.
    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Reads the server once, connecting where that is needed, in [`EXCHANGE_WITHIN`] altogether.
    pub(super) async fn read(&mut self, names: &Names) -> Result<Reading, QueryError> {
        let server = self.server;
        let within = EXCHANGE_WITHIN;
        // Taken out, and put back only after a whole answer: one that was given up in the middle
        // would hand its late answers to the next reading.
        let kept = self.connection.take();
        let reading = timeout(within, self.read_over(kept, names)).await;
        reading.map_err(|_elapsed| WireError::Silent { server, within })?
    }

    /// The same as [`Line::read`], for reports.
    pub(super) async fn answer(&mut self, names: &Names) -> ServerAnswer {
        let reading = self.read(names).await;
        ServerAnswer {
            server: self.server,
            view: reading
                .map(|reading| reading.view)
                .map_err(|error| error.to_string()),
        }
    }

    async fn read_over(
        &mut self,
        kept: Option<Connection>,
        names: &Names,
    ) -> Result<Reading, QueryError> {
        if let Some(mut kept) = kept {
            match read(&mut kept, names).await {
                Err(QueryError::Wire(WireError::Broken { .. })) => {}
                reading => return self.keep(kept, reading),
            }
        }
        let mut fresh = Connection::open(self.server, EXCHANGE_WITHIN).await?;
        let reading = read(&mut fresh, names).await;
        self.keep(fresh, reading)
    }

    fn keep(
        &mut self,
        connection: Connection,
        reading: Result<Reading, QueryError>,
    ) -> Result<Reading, QueryError> {
        if reading.is_ok() {
            self.connection = Some(connection);
        }
        reading
    }
}
