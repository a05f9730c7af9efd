//! Sessions: trees of turns, heads, branches; what belongs together stays together.

use limekiln_jobs::session::{DEPTH_MAX, Move, Stuck};
use limekiln_jobs::{EditId, EventKind, FailureClass, SessionId};

use super::super::context::*;
use crate::*;

impl TestContext {
    /// A session that starts from the context's picture.
    async fn session(&self) -> SessionId {
        let session = NewSession {
            image: Some(self.image),
            ..SessionId::new().into()
        };
        let created = self
            .store
            .session_create(self.tenant, session.clone())
            .await;
        assert!(matches!(created, Ok(SessionCreated::Created(_))));
        session.id
    }

    /// A turn that builds on the head.
    async fn post(&self, session: SessionId) -> EditId {
        self.submit(self.submission().at_head(session)).await
    }

    /// A turn that has succeeded.
    async fn turn_done(&self, session: SessionId) -> EditId {
        let turn = self.post(session).await;
        let epoch = self.claim(turn).await.epoch;
        assert!(self.complete(turn, epoch).await.is_applied());
        turn
    }

    async fn head(&self, session: SessionId) -> Option<EditId> {
        let found = self.store.session_get(self.tenant, session).await;
        found.unwrap().unwrap().head
    }

    async fn to(&self, session: SessionId, to: Move) -> HeadWrite {
        let to = HeadTo::Move(to);
        let moved = self.store.session_head(self.tenant, session, &to, None);
        moved.await.unwrap()
    }

    async fn refused(&self, submission: Submission) -> Submitted {
        self.store
            .edits_submit(&[submission])
            .await
            .unwrap()
            .remove(0)
    }
}

pub(in crate::tests) async fn posting_moves_the_head_and_moves_bring_it_back(store: &Store) {
    let context = TestContext::new(store).await;
    let session = context.session().await;
    assert_eq!(
        context.to(session, Move::Undo).await,
        HeadWrite::Stuck(Stuck::AtPicture)
    );
    let first = context.turn_done(session).await;
    let second = context.turn_done(session).await;
    assert_eq!(context.head(session).await, Some(second));
    let moved = |moved: HeadWrite| match moved {
        HeadWrite::Moved(view) => view.head,
        other => panic!("{other:?}"),
    };
    assert_eq!(moved(context.to(session, Move::Undo).await), Some(first));
    // A branch of the tree; redo goes to the side that was left last.
    let other = context.turn_done(session).await;
    assert_eq!(moved(context.to(session, Move::Undo).await), Some(first));
    assert_eq!(moved(context.to(session, Move::Redo).await), Some(other));
    assert_eq!(
        moved(context.to(session, Move::To(Some(second))).await),
        Some(second)
    );
    assert_eq!(moved(context.to(session, Move::To(None)).await), None);
    assert_eq!(moved(context.to(session, Move::Redo).await), Some(first));
    assert_eq!(moved(context.to(session, Move::Redo).await), Some(second));
    assert_eq!(
        context.to(session, Move::Redo).await,
        HeadWrite::Stuck(Stuck::AtLeaf)
    );
    let elsewhere = context.edit().await;
    assert_eq!(
        context.to(session, Move::To(Some(elsewhere))).await,
        HeadWrite::Stuck(Stuck::NoTurn)
    );
    let tree = store
        .session_tree(context.tenant, session)
        .await
        .unwrap()
        .unwrap();
    let turns: Vec<_> = tree
        .tree
        .iter()
        .map(|turn| (turn.id, turn.parent, turn.depth, turn.number))
        .collect();
    assert_eq!(
        turns,
        [
            (first, None, 1, 1),
            (second, Some(first), 2, 2),
            (other, Some(first), 2, 3)
        ]
    );
    assert_eq!(tree.session.turns, 3);
    assert_eq!(tree.tree[0].instruction, spec().instruction);
}

