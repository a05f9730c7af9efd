use std::sync::{Arc, Mutex};

use super::*;

/// Answers each number with itself. Refuses batches that hold a 7, fails `away` times first, and keeps what it was asked.
#[derive(Clone, Default)]
struct Numbers {
    away: Arc<Mutex<usize>>,
    setup: bool,
    asked: Arc<Mutex<Vec<(usize, bool)>>>,
}

impl Numbers {
    async fn answer(&self, items: &[u32], again: bool) -> crate::Result<Vec<u32>> {
        self.asked.lock().unwrap().push((items.len(), again));
        tokio::task::yield_now().await;
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(if self.setup {
                Error::SchemaOld {
                    found: 0,
                    needed: 1,
                }
            } else {
                Error::Timeout { after_s: 0 }
            });
        }
        match items.contains(&7) {
            true => Err(Error::NoTenant),
            false => Ok(items.to_vec()),
        }
    }
}

/// The same with no end of patience, and with little.
struct Patient(Numbers);
struct Impatient(Numbers);

impl Statement for Patient {
    const NAME: &'static str = "patient";
    type Item = u32;
    type Answer = u32;

    async fn write(&self, items: &[u32], again: bool) -> crate::Result<Vec<u32>> {
        self.0.answer(items, again).await
    }
}

impl Statement for Impatient {
    const NAME: &'static str = "impatient";
    const PATIENCE: Option<Duration> = Some(Duration::from_millis(200));
    type Item = u32;
    type Answer = u32;

    async fn write(&self, items: &[u32], again: bool) -> crate::Result<Vec<u32>> {
        self.0.answer(items, again).await
    }
}

#[tokio::test]
async fn one_that_is_refused_does_not_harm_the_others() {
    let numbers = Numbers::default();
    let writer = Writer::new(Patient(numbers.clone()));
    let tasks: Vec<_> = (0..10)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(n).await })
        })
        .collect();
    for (n, task) in (0..).zip(tasks) {
        match task.await.unwrap() {
            Ok(answer) => assert!(answer == n && n != 7, "{n}"),
            Err(error) => assert!(n == 7 && matches!(error, WriteError::Refused(Error::NoTenant))),
        }
    }
    let asked = numbers.asked.lock().unwrap();
    assert!(
        asked.len() < 20 && asked.iter().any(|(items, _)| *items > 1),
        "{asked:?}"
    );
}

#[tokio::test]
async fn without_an_end_of_patience_an_operators_change_is_waited_for() {
    let numbers = Numbers {
        away: Arc::new(Mutex::new(2)),
        setup: true,
        ..Numbers::default()
    };
    assert_eq!(
        Writer::new(Patient(numbers.clone()))
            .write(1)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        *numbers.asked.lock().unwrap(),
        [(1, false), (1, true), (1, true)]
    );
    *numbers.away.lock().unwrap() = 1;
    let refused = Writer::new(Impatient(numbers)).write(1).await;
    assert!(matches!(
        refused,
        Err(WriteError::Refused(Error::SchemaOld { .. }))
    ));
}

#[tokio::test]
async fn patience_ends() {
    let numbers = Numbers {
        away: Arc::new(Mutex::new(usize::MAX)),
        ..Numbers::default()
    };
    let began = Instant::now();
    let slow = Writer::new(Impatient(numbers.clone())).write(1).await;
    assert!(matches!(slow, Err(WriteError::Slow)), "{slow:?}");
    assert!(began.elapsed() < 4 * Impatient::PATIENCE.unwrap());
    assert!(numbers.asked.lock().unwrap().len() > 1);
}
