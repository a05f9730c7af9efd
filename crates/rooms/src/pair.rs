//! A scene, its edited twin and the instruction between them.

use image::GrayImage;

use crate::draw::{Part, mask};
use crate::instruction::{Instruction, Task};
use crate::rng::{Domain, Rng};
use crate::scene::{Color, Item, Object, Rgb, Scene};

/// The relative share of each task; what is negative or not a number counts as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskMix {
    pub recolor: f64,
    pub remove: f64,
    pub add: f64,
    pub replace: f64,
    pub two: f64,
}

impl Default for TaskMix {
    fn default() -> Self {
        Self { recolor: 0.66, remove: 0.10, add: 0.08, replace: 0.06, two: 0.10 }
    }
}

impl TaskMix {
    /// Recoloring alone, as RoomBench asks.
    pub const RECOLOR: Self = Self { recolor: 1.0, remove: 0.0, add: 0.0, replace: 0.0, two: 0.0 };

    /// A task by its share; recolor where every share is 0.
    fn draw(&self, rng: &mut Rng) -> Task {
        let shares = [self.recolor, self.remove, self.add, self.replace, self.two].map(|share| share.max(0.0));
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
    pub tasks: TaskMix,
    /// The share of pairs whose edit leaks into other objects, wall or floor, as the edits of
    /// generated training pairs do.
    pub entangle: f64,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self { tasks: TaskMix::default(), entangle: 1.0 / 3.0 }
    }
}

/// An object that the edit is about, and the color it is to have (`None`: it is to go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub object: Object,
    pub color: Option<Color>,
}

/// An edit: the room before and after it, and the words that ask for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub before: Scene,
    pub after: Scene,
    pub instruction: Instruction,
    pub task: Task,
    pub targets: Vec<Target>,
    /// Whether the edit leaks beyond its targets.
    pub entangled: bool,
}

/// The training pair `index` of `seed`.
#[must_use]
pub fn train_pair(seed: u64, index: u64, options: &PairOptions) -> Pair {
    Pair::random(&mut Rng::new(Domain::Train, seed, index), options)
}

/// The benchmark pair `index` of `seed`: one object recolored, nothing leaks.
#[must_use]
pub fn bench_pair(seed: u64, index: u64) -> Pair {
    let options = PairOptions { tasks: TaskMix::RECOLOR, entangle: 0.0 };
    Pair::random(&mut Rng::new(Domain::Bench, seed, index), &options)
}

impl Pair {
    #[must_use]
    pub fn random(rng: &mut Rng, options: &PairOptions) -> Self {
        let task = options.tasks.draw(rng);
        let leaks = rng.chance(options.entangle);
        // A room can lack what the task needs (a free place, a fitting object): draw another.
        let mut pair = loop {
            let before = Scene::random(rng);
            if let Some(pair) = Self::attempt(rng, task, before) {
                break pair;
            }
        };
        if leaks {
            pair.leak(rng);
        }
        pair
    }

    /// The region that the edit is about, `size` x `size`, 0 or 255: all that is visible of its
    /// targets, before or after.
    #[must_use]
    pub fn region(&self, size: u32) -> GrayImage {
        let scenes = [&self.before, &self.after];
        let masks = self.targets.iter().flat_map(|target| {
            scenes.into_iter().map(|scene| mask(scene, target.object, Part::Whole, size))
        });
        union(size, masks)
    }

    /// What is to have the asked colors, in the room after the edit, `size` x `size`, 0 or 255.
    #[must_use]
    pub fn colored(&self, size: u32) -> GrayImage {
        let kept = self.targets.iter().filter(|target| target.color.is_some());
        union(size, kept.map(|target| mask(&self.after, target.object, Part::Colored, size)))
    }

