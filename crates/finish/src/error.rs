//! What can be wrong with a wish for a color, and with a picture to finish.

/// An error of this crate: one line that says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No color is written this way.
    #[error(
        "`{0}` is no color that is known here: write #RRGGBB, a CSS name such as `teal`, or lab(L a b)"
    )]
    UnknownColor(String),
    /// A number of a color lies outside its range.
    #[error("`{color}`: {part} is {value}, and lies between {low} and {high}")]
    OutOfRange {
        /// The color as it was written.
        color: String,
        /// Which of its numbers.
        part: &'static str,
        /// The number.
        value: f64,
        /// The least that it may be.
        low: f64,
        /// The most that it may be.
        high: f64,
    },
    /// The color has an opacity.
    #[error(
        "`{0}` is transparent, and paint is opaque: leave the opacity out, as in #RRGGBB or lab(L a b)"
    )]
    Transparent(String),
    /// The words ask for several colors.
    #[error("the words ask for several colors ({}): name one, or give it as `color`", .0.join(", "))]
    SeveralAsked(Vec<String>),
    /// The words ask for no color.
    #[error(
        "the words ask for no color: name one, as in `make the sofa blue`, or give it as `color`"
    )]
    NoneAsked,
    /// The swatch shows more than one color.
    #[error(
        "the swatch shows several colors (a tenth of it is further than {apart:.0} ΔE00 from its middle one): crop it to one"
    )]
    SwatchOfSeveral {
        /// 90th percentile of the CIEDE2000 between a pixel and the median.
        apart: f64,
    },
    /// The swatch is transparent somewhere.
    #[error("the swatch is transparent in places: fill it with one opaque color")]
    SwatchTransparent,
    /// The swatch has no pixels.
    #[error("the swatch has no pixels: give a picture of one color")]
    SwatchEmpty,
    /// A line of a palette is not a name and a color.
    #[error("line {line} of the palette: {reason}")]
    PaletteLine {
        /// Counted from one.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The palette has no such color.
    #[error("the palette has no color `{name}`; it has {}", .known.join(", "))]
    NotInPalette {
        /// The name looked for.
        name: String,
        /// The names that it has (the first twenty).
        known: Vec<String>,
    },
    /// A picture and its region, matte or samples do not fit.
    #[error("{what} is {got} and the picture {want}: give both the same size")]
    Size {
        /// What does not fit.
        what: &'static str,
        /// Its size.
        got: String,
        /// The picture's.
        want: String,
    },
    /// Nothing of the picture lies in the region.
    #[error(
        "the region is empty: nothing was found to recolor; draw a mask, or name the object in other words"
    )]
    RegionEmpty,
    /// The region does not single out anything.
    #[error("no material could be told from what is around it: draw the mask closer to the object")]
    NothingFound,
    /// A material is asked for that the object does not have.
    #[error("there is no material {asked}: this object has {count}, counted from 1 (or `all`)")]
    NoSuchMaterial {
        /// The number asked for.
        asked: usize,
        /// How many there are.
        count: usize,
    },
    /// A choice of materials that is neither `main`, `all` nor a number.
    #[error("`{0}` picks no material: write main, all, or numbers such as 2 or 1,3")]
    BadChoice(String),
    /// Bytes that are no matte that was kept.
    #[error("what was kept is no matte ({0}): find the object again")]
    Kept(String),
    /// The caller asked for the work to stop.
    #[error("stopped")]
    Stopped,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
