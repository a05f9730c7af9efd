//! The kinds of edits and how often each is asked for.

use crate::rng::Rng;

/// The kind of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// An object gets another color.
    Recolor,
    /// An object goes.
    Remove,
    /// An object that the room lacks comes, in a color.
    Add,
    /// An object goes and another takes its place.
    Replace,
    /// Two objects recolored at once.
    Two,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 5] = [
        Self::Recolor,
        Self::Remove,
        Self::Add,
        Self::Replace,
        Self::Two,
    ];

    /// The word for it in exports and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recolor => "recolor",
            Self::Remove => "remove",
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Two => "two",
        }
    }
}

/// The relative share of each task; what is negative or not a number counts as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskMix {
    /// Share of [`Task::Recolor`].
    pub recolor: f64,
    /// Share of [`Task::Remove`].
    pub remove: f64,
    /// Share of [`Task::Add`].
    pub add: f64,
    /// Share of [`Task::Replace`].
    pub replace: f64,
    /// Share of [`Task::Two`].
    pub two: f64,
}

impl Default for TaskMix {
    fn default() -> Self {
        Self {
            recolor: 0.66,
            remove: 0.10,
            add: 0.08,
            replace: 0.06,
            two: 0.10,
        }
    }
}

impl TaskMix {
    /// One task alone.
    #[must_use]
    pub fn only(task: Task) -> Self {
        let share = |of: Task| f64::from(u8::from(of == task));
        Self {
            recolor: share(Task::Recolor),
            remove: share(Task::Remove),
            add: share(Task::Add),
            replace: share(Task::Replace),
            two: share(Task::Two),
        }
    }

    /// A task by its share; recolor where every share is 0.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Task {
        let shares = [self.recolor, self.remove, self.add, self.replace, self.two]
            .map(|share| share.max(0.0));
        let mut left = rng.unit() * shares.iter().sum::<f64>();
        for (task, share) in Task::ALL.into_iter().zip(shares) {
            if left < share {
                return task;
            }
            left -= share;
        }
        Task::Recolor
    }
}

/// What pairs to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairOptions {
    /// How often each task is asked for.
    pub tasks: TaskMix,
    /// The share of pairs whose edit leaks into other objects, wall or floor, as the edits of generated training pairs
    /// do.
    pub entangle: f64,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self {
            tasks: TaskMix::default(),
            entangle: 1.0 / 3.0,
        }
    }
}
