//! A room and its edited twin in one of the styles, as pictures of any size.

use std::fmt;

use image::{GrayImage, RgbImage};

use crate::color::Color;
use crate::draw::Part;
use crate::draw::{draw, mask};
use crate::film::{Camera, Film, jpeg, jpeg_pixels};
use crate::object::Object;
use crate::pair::{Pair, bench_pair_of, train_pair};
use crate::rng::{Domain, Rng};
use crate::task::{PairOptions, Task};
use crate::{rich, second};

/// How rooms are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Flat color.
    #[default]
    Plain,
    /// Cloth, wood, stripes, light, shadow, highlights, a camera's noise; every other room a JPEG; objects that touch others
    /// of like color.
    Rich,
    /// Other shapes and other light: round bodies, colored lamps, light thrown from body to body, blur by depth, fringe and
    /// leaves. Nothing is trained or tuned on it.
    Second,
}

impl Style {
    /// All styles.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Rich, Self::Second];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rich => "rich",
            Self::Second => "second",
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A room, its edited twin, and all that their pictures are drawn from.
#[derive(Clone, Debug)]
pub struct Room {
    /// The rooms before and after, and the words between them.
    pub pair: Pair,
    look: Look,
}

#[derive(Clone, Debug)]
enum Look {
    Plain,
    Rich(rich::Look, Camera, Option<u8>),
    Second(second::Look, Camera),
}

/// The pictures of a room and of its twin, `size` x `size` pixels.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The room as it is, before it is rounded and compressed.
    pub before: Film,
    /// After a perfect edit: another paint under the same light, texture and noise.
    pub after: Film,
    /// The share of each pixel that belongs to the objects of the edit, before or after, 0 to 255.
    pub object: GrayImage,
    /// The share of each pixel that is of the asked color after the edit, 0 to 255.
    pub colored: GrayImage,
    quality: Option<u8>,
}

/// What an editor is given, and what a perfect edit looks like, both through the same compression.
#[derive(Clone, Debug)]
pub struct Shots {
    /// The input's pixels.
    pub input: RgbImage,
    /// The perfect edit's.
    pub truth: RgbImage,
    /// The input's file, where it is a JPEG.
    pub jpeg: Option<Vec<u8>>,
}

/// The benchmark room `index` of `seed`: the same scene and the same words in every style, but that neighbours of the object
/// may take its color in all but plain ones.
#[must_use]
pub fn bench_room(style: Style, seed: u64, index: u64) -> Room {
    bench_room_of(style, Task::Recolor, seed, index)
}

/// The same for another task.
#[must_use]
pub fn bench_room_of(style: Style, task: Task, seed: u64, index: u64) -> Room {
    let rng = Rng::new(Domain::BenchLook, seed, index);
    Room::new(bench_pair_of(task, seed, index), style, rng)
}

/// The training room `index` of `seed`. The second style is not trained on; there is nothing to draw it for but a look at it.
#[must_use]
pub fn train_room(style: Style, seed: u64, index: u64, options: &PairOptions) -> Room {
    let rng = Rng::new(Domain::TrainLook, seed, index);
    Room::new(train_pair(seed, index, options), style, rng)
}

impl Room {
    fn new(mut pair: Pair, style: Style, mut rng: Rng) -> Self {
        let rng = &mut rng;
        let look = match style {
            Style::Plain => Look::Plain,
            Style::Rich => {
                let (look, camera) = (rich::Look::random(rng), Camera::random(rng));
                let quality = 84 + rng.below(13) as u8;
                Look::Rich(look, camera, rng.chance(0.5).then_some(quality))
            }
            Style::Second => Look::Second(second::Look::random(rng), Camera::random(rng)),
        };
        if style != Style::Plain {
            pair.camouflage(rng);
        }
        Self { pair, look }
    }

