//! Every fault, `LIMEKILN_FAULT_ROUNDS` times each. Arguments choose faults: `-- worker_killed`, `-- ::null`.

use std::process::ExitCode;

use limekiln_fleet_tests::run::{Settings, run};

fn main() -> anyhow::Result<ExitCode> {
    // Asked by an editor or a runner what tests there are.
    if std::env::args().any(|arg| arg == "--list") {
        return Ok(ExitCode::SUCCESS);
    }
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("TLS is set up twice"))?;
    let settings = Settings::read()?;
    let held = run(&settings)?;
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
