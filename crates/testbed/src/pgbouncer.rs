//! PgBouncer in front of a Postgres.

use std::net::TcpStream;
use std::time::Duration;

use crate::Postgres;
use crate::dir::dir_create;
use crate::port::port_free;
use crate::postgres::{account, chown_to};
use crate::process::{Process, Signal, tied};

/// A PgBouncer with Debian's own settings, but for where its Postgres is and whom it lets in. It ends when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _process: Process,
}

impl PgBouncer {
    /// Starts one with this `pool_mode`: `session`, `transaction` or `statement`.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    #[must_use]
    pub fn start(postgres: &Postgres, mode: &str) -> Self {
        let (dir, port, behind) = (dir_create("pgbouncer"), port_free(), postgres.port());
        let settings = dir.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={behind} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\n"
        );
        std::fs::write(&settings, text).unwrap();
        if let Some(account) = account() {
            chown_to(&dir, account);
        }
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap_or("pgbouncer");
        let mut command = tied(program, Signal::Kill, account());
        command.arg(&settings).current_dir("/");
        let process = Process::run("pgbouncer", command, &dir.join("log"));
        let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        if let Err(error) = process.ready(Duration::from_secs(30), ready) {
            panic!("{error}\nrun tests/install");
        }
        Self {
            port,
            _process: process,
        }
    }

    /// Where a database is, by way of it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}
