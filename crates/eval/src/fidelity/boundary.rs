//! How well two regions' boundaries meet.

use image::GrayImage;

use super::distance::distances;

/// Pixels within which a boundary pixel is met.
const MET_PX: f32 = 2.0;

/// F1 of the share of the matte's boundary that meets the region's, and of the region's that meets the matte's. The boundary
/// is what lies inside (from 128 up) and has a neighbour, above, below or beside, outside; the picture's own border is none. 0
/// where one of them has no boundary.
pub(super) fn f1(matte: &GrayImage, region: &[bool]) -> f64 {
    let (width, height) = (matte.width() as usize, matte.height() as usize);
    let inside: Vec<bool> = matte.iter().map(|&value| value >= 128).collect();
    let (found, known) = (
        boundary(&inside, width, height),
        boundary(region, width, height),
    );
    let met = |of: &[bool], by: &[bool]| {
        let near = distances(by, width, height);
        let all = of.iter().filter(|at| **at).count();
        let met = of
            .iter()
            .zip(near)
            .filter(|(at, near)| **at && *near <= MET_PX)
            .count();
        met as f64 / all.max(1) as f64
    };
    let (precision, recall) = (met(&found, &known), met(&known, &found));
    if precision + recall > 0.0 {
        2.0 * precision * recall / (precision + recall)
    } else {
        0.0
    }
}

fn boundary(inside: &[bool], width: usize, height: usize) -> Vec<bool> {
    let outside = |x: usize, y: usize| !inside[y * width + x];
    (0..inside.len())
        .map(|at| {
            let (x, y) = (at % width, at / width);
            inside[at]
                && ((x > 0 && outside(x - 1, y))
                    || (x + 1 < width && outside(x + 1, y))
                    || (y > 0 && outside(x, y - 1))
                    || (y + 1 < height && outside(x, y + 1)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn boundaries_meet_within_two_pixels() {
        let square = |left: u32| {
            GrayImage::from_fn(40, 40, |x, y| {
                Luma(
                    [if (left..left + 20).contains(&x) && (10..30).contains(&y) {
                        255
                    } else {
                        0
                    }],
                )
            })
        };
        let flags: Vec<bool> = square(10).iter().map(|&value| value > 0).collect();
        assert_eq!(f1(&square(10), &flags), 1.0);
        assert_eq!(f1(&square(12), &flags), 1.0);
        let shifted = f1(&square(14), &flags);
        assert!(shifted > 0.3 && shifted < 0.75, "{shifted}");
        assert_eq!(f1(&GrayImage::new(40, 40), &flags), 0.0);
    }
}
