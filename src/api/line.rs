//! Reading lines from somebody who may send anything.
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Reads lines of bounded length. A call that was given up is gone on with by the next.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// The part of a line that came so far.
    begun: Vec<u8>,
    max: usize,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// More than a line may hold; what follows cannot be told apart.
    TooLong,
    /// The other side sends no more. Half a line is no line.
    Ended,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `max` bytes, their end not counted.
    pub(super) fn new(reader: R, max: usize) -> Lines<R> {
        Lines {
            reader: BufReader::new(reader),
            begun: Vec::new(),
            max,
        }
    }

    pub(super) async fn next(&mut self) -> io::Result<Line> {
        let room = (self.max + 1).saturating_sub(self.begun.len()) as u64;
        let mut bounded = (&mut self.reader).take(room);
        bounded.read_until(b'\n', &mut self.begun).await?;
        if self.begun.last() == Some(&b'\n') {
            self.begun.pop();
            Ok(Line::Whole(std::mem::take(&mut self.begun)))
        } else if self.begun.len() > self.max {
            Ok(Line::TooLong)
        } else {
            Ok(Line::Ended)
        }
    }

    /// Ends when the other side sends anything, or closes.
    pub(super) async fn stirs(&mut self) {
        // An error is a way of closing.
        let _is_open = self.reader.fill_buf().await.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn lines_come_whole_and_half_a_line_never() {
        let mut lines = Lines::new(&b"one\n\n12345\nhalf"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Line::Whole(b"one".to_vec()));
        assert_eq!(lines.next().await.unwrap(), Line::Whole(Vec::new()));
        assert_eq!(lines.next().await.unwrap(), Line::Whole(b"12345".to_vec()));
        assert_eq!(lines.next().await.unwrap(), Line::Ended);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_not_gathered() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'), 1000);
        assert_eq!(lines.next().await.unwrap(), Line::TooLong);
        assert_eq!(lines.begun.len(), 1001);
        let mut lines = Lines::new(&b"123456\n"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Line::TooLong);
    }

    #[tokio::test]
    async fn a_reading_that_was_given_up_loses_nothing() {
        let (mut sender, receiver) = tokio::io::duplex(64);
        let mut lines = Lines::new(receiver, 100);
        sender.write_all(b"one li").await.unwrap();
        tokio::select! {
            biased;
            line = lines.next() => panic!("{line:?}"),
            () = tokio::task::yield_now() => {}
        }
        sender.write_all(b"ne\n").await.unwrap();
        assert_eq!(
            lines.next().await.unwrap(),
            Line::Whole(b"one line".to_vec())
        );
    }
}
