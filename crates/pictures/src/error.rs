//! What can be wrong with a picture.

/// The crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with a picture or a mask, and what to do. Sizes are width and height in pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file without a byte.
    #[error("the file is empty")]
    Empty,
    /// More bytes than are read.
    #[error("the file has {} MB: at most {} are read", bytes >> 20, bytes_max >> 20)]
    Bytes {
        /// Bytes of the file.
        bytes: u64,
        /// Most bytes that are read.
        bytes_max: u64,
    },
    /// Not a picture of any kind.
    #[error("not a picture that can be read: give a PNG, JPEG, WebP or TIFF file")]
    NotAPicture,
    /// A file that stands where a picture should.
    #[error("this is a {what}, not the picture: {how}")]
    StandIn {
        /// What it is.
        what: &'static str,
        /// How to get the picture.
        how: &'static str,
    },
    /// A picture of a kind that is not read.
    #[error("{name} pictures are not read: {how}")]
    Format {
        /// What it is.
        name: &'static str,
        /// How to convert it.
        how: &'static str,
    },
    /// A picture of a known format that uses a feature which is not read.
    #[error("a kind of {format} that is not read ({what}): save it as plain PNG")]
    Unsupported {
        /// `PNG`, `JPEG`, `WEBP` or `TIFF`.
        format: &'static str,
        /// The feature.
        what: String,
    },
    /// A picture whose numbers are for screens brighter than paper.
    #[error(
        "the picture is HDR ({0}), whose brightness has no place in the sRGB that models see: convert it to SDR first, such \
         as by exporting it as sRGB or Display P3"
    )]
    Brightness(&'static str),
    /// A picture without area.
    #[error("the picture is {width}x{height}: it has no pixels")]
    NoPixels {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// More pixels than are read.
    #[error(
        "the picture is {width}x{height}: at most {side_max} pixels a side and {} megapixels are read; shrink it",
        pixels_max / 1_000_000
    )]
    Pixels {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// The longest side that is read.
        side_max: u32,
        /// The most pixels that are read.
        pixels_max: u64,
    },
    /// A file whose decoder wants more memory than it may have.
    #[error("the {0} file asks for more memory than a picture may take; shrink it first")]
    Memory(&'static str),
    /// A file that breaks off or contradicts its header.
    #[error("the {format} file is damaged: {reason}")]
    Damaged {
        /// `PNG`, `JPEG`, `WEBP` or `TIFF`.
        format: &'static str,
        /// What the codec says, in one line.
        reason: String,
    },
    /// A mask of another size than its picture.
    #[error(
        "the mask is {}x{} and the picture {}x{}: give a mask of the picture's size",
        mask.0, mask.1, picture.0, picture.1
    )]
    MaskSize {
        /// The mask's size.
        mask: (u32, u32),
        /// The picture's size.
        picture: (u32, u32),
    },
    /// A mask that lets nothing be edited.
    #[error("the mask has no white pixel, so there is nothing to edit: white marks where to edit")]
    MaskEmpty,
    /// A picture smaller than the model's smallest.
    #[error("the picture is {width}x{height}: the model needs at least {factor} pixels a side")]
    TooSmall {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// The smallest side.
        factor: u32,
    },
    /// A picture so narrow that nothing is left of its shorter side once the longer one fits the bound.
    #[error(
        "the picture is {width}x{height}: at size {bound} its shorter side has less than the {factor} pixels that the \
         model needs; crop it or raise the size"
    )]
    TooNarrow {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// The bound on the longer side.
        bound: u32,
        /// The smallest side.
        factor: u32,
    },
    /// A picture that is longer than its format can say.
    #[error(
        "a {format} file has at most {side_max} pixels a side and the result {}x{}: choose another format",
        size.0, size.1
    )]
    Side {
        /// `PNG`, `JPEG` or `WEBP`.
        format: &'static str,
        /// Width and height of the picture.
        size: (u32, u32),
        /// The longest side of the format.
        side_max: u32,
    },
    /// A mask that is transparent in places and neither black and white nor colored elsewhere.
    #[error(
        "the mask is transparent in places and gray in others, so that it doesn't say which of these to edit: save it without \
         transparency, white where to edit"
    )]
    MaskUnclear,
    /// A picture that can't be written.
    #[error("the picture can't be encoded as {format}: {reason}")]
    Encode {
        /// `PNG`, `JPEG`, `WEBP` or `TIFF`.
        format: &'static str,
        /// What the codec says, in one line.
        reason: String,
    },
}

/// What a decoder or encoder says, which may go over several lines.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Error {
    /// A stable name for programs, in snake_case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "image_empty",
            Self::Bytes { .. } => "image_bytes_limit",
            Self::NotAPicture
            | Self::StandIn { .. }
            | Self::Format { .. }
            | Self::Unsupported { .. }
            | Self::Brightness(_) => "image_unsupported",
            Self::NoPixels { .. } | Self::Damaged { .. } => "image_damaged",
            Self::Pixels { .. } | Self::Memory(_) => "image_pixels_limit",
            Self::MaskSize { .. } => "mask_size",
            Self::MaskEmpty => "mask_empty",
            Self::MaskUnclear => "mask_unclear",
            Self::TooSmall { .. } | Self::TooNarrow { .. } => "image_too_small",
            Self::Encode { .. } | Self::Side { .. } => "image_encode",
        }
    }
}
