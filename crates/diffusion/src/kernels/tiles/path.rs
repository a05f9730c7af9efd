//! Which instructions multiply bf16.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::block::{Block, Left, plain};
use super::line::Line;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};

/// Instructions that blocks are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// AMX's tiles.
    Amx,
    /// The dot products of AVX-512-BF16.
    Avx512,
    /// None in particular: the bits of AMX on every processor, slowly. For tests.
    Plain,
}

/// The paths that a processor may have, the fastest first.
pub(crate) const PATHS: [Path; 2] = [Path::Amx, Path::Avx512];

/// Names paths, by commas, that are not to be used even where the processor has them.
pub(crate) const OFF: &str = "LIMEKILN_PATHS_OFF";

impl Path {
    /// As reports, workers and checkpoints name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amx => "bf16-amx",
            Self::Avx512 => "bf16-avx512",
            Self::Plain => "bf16-plain",
        }
    }

    /// Whether the processor has it.
    pub(crate) fn found(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::found(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::found(),
            Self::Plain => true,
            #[cfg(not(target_arch = "x86_64"))]
            Self::Amx | Self::Avx512 => false,
        }
    }

    /// The fastest that the processor has and [`OFF`] does not name. None where there is none: bf16 is then computed in f32.
    pub(crate) fn best() -> Option<Self> {
        static BEST: OnceLock<Option<Path>> = OnceLock::new();
        *BEST.get_or_init(|| {
            let off = std::env::var(OFF).unwrap_or_default();
            let usable = |path: &Self| !off.split(',').any(|name| name.trim() == path.name());
            PATHS.into_iter().filter(usable).find(|path| path.found())
        })
    }

    /// Opens it for this thread.
    pub(super) fn open(self) -> Session {
        Session {
            // A path that is not there would end the process.
            path: if self.found() { self } else { Self::Plain },
            rows: Cell::new([0; 2]),
            thread: PhantomData,
        }
    }
}

/// A path that one thread uses for a while.
pub(super) struct Session {
    path: Path,
    /// What the tiles are configured for.
    rows: Cell<[usize; 2]>,
    thread: PhantomData<*const ()>,
}

impl Session {
    /// The block of a left operand and a panel of weights.
    ///
    /// # Panics
    /// When either is too short.
    pub(super) fn product(&self, left: &Left<'_>, panel: &[Line], out: &mut Block) {
        assert!(left.fits(panel), "a block reads beyond its operands");
        match self.path {
            Path::Plain => plain(left, panel, out),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls what only some processors have")]
            // SAFETY: `open` has found it, `fits` is true, and the tiles have these rows.
            Path::Amx => unsafe {
                if self.rows.replace(left.rows) != left.rows {
                    amx::configure(left.rows);
                }
                amx::product(left, panel, out);
            },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls what only some processors have")]
            // SAFETY: `open` has found it, and `fits` is true.
            Path::Avx512 => unsafe { avx512::product(left, panel, out) },
            #[cfg(not(target_arch = "x86_64"))]
            Path::Amx | Path::Avx512 => plain(left, panel, out),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.path == Path::Amx && self.rows.get() != [0; 2] {
            #[expect(unsafe_code, reason = "calls what only some processors have")]
            // SAFETY: `open` has found it.
            unsafe {
                amx::release();
            }
        }
    }
}
