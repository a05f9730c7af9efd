//! Color spaces, and the way from one to sRGB and back: relative colorimetric, black point compensated.

use std::fmt;
use std::sync::Arc;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorDateTime, ColorPrimaries, ColorProfile,
    DataColorSpace, Layout, MatrixCoefficients, ToneReprCurve, TransferCharacteristics,
    Transform8BitExecutor, Transform16BitExecutor, XyY,
};

use super::convert::{Black, ToSrgb, parsed, run8, run16, transform8, transform16};
use super::samples::{deep, shallow};

/// What the three channels of a picture mean.
#[derive(Clone, Default)]
pub struct Space {
    /// The profile that a result carries: the file's own, or one made of what it says in another way.
    icc: Option<Arc<[u8]>>,
    /// The code points of PNG's cICP, which say the same.
    cicp: Option<[u8; 4]>,
    /// None where the numbers are sRGB's.
    conversion: Option<Arc<Conversion>>,
}

/// Both ways between a color space and sRGB.
struct Conversion {
    shallow: Arc<Transform8BitExecutor>,
    deep: Arc<Transform16BitExecutor>,
    back: Arc<Transform16BitExecutor>,
    black: Option<Black>,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("icc_bytes", &self.icc.as_ref().map(|icc| icc.len()))
            .field("cicp", &self.cicp)
            .field("is_srgb", &self.is_srgb())
            .finish()
    }
}

/// Spaces are the same where files would say the same of them.
impl PartialEq for Space {
    fn eq(&self, other: &Self) -> bool {
        (&self.icc, &self.cicp) == (&other.icc, &other.cicp)
    }
}

impl Space {
    /// sRGB of which nothing is said.
    pub const SRGB: Self = Self {
        icc: None,
        cicp: None,
        conversion: None,
    };

    /// The space of an RGB profile, or why it can't be used.
    pub(crate) fn from_icc(icc: &[u8]) -> Result<Self, String> {
        let profile = parsed(icc)?;
        if profile.color_space != DataColorSpace::Rgb {
            return Err(format!(
                "it is for {:?} and the picture is RGB",
                profile.color_space
            ));
        }
        Ok(Self {
            icc: Some(icc.into()),
            cicp: None,
            conversion: Conversion::new(&profile)?.map(Arc::new),
        })
    }

