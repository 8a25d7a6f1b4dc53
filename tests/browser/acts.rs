//! What a person does on a page: fills a form and sends it, waits for what it says.

use std::time::Duration;

use crate::kit::program::wait_for;
use crate::webdriver::Browser;

/// A page that does not say it by then will not.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Fills fields of a form by name and sends it with the button; what is folded is opened before.
pub(crate) fn fill(browser: &Browser, form: &str, fields: &[(&str, &str)], button: &str) {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("form.elements.namedItem({name:?}).value = {value:?};"))
        .collect();
    let script = format!(
        "const form = document.querySelector({form:?});
         form.closest('details')?.setAttribute('open', '');
         {}
         const button = form.querySelector({button:?});
         setTimeout(() => form.requestSubmit(button), 0);
         return button !== null",
        fields.join("\n")
    );
    assert_eq!(browser.run(&script), true, "no {button} in {form} on {}", address(browser));
}

/// Waits until the page says so.
pub(crate) fn shows(browser: &Browser, what: &str) {
    let complete = || browser.run("return document.readyState") == "complete";
    let there = wait_for(LIMIT, || complete() && browser.text("main").contains(what));
    assert!(there, "no `{what}` on {}: {}", address(browser), browser.text("main"));
}

fn address(browser: &Browser) -> String {
    browser.run("return location.pathname").as_str().unwrap_or_default().to_owned()
}