    fn attempt(rng: &mut Rng, task: Task, before: Scene) -> Option<Self> {
        let mut after = before.clone();
        let (instruction, targets) = match task {
            Task::Recolor => {
                let at = rng.below(before.items.len());
                let target = recolor(rng, &mut after.items[at], None);
                (Instruction::recolor(rng, target.0, target.1), vec![target.into()])
            }
            Task::Remove => {
                let object = after.items.remove(rng.below(before.items.len())).object;
                (Instruction::remove(rng, object), vec![Target { object, color: None }])
            }
            Task::Add => {
                let object = *rng.choose(&before.absent())?;
                let color = rng.pick(&Color::ALL);
                let item = before.furnish(rng, object, color);
                let at = before.items.partition_point(|other| other.object < object);
                after.items.insert(at, item);
                (Instruction::add(rng, object, color), vec![(object, color).into()])
            }
            Task::Replace => {
                let at = rng.below(before.items.len());
                let old = before.items[at];
                let fitting: Vec<Object> =
                    before.absent().into_iter().filter(|&object| Kind::of(object) == Kind::of(old.object)).collect();
                let object = *rng.choose(&fitting)?;
                let color = rng.pick(&Color::ALL);
                after.items[at] = substitute(&old, before.furnish(rng, object, color));
                let gone = Target { object: old.object, color: None };
                (Instruction::replace(rng, old.object, object, color), vec![gone, (object, color).into()])
            }
            Task::Two => {
                let first = rng.below(before.items.len());
                let second = (first + 1 + rng.below(before.items.len() - 1)) % before.items.len();
                let one = recolor(rng, &mut after.items[first], None);
                let alike = rng.chance(0.5).then_some(one.1);
                let two = recolor(rng, &mut after.items[second], alike);
                (Instruction::two(rng, one, two), vec![one.into(), two.into()])
            }
        };
        Some(Self { before, after, instruction, task, targets, entangled: false })
    }

    /// Lets the edit spill over: the asked color (gray for a removal) reaches another object,
    /// the wall or the floor.
    fn leak(&mut self, rng: &mut Rng) {
        let color = self.targets.iter().find_map(|target| target.color);
        let tint = color.map_or([128; 3], Color::rgb);
        let (object, wall, floor) = (rng.chance(0.6), rng.chance(0.6), rng.chance(0.4));
        if let (true, Some(color)) = (object, color) {
            let at = rng.below(self.after.items.len());
            let item = &mut self.after.items[at];
            if self.targets.iter().all(|target| target.object != item.object) && item.color != color {
                item.color = color;
                self.entangled = true;
            }
        }
        if floor {
            self.after.floor = blend(self.after.floor, tint, rng.between(0.05, 0.3));
            self.entangled = true;
        }
        // Something always leaks, so that the share of leaking pairs is the one asked for.
        if wall || !self.entangled {
            self.after.wall = blend(self.after.wall, tint, rng.between(0.05, 0.3));
            self.entangled = true;
        }
    }
}

impl From<(Object, Color)> for Target {
    fn from((object, color): (Object, Color)) -> Self {
        Self { object, color: Some(color) }
    }
}

/// Gives `item` the color asked for, or any other than its own.
fn recolor(rng: &mut Rng, item: &mut Item, asked: Option<Color>) -> (Object, Color) {
    let others = Color::ALL.map(|color| (color != item.color).then_some(color));
    let mut choice = asked;
    while choice.is_none() {
        choice = rng.pick(&others);
    }
    item.color = choice.unwrap_or(item.color);
    (item.object, item.color)
}

/// What can take the place of what.
#[derive(PartialEq)]
enum Kind {
    Lying,
    Hanging,
    Standing,
}

impl Kind {
    fn of(object: Object) -> Self {
        match object {
            Object::Carpet => Self::Lying,
            Object::Curtain | Object::Picture => Self::Hanging,
            Object::Sofa | Object::Lamp | Object::Ottoman | Object::Vase => Self::Standing,
        }
    }
}

/// `new` moved to where `old` is, as far as the picture's edges allow; what stands keeps the
/// old one's distance, what hangs its own height.
fn substitute(old: &Item, mut new: Item) -> Item {
    let place = &mut new.placement;
    let (cx, _) = old.placement.center();
    place.left = (cx - place.width / 2.0).clamp(0.01, 0.99 - place.width);
    if Kind::of(new.object) == Kind::Standing {
        place.top = old.placement.base() - place.height;
    }
    new
}

fn blend(from: Rgb, to: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|i| (f32::from(from[i]) * (1.0 - share) + f32::from(to[i]) * share) as u8)
}

fn union(size: u32, masks: impl Iterator<Item = GrayImage>) -> GrayImage {
    masks.fold(GrayImage::new(size, size), |mut all, mask| {
        for (pixel, other) in all.iter_mut().zip(mask.iter()) {
            *pixel |= other;
        }
        all
    })
}
