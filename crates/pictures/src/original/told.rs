//! What a file's container says, made into a space and metadata.

use image::metadata::Orientation;
use moxcms::{ColorProfile, TransferCharacteristics};

use super::convert::ToSrgb;
use super::metadata::Metadata;
use super::space::Space;
use super::xmp;
use crate::container::{ColorSpace, Exif, Packets, Warning, is_turned};
use crate::error::{Error, Result};

/// What the numbers of a file are, as its pixels say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One channel.
    Gray,
    /// Three channels.
    Rgb,
    /// Four inks.
    Cmyk,
}

/// A file's space and metadata.
pub(crate) struct Told {
    /// Of the colors that a picture of this file has.
    pub(crate) space: Space,
    /// How the file's numbers become these colors, where they are gray or inks; none where the plain way will do.
    pub(crate) to_srgb: Option<ToSrgb>,
    pub(crate) metadata: Metadata,
    pub(crate) warnings: Vec<Warning>,
}

/// How a picture is stored, by what its container holds.
pub(crate) fn orientation(packets: &Packets) -> Orientation {
    let exif = packets.exif.as_deref().and_then(Exif::new);
    exif.and_then(|exif| exif.orientation())
        .or_else(|| xmp::orientation(std::str::from_utf8(packets.xmp.as_deref()?).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}

/// Refuses pictures for screens brighter than paper: their numbers are no share of white.
pub(crate) fn brightness_check(packets: &Packets) -> Result<()> {
    let in_profile = || {
        let profile = ColorProfile::new_from_slice(packets.icc.as_deref()?).ok()?;
        profile.cicp.map(|cicp| cicp.transfer_characteristics)
    };
    let transfer = match packets.cicp {
        Some([_, transfer, ..]) => TransferCharacteristics::try_from(transfer).ok(),
        None => in_profile(),
    };
    match transfer {
        Some(TransferCharacteristics::Smpte2084) => Err(Error::Brightness("PQ")),
        Some(TransferCharacteristics::Hlg) => Err(Error::Brightness("HLG")),
        _ => Ok(()),
    }
}

impl Told {
    pub(crate) fn new(packets: Packets, kind: Kind) -> Self {
        let stored = orientation(&packets);
        let mut warnings = packets.warnings.clone();
        let mut exif = match packets.exif.as_deref().map(Exif::new) {
            Some(None) => {
                warnings.push(Warning::Metadata("EXIF"));
                None
            }
            found => found.flatten(),
        };
        let xmp = packets.xmp.as_deref();
        let text = xmp.and_then(|xmp| std::str::from_utf8(xmp).ok());
        if xmp.is_some() && text.is_none() {
            warnings.push(Warning::Metadata("XMP"));
        }
        let resolution = packets
            .resolution
            .or_else(|| exif.as_ref()?.resolution())
            .map(|resolution| match is_turned(stored) {
                true => resolution.turned(),
                false => resolution,
            });
        let named = exif.as_ref().and_then(Exif::color_space);
        if let Some(exif) = &mut exif {
            exif.reset();
        }
        if text.is_some_and(xmp::has_gain_map) && !warnings.contains(&Warning::GainMap) {
            warnings.push(Warning::GainMap);
        }
        if text.is_some_and(xmp::has_credentials) && !warnings.contains(&Warning::Credentials) {
            warnings.push(Warning::Credentials);
        }
        let mut told = Self {
            space: Space::SRGB,
            to_srgb: None,
            metadata: Metadata {
                exif: exif.map(Exif::into_bytes),
                xmp: text.map(xmp::reset),
                resolution,
                stored,
            },
            warnings,
        };
        match kind {
            Kind::Rgb => told.take_space(&packets, named),
            Kind::Gray => told.take_gray(&packets),
            Kind::Cmyk => told.take_inks(&packets),
        }
        told
    }

    /// By PNG's own order: cICP, a profile, sRGB, gAMA and cHRM; then EXIF.
    fn take_space(&mut self, packets: &Packets, named: Option<ColorSpace>) {
        let coded = packets.cicp.and_then(Space::from_cicp);
        let profile = || match Space::from_icc(packets.icc.as_deref()?) {
            Ok(space) => Some(space),
            Err(reason) => {
                self.warnings.push(Warning::Profile(reason));
                None
            }
        };
        let numbers = || match packets.srgb {
            true => None,
            false if packets.gamma.is_none() && packets.chromaticities.is_none() => None,
            false => Space::from_gamma(packets.gamma, packets.chromaticities),
        };
        let by_exif = || match named {
            Some(ColorSpace::AdobeRgb) if !packets.srgb => Space::adobe_rgb(),
            _ => None,
        };
        let space = coded.or_else(profile).or_else(numbers).or_else(by_exif);
        self.space = space.unwrap_or(Space::SRGB);
    }

    fn take_gray(&mut self, packets: &Packets) {
        let by_power = match packets.gamma {
            Some(gamma @ 1..) if !(45_000..=46_000).contains(&gamma) && !packets.srgb => {
                ToSrgb::power(100_000.0 / gamma as f32).ok()
            }
            _ => None,
        };
        self.to_srgb = self.by_profile(packets, ToSrgb::gray).or(by_power);
        self.warnings.push(Warning::Converted("gray"));
    }

    fn take_inks(&mut self, packets: &Packets) {
        self.to_srgb = self.by_profile(packets, ToSrgb::inks);
        self.warnings.push(Warning::Converted("CMYK"));
    }

    fn by_profile(
        &mut self,
        packets: &Packets,
        read: impl Fn(&[u8]) -> std::result::Result<ToSrgb, String>,
    ) -> Option<ToSrgb> {
        match read(packets.icc.as_deref()?) {
            Ok(way) => Some(way),
            Err(reason) => {
                self.warnings.push(Warning::Profile(reason));
                None
            }
        }
    }
}
