//! Where networks run and in which precision, chosen at run time.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};

use crate::Error;

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
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16: the range of f32 at 8 bits of precision.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl DtypeChoice {
    /// As candle names it.
    pub fn dtype(self) -> DType {
        match self {
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
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(Error::Device(format!(
                "unknown precision {s:?}: use f32, bf16 or f16"
            ))),
        }
    }
}

impl fmt::Display for DtypeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
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
        for choice in [DtypeChoice::F32, DtypeChoice::Bf16, DtypeChoice::F16] {
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
