//! Results on their way out: formats, sizes, parts; and how they are to be made.

use std::sync::Arc;

use image::{GenericImageView, ImageFormat, Luma};
use limekiln_fixture::PATIENCE;
use limekiln_jobs::api::Invalid;
use limekiln_jobs::{ArtifactKind, Resolved, Spec};
use serde_json::{Value, json};

use crate::bad_input::form;
use crate::support::http::{self, Reply};
use crate::support::{Gateway, pictures, worker};

/// Address of the result of an edit that is done.
async fn result(gateway: &Gateway) -> String {
    let image = gateway.image().await;
    let request = json!({"image": image, "instruction": "make the sofa red"});
    let accepted = gateway.post("/v1/edits", &request).await.json();
    let edit = accepted["links"]["self"].as_str().unwrap().to_owned();
    limekiln_testbed::until("a result", PATIENCE, async || {
        gateway.get(&edit).await.json()["state"] == "succeeded"
    })
    .await;
    format!("{edit}/result")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_leaves_as_the_client_wishes() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let result = result(&gateway).await;
    let get = async |query: &str| gateway.get(&format!("{result}{query}")).await;
    let kind = |reply: &Reply| reply.header("content-type").unwrap().to_owned();
    let open = |reply: &Reply| image::load_from_memory(&reply.body).unwrap();

    for stored in [
        "",
        "?format=png",
        "?format=png&max_side=64",
        "?max_side=500",
    ] {
        assert_eq!(get(stored).await.body, pictures::room(), "{stored}");
    }
    for (query, media_type, size) in [
        ("?format=jpeg", "image/jpeg", (64, 48)),
        ("?format=jpeg&quality=30", "image/jpeg", (64, 48)),
        ("?format=webp", "image/webp", (64, 48)),
        ("?format=webp&quality=30", "image/webp", (64, 48)),
        ("?max_side=32", "image/png", (32, 24)),
        ("?format=jpeg&max_side=1", "image/jpeg", (1, 1)),
    ] {
        let (reply, again) = (get(query).await, get(query).await);
        assert_eq!(
            (reply.status, kind(&reply)),
            (200, media_type.to_owned()),
            "{query}"
        );
        assert_eq!(open(&reply).dimensions(), size, "{query}");
        assert_eq!(reply.body, again.body, "{query}: the same bytes each time");
        assert_eq!(reply.header("etag"), again.header("etag"), "{query}");
    }
    let bytes = async |query| get(query).await.body.len();
    assert!(bytes("?format=jpeg&quality=20").await < bytes("?format=jpeg&quality=95").await);
    assert!(bytes("?format=webp&quality=1").await < bytes("?format=webp&quality=90").await);
    let webp = get("?format=webp").await;
    assert_eq!(open(&webp).into_rgb8(), pictures::drawn(), "without loss");

    for (query, says) in [
        ("?format=gif", "must be png, jpeg or webp"),
        ("?format=", "must be png, jpeg or webp"),
        ("?format=jpeg&quality=0", "quality"),
        ("?format=jpeg&quality=101", "quality"),
        ("?format=jpeg&quality=high", "quality"),
        ("?format=png&quality=50", "without loss"),
        ("?quality=50", "needs a format"),
        ("?max_side=0", "max_side"),
        ("?max_side=-1", "max_side"),
        ("?size=7", "size"),
    ] {
        let reply = get(query).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "parameter_invalid"),
            "{query}"
        );
        assert!(reply.text().contains(says), "{query}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overlay_is_painted_when_it_is_asked_for() {
    let gateway = Gateway::start().await;
    let mut manual = worker::ManualWorker::new(&gateway).await;
    let inside = |x: u32, y: u32| (24..40).contains(&x) && (24..36).contains(&y);
    let roi = image::GrayImage::from_fn(64, 48, |x, y| Luma([u8::from(inside(x, y)) * 255]));
    let image = gateway.image().await;
    let submitted = async |seed: u64| {
        let request = json!({"image": image, "instruction": "make the sofa red", "seed": seed});
        let accepted = gateway.post("/v1/edits", &request).await.json();
        accepted["links"]["self"].as_str().unwrap().to_owned()
    };
    let unfinished = submitted(1).await;
    let early = gateway.get(&format!("{unfinished}/overlay")).await;
    assert_eq!(early.code(), "edit_unfinished");
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    // An older worker's edit has one that is kept.
    manual.complete(&claimed).await;
    let kept = gateway.get(&format!("{unfinished}/overlay")).await;
    assert_eq!((kept.status, &kept.body), (200, &pictures::room()));

    let edit = submitted(2).await;
    manual.roi = Some(pictures::written(&roi.into(), ImageFormat::Png));
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    manual.complete(&claimed).await;
    let link = gateway.get(&edit).await.json()["links"]["overlay"].clone();
    assert_eq!(link, format!("{edit}/overlay"));
    let (painted, again) = (
        gateway.get(link.as_str().unwrap()).await,
        gateway.get(link.as_str().unwrap()).await,
    );
    assert_eq!(painted.status, 200, "{}", painted.text());
    assert_eq!(painted.header("content-type"), Some("image/png"));
    assert_eq!(painted.body, again.body);
    let shown = image::load_from_memory(&painted.body).unwrap().into_rgb8();
    let input = pictures::drawn();
    assert_eq!(shown.dimensions(), (64, 48));
    assert_eq!(shown.get_pixel(32, 30), input.get_pixel(32, 30));
    assert_eq!(shown.get_pixel(24, 30).0, [255, 225, 0]);
    assert_ne!(shown.get_pixel(2, 2), input.get_pixel(2, 2));
    let tag = painted.header("etag").unwrap();
    let request = gateway
        .request("GET", link.as_str().unwrap())
        .header("if-none-match", tag);
    assert_eq!(gateway.send(request).await.status, 304);
    let stranger = http::Request::new("GET", link.as_str().unwrap()).key(&gateway.other);
    assert_eq!(gateway.send(stranger).await.code(), "edit_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_laid_over_a_jpeg_leaves_as_one_with_its_blocks() {
    let gateway = Gateway::start().await;
    let mut manual = worker::ManualWorker::new(&gateway).await;
    let input = pictures::written(&pictures::drawn().into(), ImageFormat::Jpeg);
    let comment = b"\xFF\xFE\0\x0Ba comment";
    let input = [&input[..2], comment, &input[2..]].concat();
    let mut edited = image::load_from_memory(&input).unwrap().into_rgb8();
    let inside = |x, y| (24..40).contains(&x) && (24..36).contains(&y);
    for (x, y, pixel) in edited.enumerate_pixels_mut() {
        if inside(x, y) {
            pixel.0 = [200, 30, 30];
        }
    }
    let matte = image::GrayImage::from_fn(64, 48, |x, y| Luma([u8::from(inside(x, y)) * 255]));
    let as_stored = edited.clone();
    manual.result = pictures::written(&edited.into(), ImageFormat::Png);
    let matte = pictures::written(&matte.into(), ImageFormat::Png);
    manual.matte = Some(matte.clone());

    let upload = gateway
        .request("POST", "/v1/images")
        .body("image/jpeg", input.clone());
    let image = gateway.send(upload).await.json()["id"].clone();
    let request = json!({"image": image, "instruction": "make the sofa red"});
    let accepted = gateway.post("/v1/edits", &request).await.json();
    let edit = accepted["links"]["self"].as_str().unwrap().to_owned();
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    manual.complete(&claimed).await;

    let get = async |query: &str| gateway.get(&format!("{edit}/result{query}")).await;
    for query in ["", "?format=jpeg"] {
        let reply = get(query).await;
        assert_eq!(
            reply.header("content-type"),
            Some("image/jpeg"),
            "{}",
            reply.text()
        );
        assert_eq!(reply.header("limekiln-pixels-moved"), None);
        let limits = limekiln_pictures::Limits::ACCEPTED;
        let verdict = limekiln_pictures::verify(&input, &reply.body, &[&matte], &limits).unwrap();
        assert!(verdict.kept, "{verdict:?}");
        assert_eq!(get(query).await.body, reply.body);
    }
    assert_eq!(get("?format=png").await.body, manual.result);
    let small = get("?max_side=32").await;
    assert_eq!(small.header("content-type"), Some("image/jpeg"));
    let anew = get("?format=jpeg&quality=90").await;
    let moved = anew.header("limekiln-pixels-moved").unwrap();
    let left = image::load_from_memory(&anew.body).unwrap().into_rgb8();
    let found = left.enumerate_pixels().zip(as_stored.pixels());
    let found = found.filter(|((x, y, left), stored)| !inside(*x, *y) && **left != **stored);
    assert_eq!(moved, found.count().to_string());
    let kept = get("").await.body;
    assert_ne!(anew.body, kept);
    let commented = |file: &[u8]| file.windows(9).any(|nine| nine == b"a comment");
    assert!(commented(&kept));

    // OpenAI's route tells it, too: of all pictures in a header, of each in its event.
    let moved: u64 = moved.parse().unwrap();
    for (compression, stream, says) in [
        ("90", "false", Some(2 * moved)),
        ("100", "false", None),
        ("90", "true", Some(moved)),
    ] {
        let quality: &[(&str, &[u8])] = match compression {
            "100" => &[],
            _ => &[(r#"name="output_compression""#, compression.as_bytes())],
        };
        let mut parts: Vec<(&str, &[u8])> = vec![
            (r#"name="image"; filename="room.jpg""#, &input),
            (r#"name="prompt""#, b"make the sofa red"),
            (r#"name="output_format""#, b"jpeg"),
            (r#"name="n""#, b"2"),
            (r#"name="stream""#, stream.as_bytes()),
        ];
        parts.extend(quality);
        let request = gateway
            .request("POST", "/v1/images/edits")
            .body("multipart/form-data; boundary=cut", form(&parts));
        let reply = tokio::spawn(http::send(gateway.address, request));
        let mut done = 0;
        limekiln_testbed::until("two edits", PATIENCE, async || {
            for claimed in manual.claim().await {
                manual.complete(&claimed).await;
                done += 1;
            }
            done == 2
        })
        .await;
        let reply = reply.await.unwrap();
        let header = reply.header("limekiln-pixels-moved");
        if stream == "false" {
            assert_eq!(header, says.map(|count| count.to_string()).as_deref());
            continue;
        }
        let events = reply.text().to_owned();
        let told = format!("\"pixels_moved\":{moved}");
        assert_eq!(events.matches(&told).count(), 2, "{}", &events[..200]);
    }

    // Without metadata its blocks come without them, too.
    let bare = json!({"image": image, "instruction": "make the sofa red", "strip_metadata": true});
    let accepted = gateway.post("/v1/edits", &bare).await.json();
    let edit = accepted["links"]["self"].as_str().unwrap().to_owned();
    assert_eq!(gateway.get(&edit).await.json()["strip_metadata"], true);
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    assert!(claimed.spec.strip_metadata);
    manual.complete(&claimed).await;
    let reply = gateway.get(&format!("{edit}/result")).await;
    assert!(!commented(&reply.body));
    let limits = limekiln_pictures::Limits::ACCEPTED;
    let verdict = limekiln_pictures::verify(&input, &reply.body, &[&matte], &limits).unwrap();
    assert!(verdict.kept && verdict.blocks.is_some(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_result_fit_together() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let result = result(&gateway).await;
    for query in ["", "?format=jpeg"] {
        let address = format!("{result}{query}");
        let get = async |name: &str, value: &str| {
            let request = gateway.request("GET", &address).header(name, value);
            gateway.send(request).await
        };
        let whole = gateway.get(&address).await;
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        let (length, tag) = (whole.body.len(), whole.header("etag").unwrap().to_owned());
        let (first, rest) = (
            get("range", "bytes=0-99").await,
            get("range", "bytes=100-").await,
        );
        assert_eq!((first.status, rest.status), (206, 206));
        let of = format!("bytes 0-99/{length}");
        assert_eq!(first.header("content-range"), Some(of.as_str()));
        assert_eq!(first.header("content-length"), Some("100"));
        assert_eq!([first.body, rest.body].concat(), whole.body);
        let last = get("range", "bytes=-7").await;
        assert_eq!(last.body, whole.body[length - 7..]);
        let beyond = get("range", &format!("bytes={length}-")).await;
        assert_eq!(
            (beyond.status, beyond.code().as_str()),
            (416, "range_unsatisfiable")
        );
        let all = format!("bytes */{length}");
        assert_eq!(beyond.header("content-range"), Some(all.as_str()));
        assert_eq!(get("range", "bytes=0-1,4-5").await.body, whole.body);

        let unchanged = get("if-none-match", &tag).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        assert_eq!(get("if-none-match", "\"other\"").await.status, 200);
        let other = gateway
            .request("GET", &address)
            .header("range", "bytes=0-9");
        let other = gateway.send(other.header("if-range", "\"other\"")).await;
        assert_eq!((other.status, other.body.len()), (200, length));
        let head = gateway.send(gateway.request("HEAD", &address)).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        let described = |name| (head.header(name), whole.header(name));
        for name in ["content-length", "etag", "content-type", "accept-ranges"] {
            let (one, other) = described(name);
            assert!(
                one.is_some() && one == other,
                "{name}: {one:?} and {other:?}"
            );
        }
    }

    // What was made is kept for the next part: the blob that it was made of is not read again.
    let address = format!("{result}?format=webp");
    let whole = gateway.get(&address).await;
    let context = &gateway.context;
    let edit = result.split('/').nth(3).unwrap().parse().unwrap();
    let stored = context
        .store
        .artifact_get(gateway.tenant, edit, ArtifactKind::Result);
    let key = stored.await.unwrap().unwrap().key.parse().unwrap();
    context.blobs.delete(&[key]).await.unwrap();
    let part = gateway
        .request("GET", &address)
        .header("range", "bytes=5-14");
    let part = gateway.send(part).await;
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[5..15]));
    let gone = gateway
        .get(&format!("{result}?format=webp&quality=50"))
        .await;
    assert_eq!(
        (gone.status, gone.code().as_str()),
        (404, "artifact_not_found")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mask_of_another_size_is_refused_before_it_waits() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let other = pictures::written(&image::GrayImage::new(65, 48).into(), ImageFormat::Png);
    let upload = gateway
        .request("POST", "/v1/images")
        .body("image/png", other);
    let mask = gateway.send(upload).await.json()["id"].clone();
    let request = json!({"image": image, "mask": mask, "instruction": "make the sofa red"});
    let refused = gateway.post("/v1/edits", &request).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "mask_invalid"),
        "{}",
        refused.text()
    );
    let says = "the mask is 65x48 and the picture 64x48: give a mask of the picture's size";
    assert_eq!(refused.json()["detail"], says);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_is_carried_over_unless_something_else_is_asked_for() {
    let gateway = Gateway::with(|settings| {
        settings.resolve = Some(Arc::new(|spec: &Spec| {
            Ok(Resolved {
                locates: spec.preset == "fast",
                ..Resolved::default()
            })
        }));
    })
    .await;
    let image = gateway.image().await;
    let (detail, pasted, none) = (json!("detail"), json!("paste"), Value::Null);
    for (extra, finish, by_default) in [
        (json!({}), &detail, true),
        (json!({"preset": "paper"}), &none, false),
        (json!({"preset": "paper", "mask": image}), &detail, true),
        (json!({"finish": "none"}), &none, false),
        (json!({"finish": "paste"}), &pasted, false),
        (
            json!({"preset": "paper", "finish": "paste"}),
            &pasted,
            false,
        ),
        (json!({"keep_outside": true}), &pasted, false),
        (json!({"keep_outside": false}), &detail, true),
    ] {
        let mut body = json!({"image": image, "instruction": "make the sofa red"});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let accepted = gateway.post("/v1/edits", &body).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        let id = accepted.json()["id"].as_str().unwrap().to_owned();
        let word = finish
            .as_str()
            .map_or("is null".to_owned(), |word| format!("= '{word}'"));
        let needs = usize::from(finish.is_string())
            + usize::from(*finish == detail)
            + usize::from(by_default);
        let stored = format!(
            "select count(*) from edits where id = '{id}' and spec->>'finish' {word}
                and coalesce(spec->'finish_default', 'false') = '{by_default}' and cardinality(needs) = {needs}"
        );
        assert_eq!(gateway.context.number(&stored).await, 1, "{extra}");
    }
    for (extra, says) in [
        (
            json!({"finish": "better"}),
            "a finish is one of none, paste, detail",
        ),
        (
            json!({"finish": "none", "keep_outside": true}),
            "keep_outside",
        ),
    ] {
        let mut body = json!({"image": image, "instruction": "make the sofa red"});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let reply = gateway.post("/v1/edits", &body).await;
        assert!((400..=422).contains(&reply.status), "{}", reply.text());
        assert!(reply.text().contains(says), "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_recolors_is_checked_before_it_is_queued_and_stored_as_it_was_asked() {
    let gateway = Gateway::with(|settings| {
        settings.presets.clear();
        settings.resolve = Some(Arc::new(|spec: &Spec| match spec.color.as_deref() {
            Some("blurple") => Err(Invalid::new("color", "is no color")),
            _ => Ok(Resolved {
                locates: spec.preset == "recolor",
                only_recolors: spec.preset != "fast",
                ..Resolved::default()
            }),
        }));
    })
    .await;
    let image = gateway.image().await;
    let body = |extra: Value| {
        let mut body = json!({"image": image, "instruction": "recolor it", "preset": "recolor"});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    for (extra, field) in [
        (json!({"color": "blurple"}), "color"),
        (json!({"color": ""}), "color"),
        (json!({"color": "x".repeat(101)}), "color"),
        (json!({"color": "teal", "material": "a\nb"}), "material"),
        (json!({"color": "teal", "matte": true}), "matte"),
        (json!({"color": "teal", "finish": "none"}), "finish"),
        (json!({"color": "teal", "finish": "paste"}), "finish"),
        (json!({"color": "teal", "preset": "somewhere"}), "mask"),
        (json!({"color": 7}), "color"),
    ] {
        let reply = gateway.post("/v1/edits", &body(extra.clone())).await;
        assert_eq!(reply.status, 422, "{extra}: {}", reply.text());
        assert_eq!(reply.json()["errors"][0]["field"], field, "{extra}");
    }
    let extra = json!({"color": "teal", "material": "all", "matte": true, "mask": image});
    let reply = gateway.post("/v1/edits", &body(extra)).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let stored = "select count(*) from edits where spec->>'color' = 'teal' and spec->>'material' = 'all' \
                 and spec->>'matte' = 'true'";
    let found = gateway.context.number(stored).await;
    assert_eq!(found, 1);
}
