//! Sends one signed UPDATE to the primary, once, and says what became of it.
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode};
use tokio::time::timeout;

use super::tsig::{Reply, Signed, Signer, unix_s};
use super::wire::{Connection, WireError};

/// To the connection.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// From the first octet sent to the whole answer. Servers take milliseconds; one that needs
/// longer than this may still apply it, and waiting on would not tell.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How one sending ended.
pub(super) enum Sending {
    /// Not one octet left.
    NotSent(WireError),
    /// It left, in full or in part, and nothing of use came back.
    NoAnswer(String),
    Answered(Reply),
}

/// Signs `message` and sends it over a connection of its own. No second try: an UPDATE that was
/// sent may still be applied, and the answer to a second one would tell of the first.
pub(super) async fn send(server: SocketAddr, signer: &Signer, message: Message) -> Sending {
    let opened = Connection::open(server, CONNECT_WITHIN).await;
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => return Sending::NotSent(error),
    };
    let signed = match signer.sign(message, unix_s()) {
        Ok(signed) => signed,
        Err(error) => return Sending::NotSent(error),
    };
    let exchange = timeout(ANSWER_WITHIN, exchange(&mut connection, signed));
    match exchange.await {
        Ok(Ok(reply)) => Sending::Answered(reply),
        Ok(Err(why)) => Sending::NoAnswer(why),
        Err(_elapsed) => Sending::NoAnswer(format!(
            "{server} gave no answer within {} s",
            ANSWER_WITHIN.as_secs()
        )),
    }
}

async fn exchange(connection: &mut Connection, signed: Signed) -> Result<Reply, String> {
    let text = |error: WireError| error.to_string();
    connection
        .send(std::slice::from_ref(&signed.bytes))
        .await
        .map_err(text)?;
    let bytes = connection.receive().await.map_err(text)?;
    let parsed = connection.parse(&bytes).map_err(text)?;
    if parsed.message_type != MessageType::Response || parsed.op_code != OpCode::Update {
        let server = connection.server();
        return Err(format!("{server} sent what is no answer to an UPDATE"));
    }
    Ok(signed.check(&bytes, &parsed))
}
