//! Shares of a number of bytes, first come first served.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit of the semaphore stands for.
const UNIT: u64 = 1024;

/// Bytes to share. A clone shares the same ones.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// More than the whole budget was asked for, so that no waiting would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} MiB of memory are needed and {} MiB are there", mib(*.needed), mib(*.limit))]
pub struct TooLarge {
    /// Bytes that were needed, those held already included.
    pub needed: u64,
    /// Bytes of the whole budget.
    pub limit: u64,
}

/// Bytes in whole MiB, rounded up.
pub fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let units_max = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            units: Arc::new(Semaphore::new(units_max as usize)),
            units_max,
        }
    }

    /// Bytes of the whole budget.
    pub fn bytes(&self) -> u64 {
        u64::from(self.units_max) * UNIT
    }

    /// Bytes that nobody holds now.
    pub fn free(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT
    }

    /// Waits for a share of so many bytes, behind whoever asked before.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], at once, where the whole budget is less.
    pub async fn share(&self, bytes: u64) -> Result<Share, TooLarge> {
        Ok(Share {
            permit: self.units(bytes, 0).await?,
            budget: self.clone(),
        })
    }

    /// The same beside a share that is held already: [`TooLarge`] where both together do not fit.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], at once.
    pub async fn share_beside(&self, held: &Share, bytes: u64) -> Result<Share, TooLarge> {
        Ok(Share {
            permit: self.units(bytes, held.units()).await?,
            budget: self.clone(),
        })
    }

    async fn units(
        &self,
        bytes: u64,
        held: usize,
    ) -> Result<Option<OwnedSemaphorePermit>, TooLarge> {
        let needed = bytes.div_ceil(UNIT);
        let too_large = TooLarge {
            needed: bytes.saturating_add(held as u64 * UNIT),
            limit: self.bytes(),
        };
        let units = u32::try_from(needed)
            .ok()
            .filter(|units| u64::from(*units) + held as u64 <= u64::from(self.units_max))
            .ok_or(too_large)?;
        // The semaphore is never closed.
        Ok(Arc::clone(&self.units).acquire_many_owned(units).await.ok())
    }
}

/// Bytes of a budget, until it is dropped.
#[derive(Debug)]
pub struct Share {
    permit: Option<OwnedSemaphorePermit>,
    budget: Budget,
}

impl Share {
    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.units() as u64 * UNIT
    }

    /// Waits for more. Two that hold a share and wait for more of one another wait for ever: bound the time, or take all at
    /// first and [shrink](Self::shrink_to).
    ///
    /// # Errors
    ///
    /// [`TooLarge`], at once, where the whole budget has less than both together.
    pub async fn grow(&mut self, bytes: u64) -> Result<(), TooLarge> {
        let more = self.budget.units(bytes, self.units()).await?;
        match (&mut self.permit, more) {
            (Some(permit), Some(more)) => permit.merge(more),
            (permit, more) => *permit = more,
        }
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let keep = usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        let surplus = self.units().saturating_sub(keep);
        if let Some(permit) = &mut self.permit {
            drop(permit.split(surplus));
        }
    }

    fn units(&self) -> usize {
        self.permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_are_taken_shrunk_and_given_back() {
        let budget = Budget::new(10 * UNIT);
        let mut first = budget.share(6 * UNIT).await.unwrap();
        let second = budget.share(8 * UNIT);
        tokio::pin!(second);
        assert!(futures(&mut second).await.is_none(), "it waits");
        first.shrink_to(2 * UNIT);
        let second = second.await.unwrap();
        assert_eq!(
            (first.bytes(), second.bytes(), budget.free()),
            (2 * UNIT, 8 * UNIT, 0)
        );
        drop(second);
        first.grow(8 * UNIT).await.unwrap();
        drop(first);
        assert_eq!(budget.free(), budget.bytes());
    }

    #[tokio::test]
    async fn what_can_never_fit_is_refused_at_once() {
        let budget = Budget::new(10 * UNIT);
        let _other = budget.share(10 * UNIT).await.unwrap();
        let refused = TooLarge {
            needed: 10 * UNIT + 1,
            limit: 10 * UNIT,
        };
        assert_eq!(budget.share(10 * UNIT + 1).await.unwrap_err(), refused);
        let budget = Budget::new(10 * UNIT);
        let mut share = budget.share(4 * UNIT).await.unwrap();
        let error = share.grow(7 * UNIT).await.unwrap_err();
        assert_eq!(error.needed, 11 * UNIT);
        assert_eq!(share.bytes(), 4 * UNIT, "what it had it keeps");
        assert!(budget.share(u64::MAX).await.is_err());
    }

    /// The outcome, where it is there at once.
    async fn futures<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = tokio::task::yield_now() => None,
        }
    }
}