pub(in crate::tests) async fn a_turn_that_is_lost_gives_the_head_back(store: &Store) {
    let context = TestContext::new(store).await;
    let session = context.session().await;
    let first = context.turn_done(session).await;
    // Posted before their parents are done; all of them go with the one that is cancelled.
    let second = context.post(session).await;
    let third = context.post(session).await;
    let fourth = context.post(session).await;
    let branch = store
        .branch_create(context.tenant, session, "last", None)
        .await
        .unwrap();
    assert!(matches!(branch, Branched::Done(_)), "{branch:?}");
    assert_eq!(context.head(session).await, Some(fourth));
    // The head is at none of those that are lost so far.
    context.to(session, Move::Undo).await;
    assert_eq!(context.head(session).await, Some(third));
    store.edit_cancel(context.tenant, fourth).await.unwrap();
    assert_eq!(context.head(session).await, Some(third));
    store.edit_cancel(context.tenant, second).await.unwrap();
    while !store.turns_unblock(None, 100).await.unwrap().0.is_empty() {}
    assert_eq!(context.head(session).await, Some(first));
    let tree = store
        .session_tree(context.tenant, session)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tree.branches[0].turn, Some(first));
    assert_eq!(
        context.to(session, Move::To(Some(third))).await,
        HeadWrite::Stuck(Stuck::Lost)
    );
    // A worker's failure, and the first turn of all.
    let lone = context.session().await;
    let turn = context.post(lone).await;
    let epoch = context.claim(turn).await.epoch;
    let failure = limekiln_jobs::Failure::new(FailureClass::User, "bad", "bad");
    let failed = Failed {
        edit: turn,
        epoch,
        failure,
        gpu_ms: 0,
    };
    store.edits_fail(&[failed]).await.unwrap();
    assert_eq!(context.head(lone).await, None);
    assert_eq!(
        context.to(lone, Move::Redo).await,
        HeadWrite::Stuck(Stuck::AtLeaf)
    );
}

pub(in crate::tests) async fn what_does_not_belong_together_is_refused(store: &Store) {
    let context = TestContext::new(store).await;
    let stranger = TestContext::new(store).await;
    let (session, other) = (context.session().await, context.session().await);
    let turn = context.turn_done(session).await;
    let before = store.session_tree(context.tenant, session).await.unwrap();
    let refused = async |submission| context.refused(submission).await;
    let submission = || context.submission();
    let theirs = stranger.session().await;
    assert_eq!(
        refused(submission().at_head(theirs)).await,
        Submitted::NoSession
    );
    let elsewhere = Submission {
        session: Some(other),
        ..context.turn(turn)
    };
    assert_eq!(refused(elsewhere).await, Submitted::ParentElsewhere);
    let stale = Submission {
        version: Some(1),
        ..submission().at_head(session)
    };
    assert_eq!(refused(stale).await, Submitted::HeadMoved { version: 2 });
    let bytes = picture(context.tenant, b"another");
    let image = store.image_create(context.tenant, &bytes).await.unwrap().id;
    let another = Submission {
        image: Some(image),
        session: Some(session),
        ..submission()
    };
    assert_eq!(refused(another).await, Submitted::ImageElsewhere);
    let empty = SessionId::new();
    store.session_create(context.tenant, empty).await.unwrap();
    assert_eq!(
        refused(submission().at_head(empty)).await,
        Submitted::SessionEmpty
    );
    // Of a ring, the first names what is not there.
    let mut one = context.turn(EditId::new());
    let two = context.turn(one.id);
    one.parent = Some(two.id);
    let ring = store.edits_submit(&[one, two]).await.unwrap();
    assert_eq!(ring, [Submitted::NoParent, Submitted::NoParent]);
    let mut own = context.turn(EditId::new());
    own.parent = Some(own.id);
    assert_eq!(refused(own).await, Submitted::NoParent);
    assert_eq!(
        store.session_tree(context.tenant, session).await.unwrap(),
        before
    );
    assert_eq!(
        store.session_tree(stranger.tenant, session).await.unwrap(),
        None
    );
    // The database itself refuses them.
    for sql in [
        "update turns set parent_id = edit_id where edit_id = $1",
        "insert into turns (edit_id, session_id, parent_id, depth, number, visited)
            select gen_random_uuid(), s.id, $1, 2, 99, 0 from sessions s where s.head is null limit 1",
        "update sessions set head = $1 where head is null",
    ] {
        let refused = store.count("test", sqlx::query(sql).bind(turn.uuid())).await;
        assert!(refused.is_err(), "{sql}");
    }
    // An edit that a session is begun from is no turn of it.
    let lone = context.edit().await;
    let begun = Submission {
        session: Some(empty),
        ..context.turn(lone)
    };
    let begun = context.submit(begun).await;
    let tree = store
        .session_tree(context.tenant, empty)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((tree.tree[0].id, tree.tree[0].parent), (begun, None));
}

