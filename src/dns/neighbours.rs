//! Other names of the zone at which an address of the fleet stands. A withdrawal leaves them as they
//! are, and whoever uses them meets the site while it is rebuilt.
//!
//! Only the whole zone tells (AXFR, RFC 5936), and a primary need not hand that out.
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode, update_message};
use hickory_proto::rr::{Record, RecordType};
use tokio::time::timeout;

use super::query::address;
use super::read::Names;
use super::send::CONNECT_WITHIN;
use super::tsig::{Signer, unix_s};
use super::wire::{Connection, WireError, encode};

/// Of a whole zone: a large one takes seconds.
const TRANSFER_WITHIN: Duration = Duration::from_secs(20);

/// One other name with an address of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    pub name: String,
    pub address: IpAddr,
}

/// Why the zone cannot be read whole: nothing is known of other names then.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("it answers a transfer of the zone with {0}")]
    Refused(ResponseCode),
    #[error("its transfer of the zone does not begin with the SOA record")]
    NoZone,
}

/// Reads the whole zone from `server` and looks for `addresses` at names that are not the fleet's.
///
/// # Errors
/// Why that is not known.
pub(super) async fn find(
    server: SocketAddr,
    names: &Names,
    signer: &Signer,
    addresses: &BTreeSet<IpAddr>,
) -> Result<BTreeSet<Neighbour>, String> {
    let ours: BTreeSet<_> = names.records.values().map(|owner| &owner.record).collect();
    let mut found = BTreeSet::new();
    let mut take = |record: &Record| {
        let address = address(record).filter(|address| addresses.contains(address));
        if let Some(address) = address.filter(|_| !ours.contains(&record.name)) {
            let name = record.name.to_ascii();
            found.insert(Neighbour { name, address });
        }
    };
    let transfer = async {
        // By address first: some servers that would let us refuse a key that has no right to it.
        match transfer(server, names, None, &mut take).await {
            Err(TransferError::Refused(_)) => {
                transfer(server, names, Some(signer), &mut take).await
            }
            ended => ended,
        }
    };
    match timeout(TRANSFER_WITHIN, transfer).await {
        Ok(Ok(())) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!(
            "its transfer of the zone takes longer than {} s",
            TRANSFER_WITHIN.as_secs()
        )),
    }
}

/// The answer is many messages, and its end is the SOA record that it began with.
async fn transfer(
    server: SocketAddr,
    names: &Names,
    signer: Option<&Signer>,
    take: &mut impl FnMut(&Record),
) -> Result<(), TransferError> {
    let mut connection = Connection::open(server, CONNECT_WITHIN).await?;
    let message: Message = update_message::zone_transfer(names.zone.clone(), None);
    let octets = match signer {
        Some(signer) => signer.sign(message, unix_s())?.bytes,
        None => encode(&message)?,
    };
    connection.send(&[octets]).await?;
    let mut ends = 0;
    while ends < 2 {
        let bytes = connection.receive().await?;
        let answer = connection.parse(&bytes)?;
        if answer.response_code != ResponseCode::NoError {
            return Err(TransferError::Refused(answer.response_code));
        }
        for record in &answer.answers {
            ends += u32::from(record.record_type() == RecordType::SOA);
            if ends == 0 {
                return Err(TransferError::NoZone);
            }
            take(record);
        }
        if ends == 0 {
            return Err(TransferError::NoZone);
        }
    }
    Ok(())
}
