//! A session's tree, drawn in text: turns that build on each other stand below each other, and only forks are indented.
//!
//! ```text
//! picture
//! 1  make the sofa red
//! ├─ 2  make the wall blue   [calm]
//! │  3  make the lamp blue   (running)
//! └─ 4  make the wall green   <- head
//! ```

use std::collections::HashMap;

use limekiln_jobs::api::{SessionTree, TurnView};
use limekiln_jobs::{EditId, StateName};

/// The lines of the drawing.
pub(super) fn drawn(tree: &SessionTree) -> Vec<String> {
    let mut children: HashMap<Option<EditId>, Vec<&TurnView>> = HashMap::new();
    let known: HashMap<EditId, ()> = tree.tree.iter().map(|turn| (turn.id, ())).collect();
    for turn in &tree.tree {
        // Of a tree that is shown in part, some turns have parents that are not.
        let parent = turn.parent.filter(|parent| known.contains_key(parent));
        children.entry(parent).or_default().push(turn);
    }
    let mut lines = vec![format!("picture{}", marks(tree, None))];
    // What is still to be drawn, the next one last: a turn, what stands before its first line, and before those below it.
    let mut open = Vec::new();
    push(&mut open, children.get(&None), "");
    while let Some((turn, first, below)) = open.pop() {
        let state = match turn.state {
            StateName::Succeeded => String::new(),
            other => format!("   ({other})"),
        };
        let marks = marks(tree, Some(turn.id));
        // One line a turn, whatever its instruction has.
        let words: Vec<&str> = turn.instruction.split_whitespace().collect();
        let words = words.join(" ");
        lines.push(format!("{first}{}  {words}{state}{marks}", turn.number));
        push(&mut open, children.get(&Some(turn.id)), &below);
    }
    lines
}

fn push<'a>(
    open: &mut Vec<(&'a TurnView, String, String)>,
    turns: Option<&Vec<&'a TurnView>>,
    before: &str,
) {
    let turns = turns.map(Vec::as_slice).unwrap_or_default();
    let last = turns.len().saturating_sub(1);
    for (at, turn) in turns.iter().enumerate().rev() {
        let (first, below) = match (turns.len(), at == last) {
            (1, _) => ("", ""),
            (_, true) => ("└─ ", "   "),
            (_, false) => ("├─ ", "│  "),
        };
        open.push((turn, format!("{before}{first}"), format!("{before}{below}")));
    }
}

/// The branches that name a turn, and whether it is the head.
fn marks(tree: &SessionTree, turn: Option<EditId>) -> String {
    let names = tree.branches.iter().filter(|branch| branch.turn == turn);
    let names: Vec<&str> = names.map(|branch| branch.name.as_str()).collect();
    let mut marks = String::new();
    if !names.is_empty() {
        marks += &format!("   [{}]", names.join(", "));
    }
    if tree.session.head == turn {
        marks += "   <- head";
    }
    marks
}

#[cfg(test)]
mod tests {
    use limekiln_jobs::SessionId;
    use limekiln_jobs::api::{Branch, SessionLinks, SessionView};
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn forks_are_indented_and_chains_are_not() {
        let ids: Vec<EditId> = (0..5).map(|_| EditId::new()).collect();
        let turn = |number: u32, parent: Option<usize>, instruction: &str, state| TurnView {
            id: ids[number as usize - 1],
            number,
            parent: parent.map(|parent| ids[parent - 1]),
            depth: 1,
            state,
            instruction: instruction.to_owned(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            finished_at: None,
            error: None,
        };
        let id = SessionId::new();
        let tree = SessionTree {
            session: SessionView {
                id,
                title: String::new(),
                image: None,
                head: Some(ids[3]),
                version: 1,
                turns: 5,
                created_at: OffsetDateTime::UNIX_EPOCH,
                used_at: OffsetDateTime::UNIX_EPOCH,
                links: SessionLinks::new(id),
            },
            tree: vec![
                turn(1, None, "red\nsofa", StateName::Succeeded),
                turn(2, Some(1), "blue", StateName::Succeeded),
                turn(3, Some(2), "lamp", StateName::Running),
                turn(4, Some(1), "green", StateName::Succeeded),
                turn(5, Some(4), "lamp", StateName::Waiting),
            ],
            branches: vec![Branch {
                name: "calm".to_owned(),
                turn: Some(ids[1]),
            }],
        };
        assert_eq!(
            drawn(&tree),
            [
                "picture",
                "1  red sofa",
                "├─ 2  blue   [calm]",
                "│  3  lamp   (running)",
                "└─ 4  green   <- head",
                "   5  lamp   (waiting)",
            ]
        );
    }
}
