//! The file of a batch, line by line. In memory are one of its parts and one line.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use limekiln_memory::Share;
use limekiln_store::FilePart;

use crate::memory::body_too_large;
use crate::problem::Problem;
use crate::{State, leaving};

/// A line.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// Bytes of the file up to its end.
    pub(super) end: u64,
    /// What it says; none where that is longer than a line may be.
    pub(super) bytes: Option<Bytes>,
}

/// Cuts pieces into lines.
#[derive(Default)]
struct Cutter {
    /// The rest of the newest piece.
    piece: Bytes,
    /// The begin of a line, of the pieces before.
    begin: BytesMut,
    /// Whether the line that is under way is too long.
    long: bool,
    bytes_max: usize,
    number: u64,
    end: u64,
}

impl Cutter {
    /// The next line that is whole; none: a piece is needed, and all that was given is in `begin`.
    fn next(&mut self) -> Option<Line> {
        match self.piece.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let mut rest = self.piece.split_to(at + 1);
                rest.truncate(at);
                self.end += 1;
                Some(self.line(rest))
            }
            None => {
                let rest = std::mem::take(&mut self.piece);
                self.end += rest.len() as u64;
                self.keep(&rest);
                None
            }
        }
    }

    /// The line that no line feed ended.
    fn last(&mut self) -> Option<Line> {
        (self.long || !self.begin.is_empty()).then(|| self.line(Bytes::new()))
    }

    fn keep(&mut self, rest: &[u8]) {
        self.long |= self.begin.len() + rest.len() > self.bytes_max;
        match self.long {
            true => self.begin.clear(),
            false => self.begin.extend_from_slice(rest),
        }
    }

    fn line(&mut self, rest: Bytes) -> Line {
        self.end += rest.len() as u64;
        self.number += 1;
        let bytes = if self.begin.is_empty() && !self.long && rest.len() <= self.bytes_max {
            Some(rest)
        } else {
            self.keep(&rest);
            let whole = std::mem::take(&mut self.begin).freeze();
            (!std::mem::take(&mut self.long)).then_some(whole)
        };
        Line {
            number: self.number,
            end: self.end,
            bytes,
        }
    }
}

/// Reads lines of a file that lies in parts.
pub(super) struct Lines<'a> {
    state: &'a State,
    parts: VecDeque<FilePart>,
    /// Bytes of the first part that were read before.
    skip: u64,
    cutter: Cutter,
    memory: Share,
}

impl<'a> Lines<'a> {
    /// From the line after `number`, which begins after so many bytes; lines may have up to `bytes_max`.
    pub(super) async fn start(
        state: &'a State,
        parts: Vec<FilePart>,
        (number, bytes): (u64, u64),
        bytes_max: usize,
    ) -> Result<Self, Problem> {
        let mut parts = VecDeque::from(parts);
        let mut skip = bytes;
        while let Some(first) = parts.front().filter(|part| part.bytes <= skip) {
            skip -= first.bytes;
            parts.pop_front();
        }
        let cutter = Cutter {
            number,
            end: bytes,
            bytes_max,
            ..Cutter::default()
        };
        Ok(Self {
            state,
            parts,
            skip,
            cutter,
            memory: state.memory.share(0, body_too_large).await?,
        })
    }

    /// The next line; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Problem> {
        loop {
            if let Some(line) = self.cutter.next() {
                return Ok(Some(line));
            }
            let Some(part) = self.parts.pop_front() else {
                return Ok(self.cutter.last());
            };
            // What is kept of the pieces before, and this one.
            let needed = self.cutter.begin.len() as u64 + part.bytes;
            let more = needed.saturating_sub(self.memory.bytes());
            self.state.memory.grow(&mut self.memory, more).await?;
            self.memory.shrink_to(needed);
            let mut piece = leaving::read(self.state, &part.key, &part.digest).await?;
            piece.advance(std::mem::take(&mut self.skip).min(piece.len() as u64) as usize);
            self.cutter.piece = piece;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str], bytes_max: usize) -> Vec<Line> {
        let mut cutter = Cutter {
            bytes_max,
            ..Cutter::default()
        };
        let mut lines = Vec::new();
        for piece in pieces {
            cutter.piece = Bytes::copy_from_slice(piece.as_bytes());
            while let Some(line) = cutter.next() {
                lines.push(line);
            }
        }
        lines.extend(cutter.last());
        lines
    }

    #[test]
    fn lines_are_the_same_however_the_file_was_cut() {
        let text = "one\n\ntwo is long\nthree";
        let line = |number, end, text: Option<&str>| Line {
            number,
            end,
            bytes: text.map(|text| Bytes::copy_from_slice(text.as_bytes())),
        };
        let whole = [
            line(1, 4, Some("one")),
            line(2, 5, Some("")),
            line(3, 17, Some("two is long")),
            line(4, 22, Some("three")),
        ];
        for at in 0..=text.len() {
            for then in at..=text.len() {
                let pieces = [&text[..at], &text[at..then], &text[then..]];
                assert_eq!(cut(&pieces, 11), whole, "{pieces:?}");
                let long: Vec<bool> = cut(&pieces, 5)
                    .iter()
                    .map(|line| line.bytes.is_none())
                    .collect();
                assert_eq!(long, [false, false, true, false], "{pieces:?}");
            }
        }
        assert_eq!(cut(&["a\n"], 5), [line(1, 2, Some("a"))]);
        assert_eq!(cut(&[""], 5), []);
    }
}
