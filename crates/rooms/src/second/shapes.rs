//! The outlines of items in the second style: softer bodies, fringe, tufts and leaves.

use tiny_skia::{Path, PathBuilder, Rect, Transform};

use crate::color::Rgb;
use crate::object::{Object, Placement};
use crate::rng::{Domain, Rng};
use crate::scene::Item;

/// An outline and what fills it.
pub(crate) struct Body {
    pub(crate) path: Path,
    /// Another color than the item's.
    pub(crate) fixed: Option<Rgb>,
    /// How far it bulges towards the viewer, in fractions of the side; 0 is flat.
    pub(crate) bulge: f32,
    /// How brightly it shines.
    pub(crate) gloss: f32,
}

struct Bodies(Vec<Body>);

const STEEL: Rgb = [120, 120, 126];
const LEAF: [Rgb; 3] = [[52, 104, 50], [84, 132, 62], [38, 82, 52]];
const PAPER: Rgb = [236, 230, 214];

/// The bodies of `item`, from back to front.
pub(crate) fn bodies(item: &Item) -> Vec<Body> {
    let mut rng = Rng::new(Domain::Surface, item.seed, 1);
    let mut all = Bodies(Vec::new());
    let p = &item.placement;
    match item.object {
        Object::Carpet => all.carpet(p, &mut rng),
        Object::Curtain => all.curtain(p, &mut rng),
        Object::Picture => all.picture(p),
        Object::Sofa => all.sofa(p, &mut rng),
        Object::Lamp => all.lamp(p),
        Object::Ottoman => all.ottoman(p),
        Object::Vase => all.vase(p, &mut rng),
    }
    all.0
}

impl Bodies {
    fn add(&mut self, path: Option<Path>, fixed: Option<Rgb>, bulge: f32, gloss: f32) {
        self.0.extend(path.map(|path| Body {
            path,
            fixed,
            bulge,
            gloss,
        }));
    }

    /// Fringe first: it comes out from under the rug.
    fn carpet(&mut self, p: &Placement, rng: &mut Rng) {
        let (cx, cy) = p.center();
        let mut tassels = PathBuilder::new();
        let count = 90;
        for i in 0..count {
            let angle = std::f32::consts::TAU * i as f32 / count as f32;
            let (sin, cos) = angle.sin_cos();
            // Fringe at both ends only.
            if cos.abs() < 0.55 {
                continue;
            }
            let at = |r: f32| (cx + cos * p.width / 2.0 * r, cy + sin * p.height / 2.0 * r);
            let ((x0, y0), (x1, y1)) = (at(0.96), at(1.05 + rng.between(0.0, 0.035)));
            let half = 0.0016;
            tassels.move_to(x0, y0 - half);
            tassels.line_to(x1, y1 - 0.3 * half + rng.between(-0.002, 0.002));
            tassels.line_to(x1, y1 + 0.5 * half);
            tassels.line_to(x0, y0 + half);
            tassels.close();
        }
        self.add(tassels.finish(), None, 0.0, 0.0);
        self.add(
            oval(cx, cy, p.width / 2.0, p.height / 2.0),
            None,
            0.006,
            0.0,
        );
        self.add(
            oval(cx, cy, p.width * 0.33, p.height * 0.31),
            Some(PAPER),
            0.0,
            0.0,
        );
        self.add(
            oval(cx, cy, p.width * 0.27, p.height * 0.25),
            None,
            0.0,
            0.0,
        );
    }

    fn curtain(&mut self, p: &Placement, rng: &mut Rng) {
        let rod = round(p.left - 0.02, p.top - 0.012, p.width + 0.04, 0.012, 0.006);
        self.add(rod, Some(STEEL), 0.006, 0.5);
        let folds = 4 + rng.below(3);
        let step = p.width / folds as f32;
        for i in 0..folds {
            let left = p.left + step * i as f32 - 0.1 * step;
            let hem = rng.between(-0.008, 0.008);
            let flare = rng.between(0.0, 0.12) * step;
            let mut path = PathBuilder::new();
            path.move_to(left + 0.1 * step, p.top);
            path.line_to(left + 1.1 * step, p.top);
            path.quad_to(
                left + 1.2 * step,
                p.top + 0.5 * p.height,
                left + 1.2 * step + flare,
                p.base() + hem,
            );
            path.quad_to(
                left + 0.6 * step,
                p.base() + hem + 0.012,
                left - flare,
                p.base() + hem,
            );
            path.quad_to(left, p.top + 0.5 * p.height, left + 0.1 * step, p.top);
            path.close();
            self.add(path.finish(), None, 0.45 * step, 0.05);
        }
    }