pub(in crate::tests) async fn turns_of_one_call_stand_on_each_other(store: &Store) {
    let context = TestContext::new(store).await;
    let session = context.session().await;
    let submissions: Vec<_> = (0..DEPTH_MAX + 1)
        .map(|_| context.submission().at_head(session))
        .collect();
    let mut submitted = Vec::new();
    for some in submissions.chunks(250) {
        submitted.extend(store.edits_submit(some).await.unwrap());
    }
    assert_eq!(submitted.pop(), Some(Submitted::TooDeep));
    assert!(
        submitted
            .iter()
            .all(|one| matches!(one, Submitted::Created { .. }))
    );
    let tree = store
        .session_tree(context.tenant, session)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((tree.tree.len(), tree.session.version), (1000, 1001));
    for (at, turn) in tree.tree.iter().enumerate() {
        assert_eq!(turn.depth as usize, at + 1);
        assert_eq!(turn.parent, at.checked_sub(1).map(|at| tree.tree[at].id));
    }
    // The answer to a call may be lost: the same again changes nothing.
    let again = store.edits_submit(&submissions[..10]).await.unwrap();
    assert!(
        again
            .iter()
            .all(|one| matches!(one, Submitted::Created { .. }))
    );
    assert_eq!(context.head(session).await, Some(tree.tree[999].id));
    let events = store.session_events_after(session, 0, 5000).await.unwrap();
    let numbers: Vec<u64> = events.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

pub(in crate::tests) async fn events_of_all_turns_have_one_order(store: &Store) {
    let context = TestContext::new(store).await;
    let session = context.session().await;
    let first = context.turn_done(session).await;
    let second = context.post(session).await;
    store.edit_cancel(context.tenant, second).await.unwrap();
    let events = store.session_events_after(session, 0, 100).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|(_, event)| {
            let event = event.as_ref().unwrap();
            let turn = event.turn.as_ref().map(|turn| (turn.edit, turn.kind));
            (turn, event.head.as_ref().map(|head| head.turn))
        })
        .collect();
    let turn = |edit, kind| (Some((edit, kind)), None);
    let head = |edit| (None, Some(edit));
    assert_eq!(
        told,
        [
            turn(first, EventKind::Queued),
            head(Some(first)),
            turn(first, EventKind::Started),
            turn(first, EventKind::Succeeded),
            turn(second, EventKind::Queued),
            head(Some(second)),
            turn(second, EventKind::Cancelled),
            head(Some(first)),
        ]
    );
    let later = store.session_events_after(session, 6, 1).await.unwrap();
    assert_eq!(later[0].0, 7);
    let heads = store.session_events_heads(&[session]).await.unwrap();
    assert_eq!(heads, [(session, 8)]);
    // What was forgotten leaves a gap, and nothing else.
    let old =
        "update session_events set at = now() - interval '1 day' where session_id = $1 and seq < 4";
    store
        .count("test", sqlx::query(old).bind(session.uuid()))
        .await
        .unwrap();
    let age = std::time::Duration::from_secs(3600);
    assert_eq!(store.session_events_prune(age, 100).await.unwrap(), 3);
    let left = store.session_events_after(session, 0, 100).await.unwrap();
    assert_eq!(left[0].0, 4);
}

