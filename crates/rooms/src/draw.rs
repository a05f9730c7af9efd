//! The picture of a scene and the true masks of its objects.

use image::{GrayImage, RgbImage};
use tiny_skia::{
    Color as Ink, FillRule, Paint, Path, PathBuilder, Pixmap, Rect, Shader, Transform,
};

use crate::color::Rgb;
use crate::furniture::{Material, Shapes};
use crate::object::Object;
use crate::scene::Scene;

/// Which part of an object a mask covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it, legs, stand, mat and stems included: for IoU and for what counts as outside.
    Whole,
    /// What carries the object's color: for color success.
    Colored,
}

const BLACK: Rgb = [0; 3];
const WHITE: Rgb = [255; 3];
/// The height of the baseboard, as a fraction of the side.
const BASEBOARD: f32 = 1.5 / 128.0;

/// The picture of `scene`, `size` x `size` sRGB pixels, antialiased. A `size` of 0 gives an empty picture.
#[must_use]
pub fn draw(scene: &Scene, size: u32) -> RgbImage {
    let Some(mut canvas) = Canvas::new(size, scene.wall) else {
        return RgbImage::new(0, 0);
    };
    canvas.band(scene.horizon, 1.0, scene.floor);
    canvas.band(
        scene.horizon - BASEBOARD,
        scene.horizon,
        shade(scene.wall, 0.8),
    );
    for item in &scene.items {
        let base = item.rgb();
        for (path, material) in &Shapes::of(item).0 {
            canvas.fill(
                path,
                match *material {
                    Material::Colored(factor) => shade(base, factor),
                    Material::Fixed(rgb) => rgb,
                },
            );
        }
    }
    RgbImage::from_fn(size, size, |x, y| image::Rgb(canvas.rgb(x, y)))
}

/// The visible part of `object` in the picture of the same `size`: 255 where it covers at least half of the pixel, else
/// 0; all 0 where the scene has no such object. Objects in front of it are cut out.
#[must_use]
pub fn mask(scene: &Scene, object: Object, part: Part, size: u32) -> GrayImage {
    let Some(mut canvas) = Canvas::new(size, BLACK) else {
        return GrayImage::new(0, 0);
    };
    // What is behind the object leaves no trace on a black canvas.
    let behind = scene.position(object).unwrap_or(scene.items.len());
    for item in &scene.items[behind..] {
        for (path, material) in &Shapes::of(item).0 {
            let colored = matches!(material, Material::Colored(_));
            let shown = item.object == object && (part == Part::Whole || colored);
            canvas.fill(path, if shown { WHITE } else { BLACK });
        }
    }
    GrayImage::from_fn(size, size, |x, y| {
        image::Luma([if canvas.rgb(x, y)[0] >= 128 { 255 } else { 0 }])
    })
}

fn shade(color: Rgb, factor: f32) -> Rgb {
    color.map(|channel| (f32::from(channel) * factor) as u8)
}

/// An opaque square of pixels, painted in fractions of its side.
struct Canvas {
    pixels: Pixmap,
    scale: Transform,
}

impl Canvas {
    fn new(size: u32, background: Rgb) -> Option<Self> {
        let mut pixels = Pixmap::new(size, size)?;
        pixels.fill(ink(background));
        Some(Self {
            pixels,
            scale: Transform::from_scale(size as f32, size as f32),
        })
    }

    fn fill(&mut self, path: &Path, color: Rgb) {
        let paint = Paint {
            shader: Shader::SolidColor(ink(color)),
            anti_alias: true,
            ..Paint::default()
        };
        self.pixels
            .fill_path(path, &paint, FillRule::Winding, self.scale, None);
    }

    fn band(&mut self, top: f32, bottom: f32, color: Rgb) {
        if let Some(rect) = Rect::from_ltrb(0.0, top, 1.0, bottom) {
            self.fill(&PathBuilder::from_rect(rect), color);
        }
    }

    fn rgb(&self, x: u32, y: u32) -> Rgb {
        let at = 4 * (y as usize * self.pixels.width() as usize + x as usize);
        let rgba = &self.pixels.data()[at..at + 3];
        [rgba[0], rgba[1], rgba[2]]
    }
}

fn ink([r, g, b]: Rgb) -> Ink {
    Ink::from_rgba8(r, g, b, 255)
}
