//! A scene, its edited twin and the instruction between them.

use image::GrayImage;

use crate::color::{Color, Rgb};
use crate::draw::{Part, mask};
use crate::instruction::Instruction;
use crate::object::Object;
use crate::rng::{Domain, Rng};
use crate::scene::{Item, Scene};
use crate::task::{PairOptions, Task, TaskMix};

/// An object that the edit is about, and the color it is to have (`None`: it is to go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is; one of the rooms before and after has it.
    pub object: Object,
    /// The color that it has in the room after.
    pub color: Option<Color>,
}

/// An edit: the room before and after it, and the words that ask for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The room that the edit is asked of.
    pub before: Scene,
    /// The room that the edit is to give.
    pub after: Scene,
    /// What asks for the edit.
    pub instruction: Instruction,
    /// The kind of the edit.
    pub task: Task,
    /// What the edit is about; what goes comes before what takes its place.
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
    bench_pair_of(Task::Recolor, seed, index)
}

/// The same for another task: what is asked for differs, and often the room.
#[must_use]
pub fn bench_pair_of(task: Task, seed: u64, index: u64) -> Pair {
    let options = PairOptions {
        tasks: TaskMix::only(task),
        entangle: 0.0,
    };
    Pair::random(&mut Rng::new(Domain::Bench, seed, index), &options)
}

impl Pair {
    /// A pair as `options` ask.
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

    /// The region that the edit is about, `size` x `size`, 0 or 255: all that is visible of its targets, before or
    /// after.
    #[must_use]
    pub fn region(&self, size: u32) -> GrayImage {
        let scenes = [&self.before, &self.after];
        let masks = self.targets.iter().flat_map(|target| {
            scenes
                .into_iter()
                .map(|scene| mask(scene, target.object, Part::Whole, size))
        });
        union(size, masks)
    }

    /// What is to have the asked colors, in the room after the edit, `size` x `size`, 0 or 255.
    #[must_use]
    pub fn colored(&self, size: u32) -> GrayImage {
        let kept = self.targets.iter().filter(|target| target.color.is_some());
        union(
            size,
            kept.map(|target| mask(&self.after, target.object, Part::Colored, size)),
        )
    }

    /// The edit in this room, or `None` where the room lacks what the task needs.
    fn attempt(rng: &mut Rng, task: Task, before: Scene) -> Option<Self> {
        let mut after = before.clone();
        let at = rng.below(before.items.len());
        let (instruction, targets) = match task {
            Task::Recolor => {
                let (object, color) = recolor(rng, &mut after.items[at], None);
                let instruction = Instruction::recolor(rng, object, color);
                (instruction, vec![Target::colored(object, color)])
            }
            Task::Remove => {
                let object = after.items.remove(at).object;
                let instruction = Instruction::remove(rng, object);
                (instruction, vec![Target::gone(object)])
            }
            Task::Add => {
                let object = *rng.choose(&before.absent())?;
                let color = rng.pick(&Color::ALL);
                let behind = before.items.partition_point(|item| item.object < object);
                let item = before.furnish(rng, object, color);
                after.items.insert(behind, item);
                let instruction = Instruction::add(rng, object, color);
                (instruction, vec![Target::colored(object, color)])
            }
            Task::Replace => {
                let old = before.items[at];
                let mut fitting = before.absent();
                fitting.retain(|object| object.replaces(old.object));
                let object = *rng.choose(&fitting)?;
                let color = rng.pick(&Color::ALL);
                after.items[at] = before.furnish(rng, object, color);
                after.items[at].take_place_of(&old);
                let instruction = Instruction::replace(rng, old.object, object, color);
                let targets = vec![Target::gone(old.object), Target::colored(object, color)];
                (instruction, targets)
            }
            Task::Two => {
                let step = 1 + rng.below(before.items.len() - 1);
                let other = (at + step) % before.items.len();
                let one = recolor(rng, &mut after.items[at], None);
                let alike = rng.chance(0.5).then_some(one.1);
                let two = recolor(rng, &mut after.items[other], alike);
                let targets = [one, two].map(|(object, color)| Target::colored(object, color));
                (Instruction::two(rng, one, two), targets.to_vec())
            }
        };
        Some(Self {
            before,
            after,
            instruction,
            task,
            targets,
            entangled: false,
        })
    }

    /// Hides the first target in its surroundings, now and then: an object that touches it takes the color that it has before
    /// the edit, or wall or floor come near to it. Both rooms are changed alike.
    pub(crate) fn camouflage(&mut self, rng: &mut Rng) {
        let (neighbour, ground) = (rng.chance(0.4), rng.chance(0.2));
        let share = rng.between(0.45, 0.75);
        let Some(target) = self.targets.first() else {
            return;
        };
        let Some(at) = self.before.position(target.object) else {
            return;
        };
        let own = self.before.items[at];
        let touches = |item: &&Item| {
            let free = self
                .targets
                .iter()
                .all(|target| target.object != item.object);
            free && item.placement.touches(&own.placement)
        };
        let others: Vec<Object> = self
            .before
            .items
            .iter()
            .filter(touches)
            .map(|item| item.object)
            .collect();
        if neighbour && let Some(&other) = rng.choose(&others) {
            for scene in [&mut self.before, &mut self.after] {
                if let Some(at) = scene.position(other) {
                    scene.items[at].color = own.color;
                }
            }
        } else if ground {
            let floor = own.placement.center().1 > self.before.horizon;
            for scene in [&mut self.before, &mut self.after] {
                let ground = if floor {
                    &mut scene.floor
                } else {
                    &mut scene.wall
                };
                *ground = blend(*ground, own.rgb(), share);
            }
        }
    }

    /// Lets the edit spill over: the asked color (gray for a removal) reaches another object, the wall or the floor.
    fn leak(&mut self, rng: &mut Rng) {
        let color = self.targets.iter().find_map(|target| target.color);
        let tint = color.map_or([128; 3], Color::rgb);
        let (object, wall, floor) = (rng.chance(0.6), rng.chance(0.6), rng.chance(0.4));
        if let (true, Some(color)) = (object, color) {
            let at = rng.below(self.after.items.len());
            let item = &mut self.after.items[at];
            let mut targets = self.targets.iter();
            let bystander = targets.all(|target| target.object != item.object);
            if bystander && item.color != color {
                item.color = color;
                self.entangled = true;
            }
        }
        if floor {
            self.entangled |= stained(rng, &mut self.after.floor, tint);
        }
        // Something leaks wherever it can be seen, so that the share of leaking pairs is the one asked for.
        if wall || !self.entangled {
            self.entangled |= stained(rng, &mut self.after.wall, tint);
        }
    }
}

/// Blends a little of `tint` in; whether that is to be seen, for it is not where `rgb` is close to `tint`.
fn stained(rng: &mut Rng, rgb: &mut Rgb, tint: Rgb) -> bool {
    let clean = std::mem::replace(rgb, blend(*rgb, tint, rng.between(0.05, 0.3)));
    *rgb != clean
}

impl Target {
    fn colored(object: Object, color: Color) -> Self {
        let color = Some(color);
        Self { object, color }
    }

    fn gone(object: Object) -> Self {
        let color = None;
        Self { object, color }
    }
}

/// Gives `item` the color asked for, or any other than its own.
fn recolor(rng: &mut Rng, item: &mut Item, asked: Option<Color>) -> (Object, Color) {
    let others = Color::ALL.len() - 1;
    let shifted = item.color as usize + 1 + rng.below(others);
    item.color = asked.unwrap_or(Color::ALL[shifted % Color::ALL.len()]);
    (item.object, item.color)
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