pub(in crate::tests) async fn branches_name_turns(store: &Store) {
    let context = TestContext::new(store).await;
    let tenant = context.tenant;
    let session = context.session().await;
    let first = context.turn_done(session).await;
    let second = context.turn_done(session).await;
    let done = |name: &str, turn| {
        let name = name.to_owned();
        Branched::Done(limekiln_jobs::api::Branch { name, turn })
    };
    let create = async |name: &str, turn| {
        store
            .branch_create(tenant, session, name, turn)
            .await
            .unwrap()
    };
    let change = async |name: &str, to, turn| {
        let change = store.branch_change(tenant, session, name, to, turn);
        change.await.unwrap()
    };
    assert_eq!(create("warm", None).await, done("warm", Some(second)));
    assert_eq!(create("warm", None).await, Branched::Exists);
    assert_eq!(create("cold", Some(first)).await, done("cold", Some(first)));
    assert_eq!(
        create("x", Some(EditId::new())).await,
        Branched::Stuck(Stuck::NoTurn)
    );
    assert_eq!(change("cold", Some("warm"), None).await, Branched::Exists);
    assert_eq!(change("none", Some("some"), None).await, Branched::NoBranch);
    assert_eq!(
        change("cold", Some("cool"), Some(second)).await,
        done("cool", Some(second))
    );
    let to = HeadTo::Branch("warm".to_owned());
    context.to(session, Move::To(None)).await;
    let moved = store
        .session_head(tenant, session, &to, None)
        .await
        .unwrap();
    assert!(matches!(&moved, HeadWrite::Moved(view) if view.head == Some(second)));
    let to = HeadTo::Branch("cold".to_owned());
    let missing = store
        .session_head(tenant, session, &to, None)
        .await
        .unwrap();
    assert_eq!(missing, HeadWrite::NoBranch);
    // A turn that is deleted leaves its names to the one before it.
    let deleted = store.edit_delete(tenant, second, false).await.unwrap();
    assert_eq!(deleted, Deleted::Gone);
    assert_eq!(context.head(session).await, Some(first));
    let tree = store.session_tree(tenant, session).await.unwrap().unwrap();
    let names: Vec<_> = tree
        .branches
        .iter()
        .map(|branch| (branch.name.as_str(), branch.turn))
        .collect();
    assert_eq!(names, [("cool", Some(first)), ("warm", Some(first))]);
    let gone = store.branch_delete(tenant, session, "warm").await.unwrap();
    assert_eq!(gone, done("warm", Some(first)));
    for n in 1..100 {
        let name = format!("b{n}");
        assert_eq!(create(&name, None).await, done(&name, Some(first)));
    }
    assert_eq!(create("one-more", None).await, Branched::TooMany);
    let stranger = store.branch_create(TestContext::new(store).await.tenant, session, "x", None);
    assert_eq!(stranger.await.unwrap(), Branched::NoSession);
}

