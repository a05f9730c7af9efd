//! The four presets.

use limekiln_diffusion::scheduler::SchedulerKind;

use super::*;

const fn window(first: usize, last: usize, of: usize) -> Window {
    Window { first, last, of }
}

impl Preset {
    /// The method as the paper states it (sections 4 and 5.2).
    pub fn paper() -> Self {
        Self {
            name: "paper".into(),
            locate: Some(Locate {
                steps: 100,
                scales: Guide {
                    text: 7.5,
                    image: 1.5,
                },
                scheduler: None,
                grid: 256,
                corners: Corners::HalfPixel,
                segments: Segmentation {
                    source: Source::Transformers,
                    parts: Parts::DownUp,
                    sizes: Sizes::All,
                    steps: window(30, 50, 100),
                    clusters: 8,
                    starts: 4,
                    rounds: 100,
                },
                map: MapOf {
                    evidence: Evidence::Attention,
                    parts: Parts::DownUp,
                    sizes: Sizes::All,
                    steps: window(1, 75, 100),
                    tokens: Tokens::Paper,
                    normalise: true,
                },
                select: Select::any_of(100),
            }),
            edit: Apply {
                steps: 100,
                scales: Guide {
                    text: 3.5,
                    image: 1.5,
                },
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
            },
        }
    }

    /// The method as the authors' published code behaves.
    pub fn official() -> Self {
        Self {
            name: "official".into(),
            locate: Some(Locate {
                steps: 30,
                scales: Guide {
                    text: 5.5,
                    image: 1.5,
                },
                scheduler: None,
                grid: 128,
                corners: Corners::Aligned,
                segments: Segmentation {
                    source: Source::Attentions,
                    parts: Parts::All,
                    sizes: Sizes::BelowFull,
                    steps: window(11, 11, 30),
                    clusters: 8,
                    starts: 4,
                    rounds: 100,
                },
                map: MapOf {
                    evidence: Evidence::Attention,
                    parts: Parts::All,
                    sizes: Sizes::BelowFull,
                    steps: window(11, 11, 30),
                    tokens: Tokens::Official,
                    normalise: false,
                },
                select: Select::any_of(100),
            }),
            edit: Apply {
                steps: 30,
                scales: Guide {
                    text: 2.0,
                    image: 1.5,
                },
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
            },
        }
    }

    /// Ours: few steps of a better solver, a region rule that one stray pixel cannot upset, the input's own latents outside.
    pub fn fast() -> Self {
        Self {
            name: "fast".into(),
            locate: Some(Locate {
                steps: 10,
                scales: Guide {
                    text: 5.5,
                    image: 1.5,
                },
                scheduler: Some(SchedulerKind::DpmSolverMultistep),
                grid: 128,
                corners: Corners::HalfPixel,
                segments: Segmentation {
                    source: Source::Transformers,
                    parts: Parts::DownUp,
                    sizes: Sizes::All,
                    steps: window(30, 50, 100),
                    clusters: 24,
                    starts: 2,
                    rounds: 50,
                },
                map: MapOf {
                    evidence: Evidence::Attention,
                    parts: Parts::DownUp,
                    sizes: Sizes::All,
                    steps: window(1, 50, 100),
                    tokens: Tokens::Paper,
                    normalise: true,
                },
                select: Select {
                    points: 100,
                    rule: Rule::Covered,
                    min: 0.5,
                    level: 0.4,
                    components: true,
                    join: 0.5,
                },
            }),
            edit: Apply {
                steps: 20,
                scales: Guide {
                    text: 3.5,
                    image: 1.5,
                },
                scheduler: Some(SchedulerKind::DpmSolverMultistep),
                regularise: Some(Regularise {
                    mode: Mode::Penalise,
                    strength: 1e4,
                    tokens: Tokens::Official,
                    lanes: Biased::Text,
                    sizes: Sizes::All,
                    steps: window(1, 75, 100),
                }),
                blend: Some(Blend {
                    steps: window(1, 100, 100),
                    grow: 1,
                }),
            },
        }
    }

    /// Plain InstructPix2Pix.
    pub fn base() -> Self {
        Self {
            name: "base".into(),
            locate: None,
            edit: Apply {
                steps: 100,
                scales: Guide {
                    text: 7.5,
                    image: 1.5,
                },
                scheduler: None,
                regularise: None,
                blend: None,
            },
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
