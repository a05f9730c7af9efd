//! The one place that chooses a backend.

use candle_core::Device;

use super::backend::Backend;
use super::candle::Candle;
use super::cpu::Cpu;

/// The backend that networks on `device` are built for.
pub(super) fn backend(device: &Device) -> &'static dyn Backend {
    if device.is_cpu() { &Cpu } else { &Candle }
}
