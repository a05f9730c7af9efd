//! A bound on the memory of all requests together, and within it on what pictures of one tenant take.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use limekiln_jobs::TenantId;
use limekiln_memory::{Budget, Share, TooLarge, mib};
use tokio::time::timeout;

use crate::problem::{Problem, ProblemCode};
use crate::shares::{self, Shares};

/// Bytes of an answer that the connection gets at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Memory that requests may use for their bodies, the pictures in them and their results.
pub(crate) struct MemoryBudget {
    budget: Budget,
    /// Bytes of pictures that are read or sent. One that needs more than its tenant's share takes all of it, so that it comes
    /// alone.
    pictures: Shares,
    /// How long a request waits for memory that others hold.
    wait: Duration,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize, tenant_share: f64, wait: Duration) -> Self {
        Self {
            budget: Budget::new(bytes as u64),
            pictures: Shares::new(bytes, tenant_share),
            wait,
        }
    }

    /// Waits for room for `bytes`. Where the whole budget has less, `never` says what to do about it.
    pub(crate) async fn share(
        &self,
        bytes: u64,
        never: impl FnOnce(TooLarge) -> Problem,
    ) -> Result<Share, Problem> {
        self.wait(self.budget.share(bytes)).await?.map_err(never)
    }

    /// The same for a tenant's pictures, once that holds less of its share than it may. Who holds a share of his own already
    /// must fit with both.
    pub(crate) async fn pictures(
        &self,
        tenant: TenantId,
        held: Option<&Share>,
        bytes: u64,
        never: impl FnOnce(TooLarge) -> Problem,
    ) -> Result<PictureShare, Problem> {
        let shares = &self.pictures;
        let amount = usize::try_from(bytes).unwrap_or(usize::MAX);
        let of_tenant = shares
            .take_within(tenant, amount, self.wait)
            .await
            .ok_or_else(|| {
                Problem::share(
                    ProblemCode::ConcurrencyLimit,
                    shares.each(),
                    "bytes of pictures are in memory",
                )
            })?;
        let share = match held {
            Some(held) => self.wait(self.budget.share_beside(held, bytes)).await?,
            None => self.wait(self.budget.share(bytes)).await?,
        };
        Ok(PictureShare {
            share: share.map_err(never)?,
            of_tenant,
        })
    }

    /// Waits for more room for a body.
    pub(crate) async fn grow(&self, share: &mut Share, bytes: u64) -> Result<(), Problem> {
        self.wait(share.grow(bytes)).await?.map_err(body_too_large)
    }

    async fn wait<T>(&self, share: impl Future<Output = T>) -> Result<T, Problem> {
        timeout(self.wait, share).await.map_err(|_| {
            Problem::new(
                ProblemCode::Overloaded,
                "others use the memory that this request needs: try again in a moment",
            )
        })
    }
}

/// Memory of a tenant's pictures, until it is dropped.
pub(crate) struct PictureShare {
    share: Share,
    of_tenant: shares::Share,
}

impl PictureShare {
    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.share.bytes()
    }

    /// Gives back all but so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        self.share.shrink_to(bytes);
        self.of_tenant
            .shrink_to(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}

/// A body, with what it is made into, that fits into the whole budget at no time.
pub(crate) fn body_too_large(error: TooLarge) -> Problem {
    Problem::new(
        ProblemCode::BodyTooLarge,
        format!(
            "the server may hold {} MiB of bodies at once, and this one needs {}: send less",
            mib(error.limit),
            mib(error.needed)
        ),
    )
}

/// An answer that gives its shares back once the connection has taken the last of it.
pub(crate) fn answer(
    media_type: &'static str,
    bytes: Bytes,
    share: impl Send + 'static,
) -> Response {
    let length = bytes.len();
    let pieces = stream::unfold((bytes, share), |(mut rest, share)| async move {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (rest, share)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
