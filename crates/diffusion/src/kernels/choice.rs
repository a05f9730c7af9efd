//! The one place that chooses a backend.

use candle_core::{DType, Device};

use super::backend::Backend;
use super::candle::Candle;
use super::cpu::Cpu;
use super::tiles::{Path, Tiles};

/// The backend that networks of `dtype` on `device` are built for.
pub(super) fn backend(device: &Device, dtype: DType) -> &'static dyn Backend {
    if !device.is_cpu() {
        return &Candle;
    }
    match (dtype, Path::best()) {
        (DType::BF16, Some(Path::Amx)) => &Tiles(Path::Amx),
        (DType::BF16, Some(Path::Avx512)) => &Tiles(Path::Avx512),
        _ => &Cpu,
    }
}
