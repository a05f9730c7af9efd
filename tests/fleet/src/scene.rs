//! Services and fleet of a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use crate::check::{self, Counts};
use crate::client::Client;
use crate::fault::Fault;
use crate::fleet::{Editor, Fleet, command, key_create};
use crate::load::{self, Accepted, Flight};
use crate::random::Random;
use crate::services::{Place, Services};
use crate::wait::wait;

/// Tenants of the null editor's load.
const TENANTS: usize = 3;
/// How long an edit may take after the fault, whatever it was.
const END: Duration = Duration::from_secs(90);

/// A fleet at work.
#[derive(Debug)]
pub struct Scene {
    /// Its processes; they go before their services.
    pub fleet: Fleet,
    /// Where it works.
    pub place: Place,
    /// With what.
    pub services: Services,
    /// For their status.
    pub http: reqwest::Client,
    /// One a tenant.
    pub clients: Vec<Client>,
    /// A picture of each tenant.
    pub images: Vec<Uuid>,
    /// What its workers edit with.
    pub editor: Editor,
    /// Pictures and instructions of the real engine's edits, all the first tenant's.
    pub rooms: Vec<(Uuid, String)>,
    /// Results of undisturbed edits.
    twins: HashMap<String, Vec<u8>>,
    dir: PathBuf,
    round: Mutex<String>,
}

impl Scene {
    /// Starts services (or goes on with those given) and a fleet on a new place.
    ///
    /// # Errors
    ///
    /// What does not start.
    pub async fn start(editor: Editor, services: Option<Services>, dir: &Path) -> Result<Self> {
        let services = match services {
            Some(services) => services,
            None => Services::start().await?,
        };
        let dir = dir.join(format!("{}-{}", editor.model(), Uuid::now_v7().simple()));
        std::fs::create_dir_all(&dir)?;
        let http = reqwest::Client::builder()
            .pool_idle_timeout(Duration::from_secs(5))
            .build()?;
        let place = services.place().await?;
        let fleet = Fleet::start(editor, &place, &dir, &http).await?;
        let mut scene = Self {
            services,
            place,
            fleet,
            http,
            clients: Vec::new(),
            images: Vec::new(),
            editor,
            rooms: Vec::new(),
            twins: HashMap::new(),
            dir,
            round: Mutex::default(),
        };
        scene.furnish().await?;
        scene.workers_ready().await?;
        if editor == Editor::Lime {
            scene.undisturbed().await.context("without any fault")?;
        }
        Ok(scene)
    }

    /// Tenants and pictures.
    async fn furnish(&mut self) -> Result<()> {
        let out = self.dir.join("rooms");
        let count = 3;
        command(
            &self.place,
            &[
                "rooms",
                "--count",
                &count.to_string(),
                "--out",
                &out.display().to_string(),
            ],
        )
        .await?;
        let scenes = std::fs::read_to_string(out.join("scenes.jsonl"))?;
        for number in 0..TENANTS {
            let key = key_create(&self.place, &format!("tenant-{number}")).await?;
            let gateways = self
                .fleet
                .gateways
                .iter()
                .map(crate::fleet::Member::url)
                .collect();
            self.clients
                .push(Client::new(self.http.clone(), gateways, &key));
        }
        for (number, line) in scenes.lines().enumerate() {
            let line: Value = serde_json::from_str(line)?;
            let instruction = line["instruction"]
                .as_str()
                .context("a scene without instruction")?;
            let picture = Bytes::from(std::fs::read(out.join(format!("{number:05}-input.png")))?);
            let image = self.clients[0].upload(picture).await?;
            self.rooms.push((image, instruction.to_owned()));
        }
        let picture = Bytes::from(std::fs::read(out.join("00000-input.png"))?);
        for client in &self.clients {
            self.images.push(client.upload(picture.clone()).await?);
        }
        Ok(())
    }

    /// Waits until both workers take edits: those that run now, not those of before.
    async fn workers_ready(&self) -> Result<()> {
        let names: Vec<String> = self
            .fleet
            .workers
            .iter()
            .map(|worker| format!("%{}", worker.row_suffix()))
            .collect();
        wait(
            "both workers to take edits",
            Duration::from_secs(60),
            async || {
                let live: i64 =
                    sqlx::query_scalar("select count(*) from workers where name like any($1)")
                        .bind(&names)
                        .fetch_one(&self.place.truth)
                        .await?;
                Ok(live == 2)
            },
        )
        .await
    }

    /// The real engine's edits once, so that their results are known.
    async fn undisturbed(&mut self) -> Result<()> {
        let round = self.round_start("undisturbed");
        let edits = Flight::start(load::lime(&round, &self.rooms, 3), &self.clients)
            .land()
            .await?;
        check::check(&self.place, &round, &edits, check::Attempts::None).await?;
        for edit in &edits {
            let digest = check::result_digest(&self.place.truth, edit.id).await?;
            self.twins
                .insert(edit.planned.twin.clone().unwrap_or_default(), digest);
        }
        Ok(())
    }