    fn picture(&mut self, p: &Placement) {
        let edge = 0.02;
        self.add(
            round(p.left, p.top, p.width, p.height, 0.004),
            None,
            0.012,
            0.25,
        );
        self.add(
            round(
                p.left + edge,
                p.top + edge,
                p.width - 2.0 * edge,
                p.height - 2.0 * edge,
                0.0,
            ),
            Some(PAPER),
            0.0,
            0.1,
        );
        let (cx, cy) = p.center();
        let mut hill = PathBuilder::new();
        hill.move_to(p.left + 0.035, p.base() - 0.035);
        hill.quad_to(cx - 0.02, cy - 0.05, cx + 0.01, p.base() - 0.05);
        hill.quad_to(cx + 0.03, cy - 0.01, p.right() - 0.035, p.base() - 0.035);
        hill.close();
        self.add(hill.finish(), None, 0.0, 0.1);
    }

    fn sofa(&mut self, p: &Placement, rng: &mut Rng) {
        let (w, h) = (p.width, p.height);
        for x in [p.left + 0.04, p.right() - 0.055] {
            self.add(
                round(x, p.base() - 0.01, 0.014, 0.04, 0.005),
                Some(STEEL),
                0.005,
                0.5,
            );
        }
        self.add(
            round(p.left + 0.03, p.top, w - 0.06, 0.75 * h, 0.05),
            None,
            0.045,
            0.03,
        );
        let seats = 2 + rng.below(2);
        let width = (w - 0.14) / seats as f32;
        for i in 0..seats {
            let x = p.left + 0.07 + width * i as f32;
            self.add(
                round(x + 0.002, p.top + 0.14 * h, width - 0.004, 0.45 * h, 0.03),
                None,
                0.035,
                0.03,
            );
        }
        self.add(
            round(p.left + 0.03, p.base() - 0.32 * h, w - 0.06, 0.3 * h, 0.02),
            None,
            0.02,
            0.02,
        );
        for i in 0..seats {
            let x = p.left + 0.07 + width * i as f32;
            self.add(
                round(x, p.top + 0.52 * h, width - 0.002, 0.22 * h, 0.028),
                None,
                0.03,
                0.04,
            );
        }
        for x in [p.left, p.right() - 0.085] {
            self.add(
                round(x, p.top + 0.3 * h, 0.085, 0.68 * h, 0.042),
                None,
                0.045,
                0.04,
            );
        }
    }

    fn lamp(&mut self, p: &Placement) {
        let ((cx, _), rim) = (p.center(), p.top + 0.16);
        self.add(
            round(cx - 0.006, p.top + 0.1, 0.012, p.height - 0.11, 0.0),
            Some(STEEL),
            0.006,
            0.6,
        );
        self.add(
            oval(cx, p.base() - 0.008, 0.055, 0.014),
            Some(STEEL),
            0.012,
            0.5,
        );
        let (upper, lower) = (p.width * 0.26, p.width * 0.5);
        let mut fringe = PathBuilder::new();
        let count = 34;
        for i in 0..count {
            let x = cx - lower + 2.0 * lower * (i as f32 + 0.5) / count as f32;
            let long = 0.020 + 0.006 * ((i * 7 % 5) as f32 / 5.0);
            fringe.move_to(x - 0.0016, rim - 0.004);
            fringe.line_to(x + 0.0016, rim - 0.004);
            fringe.line_to(x + 0.0008, rim + long);
            fringe.line_to(x - 0.0008, rim + long);
            fringe.close();
        }
        self.add(fringe.finish(), None, 0.0, 0.0);
        let mut shade = PathBuilder::new();
        shade.move_to(cx - upper, p.top);
        shade.quad_to(cx, p.top - 0.012, cx + upper, p.top);
        shade.quad_to(cx + 0.72 * lower, rim - 0.05, cx + lower, rim);
        shade.quad_to(cx, rim + 0.014, cx - lower, rim);
        shade.quad_to(cx - 0.72 * lower, rim - 0.05, cx - upper, p.top);
        shade.close();
        self.add(shade.finish(), None, 0.05, 0.0);
    }

