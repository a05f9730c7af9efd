//! Text in any encoding as UTF-8, as a stream.

use std::io::{BufRead, Read};

use encoding_rs::{Decoder, Encoding};

/// Reads UTF-8 of a file in another encoding: the one that its first bytes name, or that somebody named. Without either the bytes stay as
/// they are, so that whoever reads them finds where they are no UTF-8.
pub(super) struct Decoded<R> {
    inner: R,
    named: Option<&'static Encoding>,
    state: State,
    /// Decoded and not read yet.
    ready: Vec<u8>,
    at: usize,
}

enum State {
    Begin,
    Plain,
    Decoding(Box<Decoder>),
    Ended,
}

impl<R: BufRead> Decoded<R> {
    pub(super) fn new(inner: R, named: Option<&'static Encoding>) -> Self {
        Self {
            inner,
            named,
            state: State::Begin,
            ready: Vec::new(),
            at: 0,
        }
    }

    /// Decides by the first bytes.
    fn begin(&mut self) -> std::io::Result<()> {
        // A mark has three bytes at most, and the first read of a file has them.
        let bytes = self.inner.fill_buf()?;
        let marked = Encoding::for_bom(bytes);
        self.state = match (self.named, marked) {
            (None, Some((encoding, mark))) if encoding == encoding_rs::UTF_8 => {
                self.inner.consume(mark);
                State::Plain
            }
            (None, Some((encoding, _))) => State::Decoding(encoding.new_decoder().into()),
            (Some(encoding), _) => State::Decoding(encoding.new_decoder().into()),
            (None, None) => State::Plain,
        };
        Ok(())
    }

    fn decode(&mut self) -> std::io::Result<()> {
        let State::Decoding(decoder) = &mut self.state else {
            return Ok(());
        };
        let bytes = self.inner.fill_buf()?;
        let (used, last) = (bytes.len(), bytes.is_empty());
        let room = decoder
            .max_utf8_buffer_length(used)
            .unwrap_or(used * 3 + 16);
        self.ready.clear();
        self.ready.resize(room, 0);
        self.at = 0;
        let (_, read, written, _) = decoder.decode_to_utf8(bytes, &mut self.ready, last);
        self.ready.truncate(written);
        self.inner.consume(read);
        if last {
            self.state = State::Ended;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if matches!(self.state, State::Begin) {
            self.begin()?;
        }
        if matches!(self.state, State::Plain) {
            return self.inner.read(into);
        }
        while self.at == self.ready.len() {
            if matches!(self.state, State::Ended) {
                return Ok(0);
            }
            self.decode()?;
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
