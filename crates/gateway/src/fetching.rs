//! Pictures that rows of catalogs name by their address: fetched from the places that an operator allows the tenant, under the rules of
//! webhooks for addresses, checked as uploads are, and stored as those. Any gateway fetches any of them, each for a while its own.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use limekiln_blobs::{Credentials, presign_elsewhere};
use limekiln_coordinator::fetch::{FetchError, FetchSettings, Fetched, Fetcher};
use limekiln_jobs::source::Address;
use limekiln_jobs::{Digest, ImageId, TenantId};
use limekiln_memory::Share;
use limekiln_store::{PictureDue, PictureSettled, Source};
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::Url;

use crate::memory::body_too_large;
use crate::problem::{Problem, ProblemCode};
use crate::{State, quotas, upload};

/// Pictures that a gateway fetches at once, and those of one host among them.
const AT_ONCE: usize = 16;
const PER_HOST: u32 = 4;
/// How often it is looked for pictures where there were none.
const EVERY: Duration = Duration::from_millis(500);
/// How long a picture is a gateway's, beside the time that it may take to come.
const LEASE: Duration = Duration::from_secs(60);
/// Tries of a picture whose host fails, and the waits between them: each is three times the one before.
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_secs(5);
/// How long a picture waits that this service has no room for.
const NO_ROOM: Duration = Duration::from_secs(30);
/// How long the address of an object in a bucket works.
const SIGNED: Duration = Duration::from_secs(300);

/// Places that a tenant's pictures may be fetched from.
pub(crate) async fn places(state: &State, tenant: TenantId) -> Result<Vec<Address>, Problem> {
    let sources = state.services.store.sources(tenant).await?;
    let places = sources.iter().map(|source| source.place.parse());
    // What can't be read allows nothing.
    Ok(places.flatten().collect())
}

/// Whether an address is this service's own bucket, which holds everybody's pictures.
pub(crate) fn is_own(state: &State, place: &Address, endpoint: Option<&Url>) -> bool {
    match place {
        Address::S3 { bucket, .. } => state.services.blobs.is_bucket(endpoint, bucket),
        Address::Web(_) => false,
    }
}

/// Fetches pictures until the gateway closes.
pub(crate) async fn run(state: State) {
    let settings = FetchSettings {
        bytes: state.settings.limits.upload_bytes as u64,
        ..state.settings.fetch.clone()
    };
    let lease = settings.timeout + LEASE;
    let fetcher = match Fetcher::new(settings) {
        Ok(fetcher) => fetcher,
        Err(error) => {
            return tracing::error!(%error, "this gateway fetches no pictures");
        }
    };
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let free = AT_ONCE.saturating_sub(tasks.len());
        let mut claimed = 0;
        if free > 0 {
            let store = &state.services.store;
            match store
                .catalog_pictures_claim(free as u32, PER_HOST, lease)
                .await
            {
                Ok(due) => {
                    claimed = due.len();
                    for due in due {
                        tasks.spawn(attempt(state.clone(), fetcher.clone(), due));
                    }
                }
                // An outage is waited for.
                Err(error) => tracing::debug!(%error, "pictures to fetch can't be looked for"),
            }
        }
        let idle = claimed == 0;
        tokio::select! {
            () = state.closing.cancelled() => return,
            () = sleep(EVERY), if idle || tasks.len() >= AT_ONCE => {}
            Some(_) = tasks.join_next() => {}
            () = std::future::ready(()), if !idle && tasks.len() < AT_ONCE => {}
        }
    }
}

/// Why there is no picture.
enum Without {
    /// Another try would not help.
    For(String),
    /// Its host may do better soon.
    Now(String),
    /// This service has no room for it.
    Room(String),
}

async fn attempt(state: State, fetcher: Fetcher, due: PictureDue) {
    let store = &state.services.store;
    let start = Instant::now();
    let outcome = match picture(&state, &fetcher, &due).await {
        Ok((image, digest)) => {
            let settled = store.catalog_picture_there(&due, image, digest).await;
            state.services.broker.wake();
            settled.map(|settled| match settled {
                PictureSettled::There => "there",
                PictureSettled::Changed => "changed",
                PictureSettled::Lost => "lost",
            })
        }
        Err(Without::Now(why)) if due.tries < TRIES => {
            let wait = WAIT * 3_u32.pow(due.tries.saturating_sub(1).min(TRIES));
            let put_off = store.catalog_picture_put_off(&due, wait, &why).await;
            put_off.map(|()| "put_off")
        }
        Err(Without::Room(why)) => {
            let put_off = store.catalog_picture_put_off(&due, NO_ROOM, &why).await;
            put_off.map(|()| "no_room")
        }
        Err(Without::For(why) | Without::Now(why)) => {
            let failed = store.catalog_picture_failed(&due, &why).await;
            failed.map(|()| "failed")
        }
    };
    metrics::histogram!("limekiln_fetch_seconds").record(start.elapsed());
    match outcome {
        Ok(outcome) => {
            metrics::counter!("limekiln_pictures_fetched_total", "outcome" => outcome).increment(1);
        }
        // It comes again once the time of this claim is over.
        Err(error) => {
            tracing::warn!(catalog = %due.catalog, %error, "what became of a picture was not written")
        }
    }
}

