//! Where networks run and in which precision, chosen at run time.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};

use crate::Error;
use crate::kernels::{OFF, PATHS, Path};

/// A device as a user names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU if this build can use one and there is one, else the processor.
    #[default]
    Auto,
    /// It is the processor.
    Cpu,
    /// It is the GPU with this number.
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// When a GPU is asked for and this build has no `cuda`, or there is no such GPU.
    pub fn open(self) -> Result<Device, Error> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(cuda(0).unwrap_or(Device::Cpu)),
            Self::Cuda(index) => cuda(index),
        }
    }
}

fn cuda(index: usize) -> Result<Device, Error> {
    let reason = if candle_core::utils::cuda_is_available() {
        match Device::new_cuda(index) {
            Ok(device) => return Ok(device),
            Err(e) => e.to_string(),
        }
    } else {
        "this build runs on the processor only; build with `--features cuda`".into()
    };
    Err(Error::Device(format!(
        "cuda:{index} cannot be used: {reason}"
    )))
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let lower = s.to_ascii_lowercase();
        let numbered = |name: &str| name.strip_prefix("cuda:")?.parse().ok().map(Self::Cuda);
        let found = match lower.as_str() {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            other => numbered(other),
        };
        let help = "use auto, cpu, cuda or cuda:N";
        found.ok_or_else(|| Error::Device(format!("unknown device {s:?}: {help}")))
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// A precision as a user names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtypeChoice {
    /// Whichever is fastest on the device.
    Auto,
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16: the range of f32 at 8 bits of precision.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl DtypeChoice {
    /// As candle names it, on this device.
    pub fn dtype(self, device: &Device) -> DType {
        match self {
            // Measured: only AMX multiplies bf16 faster than f32 is multiplied.
            Self::Auto if device.is_cpu() && Path::best() != Some(Path::Amx) => DType::F32,
            Self::Auto => DType::BF16,
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

impl FromStr for DtypeChoice {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        match s.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(Error::Device(format!(
                "unknown precision {s:?}: use auto, f32, bf16 or f16"
            ))),
        }
    }
}

impl fmt::Display for DtypeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

/// What names how networks of `dtype` are computed on `device`: the number type, and the processor's instructions where their
/// results have bits of their own (`f32`, `bf16`, `bf16-amx`). What one path has begun, another must not finish.
pub fn path(device: &Device, dtype: DType) -> &'static str {
    match Path::best() {
        Some(path) if device.is_cpu() && dtype == DType::BF16 => path.name(),
        _ => dtype.as_str(),
    }
}

/// The named paths of this processor, each with whether it is used.
///
/// # Errors
/// When the variable that switches paths off names one that there is not.
pub fn paths() -> Result<Vec<(&'static str, bool)>, Error> {
    let off = std::env::var(OFF).unwrap_or_default();
    let off: Vec<&str> = off.split(',').map(str::trim).collect();
    let known = |name: &&str| name.is_empty() || PATHS.iter().any(|path| path.name() == *name);
    if let Some(name) = off.iter().find(|name| !known(name)) {
        let names = PATHS.map(Path::name).join(" and ");
        return Err(Error::Device(format!(
            "{OFF} names {name:?}, which can't be switched off: {names} can"
        )));
    }
    let found = PATHS.into_iter().filter(|path| path.found());
    Ok(found
        .map(|path| (path.name(), !off.contains(&path.name())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(3)] {
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
        assert_eq!(
            "CUDA".parse::<DeviceChoice>().unwrap(),
            DeviceChoice::Cuda(0)
        );
        for choice in [
            DtypeChoice::Auto,
            DtypeChoice::F32,
            DtypeChoice::Bf16,
            DtypeChoice::F16,
        ] {
            assert_eq!(choice.to_string().parse::<DtypeChoice>().unwrap(), choice);
        }
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1"] {
            let error = wrong.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("cuda:N"), "{error}");
        }
        assert!(
            "f64"
                .parse::<DtypeChoice>()
                .unwrap_err()
                .to_string()
                .contains("bf16")
        );
    }

    #[test]
    fn the_processor_is_always_there() {
        assert!(DeviceChoice::Cpu.open().unwrap().is_cpu());
        assert!(DeviceChoice::Auto.open().is_ok());
    }

    #[test]
    fn a_gpu_that_is_not_there_is_an_error() {
        let error = DeviceChoice::Cuda(999).open().unwrap_err().to_string();
        assert!(error.contains("cuda:999 cannot be used"), "{error}");
    }
}