    /// Draws both rooms and the masks. A `size` of 0 gives empty pictures.
    #[must_use]
    pub fn draw(&self, size: u32) -> Drawn {
        let pair = &self.pair;
        let about: Vec<Object> = pair.targets.iter().map(|target| target.object).collect();
        let side = size as usize;
        let (canvases, camera, quality) = match &self.look {
            Look::Plain => {
                return Drawn {
                    before: Film::of(&draw(&pair.before, size)),
                    after: Film::of(&draw(&pair.after, size)),
                    object: pair.region(size),
                    colored: pair.colored(size),
                    quality: None,
                };
            }
            Look::Rich(look, camera, quality) => {
                let canvas = |scene| look.canvas(scene, &about, side);
                (
                    [canvas(&pair.before), canvas(&pair.after)],
                    camera,
                    *quality,
                )
            }
            Look::Second(look, camera) => {
                let canvas = |scene| look.canvas(scene, &about, side, &pair.before);
                ([canvas(&pair.before), canvas(&pair.after)], camera, None)
            }
        };
        let [before, after] = &canvases;
        let mut object = before.object();
        for (share, other) in object.iter_mut().zip(after.object().iter()) {
            *share = (*share).max(*other);
        }
        let stays = pair.targets.iter().any(|target| target.color.is_some());
        Drawn {
            before: camera.develop(&before.light(), side),
            after: camera.develop(&after.light(), side),
            object,
            colored: if stays {
                after.colored()
            } else {
                GrayImage::new(size, size)
            },
            quality,
        }
    }

    /// The color that the edit asks for; none where something only goes.
    #[must_use]
    pub fn color(&self) -> Option<Color> {
        self.pair.targets.iter().find_map(|target| target.color)
    }

    /// What each pixel of the room before shows: 0 wall, 1 floor, 2 and on the objects in [`Object::ALL`]'s order. Plain and
    /// rich rooms have the same outlines; for those of the second style there is no map.
    #[must_use]
    pub fn labels(&self, size: u32) -> Vec<u8> {
        let scene = &self.pair.before;
        let mut labels: Vec<u8> = (0..size * size)
            .map(|at| u8::from((at / size) as f32 + 0.5 > scene.horizon * size as f32))
            .collect();
        for (class, object) in (2..).zip(Object::ALL) {
            let shown = mask(scene, object, Part::Whole, size);
            for (label, shown) in labels.iter_mut().zip(shown.iter()) {
                if *shown == 255 {
                    *label = class;
                }
            }
        }
        labels
    }
}

impl Drawn {
    /// The pictures as files hold them.
    ///
    /// # Errors
    ///
    /// Where a JPEG can't be written or read back, as of a side of 0 or of more than 65,535 pixels.
    pub fn shots(&self) -> Result<Shots, ShotError> {
        let (input, truth) = (self.before.srgb(), self.after.srgb());
        let Some(quality) = self.quality else {
            return Ok(Shots {
                input,
                truth,
                jpeg: None,
            });
        };
        let file = jpeg(&input, quality)?;
        Ok(Shots {
            input: jpeg_pixels(&file)?,
            truth: jpeg_pixels(&jpeg(&truth, quality)?)?,
            jpeg: Some(file),
        })
    }

    /// Where the objects of the edit are: 255 where at least half of a pixel is theirs, else 0.
    #[must_use]
    pub fn mask(&self) -> GrayImage {
        halves(&self.object)
    }

    /// Where the asked color is after the edit: 255 where at least half of a pixel is of it, else 0.
    #[must_use]
    pub fn colored_mask(&self) -> GrayImage {
        halves(&self.colored)
    }
}

fn halves(shares: &GrayImage) -> GrayImage {
    let mut mask = shares.clone();
    for value in mask.iter_mut() {
        *value = if *value >= 128 { 255 } else { 0 };
    }
    mask
}

/// Why a room has no shots.
#[derive(Debug, thiserror::Error)]
pub enum ShotError {
    /// The encoder's.
    #[error("can't write a JPEG")]
    Encode(#[from] jpeg_encoder::EncodingError),
    /// The decoder's.
    #[error("can't read a JPEG back")]
    Decode(#[from] image::ImageError),
}
