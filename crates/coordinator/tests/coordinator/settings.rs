//! Settings that cannot work.

use std::time::Duration;

use limekiln_coordinator::{Retention, Settings, Webhooks};
use limekiln_fixture::NEVER;

use crate::running::settings;

#[test]
fn settings_that_cannot_work_are_refused() {
    settings().validate().unwrap();
    for broken in [
        Settings {
            min_window: 0,
            ..settings()
        },
        Settings {
            lease_ttl: Duration::ZERO,
            ..settings()
        },
        Settings {
            release_tick: Duration::ZERO,
            ..settings()
        },
        Settings {
            webhooks: Webhooks {
                attempts: 0,
                ..settings().webhooks
            },
            ..settings()
        },
        Settings {
            webhooks: Webhooks {
                per_tenant: 0,
                ..settings().webhooks
            },
            ..settings()
        },
        Settings {
            webhooks: Webhooks {
                down: Duration::ZERO,
                ..settings().webhooks
            },
            ..settings()
        },
        Settings {
            retention: Retention {
                sweep_grace: Duration::ZERO,
                sweep_every: NEVER,
                ..settings().retention
            },
            ..settings()
        },
    ] {
        assert!(broken.validate().is_err(), "{broken:?}");
    }
}
