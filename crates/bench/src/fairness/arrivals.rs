//! Which edits come when. All of it is drawn from the seed.

use std::time::Duration;

use limekiln_jobs::Class;

use super::settings::Settings;

/// An edit that comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arrival {
    /// After the run's start.
    pub(super) at: Duration,
    pub(super) tenant: u32,
    pub(super) class: Class,
    pub(super) length: Length,
}

/// How long an edit computes before it is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Short,
    Long,
}

impl Length {
    pub(super) const fn seconds(self) -> u32 {
        match self {
            Self::Short => 2,
            Self::Long => 40,
        }
    }
}

/// Of ten edits of the mix two are long.
const LONG: f64 = 0.2;

/// A mix of both classes and lengths that keeps a quarter of the workers busy.
pub(super) fn beside_idle(settings: &Settings) -> Vec<Arrival> {
    let mut draws = Draws(settings.seed);
    let [short, long] = [Length::Short, Length::Long].map(|length| f64::from(length.seconds()));
    let mean = (short * (1.0 - LONG) + long * LONG) / f64::from(settings.faster);
    let rate = f64::from(settings.workers) / 4.0 / mean;
    stream(&mut draws, settings, rate, |draws| {
        let class = match draws.unit() < 0.5 {
            true => Class::Interactive,
            false => Class::Bulk,
        };
        match draws.unit() < LONG {
            true => (class, Length::Long),
            false => (class, Length::Short),
        }
    })
}

/// Long bulk of all tenants at once, as much as the workers do in the whole run, and short interactive edits that would keep
/// one of twenty workers busy.
pub(super) fn full_of_bulk(settings: &Settings) -> Vec<Arrival> {
    let mut draws = Draws(settings.seed ^ 1);
    let long = f64::from(Length::Long.seconds()) / f64::from(settings.faster);
    let count = (f64::from(settings.seconds * settings.workers) / long) as u32;
    let backlog = (0..count).map(|number| Arrival {
        at: Duration::ZERO,
        tenant: number % settings.tenants,
        class: Class::Bulk,
        length: Length::Long,
    });
    let short = f64::from(Length::Short.seconds()) / f64::from(settings.faster);
    let rate = f64::from(settings.workers) / 20.0 / short;
    let mut arrivals: Vec<Arrival> = backlog.collect();
    arrivals.extend(stream(&mut draws, settings, rate, |_| {
        (Class::Interactive, Length::Short)
    }));
    arrivals
}

/// Edits that know nothing of each other, so many a second.
fn stream(
    draws: &mut Draws,
    settings: &Settings,
    rate: f64,
    mut kind: impl FnMut(&mut Draws) -> (Class, Length),
) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    let mut at = 0.0;
    loop {
        at -= (1.0 - draws.unit()).ln() / rate;
        if at >= f64::from(settings.seconds) {
            return arrivals;
        }
        let (class, length) = kind(draws);
        arrivals.push(Arrival {
            at: Duration::from_secs_f64(at),
            tenant: (draws.unit() * f64::from(settings.tenants)) as u32,
            class,
            length,
        });
    }
}

/// SplitMix64.
struct Draws(u64);

impl Draws {
    /// From 0 up to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_says_all_and_the_load_is_what_it_is_meant_to_be() {
        let settings = Settings {
            seed: 7,
            workers: 8,
            tenants: 20,
            faster: 20,
            seconds: 1000,
        };
        let arrivals = beside_idle(&settings);
        assert_eq!(arrivals, beside_idle(&settings));
        let busy: u32 = arrivals.iter().map(|edit| edit.length.seconds()).sum();
        let busy = f64::from(busy) / f64::from(settings.faster * settings.seconds);
        assert!((1.8..2.2).contains(&busy), "{busy} of 8 workers busy");
        let bulk = full_of_bulk(&settings)
            .iter()
            .filter(|edit| edit.class == Class::Bulk)
            .count();
        assert_eq!(bulk, 4000);
    }
}
