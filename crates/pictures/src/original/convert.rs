//! Numbers of any profile to sRGB. The library has no black point compensation, so it is added here.

use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, RenderingIntent, Transform8BitExecutor,
    Transform16BitExecutor, TransformOptions,
};

/// From the numbers of a profile to sRGB, both in 16 bits.
#[derive(Clone)]
pub(crate) struct ToSrgb {
    pub(super) transform: Arc<Transform16BitExecutor>,
    pub(super) black: Option<Black>,
    /// Numbers of a pixel.
    channels: usize,
}

impl ToSrgb {
    /// Of a profile for gray, RGB or CMYK, as `layout` says (CMYK: as RGBA), whose file says that it is of version `icc_major`; or
    /// why it can't be used.
    pub(super) fn new(
        profile: &ColorProfile,
        layout: Layout,
        icc_major: u8,
    ) -> Result<Self, String> {
        let srgb = ColorProfile::new_srgb();
        let transform = transform16(profile, layout, &srgb, Layout::Rgb)?;
        let (channels, darkest) = match layout {
            Layout::Gray => (1, vec![0]),
            Layout::Rgb => (3, vec![0; 3]),
            _ => (4, black_of_inks(profile, icc_major)),
        };
        let mut shown = [0; 3];
        run16(&transform, &darkest, &mut shown);
        Ok(Self {
            transform,
            black: Black::of(shown),
            channels,
        })
    }

    /// Of an ICC profile for gray pictures.
    pub(super) fn gray(icc: &[u8]) -> Result<Self, String> {
        Self::for_kind(icc, DataColorSpace::Gray, Layout::Gray, "gray")
    }

    /// Of an ICC profile for CMYK pictures.
    pub(super) fn inks(icc: &[u8]) -> Result<Self, String> {
        Self::for_kind(icc, DataColorSpace::Cmyk, Layout::Rgba, "CMYK")
    }

    fn for_kind(
        icc: &[u8],
        kind: DataColorSpace,
        layout: Layout,
        name: &str,
    ) -> Result<Self, String> {
        let profile = parsed(icc)?;
        if profile.color_space != kind {
            return Err(format!(
                "it is for {:?} and the picture is {name}",
                profile.color_space
            ));
        }
        Self::new(&profile, layout, icc.get(8).copied().unwrap_or_default())
    }

    /// Gray whose light is a power of the number.
    pub(super) fn power(exponent: f32) -> Result<Self, String> {
        Self::new(
            &ColorProfile::new_gray_with_gamma(exponent),
            Layout::Gray,
            4,
        )
    }

    /// Pixels as sRGB, three numbers each.
    pub(crate) fn pixels(&self, numbers: &[u16]) -> Vec<u16> {
        let mut out = vec![0; numbers.len() / self.channels * 3];
        run16(&self.transform, numbers, &mut out);
        if let Some(black) = &self.black {
            black.apply(&mut out);
        }
        out
    }
}

/// Black point compensation towards sRGB, whose black is no light at all. Where the other black is neutral, mapping it to none
/// in XYZ is the same as mapping it to none in each linear channel, so it is a curve over encoded values.
#[derive(Clone)]
pub(crate) struct Black {
    to_srgb: Arc<[u16]>,
    from_srgb: Arc<[u16]>,
}

/// Light of the darkest black that is compensated: L* 50.
const LIGHT_MAX: f64 = 0.184;
/// Light that 8 bits can't tell from none.
const LIGHT_MIN: f64 = 0.000_1;

impl Black {
    /// Of a space whose black is shown so.
    fn of(shown: [u16; 3]) -> Option<Self> {
        let [red, green, blue] = shown.map(light);
        let black = (0.2126 * red + 0.7152 * green + 0.0722 * blue).min(LIGHT_MAX);
        (black > LIGHT_MIN).then(|| Self {
            to_srgb: curve(|light| (light - black) / (1.0 - black)),
            from_srgb: curve(|light| light * (1.0 - black) + black),
        })
    }

    pub(super) fn apply(&self, values: &mut [u16]) {
        values
            .iter_mut()
            .for_each(|value| *value = self.to_srgb[usize::from(*value)]);
    }

    pub(super) fn undo(&self, values: &mut [u16]) {
        values
            .iter_mut()
            .for_each(|value| *value = self.from_srgb[usize::from(*value)]);
    }
}

fn curve(change: impl Fn(f64) -> f64) -> Arc<[u16]> {
    (0..=u16::MAX)
        .map(|value| encoded(change(light(value))))
        .collect()
}

