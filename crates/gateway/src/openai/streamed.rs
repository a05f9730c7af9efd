//! The answer as a stream of events, as OpenAI's route sends it: pictures of an edit under way, then the results.

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, PollNext, Stream, StreamExt};
use limekiln_pictures::{Format, Wish};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::mpsc::Receiver;

use super::wait::{Answered, Pending};
use crate::State;
use crate::memory::PictureShare;
use crate::problem::Problem;

/// What is streamed.
enum Part {
    /// A small JPEG of how far the first edit is, in base64.
    Preview(String),
    /// The results in this format, with the memory that they take.
    Results(Vec<Answered>, Format, Vec<PictureShare>),
    Failed(Problem),
}

/// Streams what comes of the edits. `held` is kept as long as the stream.
pub(super) fn answer(
    state: &State,
    mut pending: Pending,
    (partial, wish): (u32, Wish),
    held: impl Send + 'static,
) -> Response {
    let previews = pending.previews(partial);
    let results = stream::once(async move {
        let format = wish.format.unwrap_or(Format::Png);
        match pending.pictures(false, wish).await {
            Ok((pictures, shares)) => Part::Results(pictures, format, shares),
            Err(problem) => Part::Failed(problem),
        }
    });
    // Previews go first: after the results there are none.
    let parts = stream::select_with_strategy(
        numbered(previews).boxed(),
        results.map(|part| (0, part)).boxed(),
        |_: &mut ()| PollNext::Left,
    );
    let events = parts
        .flat_map(|(index, part)| stream::iter(events(index, part)))
        .map(move |event| {
            let _ = &held;
            event
        });
    let keep_alive = KeepAlive::new().interval(state.settings.timeouts.keep_alive);
    let sse = Sse::new(events).keep_alive(keep_alive);
    (crate::edits::events::HEADERS, sse).into_response()
}

fn numbered(previews: Receiver<String>) -> impl Stream<Item = (usize, Part)> {
    let previews = stream::unfold(previews, |mut previews| async move {
        let preview = previews.recv().await?;
        Some((Part::Preview(preview), previews))
    });
    previews.enumerate()
}

/// The events of a part. The memory of results is held until the last of them is taken.
fn events(
    index: usize,
    part: Part,
) -> impl Iterator<Item = Result<Event, axum::Error>> + Send + 'static {
    let (events, shares): (Vec<Value>, Vec<PictureShare>) = match part {
        Part::Preview(jpeg) => {
            let mut event = event("image_edit.partial_image", "jpeg", jpeg);
            event["partial_image_index"] = json!(index);
            (vec![event], Vec::new())
        }
        Part::Results(pictures, format, shares) => {
            let pictures = pictures.into_iter();
            let pictures = pictures.filter_map(|one| Some((one.picture.b64_json?, one.moved)));
            let completed = pictures.map(|(picture, moved)| {
                let mut event = event("image_edit.completed", format.word(), picture);
                if let Some(moved) = moved {
                    event["pixels_moved"] = json!(moved);
                }
                let none = json!({ "image_tokens": 0, "text_tokens": 0 });
                event["usage"] = json!({
                    "input_tokens": 0, "input_tokens_details": none, "output_tokens": 0, "total_tokens": 0,
                });
                event
            });
            (completed.collect(), shares)
        }
        Part::Failed(problem) => {
            let error = super::error(&problem);
            (
                vec![json!({ "type": "error", "error": error.error })],
                Vec::new(),
            )
        }
    };
    events.into_iter().map(move |event| {
        let _ = &shares;
        let name = event["type"].as_str().unwrap_or_default();
        Event::default().event(name).json_data(&event)
    })
}

fn event(name: &str, format: &str, picture: String) -> Value {
    json!({
        "type": name, "b64_json": picture, "created_at": OffsetDateTime::now_utc().unix_timestamp(),
        "output_format": format, "size": "auto", "quality": "auto", "background": "auto",
    })
}