pub(in crate::tests) async fn a_session_goes_with_all_that_is_left_of_it(store: &Store) {
    let context = TestContext::new(store).await;
    let session = context.session().await;
    let done = context.turn_done(session).await;
    let running = context.post(session).await;
    let epoch = context.claim(running).await.epoch;
    let waiting = context.post(session).await;
    store
        .branch_create(context.tenant, session, "b", None)
        .await
        .unwrap();
    let stranger = TestContext::new(store).await;
    assert_eq!(
        store
            .session_turns_cancel(stranger.tenant, session)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .session_delete(stranger.tenant, session)
            .await
            .unwrap(),
        Deleted::Missing
    );
    assert_eq!(
        store.session_delete(context.tenant, session).await.unwrap(),
        Deleted::Live
    );
    let cancelled = store
        .session_turns_cancel(context.tenant, session)
        .await
        .unwrap();
    let stopped: Vec<_> = cancelled
        .iter()
        .filter(|one| one.was_running)
        .map(|one| one.edit)
        .collect();
    assert_eq!((cancelled.len(), stopped), (2, vec![running]));
    assert_eq!(context.complete(running, epoch).await, Write::Stale);
    assert_eq!(
        store.session_delete(context.tenant, session).await.unwrap(),
        Deleted::Gone
    );
    assert_eq!(
        store.session_delete(context.tenant, session).await.unwrap(),
        Deleted::Missing
    );
    for edit in [done, running, waiting] {
        assert_eq!(store.edit_get(context.tenant, edit).await.unwrap(), None);
        let listed = format!("t/{}/edits/{edit}/", context.tenant);
        let listed =
            sqlx::query_scalar("select count(*) from blob_deletions where key = $1").bind(listed);
        let listed: i64 = store.value("test", listed).await.unwrap();
        assert_eq!(listed, 1);
    }
    assert_eq!(context.in_flight().await, 0);
    for table in ["turns", "session_branches", "session_events"] {
        let left = format!("select count(*) from {table} where session_id = $1");
        let left = sqlx::query_scalar(sqlx::AssertSqlSafe(left)).bind(session.uuid());
        let left: i64 = store.value("test", left).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
    // The picture stays.
    assert!(
        store
            .image_get(context.tenant, context.image)
            .await
            .unwrap()
            .is_some()
    );
}

/// What was there before turns were, and what programs of the version before write.
pub(in crate::tests) async fn edits_of_older_versions_are_turns(store: &Store) {
    let context = TestContext::new(store).await;
    let session = context.session().await;
    let first = context.turn_done(session).await;
    let second = context.post(session).await;
    let forget = "delete from turns where session_id = $1";
    let forgotten = "update sessions set head = null, turns = 0 where id = $1";
    store
        .count("test", sqlx::query(forgotten).bind(session.uuid()))
        .await
        .unwrap();
    store
        .count("test", sqlx::query(forget).bind(session.uuid()))
        .await
        .unwrap();
    let third = EditId::new();
    let older = "insert into edits (id, tenant_id, session_id, parent_id, model, class, spec, born, state, max_attempts)
        values ($1, $2, $3, $4, 'rooms', 'bulk', '{\"instruction\": \"a\"}', 'waiting', 'waiting', 3)";
    let older = sqlx::query(older)
        .bind(third.uuid())
        .bind(context.tenant.uuid())
        .bind(session.uuid())
        .bind(second.uuid());
    store.count("test", older).await.unwrap();
    let tree = store
        .session_tree(context.tenant, session)
        .await
        .unwrap()
        .unwrap();
    let turns: Vec<_> = tree
        .tree
        .iter()
        .map(|turn| (turn.id, turn.parent, turn.depth))
        .collect();
    assert_eq!(
        turns,
        [
            (first, None, 1),
            (second, Some(first), 2),
            (third, Some(second), 3)
        ]
    );
    assert_eq!(tree.session.head, Some(third));
}

pub(in crate::tests) async fn sessions_are_listed_in_pages(store: &Store) {
    let context = TestContext::new(store).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(context.session().await);
    }
    made.reverse();
    let first = store.sessions_list(context.tenant, None, 3).await.unwrap();
    let ids = |page: &limekiln_jobs::api::SessionPage| -> Vec<SessionId> {
        page.sessions.iter().map(|session| session.id).collect()
    };
    assert_eq!(
        (ids(&first), first.next),
        (made[..3].to_vec(), Some(made[2]))
    );
    let second = store
        .sessions_list(context.tenant, first.next, 3)
        .await
        .unwrap();
    assert_eq!((ids(&second), second.next), (made[3..].to_vec(), None));
    let renamed = store
        .session_rename(context.tenant, made[0], "Green")
        .await
        .unwrap();
    assert_eq!(renamed.unwrap().title, "Green");
    let unknown = NewSession {
        image: Some(limekiln_jobs::ImageId::new()),
        ..SessionId::new().into()
    };
    let unknown = store.session_create(context.tenant, unknown).await.unwrap();
    assert_eq!(unknown, SessionCreated::NoImage);
    // A session's picture is in use.
    let deleted = store
        .image_delete(context.tenant, context.image, false)
        .await
        .unwrap();
    assert_eq!(deleted, Deleted::InUse);
}
