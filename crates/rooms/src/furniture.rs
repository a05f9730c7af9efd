//! The shapes that each object is made of, in fractions of the picture's side.

use tiny_skia::{Path, PathBuilder, Rect};

use crate::color::Rgb;
use crate::object::{Object, Placement};
use crate::scene::Item;

/// What a shape is filled with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Material {
    /// The item's color times a shade.
    Colored(f32),
    /// The same whatever the item's color: legs, stands, mats, stems.
    Fixed(Rgb),
}
use Material::{Colored, Fixed};

const WOOD: Material = Fixed([60, 40, 30]);
const METAL: Material = Fixed([90, 80, 70]);
const MAT: Material = Fixed([245, 240, 230]);
const STEM: Material = Fixed([70, 120, 60]);

/// The filled outlines of one item, from back to front.
#[derive(Default)]
pub(crate) struct Shapes(pub(crate) Vec<(Path, Material)>);

impl Shapes {
    pub(crate) fn of(item: &Item) -> Self {
        let mut shapes = Self::default();
        let place = &item.placement;
        match item.object {
            Object::Carpet => shapes.carpet(place),
            Object::Curtain => shapes.curtain(place),
            Object::Picture => shapes.picture(place),
            Object::Sofa => shapes.sofa(place),
            Object::Lamp => shapes.lamp(place),
            Object::Ottoman => shapes.ottoman(place),
            Object::Vase => shapes.vase(place),
        }
        shapes
    }

    fn carpet(&mut self, p: &Placement) {
        let (cx, cy) = p.center();
        let (rx, ry) = (p.width / 2.0, p.height / 2.0);
        self.ellipse(cx - rx, cy - ry, cx + rx, cy + ry, Colored(0.85));
        let (rx, ry) = (rx * 0.9, ry * 0.88);
        self.ellipse(cx - rx, cy - ry, cx + rx, cy + ry, Colored(1.0));
    }

    fn curtain(&mut self, p: &Placement) {
        // The dark folds are one sheet behind the light ones, so no seam shows the wall.
        self.block(p.left, p.top, p.right(), p.base(), Colored(0.85), 0.0);
        let fold = p.width / 5.0;
        for i in [1.0, 3.0] {
            let left = p.left + fold * i;
            self.block(left, p.top, left + fold, p.base(), Colored(1.0), 0.0);
        }
    }

    fn picture(&mut self, p: &Placement) {
        const FRAME: f32 = 0.022;
        const MOTIF: f32 = 0.03;
        let (x0, y0, x1, y1) = (p.left, p.top, p.right(), p.base());
        self.block(x0, y0, x1, y1, Colored(1.0), 0.0);
        self.block(x0 + FRAME, y0 + FRAME, x1 - FRAME, y1 - FRAME, MAT, 0.0);
        let (cx, cy) = p.center();
        self.ellipse(cx - MOTIF, cy - MOTIF, cx + MOTIF, cy + MOTIF, Colored(0.9));
    }

    fn sofa(&mut self, p: &Placement) {
        let (x0, y0, x1, y1) = (p.left, p.top, p.right(), p.base());
        for left in [x0 + 0.03, x1 - 0.05] {
            self.block(left, y1 - 0.01, left + 0.02, y1 + 0.03, WOOD, 0.0);
        }
        self.block(x0 + 0.02, y0, x1 - 0.02, y1 - 0.04, Colored(0.85), 0.03);
        let arm = y0 + p.height * 0.35;
        self.block(x0, arm, x0 + 0.07, y1, Colored(0.95), 0.025);
        self.block(x1 - 0.07, arm, x1, y1, Colored(0.95), 0.025);
        let (cushion, (cx, _)) = (y0 + p.height * 0.5, p.center());
        self.block(
            x0 + 0.06,
            cushion,
            cx - 0.003,
            y1 - 0.02,
            Colored(1.05),
            0.02,
        );
        self.block(
            cx + 0.003,
            cushion,
            x1 - 0.06,
            y1 - 0.02,
            Colored(1.05),
            0.02,
        );
        self.block(x0 + 0.05, y1 - 0.05, x1 - 0.05, y1, Colored(0.9), 0.01);
    }

    fn lamp(&mut self, p: &Placement) {
        let ((cx, _), y0, y1) = (p.center(), p.top, p.base());
        self.block(cx - 0.007, y0 + 0.1, cx + 0.007, y1, METAL, 0.0);
        self.block(cx - 0.05, y1 - 0.015, cx + 0.05, y1, METAL, 0.0);
        let (upper, lower) = (p.width * 0.3, p.width * 0.5);
        let rim = y0 + 0.15;
        self.quad(
            [
                (cx - upper, y0),
                (cx + upper, y0),
                (cx + lower, rim),
                (cx - lower, rim),
            ],
            Colored(1.05),
        );
    }

    fn ottoman(&mut self, p: &Placement) {
        self.block(
            p.left,
            p.top + 0.015,
            p.right(),
            p.base(),
            Colored(0.88),
            0.02,
        );
        self.ellipse(p.left, p.top, p.right(), p.top + 0.05, Colored(1.08));
    }

    fn vase(&mut self, p: &Placement) {
        const STEM_HALF_WIDTH: f32 = 1.0 / 128.0;
        let ((cx, _), y0) = (p.center(), p.top);
        for tip in [cx - 0.042, cx, cx + 0.042] {
            let (low, high, half) = (y0 + 0.02, y0 - 0.07, STEM_HALF_WIDTH);
            self.quad(
                [
                    (cx - half, low),
                    (tip - half, high),
                    (tip + half, high),
                    (cx + half, low),
                ],
                STEM,
            );
        }
        self.ellipse(
            p.left,
            y0 + p.height * 0.3,
            p.right(),
            p.base(),
            Colored(1.0),
        );
        let neck = p.width * 0.22;
        self.block(
            cx - neck,
            y0,
            cx + neck,
            y0 + p.height * 0.5,
            Colored(0.95),
            0.0,
        );
    }

    fn ellipse(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, material: Material) {
        let oval = Rect::from_ltrb(x0, y0, x1, y1).and_then(PathBuilder::from_oval);
        self.0.extend(oval.map(|path| (path, material)));
    }

    fn quad(&mut self, corners: [(f32, f32); 4], material: Material) {
        let mut path = PathBuilder::new();
        path.move_to(corners[0].0, corners[0].1);
        for &(x, y) in &corners[1..] {
            path.line_to(x, y);
        }
        path.close();
        self.0.extend(path.finish().map(|path| (path, material)));
    }

    /// A rectangle with corners rounded by `radius` (at most half a side).
    fn block(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, material: Material, radius: f32) {
        let r = radius.min((x1 - x0) / 2.0).min((y1 - y0) / 2.0);
        if r <= 0.0 {
            return self.quad([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], material);
        }
        // A cubic whose handles are this much of the radius follows a quarter circle.
        let k = r * (1.0 - 0.552_284_8);
        let mut path = PathBuilder::new();
        path.move_to(x0 + r, y0);
        path.line_to(x1 - r, y0);
        path.cubic_to(x1 - k, y0, x1, y0 + k, x1, y0 + r);
        path.line_to(x1, y1 - r);
        path.cubic_to(x1, y1 - k, x1 - k, y1, x1 - r, y1);
        path.line_to(x0 + r, y1);
        path.cubic_to(x0 + k, y1, x0, y1 - k, x0, y1 - r);
        path.line_to(x0, y0 + r);
        path.cubic_to(x0, y0 + k, x0 + k, y0, x0 + r, y0);
        path.close();
        self.0.extend(path.finish().map(|path| (path, material)));
    }
}
