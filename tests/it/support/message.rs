//! A request or response as it arrived.

#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The request or status line.
    pub(crate) first: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The body came to its announced end.
    pub(crate) whole: bool,
}

impl Message {
    pub(crate) fn parse(head: &str) -> Self {
        let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        Self { first: first.to_owned(), fields: parse_fields(rest), whole: true, ..Self::default() }
    }

    pub(crate) fn status(&self) -> u16 {
        let status = self.first.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("not a status line: {:?}", self.first))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The value of the one field of this name. `None`: there is none.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {:?}", self.fields);
        value
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    pub(crate) fn length(&self) -> Option<usize> {
        self.field("content-length").map(|length| length.parse().expect("Content-Length is a number"))
    }
}

pub(crate) fn parse_fields(text: &str) -> Vec<(String, String)> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line:?}"));
        (name.to_owned(), value.trim().to_owned())
    };
    text.split("\r\n").filter(|line| !line.is_empty()).map(field).collect()
}
