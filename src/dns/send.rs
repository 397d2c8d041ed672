//! Sends one signed UPDATE to the primary, once, and says what became of it.
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
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
    deliver(server, signer, message).await.1
}

/// The same, and the octets that left: what anybody on the way may have caught.
pub(super) async fn deliver(
    server: SocketAddr,
    signer: &Signer,
    message: Message,
) -> (Vec<u8>, Sending) {
    let opened = Connection::open(server, CONNECT_WITHIN).await;
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => return (Vec::new(), Sending::NotSent(error)),
    };
    let signed = match signer.sign(message, unix_s()) {
        Ok(signed) => signed,
        Err(error) => return (Vec::new(), Sending::NotSent(error)),
    };
    let octets = signed.bytes.clone();
    let exchange = timeout(ANSWER_WITHIN, exchange(&mut connection, signed));
    let sending = match exchange.await {
        Ok(Ok(reply)) => Sending::Answered(reply),
        Ok(Err(why)) => Sending::NoAnswer(why),
        Err(_elapsed) => Sending::NoAnswer(silent(server)),
    };
    (octets, sending)
}

/// Sends octets as they are, and gives the code of the answer, whoever signed it: for what must
/// come to nothing.
///
/// # Errors
/// Nothing of use came back.
pub(super) async fn send_octets(server: SocketAddr, octets: &[u8]) -> Result<ResponseCode, String> {
    let exchange = async {
        let mut connection = Connection::open(server, CONNECT_WITHIN).await?;
        connection.send(&[octets.to_vec()]).await?;
        let bytes = connection.receive().await?;
        Ok(connection.parse(&bytes)?.response_code)
    };
    match timeout(ANSWER_WITHIN, exchange).await {
        Ok(code) => code.map_err(|error: WireError| error.to_string()),
        Err(_elapsed) => Err(silent(server)),
    }
}

fn silent(server: SocketAddr) -> String {
    let within_s = ANSWER_WITHIN.as_secs();
    format!("{server} gave no answer within {within_s} s")
}

/// Sends what was signed and takes in what comes back.
pub(super) async fn exchange(connection: &mut Connection, signed: Signed) -> Result<Reply, String> {
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