/// Light of an sRGB value.
fn light(value: u16) -> f64 {
    let value = f64::from(value) / 65_535.0;
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn encoded(light: f64) -> u16 {
    let value = if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (value.clamp(0.0, 1.0) * 65_535.0).round() as u16
}

/// Light of the black that version 4 looks at, of which a perceptual table makes the darkest color.
const LIGHT_PERCEPTUAL: f64 = 0.003_47;

/// The inks of a press' black: what its profile makes of no light, or of version 4's black. All inks where it does not say.
fn black_of_inks(profile: &ColorProfile, icc_major: u8) -> Vec<u16> {
    let darkest = match icc_major {
        4.. => encoded(LIGHT_PERCEPTUAL),
        _ => 0,
    };
    let options = options(RenderingIntent::Perceptual);
    let mut inks = vec![u16::MAX; 4];
    let srgb = ColorProfile::new_srgb();
    if let Ok(back) = srgb.create_transform_16bit(Layout::Rgb, profile, Layout::Rgba, options) {
        let _ = back.transform(&[darkest; 3], &mut inks);
    }
    inks
}

/// Reads a profile. Tables of 16 bits (`mft2`) hold Lab as version 2 writes it, in profiles of version 4 too, and all others
/// as version 4 does; the library goes by the version alone, so it is given the one that its tables are of.
pub(super) fn parsed(icc: &[u8]) -> Result<ColorProfile, String> {
    let mut own = icc.to_vec();
    if let Some(major) = version_of_tables(icc)
        && let Some(version) = own.get_mut(8..10)
        && version[0] != major
    {
        version.copy_from_slice(&[major, 0x30]);
    }
    ColorProfile::new_from_slice(&own).map_err(|error| error.to_string())
}

/// The version whose Lab the tables to device-independent color hold; none where there are none of that.
fn version_of_tables(icc: &[u8]) -> Option<u8> {
    if icc.get(20..24)? != b"Lab " {
        return None;
    }
    let (tags, _) = icc.get(132..)?.as_chunks::<12>();
    let count = u32::from_be_bytes(icc.get(128..132)?.try_into().ok()?) as usize;
    let tables = [b"A2B1", b"A2B0", b"A2B2"];
    let kinds = tables.into_iter().find_map(|name| {
        let tag = tags.iter().take(count).find(|tag| tag.starts_with(name))?;
        let at = u32::from_be_bytes(tag[4..8].try_into().ok()?) as usize;
        icc.get(at..at.checked_add(4)?)
    });
    Some(if kinds? == b"mft2" { 2 } else { 4 })
}

/// Profiles need not have tables for every intent; the colorimetric ones come first.
const INTENTS: [RenderingIntent; 3] = [
    RenderingIntent::RelativeColorimetric,
    RenderingIntent::Perceptual,
    RenderingIntent::Saturation,
];

pub(super) fn transform8(
    from: &ColorProfile,
    layout: Layout,
    to: &ColorProfile,
) -> Result<Arc<Transform8BitExecutor>, String> {
    first(|options| from.create_transform_8bit(layout, to, Layout::Rgb, options))
}

pub(super) fn transform16(
    from: &ColorProfile,
    layout: Layout,
    to: &ColorProfile,
    to_layout: Layout,
) -> Result<Arc<Transform16BitExecutor>, String> {
    first(|options| from.create_transform_16bit(layout, to, to_layout, options))
}

/// The first intent that works, or what is in the way of the best.
fn first<T>(make: impl Fn(TransformOptions) -> Result<T, moxcms::CmsError>) -> Result<T, String> {
    let mut refused = None;
    for intent in INTENTS {
        match make(options(intent)) {
            Ok(made) => return Ok(made),
            Err(error) => refused.get_or_insert(error.to_string()),
        };
    }
    Err(refused.unwrap_or_default())
}

fn options(rendering_intent: RenderingIntent) -> TransformOptions {
    TransformOptions {
        rendering_intent,
        allow_use_cicp_transfer: false,
        prefer_fixed_point: false,
        ..TransformOptions::default()
    }
}

/// Rows have whole pixels, which is all that a transform can refuse once it is made.
pub(super) fn run8(transform: &Arc<Transform8BitExecutor>, row: &[u8], out: &mut [u8]) {
    let _ = transform.transform(row, out);
}

pub(super) fn run16(transform: &Arc<Transform16BitExecutor>, row: &[u16], out: &mut [u16]) {
    let _ = transform.transform(row, out);
}
