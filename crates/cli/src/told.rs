//! Errors as the command tells them.

/// The error and what caused it in one line. A cause that the text has already is not said again.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let says = cause.to_string();
        if text.contains(&says) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&says);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[derive(Debug, thiserror::Error)]
    #[error("the database: {0}")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn nothing_is_said_twice() {
        let inner = std::io::Error::other("it hung\nup");
        let error = anyhow!(Outer(inner)).context("Postgres (--database)");
        assert_eq!(
            told(&error),
            "Postgres (--database): the database: it hung up"
        );
        let plain = anyhow!("no such file").context("a.png");
        assert_eq!(told(&plain), "a.png: no such file");
    }
}
