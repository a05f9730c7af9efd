use super::*;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Fails in the rounds named, and ends after the last round.
struct Flaky {
    round: u32,
    failing: &'static [u32],
    last: u32,
    shutdown: CancellationToken,
    finished: Arc<Mutex<bool>>,
}

impl ControlLoop for Flaky {
    const NAME: &'static str = "flaky";

    async fn round(&mut self) -> Result<Next, Error> {
        self.round += 1;
        if self.round == self.last {
            self.shutdown.cancel();
        }
        if self.failing.contains(&self.round) {
            return Err(Error::Overloaded);
        }
        Ok(Next::Now)
    }

    async fn finish(&mut self) {
        *self.finished.lock().unwrap() = true;
    }
}

#[test]
fn what_can_wait_takes_a_fifth_of_the_time() {
    let took = Duration::from_millis(25);
    let Next::After(pause) = Next::paced(Instant::now() - took) else {
        panic!("no pause");
    };
    assert!(pause >= 4 * took, "pauses for {pause:?} after {took:?}");
}

/// Keeps (level, message) of what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("limekiln")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0
            .lock()
            .unwrap()
            .push((*event.metadata().level(), message.0));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn an_outage_is_two_lines_of_log_whatever_its_rounds_and_the_loop_goes_on() {
    let log = Log::default();
    // With one subscriber alone, tracing asks the thread that reaches a message first whether anyone wants it, once and
    // for all; another test's thread, which has none, may be that.
    let _second = tracing::Dispatch::new(log.clone());
    let guard = tracing::subscriber::set_default(log.clone());
    let (shutdown, finished) = (CancellationToken::new(), Arc::new(Mutex::new(false)));
    let flaky = Flaky {
        round: 0,
        failing: &[2, 3, 6],
        last: 8,
        shutdown: shutdown.clone(),
        finished: Arc::clone(&finished),
    };
    run(flaky, shutdown).await;
    drop(guard);
    let told: Vec<_> = log
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|(level, _)| *level <= Level::INFO)
        .cloned()
        .collect();
    let failing = (Level::WARN, "failing; will try until it works".to_owned());
    let works = (Level::INFO, "works again".to_owned());
    assert_eq!(told, [failing.clone(), works.clone(), failing, works]);
    assert!(*finished.lock().unwrap());
}

#[test]
fn pauses_of_an_outage_grow_and_are_bounded() {
    let mut outage = Outage::new();
    let pauses: Vec<_> = (0..40)
        .map(|_| outage.round_failed("test", None).as_secs_f64())
        .collect();
    for (round, pause) in pauses.iter().enumerate() {
        let most = (0.25 * 2_f64.powi(i32::try_from(round).unwrap())).min(10.0);
        assert!(
            (0.499 * most..=1.001 * most).contains(pause),
            "round {round}: {pause} s"
        );
    }
}

#[test]
fn jitter_stays_within_a_fifth_and_differs() {
    let pauses: Vec<_> = (0..1000)
        .map(|_| jitter(Duration::from_secs(10)).as_secs_f64())
        .collect();
    assert!(pauses.iter().all(|pause| (8.0..=12.0).contains(pause)));
    assert!(pauses.iter().any(|pause| *pause < 9.0) && pauses.iter().any(|pause| *pause > 11.0));
}
