//! Names of colors: those of CSS, and others that people use for furniture, fabric and paint.

use palette::convert::IntoColorUnclamped;
use palette::{LinSrgb, Oklch};

use super::value::Color;

/// Common names that CSS does not have, or means otherwise. What they stand for is a convention; who needs an exact color
/// gives a value.
const COMMON: [(&str, [u8; 3]); 45] = [
    ("amber", [255, 191, 0]),
    ("anthracite", [56, 62, 66]),
    ("apricot", [251, 206, 177]),
    ("blush", [222, 165, 164]),
    ("brass", [181, 166, 66]),
    ("bronze", [140, 99, 54]),
    ("burgundy", [128, 0, 32]),
    ("burnt orange", [191, 87, 0]),
    ("camel", [193, 154, 107]),
    ("caramel", [175, 111, 60]),
    ("champagne", [247, 231, 206]),
    ("charcoal", [54, 69, 79]),
    ("cherry", [171, 39, 58]),
    ("cobalt", [0, 71, 171]),
    ("cognac", [154, 70, 61]),
    ("copper", [184, 115, 51]),
    ("cream", [255, 253, 208]),
    ("emerald", [40, 140, 90]),
    ("jade", [0, 168, 107]),
    ("lemon", [253, 224, 71]),
    ("lilac", [200, 162, 200]),
    ("mahogany", [103, 52, 36]),
    ("mauve", [183, 132, 167]),
    ("mint", [152, 221, 190]),
    ("mustard", [216, 170, 38]),
    ("ochre", [204, 119, 34]),
    ("off white", [245, 242, 235]),
    ("peach", [255, 203, 164]),
    ("petrol", [0, 95, 106]),
    ("rose", [226, 113, 138]),
    ("ruby", [155, 17, 48]),
    ("rust", [168, 73, 31]),
    ("sage", [156, 175, 136]),
    ("sand", [214, 196, 160]),
    ("sapphire", [15, 82, 186]),
    ("scarlet", [206, 32, 41]),
    ("taupe", [139, 126, 116]),
    ("terracotta", [203, 103, 75]),
    ("ultramarine", [18, 10, 143]),
    ("umber", [99, 81, 71]),
    ("vermilion", [227, 66, 52]),
    ("walnut", [93, 67, 44]),
    ("wine", [114, 47, 55]),
    ("baby blue", [137, 207, 240]),
    ("bottle green", [0, 78, 56]),
];

/// Words before a name that make it lighter, darker, duller or stronger: factor of lightness towards white or black, and
/// of chroma.
const SHADES: [(&str, f32, f32); 8] = [
    ("light", 0.45, 0.75),
    ("pale", 0.6, 0.5),
    ("pastel", 0.55, 0.55),
    ("dark", -0.3, 0.85),
    ("deep", -0.22, 1.0),
    ("bright", 0.1, 1.2),
    ("muted", 0.0, 0.55),
    ("dusty", 0.1, 0.5),
];

/// The color of a name in lower case: `teal`, `royal blue`, `off-white`, `dark green`, `pale mustard`.
pub(super) fn find(name: &str) -> Option<Color> {
    let words: Vec<&str> = name
        .split([' ', '-', '\t'])
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return None;
    }
    let spaced = words.join(" ");
    if let Some((_, rgb)) = COMMON.iter().find(|(known, _)| *known == spaced) {
        return Some(Color::from_srgb8(*rgb));
    }
    if let Some(rgb) = palette::named::from_str(&words.concat()) {
        return Some(Color::from_srgb8(rgb.into()));
    }
    let (first, rest) = words.split_first()?;
    let (_, lighter, stronger) = SHADES.iter().find(|(word, ..)| word == first)?;
    let base = find(&rest.join(" "))?;
    let mut shade: Oklch<f32> = base.oklab().into_color_unclamped();
    shade.l += lighter
        * if *lighter > 0.0 {
            1.0 - shade.l
        } else {
            shade.l
        };
    shade.chroma *= stronger;
    let linear: LinSrgb<f32> = crate::gamut::reduce(shade.into_color_unclamped())
        .0
        .into_color_unclamped();
    Some(Color::from_linear(linear.into()))
}

/// Whether a word changes the name after it, as in `dark green`.
pub(super) fn is_shade(word: &str) -> bool {
    SHADES.iter().any(|(shade, ..)| *shade == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn css_common_and_shades() {
        for (name, hex) in [
            ("teal", "#008080"),
            ("rebeccapurple", "#663399"),
            ("dark green", "#006400"),
            ("off-white", "#F5F2EB"),
            ("mustard", "#D8AA26"),
        ] {
            assert_eq!(find(name).map(Color::hex).as_deref(), Some(hex), "{name}");
        }
        let (plain, dark) = (find("mustard"), find("dark mustard"));
        let (plain, dark) = (plain.expect("known").oklab(), dark.expect("known").oklab());
        assert!(dark.l < 0.8 * plain.l);
        assert!(find("pale").is_none() && find("").is_none() && find("dark sofa").is_none());
        assert!(
            COMMON
                .iter()
                .all(|(name, _)| find(name).is_some_and(Color::in_srgb))
        );
    }
}
