//! Event lines as they come: server-sent events, read.
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Client, ClientError};
use crate::api::http::{ProblemBody, REFUSED};

/// The longest event: a plan of thousands of sites.
const EVENT_BYTES: usize = 4 << 20;

/// Events of a coordinator, as they happen.
#[derive(Debug)]
pub struct Watch {
    /// The connection ends with it.
    _client: Client,
    body: Incoming,
    parser: Parser,
}

impl Watch {
    pub(super) fn new(client: Client, body: Incoming) -> Watch {
        Watch {
            _client: client,
            body,
            parser: Parser::default(),
        }
    }

    /// The next line; `None` once the coordinator has ended. A call may be given up and made again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if this side was too slow, and failures to read.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some((name, data)) = self.parser.next() {
                if name.as_deref() != Some(REFUSED) {
                    return Ok(Some(data));
                }
                let problem = serde_json::from_str::<ProblemBody>(&data);
                return Err(match problem {
                    Ok(problem) => ClientError::Refused(problem.into_refusal()),
                    Err(error) => ClientError::Unreadable {
                        why: error.to_string(),
                    },
                });
            }
            match self.body.frame().await {
                // It went in the middle of its words, or at their end: it has gone.
                None | Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.parser.push(&data)?;
                    }
                }
            }
        }
    }
}

/// The lines of `text/event-stream` (WHATWG HTML, 9.2.6), as far as a coordinator writes them.
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    name: Option<String>,
    data: Option<String>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > EVENT_BYTES {
            let why = format!("an event is longer than {EVENT_BYTES} bytes");
            return Err(ClientError::Unreadable { why });
        }
        Ok(())
    }

    /// The next whole event, with its name where it has one.
    fn next(&mut self) -> Option<(Option<String>, String)> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let name = self.name.take();
                if let Some(data) = self.data.take() {
                    return Some((name, data));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = Some(value.to_owned()),
                "data" => match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                },
                // Names for whoever comes back, and signs of life.
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_wherever_the_bytes_are_cut() {
        let text = ": alive\n\nid: a/1\ndata: {\"n\":1}\n\nevent: refused\ndata: x\ndata: y\n\n";
        for cut in 0..text.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for part in [&text[..cut], &text[cut..]] {
                parser.push(part.as_bytes()).unwrap();
                found.extend(std::iter::from_fn(|| parser.next()));
            }
            let refused = (Some("refused".to_owned()), "x\ny".to_owned());
            assert_eq!(found, [(None, "{\"n\":1}".to_owned()), refused], "{cut}");
        }
        assert!(
            Parser::default()
                .push(&vec![b'x'; EVENT_BYTES + 1])
                .is_err()
        );
    }
}
