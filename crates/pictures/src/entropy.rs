//! Whether a JPEG without an end marker has all of its pixels: some phones and programs write a trailer in the marker's place.
//! Its decoder fills what a cut file lacks with gray and reports success, so the codes are walked over here without decoding a
//! pixel. Only for baseline pictures: of a progressive one nothing says how many scans it was to have.

use crate::jpeg::segments_from;

const TABLES: u8 = 0xC4;
const SCAN: u8 = 0xDA;
const RESTARTS: u8 = 0xDD;

/// Where the codes of the last pixels end; none where some are missing.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    let mut picture = Picture::default();
    let mut at = 2;
    loop {
        let mut scan = None;
        for segment in segments_from(bytes, at) {
            let data = segment.data()?;
            match segment.marker {
                0xC0 | 0xC1 => picture.frame(data)?,
                0xC2..=0xCF if !matches!(segment.marker, TABLES | 0xC8 | 0xCC) => return None,
                TABLES => picture.tables(data)?,
                RESTARTS => {
                    picture.restart =
                        usize::from(u16::from_be_bytes([*data.first()?, *data.get(1)?]))
                }
                SCAN => scan = Some((data, segment.end()?)),
                _ => {}
            }
        }
        let (head, start) = scan?;
        at = start + picture.scan(head, bytes.get(start..)?)?;
        if picture.components.iter().all(|component| component.seen) {
            return Some(at);
        }
    }
}

#[derive(Default)]
struct Picture {
    width: usize,
    height: usize,
    components: Vec<Component>,
    /// Huffman tables of DC and AC, four each.
    tables: [[Option<Table>; 4]; 2],
    /// Units between restarts.
    restart: usize,
}

struct Component {
    id: u8,
    across: usize,
    down: usize,
    seen: bool,
}

impl Picture {
    fn frame(&mut self, data: &[u8]) -> Option<()> {
        let [8, a, b, c, d, count, rest @ ..] = data else {
            return None;
        };
        self.height = usize::from(u16::from_be_bytes([*a, *b]));
        self.width = usize::from(u16::from_be_bytes([*c, *d]));
        let (rest, _) = rest.as_chunks::<3>();
        self.components = rest
            .iter()
            .take(usize::from(*count))
            .map(|[id, sampling, _]| Component {
                id: *id,
                across: usize::from(sampling >> 4),
                down: usize::from(sampling & 15),
                seen: false,
            })
            .collect();
        let sound = |component: &Component| component.across > 0 && component.down > 0;
        (!self.components.is_empty() && self.components.iter().all(sound)).then_some(())
    }

    fn tables(&mut self, mut data: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = data {
            let (counts, rest) = rest.split_at_checked(16)?;
            let all = counts.iter().map(|count| usize::from(*count)).sum();
            let (values, rest) = rest.split_at_checked(all)?;
            let slot = self.tables.get_mut(usize::from(place >> 4))?;
            *slot.get_mut(usize::from(place & 15))? = Some(Table::new(counts, values));
            data = rest;
        }
        Some(())
    }

    /// Walks over a scan's codes and says how many bytes they take.
    fn scan(&mut self, head: &[u8], codes: &[u8]) -> Option<usize> {
        let (count, rest) = head.split_first()?;
        let (chosen, _) = rest.as_chunks::<2>();
        let chosen = chosen.get(..usize::from(*count))?;
        let most =
            |side: fn(&Component) -> usize| self.components.iter().map(side).max().unwrap_or(1);
        let (most_across, most_down) = (
            most(|component| component.across),
            most(|component| component.down),
        );
        let mut blocks = Vec::new();
        for [id, tables] in chosen {
            let component = self
                .components
                .iter_mut()
                .find(|component| component.id == *id)?;
            component.seen = true;
            let table =
                |class: usize, place: u8| self.tables[class].get(usize::from(place))?.as_ref();
            let each = if chosen.len() == 1 {
                1
            } else {
                component.across * component.down
            };
            blocks.extend((0..each).map(|_| (table(0, tables >> 4), table(1, tables & 15))));
        }
        // One component alone comes in blocks of its own samples, several together in units of all.
        let units = match chosen {
            [[id, _]] => {
                let component = self
                    .components
                    .iter()
                    .find(|component| component.id == *id)?;
                let side = |pixels: usize, own: usize, most: usize| {
                    (pixels * own).div_ceil(most).div_ceil(8)
                };
                side(self.width, component.across, most_across)
                    * side(self.height, component.down, most_down)
            }
            _ => self.width.div_ceil(8 * most_across) * self.height.div_ceil(8 * most_down),
        };
        let mut bits = Bits::new(codes);
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                bits.restart()?;
            }
            for (dc, ac) in &blocks {
                bits.block((*dc)?, (*ac)?)?;
            }
        }
        Some(bits.at)
    }
}

/// A Huffman table: for each length of a code the first one, how many there are, and the value of the first.
struct Table {
    lengths: [(u32, u32, usize); 16],
    values: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8], values: &[u8]) -> Self {
        let mut lengths = [(0, 0, 0); 16];
        let (mut code, mut first) = (0, 0);
        for (length, count) in lengths.iter_mut().zip(counts) {
            *length = (code, u32::from(*count), first);
            code = (code + u32::from(*count)) << 1;
            first += usize::from(*count);
        }
        Self {
            lengths,
            values: values.to_vec(),
        }
    }
}

/// Bits of entropy-coded data, whose 0xFF bytes are followed by a zero.
struct Bits<'a> {
    codes: &'a [u8],
    at: usize,
    byte: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    fn new(codes: &'a [u8]) -> Self {
        Self {
            codes,
            at: 0,
            byte: 0,
            left: 0,
        }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = *self.codes.get(self.at)?;
            self.at += 1;
            if self.byte == 0xFF {
                if self.codes.get(self.at) != Some(&0) {
                    return None;
                }
                self.at += 1;
            }
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    fn symbol(&mut self, table: &Table) -> Option<u8> {
        let mut code = 0;
        for (first, count, value) in table.lengths {
            code = code << 1 | self.bit()?;
            if let Some(offset) = code.checked_sub(first).filter(|offset| *offset < count) {
                return table.values.get(value + offset as usize).copied();
            }
        }
        None
    }

    fn skip(&mut self, bits: u8) -> Option<()> {
        (0..bits).try_for_each(|_| self.bit().map(drop))
    }

    fn block(&mut self, dc: &Table, ac: &Table) -> Option<()> {
        let size = self.symbol(dc)?;
        self.skip(size)?;
        let mut place = 1;
        while place < 64 {
            let symbol = self.symbol(ac)?;
            let (run, size) = (usize::from(symbol >> 4), symbol & 15);
            match (size, run) {
                (0, 15) => place += 16,
                (0, _) => break,
                _ => {
                    self.skip(size)?;
                    place += run + 1;
                }
            }
        }
        Some(())
    }

    /// To behind the restart marker that has to come next.
    fn restart(&mut self) -> Option<()> {
        self.left = 0;
        while self.codes.get(self.at) == Some(&0xFF) && self.codes.get(self.at + 1) == Some(&0xFF) {
            self.at += 1;
        }
        match self.codes.get(self.at..self.at + 2)? {
            [0xFF, 0xD0..=0xD7] => {
                self.at += 2;
                Some(())
            }
            _ => None,
        }
    }
}