/// Gets a picture, checks and stores it.
async fn picture(
    state: &State,
    fetcher: &Fetcher,
    due: &PictureDue,
) -> Result<(ImageId, Digest), Without> {
    let bytes = {
        let fetched = open(state, fetcher, due).await?;
        whole(state, fetched).await?
    };
    let (bytes, held) = bytes;
    let checked = upload::check(state, due.tenant, &held, bytes.clone());
    let checked = checked.await.map_err(of_problem)?;
    let tenant = state.services.store.tenant_get(due.tenant).await;
    let tenant = tenant.map_err(|error| of_problem(error.into()))?;
    let tenant = tenant.ok_or_else(|| Without::For("its tenant is gone".to_owned()))?;
    let length = bytes.len() as u64;
    quotas::upload_of(state, due.tenant, &tenant.limits, length)
        .await
        .map_err(of_problem)?;
    let image = upload::put(state, due.tenant, bytes, &checked).await;
    Ok((image.map_err(of_problem)?.id, checked.digest))
}

/// Begins to get what is at the address, where that is still allowed.
async fn open(state: &State, fetcher: &Fetcher, due: &PictureDue) -> Result<Fetched, Without> {
    let address: Address = due
        .address
        .parse()
        .map_err(|error| Without::For(format!("its address {error}")))?;
    let sources = state.services.store.sources(due.tenant).await;
    let sources = sources.map_err(|error| of_problem(error.into()))?;
    let allowed: Vec<(Address, &Source)> = sources
        .iter()
        .filter_map(|source| Some((source.place.parse().ok()?, source)))
        .collect();
    let in_ = |address: &Address| {
        let mut places = allowed.iter();
        places.find(|(place, _)| place.begins(address))
    };
    let opened = match &address {
        Address::Web(url) => {
            let allow = |url: &Url| {
                let address = url.as_str().parse();
                address.is_ok_and(|address| in_(&address).is_some())
            };
            fetcher.open(url, allow).await
        }
        Address::S3 { bucket, key } => {
            let Some((place, source)) = in_(&address) else {
                let says = format!(
                    "{} is not among the places that this tenant's pictures may be fetched from",
                    address.host()
                );
                return Err(Without::For(says));
            };
            let url = signed(state, place, source, (bucket, key)).await?;
            // It is sent on to nowhere.
            fetcher.open(&url, |asked| *asked == url).await
        }
    };
    opened.map_err(|error| of_fetch(&error))
}

/// The address of an object in a bucket, signed with the credentials that the place has.
async fn signed(
    state: &State,
    place: &Address,
    source: &Source,
    (bucket, key): (&str, &str),
) -> Result<Url, Without> {
    let endpoint = source.endpoint.as_deref().map(str::parse).transpose();
    let endpoint: Option<Url> = endpoint
        .map_err(|_| Without::For("the S3 server that its place names can't be read".to_owned()))?;
    if is_own(state, place, endpoint.as_ref()) {
        return Err(Without::For("its bucket is this service's own".to_owned()));
    }
    let Some((access_key, secret)) = &source.credentials else {
        return Err(Without::For("its bucket has no credentials".to_owned()));
    };
    let mut settings = limekiln_blobs::Settings::new(endpoint, bucket);
    settings.region = source.region.clone();
    settings.credentials = Some(Credentials {
        access_key: access_key.clone(),
        secret_key: secret.expose().to_owned(),
    });
    let signed = presign_elsewhere(&settings, key, SIGNED).await;
    signed.map_err(|error| Without::For(format!("its address can't be signed: {error}")))
}

/// All of it, in memory that grows with it.
async fn whole(state: &State, mut fetched: Fetched) -> Result<(Bytes, Share), Without> {
    let declared = fetched.declared().unwrap_or(0);
    let share = state.memory.share(declared, body_too_large).await;
    let mut held = share.map_err(of_problem)?;
    let mut whole = BytesMut::new();
    while let Some(piece) = fetched.next().await.map_err(|error| of_fetch(&error))? {
        let needed = (whole.len() + piece.len()) as u64;
        if needed > held.bytes() {
            let more = (needed - held.bytes()).max(1 << 20);
            state
                .memory
                .grow(&mut held, more)
                .await
                .map_err(of_problem)?;
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), held))
}

fn of_fetch(error: &FetchError) -> Without {
    let why = format!("its picture could not be fetched: {error}");
    match error.is_transient() {
        true => Without::Now(why),
        false => Without::For(why),
    }
}

fn of_problem(problem: Problem) -> Without {
    let status = problem.status();
    let why = format!("its picture: {}", problem.detail);
    if problem.code == ProblemCode::Internal {
        return Without::Now(why);
    }
    if status.is_server_error()
        || status.as_u16() == 429
        || problem.code == ProblemCode::StorageLimit
    {
        return Without::Room(why);
    }
    Without::For(why)
}
