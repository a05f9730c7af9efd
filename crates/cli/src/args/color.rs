//! The color that an object gets.

use std::path::PathBuf;

use clap::Args;

/// Of `edit` and of `submit`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Color")]
pub(crate) struct ColorArgs {
    /// The color that the object ends at, with presets that recolor and with --finish detail: "#RRGGBB", a CSS name, "lab(L a b)", or @SWATCH, a picture of
    /// one color [default: the color that INSTRUCTION asks for]
    #[arg(long, value_name = "COLOR")]
    pub(crate) color: Option<String>,

    /// Take --color from this palette, by its name: a file with a name and a color a line, such as "navy, #1F2A44"
    #[arg(long, value_name = "FILE", requires = "color")]
    pub(crate) palette: Option<PathBuf>,

    /// Which materials of the object get the color: main, all, or numbers such as 2 or 1,3, as the report lists them [default: main]
    #[arg(long, value_name = "WHICH")]
    pub(crate) material: Option<String>,

    /// The mask only says roughly where: let IMAGE say where the object in it ends
    #[arg(long, requires = "mask")]
    pub(crate) matte: bool,
}
