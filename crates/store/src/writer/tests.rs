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

/// What was asked for, and whether in a hurry.
type Asked = Arc<Mutex<Vec<(Vec<u32>, bool)>>>;

/// Even numbers are held by somebody until `free`.
struct Rows {
    free: Arc<std::sync::atomic::AtomicBool>,
    asked: Asked,
}

impl Statement for Rows {
    const NAME: &'static str = "rows";
    const PATIENCE: Option<Duration> = Some(Duration::from_secs(2));
    type Item = u32;
    type Answer = u32;

    async fn write(&self, items: &[u32], _again: bool) -> crate::Result<Vec<u32>> {
        Ok(items.to_vec())
    }

    async fn write_free(
        &self,
        items: &[u32],
        _again: bool,
        hurry: bool,
    ) -> crate::Result<Vec<Option<u32>>> {
        self.asked.lock().unwrap().push((items.to_vec(), hurry));
        let free = self.free.load(std::sync::atomic::Ordering::Relaxed);
        Ok(items
            .iter()
            .map(|item| (free || item % 2 == 1).then_some(*item))
            .collect())
    }
}

#[tokio::test]
async fn what_somebody_holds_is_tried_again_while_others_go_on() {
    let (free, asked) = <(Arc<std::sync::atomic::AtomicBool>, Asked)>::default();
    let writer = Writer::new(Rows {
        free: free.clone(),
        asked: asked.clone(),
    });
    let held = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(2).await }
    });
    for n in [1, 3, 5] {
        assert_eq!(writer.write(n).await.unwrap(), n);
    }
    assert!(!held.is_finished());
    free.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(held.await.unwrap().unwrap(), 2);
    // Once one is held, nothing is waited for.
    let asked = asked.lock().unwrap();
    assert!(!asked[0].1, "{asked:?}");
    assert!(asked[2..].iter().all(|(_, hurry)| *hurry), "{asked:?}");
}

#[tokio::test]
async fn what_stays_held_is_told_in_time_and_no_more_than_so_many_wait() {
    let (free, asked) = <(Arc<std::sync::atomic::AtomicBool>, Asked)>::default();
    let writer = Writer::new(Rows { free, asked });
    let tasks: Vec<_> = (0..QUEUE + 300)
        .map(|_| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(2).await })
        })
        .collect();
    assert_eq!(writer.write(1).await.unwrap(), 1);
    for task in tasks {
        let answer = task.await.unwrap();
        assert!(matches!(answer, Err(WriteError::Overloaded)), "{answer:?}");
    }
    assert_eq!(writer.write(1).await.unwrap(), 1);
}
