//! A session is a tree of turns: where its head may go. Pure; the database's triggers hold to the same rules.
//!
//! ```text
//!  picture --- 1 --- 2 --- 3        undo from 3: to 2, then to 1, then to the picture
//!              |                    redo from 1: to 2 or to 4, whichever side the head was on last
//!              +---- 4 (head)
//! ```

use std::collections::HashMap;

use crate::ids::EditId;

/// Turns from the picture to the last one, at most.
pub const DEPTH_MAX: u32 = 1_000;
/// Turns that a session may ever have.
pub const TURNS_MAX: u32 = 2_000;
/// Branches of a session.
pub const BRANCHES_MAX: u32 = 100;
/// Sessions of a tenant.
pub const SESSIONS_MAX: u32 = 100_000;
/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 200;

/// A turn, as far as the head is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The edit.
    pub id: EditId,
    /// The turn that it builds on; none: the picture.
    pub parent: Option<EditId>,
    /// When the head was last here, by the session's own count.
    pub visited: u64,
    /// Whether it ended without a result: the head can't stand there.
    pub lost: bool,
}

/// Where somebody wants the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// One turn back.
    Undo,
    /// To the child on whose side the head was last.
    Redo,
    /// To this turn; none: to the picture.
    To(Option<EditId>),
}

/// Why the head can't go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The head is at the picture.
    #[error("there is nothing to undo")]
    AtPicture,
    /// No turn builds on the head.
    #[error("there is nothing to redo")]
    AtLeaf,
    /// The session has no such turn.
    #[error("the session has no such turn")]
    NoTurn,
    /// That turn ended without a result.
    #[error("the turn ended without a result")]
    Lost,
}

/// The turns of a session.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: HashMap<EditId, Node>,
}

impl Tree {
    /// The tree of these turns.
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self {
            nodes: nodes.into_iter().map(|node| (node.id, node)).collect(),
        }
    }

    /// Where the head is after a move.
    ///
    /// # Errors
    /// Why it can't go there.
    pub fn moved(&self, head: Option<EditId>, to: Move) -> Result<Option<EditId>, Stuck> {
        match to {
            Move::Undo => match head.and_then(|head| self.nodes.get(&head)) {
                Some(node) => Ok(self.standing(node.parent)),
                None => Err(Stuck::AtPicture),
            },
            Move::Redo => self.redone(head).map(Some).ok_or(Stuck::AtLeaf),
            Move::To(None) => Ok(None),
            Move::To(Some(turn)) => match self.nodes.get(&turn) {
                Some(node) if node.lost => Err(Stuck::Lost),
                Some(_) => Ok(Some(turn)),
                None => Err(Stuck::NoTurn),
            },
        }
    }

    /// The turn, or the nearest one before it that has not ended without a result.
    pub fn standing(&self, turn: Option<EditId>) -> Option<EditId> {
        self.upwards(turn)
            .find(|node| !node.lost)
            .map(|node| node.id)
    }

    /// The child of `head` below which, or at which, the head was last.
    fn redone(&self, head: Option<EditId>) -> Option<EditId> {
        let mut latest: Vec<&Node> = self.nodes.values().collect();
        latest.sort_unstable_by_key(|node| std::cmp::Reverse((node.visited, node.id)));
        latest.into_iter().find_map(|node| {
            let child = self
                .upwards(Some(node.id))
                .find(|node| node.parent == head)?;
            (!child.lost).then_some(child.id)
        })
    }

    /// The turn and those before it.
    fn upwards(&self, turn: Option<EditId>) -> impl Iterator<Item = &Node> {
        let first = turn.and_then(|turn| self.nodes.get(&turn));
        std::iter::successors(first, |node| self.nodes.get(&node.parent?)).take(self.nodes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns by number, each with its parent's number and when the head was last there.
    fn tree(turns: &[(usize, u64, bool)]) -> (Vec<EditId>, Tree) {
        let ids: Vec<EditId> = turns.iter().map(|_| EditId::new()).collect();
        let nodes = turns
            .iter()
            .enumerate()
            .map(|(at, &(parent, visited, lost))| Node {
                id: ids[at],
                parent: parent.checked_sub(1).map(|parent| ids[parent]),
                visited,
                lost,
            });
        let tree = Tree::new(nodes.collect::<Vec<_>>());
        (ids, tree)
    }

    #[test]
    fn undo_and_redo_go_back_and_forth() {
        let (ids, tree) = tree(&[(0, 1, false), (1, 2, false), (2, 3, false), (1, 4, false)]);
        let undo = |head| tree.moved(head, Move::Undo);
        let redo = |head| tree.moved(head, Move::Redo);
        assert_eq!(undo(Some(ids[2])), Ok(Some(ids[1])));
        assert_eq!(undo(Some(ids[0])), Ok(None));
        assert_eq!(undo(None), Err(Stuck::AtPicture));
        assert_eq!(redo(None), Ok(Some(ids[0])));
        assert_eq!(
            redo(Some(ids[0])),
            Ok(Some(ids[3])),
            "the head was there last"
        );
        assert_eq!(redo(Some(ids[3])), Err(Stuck::AtLeaf));
    }

    #[test]
    fn redo_finds_the_side_of_a_jump() {
        // 1 - 2 - 3, and 1 - 4; the head was at 3 last.
        let (ids, tree) = tree(&[(0, 1, false), (1, 2, false), (2, 9, false), (1, 4, false)]);
        assert_eq!(tree.moved(None, Move::Redo), Ok(Some(ids[0])));
        assert_eq!(tree.moved(Some(ids[0]), Move::Redo), Ok(Some(ids[1])));
    }

    #[test]
    fn nobody_stands_at_what_is_lost() {
        let (ids, tree) = tree(&[(0, 1, false), (1, 2, true), (2, 3, true)]);
        assert_eq!(tree.standing(Some(ids[2])), Some(ids[0]));
        assert_eq!(tree.moved(Some(ids[0]), Move::Redo), Err(Stuck::AtLeaf));
        assert_eq!(tree.moved(None, Move::To(Some(ids[1]))), Err(Stuck::Lost));
        let stranger = Move::To(Some(EditId::new()));
        assert_eq!(tree.moved(None, stranger), Err(Stuck::NoTurn));
        assert_eq!(tree.moved(Some(ids[0]), Move::To(None)), Ok(None));
    }

    #[test]
    fn a_ring_ends_nothing_but_itself() {
        let (ids, tree) = tree(&[(2, 1, true), (1, 2, true)]);
        assert_eq!(tree.standing(Some(ids[0])), None);
        assert_eq!(tree.moved(None, Move::Redo), Err(Stuck::AtLeaf));
    }
}