    fn ottoman(&mut self, p: &Placement) {
        let ((cx, _), w) = (p.center(), p.width);
        for x in [p.left + 0.02, p.right() - 0.032] {
            self.add(
                round(x, p.base() - 0.01, 0.012, 0.026, 0.004),
                Some(STEEL),
                0.005,
                0.4,
            );
        }
        self.add(
            round(p.left, p.top + 0.012, w, p.height - 0.012, 0.04),
            None,
            0.05,
            0.04,
        );
        self.add(oval(cx, p.top + 0.024, 0.47 * w, 0.022), None, 0.02, 0.05);
    }

    /// Leaves hang over the body, so parts of it are seen between them.
    fn vase(&mut self, p: &Placement, rng: &mut Rng) {
        let (cx, _) = p.center();
        let mut leaves = |all: &mut Self, count: usize, low: f32| {
            for _ in 0..count {
                let turn = rng.between(-75.0, 75.0);
                let long = rng.between(0.05, 0.10);
                let color = rng.pick(&LEAF);
                let (x, y) = (cx + rng.between(-0.01, 0.01), p.top + low);
                let mut leaf = PathBuilder::new();
                leaf.move_to(0.0, 0.0);
                leaf.quad_to(0.26 * long, -0.5 * long, 0.0, -long);
                leaf.quad_to(-0.26 * long, -0.5 * long, 0.0, 0.0);
                leaf.close();
                let place = Transform::from_rotate(turn).post_translate(x, y);
                let path = leaf.finish().and_then(|leaf| leaf.transform(place));
                all.add(path, Some(color), 0.008, 0.12);
            }
        };
        leaves(self, 9, 0.015);
        let (neck, h) = (0.2 * p.width, p.height);
        let mut body = PathBuilder::new();
        body.move_to(cx - neck, p.top);
        body.quad_to(cx, p.top + 0.012, cx + neck, p.top);
        body.cubic_to(
            cx + neck,
            p.top + 0.35 * h,
            p.right(),
            p.top + 0.3 * h,
            p.right(),
            p.top + 0.62 * h,
        );
        body.cubic_to(
            p.right(),
            p.top + 0.9 * h,
            cx + 0.3 * p.width,
            p.base(),
            cx,
            p.base(),
        );
        body.cubic_to(
            cx - 0.3 * p.width,
            p.base(),
            p.left,
            p.top + 0.9 * h,
            p.left,
            p.top + 0.62 * h,
        );
        body.cubic_to(
            p.left,
            p.top + 0.3 * h,
            cx - neck,
            p.top + 0.35 * h,
            cx - neck,
            p.top,
        );
        body.close();
        self.add(body.finish(), None, 0.6 * p.width, 0.7);
        leaves(self, 4, 0.012);
    }
}

fn oval(cx: f32, cy: f32, rx: f32, ry: f32) -> Option<Path> {
    Rect::from_ltrb(cx - rx, cy - ry, cx + rx, cy + ry).and_then(PathBuilder::from_oval)
}

/// A box with round corners.
fn round(x: f32, y: f32, width: f32, height: f32, radius: f32) -> Option<Path> {
    let r = radius.min(width / 2.0).min(height / 2.0);
    let (x1, y1) = (x + width, y + height);
    let mut path = PathBuilder::new();
    path.move_to(x + r, y);
    path.line_to(x1 - r, y);
    path.quad_to(x1, y, x1, y + r);
    path.line_to(x1, y1 - r);
    path.quad_to(x1, y1, x1 - r, y1);
    path.line_to(x + r, y1);
    path.quad_to(x, y1, x, y1 - r);
    path.line_to(x, y + r);
    path.quad_to(x, y, x + r, y);
    path.close();
    path.finish()
}
