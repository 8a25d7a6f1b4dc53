//! Forms that carry a file (RFC 7578): the one kind of form that a browser sends in parts.

use axum::body::Bytes;

/// Most parts of a form.
const PARTS_MAX: usize = 32;

/// One field of a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) name: String,
    /// Of a file; empty when none was chosen.
    pub(super) file_name: String,
    pub(super) bytes: Bytes,
}

/// A body that is no such form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum FormError {
    #[error("it is not sent as multipart/form-data")]
    Kind,
    #[error("it is cut or holds a part that cannot be read")]
    Parts,
}

/// The fields of a form, in their order. A part of half the body and more shares its memory.
pub(super) fn parts(content_type: &str, body: &Bytes) -> Result<Vec<Part>, FormError> {
    let boundary = boundary(content_type).ok_or(FormError::Kind)?;
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    if !body.starts_with(first.as_bytes()) {
        return Err(FormError::Parts);
    }
    let mut at = first.len();
    let mut found = Vec::new();
    while !body[at..].starts_with(b"--") {
        let rest = &body[at..];
        let head_end = find(rest, b"\r\n\r\n").ok_or(FormError::Parts)?;
        let begin = head_end + 4;
        let length = find(&rest[begin..], next.as_bytes()).ok_or(FormError::Parts)?;
        let head = std::str::from_utf8(&rest[..head_end]).map_err(|_| FormError::Parts)?;
        let (name, file_name) = names(head).ok_or(FormError::Parts)?;
        let span = at + begin..at + begin + length;
        // A small part must not keep a large body alive.
        let bytes = if length < body.len() / 2 {
            Bytes::copy_from_slice(&body[span])
        } else {
            body.slice(span)
        };
        found.push(Part { name, file_name, bytes });
        if found.len() > PARTS_MAX {
            return Err(FormError::Parts);
        }
        at += begin + length + next.len();
    }
    Ok(found)
}

/// `multipart/form-data; boundary=...`
fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut keys = rest.split(';').filter_map(|part| part.trim().split_once('='));
    let (_, boundary) = keys.find(|(key, _)| key.eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.trim_matches('"');
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut at = 0;
    loop {
        at += text[at..].iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
}

/// Name of the field and of its file, from the part's headers.
fn names(head: &str) -> Option<(String, String)> {
    let line = head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let name = quoted(line, "; name=\"")?;
    Some((name, quoted(line, "; filename=\"").unwrap_or_default()))
}

/// A browser writes a quote within a name as `%22`, a line break as `%0D%0A`.
fn quoted(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(key)?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("%22", "\"").replace("%0D", " ").replace("%0A", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=----b7";

    fn read(body: &str) -> Result<Vec<(String, String, String)>, FormError> {
        let parts = parts(KIND, &Bytes::from(body.to_owned()))?;
        let text = |part: Part| {
            (part.name, part.file_name, String::from_utf8_lossy(&part.bytes).into_owned())
        };
        Ok(parts.into_iter().map(text).collect())
    }

    #[test]
    fn fields_and_a_file_are_told_apart() {
        let body = "------b7\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nnem12\r\n\
            ------b7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a %22b%22.csv\"\r\n\
            Content-Type: text/csv\r\n\r\n100,NEM12\r\n--900\r\n\r\n------b7--\r\n";
        let text = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        let want =
            [text("kind", "", "nem12"), text("file", "a \"b\".csv", "100,NEM12\r\n--900\r\n")];
        assert_eq!(read(body).unwrap(), want);
    }

    #[test]
    fn what_is_no_such_form_is_refused() {
        let body = Bytes::from_static(b"a=b");
        assert_eq!(parts("application/x-www-form-urlencoded", &body), Err(FormError::Kind));
        assert_eq!(parts("multipart/form-data; boundary=", &body), Err(FormError::Kind));
        let head = "------b7\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
        for cut in
            ["", "x", "------b7", "------b7\r\n", head, "------b7\r\nname\r\n\r\n\r\n------b7--"]
        {
            assert_eq!(read(cut), Err(FormError::Parts), "{cut}");
        }
        let many = format!("{head}x\r\n").repeat(40) + "------b7--";
        assert_eq!(read(&many), Err(FormError::Parts));
    }
}
