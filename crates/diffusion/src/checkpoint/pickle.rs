//! A reader for the pickles that torch and Lightning write. It builds a flat arena of plain nodes and runs nothing.
//!
//! candle's own reader panics on damaged input and copies what is shared; here memory stays proportional to the input, and
//! cycles and deep nesting are harmless because nodes name each other by index.

use std::collections::HashMap;

/// Index of a node in [`Pickle`].
pub(super) type Id = usize;

/// One value of the pickle.
#[derive(Debug)]
pub(super) enum Node {
    /// Numbers other than integers, bytes, sets and whatever else says nothing about tensors.
    Other,
    Int(i64),
    Text(String),
    /// A global, as `module.name`.
    Global(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A callable and its arguments.
    Call(Id, Id),
    /// A storage, by its persistent id.
    Persistent(Id),
}

/// A pickle that was read to its end.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine {
            input: Input { bytes, at: 0 },
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let at = machine.input.at;
            if machine.step().map_err(|e| format!("{e} at byte {at}"))? {
                let root = machine
                    .stack
                    .pop()
                    .ok_or("nothing on the stack at the end")?;
                return Ok(Self {
                    nodes: machine.nodes,
                    root,
                });
            }
        }
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// Ids come from this pickle's own nodes, so they are always inside.
    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Other)
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len())
            .ok_or("the pickle ends too early")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A little-endian unsigned number of `n` <= 8 bytes.
    fn number(&mut self, n: usize) -> Result<u64, String> {
        Ok(self
            .take(n)?
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn sized(&mut self, n: usize) -> Result<&'a [u8], String> {
        let size = usize::try_from(self.number(n)?).map_err(|e| e.to_string())?;
        self.take(size)
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or("the pickle ends in the middle of a line")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end])
            .map(|line| line.trim_end_matches('\r'))
            .map_err(|e| e.to_string())
    }
}

struct Machine<'a> {
    input: Input<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    /// One instruction (CPython's `Lib/pickletools.py` lists them); true at the end.
    fn step(&mut self) -> Result<bool, String> {
        match self.input.number(1)? as u8 {
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            b'.' => return Ok(true),
            // Containers.
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push(Node::Tuple(Vec::new())),
            b't' => self.gather(Node::Tuple)?,
            n @ 0x85..=0x87 => {
                let from = self
                    .stack
                    .len()
                    .checked_sub(usize::from(n - 0x84))
                    .ok_or("the stack is empty")?;
                let items = self.stack.split_off(from);
                self.push(Node::Tuple(items));
            }
            b']' => self.push(Node::List(Vec::new())),
            b'l' => self.gather(Node::List)?,
            b'}' => self.push(Node::Dict(Vec::new())),
            b'd' => self.gather(|items| Node::Dict(pairs(&items)))?,
            0x8f => self.push(Node::Other),
            0x91 => self.gather(|_| Node::Other)?,
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.insert(&items)?;
            }
            // The stack and the memo.
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.get(1)?,
            b'j' => self.get(4)?,
            // Objects.
            b'c' => {
                let name = format!("{}.{}", self.input.line()?, self.input.line()?);
                self.push(Node::Global(name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let name = match (&self.nodes[module], &self.nodes[name]) {
                    (Node::Text(module), Node::Text(name)) => format!("{module}.{name}"),
                    _ => return Err("a global without a name".into()),
                };
                self.push(Node::Global(name));
            }
            b'R' | 0x81 => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(callable, args);
            }
            0x92 => {
                let (_, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, args);
            }
            // An object's attributes say nothing about tensors.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id));
            }
            // Atoms.
            b'N' | 0x88 | 0x89 => self.push(Node::Other),
            b'J' => {
                let value = self.input.number(4)? as u32 as i32;
                self.push(Node::Int(value.into()));
            }
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'I' | b'L' => {
                let line = self.input.line()?;
                self.push(
                    line.trim_end_matches('L')
                        .parse()
                        .map_or(Node::Other, Node::Int),
                );
            }
            b'G' => {
                self.skip(8)?;
                self.push(Node::Other);
            }
            b'F' | b'S' => {
                self.input.line()?;
                self.push(Node::Other);
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'V' => {
                let line = self.input.line()?.to_owned();
                self.push(Node::Text(line));
            }
            b'B' | b'T' => self.bytes(4)?,
            b'C' | b'U' => self.bytes(1)?,
            0x8e | 0x96 => self.bytes(8)?,
            other => return Err(format!("instruction {other:#04x} is unknown")),
        }
        Ok(false)
    }

    fn skip(&mut self, n: usize) -> Result<(), String> {
        self.input.take(n).map(|_| ())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// Takes the top of the stack, but never what lies below the last mark.
    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| "the stack is empty".into())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        if mark > self.stack.len() {
            return Err("the stack fell below its mark".into());
        }
        Ok(self.stack.split_off(mark))
    }

    fn gather(&mut self, make: impl FnOnce(Vec<Id>) -> Node) -> Result<(), String> {
        let items = self.since_mark()?;
        self.push(make(items));
        Ok(())
    }

    fn extend(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        if let Node::List(list) = &mut self.nodes[top] {
            list.extend_from_slice(items);
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        if let Node::Dict(entries) = &mut self.nodes[top] {
            entries.extend(pairs(items));
        }
        Ok(())
    }

    fn put(&mut self, size: usize) -> Result<(), String> {
        let (slot, top) = (self.input.number(size)?, self.top()?);
        self.memo.insert(slot, top);
        Ok(())
    }

    fn get(&mut self, size: usize) -> Result<(), String> {
        let slot = self.input.number(size)?;
        let id = *self
            .memo
            .get(&slot)
            .ok_or_else(|| format!("memo {slot} is empty"))?;
        self.stack.push(id);
        Ok(())
    }

    /// Ordered and default dictionaries become dictionaries, filled by what follows.
    fn call(&mut self, callable: Id, args: Id) {
        let dictionary = matches!(&self.nodes[callable], Node::Global(name) if name == "collections.OrderedDict" || name == "collections.defaultdict");
        self.push(if dictionary {
            Node::Dict(Vec::new())
        } else {
            Node::Call(callable, args)
        });
    }

    fn int(&mut self, size: usize) -> Result<(), String> {
        let value = self.input.number(size)?;
        self.push(Node::Int(value as i64));
        Ok(())
    }

    /// Two's complement of any length; what does not fit 64 bits is no size of a tensor.
    fn long(&mut self, size: usize) -> Result<(), String> {
        let bytes = self.input.sized(size)?;
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) {
            -1
        } else {
            0
        };
        let value = bytes
            .iter()
            .rev()
            .fold(sign, |value: i64, &b| value << 8 | i64::from(b));
        self.push(if bytes.len() <= 8 {
            Node::Int(value)
        } else {
            Node::Other
        });
        Ok(())
    }

    fn text(&mut self, size: usize) -> Result<(), String> {
        let bytes = self.input.sized(size)?;
        self.push(Node::Text(String::from_utf8_lossy(bytes).into_owned()));
        Ok(())
    }

    fn bytes(&mut self, size: usize) -> Result<(), String> {
        self.input.sized(size)?;
        self.push(Node::Other);
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect()
}