    /// The space of PNG's cICP; none where its numbers say nothing that is known.
    pub(crate) fn from_cicp(cicp: [u8; 4]) -> Option<Self> {
        let [primaries, transfer, matrix, full] = cicp;
        // PNG has RGB of the full range only.
        if matrix != 0 || full != 1 {
            return None;
        }
        let color_primaries = CicpColorPrimaries::try_from(primaries).ok()?;
        let transfer_characteristics = TransferCharacteristics::try_from(transfer).ok()?;
        let profile = ColorProfile::new_from_cicp(CicpProfile {
            color_primaries,
            transfer_characteristics,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
        let mut space = Self::made(profile)?;
        space.cicp = Some(cicp);
        Some(space)
    }

    /// The space of PNG's gAMA and cHRM, in hundred thousandths: sRGB's primaries where there are no others.
    pub(crate) fn from_gamma(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Option<Self> {
        let mut profile = ColorProfile::new_srgb();
        profile.cicp = None;
        if let Some(numbers) = chromaticities {
            let [white, red, green, blue] = [0, 2, 4, 6].map(|at| Chromaticity {
                x: numbers[at] as f32 / 100_000.0,
                y: numbers[at + 1] as f32 / 100_000.0,
            });
            if [white, red, green, blue].iter().any(|point| point.y <= 0.0) {
                return None;
            }
            let white = XyY {
                x: f64::from(white.x),
                y: f64::from(white.y),
                yb: 1.0,
            };
            profile.update_rgb_colorimetry(white, ColorPrimaries { red, green, blue });
        }
        match gamma {
            // A power of 1/2.2 is what PNG writers say of sRGB.
            None | Some(45_000..=46_000) => {}
            Some(0) => return None,
            Some(gamma) => {
                let curve = ToneReprCurve::Parametric(vec![100_000.0 / gamma as f32]);
                profile.red_trc = Some(curve.clone());
                profile.green_trc = Some(curve.clone());
                profile.blue_trc = Some(curve);
            }
        }
        Self::made(profile)
    }

    /// Adobe RGB (1998), which EXIF can name without giving a profile.
    pub(crate) fn adobe_rgb() -> Option<Self> {
        Self::made(ColorProfile::new_adobe_rgb())
    }

    /// A space of which the file says something else than a profile; sRGB where it is that. Through bytes, so that a result
    /// means what its profile says.
    fn made(mut profile: ColorProfile) -> Option<Self> {
        // The same bytes whenever it is made.
        profile.creation_date_time = ColorDateTime {
            year: 2026,
            month: 1,
            day_of_the_month: 1,
            hours: 0,
            minutes: 0,
            seconds: 0,
        };
        let space = Self::from_icc(&profile.encode().ok()?).ok()?;
        Some(match space.is_srgb() {
            true => Self::SRGB,
            false => space,
        })
    }

    /// The ICC profile that a file of these samples carries.
    pub fn icc(&self) -> Option<&[u8]> {
        self.icc.as_deref()
    }

    /// The code points of PNG's cICP chunk, where the file had one.
    pub fn cicp(&self) -> Option<[u8; 4]> {
        self.cicp
    }

    /// Whether the numbers are sRGB's, so that nothing is converted.
    pub fn is_srgb(&self) -> bool {
        self.conversion.is_none()
    }

    /// Colors of this space as sRGB, both in 16 bits.
    pub fn to_srgb(&self, colors: &[u16]) -> Vec<u16> {
        let Some(conversion) = self.conversion.as_deref() else {
            return colors.to_vec();
        };
        let mut converted = vec![0; colors.len()];
        run16(&conversion.deep, colors, &mut converted);
        if let Some(black) = &conversion.black {
            black.apply(&mut converted);
        }
        converted
    }

    /// A row of this space, 8 bits, as sRGB in 8 bits.
    pub(crate) fn shallow_to_srgb(&self, row: &[u8], out: &mut [u8]) {
        match self.conversion.as_deref() {
            None => out.copy_from_slice(row),
            Some(conversion) if conversion.black.is_none() => run8(&conversion.shallow, row, out),
            Some(_) => {
                let row: Vec<u16> = row.iter().map(|value| deep(*value)).collect();
                self.deep_to_srgb(&row, out);
            }
        }
    }

    /// A row of this space, 16 bits, as sRGB in 8 bits.
    pub(crate) fn deep_to_srgb(&self, row: &[u16], out: &mut [u8]) {
        if self.is_srgb() {
            out.iter_mut()
                .zip(row)
                .for_each(|(out, value)| *out = shallow(*value));
            return;
        }
        for (out, value) in out.iter_mut().zip(self.to_srgb(row)) {
            *out = shallow(value);
        }
    }

    /// A row of sRGB in 16 bits in this space.
    pub(crate) fn deep_from_srgb(&self, mut row: Vec<u16>) -> Vec<u16> {
        let Some(conversion) = self.conversion.as_deref() else {
            return row;
        };
        if let Some(black) = &conversion.black {
            black.undo(&mut row);
        }
        let mut out = vec![0; row.len()];
        run16(&conversion.back, &row, &mut out);
        out
    }
}

impl Conversion {
    /// None where the profile is sRGB's by another name: it moves no value of 8 bits by more than 1.
    fn new(profile: &ColorProfile) -> Result<Option<Self>, String> {
        let srgb = ColorProfile::new_srgb();
        let shallow = transform8(profile, Layout::Rgb, &srgb)?;
        if is_srgb(&shallow) {
            return Ok(None);
        }
        let to_srgb = ToSrgb::new(profile, Layout::Rgb, 0)?;
        Ok(Some(Self {
            shallow,
            deep: to_srgb.transform,
            back: transform16(&srgb, Layout::Rgb, profile, Layout::Rgb)?,
            black: to_srgb.black,
        }))
    }
}

fn is_srgb(transform: &Arc<Transform8BitExecutor>) -> bool {
    const STEPS: u8 = 9;
    let level = |step: u8| (u16::from(step) * 255 / u16::from(STEPS - 1)) as u8;
    let mut colors: Vec<u8> = (0..=255).flat_map(|gray| [gray; 3]).collect();
    for red in 0..STEPS {
        for green in 0..STEPS {
            colors.extend((0..STEPS).flat_map(|blue| [red, green, blue].map(level)));
        }
    }
    let mut moved = vec![0; colors.len()];
    run8(transform, &colors, &mut moved);
    colors
        .iter()
        .zip(&moved)
        .all(|(from, to)| from.abs_diff(*to) <= 1)
}