    /// The name of the round: what its idempotency keys start with.
    #[must_use]
    pub fn round(&self) -> String {
        self.round
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn round_start(&self, name: &str) -> String {
        let name = format!("{name}/{}", Uuid::now_v7().simple());
        self.round
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone_from(&name);
        name
    }

    /// Edits in flight, a fault among them, and the check of everything afterwards.
    ///
    /// # Errors
    ///
    /// The first thing that does not hold.
    pub async fn round_run(&self, fault: Fault, random: Random) -> Result<Counts> {
        tokio::select! {
            counts = self.round_alone(fault, random) => counts,
            never = self.fleet.supervise() => match never? {},
        }
    }

    async fn round_alone(&self, fault: Fault, mut random: Random) -> Result<Counts> {
        let round = self.round_start(fault.name());
        let planned = match self.editor {
            Editor::Null => load::null(&mut random, &round, &self.images, 260, 60),
            Editor::Lime => load::lime(&round, &self.rooms, 3),
        };
        // Held back until the first part is there, or the first of it would be done before the last is sent.
        self.pause(true).await?;
        let mut flight = Flight::start(planned, &self.clients);
        flight.airborne().await?;
        self.pause(false).await?;
        wait("an edit to run", Duration::from_secs(30), async || {
            self.is_busy().await
        })
        .await?;
        let moment = match self.editor {
            Editor::Null => random.millis(0..1200),
            Editor::Lime => random.millis(0..2500),
        };
        tokio::time::sleep(moment).await;
        if self.editor == Editor::Null {
            let flying = check::in_flight(&self.place.truth).await?;
            ensure!(
                flying >= 200,
                "only {flying} edits are in flight when the fault comes"
            );
        }
        let own = fault
            .strike(self, &mut random)
            .await
            .context("the fault itself")?;
        let mut edits = self.landed(flight).await?;
        edits.extend(own);
        self.fleet.ready().await?;
        check::all_ended(&self.place.truth, END).await?;
        let counts = check::check(&self.place, &round, &edits, fault.attempts()).await?;
        self.twins_check(&edits).await?;
        self.fleet.is_whole()?;
        self.workers_ready().await?;
        Ok(counts)
    }

    /// Whether an edit runs.
    async fn is_busy(&self) -> Result<bool> {
        let busy = sqlx::query_scalar("select exists (select from edits where state = 'running')");
        Ok(busy.fetch_one(&self.place.truth).await?)
    }

    /// Holds edits back, or lets them go.
    async fn pause(&self, paused: bool) -> Result<()> {
        let pause = sqlx::query("update fleet set paused = $1").bind(paused);
        pause.execute(&self.place.truth).await?;
        Ok(())
    }

    /// The load's answers; when they do not come, what hangs is more telling than that somebody waited.
    async fn landed(&self, flight: Flight) -> Result<Vec<Accepted>> {
        match flight.land().await {
            Ok(edits) => Ok(edits),
            Err(error) => {
                self.fleet
                    .is_whole()
                    .with_context(|| format!("{error:#}"))?;
                check::all_ended(&self.place.truth, Duration::from_secs(1))
                    .await
                    .with_context(|| format!("{error:#}"))?;
                Err(error)
            }
        }
    }

    /// That edits resumed after a fault have the very bytes of undisturbed ones.
    async fn twins_check(&self, edits: &[Accepted]) -> Result<()> {
        for edit in edits {
            let Some(twin) = edit
                .planned
                .twin
                .as_ref()
                .and_then(|twin| self.twins.get(twin))
            else {
                continue;
            };
            let digest = check::result_digest(&self.place.truth, edit.id).await?;
            ensure!(
                digest == *twin,
                "edit {} has other bytes than the same edit undisturbed",
                edit.id
            );
        }
        Ok(())
    }

    /// That no message is left in the queues once all edits have ended: what can't be claimed is acked and dropped.
    ///
    /// # Errors
    ///
    /// What is left.
    pub async fn queues_empty(&self) -> Result<()> {
        let erlang = format!(
            "lists:sum([proplists:get_value(messages, rabbit_amqqueue:info(Q, [messages]), 0) \
             || Q <- rabbit_amqqueue:list(<<\"{}\">>)]).",
            self.place.vhost
        );
        let mut left = String::new();
        wait(
            "the queues to be empty",
            Duration::from_secs(40),
            async || {
                left = self.services.rabbitmq.eval(&erlang).await;
                Ok(left == "0")
            },
        )
        .await
        .with_context(|| format!("all edits have ended, and {left} messages are left"))
    }

    /// Where its processes write.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
