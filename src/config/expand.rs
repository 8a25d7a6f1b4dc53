//! `${VAR}`, `${VAR:-default}` and `${VAR:?message}` in the strings of a file. `$${` writes `${`.

use super::environment::Environment;

/// The text with every variable replaced, or what is wrong with it.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = from.find('}') else {
            return Err(format!("`{from}` has no closing brace; write $${{ for a plain ${{"));
        };
        out.push_str(&value_of(&from[2..end], environment)?);
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(inner: &str, environment: &Environment) -> Result<String, String> {
    let (name, otherwise) = match inner.find(':') {
        Some(at) => (&inner[..at], &inner[at..]),
        None => (inner, ""),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(good) {
        return Err(format!("`${{{inner}}}` names no variable; write ${{NAME:-default}}"));
    }
    if let Some(value) = environment.get(name) {
        return Ok(value.to_owned());
    }
    if let Some(default) = otherwise.strip_prefix(":-") {
        return Ok(default.to_owned());
    }
    match otherwise.strip_prefix(":?") {
        Some(message) => Err(format!("the variable {name} is not set: {message}")),
        None if otherwise.is_empty() => {
            Err(format!("the variable {name} is not set; set it or write ${{{name}:-default}}"))
        }
        None => Err(format!("`${{{inner}}}`: after the name comes `:-default` or `:?message`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_absent_ones_are_told() {
        let environment = Environment::from([("HOST", "broker")]);
        for (text, want) in [
            ("mqtt://${HOST}:1883", Ok("mqtt://broker:1883")),
            ("${PORT:-1883}", Ok("1883")),
            ("${PORT:-}", Ok("")),
            ("a$${HOST}$b", Ok("a${HOST}$b")),
            ("${PORT}", Err("the variable PORT is not set; set it or write ${PORT:-default}")),
            ("${PORT:?ask the net team}", Err("the variable PORT is not set: ask the net team")),
            ("${PORT", Err("`${PORT` has no closing brace; write $${ for a plain ${")),
            ("${a b}", Err("`${a b}` names no variable; write ${NAME:-default}")),
        ] {
            let got = expand(text, &environment);
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{text}");
        }
    }
}
