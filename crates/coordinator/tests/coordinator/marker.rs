//! Whose a bucket is.

use limekiln_blobs::{Key, Prefix};
use limekiln_coordinator::{Error, Standing, adopt, claim, standing};
use limekiln_fixture::{TestContext, png};
use limekiln_jobs::{EditId, Epoch, FleetId};

/// A context whose prefix is empty, and whose database is a fleet of its own.
async fn fresh(prefix: &str, like: Option<&TestContext>) -> TestContext {
    let mut context = TestContext::new().await;
    context.sql("update fleet set id = gen_random_uuid()").await;
    let blobs = like.unwrap_or(&context).blobs.prefixed(prefix);
    context.blobs = blobs.unwrap();
    context
}

async fn fleet(context: &TestContext) -> FleetId {
    context.store.mark().await.unwrap().fleet
}

#[tokio::test]
async fn of_many_that_take_an_empty_bucket_one_does() {
    let first = fresh("empty", None).await;
    let second = fresh("empty", Some(&first)).await;
    let both = [&first, &second, &first, &second];
    let claimed = tokio::join!(
        claim(&both[0].store, &both[0].blobs),
        claim(&both[1].store, &both[1].blobs),
        claim(&both[2].store, &both[2].blobs),
        claim(&both[3].store, &both[3].blobs),
    );
    let claimed = [claimed.0, claimed.1, claimed.2, claimed.3];
    assert_eq!(claimed[0].is_ok(), claimed[2].is_ok());
    assert_eq!(claimed[1].is_ok(), claimed[3].is_ok());
    let (ours, theirs) = if claimed[0].is_ok() { (0, 1) } else { (1, 0) };
    let Err(Error::Foreign {
        owner, fleet: own, ..
    }) = &claimed[theirs]
    else {
        panic!("{claimed:?}");
    };
    assert_eq!(*owner, fleet(both[ours]).await);
    assert_eq!(*own, fleet(both[theirs]).await);
    let line = claimed[theirs].as_ref().unwrap_err().to_string();
    assert!(line.contains("S3_PREFIX") && !line.contains('\n'), "{line}");
}

#[tokio::test]
async fn blobs_without_a_marker_are_taken_only_when_the_database_knows_them() {
    let context = fresh("", None).await;
    for gray in 2..21 {
        context.image_create(context.tenant, png(gray)).await;
    }
    let refused = claim(&context.store, &context.blobs).await.unwrap_err();
    assert!(matches!(refused, Error::Unclaimed { .. }), "{refused}");
    assert!(refused.to_string().contains("--adopt-bucket"), "{refused}");
    // Another database knows none of them.
    let stranger = fresh("", Some(&context)).await;
    let refused = adopt(&stranger.store, &stranger.blobs, 0.05).await;
    assert!(
        matches!(
            &refused,
            Err(Error::Unknown {
                blobs: 20,
                unknown: 20,
                ..
            })
        ),
        "{refused:?}"
    );

    let stray = Key::edit(context.tenant, EditId::new(), Epoch::new(1), "x.png").unwrap();
    context
        .blobs
        .put(&stray, "stray".into(), "image/png")
        .await
        .unwrap();
    let adopted = adopt(&context.store, &context.blobs, 0.05).await.unwrap();
    assert_eq!((adopted.blobs, adopted.unknown), (21, 1));
    assert_eq!(adopted.example, Some(stray.to_string()));
    claim(&context.store, &context.blobs).await.unwrap();
    assert_eq!(
        standing(&context.store, &context.blobs).await.unwrap(),
        Standing::Ours
    );
    let again = adopt(&context.store, &context.blobs, 0.0).await.unwrap();
    assert_eq!(again.blobs, 0, "it is this database's already");
    assert!(matches!(
        adopt(&stranger.store, &stranger.blobs, 1.0).await,
        Err(Error::Foreign { .. })
    ));
}

#[tokio::test]
async fn weights_in_the_bucket_are_nobodys_and_a_strange_marker_is_left_alone() {
    let context = fresh("fresh", None).await;
    let weights: Key = "models/rooms/unet.safetensors".parse().unwrap();
    context
        .blobs
        .put(&weights, "weights".into(), "application/octet-stream")
        .await
        .unwrap();
    claim(&context.store, &context.blobs).await.unwrap();

    let context = fresh("strange", None).await;
    let marker: Key = "fleet.json".parse().unwrap();
    context
        .blobs
        .put(&marker, "ours, all of it".into(), "text/plain")
        .await
        .unwrap();
    let refused = claim(&context.store, &context.blobs).await.unwrap_err();
    assert!(
        matches!(refused, Error::MarkerUnreadable { .. }),
        "{refused}"
    );
    let left = context.blobs.list(&Prefix::all(), None, 10).await.unwrap();
    assert_eq!(left.blobs.len(), 1);
}
