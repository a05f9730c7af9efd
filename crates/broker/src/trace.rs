//! Spans that continue in another process, by a W3C trace context that travels with the edit and its messages.
//!
//! Where no spans are exported, a span has no context, and the `traceparent` of the request travels unchanged.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The context that a `traceparent` names. None unless it is a valid one of version 00.
fn parsed(traceparent: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        return None;
    };
    let hex = |part: &str, length: usize| {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == length && part.bytes().all(digit)
    };
    if *version != "00" || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

/// Whether the text is a valid `traceparent` of version 00.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    parsed(text).is_some()
}

/// Makes `span` a child of the span that `traceparent` names. To be called before the span is entered.
pub fn adopt(span: &Span, traceparent: &str) {
    if let Some(parent) = parsed(traceparent) {
        let parent = opentelemetry::Context::new().with_remote_span_context(parent);
        // An error means that no spans are exported.
        let _ = span.set_parent(parent);
    }
}

/// The `traceparent` for messages sent from within `span`. None where no spans are exported.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context().span().span_context().clone();
    context.is_valid().then(|| {
        let (trace, span) = (context.trace_id(), context.span_id());
        format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8())
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn spans_go_on_where_they_are_exported() {
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("there");
            adopt(&span, GIVEN);
            let sent = traceparent(&span).unwrap();
            assert!(is_traceparent(&sent), "{sent}");
            assert_eq!(sent[..36], GIVEN[..36], "the same trace");
            assert_ne!(sent[36..52], GIVEN[36..52], "another span");
            let next = tracing::info_span!("further");
            adopt(&next, &sent);
            assert_eq!(traceparent(&next).unwrap()[..36], GIVEN[..36]);
        });
    }

    #[test]
    fn without_an_exporter_there_is_nothing_to_send() {
        let span = tracing::info_span!("alone");
        adopt(&span, GIVEN);
        assert_eq!(traceparent(&span), None);
    }

    #[test]
    fn only_traceparents_are_taken() {
        assert!(is_traceparent(GIVEN));
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert!(!is_traceparent(text), "{text:?}");
        }
    }
}
