//! The presets, and their names.

use limekiln_diffusion::scheduler::SchedulerKind;

use super::{fields::*, window::Window};
use crate::error::{Error, Result};

const fn window(first: usize, last: usize, of: usize) -> Window {
    Window { first, last, of }
}

const fn guide(text: f64, image: f64) -> Guide {
    Guide { text, image }
}

impl Preset {
    /// The preset of that name: `paper`, `official`, `fast`, `base`, `recolor` or `auto`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "paper" => Ok(Self::paper()),
            "official" => Ok(Self::official()),
            "fast" => Ok(Self::fast()),
            "base" => Ok(Self::base()),
            "recolor" => Ok(Self::recolor()),
            "auto" => Ok(Self::auto()),
            _ => Err(Error::Preset(format!(
                "there is no preset {name:?}; choose one of {}",
                Self::NAMES.join(", ")
            ))),
        }
    }

    /// Names that [`Preset::named`] knows.
    pub const NAMES: [&str; 6] = ["paper", "official", "fast", "base", "recolor", "auto"];

    /// The method as the paper states it (sections 4 and 5.2).
    pub fn paper() -> Self {
        Self {
            name: "paper".into(),
            locate: Some(Locate {
                from: LocateFrom::Noise,
                levels: Levels::default(),
                seed: None,
                steps: 100,
                scales: guide(7.5, 1.5),
                scheduler: None,
                grid: 256,
                corners: Corners::HalfPixel,
                segments: Segmentation {
                    source: FeatureSource::Transformers,
                    parts: Parts::DownUp,
                    sizes: Sizes::All,
                    steps: window(30, 50, 100),
                    clusters: 8,
                    starts: 4,
                    rounds: 100,
                },
                map: MapSettings {
                    evidence: Evidence::Attention,
                    parts: Parts::DownUp,
                    sizes: Sizes::All,
                    steps: window(1, 75, 100),
                    tokens: Tokens::Paper,
                    words: Vec::new(),
                    normalise: true,
                },
                select: Select::any_of(100),
            }),
            edit: Some(Apply {
                steps: 100,
                scales: guide(3.5, 1.5),
                scheduler: None,
                regularise: Some(Regularise {
                    mode: Mode::Penalise,
                    strength: 1e4,
                    tokens: Tokens::Paper,
                    lanes: Biased::Text,
                    sizes: Sizes::All,
                    steps: window(1, 75, 100),
                }),
                blend: None,
                window: None,
            }),
            recolor: None,
        }
    }

    /// The method as the authors' published code behaves.
    pub fn official() -> Self {
        Self {
            name: "official".into(),
            locate: Some(Locate {
                from: LocateFrom::Noise,
                levels: Levels::default(),
                seed: None,
                steps: 30,
                scales: guide(5.5, 1.5),
                scheduler: None,
                grid: 128,
                corners: Corners::Aligned,
                segments: Segmentation {
                    source: FeatureSource::Attentions,
                    parts: Parts::All,
                    sizes: Sizes::BelowFull,
                    steps: window(11, 11, 30),
                    clusters: 8,
                    starts: 4,
                    rounds: 100,
                },
                map: MapSettings {
                    evidence: Evidence::Attention,
                    parts: Parts::All,
                    sizes: Sizes::BelowFull,
                    steps: window(11, 11, 30),
                    tokens: Tokens::Official,
                    words: Vec::new(),
                    normalise: false,
                },
                select: Select::any_of(100),
            }),
            edit: Some(Apply {
                steps: 30,
                scales: guide(2.0, 1.5),
                scheduler: None,
                regularise: Some(Regularise {
                    mode: Mode::Penalise,
                    strength: 1e4,
                    tokens: Tokens::Official,
                    lanes: Biased::All,
                    sizes: Sizes::AboveQuarter,
                    steps: window(1, 27, 30),
                }),
                blend: None,
                window: None,
            }),
            recolor: None,
        }
    }

    /// Ours: one call on the input's own noised latents locates, by a region rule that one stray pixel cannot upset; few steps of a
    /// better solver edit, in a window around the region, with the input's own latents outside. What is not written here is the paper's.
    /// With `locate.from: noise` half a guided run of 10 steps locates.
    pub fn fast() -> Self {
        let Self { locate, edit, .. } = Self::paper();
        let faster = |locate: Locate| Locate {
            from: LocateFrom::Input,
            // Of seven choices on 100 rooms these found regions best (`eval rooms`, seed 0).
            levels: Levels {
                features: vec![500],
                map: vec![700],
            },
            seed: Some(0),
            steps: 10,
            scales: guide(5.5, 1.5),
            scheduler: Some(SchedulerKind::DpmSolverMultistep),
            grid: 128,
            segments: Segmentation {
                clusters: 24,
                starts: 2,
                rounds: 50,
                ..locate.segments
            },
            map: MapSettings {
                steps: window(1, 50, 100),
                ..locate.map
            },
            select: Select {
                points: 100,
                rule: Rule::Covered,
                min: 0.5,
                level: 0.4,
                components: true,
                join: 0.5,
            },
            ..locate
        };
        Self {
            name: "fast".into(),
            locate: locate.map(faster),
            edit: edit.map(|edit| Apply {
                steps: 20,
                scheduler: Some(SchedulerKind::DpmSolverMultistep),
                regularise: edit.regularise.map(|regularise| Regularise {
                    tokens: Tokens::Official,
                    ..regularise
                }),
                blend: Some(Blend {
                    steps: window(1, 100, 100),
                    grow: 1,
                    matte: 0,
                }),
                window: Some(EditWindow {
                    removing: 2.0,
                    ..EditWindow::default()
                }),
                ..edit
            }),
            recolor: None,
        }
    }

    /// Locates as `fast` does, and gives the object's material another color at full size. Nothing is denoised.
    pub fn recolor() -> Self {
        Self {
            name: "recolor".into(),
            edit: None,
            recolor: Some(Recolor::default()),
            ..Self::fast()
        }
    }

    /// Recolors where a change of color is asked for and the object is sure; else edits as `fast` does.
    pub fn auto() -> Self {
        Self {
            name: "auto".into(),
            recolor: Some(Recolor::default()),
            ..Self::fast()
        }
    }

    /// Plain InstructPix2Pix: no region, nothing regularised.
    pub fn base() -> Self {
        Self {
            name: "base".into(),
            locate: None,
            edit: Self::paper().edit.map(|edit| Apply {
                scales: guide(7.5, 1.5),
                regularise: None,
                ..edit
            }),
            recolor: None,
        }
    }
}

impl Select {
    /// The union of the segments that hold one of the `points` highest pixels (section 4.1).
    pub fn any_of(points: usize) -> Self {
        Self {
            points,
            rule: Rule::AnyPoint,
            min: 0.0,
            level: 0.5,
            components: false,
            join: 0.0,
        }
    }
}
