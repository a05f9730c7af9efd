//! Lines of separated values, each with the number that an editor shows for it.

use std::io::{BufRead, Chain, Read};

use anyhow::Result;
use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};

/// One after the other, without the empty ones. What can't be read on ends them.
pub(super) struct Lines<R> {
    reader: Reader<Chain<LineFeeds<R>, &'static [u8]>>,
    ended: bool,
}

/// A line, which may go over several where a cell has line ends.
pub(super) struct Line {
    /// Of its first line, from 1.
    pub(super) number: u64,
    /// Its cells, where they are text.
    pub(super) cells: Result<StringRecord>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(text: R, by: u8) -> Self {
        let ends = LineFeeds {
            inner: text,
            carriage_return: false,
        };
        let reader = ReaderBuilder::new()
            .delimiter(by)
            .has_headers(false)
            .flexible(true)
            // So that the last line ends like the others.
            .from_reader(ends.chain(&b"\n"[..]));
        Self {
            reader,
            ended: false,
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                self.ended = true;
                return Some(Err(error.into()));
            }
        }
        // Where a record began, the reader counts before the empty lines above it; where it ended, it is past its line end.
        let inside = record.as_slice().iter().filter(|byte| **byte == b'\n');
        let after = inside.count() as u64 + 1;
        let number = self.reader.position().line().saturating_sub(after).max(1);
        let cells = StringRecord::from_byte_record(record)
            .map_err(|error| error.utf8_error().field() + 1)
            .map_err(|column| {
                anyhow::anyhow!(
                    "line {number}: column {column} is not UTF-8: save it as UTF-8, or name its --encoding"
                )
            });
        Some(Ok(Line { number, cells }))
    }
}

/// Text whose lines end with line feeds alone.
struct LineFeeds<R> {
    inner: R,
    /// Was read and not passed on, until it is known what follows.
    carriage_return: bool,
}

impl<R: BufRead> Read for LineFeeds<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut count = 0;
        while count == 0 && !into.is_empty() {
            let bytes = self.inner.fill_buf()?;
            if bytes.is_empty() {
                if std::mem::take(&mut self.carriage_return) {
                    into[0] = b'\r';
                    count = 1;
                }
                break;
            }
            let mut used = 0;
            for &byte in bytes {
                if self.carriage_return && byte != b'\n' {
                    if count == into.len() {
                        break;
                    }
                    into[count] = b'\r';
                    count += 1;
                }
                self.carriage_return = byte == b'\r';
                if !self.carriage_return {
                    if count == into.len() {
                        break;
                    }
                    into[count] = byte;
                    count += 1;
                }
                used += 1;
            }
            self.inner.consume(used);
        }
        Ok(count)
    }
}
